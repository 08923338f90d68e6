#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace backplane {

/// The gradient g of a range of a parameter: of C as it was computed, or scaled, clipped and with the gradients of the
/// penalties l1·‖θ‖₁ + l2·½‖θ‖².
template <class T>
struct RangeGradient {
  const T* computed;
  double scale = 1.0, clip = std::numeric_limits<double>::infinity(), l1 = 0.0, l2 = 0.0;
};

/// One step of a range of one parameter. Numbers that belong to the step are of float64, and rounded once.
template <class T>
struct Update {
  T* values;  ///< θ, changed in place
  std::int64_t count;
  RangeGradient<T> gradient;
  std::span<T* const> slots;  ///< what the rule keeps from step to step, `count` elements each
  std::uint64_t step;         ///< t, from 1
  double rate;                ///< η of this step
  bool is_weight;             ///< a weight rather than a bias, a gain, …: decay is of weights
  std::span<double> sums;     ///< the rule's sums over the whole parameter
};

/// How gradients become steps: the rule of one optimizer. Const and thread-safe: ranges of a step run at the same time.
///
/// An element's step may depend on that element, its slots and its gradient. What depends on the whole parameter
/// (norms) is summed before: where `sums` is not 0, `collect` is called for every range of a parameter and adds to
/// `Update::sums`, the host adds up the ranges' in an order of its own, which neither threads nor timing change, and
/// `update` finds the totals there. Results do not depend on how many ranges run at once.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  /// Names of the tensors kept for each parameter, which start at 0: "velocity"; "mean", "variance".
  virtual std::vector<std::string> slots() const { return {}; }
  /// How many numbers are summed over a parameter.
  virtual std::size_t sums() const { return 0; }
  /// May change slots.
  virtual void collect(const Update<float>&) const {}
  virtual void collect(const Update<double>&) const {}
  virtual void update(const Update<float>& range) const = 0;
  virtual void update(const Update<double>& range) const = 0;
};

/// A rule written once for both types: `class Sgd : public UpdateRuleOf<Sgd>` has `template <class T> void apply(const
/// Update<T>&) const`.
template <class Rule>
class UpdateRuleOf : public UpdateRule {
 public:
  void update(const Update<float>& range) const final { static_cast<const Rule&>(*this).apply(range); }
  void update(const Update<double>& range) const final { static_cast<const Rule&>(*this).apply(range); }
};

/// Likewise one that sums over the parameter first: it has `add_to_sums`, too.
template <class Rule>
class SummingUpdateRuleOf : public UpdateRuleOf<Rule> {
 public:
  void collect(const Update<float>& range) const final { static_cast<const Rule&>(*this).add_to_sums(range); }
  void collect(const Update<double>& range) const final { static_cast<const Rule&>(*this).add_to_sums(range); }
};

/// Calls loop(g) with g(i, θᵢ) = element i of the gradient. Most runs clip nothing and have no penalties; for them g is
/// the computed gradient itself, and loops are half as long.
template <class T, class Loop>
void with_gradient(const RangeGradient<T>& gradient, const Loop& loop) {
  const T* __restrict computed = gradient.computed;
  if (gradient.scale == 1.0 && gradient.clip == std::numeric_limits<double>::infinity() && gradient.l1 == 0.0 &&
      gradient.l2 == 0.0)
    return loop([computed](std::int64_t i, T) { return computed[i]; });
  const T scale = static_cast<T>(gradient.scale), clip = static_cast<T>(gradient.clip),
          l1 = static_cast<T>(gradient.l1), l2 = static_cast<T>(gradient.l2);
  loop([=](std::int64_t i, T value) {
    const T g = std::min(std::max(computed[i] * scale, -clip), clip);
    const T sign = T(value > T(0)) - T(value < T(0));
    return g + l2 * value + l1 * sign;
  });
}

}  // namespace backplane
