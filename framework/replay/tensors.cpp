#include "replay/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "replay/checks.h"
#include "model_state/axes.h"
#include "model_state/catalogue.h"
#include "random/philox.h"

namespace backplane {

ReplayTensors::ReplayTensors(const ReplayContext& context, std::size_t index)
    : c_(context),
      index_(index),
      node_(context.network.nodes()[index]),
      stored_(context.snapshot.layers[index]),
      call_(node_.make_call(context.dtype())),
      key_(Stream(context.experiment.seed, Purpose::layer, index).bits(0)) {
  take_parameters();
  take_outputs();
  take_inputs();
  take_saved();
  take_state();
  workspace_ = Buffer(node_.plan.workspace_bytes(std::max(c_.batch, c_.slice_rows)));
  if (node_.plan.packed == 0) return;
  begin({0, 0});
  call_.pack();
}

void ReplayTensors::take_parameters() {
  for (const LayerTensor& tensor : tensors_of(c_.network, index_, c_.loss.gives_delta(), {})) {
    if (tensor.kind->lifetime != TensorLifetime::kept || tensor.extent != TensorExtent::layer) continue;
    const StoredTensor& stored = require_stored(stored_, tensor.name, tensor.shape, c_.dtype(), c_.source);
    std::memcpy(tensor.writable_data(c_.network), stored.data.data(), stored.data.bytes());
  }
}

void ReplayTensors::take_outputs() {
  const Shape output = with_batch(c_.stored, node_.plan.output);
  const auto take = [&](const char* name) {
    return c_.filled_up(require_stored(stored_, name, output, c_.dtype(), c_.source).data.data(), node_.output_size);
  };
  z = take("z"), a = take("activation"), delta = take("delta");
  if (find_stored(stored_, "activation_gradient") != nullptr) d_a = take("activation_gradient");
  new_z = c_.per_sample(node_.plan.output);
  new_a = c_.per_sample(node_.plan.output);
  new_delta = c_.per_sample(node_.plan.output);
  forward_sums.assign(static_cast<std::size_t>(node_.plan.forward_sums), 0.0);
  backward_sums.assign(static_cast<std::size_t>(node_.plan.backward_sums), 0.0);
}

void ReplayTensors::take_inputs() {
  for (std::size_t k = 0; k < node_.inputs.size(); ++k) {
    const int producer = node_.inputs[k];
    const StoredTensor* tensor =
        producer == LayerNode::kData
            ? &c_.snapshot.input
            : &require_stored(c_.snapshot.layers[static_cast<std::size_t>(producer)], "activation",
                              with_batch(c_.stored, node_.input_shapes[k]), c_.dtype(), c_.source);
    inputs_.push_back(c_.filled_up(tensor->data.data(), element_count(node_.input_shapes[k])));
    d_inputs.push_back(c_.per_sample(node_.input_shapes[k]));
  }
  for (std::int64_t n = 0; n < c_.rows() && !c_.snapshot.lengths.empty(); ++n)
    lengths_.push_back(c_.snapshot.lengths[static_cast<std::size_t>(n % c_.stored)]);
}

/// What backward reads is what the checkpoint holds, where it holds it.
void ReplayTensors::take_saved() {
  for (const SavedTensor& saved : node_.plan.saved) {
    const StoredTensor* tensor = find_stored(stored_, saved.name);
    const bool is_there = tensor != nullptr && tensor->shape == with_batch(c_.stored, saved.sample_shape);
    saved_.push_back(is_there ? c_.filled_up(tensor->data.data(), element_count(saved.sample_shape)) : Buffer());
    new_saved.push_back(c_.per_sample(saved.sample_shape));
  }
}

void ReplayTensors::take_state() {
  for (const StateTensor& state : node_.plan.state) {
    const StoredTensor* tensor = find_stored(stored_, "state/" + state.name);
    Buffer& carried = carried_.emplace_back();
    if (state.kind != BP_STATE_CARRIED) continue;
    if (tensor == nullptr || tensor->shape.empty() || tensor->shape != with_batch(tensor->shape[0], state.shape) ||
        tensor->shape[0] < c_.rows())
      fail_foreign(c_.source, node_.name(), fmt::format("the checkpoint has no state '{}' of this shape", state.name));
    carried = Buffer(tensor->data.bytes());
    std::memcpy(carried.data(), tensor->data.data(), tensor->data.bytes());
  }
}

void ReplayTensors::begin(Rows rows) {
  call_.begin({.rows = rows,
               .batch_rows = c_.batch,
               .step = static_cast<std::uint64_t>(c_.snapshot.step + 1),
               .is_training = true,
               .random_key = key_});
  for (std::size_t k = 0; k < inputs_.size(); ++k)
    call_.set_input(k, row(inputs_[k], rows.begin, element_count(node_.input_shapes[k])));
  for (std::size_t k = 0; k < carried_.size(); ++k)
    if (node_.plan.state[k].kind == BP_STATE_CARRIED)
      call_.set_state(k, row(carried_[k], rows.begin, element_count(node_.plan.state[k].shape)));
  call_.set_workspace(workspace_.data(), workspace_.bytes());
  if (node_.is_over_time) call_.set_lengths(lengths(rows.begin));
  if (node_.plan.has_batch_sums()) call_.set_batch_sums(forward_sums.data(), backward_sums.data());
}

template <class IsNew>
void ReplayTensors::set_saved(Rows rows, const IsNew& is_new) {
  for (std::size_t k = 0; k < new_saved.size(); ++k) {
    Buffer& tensor = is_new(node_.plan.saved[k]) || saved_[k].bytes() == 0 ? new_saved[k] : saved_[k];
    call_.set_saved(k, row(tensor, rows.begin, element_count(node_.plan.saved[k].sample_shape)));
  }
}

LayerCall& ReplayTensors::begin_forward(Rows rows) {
  begin(rows);
  set_saved(rows, [](const SavedTensor&) { return true; });
  call_.set_output(row(new_z, rows.begin, node_.output_size));
  call_.set_delta(row(new_delta, rows.begin, node_.output_size));
  return call_;
}

LayerCall& ReplayTensors::begin_backward(Rows rows) {
  begin(rows);
  set_saved(rows, [](const SavedTensor& saved) { return saved.written_by == BP_SAVED_BY_BACKWARD; });
  call_.set_output(row(z, rows.begin, node_.output_size));
  call_.set_delta(row(delta, rows.begin, node_.output_size));
  return call_;
}

}  // namespace backplane
