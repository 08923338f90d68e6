#include "experiment/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/suggest.h"
#include "experiment/experiment.h"
#include "experiment/tensor_names.h"
#include "parallel/arena.h"
#include "parallel/tree_sum.h"
#include "random/philox.h"
#include "tensor/ulps.h"
#include "trainer/call_frame.h"
#include "trainer/slice.h"
#include "trainer/tile.h"

namespace backplane {

namespace {

[[noreturn]] void fail_foreign(const std::string& layer, const std::string& what) {
  throw UserError(ExitCode::bad_data, fmt::format("layer '{}': {}", layer, what),
                  "replay it with a build of the plug-in that has the same parameters and shapes");
}

const StoredTensor* find(const StoredLayer& layer, const std::string& name) {
  const auto found = layer.tensors.find(name);
  return found == layer.tensors.end() ? nullptr : &found->second;
}

/// A stored tensor that the layer, as it is planned now, has with this shape.
const StoredTensor& require(const StoredLayer& layer, const std::string& name, const Shape& shape, DType dtype) {
  const StoredTensor* tensor = find(layer, name);
  if (tensor == nullptr) fail_foreign(layer.name, fmt::format("the checkpoint has no {}", name));
  if (tensor->shape != shape || tensor->dtype != dtype)
    fail_foreign(layer.name, fmt::format("{} has shape {} in the checkpoint, the layer now wants {}", name,
                                         to_string(tensor->shape), to_string(shape)));
  return *tensor;
}

template <class T>
ReplayedTensor compare(std::string name, Shape shape, const T* stored, const T* replayed) {
  ReplayedTensor found{.name = std::move(name), .shape = std::move(shape), .why_not = {}};
  found.elements = element_count(found.shape);
  for (std::int64_t i = 0; i < found.elements; ++i) {
    if (std::memcmp(stored + i, replayed + i, sizeof(T)) == 0) continue;
    const std::uint64_t ulps = ulps_between(stored[i], replayed[i]);
    if (found.different++ > 0 && ulps <= found.worst_ulps) continue;
    found.worst_ulps = ulps;
    found.worst_element = i;
    found.stored = static_cast<double>(stored[i]);
    found.replayed = static_cast<double>(replayed[i]);
  }
  return found;
}

struct Rows {
  std::int64_t begin, count;
};

/// What all layers of a replay share.
struct Context {
  const Snapshot& snapshot;
  const Experiment& experiment;
  Network& network;
  const Loss& loss;
  std::int64_t batch, stored, slice_rows;

  DType dtype() const { return network.dtype(); }
  bool has_whole_batch() const { return stored == batch; }
  std::int64_t slices() const { return (stored + slice_rows - 1) / slice_rows; }
  Rows slice(std::int64_t index) const {
    return {index * slice_rows, std::min(slice_rows, batch - index * slice_rows)};
  }
  /// Rows of all slices that have stored rows.
  std::int64_t rows() const { return std::min(slices() * slice_rows, batch); }

