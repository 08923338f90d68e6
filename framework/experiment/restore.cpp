#include "experiment/restore.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "base/error.h"
#include "experiment/tensor_names.h"

namespace backplane {

namespace {

/// A tensor of the run, and where a checkpoint has it.
struct Held {
  std::string layer, name;
  Shape shape;
  void* data;
};

std::vector<Held> tensors_of(Network& network, Trainer& trainer) {
  std::vector<Held> all;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    LayerNode& node = network.nodes()[i];
    const auto add = [&](std::string name, Shape shape, void* data) {
      all.push_back({node.name(), std::move(name), std::move(shape), data});
    };
    for (std::size_t p = 0; p < node.parameters.size(); ++p) {
      Parameter& parameter = node.parameters[p];
      add("weights/" + parameter.name, parameter.shape, parameter.value.data());
      for (std::size_t s = 0; s < trainer.optimizer().slots().size(); ++s)
        add(fmt::format("optimizer/{}/{}", parameter.name, trainer.optimizer().slots()[s]), parameter.shape,
            trainer.optimizer().slot(i, p, s).data());
    }
    for (SharedState& shared : node.shared_state) {
      const StateTensor& state = node.plan.state[shared.declared];
      add("state/" + state.name, state.shape, shared.value.data());
    }
    for (std::size_t k = 0; k < node.plan.state.size(); ++k)
      if (const StateTensor& state = node.plan.state[k]; state.kind == BP_STATE_CARRIED)
        add("state/" + state.name, with_batch(trainer.batch_size(), state.shape),
            trainer.executor().carried_state(i, k));
  }
  return all;
}

/// What of the file has no place in the run; optimizer slots aside, whose names say which rule made them.
void find_strangers(const Snapshot& snapshot, const std::vector<Held>& all, std::vector<Diagnostic>& findings) {
  std::set<std::string> known;
  for (const Held& held : all) known.insert(held.layer), known.insert(held.layer + "/" + held.name);
  for (const StoredLayer& layer : snapshot.layers)
    for (const auto& [name, tensor] : layer.tensors)
      if ((name.starts_with("weights/") || name.starts_with("state/")) && !known.contains(layer.name + "/" + name))
        findings.push_back({.what = fmt::format("the checkpoint has {}/{} {}, the network has not", layer.name, name,
                                                to_string(tensor.shape))});
}

const StoredTensor* find(const Snapshot& snapshot, const Held& held) {
  for (const StoredLayer& layer : snapshot.layers)
    if (layer.name == held.layer)
      if (const auto found = layer.tensors.find(held.name); found != layer.tensors.end()) return &found->second;
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
  const std::vector<Held> all = tensors_of(network, trainer);
  std::vector<Diagnostic> findings;
  for (const Held& held : all) {
    const StoredTensor* stored = find(snapshot, held);
    const std::string name = held.layer + "/" + held.name;
    if (stored == nullptr)
      findings.push_back({.what = fmt::format("the checkpoint has no {} {}", name, to_string(held.shape))});
    else if (stored->shape != held.shape || stored->dtype != network.dtype())
      findings.push_back(
          {.what = fmt::format("{} is {} {} in the checkpoint and {} {} in the network", name, name_of(stored->dtype),
                               to_string(stored->shape), name_of(network.dtype()), to_string(held.shape))});
  }
  find_strangers(snapshot, all, findings);
  const TrainState state = read_state(StateReader(snapshot), findings);
  if (findings.empty() && state.position >= trainer.steps_per_epoch())
    findings.push_back({.what = fmt::format("the checkpoint stands at batch {} of an epoch, which has {} batches",
                                            state.position, trainer.steps_per_epoch())});
  if (!findings.empty()) {
    if (findings.back().hint.empty())
      findings.back().hint = "this network cannot go on from that checkpoint; a run without --resume begins anew";
    throw UserError(ExitCode::bad_data, std::move(findings));
  }
  for (const Held& held : all) {
    const StoredTensor* stored = find(snapshot, held);
    if (stored->data.bytes() > 0) std::memcpy(held.data, stored->data.data(), stored->data.bytes());
  }
  trainer.restore(state);
}

}  // namespace backplane
