#include "run/restore.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "base/error.h"
#include "model_state/axes.h"
#include "model_state/catalogue.h"

namespace backplane {

namespace {

/// What training goes on from.
std::vector<LayerTensor> kept_tensors(const Network& network, Trainer& trainer) {
  std::vector<LayerTensor> kept = tensors_of(network, trainer);
  std::erase_if(kept, [](const LayerTensor& tensor) { return tensor.kind->lifetime != TensorLifetime::kept; });
  return kept;
}

/// What of the file has no place in the run; optimizer slots aside, whose names say which rule made them.
void look_for_unknown(const Snapshot& snapshot, const Network& network, const std::vector<LayerTensor>& kept,
                      std::vector<Diagnostic>& findings) {
  std::set<std::string> known;
  for (const LayerTensor& tensor : kept) known.insert(network.nodes()[tensor.node].name() + "/" + tensor.name);
  for (const StoredLayer& layer : snapshot.layers)
    for (const auto& [name, tensor] : layer.tensors) {
      const TensorKind& kind = kind_of(name);
      if (kind.lifetime == TensorLifetime::kept && kind.phase != TensorPhase::update &&
          !known.contains(layer.name + "/" + name))
        findings.push_back({.what = fmt::format("the checkpoint has {}/{} {}, the network has not", layer.name, name,
                                                to_string(tensor.shape))});
    }
}

const StoredTensor* find(const Snapshot& snapshot, const std::string& layer_name, const std::string& tensor) {
  for (const StoredLayer& layer : snapshot.layers)
    if (layer.name == layer_name)
      if (const auto found = layer.tensors.find(tensor); found != layer.tensors.end()) return &found->second;
  return nullptr;
}

// In /state accuracy has names of its own, and its sum is a whole number.
constexpr const char* kAccuracy = "accuracy";

/// Where a sum of another metric lies.
std::string path_of_sum(const MetricSet::Entry& entry, std::int64_t index) {
  return fmt::format("epoch_{}_sum_{}", entry.name, index);
}

void store_metrics(const std::string& split, const std::optional<Metrics>& metrics, const MetricSet& measured,
                   Snapshot& snapshot) {
  const Metrics values = metrics.value_or(Metrics{});
  snapshot.integers[split + "_samples"] = values.samples;
  snapshot.integers["has_" + split + "_accuracy"] = values.find(kAccuracy) ? 1 : 0;
  snapshot.numbers[split + "_loss"] = values.loss;
  snapshot.numbers[split + "_accuracy"] = values.find(kAccuracy).value_or(0.0);
  for (const MetricSet::Entry& entry : measured.entries())
    snapshot.numbers[split + "_" + entry.name] = values.find(entry.name).value_or(0.0);
}

/// Reads /state; what is not there is noted.
class StateReader {
 public:
  /// `measured`: the metrics of the run that goes on.
  StateReader(const Snapshot& snapshot, const MetricSet& measured) : snapshot_(snapshot), measured_(measured) {}
  std::int64_t integer(const std::string& name) { return find(snapshot_.integers, name); }
  double number(const std::string& name) { return find(snapshot_.numbers, name); }
  std::optional<Metrics> metrics(const std::string& split) {
    Metrics metrics{.loss = number(split + "_loss"), .samples = integer(split + "_samples")};
    for (const MetricSet::Entry& entry : measured_.entries())
      metrics.values.push_back({entry.name, number(split + "_" + entry.name)});
    return metrics.samples > 0 ? std::optional(metrics) : std::nullopt;
  }
  MetricSums epoch_sums() {
    MetricSums sums = measured_.no_sums();
    sums.loss_sum = number("epoch_loss_sum");
    sums.predictions = integer("epoch_predictions");
    for (const MetricSet::Entry& entry : measured_.entries())
      for (std::int64_t i = 0; i < entry.metric->sums(); ++i)
        sums.metrics[entry.first_sum + static_cast<std::size_t>(i)] =
            entry.name == kAccuracy ? static_cast<double>(integer("epoch_correct")) : number(path_of_sum(entry, i));
    return sums;
  }
  std::vector<Diagnostic> missing;