  Buffer per_sample(const Shape& sample) const {
    return Buffer(static_cast<std::size_t>(rows() * element_count(sample)) * size_of(dtype()));
  }
  /// The stored rows, then copies of them in turn up to the end of the last slice.
  Buffer filled_up(const void* data, std::int64_t sample_size) const {
    const std::size_t row = static_cast<std::size_t>(sample_size) * size_of(dtype());
    Buffer filled(static_cast<std::size_t>(rows()) * row);
    for (std::int64_t n = 0; n < rows() && row > 0; ++n)
      std::memcpy(filled.as<char>() + static_cast<std::size_t>(n) * row,
                  static_cast<const char*>(data) + static_cast<std::size_t>(n % stored) * row, row);
    return filled;
  }
  std::string needs_all_rows(const char* what) const {
    return fmt::format("{} all {} rows of the batch, of which {} are stored", what, batch, stored);
  }
};

/// One layer, by itself.
class LayerReplay {
 public:
  LayerReplay(const Context& context, std::size_t index)
      : c_(context),
        index_(index),
        node_(context.network.nodes()[index]),
        stored_(context.snapshot.layers[index]),
        frame_(context.network, node_),
        key_(Stream(context.experiment.seed, Purpose::layer, index).bits(0)) {
    take_parameters();
    take_tensors();
    workspace_ = Buffer(node_.plan.workspace_fixed + node_.plan.workspace_per_sample *
                                                         static_cast<std::uint64_t>(std::max(c_.batch, c_.slice_rows)));
    if (node_.plan.prepared > 0) node_.layer.prepare(start({0, 0}));
  }

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
  void take_parameters() {
    for (Parameter& parameter : node_.parameters) {
      const StoredTensor& tensor = require(stored_, "weights/" + parameter.name, parameter.shape, c_.dtype());
      std::memcpy(parameter.value.data(), tensor.data.data(), tensor.data.bytes());
    }
    for (SharedState& shared : node_.shared_state) {
      const StateTensor& state = node_.plan.state[shared.declared];
      const StoredTensor& tensor = require(stored_, "state/" + state.name, state.shape, c_.dtype());
      std::memcpy(shared.value.data(), tensor.data.data(), tensor.data.bytes());
    }
  }

  void take_tensors() {
    const Shape output = with_batch(c_.stored, node_.plan.output);
    const auto take = [&](const char* name) {
      return c_.filled_up(require(stored_, name, output, c_.dtype()).data.data(), node_.output_size);
    };
    z_ = take("z"), a_ = take("activation"), delta_ = take("delta");
    if (find(stored_, "activation_gradient") != nullptr) d_a_ = take("activation_gradient");
    for (std::size_t k = 0; k < node_.inputs.size(); ++k) {
      const int producer = node_.inputs[k];
      const StoredTensor* tensor = producer == LayerNode::kData
                                       ? &c_.snapshot.input
                                       : &require(c_.snapshot.layers[static_cast<std::size_t>(producer)], "activation",
                                                  with_batch(c_.stored, node_.input_shapes[k]), c_.dtype());
      inputs_.push_back(c_.filled_up(tensor->data.data(), element_count(node_.input_shapes[k])));
      d_inputs_.push_back(c_.per_sample(node_.input_shapes[k]));
    }
    // What backward reads is what the checkpoint holds, where it holds it.
    for (const SavedTensor& saved : node_.plan.saved) {
      const StoredTensor* tensor = find(stored_, saved.name);
      const bool is_there = tensor != nullptr && tensor->shape == with_batch(c_.stored, saved.sample_shape);
      saved_.push_back(is_there ? c_.filled_up(tensor->data.data(), element_count(saved.sample_shape)) : Buffer());
      new_saved_.push_back(c_.per_sample(saved.sample_shape));
    }
    for (const StateTensor& state : node_.plan.state) {
      const StoredTensor* tensor = find(stored_, "state/" + state.name);
      Buffer& carried = carried_.emplace_back();
      if (state.kind != BP_STATE_CARRIED) continue;
      if (tensor == nullptr || tensor->shape.empty() || tensor->shape != with_batch(tensor->shape[0], state.shape) ||
          tensor->shape[0] < c_.rows())
        fail_foreign(node_.name(), fmt::format("the checkpoint has no state '{}' of this shape", state.name));
      carried = Buffer(tensor->data.bytes());
      std::memcpy(carried.data(), tensor->data.data(), tensor->data.bytes());
    }
    for (std::int64_t n = 0; n < c_.rows() && !c_.snapshot.lengths.empty(); ++n)
      lengths_.push_back(c_.snapshot.lengths[static_cast<std::size_t>(n % c_.stored)]);
    new_z_ = c_.per_sample(node_.plan.output);
    new_a_ = c_.per_sample(node_.plan.output);
    new_delta_ = c_.per_sample(node_.plan.output);
    forward_sums_.assign(static_cast<std::size_t>(node_.plan.forward_sums), 0.0);
    backward_sums_.assign(static_cast<std::size_t>(node_.plan.backward_sums), 0.0);
  }

