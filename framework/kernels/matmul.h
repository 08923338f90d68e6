#pragma once

#include <algorithm>
#include <cstdint>

namespace backplane::kernels {

/// How an operand is read.
enum class Transpose { no, yes };

/// The leading dimension for a matrix that is laid out to be an operand B. Rows a multiple of 2 KiB apart fall into the
/// same few sets of the cache, which halves the speed of the product; a cache line between them spreads them out.
constexpr std::int64_t padded_leading(std::int64_t columns) {
  return columns % 512 == 0 ? columns + 16 : columns;
}

/// C (M, N) = op(A) (M, K) · op(B) (K, N) + beta · C, row-major and contiguous but for the leading dimensions.
///
///   op(A) = A with A (M, K), lda ≥ K      op(A) = Aᵀ with A (K, M), lda ≥ M      B likewise with ldb
///   beta  0: C is overwritten and never read     1: added to
///
/// One thread, no locks in a steady state; the result is a function of the operands and sizes alone.
/// float: oneDNN (primitives cached per thread and shape).  double: BLIS without threads.
/// REQUIRES: M, N, K ≥ 0; C does not overlap A or B. [any thread]
template <class T>
void matmul(std::int64_t M, std::int64_t N, std::int64_t K, Transpose transpose_a, const T* A, std::int64_t lda,
            Transpose transpose_b, const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc);

/// C (M, N) = Σ Aᵣᵀ·Bᵣ + beta · C over r in [0, rows), of A (rows, M) and B (rows, N): what the gradient of weights is.
/// In blocks of rows that stay in the second-level cache: products of thousands of rows at once are up to a quarter
/// slower. REQUIRES: rows ≥ 1; else as matmul.
template <class T>
void outer_products(std::int64_t rows, std::int64_t M, std::int64_t N, const T* A, std::int64_t lda, const T* B,
                    std::int64_t ldb, T beta, T* C, std::int64_t ldc) {
  constexpr std::int64_t kBlock = 512;
  for (std::int64_t r = 0; r < rows; r += kBlock)
    matmul<T>(M, N, std::min(kBlock, rows - r), Transpose::yes, A + r * lda, lda, Transpose::no, B + r * ldb, ldb,
              r == 0 ? beta : T(1), C, ldc);
}

/// matmul by the definition: three loops, sums in double. Kept for tests, and to be read.
template <class T>
void matmul_reference(std::int64_t M, std::int64_t N, std::int64_t K, Transpose transpose_a, const T* A,
                      std::int64_t lda, Transpose transpose_b, const T* B, std::int64_t ldb, T beta, T* C,
                      std::int64_t ldc);

}  // namespace backplane::kernels
