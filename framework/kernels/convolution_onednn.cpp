// float32 convolutions: oneDNN on images as they are (channels last) and on weights in the blocked order that it
// prefers. The order is asked for once per shape, for kNominalSamples, and kept for every number of samples.

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <unordered_map>
#include <utility>

#include "kernels/convolution.h"
#include "kernels/onednn.h"
#include "tensor/buffer.h"

namespace backplane::kernels {

namespace {

using dnnl::memory;

constexpr std::int64_t kNominalSamples = 16;
constexpr auto kF32 = memory::data_type::f32;

/// What oneDNN chooses depends on OpenMP's number of threads, and a plan is made outside the arena.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

dnnl::primitive_attr own_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

/// The descriptors of one convolution, for weights in any of their three orders.
class Descriptors {
 public:
  Descriptors(const Convolution& shape, std::int64_t samples, const dnnl::engine& engine)
      : shape_(shape),
        engine_(engine),
        a_({samples, shape.inputs, shape.height.in, shape.width.in}, kF32, memory::format_tag::nhwc),
        z_({samples, shape.outputs, shape.height.out, shape.width.out}, kF32, memory::format_tag::nhwc),
        b_({shape.outputs}, kF32, memory::format_tag::x) {}

  const memory::desc& a() const { return a_; }
  const memory::desc& z() const { return z_; }
  const memory::desc& b() const { return b_; }
  memory::desc any_weights() const { return weights(memory::format_tag::any, memory::format_tag::any); }
  memory::desc plain_weights() const { return weights(memory::format_tag::oihw, memory::format_tag::goihw); }

  dnnl::convolution_forward::primitive_desc forward(const memory::desc& W, bool has_bias) const {
    const auto kind = dnnl::prop_kind::forward_training;
    const auto with = [&](const auto&... operands) {
      return describe<dnnl::convolution_forward>(engine_, own_scratchpad(), kind, kDirect, operands..., strides(),
                                                 gaps(), before(), after());
    };
    return has_bias ? with(a_, W, b_, z_) : with(a_, W, z_);
  }
  dnnl::convolution_backward_data::primitive_desc backward_inputs(const memory::desc& W) const {
    return describe_backward<dnnl::convolution_backward_data>(engine_, own_scratchpad(), forward(any_weights(), false),
                                                              kDirect, a_, W, z_, strides(), gaps(), before(), after());
  }
  dnnl::convolution_backward_weights::primitive_desc backward_weights(const memory::desc& d_W, bool has_bias) const {
    const auto with = [&](const auto&... operands) {
      return describe_backward<dnnl::convolution_backward_weights>(engine_, own_scratchpad(),
                                                                   forward(any_weights(), false), kDirect, operands...,
                                                                   strides(), gaps(), before(), after());
    };
    return has_bias ? with(a_, d_W, b_, z_) : with(a_, d_W, z_);
  }

 private:
  static constexpr auto kDirect = dnnl::algorithm::convolution_direct;

  memory::desc weights(memory::format_tag whole, memory::format_tag grouped) const {
    const std::int64_t O = shape_.group_outputs(), I = shape_.group_inputs();
    const std::int64_t KH = shape_.height.kernel, KW = shape_.width.kernel;
    if (shape_.groups == 1) return {{O, I, KH, KW}, kF32, whole};
    return {{shape_.groups, O, I, KH, KW}, kF32, grouped};
  }
  memory::dims strides() const { return {shape_.height.stride, shape_.width.stride}; }
  memory::dims gaps() const { return {shape_.height.dilation - 1, shape_.width.dilation - 1}; }
  memory::dims before() const { return {shape_.height.before, shape_.width.before}; }
  memory::dims after() const { return {shape_.height.after, shape_.width.after}; }

  const Convolution& shape_;
  const dnnl::engine& engine_;
  memory::desc a_, z_, b_;
};

/// The orders of weights that the three kernels of one convolution use, and where they lie in `packed`.
struct Orders {
  memory::desc plain, forward, backward_inputs, d_weights;

