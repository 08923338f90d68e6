#include <backplane/plugin.hpp>

/// Stretch:  z = s ⊙ a, one trainable factor per feature
///
///   a  (N, …, F)  input       s  (F)  factors
///   z  (N, …, F)  output      δ = ∂C/∂z, given
///
///   backward   ∂C/∂a = δ ⊙ s  (written)     ∂C/∂s += Σ δ ⊙ a over all rows
///   needs      a
struct Stretch {
  double initial = 1.0;

  static void describe(bp::About<Stretch>& about) {
    about.name("stretch").summary("z = s ⊙ a, one trainable factor per feature");
    about.attribute("initial", &Stretch::initial, "what the input is multiplied by besides s").at_least(0);
    about.parameter("s", "gain", "one factor per feature", "ones");
  }

  void plan(bp::Plan& plan) const {
    const bp::Dims in = plan.input(0);
    if (in.empty()) throw bp::Error("wants an input with at least one axis");
    plan.output(in);
    plan.parameter(0, {in.back()}, in.back(), in.back());
    plan.needs_inputs();
  }

  template <class T>
  void forward(const bp::Call<T>& call) const {
    const auto a = call.input(0), s = call.parameter(0);
    const auto z = call.output();
    for (std::int64_t r = 0; r < a.rows(); ++r)
      for (std::int64_t f = 0; f < a.columns(); ++f) z(r, f) = T(initial) * s[f] * a(r, f);
  }

  template <class T>
  void backward(const bp::Call<T>& call) const {
    // forward was:  z = initial · s ⊙ a
    const auto a = call.input(0), s = call.parameter(0), delta = call.delta();
    const auto d_a = call.d_input(0), d_s = call.d_parameter(0);
    for (std::int64_t r = 0; r < a.rows(); ++r)
      for (std::int64_t f = 0; f < a.columns(); ++f) {
        if (d_a) d_a(r, f) = T(initial) * s[f] * delta(r, f);   // written
        if (d_s) d_s[f] += T(initial) * a(r, f) * delta(r, f);  // added
      }
  }
};

BP_PLUGIN("org.example.stretch", "0.1.0", "MIT", "a layer of factors", bp::layers<Stretch>, bp::activations<>)
