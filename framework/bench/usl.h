#pragma once

#include <optional>
#include <vector>

namespace backplane {

/// Gunther's universal scalability law: N threads do C(N) = N / (1 + σ (N−1) + κ N (N−1)) times the work of one in the
/// same time (Gunther, Guerrilla Capacity Planning, 2007, chapter 4).
struct ScalabilityLaw {
  double sigma = 0.0;  ///< contention: the part that only one thread can do at a time
  double kappa = 0.0;  ///< coherency: what each pair of threads costs

  double speedup(double threads) const;
  /// Where the speed-up is greatest, √((1−σ)/κ); empty where more threads are always faster.
  std::optional<double> best_threads() const;
};

/// Fits σ, κ ≥ 0 by least squares to measured speed-ups over one thread, in the form that is linear in both:
/// N / C(N) − 1 = σ (N−1) + κ N (N−1). Empty with fewer than two thread counts above 1, since two numbers are sought.
struct MeasuredSpeedup {
  double threads, speedup;
};
std::optional<ScalabilityLaw> fit_scalability(const std::vector<MeasuredSpeedup>& measured);

}  // namespace backplane