  static void* row(Buffer& buffer, std::int64_t row, std::int64_t size, DType dtype) {
    return buffer.as<char>() + static_cast<std::size_t>(row * size) * size_of(dtype);
  }
  void* row(Buffer& buffer, std::int64_t begin, std::int64_t size) const {
    return row(buffer, begin, size, c_.dtype());
  }

  /// A call as in training, before it is said what is read and what is written.
  bp_call& start(Rows rows) {
    bp_call& call =
        frame_.start(rows.begin, rows.count, static_cast<std::uint64_t>(c_.snapshot.step + 1), /*training=*/true);
    for (std::size_t k = 0; k < inputs_.size(); ++k)
      frame_.set_input(k, row(inputs_[k], rows.begin, element_count(node_.input_shapes[k])));
    for (std::size_t k = 0; k < carried_.size(); ++k)
      if (node_.plan.state[k].kind == BP_STATE_CARRIED)
        frame_.set_state(k, row(carried_[k], rows.begin, element_count(node_.plan.state[k].shape)));
    call.workspace = workspace_.data();
    call.workspace_bytes = workspace_.bytes();
    call.batch_samples = c_.batch;
    call.random_key = key_;
    if (!lengths_.empty() && node_.is_over_time) call.lengths = lengths_.data() + rows.begin;
    if (node_.plan.has_batch_sums()) {
      call.forward_sums = forward_sums_.data();
      call.backward_sums = backward_sums_.data();
    }
    return call;
  }

  bp_call& start_forward(Rows rows) {
    bp_call& call = start(rows);
    set_saved(rows, [](const SavedTensor&) { return true; });
    call.output.data = row(new_z_, rows.begin, node_.output_size);
    call.delta.data = row(new_delta_, rows.begin, node_.output_size);
    return call;
  }

  bp_call& start_backward(Rows rows) {
    bp_call& call = start(rows);
    set_saved(rows, [](const SavedTensor& saved) { return saved.written_by == BP_SAVED_BY_BACKWARD; });
    if ((node_.plan.needs & BP_NEEDS_INPUTS) == 0)
      for (std::size_t k = 0; k < inputs_.size(); ++k) frame_.set_input(k, nullptr);
    if ((node_.plan.needs & BP_NEEDS_OUTPUT) != 0) call.output.data = row(z_, rows.begin, node_.output_size);
    call.delta.data = row(delta_, rows.begin, node_.output_size);
    return call;
  }

  template <class IsNew>
  void set_saved(Rows rows, const IsNew& is_new) {
    for (std::size_t k = 0; k < new_saved_.size(); ++k) {
      Buffer& tensor = is_new(node_.plan.saved[k]) || saved_[k].bytes() == 0 ? new_saved_[k] : saved_[k];
      frame_.set_saved(k, row(tensor, rows.begin, element_count(node_.plan.saved[k].sample_shape)));
    }
  }

  template <class Body>
  void for_each_slice(const Body& body) {
    for (std::int64_t i = 0; i < c_.slices(); ++i) body(i, c_.slice(i));
  }

  /// Every slice's part of `total`, added in slice order as in training.
  template <class Collect>
  void sum_over_batch(std::vector<double>& total, const Collect& collect) {
    std::vector<double> sums(total.size(), 0.0);
    for_each_slice([&](std::int64_t index, Rows rows) {
      std::vector<double> part(total.size(), 0.0);
      collect(rows, part.data());
      if (index == 0) sums = part;
      for (std::size_t i = 0; index > 0 && i < sums.size(); ++i) sums[i] += part[i];
    });
    total = sums;
  }

