#include "trainer/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/error.h"
#include "parallel/tree_sum.h"
#include "random/philox.h"

namespace backplane {

namespace {

bool is_wanted(const Parameter& parameter, Gradients wanted) {
  return wanted == Gradients::all || parameter.trainable;
}

}  // namespace

Executor::Executor(Network& network, const Loss& loss, const MetricSet& metrics, Arena& arena, std::int64_t capacity,
                   std::int64_t slice_rows, std::uint64_t seed)
    : network_(network),
      loss_(loss),
      metrics_(metrics),
      arena_(arena),
      capacity_(capacity),
      slice_rows_(std::min(slice_rows, capacity)),
      element_(size_of(network.dtype())),
      stages_(cut_into_stages(network)),
      scratch_(plan_scratch(network, stages_, slice_rows_, element_)),
      batch_(network, scratch_, loss.outputs(), metrics.sums(), capacity, slices(capacity)),
      sums_(metrics.no_sums()),
      tiles_(cut_into_tiles(network)) {
  for (std::size_t i = 0; i < network_.nodes().size(); ++i) keys_.push_back(Stream(seed, Purpose::layer, i).bits(0));
  make_workers();
  std::vector<std::size_t> packed;
  for (std::size_t i = 0; i < batch_.layers(); ++i) {
    const LayerNode& node = network_.nodes()[i];
    if (node.plan.packed > 0) packed.push_back(i);
    if (node.plan.packed > 0 && !node.is_batch_wide()) layers_packed_whole_.push_back(i);
    if (!node.plan.state.empty()) layers_with_state_.push_back(i);
    if (node.plan.has_carried_state()) layers_with_carried_state_.push_back(i);
  }
  pack_whole(packed);
}

void Executor::make_workers() {
  std::uint64_t workspace = 0;
  const LayerNode* hungriest = nullptr;
  std::int64_t widest = 0;
  for (const LayerNode& node : network_.nodes()) {
    const bool sees_whole_batch = node.is_batch_wide() || !node.plan.state.empty();
    const std::int64_t rows = sees_whole_batch ? capacity_ : slice_rows_;
    const std::uint64_t bytes = node.plan.workspace_bytes(rows);
    if (bytes > workspace) workspace = bytes, hungriest = &node;
    widest = std::max(widest, node.output_size);
  }
  std::uint64_t largest_tile = 0;
  for (const Tile& tile : tiles_)
    if (network_.nodes()[tile.node].is_batch_wide())
      largest_tile = std::max(largest_tile, scratch_offset(tile, tile.ranges.size()));
  workers_.resize(static_cast<std::size_t>(arena_.threads()));
  for (Worker& worker : workers_) {
    for (const LayerNode& node : network_.nodes()) worker.calls.push_back(node.make_call(network_.dtype()));
    try {
      worker.workspace = Buffer(workspace);
    } catch (const std::bad_alloc&) {
      throw UserError(ExitCode::internal,
                      Diagnostic{.place = hungriest->layer.place(),
                                 .what = fmt::format("layer '{}': there is no memory for its workspace of {} bytes for "
                                                     "each of {} threads",
                                                     hungriest->name(), workspace, workers_.size()),
                                 .hint = "a smaller batch or network needs less"});
    }
    worker.gradients = Buffer(largest_tile);
    worker.passing = Buffer(scratch_.bytes);
    worker.d_input = Buffer(static_cast<std::size_t>(slice_rows_ * widest) * element_);
  }
}

std::uint64_t Executor::bytes() const {
  std::uint64_t bytes = batch_.bytes();
  for (const Worker& worker : workers_)
    bytes += worker.workspace.bytes() + worker.d_input.bytes() + worker.gradients.bytes() + worker.passing.bytes();
  return bytes;
}

Rows Executor::slice(std::int64_t index, std::int64_t rows) const {
  const std::int64_t begin = index * slice_rows_;
  return {begin, std::min(slice_rows_, rows - begin)};
}

void* Executor::at(void* tensor, std::int64_t row, std::int64_t size) const {
  return static_cast<char*>(tensor) + static_cast<std::size_t>(row * size) * element_;
}

const void* Executor::producer_rows(int producer, Rows rows) const {
  auto& self = const_cast<Executor&>(*this);
  if (producer == LayerNode::kData)
    return at(self.batch_.input.data(), rows.begin, element_count(network_.input_shape()));
  return at(self.batch_[static_cast<std::size_t>(producer)].activation(), rows.begin,
            network_.nodes()[static_cast<std::size_t>(producer)].output_size);
}

LayerCall& Executor::begin_call(std::size_t index, Rows rows) {
  const LayerNode& node = network_.nodes()[index];
  LayerTensors& tensors = batch_[index];
  Worker& worker = workers_[static_cast<std::size_t>(Arena::worker())];
  LayerCall& call = worker.calls[index];
  const bool is_training = pass_.mode == Mode::training;
  call.begin({.rows = rows,
              .batch_rows = pass_.rows,
              .step = pass_.step,
              .is_training = is_training,
              .random_key = keys_[index]});
  for (std::size_t k = 0; k < node.inputs.size(); ++k) call.set_input(k, producer_rows(node.inputs[k], rows));
  for (std::size_t k = 0; k < tensors.saved.size(); ++k)
    call.set_saved(k, at(tensors.saved[k].data(), rows.begin, element_count(node.plan.saved[k].sample_shape)));
  auto& carried = tensors.carried[static_cast<std::size_t>(pass_.mode)];
  for (std::size_t k = 0; k < carried.size(); ++k)
    if (node.plan.state[k].kind == BP_STATE_CARRIED)
      call.set_state(k, at(carried[k].data(), rows.begin, element_count(node.plan.state[k].shape)));
  call.set_output(z_rows(index, rows));
  call.set_delta(delta_rows(index, rows));
  call.set_workspace(worker.workspace.data(), worker.workspace.bytes());
  if (has_lengths_ && node.is_over_time) call.set_lengths(batch_.lengths.data() + rows.begin);
  if (is_training && node.plan.has_batch_sums())
    call.set_batch_sums(tensors.forward_sums[0].data(), tensors.backward_sums[0].data());
  return call;
}

void* Executor::z_rows(std::size_t index, Rows rows) {
  if (scratch_.z[index] && pass_.keep == Keep::no)
    return workers_[static_cast<std::size_t>(Arena::worker())].passing.as<char>() + *scratch_.z[index];
  return at(batch_[index].z.data(), rows.begin, network_.nodes()[index].output_size);
}

void* Executor::delta_rows(std::size_t index, Rows rows) {
  if (scratch_.delta[index] && pass_.keep == Keep::no)
    return workers_[static_cast<std::size_t>(Arena::worker())].passing.as<char>() + *scratch_.delta[index];
  return at(batch_[index].delta.data(), rows.begin, network_.nodes()[index].output_size);
}

const char* Batch::split() const {
  if (data->validation && samples == &*data->validation) return "validation";
  return data->test && samples == &*data->test ? "test" : "training";
}

void Executor::begin_pass(const Batch& batch, Mode mode, std::uint64_t step, Keep keep) {
  pass_ = {.step = step, .mode = mode, .rows = batch.count, .keep = keep, .batch = &batch};
  if (keep == Keep::yes) batch_.make_room_for_kept();
  has_lengths_ = !batch.samples->lengths.empty();
  if (batch.is_start) batch_.clear_carried(static_cast<std::size_t>(mode));
}

template <class Body>
void Executor::for_each_slice(const Body& body) {
  arena_.for_each(slices(pass_.rows), [&](std::int64_t index) { body(index, slice(index, pass_.rows)); });
}

void Executor::gather(const Batch& batch, std::int64_t index, Rows rows) {
  const TaskLog::Span span(log(), Work::data, -1, static_cast<std::int32_t>(index));
  const std::int64_t input_size = element_count(network_.input_shape()), outputs = loss_.outputs();
  dispatch(network_.dtype(), [&]<class T>(T) {
    for (std::int64_t n = rows.begin; n < rows.begin + rows.count; ++n) {
      if (batch.epoch)
        batch.data->gather_augmented(*batch.samples, batch.indices[n], *batch.epoch,
                                     batch_.input.as<T>() + n * input_size);
      else
        batch.data->gather_input(*batch.samples, batch.indices[n], batch_.input.as<T>() + n * input_size);
      gather_target(*batch.samples, batch.indices[n], outputs, batch_.target.as<T>() + n * outputs);
      if (!has_lengths_) continue;
      std::int64_t& length = batch_.lengths[static_cast<std::size_t>(n)];
      length = batch.samples->lengths[static_cast<std::size_t>(batch.indices[n])];
      // Beyond the length there may be anything, NaN too, which would look like a fault in checkpoints and traces.
      std::fill(batch_.target.as<T>() + n * outputs + loss_.valid_outputs(&length),
                batch_.target.as<T>() + (n + 1) * outputs, T(0));
    }
  });
}

void Executor::forward_layers(Stage stage, std::int64_t index, Rows rows) {
  for (std::size_t i = stage.begin; i < stage.end; ++i) {
    const TaskLog::Span span(log(), Work::forward, i, index);
    const LayerNode& node = network_.nodes()[i];
    forward_layer(i, rows);
    node.activate(z_rows(i, rows), at(batch_[i].a.data(), rows.begin, node.output_size), rows.count);
  }
}

void Executor::forward_layer(std::size_t index, Rows rows) {
  try {
    begin_call(index, rows).forward();
  } catch (const UserError& error) {
    if (error.code() != ExitCode::bad_data) throw;
    if (rows.count > 1)  // again, one by one, for the sample that it is
      for (std::int64_t n = rows.begin; n < rows.begin + rows.count; ++n) forward_layer(index, {n, 1});
    std::vector<Diagnostic> findings = error.diagnostics();
    if (rows.count == 1)
      findings.front().what +=
          fmt::format("; it is sample {} of the {} split (counted from 0)",
                      pass_.batch->samples->source_index(pass_.batch->indices[rows.begin]), pass_.batch->split());
    findings.front().hint = "see what the layers before it make of such a sample, and mend them or the sample";
    throw UserError(error.code(), std::move(findings));
  }
}

void Executor::collect_forward(std::size_t index, std::int64_t slice_index, Rows rows) {
  const LayerNode& node = network_.nodes()[index];
  if (node.plan.forward_sums == 0) return;
  const TaskLog::Span span(log(), Work::forward, index, slice_index);
  begin_call(index, rows).collect_forward(batch_[index].forward_sums[static_cast<std::size_t>(slice_index)]);
}

void Executor::collect_backward(std::size_t index, std::int64_t slice_index, Rows rows) {
  const LayerNode& node = network_.nodes()[index];
  if (node.plan.backward_sums == 0) return;
  begin_call(index, rows).collect_backward(batch_[index].backward_sums[static_cast<std::size_t>(slice_index)]);
}

void Executor::total(std::vector<std::vector<double>>& sums) const {
  for (std::int64_t s = 1; s < slices(pass_.rows); ++s)
    for (std::size_t i = 0; i < sums[0].size(); ++i) sums[0][i] += sums[static_cast<std::size_t>(s)][i];
}

void Executor::forward_to_last_stage(const Batch& batch) {
  if (pass_.mode == Mode::evaluation) return;
  for (std::size_t s = 0; s + 1 < stages_.size(); ++s) {
    const std::size_t next = stages_[s].end;
    for_each_slice([&](std::int64_t index, Rows rows) {
      if (s == 0) gather(batch, index, rows);
      forward_layers(stages_[s], index, rows);
      collect_forward(next, index, rows);
    });
    total(batch_[next].forward_sums);
  }
}

void Executor::finish_forward(const Batch& batch, std::int64_t index, Rows rows, bool with_gradient) {
  const bool is_whole = pass_.mode == Mode::evaluation || stages_.size() == 1;
  if (is_whole) gather(batch, index, rows);
  forward_layers(is_whole ? Stage{0, batch_.layers()} : stages_.back(), index, rows);
  evaluate_loss(index, rows, with_gradient);
}

void Executor::evaluate_loss(std::int64_t index, Rows rows, bool with_gradient) {
  const TaskLog::Span span(log(), Work::loss, -1, static_cast<std::int32_t>(index));
  const std::int64_t at = rows.begin * loss_.outputs();
  dispatch(network_.dtype(), [&]<class T>(T) {
    LayerTensors& last = batch_[batch_.layers() - 1];
    const Loss::Samples<T> samples{.z = last.z.as<T>() + at,
                                   .a = static_cast<const T*>(last.activation()) + at,
                                   .target = batch_.target.as<T>() + at,
                                   .lengths = has_lengths_ ? batch_.lengths.data() + rows.begin : nullptr,
                                   .count = rows.count};
    loss_.evaluate<T>(samples, batch_.losses.data() + rows.begin, 1.0 / static_cast<double>(pass_.rows),
                      with_gradient ? last.delta.as<T>() + at : nullptr);
    metrics_.evaluate<T>(loss_, samples,
                         batch_.metric_sums.data() + static_cast<std::size_t>(rows.begin) * metrics_.sums());
  });
}

const MetricSums& Executor::forward(const Batch& batch, Mode mode, std::uint64_t step, Keep keep) {
  begin_pass(batch, mode, step, keep);
  forward_to_last_stage(batch);
  for_each_slice([&](std::int64_t index, Rows rows) { finish_forward(batch, index, rows, false); });
  return sum_up();
}

const MetricSums& Executor::forward_backward(const Batch& batch, std::uint64_t step, Gradients wanted, Keep keep,
                                             std::int64_t capture_rows) {
  begin_pass(batch, Mode::training, step, keep);
  capture_rows = std::min(capture_rows, capacity_);
  if (capture_rows > 0) batch_.make_room_for_d_activation(capture_rows);
  forward_to_last_stage(batch);
  for (std::size_t s = stages_.size(); s-- > 0;) {
    const bool is_last = s + 1 == stages_.size();
    if (!is_last) total(batch_[stages_[s].end].backward_sums);
    for_each_slice([&](std::int64_t index, Rows rows) {
      if (is_last) {
        finish_forward(batch, index, rows, true);
      } else {
        const TaskLog::Span span(log(), Work::backward, stages_[s].end, index);
        backward_layer(stages_[s].end, index, rows, wanted);
      }
      backward_layers(stages_[s], index, rows, wanted, capture_rows);
    });
  }
  return sum_up();
}

void Executor::backward_layers(Stage stage, std::int64_t index, Rows rows, Gradients wanted,
                               std::int64_t capture_rows) {
  for (std::size_t i = stage.end; i-- > stage.begin;) {
    const TaskLog::Span span(log(), Work::backward, i, index);
    make_delta(i, rows, capture_rows);
    if (network_.nodes()[i].plan.has_batch_sums()) return collect_backward(i, index, rows);  // the stage's first layer
    backward_layer(i, index, rows, wanted);
  }
}

void Executor::make_delta(std::size_t i, Rows rows, std::int64_t capture_rows) {
  const LayerNode& node = network_.nodes()[i];
  LayerTensors& tensors = batch_[i];
  if (i + 1 == batch_.layers() && loss_.gives_delta()) return;
  // δ = ∂C/∂a ⊙ σ'(z), in place.
  void* delta = delta_rows(i, rows);
  if (const std::int64_t kept = std::min(rows.count, capture_rows - rows.begin); kept > 0)
    std::memcpy(at(tensors.d_activation.data(), rows.begin, node.output_size), delta,
                static_cast<std::size_t>(kept * node.output_size) * element_);
  node.multiply_by_slope(z_rows(i, rows), at(tensors.a.data(), rows.begin, node.output_size), delta, rows.count);
}

void Executor::update_state(Mode mode) {
  BP_ASSERT(mode == pass_.mode);
  const auto& layers = mode == Mode::training ? layers_with_state_ : layers_with_carried_state_;
  arena_.for_each(std::ssize(layers), [&](std::int64_t i) {
    const std::size_t node = layers[static_cast<std::size_t>(i)];
    const TaskLog::Span span(log(), Work::state, static_cast<std::int32_t>(node));
    begin_call(node, {0, pass_.rows}).update_state();
  });
}

void Executor::backward_layer(std::size_t index, std::int64_t slice_index, Rows rows, Gradients wanted) {
  const LayerNode& node = network_.nodes()[index];
  LayerTensors& tensors = batch_[index];
  LayerCall& call = begin_call(index, rows);
  if (!node.is_batch_wide())
    for (std::size_t p = 0; p < node.parameters.size(); ++p)
      if (is_wanted(node.parameters[p], wanted)) {
        Buffer& part = tensors.gradients[static_cast<std::size_t>(slice_index)][p];
        std::memset(part.data(), 0, part.bytes());
        call.want_d_parameter(p, part.data());
      }
  for (std::size_t k = 0; k < node.inputs.size(); ++k)
    if (node.inputs[k] != LayerNode::kData && !tensors.adds[k])
      call.want_d_input(k, delta_rows(static_cast<std::size_t>(node.inputs[k]), rows));
  call.backward();
  // A second consumer's ∂C/∂a goes through the worker's scratch, of which there is one: such inputs are asked for
  // one at a time.
  void* scratch = workers_[static_cast<std::size_t>(Arena::worker())].d_input.data();
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    if (!tensors.adds[k]) continue;
    LayerCall& again = begin_call(index, rows);
    again.want_d_input(k, scratch);
    again.backward();
    const auto producer = static_cast<std::size_t>(node.inputs[k]);
    dispatch(network_.dtype(), [&]<class T>(T) {
      void* parts[] = {delta_rows(producer, rows), scratch};
      tree_sum<T>(parts, 2, 0, rows.count * network_.nodes()[producer].output_size);
    });
  }
}