 private:
  template <class T>
  T find(const std::map<std::string, T>& values, const std::string& name) {
    if (const auto found = values.find(name); found != values.end()) return found->second;
    missing.push_back(
        {.what = fmt::format("the checkpoint has no /state/{}", name),
         .hint = "it was written by an earlier version, for another purpose or of other metrics; it can be inspected"});
    return T{};
  }
  const Snapshot& snapshot_;
  const MetricSet& measured_;
};

TrainState read_state(StateReader&& from, std::vector<Diagnostic>& findings) {
  TrainState state{.step = from.integer("step"),
                   .epoch = from.integer("epoch"),
                   .position = from.integer("position"),
                   .epoch_sums = from.epoch_sums(),
                   .epoch_samples = from.integer("epoch_samples"),
                   .owes_end_of_epoch = from.integer("owes_end_of_epoch") != 0,
                   .train_metrics = from.metrics("train"),
                   .validation_metrics = from.metrics("validation"),
                   .best = {},
                   .best_step = from.integer("best_step"),
                   .epochs_without_improvement = from.integer("epochs_without_improvement")};
  if (from.integer("has_best") != 0) state.best = from.number("best");
  findings.insert(findings.end(), from.missing.begin(), from.missing.end());
  return state;
}

}  // namespace

void store_state(const Trainer& trainer, Snapshot& snapshot) {
  const TrainState& state = trainer.state();
  const MetricSet& metrics = trainer.metrics();
  snapshot.integers.merge(
      std::map<std::string, std::int64_t>{{"step", state.step},
                                          {"epoch", state.epoch},
                                          {"position", state.position},
                                          {"epoch_predictions", state.epoch_sums.predictions},
                                          {"epoch_samples", state.epoch_samples},
                                          {"owes_end_of_epoch", state.owes_end_of_epoch ? 1 : 0},
                                          {"best_step", state.best_step},
                                          {"has_best", state.best ? 1 : 0},
                                          {"epochs_without_improvement", state.epochs_without_improvement}});
  snapshot.numbers.merge(
      std::map<std::string, double>{{"epoch_loss_sum", state.epoch_sums.loss_sum}, {"best", state.best.value_or(0.0)}});
  if (!trainer.loss().has_labels()) snapshot.integers["epoch_correct"] = 0;
  for (const MetricSet::Entry& entry : metrics.entries())
    for (std::int64_t i = 0; i < entry.metric->sums(); ++i) {
      const double sum = state.epoch_sums.metrics[entry.first_sum + static_cast<std::size_t>(i)];
      if (entry.name == kAccuracy)
        snapshot.integers["epoch_correct"] = static_cast<std::int64_t>(sum);
      else
        snapshot.numbers[path_of_sum(entry, i)] = sum;
    }
  store_metrics("train", state.train_metrics, metrics, snapshot);
  store_metrics("validation", state.validation_metrics, metrics, snapshot);
}

void restore(const Snapshot& snapshot, Network& network, Trainer& trainer) {
  const std::vector<LayerTensor> kept = kept_tensors(network, trainer);
  const auto stored_of = [&](const LayerTensor& tensor) {
    return find(snapshot, network.nodes()[tensor.node].name(), tensor.name);
  };
  std::vector<Diagnostic> findings;
  for (const LayerTensor& tensor : kept) {
    const StoredTensor* stored = stored_of(tensor);
    const Shape shape =
        tensor.extent == TensorExtent::row ? with_batch(trainer.batch_size(), tensor.shape) : tensor.shape;
    const std::string name = network.nodes()[tensor.node].name() + "/" + tensor.name;
    if (stored == nullptr)
      findings.push_back({.what = fmt::format("the checkpoint has no {} {}", name, to_string(shape))});
    else if (stored->shape != shape || stored->dtype != network.dtype())
      findings.push_back(
          {.what = fmt::format("{} is {} {} in the checkpoint and {} {} in the network", name, name_of(stored->dtype),
                               to_string(stored->shape), name_of(network.dtype()), to_string(shape))});
  }
  look_for_unknown(snapshot, network, kept, findings);
  const TrainState state = read_state(StateReader(snapshot, trainer.metrics()), findings);
  if (findings.empty() && state.position >= trainer.steps_per_epoch())
    findings.push_back({.what = fmt::format("the checkpoint stands at batch {} of an epoch, which has {} batches",
                                            state.position, trainer.steps_per_epoch())});
  if (!findings.empty()) {
    if (findings.back().hint.empty())
      findings.back().hint = "this network cannot go on from that checkpoint; a run without --resume begins anew";
    throw UserError(ExitCode::bad_data, std::move(findings));
  }
  for (const LayerTensor& tensor : kept) {
    const Buffer& data = stored_of(tensor)->data;
    if (data.bytes() > 0) std::memcpy(tensor.writable_data(network, &trainer), data.data(), data.bytes());
  }
  trainer.restore(state);
}

}  // namespace backplane
