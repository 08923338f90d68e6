#include "initializers/each_element.h"

namespace backplane::kinds {

using config::Schema;

namespace {

/// Uniform in [−b, b) has variance b²/3.
std::vector<double> uniform_of(const Uninitialized& parameter, double variance) {
  const double bound = std::sqrt(3.0 * variance);
  return uniform_between(parameter, -bound, bound);
}
std::vector<double> normal_of(const Uninitialized& parameter, double variance) {
  return normal_around(parameter, 0.0, std::sqrt(variance));
}

double glorot(const Uninitialized& p) {
  return 2.0 / (static_cast<double>(p.fan_in) + static_cast<double>(p.fan_out));
}
double he(const Uninitialized& p) {
  return 2.0 / static_cast<double>(p.fan_in);
}
double lecun(const Uninitialized& p) {
  return 1.0 / static_cast<double>(p.fan_in);
}

}  // namespace

/// Glorot, Bengio 2010
InitializerKind glorot_uniform() {
  return {.name = "glorot_uniform",
          .doc = "uniform, variance 2 / (fan_in + fan_out)",
          .options = Schema::map(),
          .values = [](const config::Node&, const Uninitialized& p) { return uniform_of(p, glorot(p)); }};
}
InitializerKind glorot_normal() {
  return {.name = "glorot_normal",
          .doc = "normal, variance 2 / (fan_in + fan_out)",
          .options = Schema::map(),
          .values = [](const config::Node&, const Uninitialized& p) { return normal_of(p, glorot(p)); }};
}

/// He et al. 2015
InitializerKind he_uniform() {
  return {.name = "he_uniform",
          .doc = "uniform, variance 2 / fan_in",
          .options = Schema::map(),
          .values = [](const config::Node&, const Uninitialized& p) { return uniform_of(p, he(p)); }};
}
InitializerKind he_normal() {
  return {.name = "he_normal",
          .doc = "normal, variance 2 / fan_in",
          .options = Schema::map(),
          .values = [](const config::Node&, const Uninitialized& p) { return normal_of(p, he(p)); }};
}

/// LeCun et al. 1998
InitializerKind lecun_uniform() {
  return {.name = "lecun_uniform",
          .doc = "uniform, variance 1 / fan_in",
          .options = Schema::map(),
          .values = [](const config::Node&, const Uninitialized& p) { return uniform_of(p, lecun(p)); }};
}
InitializerKind lecun_normal() {
  return {.name = "lecun_normal",
          .doc = "normal, variance 1 / fan_in",
          .options = Schema::map(),
          .values = [](const config::Node&, const Uninitialized& p) { return normal_of(p, lecun(p)); }};
}

}  // namespace backplane::kinds
