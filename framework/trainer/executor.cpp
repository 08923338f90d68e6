#include "trainer/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "parallel/tree_sum.h"

namespace backplane {

namespace {

bool is_wanted(const Parameter& parameter, Gradients wanted) {
  return wanted == Gradients::all || parameter.trainable;
}

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// [0, count) cut into at most `parts` ranges of a multiple of `grain`.
template <class Body>
void cut(std::int64_t count, std::int64_t parts, std::int64_t grain, Body body) {
  const std::int64_t size = std::max(grain, round_up((count + parts - 1) / parts, grain));
  for (std::int64_t begin = 0; begin < count; begin += size) body(begin, std::min(begin + size, count));
}

}  // namespace

std::int64_t Executor::default_slice_rows(std::int64_t batch_size) {
  // 16 rows already run the kernels at their full speed; more than 16 slices only where batches are large enough
  // to feed more workers with slices of that size.
  return std::clamp<std::int64_t>(round_up((batch_size + 15) / 16, 16), 16, 64);
}

Executor::Executor(Network& network, const Loss& loss, Arena& arena, std::int64_t capacity, std::int64_t slice_rows)
    : network_(network),
      loss_(loss),
      arena_(arena),
      capacity_(capacity),
      slice_rows_(std::min(slice_rows, capacity)),
      element_(size_of(network.dtype())) {
  make_tensors();
  make_tiles();
  make_workers();
  for (std::size_t i = 0; i < tensors_.size(); ++i) prepare_layer(i);
}

void Executor::make_tensors() {
  const auto per_sample = [&](std::int64_t size) {
    return Buffer(static_cast<std::size_t>(capacity_ * size) * element_);
  };
  input_ = per_sample(element_count(network_.input_shape()));
  target_ = per_sample(loss_.outputs());
  losses_.resize(static_cast<std::size_t>(capacity_));
  correct_.resize(static_cast<std::size_t>(capacity_));
  for (const LayerNode& node : network_.nodes()) {
    Tensors& tensors = tensors_.emplace_back();
    tensors.z = per_sample(node.output_size);
    if (node.activation) tensors.a = per_sample(node.output_size);
    tensors.delta = per_sample(node.output_size);
    for (const SavedTensor& saved : node.plan.saved)
      tensors.saved.push_back(per_sample(element_count(saved.sample_shape)));
    tensors.gradients.resize(static_cast<std::size_t>(node.is_batch_wide() ? 1 : slices(capacity_)));
    for (auto& gradients : tensors.gradients)
      for (const Parameter& parameter : node.parameters) gradients.emplace_back(parameter.value.bytes());
    tensors.adds.resize(node.inputs.size());
  }
  // Backward visits layers from the last to the first: the last consumer of a tensor is the one that writes it.
  std::vector<bool> written(tensors_.size(), false);
  for (std::size_t i = tensors_.size(); i-- > 0;)
    for (std::size_t k = 0; k < tensors_[i].adds.size(); ++k)
      if (const int producer = network_.nodes()[i].inputs[k]; producer != LayerNode::kData) {
        tensors_[i].adds[k] = written[static_cast<std::size_t>(producer)];
        written[static_cast<std::size_t>(producer)] = true;
      }
}

void Executor::make_tiles() {
  constexpr std::int64_t kTilesPerLayer = 16, kUnits = 16, kElements = 4096;
  for (std::size_t i = 0; i < network_.nodes().size(); ++i) {
    const LayerNode& node = network_.nodes()[i];
    if (node.is_batch_wide() && !node.parameters.empty())
      cut(node.plan.gradient_units, kTilesPerLayer, kUnits, [&](std::int64_t begin, std::int64_t end) {
        Tile tile{.node = i, .unit_begin = begin, .unit_end = end, .ranges = {}};
        for (std::size_t p = 0; p < node.parameters.size(); ++p) {
          const std::int64_t unit = node.parameters[p].count / node.plan.gradient_units;
          tile.ranges.push_back({p, begin * unit, end * unit});
        }
        tiles_.push_back(std::move(tile));
      });
    else
      for (std::size_t p = 0; p < node.parameters.size(); ++p)
        cut(node.parameters[p].count, kTilesPerLayer, kElements, [&](std::int64_t begin, std::int64_t end) {
          tiles_.push_back({.node = i, .unit_begin = 0, .unit_end = 0, .ranges = {{p, begin, end}}});
        });
  }
}

void Executor::make_workers() {
  std::uint64_t workspace = 0;
  std::int64_t widest = 0;
  for (const LayerNode& node : network_.nodes()) {
    const std::int64_t rows = node.is_batch_wide() ? capacity_ : slice_rows_;
    workspace = std::max(workspace,
                         node.plan.workspace_fixed + node.plan.workspace_per_sample * static_cast<std::uint64_t>(rows));
    widest = std::max(widest, node.output_size);
  }
  workers_.resize(static_cast<std::size_t>(arena_.threads()));
  for (Worker& worker : workers_) {
    for (const LayerNode& node : network_.nodes()) worker.frames.emplace_back(network_, node);
    worker.workspace = Buffer(workspace);
    worker.d_input = Buffer(static_cast<std::size_t>(slice_rows_ * widest) * element_);
  }
}

Executor::Rows Executor::slice(std::int64_t index, std::int64_t rows) const {
  const std::int64_t begin = index * slice_rows_;
  return {begin, std::min(slice_rows_, rows - begin)};
}

void* Executor::at(void* tensor, std::int64_t row, std::int64_t size) const {
  return static_cast<char*>(tensor) + static_cast<std::size_t>(row * size) * element_;
}

const void* Executor::producer_rows(int producer, Rows rows) const {
  auto& self = const_cast<Executor&>(*this);
  if (producer == LayerNode::kData) return at(self.input_.data(), rows.begin, element_count(network_.input_shape()));
  return at(self.tensors_[static_cast<std::size_t>(producer)].activation(), rows.begin,
            network_.nodes()[static_cast<std::size_t>(producer)].output_size);
}

bp_call& Executor::start_call(std::size_t index, Rows rows, std::uint64_t step, bool training) {
  const LayerNode& node = network_.nodes()[index];
  Tensors& tensors = tensors_[index];
  Worker& worker = workers_[static_cast<std::size_t>(Arena::worker())];
  CallFrame& frame = worker.frames[index];
  bp_call& call = frame.start(rows.begin, rows.count, step, training);
  for (std::size_t k = 0; k < node.inputs.size(); ++k) frame.set_input(k, producer_rows(node.inputs[k], rows));
  for (std::size_t k = 0; k < tensors.saved.size(); ++k)
    frame.set_saved(k, at(tensors.saved[k].data(), rows.begin, element_count(node.plan.saved[k].sample_shape)));
  call.output.data = at(tensors.z.data(), rows.begin, node.output_size);
  call.delta.data = at(tensors.delta.data(), rows.begin, node.output_size);
  call.workspace = worker.workspace.data();
  call.workspace_bytes = worker.workspace.bytes();
  return call;
}

bp_call& Executor::start_backward(std::size_t index, Rows rows) {
  bp_call& call = start_call(index, rows, step_, true);
  const std::uint32_t needs = network_.nodes()[index].plan.needs;
  CallFrame& frame = workers_[static_cast<std::size_t>(Arena::worker())].frames[index];
  if ((needs & BP_NEEDS_INPUTS) == 0)
    for (std::size_t k = 0; k < network_.nodes()[index].inputs.size(); ++k) frame.set_input(k, nullptr);
  if ((needs & BP_NEEDS_OUTPUT) == 0) call.output.data = nullptr;
  return call;
}

void Executor::gather(const Batch& batch, Rows rows) {
  const std::int64_t input_size = element_count(network_.input_shape()), outputs = loss_.outputs();
  dispatch(network_.dtype(), [&]<class T>(T) {
    for (std::int64_t n = rows.begin; n < rows.begin + rows.count; ++n) {
      batch.data->gather_input(*batch.samples, batch.indices[n], input_.as<T>() + n * input_size);
      gather_target(*batch.samples, batch.indices[n], outputs, target_.as<T>() + n * outputs);
    }
  });
}

void Executor::forward_slice(Rows rows, std::uint64_t step, bool training) {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const LayerNode& node = network_.nodes()[i];
    bp_call& call = start_call(i, rows, step, training);
    node.layer.forward(call);
    if (node.activation)
      node.activation->forward(call.output.data, at(tensors_[i].a.data(), rows.begin, node.output_size),
                               call.output.count / node.features(), node.features());
  }
}

