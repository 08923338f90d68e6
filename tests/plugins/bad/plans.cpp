// A layer whose plan breaks the rule that it is told to break.
#include <limits>

#include "backplane/plugin.hpp"

namespace {

const char* const kFaults[] = {"no_output",
                               "zero_extent",
                               "negative_extent",
                               "rank_99",
                               "overflow",
                               "undeclared",
                               "wrong_order",
                               "twice",
                               "gradient_units",
                               "writes_sums",
                               "negative_units",
                               "negative_extent_of_parameter",
                               "packed",
                               "saved_zero",
                               "saved_overflow",
                               "carried_overflow",
                               "state_of_nan",
                               "fans",
                               "workspace_overflow",
                               "workspace_of_minus_one",
                               "packed_overflow",
                               "sums_overflow",
                               nullptr};

struct Plans {
  std::string fault = "no_output";

  static void describe(bp::About<Plans>& about) {
    about.name("plans").summary("plans the impossible");
    about.attribute("fault", &Plans::fault, "the rule it breaks").one_of(kFaults);
    about.parameter("V", "weight", "a parameter", "zeros");
    about.parameter("W", "weight", "another", "zeros");
  }
  void plan(bp::Plan& plan) const {
    if (fault != "no_output") plan.output(plan.input(0));
    if (fault == "zero_extent") plan.output({0});
    if (fault == "negative_extent") plan.output({-3});
    if (fault == "rank_99") plan.output(bp::Dims(99, 1));
    if (fault == "overflow") plan.output({std::int64_t{1} << 40, std::int64_t{1} << 40});
    if (fault == "undeclared") plan.parameter(7, {2}, 2, 2);
    if (fault == "wrong_order") plan.parameter(1, {2}, 2, 2), plan.parameter(0, {2}, 2, 2);
    if (fault == "twice") plan.parameter(0, {2}, 2, 2), plan.parameter(0, {2}, 2, 2);
    if (fault == "gradient_units") plan.parameter(0, {3, 2}, 2, 3), plan.gradient_units(2);
    if (fault == "negative_units") plan.gradient_units(-1);
    if (fault == "writes_sums") plan.writes_gradients();
    if (fault == "negative_extent_of_parameter") plan.parameter(0, {-1}, 1, 1);
    if (fault == "packed") plan.packed(10);
    if (fault == "saved_zero") plan.saved("s", {0}, BP_SAVED_BY_FORWARD);
    constexpr std::int64_t kHuge = std::int64_t{1} << 62;
    if (fault == "saved_overflow") plan.saved("s", {kHuge, 4}, BP_SAVED_BY_FORWARD);
    if (fault == "carried_overflow") plan.carried_state("s", {kHuge, 4});
    if (fault == "state_of_nan") plan.shared_state("s", {2}, std::numeric_limits<double>::quiet_NaN());
    if (fault == "fans") plan.parameter(0, {2}, 0, -5);
    if (fault == "workspace_overflow") plan.workspace(0, kHuge);  // times 4 samples it is 0
    if (fault == "workspace_of_minus_one") plan.workspace(static_cast<std::uint64_t>(-1), 0);
    if (fault == "packed_overflow") plan.packed(kHuge);
    if (fault == "sums_overflow") plan.batch_sums(kHuge, 0);
  }
  template <class T>
  void forward(const bp::Call<T>&) const {}
  template <class T>
  void backward(const bp::Call<T>&) const {}
  template <class T>
  void collect_forward(const bp::Call<T>&) const {}
  template <class T>
  void update_state(const bp::Call<T>&) const {}
};

}  // namespace

BP_PLUGIN("test.plans", "0.1.0", "MIT", "plans the impossible", bp::layers<Plans>, bp::activations<>)
