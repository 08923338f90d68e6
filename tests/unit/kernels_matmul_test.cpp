#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>
#include <tuple>
#include <vector>

#include "random/philox.h"

namespace backplane::kernels {
namespace {

/// One product: sizes, how operands are read, and how far their rows are apart beyond what they need.
struct Case {
  std::int64_t M, N, K;
  Transpose a, b;
  std::int64_t gap;  ///< added to every leading dimension
};

/// Operands of a case. Gaps between rows hold NaN: who reads them shows it.
template <class T>
struct Operands {
  explicit Operands(const Case& c)
      : lda((c.a == Transpose::yes ? c.M : c.K) + c.gap),
        ldb((c.b == Transpose::yes ? c.K : c.N) + c.gap),
        ldc(c.N + c.gap),
        A(filled(1, c.a == Transpose::yes ? c.K : c.M, lda, c.gap)),
        B(filled(2, c.b == Transpose::yes ? c.N : c.K, ldb, c.gap)),
        C(filled(3, c.M, ldc, c.gap)) {}

  static std::vector<T> filled(std::uint64_t key, std::int64_t rows, std::int64_t leading, std::int64_t gap) {
    const Stream stream(7, Purpose::check, key);
    std::vector<T> values(static_cast<std::size_t>(rows * leading), std::numeric_limits<T>::quiet_NaN());
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c + gap < leading; ++c) {
        const auto i = static_cast<std::size_t>(r * leading + c);
        values[i] = static_cast<T>(2.0 * stream.uniform(i) - 1.0);
      }
    return values;
  }

  std::int64_t lda, ldb, ldc;
  std::vector<T> A, B, C;
};

template <class T>
std::vector<T> absolute(std::vector<T> values) {
  for (T& value : values) value = std::abs(value);
  return values;
}

/// matmul may sum in any order. Whatever the order, a sum of K products rounded to T is off by at most
/// (K + 2)·u·(Σ|a||b| + |c|), u half a unit in the last place of 1 (Higham, Accuracy and Stability, 3.1; K + 2 covers
/// the product's own rounding and the addition of C). The same bound is computed here from the absolute values.
template <class T>
void expect_agreement(const Case& c, T beta) {
  SCOPED_TRACE(::testing::Message() << "M " << c.M << " N " << c.N << " K " << c.K << " Aᵀ " << int(c.a) << " Bᵀ "
                                    << int(c.b) << " gap " << c.gap << " beta " << beta);
  Operands<T> o(c);
  if (beta == T(0)) std::fill(o.C.begin(), o.C.end(), std::numeric_limits<T>::quiet_NaN());  // must never be read
  std::vector<T> got = o.C, want = o.C, size = absolute(o.C);
  matmul<T>(c.M, c.N, c.K, c.a, o.A.data(), o.lda, c.b, o.B.data(), o.ldb, beta, got.data(), o.ldc);
  matmul_reference<T>(c.M, c.N, c.K, c.a, o.A.data(), o.lda, c.b, o.B.data(), o.ldb, beta, want.data(), o.ldc);
  matmul_reference<T>(c.M, c.N, c.K, c.a, absolute(o.A).data(), o.lda, c.b, absolute(o.B).data(), o.ldb, beta,
                      size.data(), o.ldc);
  const double u = std::numeric_limits<T>::epsilon() / 2;
  for (std::int64_t m = 0; m < c.M; ++m)
    for (std::int64_t n = 0; n < o.ldc; ++n) {
      const auto i = static_cast<std::size_t>(m * o.ldc + n);
      if (n >= c.N) {
        EXPECT_TRUE(std::isnan(got[i])) << "wrote between rows at " << m << ", " << n;
      } else {
        ASSERT_LE(std::abs(double(got[i]) - double(want[i])), double(c.K + 2) * u * size[i]) << "at " << m << ", " << n;
      }
    }
}

template <class T>
class Matmul : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Matmul, ElementTypes);