void Executor::evaluate_loss(Rows rows) {
  const std::int64_t F = loss_.outputs();
  dispatch(network_.dtype(), [&]<class T>(T) {
    loss_.evaluate(tensors_.back().z.as<T>() + rows.begin * F,
                   static_cast<const T*>(tensors_.back().activation()) + rows.begin * F,
                   target_.as<T>() + rows.begin * F, rows.count, losses_.data() + rows.begin,
                   correct_.data() + rows.begin);
  });
}

void Executor::loss_gradient(Rows rows, std::int64_t batch_rows) {
  const std::int64_t F = loss_.outputs();
  dispatch(network_.dtype(), [&]<class T>(T) {
    loss_.gradient(tensors_.back().z.as<T>() + rows.begin * F,
                   static_cast<const T*>(tensors_.back().activation()) + rows.begin * F,
                   target_.as<T>() + rows.begin * F, rows.count, 1.0 / static_cast<double>(batch_rows),
                   tensors_.back().delta.as<T>() + rows.begin * F);
  });
}

BatchResult Executor::forward(const Batch& batch, Mode mode, std::uint64_t step) {
  rows_ = batch.count;
  arena_.for_each(slices(batch.count), [&](std::int64_t index) {
    const Rows rows = slice(index, batch.count);
    gather(batch, rows);
    forward_slice(rows, step, mode == Mode::training);
    evaluate_loss(rows);
  });
  return sum_up(batch.count);
}

