#include "recording/trace_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/counted.h"
#include "model_state/axes.h"

namespace backplane {

namespace {

std::uint64_t bytes_of(const TraceSeries& series) {
  std::uint64_t bytes = sizeof(std::int64_t);  // the step
  for (const TraceTensor& tensor : series.tensors)
    bytes += static_cast<std::uint64_t>(element_count(tensor.shape)) * size_of(tensor.element);
  return bytes;
}

}  // namespace

/// A run that was shortened is worth having without its records.
void TracePlan::look_at_steps(const StepRules& rules, const RecordedSteps& steps, std::int64_t total_steps,
                              const char* path) {
  const auto warn = [&](const std::string& what) {
    const std::string place = rules.place.text();
    warnings.push_back(fmt::format("{}{}{}: {}", place, place.empty() ? "" : ": ", path, what));
  };
  const std::string length = "the run has " + counted(total_steps, "step");
  if (!rules.is_empty() && steps.count() == 0) return warn("no step of the run is recorded: " + length);
  for (const std::int64_t step : rules.at)
    if (step > total_steps) warn(fmt::format("step {} is never reached: {}", step, length));
}

TracePlan::TracePlan(const RecordOptions& record, const Network& network, const Loss& loss, const RunLength& length) {
  samples = std::min(record.samples, length.batch_size);
  element = record.element.value_or(trace_type_of(network.dtype()));
  compression = record.compression;
  when_busy = record.when_busy;
  for (const LayerNode& node : network.nodes()) layer_names_.push_back(node.name());
  // Taps are looked at even where no step is asked for: a slip in them is a slip.
  tensors = find_taps(network, loss.gives_delta(), record.taps, "record.taps");
  statistics = find_taps(network, loss.gives_delta(), record.statistics.taps, "record.statistics.taps");
  statistics_of = record.statistics.of;
  choose_time_steps(record);
  tensor_steps = RecordedSteps(record.steps, length.steps_per_epoch, length.total_steps);
  statistics_steps = RecordedSteps(record.statistics.steps, length.steps_per_epoch, length.total_steps);
  look_at_steps(record.steps, tensor_steps, length.total_steps, "record");
  look_at_steps(record.statistics.steps, statistics_steps, length.total_steps, "record.statistics");
  if (tensor_steps.count() == 0) tensors.clear();
  if (statistics_steps.count() == 0) statistics.clear();
  if (record.budget) fit(*record.budget, record.budget_place);
}

void TracePlan::choose_time_steps(const RecordOptions& record) {
  if (record.time_steps.empty()) return;
  time_steps = {0};  // any: says to is_cut_in_time that there is a choice
  const auto fail = [&](const std::string& what, const char* hint) {
    throw UserError(
        ExitCode::bad_config,
        Diagnostic{.place = record.time_steps_place, .what = what, .path = "record.time_steps", .hint = hint});
  };
  std::int64_t shortest = 0;
  for (const LayerTensor& source : tensors)
    if (is_cut_in_time(source)) shortest = shortest == 0 ? source.shape[0] : std::min(shortest, source.shape[0]);
  if (shortest == 0) fail("no tensor that is recorded has a time axis", "leave it out");
  time_steps.clear();
  for (const std::int64_t step : record.time_steps) {
    if (step >= shortest || step < -shortest)
      fail(fmt::format("there is no time step {}: sequences have {}", step, shortest),
           "they are counted from 0; -1 is the last");
    time_steps.push_back(step);
  }
}

bool TracePlan::is_cut_in_time(const LayerTensor& source) const {
  return !time_steps.empty() && source.extent != TensorExtent::layer && source.axes.size() > 1 &&
         source.axes[1] == "time";
}

Shape TracePlan::record_shape(const LayerTensor& source) const {
  if (source.extent == TensorExtent::layer) return source.shape;
  Shape shape = with_batch(samples, source.shape);
  if (is_cut_in_time(source)) shape[1] = std::ssize(time_steps);
  return shape;
}

TraceSeries TracePlan::tensor_series() const {
  if (tensors.empty()) return {};
  TraceSeries series{.step_path = "/scales/step", .tensors = {}, .plot = ""};
  series.tensors.push_back({.path = "/scales/sample",
                            .shape = {samples},
                            .axes = {"sample"},
                            .element = TraceType::int64,
                            .attributes = {{"definition", "index of the sample within the training split; -1: none"}}});
  for (const LayerTensor& source : tensors)
    series.tensors.push_back({.path = "/layers/" + layer_names_[source.node] + "/" + source.name,
                              .shape = record_shape(source),
                              .axes = source.axes,
                              .element = element,
                              .attributes = {{"definition", source.kind->definition}}});
  return series;
}

TraceSeries TracePlan::statistics_series() const {
  if (statistics.empty()) return {};
  TraceSeries series{.step_path = "/statistics/scales/step", .tensors = {}, .plot = ""};
  for (const LayerTensor& source : statistics)
    for (const Statistic statistic : statistics_of)
      for (const StatisticColumn& column : columns_of(statistic)) {
        std::vector<std::string> axes;
        if (!column.axis.empty()) axes.push_back(column.axis);
        series.tensors.push_back(
            {.path = fmt::format("/statistics/layers/{}/{}/{}", layer_names_[source.node], source.name, column.name),
             .shape = column.shape,
             .axes = std::move(axes),
             .element = column.element,
             .attributes = {{"definition", column.definition}, {"of", source.kind->definition}}});
      }
  return series;
}

/// One for every axis but the first, so that readers that want names for all axes have them.
std::vector<TraceScale> TracePlan::scales_of(const std::vector<TraceSeries>& series) const {
  std::vector<TraceScale> scales;
  for (const TraceSeries& each : series)
    for (const TraceTensor& tensor : each.tensors)
      for (std::size_t axis = 0; axis < tensor.axes.size(); ++axis) {
        TraceScale scale{.axis = tensor.axes[axis],
                         .values = std::vector<std::int64_t>(static_cast<std::size_t>(tensor.shape[axis]))};
        std::iota(scale.values.begin(), scale.values.end(), 0);
        scale.path = fmt::format("/scales/{}_{}", scale.axis, scale.values.size());
        if (scale.axis == "sample") scale.path = "/scales/row";  // /scales/sample says which sample stands there
        if (scale.axis == "time" && !time_steps.empty() && scale.values.size() == time_steps.size()) {
          scale.path = "/scales/time";
          scale.values = time_steps;
        }
        if (std::ranges::find(scales, scale.path, &TraceScale::path) == scales.end())
          scales.push_back(std::move(scale));
      }
  return scales;
}

TraceLayout TracePlan::layout(const MetricSet& metrics) const {
  const auto curve = [](const std::string& name, const std::string& definition) {
    return TraceTensor{.path = fmt::format("/curves/{}", name),
                       .shape = {},
                       .axes = {},
                       .element = TraceType::float64,
                       .attributes = {{"definition", definition}}};
  };
  TraceLayout layout{.layer_names = layer_names_, .series = {}, .scales = {}};
  layout.series = {tensor_series(),
                   statistics_series(),
                   {.step_path = "/curves/step",
                    .tensors = {curve("loss", "mean loss of the batch, before the step"),
                                curve("accuracy", "share of right answers in the batch; NaN without labels"),
                                curve("learning_rate", "of the step")},
                    .plot = "loss"},
                   {.step_path = when_busy == WhenBusy::thin ? "/scales/skipped" : "", .tensors = {}, .plot = ""}};
  for (const MetricSet::Entry& entry : metrics.entries())
    if (entry.name != "accuracy")
      layout.series[kCurves].tensors.push_back(curve(entry.name, "of the batch, before the step: " + entry.doc));
  layout.scales = scales_of(layout.series);
  return layout;
}

std::uint64_t TracePlan::tensor_bytes() const {
  return tensors.empty() ? 0 : bytes_of(tensor_series());
}

std::uint64_t TracePlan::statistics_bytes() const {
  return statistics.empty() ? 0 : bytes_of(statistics_series());
}

std::uint64_t TracePlan::buffer_bytes() const {
  return kRecordsInFlight * tensor_bytes() + kStatisticsInFlight * statistics_bytes();
}

std::uint64_t TracePlan::total_bytes() const {
  return static_cast<std::uint64_t>(tensor_steps.count()) * tensor_bytes() +
         static_cast<std::uint64_t>(statistics_steps.count()) * statistics_bytes();
}

/// Both series are thinned out alike, so that what was asked for in proportion stays in proportion.
void TracePlan::fit(std::uint64_t budget, const Place& place) {
  const std::uint64_t least = tensor_bytes() + statistics_bytes();
  if (least > budget)
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = place,
                               .what = fmt::format("one record takes {} bytes, the budget is {}", least, budget),
                               .path = "record.budget",
                               .hint = "raise it, or record fewer samples, taps or statistics"});
  const auto tensor_records = static_cast<std::uint64_t>(tensors.empty() ? 0 : tensor_steps.count());
  const auto statistics_records = static_cast<std::uint64_t>(statistics.empty() ? 0 : statistics_steps.count());
  const auto fits = [&](std::uint64_t every) {
    const auto left = [&](std::uint64_t records) { return (records + every - 1) / every; };
    return left(tensor_records) * tensor_bytes() + left(statistics_records) * statistics_bytes() <= budget;
  };
  if (fits(1)) return;
  std::uint64_t too_often = 1, seldom = std::max(tensor_records, statistics_records);  // one record of each fits
  while (seldom - too_often > 1) {
    const std::uint64_t middle = too_often + (seldom - too_often) / 2;
    (fits(middle) ? seldom : too_often) = middle;
  }
  stride = static_cast<std::int64_t>(seldom);
  tensor_steps.thin_out(stride);
  statistics_steps.thin_out(stride);
}

}  // namespace backplane
