// Convolutions of 64 images on one thread, as the layers compute them and as bare oneDNN primitives that choose every
// order of weights themselves: what the way from the plain order and back costs.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <array>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "kernels/convolution.h"
#include "tensor/buffer.h"

namespace backplane::kernels {
namespace {

constexpr std::int64_t kSamples = 64;

Convolution square(std::int64_t side, std::int64_t inputs, std::int64_t outputs, std::int64_t kernel,
                   std::int64_t groups = 1) {
  const Axis axis{.in = side, .out = side, .kernel = kernel, .before = kernel / 2, .after = kernel / 2};
  return {.inputs = inputs, .outputs = outputs, .groups = groups, .height = axis, .width = axis};
}

struct Named {
  const char* name;
  Convolution shape;
};
const std::array<Named, 5> kShapes{{{"28x28x1->32 5x5", square(28, 1, 32, 5)},
                                    {"14x14x32->64 5x5", square(14, 32, 64, 5)},
                                    {"28x28x32->32 3x3", square(28, 32, 32, 3)},
                                    {"14x14x64->64 3x3", square(14, 64, 64, 3)},
                                    {"28x28x32 depthwise 3x3", square(28, 32, 32, 3, 32)}}};

Buffer filled(std::int64_t elements) {
  Buffer buffer(static_cast<std::size_t>(elements) * sizeof(float));
  for (std::int64_t i = 0; i < elements; ++i) buffer.as<float>()[i] = static_cast<float>(i % 17) * 0.1f - 0.8f;
  return buffer;
}

/// All operands of one convolution.
struct Operands {
  explicit Operands(const Convolution& shape)
      : a(filled(kSamples * shape.input_pixels() * shape.inputs)),
        z(filled(kSamples * shape.output_pixels() * shape.outputs)),
        W(filled(shape.weights())),
        b(filled(shape.outputs)),
        packed(filled(convolution_packed_elements<float>(shape))),
        workspace(convolution_workspace_bytes<float>(shape)) {
    convolution_pack<float>(shape, W.as<float>(), packed.as<float>());
  }
  Buffer a, z, W, b, packed, workspace;
};

enum class Kernel { forward, backward_inputs, backward_weights, pack };

template <class Body>
void measure(benchmark::State& state, const Convolution& shape, const Body& body) {
  body();  // primitives are made by the first call
  for (auto _ : state) {
    body();
    benchmark::ClobberMemory();
  }
  const auto products = static_cast<double>(kSamples * shape.output_pixels() * shape.weights());
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * products, benchmark::Counter::kIsIterationInvariantRate);
}

/// As a layer's call computes: bias included, weights' gradients added in the plain order.
void layer(benchmark::State& state, const Convolution& shape, Kernel kernel) {
  omp_set_num_threads(1);
  Operands o(shape);
  float *a = o.a.as<float>(), *z = o.z.as<float>(), *W = o.W.as<float>(), *b = o.b.as<float>();
  float* packed = o.packed.as<float>();
  void* workspace = o.workspace.data();
  switch (kernel) {
    case Kernel::forward:
      return measure(state, shape, [=] { convolution_forward<float>(shape, kSamples, a, packed, b, z, workspace); });
    case Kernel::backward_inputs:
      return measure(state, shape,
                     [=] { convolution_backward_inputs<float>(shape, kSamples, z, packed, a, workspace); });
    case Kernel::backward_weights:
      return measure(state, shape,
                     [=] { convolution_backward_weights<float>(shape, kSamples, a, z, W, b, workspace); });
    case Kernel::pack: break;
  }
  measure(state, shape, [=] { convolution_pack<float>(shape, W, packed); });
}

/// The bare primitive: the same images, weights in the order that it prefers for this number of samples.
void bare(benchmark::State& state, const Convolution& shape, Kernel kernel) {
  omp_set_num_threads(1);
  using dnnl::memory;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto f32 = memory::data_type::f32;
  const auto direct = dnnl::algorithm::convolution_direct;
  const memory::desc a({kSamples, shape.inputs, shape.height.in, shape.width.in}, f32, memory::format_tag::nhwc);
  const memory::desc z({kSamples, shape.outputs, shape.height.out, shape.width.out}, f32, memory::format_tag::nhwc);
  memory::dims extents{shape.group_outputs(), shape.group_inputs(), shape.height.kernel, shape.width.kernel};
  if (shape.groups > 1) extents.insert(extents.begin(), shape.groups);
  const memory::desc W(extents, f32, memory::format_tag::any), b({shape.outputs}, f32, memory::format_tag::x);
  const memory::dims ones{1, 1}, before{shape.height.before, shape.width.before};
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, direct, a, W, b, z, ones, before, before}, engine);
  std::unordered_map<int, memory> operands;
  const auto operand = [&](int argument, const memory::desc& order) {
    const memory made(order, engine);
    std::memset(made.get_data_handle(), 0, order.get_size());
    operands.emplace(argument, made);
  };
  dnnl::primitive run;
  if (kernel == Kernel::forward) {
    run = dnnl::convolution_forward(forward);
    operand(DNNL_ARG_SRC, a), operand(DNNL_ARG_DST, z), operand(DNNL_ARG_BIAS, b);
    operand(DNNL_ARG_WEIGHTS, forward.weights_desc());
  } else if (kernel == Kernel::backward_inputs) {
    const dnnl::convolution_backward_data::primitive_desc chosen({direct, a, W, z, ones, before, before}, engine,
                                                                 forward);
    run = dnnl::convolution_backward_data(chosen);
    operand(DNNL_ARG_DIFF_SRC, a), operand(DNNL_ARG_DIFF_DST, z);
    operand(DNNL_ARG_WEIGHTS, chosen.weights_desc());
  } else {
    const dnnl::convolution_backward_weights::primitive_desc chosen({direct, a, W, b, z, ones, before, before}, engine,
                                                                    forward);
    run = dnnl::convolution_backward_weights(chosen);
    operand(DNNL_ARG_SRC, a), operand(DNNL_ARG_DIFF_DST, z), operand(DNNL_ARG_DIFF_BIAS, b);
    operand(DNNL_ARG_DIFF_WEIGHTS, chosen.diff_weights_desc());
  }
  measure(state, shape, [&] { run.execute(stream, operands); });
}

const bool kRegistered = [] {
  const std::array<std::pair<const char*, Kernel>, 3> kernels{{{"forward", Kernel::forward},
                                                               {"backward to inputs", Kernel::backward_inputs},
                                                               {"backward to weights", Kernel::backward_weights}}};
  const auto add = [](const std::string& name, auto function, const Convolution& shape, Kernel kernel) {
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { function(state, shape, kernel); });
  };
  for (const Named& named : kShapes) {
    for (const auto& [name, kernel] : kernels) {
      add(std::string("conv ") + named.name + " " + name + "/layer", layer, named.shape, kernel);
      add(std::string("conv ") + named.name + " " + name + "/bare", bare, named.shape, kernel);
    }
    add(std::string("conv ") + named.name + " pack", layer, named.shape, Kernel::pack);
  }
  return true;
}();

}  // namespace
}  // namespace backplane::kernels
