#include "recording/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <filesystem>
#include <limits>
#include <utility>

#include "base/system_error.h"
#include "files/free_space.h"
#include "files/paths.h"
#include "recording/copy_records.h"

namespace backplane {

namespace {

/// Of numbers: enough that they never wait for a large record that is being written before them.
constexpr int kSmallRecordsInFlight = 64;

std::uint64_t bytes_of(const TraceRecord& record) {
  std::uint64_t bytes = 0;
  for (const Buffer& tensor : record.tensors) bytes += tensor.bytes();
  return bytes;
}

/// Complete only when all slices' parts have been added, which is when parameters change.
bool is_gradient(const LayerTensor& tensor) {
  return tensor.kind->name == "gradients";
}

}  // namespace

Trace::Trace(const std::string& path, const TracePlan& plan, const Network& network, Trainer& trainer, Arena& arena,
             IoThread& io)
    : plan_(plan),
      path_(path),
      network_(network),
      trainer_(trainer),
      arena_(arena),
      io_(io),
      layout_(plan.layout(trainer.metrics())),
      tensors_(layout_.series[TracePlan::kTensors].tensors, plan.tensors.empty() ? 0 : TracePlan::kRecordsInFlight),
      statistics_(layout_.series[TracePlan::kStatistics].tensors,
                  plan.statistics.empty() ? 0 : TracePlan::kStatisticsInFlight),
      curves_(layout_.series[TracePlan::kCurves].tensors, kSmallRecordsInFlight) {
  if (plan_.is_empty()) return;
  std::size_t column = 0;
  for (std::size_t i = 0; i < plan_.statistics.size(); ++i) {
    computed_.emplace_back(plan_.statistics_of);
    first_column_.push_back(column);
    for (const Statistic statistic : plan_.statistics_of) column += columns_of(statistic).size();
  }
  constexpr std::uint64_t kBytesOfDataSet = 8 << 10;  // what describes it
  std::uint64_t data_sets = 0;
  for (const TraceSeries& series : layout_.series) data_sets += series.tensors.size();
  require_free_space(path_, data_sets * kBytesOfDataSet);
  TemporaryFile made(path_);
  const auto begin = take_over(made) ? TraceFile::Begin::go_on : TraceFile::Begin::anew;
  io_.submit([this, &made, begin] {
    file_ = std::make_unique<TraceFile>(made.path(), made.name_for_libraries(), layout_, plan_.compression, begin);
    file_->let_readers_in(made, path_);
  });
  io_.drain();
}

/// Copies the earlier records out of a trace that a process left as it died. Whether `copy` holds them now.
bool Trace::take_over(const TemporaryFile& copy) {
  namespace fs = std::filesystem;
  const std::int64_t resumed_at = trainer_.state().step;
  if (resumed_at == 0 || !fs::exists(path_)) return false;
  require_free_space(path_, fs::file_size(path_));
  const std::string earlier = fs::canonical(path_).string();  // the child has no descriptor of the run directory
  std::vector<std::int64_t> last_steps;
  try {
    last_steps = copy_records_in_child(earlier, resumed_at, layout_, plan_.compression, copy);
  } catch (const UserError& error) {
    if (error.code() == ExitCode::io) throw;
    const std::string aside = free_name(fmt::format("{}.until-{:08}", path_, resumed_at));
    std::error_code failed;
    fs::rename(path_, aside, failed);
    if (failed) throw system_error(ExitCode::io, path_, fmt::format("cannot be moved to {}", aside), failed.value());
    flaw_ = fmt::format("the earlier trace cannot be gone on with, and was moved to {}: {}", aside,
                        error.diagnostics().front().what);
    return false;
  }
  look_for_gap(last_steps[TracePlan::kTensors], last_steps[TracePlan::kStatistics], resumed_at);
  return true;
}

/// Recording may have ended before the checkpoint did not: the disk was full, or the power went.
void Trace::look_for_gap(std::int64_t last_tensors, std::int64_t last_statistics, std::int64_t end) {
  const auto find = [&](const RecordedSteps& steps, std::int64_t last) {
    while (++last <= end && !steps.contains(last)) {
    }
    if (last <= end && !flaw_) flaw_ = fmt::format("{}: records from step {} to {} are missing", path_, last, end);
  };
  if (!plan_.tensors.empty() && plan_.when_busy == WhenBusy::wait) find(plan_.tensor_steps, last_tensors);
  if (!plan_.statistics.empty()) find(plan_.statistics_steps, last_statistics);
}

Trace::~Trace() {
  finish_jobs();
  if (skipped_.empty() || has_failed_) return;
  io_.submit([this] {
    for (const std::int64_t step : skipped_) file_->append(TracePlan::kSkipped, {.step = step, .tensors = {}});
  });
  finish_jobs();
}

/// None may outlive the trace, also where one that went before them has failed.
void Trace::finish_jobs() {
  try {
    io_.drain();
  } catch (const std::exception&) {  // of another's job, who is told where he asks
  }
}

bool Trace::is_due(std::int64_t step) const {
  if (has_failed_) return false;
  return (!plan_.tensors.empty() && plan_.tensor_steps.contains(step)) ||
         (!plan_.statistics.empty() && plan_.statistics_steps.contains(step));
}

std::int64_t Trace::capture_rows(std::int64_t step) const {
  const auto looks_at_it = [](const std::vector<LayerTensor>& tensors) {
    return std::ranges::find(tensors, "activation_gradient", &LayerTensor::name) != tensors.end();
  };
  if (!is_due(step)) return 0;
  if (plan_.statistics_steps.contains(step) && looks_at_it(plan_.statistics)) return trainer_.batch_size();
  return plan_.tensor_steps.contains(step) && looks_at_it(plan_.tensors) ? plan_.samples : 0;
}

void Trace::copy_before_update(const Batch& batch) {
  thread_.check();
  const std::int64_t step = trainer_.state().step + 1;
  rows_ = batch.count;
  if (!plan_.tensors.empty() && plan_.tensor_steps.contains(step)) {
    record_ = plan_.when_busy == WhenBusy::wait ? tensors_.take() : tensors_.take_if_free();
    if (record_) {
      auto* samples = record_->tensors[0].as<std::int64_t>();
      const std::int64_t rows = std::min(plan_.samples, rows_);
      std::copy_n(batch.indices, rows, samples);
      std::fill(samples + rows, samples + plan_.samples, -1);
      record_->made_infinite.assign(record_->tensors.size(), 0);
      copy_tensors(false);
    } else {
      skipped_.push_back(step);
    }
  }
  if (!plan_.statistics.empty() && plan_.statistics_steps.contains(step)) {
    statistics_record_ = statistics_.take();
    compute_statistics(false);
  }
}

void Trace::copy_after_update(std::int64_t step) {
  thread_.check();
  if (record_) {
    record_->step = step;
    copy_tensors(true);
    look_for_overflow();
    write(TracePlan::kTensors, tensors_, std::move(record_));
  }
  if (statistics_record_) {
    statistics_record_->step = step;
    compute_statistics(true);
    write(TracePlan::kStatistics, statistics_, std::move(statistics_record_));
  }
}

void Trace::add_to_curves(std::int64_t step, const Metrics& metrics, double learning_rate) {
  thread_.check();
  if (plan_.is_empty() || has_failed_) return;
  std::unique_ptr<TraceRecord> point = curves_.take();
  point->step = step;
  std::size_t curve = 0;
  const auto add = [&](double value) { *point->tensors[curve++].as<double>() = value; };
  add(metrics.loss);
  add(metrics.find("accuracy").value_or(std::numeric_limits<double>::quiet_NaN()));  // a curve of every trace
  add(learning_rate);
  for (const Metrics::Value& each : metrics.values)
    if (each.name != "accuracy") add(each.value);
  write(TracePlan::kCurves, curves_, std::move(point));
}

std::optional<std::string> Trace::take_failure() {
  if (!has_failed_ || is_failure_told_) return std::nullopt;
  is_failure_told_ = true;
  return failure_;
}

/// HDF5 must not meet a full disk: it cannot be trusted with the file, or with itself, after that.
void Trace::write(TracePlan::Series series, RecordPool& pool, std::unique_ptr<TraceRecord> record) {
  io_.submit([this, series, &pool, skipped = std::exchange(skipped_, {}),
              handed_over = std::make_shared<std::unique_ptr<TraceRecord>>(std::move(record))] {
    const std::shared_ptr<void> done(nullptr, [&](void*) { pool.give_back(std::move(*handed_over)); });
    const TraceRecord& written = **handed_over;
    if (has_failed_) return;
    try {
      require_free_space(path_, bytes_of(written) * 5 / 4);
      for (const std::int64_t step : skipped) file_->append(TracePlan::kSkipped, {.step = step, .tensors = {}});
      file_->append(series, written);
    } catch (const UserError& error) {
      failure_ = error.diagnostics().front().what;
      has_failed_ = true;
    }
  });
}

void Trace::copy_tensors(bool gradients) {
  arena_.for_each(std::ssize(plan_.tensors), [&](std::int64_t i) {
    const LayerTensor& source = plan_.tensors[static_cast<std::size_t>(i)];
    const auto tensor = static_cast<std::size_t>(i) + 1;  // the first are the samples' indices
    if (is_gradient(source) == gradients)
      record_->made_infinite[tensor] = copy(source, record_->tensors[tensor].data());
  });
}

void Trace::look_for_overflow() {
  for (std::size_t i = 0; i < plan_.tensors.size() && !has_overflown_; ++i)
    if (const std::int64_t count = record_->made_infinite[i + 1]; count > 0) {
      const LayerTensor& source = plan_.tensors[i];
      has_overflown_ = true;
      overflow_ = fmt::format(
          "record.dtype: {} of '{}' of layer '{}' at step {} {} too large for it and recorded as infinite, which is "
          "not "
          "said again; the attribute made_infinite in {} counts them",
          count == 1 ? "an element" : fmt::format("{} elements", count), source.name,
          network_.nodes()[source.node].name(), record_->step, count == 1 ? "is" : "are", path_);
    }
}

std::int64_t Trace::copy(const LayerTensor& source, void* to) const {
  const auto* from = static_cast<const std::byte*>(source.data(network_, &trainer_));
  auto* at = static_cast<std::byte*>(to);
  const std::size_t width = size_of(network_.dtype()), stored = size_of(plan_.element);
  std::int64_t made_infinite = 0;
  const auto copy_elements = [&](std::int64_t first, std::int64_t count) {
    made_infinite +=
        convert(from + static_cast<std::size_t>(first) * width, network_.dtype(), at, plan_.element, count);
    at += static_cast<std::size_t>(count) * stored;
  };
  const std::int64_t size = element_count(source.shape);
  if (source.extent == TensorExtent::layer) {
    copy_elements(0, size);
    return made_infinite;
  }
  const std::int64_t rows = std::min(plan_.samples, rows_);
  if (plan_.is_cut_in_time(source)) {
    const std::int64_t steps = source.shape[0], inner = size / steps;
    for (std::int64_t row = 0; row < rows; ++row)
      for (const std::int64_t step : plan_.time_steps)
        copy_elements(row * size + (step < 0 ? step + steps : step) * inner, inner);
  } else {
    copy_elements(0, rows * size);
  }
  const std::int64_t missing = (plan_.samples - rows) * element_count(plan_.record_shape(source)) / plan_.samples;
  std::memset(at, 0, static_cast<std::size_t>(missing) * stored);
  return made_infinite;
}

void Trace::compute_statistics(bool gradients) {
  arena_.for_each(std::ssize(plan_.statistics), [&](std::int64_t i) {
    const auto index = static_cast<std::size_t>(i);
    const LayerTensor& source = plan_.statistics[index];
    if (is_gradient(source) != gradients) return;
    const std::size_t end =
        index + 1 < first_column_.size() ? first_column_[index + 1] : statistics_record_->tensors.size();
    std::vector<void*> columns;
    for (std::size_t column = first_column_[index]; column < end; ++column)
      columns.push_back(statistics_record_->tensors[column].data());
    computed_[index].compute(source.data(network_, &trainer_), network_.dtype(),
                             element_count(source.shape) * (source.extent != TensorExtent::layer ? rows_ : 1), columns);
  });
}

}  // namespace backplane
