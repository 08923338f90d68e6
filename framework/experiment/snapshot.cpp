#include "experiment/snapshot.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiment/restore.h"
#include "experiment/tensor_names.h"

namespace backplane {

namespace {

StoredTensor copy(const void* data, Shape shape, DType dtype, std::vector<std::string> axes,
                  std::map<std::string, std::string> attributes = {}) {
  const std::size_t bytes = static_cast<std::size_t>(element_count(shape)) * size_of(dtype);
  return {.shape = std::move(shape),
          .dtype = dtype,
          .data = Buffer::copy_of(data, bytes),
          .axes = std::move(axes),
          .attributes = std::move(attributes)};
}

StoredLayer copy_layer(const LayerNode& node, std::size_t index, Trainer& trainer, std::int64_t rows,
                       std::int64_t batch_size, DType dtype, bool has_d_activation) {
  const PluginIdentity& plugin = node.layer.plugin();
  StoredLayer layer{.name = node.name(),
                    .type = node.layer.type().name,
                    .activation = node.activation_name,
                    .plugin = plugin.id,
                    .plugin_version = plugin.version,
                    .plugin_sha256 = plugin.sha256,
                    .trainable = node.has_trainable(),
                    .tensors = {}};
  Executor& executor = trainer.executor();
  const auto per_sample = [&](const char* tap, const void* data) {
    layer.tensors[tap] = copy(data, with_batch(rows, node.plan.output), dtype, sample_axes(node.plan.output),
                              {{"definition", definition_of(tap)}});
  };
  per_sample("z", executor.z(index));
  per_sample("activation", executor.activation(index));
  per_sample("delta", executor.delta(index));
  if (has_d_activation) per_sample("activation_gradient", executor.d_activation(index));
  for (std::size_t i = 0; i < node.plan.saved.size(); ++i)
    layer.tensors[node.plan.saved[i].name] =
        copy(executor.saved(index, i), with_batch(rows, node.plan.saved[i].sample_shape), dtype,
             saved_axes(node.plan.saved[i].sample_shape), {{"definition", definition_of(node.plan.saved[i].name)}});
  for (const SharedState& shared : node.shared_state) {
    const StateTensor& state = node.plan.state[shared.declared];
    layer.tensors["state/" + state.name] = copy(shared.value.data(), state.shape, dtype, parameter_axes(state.shape));
  }
  for (std::size_t i = 0; i < node.plan.state.size(); ++i) {
    const StateTensor& state = node.plan.state[i];
    if (state.kind != BP_STATE_CARRIED) continue;
    std::vector<std::string> axes = sample_axes(state.shape);
    axes[0] = "row";  // of the batch, whatever sample stands there
    layer.tensors["state/" + state.name] =
        copy(executor.carried_state(index, i), with_batch(batch_size, state.shape), dtype, std::move(axes));
  }
  for (std::size_t p = 0; p < node.parameters.size(); ++p) {
    const Parameter& parameter = node.parameters[p];
    const auto axes = parameter_axes(parameter.shape);
    layer.tensors["weights/" + parameter.name] = copy(parameter.value.data(), parameter.shape, dtype, axes,
                                                      {{"definition", definition_of("weights")},
                                                       {"role", parameter.role},
                                                       {"trainable", parameter.trainable ? "true" : "false"}});
    layer.tensors["gradients/" + parameter.name] =
        copy(executor.gradient(index, p), parameter.shape, dtype, axes, {{"definition", definition_of("gradients")}});
    for (std::size_t s = 0; s < trainer.optimizer().slots().size(); ++s)
      layer.tensors[fmt::format("optimizer/{}/{}", parameter.name, trainer.optimizer().slots()[s])] =
          copy(trainer.optimizer().slot(index, p, s).data(), parameter.shape, dtype, axes);
  }
  return layer;
}

}  // namespace

Snapshot take_snapshot(const Experiment& experiment, const Network& network, const DataSet& data, Trainer& trainer,
                       const std::string& environment) {
  const std::vector<std::int64_t> batch = trainer.probe(experiment.record.samples);
  const std::int64_t rows = std::min<std::int64_t>(experiment.record.samples, static_cast<std::int64_t>(batch.size()));
  const Executor& executor = trainer.executor();
  const TrainState& state = trainer.state();

  Snapshot snapshot{.step = state.step, .config = config::to_yaml(experiment.resolved), .environment = environment};
  store_state(state, snapshot);
  snapshot.integers["seed"] = static_cast<std::int64_t>(experiment.seed);
  snapshot.integers["batch_size"] = static_cast<std::int64_t>(batch.size());
  double loss = 0.0;
  for (std::size_t n = 0; n < batch.size(); ++n) loss += executor.losses()[n];
  snapshot.numbers["batch_loss"] = loss / static_cast<double>(batch.size());
  snapshot.numbers["learning_rate"] = trainer.learning_rate(state.step + 1);
  snapshot.sample_indices.assign(batch.begin(), batch.begin() + rows);
  snapshot.losses.assign(executor.losses(), executor.losses() + rows);
  if (!data.train.lengths.empty())
    for (const std::int64_t sample : snapshot.sample_indices)
      snapshot.lengths.push_back(data.train.lengths[static_cast<std::size_t>(sample)]);
  snapshot.vocabulary = data.vocabulary;
  const Shape target =
      trainer.loss().is_per_step() ? network.output().plan.output : Shape{network.output().output_size};
  std::vector<std::string> input_axes = sample_axes(data.input_shape);
  if (data.steps > 1 && data.input_shape.size() == 1) input_axes[1] = "time";  // symbols of a text
  snapshot.input = copy(executor.input(), with_batch(rows, data.input_shape), network.dtype(), std::move(input_axes));
  snapshot.target = copy(executor.target(), with_batch(rows, target), network.dtype(), sample_axes(target));
  // Training waits for this: the copies and the digest are made side by side.
  const std::int64_t layers = std::ssize(network.nodes());
  snapshot.layers.resize(network.nodes().size());
  trainer.executor().arena().for_each(layers + 1, [&](std::int64_t task) {
    if (task == 0) {
      snapshot.weights_digest = network.weights_digest();
      return;
    }
    const auto i = static_cast<std::size_t>(task - 1);
    const bool is_output_of_fused_loss = task == layers && trainer.loss().gives_delta();
    snapshot.layers[i] = copy_layer(network.nodes()[i], i, trainer, rows, trainer.batch_size(), network.dtype(),
                                    !is_output_of_fused_loss);
  });
  return snapshot;
}

}  // namespace backplane
