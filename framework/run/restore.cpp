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

void store_score(const std::string& prefix, const std::optional<Score>& score, Snapshot& snapshot) {
  const Score value = score.value_or(Score{});
  snapshot.integers[prefix + "_samples"] = value.samples;
  snapshot.integers["has_" + prefix + "_accuracy"] = value.accuracy ? 1 : 0;
  snapshot.numbers[prefix + "_loss"] = value.loss;
  snapshot.numbers[prefix + "_accuracy"] = value.accuracy.value_or(0.0);
}

/// Reads /state; what is not there is noted.
class StateReader {
 public:
  explicit StateReader(const Snapshot& snapshot) : snapshot_(snapshot) {}
  std::int64_t integer(const std::string& name) { return find(snapshot_.integers, name); }
  double number(const std::string& name) { return find(snapshot_.numbers, name); }
  std::optional<Score> score(const std::string& prefix) {
    Score score{.loss = number(prefix + "_loss"), .accuracy = {}, .samples = integer(prefix + "_samples")};
    if (integer("has_" + prefix + "_accuracy") != 0) score.accuracy = number(prefix + "_accuracy");
    return score.samples > 0 ? std::optional(score) : std::nullopt;
  }
  std::vector<Diagnostic> missing;

 private:
  template <class T>
  T find(const std::map<std::string, T>& values, const std::string& name) {
    if (const auto found = values.find(name); found != values.end()) return found->second;
    missing.push_back({.what = fmt::format("the checkpoint has no /state/{}", name),
                       .hint = "it was written by an earlier version, or for another purpose; it can be inspected"});
    return T{};
  }
  const Snapshot& snapshot_;
};

TrainState read_state(StateReader&& from, std::vector<Diagnostic>& findings) {
  TrainState state{.step = from.integer("step"),
                   .epoch = from.integer("epoch"),
                   .position = from.integer("position"),
                   .epoch_sums = {.loss_sum = from.number("epoch_loss_sum"),
                                  .correct = from.integer("epoch_correct"),
                                  .predictions = from.integer("epoch_predictions")},
                   .epoch_samples = from.integer("epoch_samples"),
                   .owes_end_of_epoch = from.integer("owes_end_of_epoch") != 0,
                   .train_score = from.score("train"),
                   .validation_score = from.score("validation"),
                   .best = {},
                   .best_step = from.integer("best_step"),
                   .epochs_without_improvement = from.integer("epochs_without_improvement")};
  if (from.integer("has_best") != 0) state.best = from.number("best");
  findings.insert(findings.end(), from.missing.begin(), from.missing.end());
  return state;
}

}  // namespace

void store_state(const TrainState& state, Snapshot& snapshot) {
  snapshot.integers.merge(
      std::map<std::string, std::int64_t>{{"step", state.step},
                                          {"epoch", state.epoch},
                                          {"position", state.position},
                                          {"epoch_correct", state.epoch_sums.correct},
                                          {"epoch_predictions", state.epoch_sums.predictions},
                                          {"epoch_samples", state.epoch_samples},
                                          {"owes_end_of_epoch", state.owes_end_of_epoch ? 1 : 0},
                                          {"best_step", state.best_step},
                                          {"has_best", state.best ? 1 : 0},
                                          {"epochs_without_improvement", state.epochs_without_improvement}});
  snapshot.numbers.merge(
      std::map<std::string, double>{{"epoch_loss_sum", state.epoch_sums.loss_sum}, {"best", state.best.value_or(0.0)}});
  store_score("train", state.train_score, snapshot);
  store_score("validation", state.validation_score, snapshot);
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
  const TrainState state = read_state(StateReader(snapshot), findings);
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
