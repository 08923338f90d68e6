#include "experiment/trace.h"

#include <algorithm>
#include <cstring>

#include "experiment/tensor_names.h"

namespace backplane {

Trace::Trace(const std::string& path, const Experiment& experiment, const Network& network, Trainer& trainer,
             IoThread& io)
    : network_(network),
      trainer_(trainer),
      io_(io),
      samples_(std::min(experiment.record.samples, trainer.batch_size())) {
  if (!experiment.record.every) return;
  every_ = experiment.record.every->steps + experiment.record.every->epochs * trainer.steps_per_epoch();
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const LayerNode& node = network.nodes()[i];
    const std::string layer = "/layers/" + node.name() + "/";
    for (const std::string& tap : experiment.record.taps) {
      if (tap != "weights" && tap != "gradients") {
        add(tap, i, 0,
            {.path = layer + tap,
             .shape = with_batch(samples_, node.plan.output),
             .axes = sample_axes(node.plan.output),
             .definition = definition_of(tap)});
        continue;
      }
      for (std::size_t p = 0; p < node.parameters.size(); ++p)
        if (tap == "weights" || node.parameters[p].trainable)
          add(tap, i, p,
              {.path = layer + tap + "/" + node.parameters[p].name,
               .shape = node.parameters[p].shape,
               .axes = parameter_axes(node.parameters[p].shape),
               .definition = definition_of(tap)});
    }
  }
  io_.submit([this, path] { file_ = std::make_shared<TraceFile>(path, tensors_, samples_, network_.dtype()); });
  io_.drain();
}

void Trace::add(const std::string& tap, std::size_t node, std::size_t parameter, TraceTensor tensor) {
  sources_.push_back({tap, node, parameter});
  tensors_.push_back(std::move(tensor));
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
  const void* from = nullptr;
  std::size_t bytes = static_cast<std::size_t>(rows * node.output_size) * size_of(network_.dtype());
  if (source.tap == "z")
    from = executor.z(source.node);
  else if (source.tap == "activation")
    from = executor.activation(source.node);
  else if (source.tap == "delta")
    from = executor.delta(source.node);
  else {
    const Parameter& parameter = node.parameters[source.parameter];
    from = source.tap == "weights" ? parameter.value.data() : executor.gradient(source.node, source.parameter);
    bytes = parameter.value.bytes();
  }
  std::memcpy(record_->tensors[index].data(), from, bytes);
}

}  // namespace backplane
