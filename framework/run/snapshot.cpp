#include "run/snapshot.h"

#include <algorithm>

#include "run/restore.h"
#include "model_state/axes.h"
#include "model_state/catalogue.h"

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

/// `rows`: samples that are stored.
StoredTensor copy(const LayerTensor& tensor, const Network& network, Trainer& trainer, std::int64_t rows) {
  const Shape shape = tensor.extent == TensorExtent::layer    ? tensor.shape
                      : tensor.extent == TensorExtent::sample ? with_batch(rows, tensor.shape)
                                                              : with_batch(trainer.batch_size(), tensor.shape);
  return copy(tensor.data(network, &trainer), shape, network.dtype(), tensor.axes, tensor.attributes);
}

StoredLayer copy_layer(const Network& network, std::size_t index, Trainer& trainer, std::int64_t rows) {
  const LayerNode& node = network.nodes()[index];
  const PluginIdentity& plugin = node.layer.plugin();
  StoredLayer layer{.name = node.name(),
                    .type = node.layer.type().name,
                    .activation = node.activation_name,
                    .plugin = plugin.id,
                    .plugin_version = plugin.version,
                    .plugin_sha256 = plugin.sha256,
                    .trainable = node.has_trainable(),
                    .tensors = {}};
  for (const LayerTensor& tensor :
       tensors_of(network, index, trainer.loss().gives_delta(), trainer.optimizer().slots()))
    layer.tensors[tensor.name] = copy(tensor, network, trainer, rows);
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
  store_state(trainer, snapshot);
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
    snapshot.layers[i] = copy_layer(network, i, trainer, rows);
  });
  return snapshot;
}

}  // namespace backplane
