#include "experiment/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiment/outside_files.h"

namespace backplane {

namespace {

std::string inputs_of(const Network& network, const LayerNode& node) {
  std::vector<std::string> names;
  for (const int producer : node.inputs)
    names.push_back(producer == LayerNode::kData ? "data" : network.nodes()[static_cast<std::size_t>(producer)].name());
  return fmt::format("{}", fmt::join(names, ", "));
}

std::int64_t count_parameters(const LayerNode& node) {
  std::int64_t count = 0;
  for (const Parameter& parameter : node.parameters) count += parameter.count;
  return count;
}

std::string in_bytes(std::uint64_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (number < 1e4) return fmt::format("{} bytes", bytes);
  if (number < 1e6) return fmt::format("{:.1f} kB", number / 1e3);
  if (number < 1e9) return fmt::format("{:.1f} MB", number / 1e6);
  return fmt::format("{:.1f} GB", number / 1e9);
}

std::string ordinal(std::int64_t number) {
  const std::int64_t last = number % 10, tens = number / 10 % 10;
  const char* ending = tens == 1 ? "th" : last == 1 ? "st" : last == 2 ? "nd" : last == 3 ? "rd" : "th";
  return fmt::format("{}{}", number, ending);
}

}  // namespace

std::string describe(const Experiment& experiment, const Model& model) {
  const DataSet& data = model.data;
  std::string text = fmt::format("{:<16} {:<12} {:<18} {:<12} {:>12}  {}\n", "layer", "type", "output of a sample",
                                 "activation", "parameters", "fed by");
  text += fmt::format("{:<16} {:<12} {:<18} {:<12} {:>12}\n", "data", "", to_string(data.input_shape), "", "");
  for (const LayerNode& node : model.network.nodes())
    text += fmt::format("{:<16} {:<12} {:<18} {:<12} {:>12}  {}\n", node.name(), node.layer.type().name,
                        to_string(node.plan.output), node.activation_name, count_parameters(node),
                        inputs_of(model.network, node));
  const auto count = [](const std::optional<Samples>& split) { return split ? split->count : 0; };
  text += fmt::format("\nparameters   {} ({})\nsamples      {} train, {} validation, {} test\nloss         {}\n",
                      model.network.parameter_count(), name_of(experiment.dtype), data.train.count,
                      count(data.validation), count(data.test), model.loss.name());
  std::string title = "data";
  for (const Finding& finding : findings_of(data)) {
    text += fmt::format("{:<12} {}: {}\n", title, finding.name, in_short(finding));
    title.clear();
  }
  if (const auto note = note_of_outside_files(experiment, data)) text += fmt::format("{:<12} {}\n", "note", *note);
  for (std::size_t i = 0; i < model.notes.size(); ++i)
    text += fmt::format("{:<12} {}\n", i == 0 ? "weights" : "", model.notes[i]);
  return text;
}

std::string describe_recording(const TracePlan& plan, const RecordingCost& cost, std::int64_t total_steps) {
  if (plan.is_empty()) return "recording    none over steps\n";
  std::string text;
  const auto series = [&](const char* what, std::size_t tensors, const RecordedSteps& steps, std::uint64_t bytes) {
    if (tensors > 0)
      text += fmt::format("recording    {} of {} tensors at {} of {} steps, {} each\n", what, tensors, steps.count(),
                          total_steps, in_bytes(bytes));
  };
  series("values", plan.tensors.size(), plan.tensor_steps, plan.tensor_bytes());
  series("statistics", plan.statistics.size(), plan.statistics_steps, plan.statistics_bytes());
  if (plan.stride > 1)
    text +=
        fmt::format("             every {} of the steps asked for, to keep to record.budget\n", ordinal(plan.stride));
  text += fmt::format("             {} in all before packing, {} of buffers\n", in_bytes(plan.total_bytes()),
                      in_bytes(plan.buffer_bytes()));
  text += fmt::format(
      "             a step takes {:.2f} ms; {}{}{}: about {:.1f} % more time\n", 1e3 * cost.step_seconds,
      plan.tensors.empty() ? "" : fmt::format("+ {:.2f} ms with values", 1e3 * cost.tensor_record_seconds),
      plan.tensors.empty() || plan.statistics.empty() ? "" : ", ",
      plan.statistics.empty() ? "" : fmt::format("+ {:.2f} ms with statistics", 1e3 * cost.statistics_seconds),
      100.0 * cost.share_of_run(plan, total_steps));
  return text;
}

}  // namespace backplane
