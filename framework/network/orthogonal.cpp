#include "network/orthogonal.h"

#include <algorithm>

#include "base/error.h"

// LAPACK, as OpenBLAS carries it: column-major, sizes as 32-bit integers.
extern "C" {
void dgeqrf_(const int* m, const int* n, double* a, const int* lda, double* tau, double* work, const int* lwork,
             int* info);
void dorgqr_(const int* m, const int* n, const int* k, double* a, const int* lda, const double* tau, double* work,
             const int* lwork, int* info);
}

namespace backplane {

std::vector<double> orthogonal(const Shape& shape, double gain, const Stream& stream) {
  const std::int64_t count = element_count(shape);
  const std::int64_t rows = shape.empty() ? 1 : shape[0], columns = count / rows;
  // A tall matrix (m ≥ n), column-major: its n columns are the parameter's rows, or its columns where those are fewer.
  const int m = static_cast<int>(std::max(rows, columns)), n = static_cast<int>(std::min(rows, columns));
  std::vector<double> q(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = stream.normal(i);

  std::vector<double> tau(static_cast<std::size_t>(n)), work(static_cast<std::size_t>(n) * 64);
  const int work_size = static_cast<int>(work.size());
  int info = 0;
  dgeqrf_(&m, &n, q.data(), &m, tau.data(), work.data(), &work_size, &info);
  BP_ASSERT(info == 0);
  std::vector<double> sign(static_cast<std::size_t>(n));
  for (int j = 0; j < n; ++j) sign[j] = q[static_cast<std::size_t>(j) * m + j] < 0 ? -1.0 : 1.0;
  dorgqr_(&m, &n, &n, q.data(), &m, tau.data(), work.data(), &work_size, &info);
  BP_ASSERT(info == 0);

  std::vector<double> values(q.size());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t column = rows <= columns ? r : c, element = rows <= columns ? c : r;
      values[static_cast<std::size_t>(r * columns + c)] =
          gain * sign[static_cast<std::size_t>(column)] * q[static_cast<std::size_t>(column * m + element)];
    }
  return values;
}

}  // namespace backplane