  void compare_stored(const std::string& name, const Shape& shape, const void* replayed) {
    const StoredTensor* tensor = find(stored_, name);
    if (tensor == nullptr || tensor->shape != shape)
      return leave_out(name, shape, "the checkpoint has none of this shape");
    result_.tensors.push_back(dispatch(c_.dtype(), [&]<class T>(T) {
      return compare<T>(name, shape, tensor->data.as<T>(), static_cast<const T*>(replayed));
    }));
  }
  void leave_out(const std::string& name, const Shape& shape, const std::string& why) {
    result_.tensors.push_back({.name = name, .shape = shape, .why_not = why});
  }
  Shape output_shape() const { return with_batch(c_.stored, node_.plan.output); }

  void run_forward() {
    if (node_.plan.forward_sums > 0 && !c_.has_whole_batch())
      return leave_out("z", output_shape(), c_.needs_all_rows("its statistics are of"));
    if (node_.plan.forward_sums > 0)
      sum_over_batch(forward_sums_, [&](Rows rows, double* part) {
        bp_call& call = start_forward(rows);
        call.forward_sums = part;
        node_.layer.collect_forward(call);
      });
    for_each_slice([&](std::int64_t, Rows rows) { node_.layer.forward(start_forward(rows)); });
    compare_stored("z", output_shape(), new_z_.data());
    compare_saved(BP_SAVED_BY_FORWARD);
  }

  void compare_saved(std::uint32_t written_by) {
    for (std::size_t k = 0; k < new_saved_.size(); ++k)
      if (const SavedTensor& saved = node_.plan.saved[k]; saved.written_by == written_by)
        compare_stored(saved.name, with_batch(c_.stored, saved.sample_shape), new_saved_[k].data());
  }

  void run_activation() {
    if (!node_.activation) return;
    for_each_slice([&](std::int64_t, Rows rows) {
      node_.activation->forward(row(z_, rows.begin, node_.output_size), row(new_a_, rows.begin, node_.output_size),
                                rows.count * node_.output_size / node_.features(), node_.features());
    });
    compare_stored("activation", output_shape(), new_a_.data());
  }

  /// Of the last layer: the loss of each sample, and δ or ∂C/∂a.
  void run_loss() {
    if (index_ + 1 != c_.network.nodes().size()) return;
    std::vector<double> losses(static_cast<std::size_t>(c_.rows()));
    std::vector<std::int64_t> correct(losses.size());
    Buffer target = c_.filled_up(c_.snapshot.target.data.data(), node_.output_size);
    for_each_slice([&](std::int64_t, Rows rows) {
      dispatch(c_.dtype(), [&]<class T>(T) {
        const auto at = [&](Buffer& buffer) { return static_cast<T*>(row(buffer, rows.begin, node_.output_size)); };
        c_.loss.evaluate<T>({.z = at(z_),
                             .a = at(a_),
                             .target = at(target),
                             .lengths = lengths_.empty() ? nullptr : lengths_.data() + rows.begin,
                             .count = rows.count},
                            losses.data() + rows.begin, correct.data() + rows.begin,
                            1.0 / static_cast<double>(c_.batch), at(new_delta_));
      });
    });
    result_.tensors.push_back(
        compare<double>("loss of each sample", {c_.stored}, c_.snapshot.losses.data(), losses.data()));
    compare_stored(c_.loss.gives_delta() ? "delta" : "activation_gradient", output_shape(), new_delta_.data());
  }

  /// δ = ∂C/∂a ⊙ σ'(z); without an activation there is nothing to compute.
  void make_delta() {
    if (d_a_.bytes() == 0 || !node_.activation) return;
    for_each_slice([&](std::int64_t, Rows rows) {
      void* delta = row(new_delta_, rows.begin, node_.output_size);
      std::memcpy(delta, row(d_a_, rows.begin, node_.output_size),
                  static_cast<std::size_t>(rows.count * node_.output_size) * size_of(c_.dtype()));
      node_.activation->backward(row(z_, rows.begin, node_.output_size), row(a_, rows.begin, node_.output_size), delta,
                                 delta, rows.count * node_.output_size / node_.features(), node_.features());
    });
    compare_stored("delta", output_shape(), new_delta_.data());
  }

