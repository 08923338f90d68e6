#include "trainer/batch_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>

#include "tensor/finite.h"

namespace backplane {

namespace {

/// make(), with the layer named where memory does not suffice for it.
template <class Make>
void make_for(const LayerNode& node, std::int64_t rows, const Make& make) {
  try {
    make();
  } catch (const std::bad_alloc&) {
    throw UserError(ExitCode::internal,
                    Diagnostic{.place = node.layer.place(),
                               .what = fmt::format("layer '{}': there is no memory for its tensors of a batch of {}",
                                                   node.name(), rows),
                               .hint = "a smaller batch or network needs less"});
  }
}

}  // namespace

BatchTensors::BatchTensors(const Network& network, const ScratchPlan& scratch, std::int64_t outputs,
                           std::size_t sums_of_sample, std::int64_t capacity, std::int64_t slices)
    : network_(network), capacity_(capacity) {
  const auto rows = static_cast<std::size_t>(capacity);
  const auto slice_count = static_cast<std::size_t>(slices);
  input = of_rows(capacity, element_count(network.input_shape()));
  target = of_rows(capacity, outputs);
  lengths.resize(rows);
  losses.resize(rows);
  metric_sums.resize(rows * sums_of_sample);
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const LayerNode& node = network.nodes()[i];
    LayerTensors& tensors = layers_.emplace_back();
    make_for(node, capacity, [&] {
      if (!scratch.z[i]) tensors.z = of_rows(capacity, node.output_size);
      if (node.activation) tensors.a = of_rows(capacity, node.output_size);
      if (!scratch.delta[i]) tensors.delta = of_rows(capacity, node.output_size);
      for (const SavedTensor& saved : node.plan.saved)
        tensors.saved.push_back(of_rows(capacity, element_count(saved.sample_shape)));
      tensors.forward_sums.assign(slice_count, std::vector<double>(static_cast<std::size_t>(node.plan.forward_sums)));
      tensors.backward_sums.assign(slice_count, std::vector<double>(static_cast<std::size_t>(node.plan.backward_sums)));
      for (auto& carried : tensors.carried)
        for (const StateTensor& state : node.plan.state)
          carried.push_back(state.kind == BP_STATE_CARRIED ? of_rows(capacity, element_count(state.shape)) : Buffer());
      tensors.gradients.resize(node.is_batch_wide() ? 1 : slice_count);
      for (auto& gradients : tensors.gradients)
        for (const Parameter& parameter : node.parameters)
          gradients.emplace_back(node.is_batch_wide() ? 0 : parameter.value.bytes());
    });
    tensors.parts.resize(node.parameters.size());
    for (std::size_t p = 0; p < node.parameters.size(); ++p)
      for (auto& gradients : tensors.gradients) tensors.parts[p].push_back(gradients[p].data());
    tensors.adds.resize(node.inputs.size());
  }
  // Backward visits layers from the last to the first: the last consumer of a tensor is the one that writes it.
  std::vector<bool> written(layers_.size(), false);
  for (std::size_t i = layers_.size(); i-- > 0;)
    for (std::size_t k = 0; k < layers_[i].adds.size(); ++k)
      if (const int producer = network.nodes()[i].inputs[k]; producer != LayerNode::kData) {
        layers_[i].adds[k] = written[static_cast<std::size_t>(producer)];
        written[static_cast<std::size_t>(producer)] = true;
      }
}

Buffer BatchTensors::of_rows(std::int64_t rows, std::int64_t size) const {
  const std::size_t element = size_of(network_.dtype()), most = PTRDIFF_MAX / element;
  if (size > 0 && static_cast<std::size_t>(rows) > most / static_cast<std::size_t>(size)) throw std::bad_alloc();
  return Buffer(static_cast<std::size_t>(rows * size) * element);
}

void BatchTensors::make_room_for_kept() {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    for (Buffer* kept : {&layers_[i].z, &layers_[i].delta})
      if (kept->bytes() == 0) *kept = of_rows(capacity_, network_.nodes()[i].output_size);
}

void BatchTensors::make_room_for_gradients() {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    for (std::size_t p = 0; p < network_.nodes()[i].parameters.size(); ++p)
      if (Buffer& gradient = layers_[i].gradients[0][p]; gradient.bytes() == 0)
        gradient = Buffer(network_.nodes()[i].parameters[p].value.bytes());
}

void BatchTensors::make_room_for_d_activation(std::int64_t rows) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::int64_t size = network_.nodes()[i].output_size;
    Buffer& kept = layers_[i].d_activation;
    if (kept.bytes() < static_cast<std::size_t>(rows * size) * size_of(network_.dtype())) kept = of_rows(rows, size);
  }
}

void BatchTensors::clear_carried(std::size_t mode) {
  for (LayerTensors& tensors : layers_)
    for (Buffer& carried : tensors.carried[mode])
      if (carried.bytes() > 0) std::memset(carried.data(), 0, carried.bytes());
}

std::uint64_t BatchTensors::bytes() const {
  std::uint64_t bytes = input.bytes() + target.bytes();
  const auto add = [&](const std::vector<Buffer>& buffers) {
    for (const Buffer& buffer : buffers) bytes += buffer.bytes();
  };
  for (const LayerTensors& tensors : layers_) {
    bytes += tensors.z.bytes() + tensors.a.bytes() + tensors.delta.bytes() + tensors.d_activation.bytes();
    add(tensors.saved);
    for (const auto& gradients : tensors.gradients) add(gradients);
    for (const auto& carried : tensors.carried) add(carried);
  }
  return bytes;
}

std::string BatchTensors::first_non_finite(std::int64_t rows) const {
  return dispatch(network_.dtype(), [&]<class T>(T) -> std::string {
    const auto find = [](const void* data, std::int64_t count) {
      return backplane::first_non_finite(static_cast<const T*>(data), count);
    };
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const LayerNode& node = network_.nodes()[i];
      for (const Parameter& parameter : node.parameters)
        if (const std::int64_t element = find(parameter.value.data(), parameter.count); element >= 0)
          return fmt::format("parameter '{}' of layer '{}', element {}", parameter.name, node.name(), element);
      const auto in_batch = [&](const char* tensor, std::int64_t element) {
        return fmt::format("{} of layer '{}', sample {} of the batch", tensor, node.name(), element / node.output_size);
      };
      const std::int64_t count = rows * node.output_size;
      if (const std::int64_t element = find(layers_[i].z.data(), count); element >= 0) return in_batch("z", element);
      if (const std::int64_t element = find(layers_[i].activation(), count); element >= 0)
        return in_batch("activation", element);
    }
    return {};
  });
}

}  // namespace backplane
