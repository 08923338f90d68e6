// The contract of abi.h, for every registered layer type. A new layer is enrolled by being there: nothing of it is
// named here. Its required attributes and input shapes are found by trying what most layers take; a layer that none of
// it suits fails, and says so.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "plugins/gradients.h"

namespace backplane {
namespace {

using testing::Draw;
using testing::LayerBench;
using testing::Numbers;
using testing::Operands;

constexpr std::int64_t kSamples = 5;

/// How a layer can be made: its attributes as YAML, and the shapes of its inputs.
struct Recipe {
  std::string yaml;
  std::vector<Shape> inputs;
  bool takes_indices = false;  ///< inputs must be small whole numbers
};

/// Values worth trying for a required attribute.
std::vector<std::string> values_of(const bp_attribute& attribute) {
  switch (attribute.kind) {
    case BP_ATTRIBUTE_BOOL: return {"true"};
    case BP_ATTRIBUTE_INT: return {"4", "1"};
    case BP_ATTRIBUTE_FLOAT: return {"0.5", "2"};
    case BP_ATTRIBUTE_INT_LIST: return {"[2]", "[1]", "[1, 2]", "[-1]", "[2, -1]"};
    default: return {attribute.choices != nullptr ? attribute.choices[0] : "text"};
  }
}

/// Every combination of values for the required attributes.
std::vector<std::string> yaml_candidates(const bp_layer_type& type) {
  std::vector<std::string> candidates{""};
  for (std::uint32_t i = 0; i < type.attribute_count; ++i) {
    const bp_attribute& attribute = *type.attributes[i];
    if (attribute.required == 0) continue;
    std::vector<std::string> longer;
    for (const std::string& candidate : candidates)
      for (const std::string& value : values_of(attribute))
        longer.push_back(candidate + (candidate.empty() ? "" : ", ") + attribute.name + ": " + value);
    candidates = longer;
  }
  return candidates;
}

void fill(LayerBench& bench, const Recipe& recipe, Operands& operands, std::uint64_t seed) {
  operands = testing::fill(bench, {.seed = seed, .apart = true});
  if (!recipe.takes_indices) return;
  for (std::size_t i = 0; i < bench.input_count(); ++i) {
    for (std::size_t k = 0; k < operands.inputs[i].size(); ++k)
      operands.inputs[i][k] = static_cast<double>((k + seed) % 3);
    bench.input(i, operands.inputs[i]);
  }
}

/// Whether a layer can be made, and computes, so.
bool works(const bp_layer_type& type, const Recipe& recipe) {
  try {
    LayerBench bench(type.name, "{" + recipe.yaml + "}", recipe.inputs, kSamples,
                     type.f64 != nullptr ? DType::float64 : DType::float32);
    Operands operands;
    fill(bench, recipe, operands, 1);
    bench.forward();
    return true;
  } catch (const UserError&) {
    return false;
  }
}

std::optional<Recipe> recipe_of(const bp_layer_type& type) {
  for (const Shape& shape : {Shape{6, 6, 4}, Shape{5, 4}, Shape{6}})
    for (std::uint32_t count = type.inputs_min; count <= std::min(type.inputs_max, type.inputs_min + 1); ++count)
      for (const std::string& yaml : yaml_candidates(type))
        for (const bool takes_indices : {false, true}) {
          const Recipe recipe{yaml, std::vector<Shape>(count, shape), takes_indices};
          if (works(type, recipe)) return recipe;
        }
  return std::nullopt;
}

std::vector<std::string> all_types() {
  std::vector<std::string> names;
  for (const Library& library : testing::all_plugins().libraries())
    for (const bp_layer_type& type : library.layers) names.emplace_back(type.name);
  return names;
}

class Conformance : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    type_ = testing::all_plugins().find_layer(GetParam()).type;
    recipe_ = recipe_of(*type_);
    ASSERT_TRUE(recipe_) << "nothing that this suite tries suits layer '" << GetParam()
                         << "': give recipe_of the shapes or values that it needs";
  }
  LayerBench bench(DType dtype) const {
    return {GetParam(), "{" + recipe_->yaml + "}", recipe_->inputs, kSamples, dtype};
  }
  LayerBench filled(DType dtype, Operands& operands, std::uint64_t seed = 1) const {
    LayerBench made = bench(dtype);
    fill(made, *recipe_, operands, seed);
    return made;
  }
  std::vector<DType> dtypes() const {
    std::vector<DType> all;
    if (type_->f32 != nullptr) all.push_back(DType::float32);
    if (type_->f64 != nullptr) all.push_back(DType::float64);
    return all;
  }

  const bp_layer_type* type_ = nullptr;
  std::optional<Recipe> recipe_;
};

void expect_same(const LayerBench::Gradients& got, const LayerBench::Gradients& want, const std::string& what) {
  EXPECT_EQ(got.inputs, want.inputs) << what;
  EXPECT_EQ(got.parameters, want.parameters) << what;
}