BatchResult Executor::forward_backward(const Batch& batch, std::uint64_t step, Gradients wanted,
                                       std::int64_t capture_rows) {
  rows_ = batch.count;
  step_ = step;
  capture_rows = std::min(capture_rows, capacity_);
  if (capture_rows > 0)
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      tensors_[i].d_activation =
          Buffer(static_cast<std::size_t>(capture_rows * network_.nodes()[i].output_size) * element_);
  arena_.for_each(slices(batch.count), [&](std::int64_t index) {
    const Rows rows = slice(index, batch.count);
    gather(batch, rows);
    forward_slice(rows, step, true);
    evaluate_loss(rows);
    loss_gradient(rows, batch.count);
    backward_slice(index, rows, wanted, capture_rows);
  });
  return sum_up(batch.count);
}

void Executor::backward_slice(std::int64_t index, Rows rows, Gradients wanted, std::int64_t capture_rows) {
  for (std::size_t i = tensors_.size(); i-- > 0;) {
    const LayerNode& node = network_.nodes()[i];
    Tensors& tensors = tensors_[i];
    const auto rows_of = [&](Buffer& buffer) { return at(buffer.data(), rows.begin, node.output_size); };
    const bool is_delta_already = i + 1 == tensors_.size() && loss_.gives_delta();
    // δ = ∂C/∂a ⊙ σ'(z), in place; the loss may have given δ of the last layer itself.
    if (const std::int64_t kept = std::min(rows.count, capture_rows - rows.begin); kept > 0 && !is_delta_already)
      std::memcpy(rows_of(tensors.d_activation), rows_of(tensors.delta),
                  static_cast<std::size_t>(kept * node.output_size) * element_);
    if (node.activation && !is_delta_already)
      node.activation->backward(rows_of(tensors.z), rows_of(tensors.a), rows_of(tensors.delta), rows_of(tensors.delta),
                                rows.count * node.output_size / node.features(), node.features());
    backward_layer(i, index, rows, wanted);
  }
}

void Executor::backward_layer(std::size_t index, std::int64_t slice_index, Rows rows, Gradients wanted) {
  const LayerNode& node = network_.nodes()[index];
  Tensors& tensors = tensors_[index];
  Worker& worker = workers_[static_cast<std::size_t>(Arena::worker())];
  bp_call& call = start_backward(index, rows);
  bool is_asked = std::any_of(node.plan.saved.begin(), node.plan.saved.end(),
                              [](const SavedTensor& saved) { return saved.written_by == BP_SAVED_BY_BACKWARD; });
  if (!node.is_batch_wide())
    for (std::size_t p = 0; p < node.parameters.size(); ++p)
      if (is_wanted(node.parameters[p], wanted)) {
        Buffer& accumulator = tensors.gradients[static_cast<std::size_t>(slice_index)][p];
        std::memset(accumulator.data(), 0, accumulator.bytes());
        worker.frames[index].set_d_parameter(p, accumulator.data());
        is_asked = true;
      }
  const auto ask_input = [&](std::size_t k) -> void* {
    const int producer = node.inputs[k];
    if (producer == LayerNode::kData) return nullptr;
    is_asked = true;
    if (tensors.adds[k]) return worker.d_input.data();
    const auto p = static_cast<std::size_t>(producer);
    return at(tensors_[p].delta.data(), rows.begin, network_.nodes()[p].output_size);
  };
  // A second consumer's ∂C/∂a goes through the worker's scratch, of which there is one: such inputs are asked for
  // one at a time.
  for (std::size_t k = 0; k < node.inputs.size(); ++k)
    if (!tensors.adds[k]) worker.frames[index].set_d_input(k, ask_input(k));
  if (is_asked) node.layer.backward(call);
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    if (!tensors.adds[k]) continue;
    start_backward(index, rows);
    worker.frames[index].set_d_input(k, ask_input(k));
    node.layer.backward(call);
    const auto p = static_cast<std::size_t>(node.inputs[k]);
    const std::int64_t size = network_.nodes()[p].output_size;
    dispatch(network_.dtype(), [&]<class T>(T) {
      T* parts[] = {tensors_[p].delta.as<T>() + rows.begin * size, worker.d_input.as<T>()};
      tree_sum(parts, 2, 0, rows.count * size);
    });
  }
}

