// z = s ⊙ a, with the gradient of s twice as large as it is, a slip of every beginner. Nothing else is wrong with it:
// only `backplane check` can tell. It has float64 kernels only. mended_gradient is a later build, with factor 1.
#include "backplane/plugin.hpp"

#ifndef BP_TEST_FACTOR
#define BP_TEST_FACTOR 2.0
#endif

namespace {

struct Doubled {
  static void describe(bp::About<Doubled>& about) {
    about.name("doubled").summary("z = s ⊙ a, gradient of s doubled");
    about.parameter("s", "gain", "one factor per feature", "ones");
  }
  void plan(bp::Plan& plan) const {
    const bp::Dims features{plan.input(0).back()};
    plan.output(plan.input(0));
    plan.parameter(0, features, features[0], features[0]);
    plan.needs_inputs();
  }
  void forward(const bp::Call<double>& call) const {
    const auto a = call.input(0), s = call.parameter(0);
    for (std::int64_t i = 0; i < a.size(); ++i) call.output()[i] = s[i % s.size()] * a[i];
  }
  void backward(const bp::Call<double>& call) const {
    const auto a = call.input(0), s = call.parameter(0), delta = call.delta();
    if (const auto d_a = call.d_input(0))
      for (std::int64_t i = 0; i < a.size(); ++i) d_a[i] = s[i % s.size()] * delta[i];
    if (const auto d_s = call.d_parameter(0))
      for (std::int64_t i = 0; i < a.size(); ++i) d_s[i % s.size()] += BP_TEST_FACTOR * delta[i] * a[i];
  }
};

}  // namespace

BP_PLUGIN("test.wrong_gradient", "0.1.0", "MIT", "a wrong gradient", bp::layers<Doubled>, bp::activations<>)
