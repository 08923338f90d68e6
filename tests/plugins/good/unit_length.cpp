#include <cmath>

#include "backplane/plugin.hpp"

/// Vectors brought to length 1:  z = a / ℓ,  ℓ = √(Σ a² + ε)
///
///   backward   ∂C/∂a = (δ − z·(z·δ)) / ℓ (written)
///   needs      z, and ℓ, which forward saves
///
/// The sum of squares goes through the workspace, of which it wants one row per sample and eight elements more.
struct UnitLength {
  static constexpr std::int64_t kFixed = 8;
  double epsilon = 1e-12;

  static void describe(bp::About<UnitLength>& about) {
    about.name("unit_length").summary("z = a / √(Σ a² + ε)");
    about.attribute("epsilon", &UnitLength::epsilon, "keeps the quotient finite").at_least(0);
  }
  void plan(bp::Plan& plan) const {
    if (plan.input(0).size() != 1) throw bp::Error("wants vectors");
    plan.output(plan.input(0));
    plan.saved("length", {1}, BP_SAVED_BY_FORWARD);
    plan.needs_output();
    const std::uint64_t element = plan.dtype() == BP_F32 ? sizeof(float) : sizeof(double);
    plan.workspace(kFixed * element, static_cast<std::uint64_t>(plan.input(0).back()) * element);
  }
  template <class T>
  void forward(const bp::Call<T>& call) const {
    const auto a = call.input(0);
    T* squares = workspace(call);
    for (std::int64_t i = 0; i < a.size(); ++i) squares[kFixed + i] = a[i] * a[i];
    for (std::int64_t n = 0; n < call.samples(); ++n) {
      T sum = static_cast<T>(epsilon);
      for (std::int64_t f = 0; f < a.columns(); ++f) sum += squares[kFixed + n * a.columns() + f];
      call.saved(0)[n] = std::sqrt(sum);
      for (std::int64_t f = 0; f < a.columns(); ++f) call.output()(n, f) = a(n, f) / call.saved(0)[n];
    }
  }
  template <class T>
  void backward(const bp::Call<T>& call) const {
    // forward was:  z = a / ℓ
    const auto z = call.output();
    const auto delta = call.delta();
    const auto d_a = call.d_input(0);
    if (!d_a) return;
    for (std::int64_t n = 0; n < call.samples(); ++n) {
      T along = 0;
      for (std::int64_t f = 0; f < z.columns(); ++f) along += z(n, f) * delta(n, f);
      for (std::int64_t f = 0; f < z.columns(); ++f) d_a(n, f) = (delta(n, f) - z(n, f) * along) / call.saved(0)[n];
    }
  }

 private:
  /// What the host promised: aligned to 64 bytes. It is filled, so that a workspace that is too small shows.
  template <class T>
  static T* workspace(const bp::Call<T>& call) {
    if (reinterpret_cast<std::uintptr_t>(call.workspace()) % 64 != 0)
      throw bp::Error("the workspace is not aligned", BP_E_INTERNAL);
    return static_cast<T*>(call.workspace());
  }
};

BP_PLUGIN("test.unit_length", "0.1.0", "MIT", "normalisation", bp::layers<UnitLength>, bp::activations<>)
