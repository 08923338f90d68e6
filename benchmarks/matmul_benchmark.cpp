// The products of a dense layer with I = 784 inputs and O = 512 outputs, on one thread, for several numbers of rows:
// forward from W as it is stored, forward from the packed Wᵀ, backward to the inputs, backward to tiles of the
// weights.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <algorithm>

#include "kernels/matmul.h"
#include "measure.h"
#include "tensor/buffer.h"

namespace backplane::kernels {
namespace {

constexpr std::int64_t kI = 784, kO = 512;

/// Times C (M, N) = op(A)·op(B) with K terms a sum.
void measure(benchmark::State& state, std::int64_t M, std::int64_t N, std::int64_t K, Transpose a, std::int64_t lda,
             Transpose b, std::int64_t ldb) {
  omp_set_num_threads(1);
  const Buffer A = filled(M * K), B = filled(std::max(K, N) * ldb);
  Buffer C = filled(M * N);
  for (auto _ : state) {
    matmul<float>(M, N, K, a, A.as<float>(), lda, b, B.as<float>(), ldb, 0.0f, C.as<float>(), N);
    benchmark::ClobberMemory();
  }
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * static_cast<double>(M * N * K), benchmark::Counter::kIsIterationInvariantRate);
}

void forward_from_stored_weights(benchmark::State& state) {
  measure(state, state.range(0), kO, kI, Transpose::no, kI, Transpose::yes, kI);
}
void forward_from_packed_weights(benchmark::State& state) {
  measure(state, state.range(0), kO, kI, Transpose::no, kI, Transpose::no, kO + 16);
}
void forward_from_packed_weights_unpadded(benchmark::State& state) {
  measure(state, state.range(0), kO, kI, Transpose::no, kI, Transpose::no, kO);
}
void backward_to_inputs(benchmark::State& state) {
  measure(state, state.range(0), kI, kO, Transpose::no, kO, Transpose::no, kI);
}
/// range(0): units of the tile, from a batch of 128 rows.
void backward_to_weights(benchmark::State& state) {
  measure(state, state.range(0), kI, 128, Transpose::yes, state.range(0), Transpose::no, kI);
}

BENCHMARK(forward_from_stored_weights)->Arg(8)->Arg(16)->Arg(64)->Arg(128);
BENCHMARK(forward_from_packed_weights)->Arg(8)->Arg(16)->Arg(64)->Arg(128);
BENCHMARK(forward_from_packed_weights_unpadded)->Arg(8)->Arg(16)->Arg(64)->Arg(128);
BENCHMARK(backward_to_inputs)->Arg(8)->Arg(16)->Arg(64)->Arg(128);
BENCHMARK(backward_to_weights)->Arg(16)->Arg(32)->Arg(128)->Arg(512);

}  // namespace
}  // namespace backplane::kernels
