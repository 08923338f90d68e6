#include "replay/layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "replay/checks.h"
#include "replay/compare.h"
#include "replay/tensors.h"
#include "model_state/axes.h"
#include "parallel/tree_sum.h"
#include "trainer/tile.h"

namespace backplane {

namespace {

/// Forward, activation, loss, δ and backward, in the order of training; after each, what it gives is compared.
class LayerReplay {
 public:
  LayerReplay(const ReplayContext& context, std::size_t index)
      : c_(context),
        index_(index),
        node_(context.network.nodes()[index]),
        stored_(context.snapshot.layers[index]),
        t_(context, index) {}

  ReplayedLayer operator()() {
    const PluginIdentity& plugin = node_.layer.plugin();
    result_ = {.name = node_.name(),
               .type = node_.layer.type().name,
               .activation = node_.activation_name,
               .plugin = plugin.id,
               .version = plugin.version,
               .sha256 = plugin.sha256,
               .stored_version = stored_.plugin_version,
               .stored_sha256 = stored_.plugin_sha256,
               .tensors = {}};
    run_forward();
    run_activation();
    run_loss();
    make_delta();
    run_backward();
    return std::move(result_);
  }

 private:
  /// Every slice's part of `total`, added in slice order as in training.
  template <class Collect>
  void sum_over_batch(std::vector<double>& total, const Collect& collect) {
    std::vector<double> sums(total.size(), 0.0);
    c_.for_each_slice([&](std::int64_t index, Rows rows) {
      std::vector<double> part(total.size());
      collect(rows, part);
      if (index == 0) sums = part;
      for (std::size_t i = 0; index > 0 && i < sums.size(); ++i) sums[i] += part[i];
    });
    total = sums;
  }

  void compare_stored(const std::string& name, const Shape& shape, const void* replayed) {
    const StoredTensor* tensor = find_stored(stored_, name);
    if (tensor == nullptr || tensor->shape != shape)
      return leave_out(name, shape, "the checkpoint has none of this shape");
    result_.tensors.push_back(compare_replayed(name, shape, c_.dtype(), tensor->data.data(), replayed));
  }
  void leave_out(const std::string& name, const Shape& shape, const std::string& why) {
    result_.tensors.push_back({.name = name, .shape = shape, .why_not = why});
  }
  Shape output_shape() const { return with_batch(c_.stored, node_.plan.output); }

  void run_forward() {
    if (node_.plan.forward_sums > 0 && !c_.has_whole_batch())
      return leave_out("z", output_shape(), needs_all_rows("its statistics are of"));
    if (node_.plan.forward_sums > 0)
      sum_over_batch(t_.forward_sums,
                     [&](Rows rows, std::vector<double>& part) { t_.begin_forward(rows).collect_forward(part); });
    c_.for_each_slice([&](std::int64_t, Rows rows) { t_.begin_forward(rows).forward(); });
    compare_stored("z", output_shape(), t_.new_z.data());
    compare_saved(BP_SAVED_BY_FORWARD);
  }

  void compare_saved(std::uint32_t written_by) {
    for (std::size_t k = 0; k < t_.new_saved.size(); ++k)
      if (const SavedTensor& saved = node_.plan.saved[k]; saved.written_by == written_by)
        compare_stored(saved.name, with_batch(c_.stored, saved.sample_shape), t_.new_saved[k].data());
  }

  void run_activation() {
    if (!node_.activation) return;
    c_.for_each_slice([&](std::int64_t, Rows rows) {
      node_.activate(t_.row(t_.z, rows.begin, node_.output_size), t_.row(t_.new_a, rows.begin, node_.output_size),
                     rows.count);
    });
    compare_stored("activation", output_shape(), t_.new_a.data());
  }

  /// Of the last layer: the loss of each sample, and δ or ∂C/∂a.
  void run_loss() {
    if (index_ + 1 != c_.network.nodes().size()) return;
    std::vector<double> losses(static_cast<std::size_t>(c_.rows()));
    Buffer target = c_.filled_up(c_.snapshot.target.data.data(), node_.output_size);
    c_.for_each_slice([&](std::int64_t, Rows rows) {
      dispatch(c_.dtype(), [&]<class T>(T) {
        const auto at = [&](Buffer& buffer) { return static_cast<T*>(t_.row(buffer, rows.begin, node_.output_size)); };
        c_.loss.evaluate<T>({.z = at(t_.z),
                             .a = at(t_.a),
                             .target = at(target),
                             .lengths = t_.lengths(rows.begin),
                             .count = rows.count},
                            losses.data() + rows.begin, 1.0 / static_cast<double>(c_.batch), at(t_.new_delta));
      });
    });
    result_.tensors.push_back(
        compare_replayed("loss of each sample", {c_.stored}, DType::float64, c_.snapshot.losses.data(), losses.data()));
    compare_stored(c_.loss.gives_delta() ? "delta" : "activation_gradient", output_shape(), t_.new_delta.data());
  }

