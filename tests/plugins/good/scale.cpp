#include "backplane/plugin.hpp"

/// One trainable factor per feature:  z = s ⊙ a
///
///   backward   ∂C/∂a = s ⊙ δ (written)     ∂C/∂s += Σₙ δₙ ⊙ aₙ, slice by slice
struct Scale {
  static void describe(bp::About<Scale>& about) {
    about.name("narrow_scale").summary("z = s ⊙ a");
    about.parameter("s", "gain", "one factor per feature", "ones");
  }
  void plan(bp::Plan& plan) const {
    const bp::Dims features{plan.input(0).back()};
    plan.output(plan.input(0));
    plan.parameter(0, features, features[0], features[0]);
    plan.needs_inputs();
  }
  template <class T>
  void forward(const bp::Call<T>& call) const {
    const auto a = call.input(0), s = call.parameter(0);
    for (std::int64_t i = 0; i < a.size(); ++i) call.output()[i] = s[i % s.size()] * a[i];
  }
  template <class T>
  void backward(const bp::Call<T>& call) const {
    const auto a = call.input(0), s = call.parameter(0), delta = call.delta();
    if (const auto d_a = call.d_input(0))
      for (std::int64_t i = 0; i < a.size(); ++i) d_a[i] = s[i % s.size()] * delta[i];
    if (const auto d_s = call.d_parameter(0))
      for (std::int64_t i = 0; i < a.size(); ++i) d_s[i % s.size()] += delta[i] * a[i];
  }
};

/// The same transform of vectors, its gradient asked for batch-wide and over ranges of units. The backward call of a
/// slice leaves the products δ ⊙ a in a saved tensor, which the batch-wide call only adds up.
struct WideScale {
  static void describe(bp::About<WideScale>& about) {
    about.name("wide_scale").summary("z = s ⊙ a, gradient batch-wide");
    about.parameter("s", "gain", "one factor per feature", "ones");
  }
  void plan(bp::Plan& plan) const {
    const bp::Dims features = plan.input(0);
    if (features.size() != 1) throw bp::Error("it takes vectors", BP_E_UNSUPPORTED);
    plan.output(features);
    plan.parameter(0, features, features[0], features[0]);
    plan.needs_inputs();
    plan.saved("products", features, BP_SAVED_BY_BACKWARD);
    plan.gradient_units(features[0]);
  }
  template <class T>
  void forward(const bp::Call<T>& call) const {
    const auto a = call.input(0), s = call.parameter(0);
    for (std::int64_t i = 0; i < a.size(); ++i) call.output()[i] = s[i % s.size()] * a[i];
  }
  template <class T>
  void backward(const bp::Call<T>& call) const {
    const auto products = call.saved(0);
    if (const auto d_s = call.d_parameter(0)) {
      for (std::int64_t n = 0; n < call.samples(); ++n)
        for (std::int64_t u = call.unit_begin(); u < call.unit_end(); ++u) d_s[u - call.unit_begin()] += products(n, u);
      return;
    }
    const auto a = call.input(0), s = call.parameter(0), delta = call.delta();
    for (std::int64_t i = 0; i < a.size(); ++i) products[i] = delta[i] * a[i];
    if (const auto d_a = call.d_input(0))
      for (std::int64_t i = 0; i < a.size(); ++i) d_a[i] = s[i % s.size()] * delta[i];
  }
};

BP_PLUGIN("test.scale", "0.1.0", "MIT", "factors", bp::layers<Scale, WideScale>, bp::activations<>)
