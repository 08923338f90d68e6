#include "experiment/run.h"

#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "checkpoint/store.h"
#include "experiment/environment.h"
#include "experiment/metrics.h"
#include "experiment/progress.h"
#include "experiment/run_directory.h"
#include "experiment/signals.h"
#include "experiment/snapshot.h"
#include "experiment/thread_trace.h"
#include "experiment/trace.h"
#include "files/atomic_write.h"
#include "files/io_thread.h"

namespace backplane {

namespace {

using Clock = std::chrono::steady_clock;

/// Of each worker: some hundred steps of small networks, and a file that browsers open.
constexpr std::size_t kLoggedTasks = 1 << 15;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// One run, from the first checkpoint to the summary. Members stand in the order in which data flows.
class Run {
 public:
  Run(const Experiment& experiment, const Registry& registry, const RunOptions& options)
      : experiment_(experiment),
        options_(options),
        versions_(describe_versions(registry)),
        model_(build_model(experiment, registry)),
        environment_(describe_environment(registry, model_.data, options.threads).dump(2)),
        directory_(options.directory.empty() ? "runs/" + experiment.name : options.directory),
        arena_(options.threads, options.pin),
        trainer_(model_.network, model_.data, model_.loss, arena_, experiment.train, experiment.seed),
        metrics_(directory_.path("metrics.jsonl")),
        store_(directory_.path("checkpoints"), experiment.checkpoint.keep),
        progress_(trainer_.total_steps(), trainer_.steps_per_epoch()),
        trace_(directory_.path("trace.h5"), experiment, model_.network, trainer_, io_) {}

  RunSummary operator()() {
    if (!options_.thread_trace.empty()) require_writable(options_.thread_trace);
    write_file_atomically(directory_.path("config.yaml"), versions_ + config::to_yaml(experiment_.resolved));
    introduce();
    commit_checkpoint();  // also proves, before the long run, that checkpoints can be written
    train();
    return finish();
  }

 private:
  void introduce() {
    if (!directory_.moved_aside().empty())
      progress_.say(fmt::format("the earlier run in {} was moved to {}", directory_.text(), directory_.moved_aside()));
    const auto counted = [](std::int64_t count, const char* noun) {
      return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
    };
    progress_.say(fmt::format("{}: {}, {}, {}, {}, {}, {}", experiment_.name,
                              counted(std::ssize(model_.network.nodes()), "layer"),
                              counted(model_.network.parameter_count(), "parameter"), name_of(experiment_.dtype),
                              counted(model_.data.train.count, "training sample"),
                              counted(trainer_.total_steps(), "step"), counted(options_.threads, "thread")));
    for (const std::string& note : model_.notes) progress_.say(note);
  }

  void train() {
    const Clock::time_point start = Clock::now();
    epoch_start_ = start;
    if (!options_.thread_trace.empty()) arena_.log().start(kLoggedTasks);
    while (!trainer_.is_finished() && !StopSignals::is_stop_asked()) {
      const Score batch = step();
      samples_ += batch.samples;
      epoch_samples_ += batch.samples;
      progress_.step(trainer_.state().step, batch, samples_);
      if (trainer_.state().step % experiment_.metrics_every == 0) write_line("train_batch", batch, false);
      if (trainer_.at_end_of_epoch()) end_epoch();
      if (is_checkpoint_due()) commit_checkpoint();
      if (arena_.log().is_full()) write_trace_of_threads();
    }
    training_seconds_ = seconds_since(start);
    if (arena_.log().is_on()) write_trace_of_threads();
    progress_.erase_line();
    was_stopped_ = !trainer_.is_finished();
    if (last_committed_ != trainer_.state().step) commit_checkpoint();
    io_.drain();
  }

  void write_trace_of_threads() {
    arena_.log().stop();
    write_thread_trace(options_.thread_trace, arena_.log(), model_.network);
    progress_.say(fmt::format("the threads' tasks of the first {} are in {}",
                              trainer_.state().step == 1 ? "step" : fmt::format("{} steps", trainer_.state().step),
                              options_.thread_trace));
  }

  Score step() {
    const std::int64_t number = trainer_.state().step + 1;
    if (!trace_.is_due(number)) return trainer_.step();
    const Score score = trainer_.step([this](const Batch& batch) {
      const TaskLog::Span span(arena_.log(), Work::recording);
      trace_.copy_before_update(batch);
    });
    const TaskLog::Span span(arena_.log(), Work::recording);
    trace_.copy_after_update(number);
    return score;
  }

  void end_epoch() {
    const double rate = static_cast<double>(epoch_samples_) / seconds_since(epoch_start_);
    summary_.train = trainer_.epoch_score();
    if (model_.data.validation) {
      summary_.validation = trainer_.evaluate(*model_.data.validation);
      trainer_.note_validation(*summary_.validation);
    }
    metrics_.write({.step = trainer_.state().step,
                    .epoch = epochs(),
                    .split = "train",
                    .score = summary_.train,
                    .learning_rate = trainer_.learning_rate(trainer_.state().step),
                    .samples_per_second = rate,
                    .digest = model_.network.weights_digest()});
    if (summary_.validation) write_line("validation", *summary_.validation, false);
    progress_.epoch(trainer_.state().epoch, summary_.train, summary_.validation, rate);
    epoch_samples_ = 0;
    epoch_start_ = Clock::now();
  }

