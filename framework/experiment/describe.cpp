#include "experiment/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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
  for (std::size_t i = 0; i < model.notes.size(); ++i)
    text += fmt::format("{:<12} {}\n", i == 0 ? "weights" : "", model.notes[i]);
  return text;
}

}  // namespace backplane
