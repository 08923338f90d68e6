#include "run/verify_resume.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "checkpoint/reader.h"
#include "data/sources.h"
#include "inspect/metrics_diff.h"
#include "run/run.h"
#include "run/signals.h"
#include "files/temporary_directory.h"
#include "tensor/tensor_kinds.h"
#include "tensor/ulps.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

/// The first element of a tensor that has other bits, in words; empty where none has.
std::string difference_of(const StoredTensor& a, const StoredTensor& b) {
  if (a.shape != b.shape || a.dtype != b.dtype) return "has another shape or type";
  return dispatch(a.dtype, [&]<class T>(T) -> std::string {
    const T *x = a.data.as<T>(), *y = b.data.as<T>();
    const std::int64_t count = element_count(a.shape);
    std::int64_t first = -1, differing = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      if (has_same_bits(x[i], y[i])) continue;
      if (differing++ == 0) first = i;
    }
    if (differing == 0) return "";
    return fmt::format("differs in {} of {} elements, first in element {}: {} uninterrupted, {} resumed", differing,
                       count, first, x[first], y[first]);
  });
}

/// What is kept from step to step comes first: all else follows from it.
std::vector<std::string> compare_checkpoints(const Snapshot& alone, const Snapshot& resumed) {
  std::vector<std::string> differences;
  for (const TensorLifetime lifetime : {TensorLifetime::kept, TensorLifetime::batch})
    for (std::size_t i = 0; i < alone.layers.size(); ++i)
      for (const auto& [name, tensor] : alone.layers[i].tensors) {
        if (kind_of(name).lifetime != lifetime) continue;
        if (const std::string what = difference_of(tensor, resumed.layers[i].tensors.at(name)); !what.empty())
          differences.push_back(fmt::format("{}/{} {}", alone.layers[i].name, name, what));
      }
  for (const auto& [name, value] : alone.integers)
    if (resumed.integers.at(name) != value)
      differences.push_back(
          fmt::format("/state/{} is {} uninterrupted, {} resumed", name, value, resumed.integers.at(name)));
  for (const auto& [name, value] : alone.numbers)
    if (!has_same_bits(resumed.numbers.at(name), value))
      differences.push_back(
          fmt::format("/state/{} is {} uninterrupted, {} resumed", name, value, resumed.numbers.at(name)));
  return differences;
}

std::string metrics_of(const RunSummary& run) {
  return (fs::path(run.directory) / "metrics.jsonl").string();
}

/// After the first step, in the middle, before the last, and around the ends of the first epoch.
std::set<std::int64_t> steps_to_try(std::int64_t steps, std::int64_t steps_per_epoch) {
  std::set<std::int64_t> all = {1, steps / 2, steps - 1, steps_per_epoch, steps_per_epoch + 1};
  std::erase_if(all, [&](std::int64_t step) { return step < 1 || step >= steps; });
  return all;
}

}  // namespace

ResumeReport verify_resume(const Experiment& given, const Registry& registry, std::int64_t steps, int threads) {
  Experiment experiment = given;
  experiment.record.steps = {};
  experiment.record.statistics.steps = {};
  experiment.generate.samples = 0;
  DataSet data = load_data(experiment.resolved.at("data"), experiment.seed);
  const TemporaryDirectory scratch("backplane-verify");
  RunOptions options{.threads = threads, .stop_after = steps, .is_quiet = true, .data = &data};
  ResumeReport report;
  const auto run = [&](const std::string& name, int on_threads, std::int64_t stop_after, Resume resume) {
    options.directory = scratch.path(name);
    options.threads = on_threads;
    options.stop_after = stop_after;
    options.resume = resume;
    return run_experiment(experiment, registry, options);
  };
  const RunSummary alone = run("alone", threads, steps, Resume::no);
  const auto is_stopped = [&] {
    if (StopSignals::is_stop_asked()) report.code = ExitCode::stopped;
    return StopSignals::is_stop_asked();
  };
  report.steps = alone.steps;
  report.weights_digest = alone.weights_digest;
  report.warnings = alone.warnings;
  if (is_stopped()) return report;
  const Snapshot wanted = read_checkpoint(alone.last_checkpoint);
  for (const std::int64_t step : steps_to_try(report.steps, alone.steps_per_epoch)) {
    ResumeTrial trial{
        .step = step, .threads_before = threads == 1 ? 2 : 1, .threads_after = threads, .differences = {}};
    const std::string name = fmt::format("resumed-{}", step);
    run(name, trial.threads_before, step, Resume::no);
    const RunSummary resumed = run(name, trial.threads_after, steps, Resume::strict);
    if (is_stopped()) return report;
    trial.differences = compare_checkpoints(wanted, read_checkpoint(resumed.last_checkpoint));
    std::string lines;
    if (!compare_metrics(metrics_of(alone), metrics_of(resumed), [&](std::string_view text) { lines += text; }))
      trial.differences.push_back("metrics.jsonl, A uninterrupted, B resumed: " + lines.substr(0, lines.size() - 1));
    if (!trial.differences.empty()) report.code = ExitCode::internal;
    report.trials.push_back(std::move(trial));
    std::error_code ignored;
    fs::remove_all(scratch.path(name), ignored);
  }
  return report;
}

}  // namespace backplane