void Executor::gradient_of(const Tile& tile, Gradients wanted) {
  const LayerNode& node = network_.nodes()[tile.node];
  Tensors& tensors = tensors_[tile.node];
  if (!node.is_batch_wide()) {
    for (const Tile::Range& range : tile.ranges)
      if (is_wanted(node.parameters[range.parameter], wanted))
        dispatch(network_.dtype(), [&]<class T>(T) {
          std::vector<T*> parts;
          for (std::int64_t s = 0; s < slices(rows_); ++s)
            parts.push_back(tensors.gradients[static_cast<std::size_t>(s)][range.parameter].template as<T>());
          tree_sum(parts.data(), slices(rows_), range.begin, range.end);
        });
    return;
  }
  bp_call& call = start_backward(tile.node, {0, rows_});
  call.unit_begin = tile.unit_begin;
  call.unit_end = tile.unit_end;
  for (const Tile::Range& range : tile.ranges) {
    if (!is_wanted(node.parameters[range.parameter], wanted)) continue;
    void* gradient = tensors.gradients[0][range.parameter].data();
    std::memset(at(gradient, range.begin, 1), 0, static_cast<std::size_t>(range.end - range.begin) * element_);
    workers_[static_cast<std::size_t>(Arena::worker())].frames[tile.node].set_d_parameter(range.parameter, gradient);
  }
  node.layer.backward(call);
}

void Executor::for_each_gradient_tile(Gradients wanted, const std::function<void(const Tile&)>& use) {
  for_each_tile([&](const Tile& tile) {
    const LayerNode& node = network_.nodes()[tile.node];
    if (std::none_of(tile.ranges.begin(), tile.ranges.end(),
                     [&](const Tile::Range& r) { return is_wanted(node.parameters[r.parameter], wanted); }))
      return;
    gradient_of(tile, wanted);
    use(tile);
  });
}

void Executor::for_each_tile(const std::function<void(const Tile&)>& use) {
  arena_.for_each(static_cast<std::int64_t>(tiles_.size()),
                  [&](std::int64_t i) { use(tiles_[static_cast<std::size_t>(i)]); });
}

void Executor::prepare(const Tile& tile) {
  const LayerNode& node = network_.nodes()[tile.node];
  if (node.plan.prepared == 0 || !node.is_batch_wide()) return;
  bp_call& call = start_call(tile.node, {0, 0}, step_, true);
  call.unit_begin = tile.unit_begin;
  call.unit_end = tile.unit_end;
  node.layer.prepare(call);
}

void Executor::prepare_layer(std::size_t index) {
  if (network_.nodes()[index].plan.prepared > 0)
    arena_.for_each(1, [&](std::int64_t) {
      network_.nodes()[index].layer.prepare(start_call(index, {0, 0}, step_, true));
    });
}

void Executor::prepare_untiled_layers() {
  for (std::size_t i = 0; i < tensors_.size(); ++i)
    if (!network_.nodes()[i].is_batch_wide()) prepare_layer(i);
}

BatchResult Executor::sum_up(std::int64_t rows) const {
  BatchResult result;
  for (std::int64_t n = 0; n < rows; ++n) {
    result.loss_sum += losses_[static_cast<std::size_t>(n)];
    result.correct += correct_[static_cast<std::size_t>(n)];
  }
  return result;
}

std::string Executor::first_non_finite(std::int64_t rows) const {
  return dispatch(network_.dtype(), [&]<class T>(T) -> std::string {
    const auto find = [](const void* data, std::int64_t count) {
      const T* values = static_cast<const T*>(data);
      const T* found = std::find_if(values, values + count, [](T v) { return !std::isfinite(v); });
      return found == values + count ? std::int64_t{-1} : found - values;
    };
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const LayerNode& node = network_.nodes()[i];
      for (const Parameter& parameter : node.parameters)
        if (const std::int64_t element = find(parameter.value.data(), parameter.count); element >= 0)
          return fmt::format("parameter '{}' of layer '{}', element {}", parameter.name, node.name(), element);
      const auto in_batch = [&](const char* tensor, std::int64_t element) {
        return fmt::format("{} of layer '{}', sample {} of the batch", tensor, node.name(), element / node.output_size);
      };
      if (const std::int64_t element = find(z(i), rows * node.output_size); element >= 0) return in_batch("z", element);
      if (const std::int64_t element = find(activation(i), rows * node.output_size); element >= 0)
        return in_batch("activation", element);
    }
    return {};
  });
}

}  // namespace backplane
