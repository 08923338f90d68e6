#include "replay/replay.h"

#include <algorithm>

#include "data/sources.h"
#include "replay/checks.h"
#include "replay/layer.h"
#include "parallel/arena.h"
#include "trainer/slice.h"

namespace backplane {

namespace {

/// What the loss has to know of the data, from the shape of the targets that are stored.
DataSet data_of(const Snapshot& snapshot, const Experiment& experiment, const Network& network) {
  const Shape& target = snapshot.target.shape;
  DataSet data;
  data.input_shape = network.input_shape();
  data.train.lengths = snapshot.lengths;
  if (has_labels(experiment.resolved.at("data"))) {
    if (target.size() > 2) data.target_shape.assign(target.begin() + 1, target.end() - 1);
    data.steps = element_count(data.target_shape);
  } else {
    data.train.targets = std::vector<double>{};
    data.target_shape.assign(target.begin() + 1, target.end());
    data.target_size = element_count(data.target_shape);
  }
  return data;
}

}  // namespace

Replay replay(const Snapshot& snapshot, const std::string& source, const Registry& registry, const std::string& only) {
  check_plugins(snapshot, source, registry);
  const Experiment experiment = read_experiment_text(snapshot.config, source + ":/config", registry);
  Network network(experiment.network, registry, Shape(snapshot.input.shape.begin() + 1, snapshot.input.shape.end()),
                  experiment.dtype, experiment.seed, experiment.train.l1, experiment.train.l2);
  check_layers(snapshot, source, network, only);
  check_numbers(snapshot, source, experiment, network);
  const Loss loss(experiment.network, network, data_of(snapshot, experiment, network));
  const ReplayContext context{
      .snapshot = snapshot,
      .source = source,
      .experiment = experiment,
      .network = network,
      .loss = loss,
      .batch = snapshot.integers.at("batch_size"),
      .stored = static_cast<std::int64_t>(snapshot.sample_indices.size()),
      .slice_rows = experiment.train.slice_rows.value_or(default_slice_rows(network, experiment.train.batch_size))};
  Replay result{.step = snapshot.step,
                .batch_rows = context.batch,
                .stored_rows = context.stored,
                .slice_rows = std::min(context.slice_rows, context.batch),
                .layers = {}};
  Arena arena(1);  // kernels run as they do in training: one thread each
  arena.for_each(1, [&](std::int64_t) {
    for (std::size_t i = 0; i < network.nodes().size(); ++i)
      if (only.empty() || network.nodes()[i].name() == only) result.layers.push_back(replay_layer(context, i));
  });
  return result;
}

}  // namespace backplane