  /// δ = ∂C/∂a ⊙ σ'(z); without an activation there is nothing to compute.
  void make_delta() {
    if (t_.d_a.bytes() == 0 || !node_.activation) return;
    c_.for_each_slice([&](std::int64_t, Rows rows) {
      void* delta = t_.row(t_.new_delta, rows.begin, node_.output_size);
      std::memcpy(delta, t_.row(t_.d_a, rows.begin, node_.output_size),
                  static_cast<std::size_t>(rows.count * node_.output_size) * size_of(c_.dtype()));
      node_.multiply_by_slope(t_.row(t_.z, rows.begin, node_.output_size), t_.row(t_.a, rows.begin, node_.output_size),
                              delta, rows.count);
    });
    compare_stored("delta", output_shape(), t_.new_delta.data());
  }

  void run_backward() {
    if (node_.plan.has_batch_sums() && !c_.has_whole_batch())
      return leave_out("backward", {}, needs_all_rows("its sums are of"));
    if (node_.plan.backward_sums > 0)
      sum_over_batch(t_.backward_sums,
                     [&](Rows rows, std::vector<double>& part) { t_.begin_backward(rows).collect_backward(part); });
    const bool sums_slices = !node_.is_batch_wide();
    std::vector<std::vector<Buffer>> parts(node_.parameters.size());  // [parameter][slice]
    c_.for_each_slice([&](std::int64_t, Rows rows) {
      LayerCall& call = t_.begin_backward(rows);
      for (std::size_t p = 0; sums_slices && p < node_.parameters.size(); ++p)
        call.want_d_parameter(p, parts[p].emplace_back(node_.parameters[p].value.bytes()).data());
      for (std::size_t k = 0; k < node_.inputs.size(); ++k)
        if (node_.inputs[k] != LayerNode::kData)
          call.want_d_input(k, t_.row(t_.d_inputs[k], rows.begin, element_count(node_.input_shapes[k])));
      call.backward();
    });
    compare_saved(BP_SAVED_BY_BACKWARD);
    for (std::size_t k = 0; k < node_.inputs.size(); ++k) compare_d_input(k);
    for (std::size_t p = 0; p < node_.parameters.size(); ++p) compare_gradient(p, parts[p]);
  }

  /// ∂C/∂a of the layer that feeds this one.
  void compare_d_input(std::size_t k) {
    if (node_.inputs[k] == LayerNode::kData) return;
    const StoredLayer& producer = c_.snapshot.layers[static_cast<std::size_t>(node_.inputs[k])];
    const std::string name = fmt::format("activation_gradient of '{}'", producer.name);
    const Shape shape = with_batch(c_.stored, node_.input_shapes[k]);
    std::int64_t consumers = 0;
    for (const LayerNode& node : c_.network.nodes())
      consumers += std::count(node.inputs.begin(), node.inputs.end(), node_.inputs[k]);
    if (consumers > 1) return leave_out(name, shape, fmt::format("{} inputs are fed by it and add to it", consumers));
    const auto* stored = require_stored(producer, "activation_gradient", shape, c_.dtype(), c_.source).data.data();
    result_.tensors.push_back(compare_replayed(name, shape, c_.dtype(), stored, t_.d_inputs[k].data()));
  }

  void compare_gradient(std::size_t p, std::vector<Buffer>& parts) {
    const Parameter& parameter = node_.parameters[p];
    const std::string name = "gradients/" + parameter.name;
    if (!c_.has_whole_batch()) return leave_out(name, parameter.shape, needs_all_rows("it sums over"));
    Buffer whole;
    if (node_.is_batch_wide()) {
      whole = Buffer(parameter.value.bytes());
      for (const Tile& tile : cut_into_tiles(c_.network)) {
        if (tile.node != index_) continue;
        LayerCall& call = t_.begin_backward({0, c_.batch});
        call.want_d_parameter(p, t_.row(whole, tile.unit_begin, parameter.count / node_.plan.gradient_units));
        call.gradient(tile.unit_begin, tile.unit_end);
      }
    } else {
      std::vector<void*> slices;
      for (Buffer& part : parts) slices.push_back(part.data());
      dispatch(c_.dtype(), [&]<class T>(T) { tree_sum<T>(slices.data(), c_.slices(), 0, parameter.count); });
      whole = std::move(parts[0]);
    }
    compare_stored(name, parameter.shape, whole.data());
  }

  std::string needs_all_rows(const char* what) const {
    return fmt::format("{} all {} rows of the batch, of which {} are stored", what, c_.batch, c_.stored);
  }

  const ReplayContext& c_;
  const std::size_t index_;
  LayerNode& node_;
  const StoredLayer& stored_;
  ReplayTensors t_;
  ReplayedLayer result_;
};

}  // namespace

ReplayedLayer replay_layer(const ReplayContext& context, std::size_t index) {
  return LayerReplay(context, index)();
}

}  // namespace backplane
