#include "trainer/loss.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/counted.h"
#include "base/error.h"
#include "losses/table.h"

namespace backplane {

namespace {

/// Without axes of extent 1.
Shape squeezed(Shape shape) {
  std::erase(shape, 1);
  return shape;
}

/// What makes labels go with outputs whose first axes are others.
std::string remedy_for_labels(const Shape& output, const Shape& labels, std::int64_t classes) {
  if (output == labels && classes <= 2)
    return "labels of 0 and 1, one for each class, are one-hot: write `targets` instead of `labels`";
  const Shape places(output.begin(), output.end() - 1);
  if (!places.empty() && squeezed(places) == squeezed(labels))
    return fmt::format("leave out what the labels have too much of extent 1: {} of them go with {}", to_string(places),
                       to_string(output));
  if (places.size() == labels.size() && std::ranges::is_permutation(places, labels))
    return fmt::format("the labels' axes come in another order: transpose them to {}", to_string(places));
  Shape wanted = labels;
  if (places.size() != labels.size() && element_count(places) == element_count(labels)) {
    wanted.push_back(output.back());
    return fmt::format("give the labels shape {}, or let a reshape layer make {} of the outputs", to_string(places),
                       to_string(wanted));
  }
  return fmt::format("let it give [{}, classes]: dense with flatten: false keeps {} apart", fmt::join(labels, ", "),
                     labels.size() == 1 ? "the steps" : "steps and places");
}

}  // namespace

Loss::Loss(const NetworkSpec& spec, const Network& network, const DataSet& data)
    : name_(spec.loss.chosen()), function_(make_loss_function(spec.loss)), has_labels_(data.train.has_labels()) {
  const LayerNode& last = network.output();
  const bool is_over_time = network.is_over_time(static_cast<int>(network.nodes().size()) - 1);
  if (has_labels_)
    steps_ = data.steps;
  else if (function_->is_of_classes())
    steps_ = last.output_size / last.features();
  else if (is_over_time && !data.train.lengths.empty())
    steps_ = last.plan.output[0];  // without lengths, numbers that go alone need not be told apart
  features_ = last.output_size / steps_;
  if (steps_ > 1 && is_over_time) steps_within_length_ = steps_ / last.plan.output[0];
  adds_steps_ = function_->adds_steps() && !has_labels_;
  const auto refuse = [&](const std::optional<Objection>& objection) {
    if (objection) fail(last, objection->what, objection->hint);
  };
  refuse(function_->objects_to_activation(last.activation ? last.activation_name : ""));
  has_labels_ ? require_fitting_labels(last, is_over_time, data) : require_fitting_targets(last, data);
  refuse(function_->objects_to_outputs(features_, steps_ > 1));
  require_domain(data, network.dtype());
}

void Loss::fail(const LayerNode& last, const std::string& what, const std::string& hint) const {
  throw UserError(ExitCode::bad_config, Diagnostic{.place = last.layer.place(),
                                                   .what = fmt::format("the last layer '{}' {}", last.name(), what),
                                                   .path = "network.loss: " + name_,
                                                   .hint = hint});
}

namespace {

/// "; 7 first stands in train.csv:4:3": where a file has such a label, if its places are known.
std::string first_label_from(std::int64_t least, const DataSet& data) {
  for (const Samples* samples :
       {&data.train, data.validation ? &*data.validation : nullptr, data.test ? &*data.test : nullptr}) {
    if (samples == nullptr || !samples->targets_origin.locate) continue;
    const auto& labels = std::get<std::vector<std::int64_t>>(samples->targets);
    const auto found = std::ranges::find_if(labels, [&](std::int64_t label) { return label >= least; });
    if (found == labels.end()) continue;
    const std::int64_t each = samples->labels_per_sample(), i = found - labels.begin();
    return fmt::format("; class {} first stands in {}", *found,
                       samples->targets_origin.at(samples->source_index(i / each) * each + i % each).place.text());
  }
  return {};
}

}  // namespace

void Loss::require_fitting_labels(const LayerNode& last, bool is_over_time, const DataSet& data) const {
  const Shape &output = last.plan.output, &labels = data.target_shape;
  const bool has_padding = !data.train.lengths.empty() && data.input_shape[0] > 1;
  if (has_padding && is_over_time && steps_within_length_ == 0)
    fail(last,
         fmt::format("gives {} a sample, one row a step, but a sample has one label: the padding beyond its length "
                     "would count",
                     to_string(output)),
         "global_avg_pool and recurrent layers with output: last make one row of the steps that lengths leave; or give "
         "each step a label");
  if (steps_ > 1 && (output.size() <= labels.size() || !std::equal(labels.begin(), labels.end(), output.begin())))
    fail(last,
         labels.size() == 1 ? fmt::format("gives {} a sample, but each of the {} steps of a sample has a label",
                                          to_string(output), steps_)
                            : fmt::format("gives {} a sample, but the labels of a sample have shape {}",
                                          to_string(output), to_string(labels)),
         remedy_for_labels(output, labels, data.classes));
  const std::int64_t representable = features_ == 1 ? 2 : features_;
  std::string doubts;
  for (const std::string& warning : data.warnings) doubts += "; but " + warning;
  if (data.classes > representable)
    fail(last, fmt::format("has {}, but the data has {} classes", counted(features_, "output"), data.classes),
         fmt::format("give it {} units{}{}", data.classes, first_label_from(representable, data), doubts));
  // Sources take such labels for those of the input's steps, and what lengths cut off for no labels.
  if (has_padding && !is_over_time && steps_ > 1 && labels[0] == data.input_shape[0])
    fail(last,
         fmt::format("gives {} a sample, which are not the steps of the input any more, but the labels {} are: beyond "
                     "a sample's length they would count as 0",
                     to_string(output), to_string(labels)),
         fmt::format("keep the steps up to the last layer; or, where labels are no steps of the input, say so by their "
                     "shape: [1, {}], behind a reshape to [1, {}]",
                     fmt::join(labels, ", "), fmt::join(output, ", ")));
}

void Loss::require_fitting_targets(const LayerNode& last, const DataSet& data) const {
  if (data.target_size != last.output_size)
    fail(last,
         fmt::format("has {}, but each target has {}", counted(last.output_size, "output"),
                     counted(data.target_size, "number")),
         function_->is_of_classes() && data.target_size == 1
             ? "class numbers are given as `labels`; targets are one number for each class"
         : last.plan.output.size() == 1 ? fmt::format("give it {}", counted(data.target_size, "unit"))
                                        : fmt::format("outputs of a sample have shape {}, targets {}",
                                                      to_string(last.plan.output), to_string(data.target_shape)));
  const Shape output = squeezed(last.plan.output), target = squeezed(data.target_shape);
  const bool output_is_flat = output.size() <= 1 && !function_->is_of_classes();
  if (output != target && target.size() > 1 && !output_is_flat)
    fail(last,
         fmt::format("gives {} a sample, but each target has shape {}", to_string(last.plan.output),
                     to_string(data.target_shape)),
         "dense with flatten: false keeps steps apart; a reshape layer cuts outputs differently");
}

template <class T>
void Loss::evaluate(const Samples<T>& samples, double* losses, double scale, T* gradient) const {
  for (std::int64_t n = 0; n < samples.count; ++n) {
    const std::int64_t valid = steps(samples.length(n));
    const double divisor = adds_steps_ ? 1.0 : static_cast<double>(valid);
    losses[n] = 0.0;
    for (std::int64_t t = 0; t < valid; ++t)
      losses[n] += function_->evaluate(step(samples, n, t), scale / divisor,
                                       gradient != nullptr ? gradient + (n * steps_ + t) * features_ : nullptr);
    losses[n] /= divisor;
    if (gradient != nullptr)
      std::fill_n(gradient + (n * steps_ + valid) * features_, (steps_ - valid) * features_, T(0));
  }
}

template void Loss::evaluate(const Samples<float>&, double*, double, float*) const;
template void Loss::evaluate(const Samples<double>&, double*, double, double*) const;

}  // namespace backplane