TYPED_TEST(Matmul, AgreesWithTheDefinitionForAllShapesTransposesAndLeadingDimensions) {
  const std::tuple<int, int, int> sizes[] = {{1, 1, 1},    {1, 7, 3},    {5, 1, 9},    {3, 3, 1},
                                             {2, 5, 17},   {17, 16, 15}, {33, 9, 8},   {16, 10, 64},
                                             {7, 129, 31}, {64, 65, 66}, {1, 300, 127}};
  for (const auto& [M, N, K] : sizes)
    for (const Transpose a : {Transpose::no, Transpose::yes})
      for (const Transpose b : {Transpose::no, Transpose::yes})
        for (const std::int64_t gap : {0, 5})
          for (const TypeParam beta : {TypeParam(0), TypeParam(1)})
            expect_agreement<TypeParam>({M, N, K, a, b, gap}, beta);
}

TYPED_TEST(Matmul, OfSmallWholeNumbersIsExact) {
  const std::vector<TypeParam> A{1, 2, 3, 4, 5, 6}, B{7, 8, 9, 10, 11, 12};  // A (2, 3), B (3, 2)
  std::vector<TypeParam> C{1, 1, 1, 1};
  matmul<TypeParam>(2, 2, 3, Transpose::no, A.data(), 3, Transpose::no, B.data(), 2, 1, C.data(), 2);
  EXPECT_EQ(C, (std::vector<TypeParam>{59, 65, 140, 155}));
  // The same numbers read as A (3, 2) and B (2, 3), both transposed.
  matmul<TypeParam>(2, 2, 3, Transpose::yes, A.data(), 2, Transpose::yes, B.data(), 3, 0, C.data(), 2);
  EXPECT_EQ(C, (std::vector<TypeParam>{76, 103, 100, 136}));
}

TYPED_TEST(Matmul, WithNothingToSumClearsOrKeepsC) {
  const std::vector<TypeParam> none(8);
  for (const std::int64_t leading : {0, 1, 4}) {  // lda ≥ K, and K is 0
    std::vector<TypeParam> C{1, 2, 3, 4, 5, 6};
    matmul<TypeParam>(2, 2, 0, Transpose::no, none.data(), leading, Transpose::no, none.data(), 2, 1, C.data(), 3);
    EXPECT_EQ(C, (std::vector<TypeParam>{1, 2, 3, 4, 5, 6})) << "beta 1, lda " << leading;
    C[0] = std::numeric_limits<TypeParam>::quiet_NaN();
    matmul<TypeParam>(2, 2, 0, Transpose::no, none.data(), leading, Transpose::no, none.data(), 2, 0, C.data(), 3);
    EXPECT_EQ(C, (std::vector<TypeParam>{0, 0, 3, 0, 0, 6})) << "beta 0, lda " << leading;
  }
}

TYPED_TEST(Matmul, WithoutRowsOrColumnsTouchesNothing) {
  const std::vector<TypeParam> A(9, 1), B(9, 1);
  std::vector<TypeParam> C(9, 5);
  matmul<TypeParam>(0, 3, 3, Transpose::no, A.data(), 3, Transpose::no, B.data(), 3, 0, C.data(), 3);
  matmul<TypeParam>(3, 0, 3, Transpose::no, A.data(), 3, Transpose::no, B.data(), 3, 0, C.data(), 3);
  EXPECT_EQ(C, std::vector<TypeParam>(9, 5));
}

TYPED_TEST(Matmul, HasTheSameBitsOnEveryThread) {
  const Case c{48, 37, 53, Transpose::no, Transpose::yes, 0};
  const Operands<TypeParam> o(c);
  const auto product = [&] {
    std::vector<TypeParam> C(o.C.size());
    matmul<TypeParam>(c.M, c.N, c.K, c.a, o.A.data(), o.lda, c.b, o.B.data(), o.ldb, 0, C.data(), o.ldc);
    return C;
  };
  const std::vector<TypeParam> want = product();
  std::vector<std::vector<TypeParam>> got(4);
  std::vector<std::thread> threads;
  for (auto& result : got)
    threads.emplace_back([&] {
      for (int repeat = 0; repeat < 20; ++repeat) result = product();
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : got) EXPECT_EQ(result, want);
}

}  // namespace
}  // namespace backplane::kernels