  static std::size_t aligned(std::size_t bytes) { return (bytes + Buffer::kAlignment - 1) & ~(Buffer::kAlignment - 1); }
  std::size_t backward_inputs_offset() const { return aligned(forward.get_size()); }
  std::size_t d_bias_offset() const { return aligned(d_weights.get_size()); }  ///< within the workspace
  std::size_t packed_bytes() const { return backward_inputs_offset() + backward_inputs.get_size(); }
};

/// A primitive with the memory objects that its operands are put into call by call.
struct Primitive {
  dnnl::primitive run;
  std::unordered_map<int, memory> operands;
  std::size_t scratchpad_bytes = 0;
};

/// The three kernels, and the three reorders of weights around them, which no number of samples concerns.
enum class Kind : std::int64_t {
  forward,
  forward_with_bias,
  backward_inputs,
  backward_weights,
  backward_weights_and_bias,
  pack_forward,
  pack_backward_inputs,
  add_gradient,
};

/// Everything that a primitive is made for.
struct Key {
  Convolution shape;
  std::int64_t samples = 0;
  Kind kind = Kind::forward;
  bool operator==(const Key&) const = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = 0xcbf29ce484222325u;
    const auto add = [&](std::int64_t part) { hash = (hash ^ static_cast<std::uint64_t>(part)) * 0x100000001b3u; };
    for (const Axis& axis : {key.shape.height, key.shape.width})
      for (const std::int64_t part :
           {axis.in, axis.out, axis.kernel, axis.stride, axis.dilation, axis.before, axis.after})
        add(part);
    for (const std::int64_t part : {key.shape.inputs, key.shape.outputs, key.shape.groups, key.samples}) add(part);
    add(static_cast<std::int64_t>(key.kind));
    return hash;
  }
};

/// Primitives and their memory objects belong to a thread: they hold the operands of the call that runs. A thread
/// never enters a convolution twice at once, since nothing in it waits for tasks.
class Cache {
 public:
  static Cache& of_this_thread() {
    thread_local Cache cache;
    return cache;
  }

  const Orders& orders(const Convolution& shape) {
    const Key key{shape, 0, Kind::forward};
    if (const auto found = orders_.find(key); found != orders_.end()) return found->second;
    const OneThread one;
    const Descriptors nominal(shape, kNominalSamples, engine_);
    const memory::desc any = nominal.any_weights();
    return orders_
        .emplace(key, Orders{.plain = nominal.plain_weights(),
                             .forward = nominal.forward(any, true).weights_desc(),
                             .backward_inputs = nominal.backward_inputs(any).weights_desc(),
                             .d_weights = nominal.backward_weights(any, true).diff_weights_desc()})
        .first->second;
  }

  /// Runs a primitive on `operands`: pairs of DNNL_ARG_… and data.
  void run(const Key& key, std::initializer_list<std::pair<int, const void*>> operands) {
    const OneThread one;
    Primitive& primitive = at(key);
    for (const auto& [argument, data] : operands)
      primitive.operands.at(argument).set_data_handle(const_cast<void*>(data));
    if (scratchpad_.bytes() < primitive.scratchpad_bytes) scratchpad_ = Buffer(primitive.scratchpad_bytes);
    primitive.operands.at(DNNL_ARG_SCRATCHPAD).set_data_handle(scratchpad_.data());
    primitive.run.execute(stream_, primitive.operands);
  }

 private:
  Primitive& at(const Key& key) {
    if (const auto found = primitives_.find(key); found != primitives_.end()) return found->second;
    return primitives_.emplace(key, make(key)).first->second;
  }

  Primitive make(const Key& key) {
    const Orders& order = orders(key.shape);
    const Descriptors described(key.shape, std::max<std::int64_t>(key.samples, 1), engine_);
    switch (key.kind) {
      case Kind::forward:
      case Kind::forward_with_bias: {
        const auto chosen = described.forward(order.forward, key.kind == Kind::forward_with_bias);
        return make(dnnl::convolution_forward(chosen), chosen,
                    {{DNNL_ARG_SRC, described.a()},
                     {DNNL_ARG_WEIGHTS, order.forward},
                     {DNNL_ARG_BIAS, described.b()},
                     {DNNL_ARG_DST, described.z()}});
      }
      case Kind::backward_inputs: {
        const auto chosen = described.backward_inputs(order.backward_inputs);
        return make(dnnl::convolution_backward_data(chosen), chosen,
                    {{DNNL_ARG_DIFF_SRC, described.a()},
                     {DNNL_ARG_WEIGHTS, order.backward_inputs},
                     {DNNL_ARG_DIFF_DST, described.z()}});
      }
      case Kind::backward_weights:
      case Kind::backward_weights_and_bias: {
        const auto chosen = described.backward_weights(order.d_weights, key.kind == Kind::backward_weights_and_bias);
        return make(dnnl::convolution_backward_weights(chosen), chosen,
                    {{DNNL_ARG_SRC, described.a()},
                     {DNNL_ARG_DIFF_WEIGHTS, order.d_weights},
                     {DNNL_ARG_DIFF_BIAS, described.b()},
                     {DNNL_ARG_DIFF_DST, described.z()}});
      }
      case Kind::pack_forward: return make_reorder(order.plain, order.forward, false);
      case Kind::pack_backward_inputs: return make_reorder(order.plain, order.backward_inputs, false);
      case Kind::add_gradient: break;
    }
    return make_reorder(order.d_weights, order.plain, true);
  }