TEST_P(Conformance, GradientsAreThoseOfForward) {
  ASSERT_NE(type_->f64, nullptr) << "without float64 kernels nothing proves its gradients";
  LayerBench made = bench(DType::float64);
  if (!recipe_->takes_indices) return testing::expect_true_gradients(made, {.seed = 3, .apart = true});
  Operands operands;
  fill(made, *recipe_, operands, 3);
  made.forward();
  const auto gradients = made.backward(operands.delta);
  for (std::size_t i = 0; i < operands.parameters.size(); ++i)
    testing::expect_close(gradients.parameters[i],
                          testing::differences(made, operands.delta, operands.parameters[i],
                                               [&](const Numbers& numbers) { made.parameter(i, numbers); }),
                          1e-7, "gradient of parameter " + std::to_string(i));
  for (const Numbers& d_input : gradients.inputs)
    for (const double element : d_input) ASSERT_EQ(element, 0.0) << "an index has no gradient";
}

TEST_P(Conformance, OutputsAreWrittenWhateverStoodThere) {
  for (const DType dtype : dtypes()) {
    Operands operands, others;
    LayerBench made = filled(dtype, operands);
    const Numbers z = made.forward();
    const auto gradients = made.backward(operands.delta);
    for (const double element : z) ASSERT_NE(element, testing::BenchTensor::kRubbish) << "an element of z";
    fill(made, *recipe_, others, 2);  // leaves other numbers in every output, and in whatever the layer might keep
    made.forward();
    made.backward(others.delta);
    fill(made, *recipe_, operands, 1);
    EXPECT_EQ(made.forward(), z) << "z depends on what was computed before";
    expect_same(made.backward(operands.delta), gradients, "gradients depend on what was computed before");
  }
}

TEST_P(Conformance, WhatIsNotWantedDoesNotMatter) {
  // The first layer is asked for no ∂C/∂a, a frozen one for no ∂C/∂θ: those pointers are NULL.
  for (const DType dtype : dtypes()) {
    Operands operands;
    LayerBench made = filled(dtype, operands);
    made.forward();
    const auto all = made.backward(operands.delta);
    made.wanting(true, false);
    EXPECT_EQ(made.backward(operands.delta).inputs, all.inputs);
    if (made.plan().parameters.empty()) continue;
    LayerBench first = filled(dtype, operands);
    first.forward();
    EXPECT_EQ(first.wanting(false, true).backward(operands.delta).parameters, all.parameters);
  }
}

TEST_P(Conformance, CutsOfTheBatchDoNotChangeASample) {
  for (const DType dtype : dtypes()) {
    Operands operands;
    LayerBench whole = filled(dtype, operands);
    const Numbers z = whole.forward();
    const auto gradients = whole.backward(operands.delta);
    for (const std::int64_t rows : {1, 2, 4}) {
      LayerBench cut = filled(dtype, operands);
      cut.in_slices_of(rows);
      // Kernels may block fewer rows in another way, which rounds in another way; slices are the same on any number of
      // threads.
      const double tolerance = dtype == DType::float32 ? 1e-5 : 1e-13;
      testing::expect_close(cut.forward(), z, tolerance, "z");
      const auto of_cut = cut.backward(operands.delta);
      for (std::size_t i = 0; i < gradients.inputs.size(); ++i)
        testing::expect_close(of_cut.inputs[i], gradients.inputs[i], tolerance, "gradient of an input");
      for (std::size_t i = 0; i < gradients.parameters.size(); ++i)
        testing::expect_close(of_cut.parameters[i], gradients.parameters[i], tolerance * 100,
                              "gradient of a parameter");
    }
  }
}

TEST_P(Conformance, BothElementTypesAgree) {
  ASSERT_EQ(dtypes().size(), 2u) << "every layer here has both; one that has not needs a suite without this test";
  Operands operands;
  LayerBench narrow = filled(DType::float32, operands), wide = filled(DType::float64, operands);
  testing::expect_close(narrow.forward(), wide.forward(), 2e-5, "z");
  const auto got = narrow.backward(operands.delta), want = wide.backward(operands.delta);
  for (std::size_t i = 0; i < want.inputs.size(); ++i)
    testing::expect_close(got.inputs[i], want.inputs[i], 2e-5, "gradient of an input");
  for (std::size_t i = 0; i < want.parameters.size(); ++i)
    testing::expect_close(got.parameters[i], want.parameters[i], 2e-4, "gradient of a parameter");  // 100 was added to
}

TEST_P(Conformance, EvaluationComputesWithoutState) {
  for (const DType dtype : dtypes()) {
    Operands operands;
    LayerBench made = filled(dtype, operands);
    made.in_evaluation();
    const Numbers z = made.forward();
    for (const double element : z) ASSERT_TRUE(std::isfinite(element) && element != testing::BenchTensor::kRubbish);
    EXPECT_EQ(made.forward(), z);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, Conformance, ::testing::ValuesIn(all_types()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace backplane
