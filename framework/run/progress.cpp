#include "run/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/printable.h"
#include "base/standard_streams.h"

namespace backplane {

namespace {

std::string text_of(const Metrics& metrics) {
  std::string text = fmt::format("loss {:.4f}", metrics.loss);
  for (const auto& [name, value] : metrics.values) text += fmt::format("  {} {:.4f}", name, value);
  return text;
}

std::string time_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(std::int64_t total_steps, std::int64_t steps_per_epoch, std::int64_t first_step, bool is_quiet)
    : total_steps_(total_steps),
      steps_per_epoch_(steps_per_epoch),
      first_step_(first_step),
      is_quiet_(is_quiet),
      is_terminal_(!is_quiet && ::isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      shown_(start_) {}

Progress::~Progress() {
  erase_line();
  if (!is_quiet_) write_message({});
}

void Progress::step(std::int64_t step, const Metrics& batch, std::int64_t samples_done) {
  constexpr double kSmoothing = 0.02;
  if (step == first_step_ + 1) smoothed_ = batch;
  smoothed_.loss += kSmoothing * (batch.loss - smoothed_.loss);
  for (std::size_t i = 0; i < smoothed_.values.size(); ++i)
    smoothed_.values[i].value += kSmoothing * (batch.values[i].value - smoothed_.values[i].value);
  constexpr std::chrono::milliseconds kInterval(200);
  const Clock::time_point now = Clock::now();
  if (!is_terminal_ || now - shown_ < kInterval) return;
  shown_ = now;

  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double done = static_cast<double>(step) / static_cast<double>(total_steps_);
  const double here = static_cast<double>(step - first_step_);
  const double left = elapsed / here * static_cast<double>(total_steps_ - step);
  constexpr int kWidth = 20;
  const int filled = static_cast<int>(done * kWidth);
  const std::string line =
      fmt::format("[{:#<{}}{:.<{}}] {:3.0f} %  epoch {}  {}  {:.0f} samples/s  {} left", "", filled, "",
                  kWidth - filled, 100.0 * done, (step - 1) / steps_per_epoch_ + 1, text_of(smoothed_),
                  static_cast<double>(samples_done) / elapsed, time_text(left));
  if (!write_message_without_waiting({})) return;  // nobody looks
  write_message_without_waiting("\r\033[K" + line);
  has_line_ = true;
}

void Progress::epoch(std::int64_t epoch, const Metrics& train, const std::optional<Metrics>& validation,
                     double samples_per_second) {
  std::string line = fmt::format("epoch {:3}  {}", epoch, text_of(train));
  if (validation) line += fmt::format("  |  validation {}", text_of(*validation));
  say(fmt::format("{}  |  {:.0f} samples/s", line, samples_per_second));
}

void Progress::say(const std::string& message) {
  if (is_quiet_) return;
  erase_line();
  write_message_without_waiting(printable(message, /*lines=*/true) + "\n");  // it may quote a file
}

void Progress::erase_line() {
  if (has_line_) write_message_without_waiting("\r\033[K");
  has_line_ = false;
}

}  // namespace backplane