  void run_backward() {
    if (node_.plan.has_batch_sums() && !c_.has_whole_batch())
      return leave_out("backward", {}, c_.needs_all_rows("its sums are of"));
    if (node_.plan.backward_sums > 0)
      sum_over_batch(backward_sums_, [&](Rows rows, double* part) {
        bp_call& call = start_backward(rows);
        call.backward_sums = part;
        node_.layer.collect_backward(call);
      });
    const bool sums_slices = !node_.is_batch_wide();
    std::vector<std::vector<Buffer>> parts(node_.parameters.size());  // [parameter][slice]
    for_each_slice([&](std::int64_t, Rows rows) {
      bp_call& call = start_backward(rows);
      bool is_asked = std::ranges::any_of(
          node_.plan.saved, [](const SavedTensor& saved) { return saved.written_by == BP_SAVED_BY_BACKWARD; });
      for (std::size_t p = 0; sums_slices && p < node_.parameters.size(); ++p) {
        frame_.set_d_parameter(p, parts[p].emplace_back(node_.parameters[p].value.bytes()).data());
        is_asked = true;
      }
      for (std::size_t k = 0; k < node_.inputs.size(); ++k) {
        if (node_.inputs[k] == LayerNode::kData) continue;
        frame_.set_d_input(k, row(d_inputs_[k], rows.begin, element_count(node_.input_shapes[k])));
        is_asked = true;
      }
      if (is_asked) node_.layer.backward(call);
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
    const StoredTensor& tensor = require(producer, "activation_gradient", shape, c_.dtype());
    result_.tensors.push_back(dispatch(
        c_.dtype(), [&]<class T>(T) { return compare<T>(name, shape, tensor.data.as<T>(), d_inputs_[k].as<T>()); }));
  }

  void compare_gradient(std::size_t p, std::vector<Buffer>& parts) {
    const Parameter& parameter = node_.parameters[p];
    const std::string name = "gradients/" + parameter.name;
    if (!c_.has_whole_batch()) return leave_out(name, parameter.shape, c_.needs_all_rows("it sums over"));
    Buffer whole;
    if (node_.is_batch_wide()) {
      whole = Buffer(parameter.value.bytes());
      for (const Tile& tile : cut_into_tiles(c_.network)) {
        if (tile.node != index_) continue;
        bp_call& call = start_backward({0, c_.batch});
        call.unit_begin = tile.unit_begin;
        call.unit_end = tile.unit_end;
        frame_.set_d_parameter(p, whole.data());
        node_.layer.backward(call);
      }
    } else {
      std::vector<void*> slices;
      for (Buffer& part : parts) slices.push_back(part.data());
      dispatch(c_.dtype(), [&]<class T>(T) { tree_sum<T>(slices.data(), c_.slices(), 0, parameter.count); });
      whole = std::move(parts[0]);
    }
    compare_stored(name, parameter.shape, whole.data());
  }

  const Context& c_;
  const std::size_t index_;
  LayerNode& node_;
  const StoredLayer& stored_;
  CallFrame frame_;
  const std::uint64_t key_;
  ReplayedLayer result_;
  // As stored, filled up to whole slices:
  Buffer z_, a_, d_a_, delta_;
  std::vector<Buffer> inputs_, saved_, carried_;
  std::vector<std::int64_t> lengths_;
  // Computed again:
  Buffer new_z_, new_a_, new_delta_, workspace_;
  std::vector<Buffer> new_saved_, d_inputs_;
  std::vector<double> forward_sums_, backward_sums_;
};

/// What the loss has to know of the data, from the shape of the targets that are stored.
DataSet data_of(const Snapshot& snapshot, const Network& network) {
  DataSet data;
  data.input_shape = network.input_shape();
  data.steps = snapshot.target.shape.size() > 2 ? snapshot.target.shape[1] : 1;
  data.target_size = network.output().output_size / data.steps;
  data.train.targets = std::vector<double>{};
  return data;
}

void check_layers(const Snapshot& snapshot, const Network& network, const std::string& only) {
  std::vector<std::string> names;
  for (const LayerNode& node : network.nodes()) names.push_back(node.name());
  if (!only.empty() && std::ranges::find(names, only) == names.end())
    throw UserError(ExitCode::usage, Diagnostic{.what = fmt::format("the checkpoint has no layer '{}'", only),
                                                .nearest = nearest_name(only, names),
                                                .known = names});
  const auto same = [](const StoredLayer& layer, const std::string& name) { return layer.name == name; };
  if (!std::ranges::equal(snapshot.layers, names, same))
    throw UserError(ExitCode::bad_data, "the checkpoint's layers are not those of its /config");
}

/// What nobody but the file vouches for, before memory is laid out by it.
void check_numbers(const Snapshot& snapshot, const std::string& source, const Experiment& experiment,
                   const Network& network) {
  const auto require_of_file = [&](bool condition, const std::string& what) {
    if (!condition) throw UserError(ExitCode::bad_data, Diagnostic{.place = {.source = source}, .what = what});
  };
  const auto stored = static_cast<std::int64_t>(snapshot.sample_indices.size());
  const std::int64_t batch = snapshot.integers.at("batch_size");
  require_of_file(1 <= stored && stored <= batch && batch <= experiment.train.batch_size,
                  fmt::format("{} samples of a batch of {} are stored, where train.batch_size is {}", stored, batch,
                              experiment.train.batch_size));
  const Shape& input = snapshot.input.shape;
  const std::int64_t time = input.size() > 1 ? input[1] : 0;
  const auto is_length = [&](std::int64_t length) { return 0 <= length && length <= time; };
  require_of_file(snapshot.lengths.empty() ||
                      (std::ssize(snapshot.lengths) == stored && std::ranges::all_of(snapshot.lengths, is_length)),
                  fmt::format("/probe/length is no list of {} numbers from 0 to {}", stored, time));
  const LayerNode& last = network.output();
  require_of_file(snapshot.target.shape == with_batch(stored, last.plan.output) ||
                      snapshot.target.shape == Shape{stored, last.output_size},
                  fmt::format("/probe/target has shape {}, the last layer gives {}", to_string(snapshot.target.shape),
                              to_string(with_batch(stored, last.plan.output))));
  const auto require_type = [&](const StoredTensor& tensor, const std::string& name) {
    require_of_file(tensor.dtype == network.dtype(), fmt::format("{} is {}, the network computes in {}", name,
                                                                 name_of(tensor.dtype), name_of(network.dtype())));
  };
  require_type(snapshot.input, "/probe/input");
  require_type(snapshot.target, "/probe/target");
  for (const StoredLayer& layer : snapshot.layers)
    for (const auto& [name, tensor] : layer.tensors)
      if (!name.starts_with("optimizer/")) require_type(tensor, fmt::format("/layers/{}/{}", layer.name, name));
}

}  // namespace

Replay replay(const Snapshot& snapshot, const std::string& source, const Registry& registry, const std::string& only) {
  const Experiment experiment = read_experiment_text(snapshot.config, source + ":/config", registry);
  Network network(experiment.network, registry, Shape(snapshot.input.shape.begin() + 1, snapshot.input.shape.end()),
                  experiment.dtype, experiment.seed, experiment.train.l1, experiment.train.l2);
  check_layers(snapshot, network, only);
  check_numbers(snapshot, source, experiment, network);
  const Loss loss(experiment.network, network, data_of(snapshot, network));
  const Context context{
      .snapshot = snapshot,
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
      if (only.empty() || network.nodes()[i].name() == only) result.layers.push_back(LayerReplay(context, i)());
  });
  return result;
}

}  // namespace backplane