std::uint64_t Executor::scratch_offset(const Tile& tile, std::size_t ranges) const {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < ranges; ++i) {
    const auto used = static_cast<std::uint64_t>(tile.ranges[i].end - tile.ranges[i].begin) * element_;
    bytes += (used + Buffer::kAlignment - 1) / Buffer::kAlignment * Buffer::kAlignment;
  }
  return bytes;
}

void* Executor::tile_gradient(const Tile& tile, std::size_t range) {
  const auto& [parameter, begin, end] = tile.ranges[range];
  if (keeps_gradients_ || !network_.nodes()[tile.node].is_batch_wide())
    return at(batch_[tile.node].gradients[0][parameter].data(), begin, 1);
  return workers_[static_cast<std::size_t>(Arena::worker())].gradients.as<char>() + scratch_offset(tile, range);
}

bool Executor::compute_gradient(const Tile& tile, Gradients wanted) {
  const LayerNode& node = network_.nodes()[tile.node];
  if (std::none_of(tile.ranges.begin(), tile.ranges.end(),
                   [&](const Tile::Range& range) { return is_wanted(node.parameters[range.parameter], wanted); }))
    return false;
  node.is_batch_wide() ? multiply_gradient(tile, wanted) : reduce_gradient(tile, wanted);
  return true;
}

