#include "bench/usl.h"

#include <algorithm>
#include <cmath>

namespace backplane {

double ScalabilityLaw::speedup(double threads) const {
  return threads / (1.0 + sigma * (threads - 1.0) + kappa * threads * (threads - 1.0));
}

std::optional<double> ScalabilityLaw::best_threads() const {
  if (kappa <= 0.0) return std::nullopt;
  return std::sqrt(std::max(0.0, 1.0 - sigma) / kappa);
}

std::optional<ScalabilityLaw> fit_scalability(const std::vector<MeasuredSpeedup>& measured) {
  // Normal equations of y = σ p + κ q; where one comes out negative, it is 0 and the other is fitted alone.
  double pp = 0, pq = 0, qq = 0, py = 0, qy = 0;
  int points = 0;
  for (const MeasuredSpeedup& at : measured) {
    if (at.threads <= 1.0) continue;
    const double p = at.threads - 1.0, q = at.threads * p, y = at.threads / at.speedup - 1.0;
    pp += p * p, pq += p * q, qq += q * q, py += p * y, qy += q * y;
    ++points;
  }
  const double determinant = pp * qq - pq * pq;
  if (points < 2 || determinant <= 1e-12 * pp * qq) return std::nullopt;
  ScalabilityLaw law{.sigma = (py * qq - qy * pq) / determinant, .kappa = (qy * pp - py * pq) / determinant};
  if (law.kappa < 0.0) law = {.sigma = py / pp, .kappa = 0.0};
  if (law.sigma < 0.0) law = {.sigma = 0.0, .kappa = std::max(0.0, qy / qq)};
  return law;
}

}  // namespace backplane