  /// to = from in another order; with `add`, to += from.
  Primitive make_reorder(const memory::desc& from, const memory::desc& to, bool add) {
    dnnl::primitive_attr attributes = own_scratchpad();
    if (add) {
      dnnl::post_ops sum;
      sum.append_sum(1.0f);
      attributes.set_post_ops(sum);
    }
    const dnnl::reorder::primitive_desc chosen(engine_, from, engine_, to, attributes);
    return make(dnnl::reorder(chosen), chosen, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }

  template <class Description>
  Primitive make(dnnl::primitive run, const Description& chosen,
                 std::initializer_list<std::pair<int, memory::desc>> operands) {
    Primitive primitive{.run = std::move(run)};
    for (const auto& [argument, order] : operands)
      primitive.operands.emplace(argument, memory(order, engine_, nullptr));
    const memory::desc scratchpad = chosen.scratchpad_desc();
    primitive.operands.emplace(DNNL_ARG_SCRATCHPAD, memory(scratchpad, engine_, nullptr));
    primitive.scratchpad_bytes = scratchpad.get_size();
    return primitive;
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::unordered_map<Key, Orders, KeyHash> orders_;
  std::unordered_map<Key, Primitive, KeyHash> primitives_;
  Buffer scratchpad_;
};

const std::byte* bytes(const void* data) {
  return static_cast<const std::byte*>(data);
}
std::byte* bytes(void* data) {
  return static_cast<std::byte*>(data);
}

}  // namespace

template <>
std::int64_t convolution_packed_elements<float>(const Convolution& shape) {
  return static_cast<std::int64_t>(Cache::of_this_thread().orders(shape).packed_bytes() / sizeof(float));
}

template <>
std::uint64_t convolution_workspace_bytes<float>(const Convolution& shape) {
  return Cache::of_this_thread().orders(shape).d_bias_offset() +
         static_cast<std::uint64_t>(shape.outputs) * sizeof(float);
}

template <>
void convolution_pack<float>(const Convolution& shape, const float* W, float* packed) {
  Cache& cache = Cache::of_this_thread();
  const Orders& order = cache.orders(shape);
  cache.run({shape, 0, Kind::pack_forward}, {{DNNL_ARG_FROM, W}, {DNNL_ARG_TO, packed}});
  cache.run({shape, 0, Kind::pack_backward_inputs},
            {{DNNL_ARG_FROM, W}, {DNNL_ARG_TO, bytes(packed) + order.backward_inputs_offset()}});
}

template <>
void convolution_forward<float>(const Convolution& shape, std::int64_t samples, const float* a, const float* packed,
                                const float* b, float* z, void*) {
  if (samples == 0) return;
  Cache& cache = Cache::of_this_thread();
  if (b == nullptr)
    cache.run({shape, samples, Kind::forward}, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, z}});
  else
    cache.run({shape, samples, Kind::forward_with_bias},
              {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, z}});
}

template <>
void convolution_backward_inputs<float>(const Convolution& shape, std::int64_t samples, const float* delta,
                                        const float* packed, float* d_a, void*) {
  if (samples == 0) return;
  Cache& cache = Cache::of_this_thread();
  const std::byte* W = bytes(packed) + cache.orders(shape).backward_inputs_offset();
  cache.run({shape, samples, Kind::backward_inputs},
            {{DNNL_ARG_DIFF_DST, delta}, {DNNL_ARG_WEIGHTS, W}, {DNNL_ARG_DIFF_SRC, d_a}});
}

template <>
void convolution_backward_weights<float>(const Convolution& shape, std::int64_t samples, const float* a,
                                         const float* delta, float* d_W, float* d_b, void* workspace) {
  if (samples == 0) return;
  Cache& cache = Cache::of_this_thread();
  // Where a weight has little to do for each element of δ, the primitive adds δ up on its way; a pass of its own would
  // cost a third of it. Elsewhere the pass is the faster one.
  const bool is_depthwise = shape.group_inputs() == 1 && shape.groups > 1;
  if (is_depthwise && d_b != nullptr) {
    auto* sums = reinterpret_cast<float*>(bytes(workspace) + cache.orders(shape).d_bias_offset());
    cache.run({shape, samples, Kind::backward_weights_and_bias}, {{DNNL_ARG_SRC, a},
                                                                  {DNNL_ARG_DIFF_DST, delta},
                                                                  {DNNL_ARG_DIFF_WEIGHTS, workspace},
                                                                  {DNNL_ARG_DIFF_BIAS, sums}});
    for (std::int64_t o = 0; o < shape.outputs; ++o) d_b[o] += sums[o];
  } else {
    cache.run({shape, samples, Kind::backward_weights},
              {{DNNL_ARG_SRC, a}, {DNNL_ARG_DIFF_DST, delta}, {DNNL_ARG_DIFF_WEIGHTS, workspace}});
    if (d_b != nullptr) convolution_backward_bias(samples, shape.output_pixels(), shape.outputs, delta, d_b);
  }
  cache.run({shape, 0, Kind::add_gradient}, {{DNNL_ARG_FROM, workspace}, {DNNL_ARG_TO, d_W}});
}

}  // namespace backplane::kernels
