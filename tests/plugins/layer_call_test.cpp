#include "layer_pass/layer_call.h"

#include <gtest/gtest.h>

#include <memory>

#include "plugins/bench.h"

namespace backplane {
namespace {

using testing::Numbers;

Buffer buffer_of(const Numbers& numbers) {
  return Buffer::copy_of(numbers.data(), numbers.size() * sizeof(double));
}
Numbers numbers_of(const Buffer& buffer) {
  return testing::widened(buffer.data(), static_cast<std::int64_t>(buffer.bytes() / sizeof(double)), DType::float64);
}

/// A dense layer of three units on two inputs, and calls on two samples.
class DenseCall : public ::testing::Test {
 protected:
  LayerCall& begin() {
    call.begin({.rows = {0, 2}, .batch_rows = 2, .step = 1, .is_training = true, .random_key = 0});
    call.set_input(0, a.data());
    call.set_output(z.data());
    call.set_delta(delta.data());
    call.set_workspace(workspace.data(), workspace.bytes());
    return call;
  }
  /// Parameters of these weights, packed as the layer likes it.
  ParameterSet packed_set(Buffer& weights, Buffer& bias, Buffer& packed) {
    packed = Buffer(static_cast<std::size_t>(plan.packed) * sizeof(double));
    ParameterSet set{.values = {weights.data(), bias.data()}, .packed = packed.data()};
    call.use(set);
    begin().pack();
    return set;
  }

  const Registered<bp_layer_type> found = testing::all_plugins().find_layer("dense");
  const Layer layer{*found.type, *found.plugin, "dense", testing::attributes_of(*found.type, "{units: 3}"),
                    DType::float64};
  const LayerPlan plan = layer.plan({{2}});
  LayerCall call{layer, plan, {{2}}, DType::float64};
  Buffer a = buffer_of({1, 2, 3, 4}), delta = buffer_of({1, 0, 2, 0, 1, 1});
  Buffer W = buffer_of({1, 2, 3, 4, 5, 6}), b = buffer_of({10, 20, 30});
  Buffer z = buffer_of(Numbers(6)), workspace = Buffer(plan.workspace_bytes(2));
};

TEST_F(DenseCall, GivesGradientsOfUnitsInTensorsOfTheirOwn) {
  Buffer packed;
  packed_set(W, b, packed);
  // ∂C/∂W = δᵀ·a = (1·(1, 2), 1·(3, 4), 2·(1, 2) + 1·(3, 4)); the last two units alone, in memory for no more.
  Buffer d_W = buffer_of(Numbers(4)), d_b = buffer_of(Numbers(2));
  begin();
  call.want_d_parameter(0, d_W.data());
  call.want_d_parameter(1, d_b.data());
  call.gradient(1, 3);
  EXPECT_EQ(numbers_of(d_W), (Numbers{3, 4, 5, 8}));
  EXPECT_EQ(numbers_of(d_b), (Numbers{1, 3}));
}

/// What feedback alignment needs (Lillicrap et al. 2016): δ goes back through other weights than it came by.
TEST_F(DenseCall, GoesBackThroughOtherParameters) {
  Buffer packed, other_packed;
  const ParameterSet own = packed_set(W, b, packed);
  Buffer B = buffer_of({1, 0, 0, 1, 1, 1}), d_a = buffer_of(Numbers(4)), d_W = buffer_of(Numbers(6));
  const ParameterSet other = packed_set(B, b, other_packed);

  call.use(own);
  begin().forward();
  EXPECT_EQ(numbers_of(z), (Numbers{15, 31, 47, 21, 45, 69}));  // a·Wᵀ + b
  call.use(other);
  begin();
  call.want_d_input(0, d_a.data());
  call.backward();
  EXPECT_EQ(numbers_of(d_a), (Numbers{3, 2, 1, 2}));  // δ·B
  begin();
  call.want_d_parameter(0, d_W.data());
  call.gradient(0, 3);
  EXPECT_EQ(numbers_of(d_W), (Numbers{1, 2, 3, 4, 5, 8}));  // δᵀ·a
  call.use(own);
  begin();
  call.want_d_input(0, d_a.data());
  call.backward();
  EXPECT_EQ(numbers_of(d_a), (Numbers{11, 14, 8, 10}));  // δ·W
}

TEST_F(DenseCall, ThatAsksForNothingIsNotMade) {
  Buffer packed;
  packed_set(W, b, packed);
  begin();
  call.set_delta(nullptr);  // would be read
  call.backward();
}

}  // namespace
}  // namespace backplane