void Executor::reduce_gradient(const Tile& tile, Gradients wanted) {
  const TaskLog::Span span(log(), Work::reduction, tile.node, tile.number);
  const LayerNode& node = network_.nodes()[tile.node];
  const LayerTensors& tensors = batch_[tile.node];
  for (const Tile::Range& range : tile.ranges)
    if (is_wanted(node.parameters[range.parameter], wanted))
      dispatch(network_.dtype(), [&]<class T>(T) {
        tree_sum<T>(tensors.parts[range.parameter].data(), slices(pass_.rows), range.begin, range.end);
      });
}

void Executor::multiply_gradient(const Tile& tile, Gradients wanted) {
  const TaskLog::Span span(log(), Work::gradient, tile.node, tile.number);
  const LayerNode& node = network_.nodes()[tile.node];
  LayerCall& call = begin_call(tile.node, {0, pass_.rows});
  for (std::size_t i = 0; i < tile.ranges.size(); ++i) {
    const auto& [parameter, begin, end] = tile.ranges[i];
    if (!is_wanted(node.parameters[parameter], wanted)) continue;
    void* gradient = tile_gradient(tile, i);
    if (!node.plan.writes_gradients) std::memset(gradient, 0, static_cast<std::size_t>(end - begin) * element_);
    call.want_d_parameter(parameter, gradient);
  }
  call.gradient(tile.unit_begin, tile.unit_end);
}

void Executor::pack(const Tile& tile) {
  const LayerNode& node = network_.nodes()[tile.node];
  if (node.plan.packed == 0 || !node.is_batch_wide()) return;
  const TaskLog::Span span(log(), Work::pack, tile.node, tile.number);
  begin_call(tile.node, {0, 0}).pack(tile.unit_begin, tile.unit_end);
}

void Executor::pack_whole(const std::vector<std::size_t>& layers) {
  arena_.for_each(std::ssize(layers), [&](std::int64_t i) {
    const std::size_t node = layers[static_cast<std::size_t>(i)];
    const TaskLog::Span span(log(), Work::pack, static_cast<std::int32_t>(node));
    begin_call(node, {0, 0}).pack();
  });
}

const MetricSums& Executor::sum_up() {
  sums_.clear();
  for (std::size_t n = 0; n < static_cast<std::size_t>(pass_.rows); ++n) {
    sums_.loss_sum += batch_.losses[n];
    for (std::size_t i = 0; i < metrics_.sums(); ++i) sums_.metrics[i] += batch_.metric_sums[n * metrics_.sums() + i];
    sums_.predictions += loss_.steps(has_lengths_ ? &batch_.lengths[n] : nullptr);
  }
  return sums_;
}

}  // namespace backplane
