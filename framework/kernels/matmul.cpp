#include "kernels/matmul.h"

#include <cblas.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "kernels/onednn.h"

namespace backplane::kernels {

namespace {

/// A oneDNN matmul of one shape, with the memory objects that its operands are put into call by call. Executed by
/// oneDNN's C interface: the C++ one makes a map of the operands each time, which small products feel.
class Primitive {
 public:
  Primitive(dnnl::matmul run, dnnl::memory a, dnnl::memory b, dnnl::memory c)
      : run_(std::move(run)), operands_{std::move(a), std::move(b), std::move(c)} {}

  void execute(const dnnl::stream& stream, const float* A, const float* B, float* C) {
    const float* const data[] = {A, B, C};
    constexpr int kArguments[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    dnnl_exec_arg_t arguments[3];
    for (std::size_t i = 0; i < 3; ++i) {
      operands_[i].set_data_handle(const_cast<float*>(data[i]));
      arguments[i] = {kArguments[i], operands_[i].get()};
    }
    dnnl::error::wrap_c_api(dnnl_primitive_execute(run_.get(), stream.get(), 3, arguments), "a product failed");
  }

 private:
  dnnl::matmul run_;
  std::array<dnnl::memory, 3> operands_;
};

/// Everything that a primitive is made for: sizes, leading dimensions, transposes, whether it adds.
using Key = std::array<std::int64_t, 9>;

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const std::int64_t part : key) hash = (hash ^ static_cast<std::uint64_t>(part)) * 0x100000001b3u;
    return hash;
  }
};

dnnl::memory::desc matrix(std::int64_t rows, std::int64_t columns, std::int64_t transposed, std::int64_t leading) {
  dnnl::memory::dims strides = transposed != 0 ? dnnl::memory::dims{1, leading} : dnnl::memory::dims{leading, 1};
  // A row or column with gaps. oneDNN 3.7 takes a stride of 1 for that of the elements, also where it is that of an
  // axis with one place.
  if (rows == 1 && strides[1] != 1) strides[0] = columns * strides[1];
  if (columns == 1 && strides[0] != 1) strides[1] = rows * strides[0];
  return {{rows, columns}, dnnl::memory::data_type::f32, strides};
}

Primitive make_primitive(const dnnl::engine& engine, const Key& key) {
  const auto [M, N, K, transpose_a, lda, transpose_b, ldb, add, ldc] = key;
  const dnnl::memory::desc a = matrix(M, K, transpose_a, lda), b = matrix(K, N, transpose_b, ldb),
                           c = matrix(M, N, 0, ldc);
  dnnl::primitive_attr attributes;
  if (add != 0) {
    dnnl::post_ops add_to_c;
    add_to_c.append_sum(1.0f);
    attributes.set_post_ops(add_to_c);
  }
  return {dnnl::matmul(describe<dnnl::matmul>(engine, attributes, a, b, c)), dnnl::memory(a, engine, nullptr),
          dnnl::memory(b, engine, nullptr), dnnl::memory(c, engine, nullptr)};
}

/// Primitives and their memory objects belong to a thread: they hold the operands of the call that runs. A thread
/// never enters matmul twice at once, since nothing in it waits for tasks.
class PrimitiveCache {
 public:
  Primitive& at(const Key& key) {
    if (const auto found = primitives_.find(key); found != primitives_.end()) return found->second;
    return primitives_.emplace(key, make_primitive(engine_, key)).first->second;
  }
  dnnl::stream& stream() { return stream_; }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::unordered_map<Key, Primitive, KeyHash> primitives_;
};

/// C for K = 0, which neither library is asked for: nothing is added, and 0 where C is not added to.
template <class T>
void clear_unless_adding(std::int64_t M, std::int64_t N, T beta, T* C, std::int64_t ldc) {
  if (beta != T(0)) return;
  for (std::int64_t row = 0; row < M; ++row) std::fill_n(C + row * ldc, N, T(0));
}

}  // namespace

template <>
void matmul<float>(std::int64_t M, std::int64_t N, std::int64_t K, Transpose transpose_a, const float* A,
                   std::int64_t lda, Transpose transpose_b, const float* B, std::int64_t ldb, float beta, float* C,
                   std::int64_t ldc) {
  if (M == 0 || N == 0) return;
  if (K == 0) return clear_unless_adding(M, N, beta, C, ldc);
  thread_local PrimitiveCache cache;
  Primitive& primitive =
      cache.at({M, N, K, transpose_a == Transpose::yes, lda, transpose_b == Transpose::yes, ldb, beta != 0.0f, ldc});
  primitive.execute(cache.stream(), A, B, C);
}

template <>
void matmul<double>(std::int64_t M, std::int64_t N, std::int64_t K, Transpose transpose_a, const double* A,
                    std::int64_t lda, Transpose transpose_b, const double* B, std::int64_t ldb, double beta, double* C,
                    std::int64_t ldc) {
  if (M == 0 || N == 0) return;
  if (K == 0) return clear_unless_adding(M, N, beta, C, ldc);
  const auto flag = [](Transpose t) { return t == Transpose::yes ? CblasTrans : CblasNoTrans; };
  const auto size = [](std::int64_t value) { return static_cast<f77_int>(value); };
  cblas_dgemm(CblasRowMajor, flag(transpose_a), flag(transpose_b), size(M), size(N), size(K), 1.0, A, size(lda), B,
              size(ldb), beta, C, size(ldc));
}

template <class T>
void matmul_reference(std::int64_t M, std::int64_t N, std::int64_t K, Transpose transpose_a, const T* A,
                      std::int64_t lda, Transpose transpose_b, const T* B, std::int64_t ldb, T beta, T* C,
                      std::int64_t ldc) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N; ++n) {
      double sum = 0.0;
      for (std::int64_t k = 0; k < K; ++k) {
        const double a = transpose_a == Transpose::yes ? A[k * lda + m] : A[m * lda + k];
        const double b = transpose_b == Transpose::yes ? B[n * ldb + k] : B[k * ldb + n];
        sum += a * b;
      }
      C[m * ldc + n] = static_cast<T>(beta == T(0) ? sum : sum + static_cast<double>(beta * C[m * ldc + n]));
    }
  }
}

template void matmul_reference<float>(std::int64_t, std::int64_t, std::int64_t, Transpose, const float*, std::int64_t,
                                      Transpose, const float*, std::int64_t, float, float*, std::int64_t);
template void matmul_reference<double>(std::int64_t, std::int64_t, std::int64_t, Transpose, const double*, std::int64_t,
                                       Transpose, const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace backplane::kernels
