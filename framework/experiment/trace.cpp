#include "experiment/trace.h"

#include <algorithm>
#include <cstring>

#include "experiment/tensor_names.h"

namespace backplane {

Trace::Trace(const std::string& path, const Experiment& experiment, const Network& network, Trainer& trainer,
             IoThread& io, std::int64_t /*first_step*/)
    : network_(network),
      trainer_(trainer),
      io_(io),
      samples_(std::min(experiment.record.samples, trainer.batch_size())) {
  if (!experiment.record.every) return;
  every_ = experiment.record.every->steps + experiment.record.every->epochs * trainer.steps_per_epoch();
  for (std::size_t i = 0; i < network.nodes().size(); ++i)
    for (const Tap& tap : experiment.record.taps) add_layer(i, tap.name);
  io_.submit([this, path, compression = experiment.record.compression] {
    file_ = std::make_shared<TraceFile>(path, tensors_, samples_, network_.dtype(), compression);
  });
  io_.drain();
}

void Trace::add_layer(std::size_t index, const std::string& tap) {
  const LayerNode& node = network_.nodes()[index];
  const auto add = [&](std::size_t item, const std::string& name, const Shape& shape, std::vector<std::string> axes) {
    sources_.push_back({tap, index, item});
    tensors_.push_back({.path = "/layers/" + node.name() + "/" + name,
                        .shape = shape,
                        .axes = std::move(axes),
                        .definition = definition_of(tap)});
  };
  if (tap == "weights" || tap == "gradients") {
    for (std::size_t p = 0; p < node.parameters.size(); ++p)
      if (const Parameter& parameter = node.parameters[p]; tap == "weights" || parameter.trainable)
        add(p, tap + "/" + parameter.name, parameter.shape, parameter_axes(parameter.shape));
  } else if (std::ranges::find(common_taps(), tap) != common_taps().end()) {
    add(0, tap, with_batch(samples_, node.plan.output), sample_axes(node.plan.output));
  } else {
    for (std::size_t k = 0; k < node.plan.saved.size(); ++k)
      if (const SavedTensor& saved = node.plan.saved[k]; saved.name == tap)
        add(k, tap, with_batch(samples_, saved.sample_shape), saved_axes(saved.sample_shape));
  }
}

void Trace::copy_before_update(const Batch& batch) {
  record_ = std::make_shared<TraceRecord>();
  const std::int64_t rows = std::min(samples_, batch.count);
  record_->samples.assign(batch.indices, batch.indices + rows);
  record_->samples.resize(static_cast<std::size_t>(samples_), -1);
  for (const TraceTensor& tensor : tensors_)
    record_->tensors.emplace_back(static_cast<std::size_t>(element_count(tensor.shape)) * size_of(network_.dtype()));
  for (std::size_t i = 0; i < sources_.size(); ++i)
    if (sources_[i].tap != "gradients") copy(sources_[i], i, rows);
}

void Trace::copy_after_update(std::int64_t step) {
  record_->step = step;
  for (std::size_t i = 0; i < sources_.size(); ++i)
    if (sources_[i].tap == "gradients") copy(sources_[i], i, 0);
  io_.submit([file = file_, record = std::move(record_)] { file->append(*record); });
}

void Trace::copy(const Source& source, std::size_t index, std::int64_t rows) {
  Executor& executor = trainer_.executor();
  const LayerNode& node = network_.nodes()[source.node];
  const auto rows_of = [&](const Shape& sample) {
    return static_cast<std::size_t>(rows * element_count(sample)) * size_of(network_.dtype());
  };
  const void* from = nullptr;
  std::size_t bytes = rows_of(node.plan.output);
  if (source.tap == "z")
    from = executor.z(source.node);
  else if (source.tap == "activation")
    from = executor.activation(source.node);
  else if (source.tap == "delta")
    from = executor.delta(source.node);
  else if (source.tap == "weights" || source.tap == "gradients") {
    const Parameter& parameter = node.parameters[source.item];
    from = source.tap == "weights" ? parameter.value.data() : executor.gradient(source.node, source.item);
    bytes = parameter.value.bytes();
  } else {
    from = executor.saved(source.node, source.item);
    bytes = rows_of(node.plan.saved[source.item].sample_shape);
  }
  std::memcpy(record_->tensors[index].data(), from, bytes);
}

}  // namespace backplane
