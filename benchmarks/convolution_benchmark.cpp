// Convolutions of 64 images on one thread, as the layers compute them and as bare oneDNN primitives that choose every
// order of weights themselves: what the way from the plain order and back costs.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <array>
#include <string>

#include "bare_convolution.h"
#include "kernels/convolution.h"
#include "measure.h"
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

/// The bare primitive on the same images.
void bare(benchmark::State& state, const Convolution& shape, Kernel kernel) {
  omp_set_num_threads(1);
  Buffer a = filled(kSamples * shape.input_pixels() * shape.inputs);
  Buffer z = filled(kSamples * shape.output_pixels() * shape.outputs);
  using Bare = BareConvolution::Kernel;
  BareConvolution primitive(shape, kSamples,
                            kernel == Kernel::forward           ? Bare::forward
                            : kernel == Kernel::backward_inputs ? Bare::backward_inputs
                                                                : Bare::backward_weights,
                            true);
  measure(state, shape, [&] { primitive.run(a.as<float>(), z.as<float>()); });
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