  bool is_checkpoint_due() const {
    const config::Duration& every = experiment_.checkpoint.every;
    if (every.epochs > 0) return trainer_.at_end_of_epoch() && trainer_.state().epoch % every.epochs == 0;
    return trainer_.state().step % every.steps == 0;
  }

  /// Copies the state here and now; hashing and writing happen on the I/O thread while training goes on.
  void commit_checkpoint() {
    last_committed_ = trainer_.state().step;
    auto snapshot = std::make_shared<const Snapshot>(
        take_snapshot(experiment_, model_.network, model_.data, trainer_, environment_));
    io_.submit([this, snapshot] { store_.commit(*snapshot); });
    if (last_committed_ == 0) io_.drain();
  }

  void write_line(const char* split, const Score& score, bool with_digest) {
    MetricsFile::Line line{.step = trainer_.state().step, .epoch = epochs(), .split = split, .score = score};
    line.learning_rate = trainer_.learning_rate(std::max<std::int64_t>(1, trainer_.state().step));
    if (with_digest) line.digest = model_.network.weights_digest();
    metrics_.write(line);
  }

  double epochs() const {
    return static_cast<double>(trainer_.state().step) / static_cast<double>(trainer_.steps_per_epoch());
  }

  RunSummary finish() {
    if (model_.data.test && !was_stopped_) {
      summary_.test = trainer_.evaluate(*model_.data.test);
      write_line("test", *summary_.test, true);
    }
    summary_.code = was_stopped_ ? ExitCode::stopped : ExitCode::ok;
    summary_.steps = trainer_.state().step;
    if (summary_.train.samples == 0) summary_.train = trainer_.epoch_score();  // less than one epoch
    summary_.samples_per_second = training_seconds_ > 0.0 ? static_cast<double>(samples_) / training_seconds_ : 0.0;
    summary_.wall_seconds = seconds_since(start_);
    summary_.threads = options_.threads;
    summary_.weights_digest = model_.network.weights_digest();
    summary_.directory = directory_.text();
    summary_.last_checkpoint = directory_.path("checkpoints/" + store_.committed().back().file);
    if (trainer_.has_stopped_early())
      progress_.say(fmt::format("stopped early: no improvement since step {}", trainer_.state().best_step));
    write_summary();
    if (!was_stopped_ && experiment_.generate.samples > 0) {
      summary_.generated = generate_text(experiment_.generate, model_, trainer_.executor(), experiment_.seed,
                                         StopSignals::is_stop_asked);
      write_generated();
    }
    return summary_;
  }

  void write_generated() const {
    std::string all;
    for (const GeneratedText& sample : summary_.generated)
      all += fmt::format("--- prompt ---\n{}\n--- goes on ---\n{}\n", sample.prompt, sample.text);
    write_file_atomically(directory_.path("generated.txt"), all);
  }

  void write_summary() const {
    nlohmann::ordered_json json{{"name", experiment_.name},
                                {"status", was_stopped_                   ? "stopped"
                                           : trainer_.has_stopped_early() ? "stopped_early"
                                                                          : "finished"},
                                {"steps", summary_.steps},
                                {"epochs", epochs()},
                                {"train_loss", summary_.train.loss}};
    const auto add = [&](const char* name, std::optional<double> value) {
      if (value) json[name] = *value;
    };
    add("train_accuracy", summary_.train.accuracy);
    if (summary_.validation)
      add("validation_loss", summary_.validation->loss), add("validation_accuracy", summary_.validation->accuracy);
    if (summary_.test) add("test_loss", summary_.test->loss), add("test_accuracy", summary_.test->accuracy);
    json["samples_per_s"] = summary_.samples_per_second;
    json["threads"] = summary_.threads;
    json["weights_digest"] = summary_.weights_digest;
    json["wall_s"] = summary_.wall_seconds;
    json["checkpoint"] = summary_.last_checkpoint;
    write_file_atomically(directory_.path("summary.json"), json.dump(2) + "\n");
  }

  const Clock::time_point start_ = Clock::now();
  const StopSignals signals_;
  const Experiment& experiment_;
  const RunOptions& options_;
  const std::string versions_;
  Model model_;
  const std::string environment_;
  RunDirectory directory_;  // made only when all that can be checked has been
  Arena arena_;
  Trainer trainer_;
  MetricsFile metrics_;
  CheckpointStore store_;  // touched by the I/O thread only, until `drain`
  Progress progress_;
  RunSummary summary_;
  std::int64_t samples_ = 0, epoch_samples_ = 0;
  Clock::time_point epoch_start_;
  double training_seconds_ = 0.0;
  bool was_stopped_ = false;
  std::int64_t last_committed_ = -1;
  IoThread io_;  // ends before what its jobs use
  Trace trace_;
};

}  // namespace

RunSummary run_experiment(const Experiment& experiment, const Registry& registry, const RunOptions& options) {
  return Run(experiment, registry, options)();
}

}  // namespace backplane
