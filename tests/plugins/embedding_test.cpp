// Embeddings: rows looked up and added to, learned positions, and what is said about indices that are none.

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "plugins/bench.h"
#include "plugins/gradients.h"
#include "random/philox.h"

namespace backplane {
namespace {

using testing::expect_close;
using testing::expect_true_gradients;
using testing::LayerBench;
using testing::Numbers;

BP_IN_BOTH_TYPES(Embedding);

TEST_P(Embedding, IsPyTorchs) {
  LayerBench embedding("embedding", "{vocabulary: 4, units: 2}", {{3}}, 2, dtype());
  EXPECT_EQ(embedding.plan().output, (Shape{3, 2}));
  EXPECT_EQ(embedding.plan().parameters[0].fan_in, 1) << "lecun_normal is the standard normal then";
  embedding.input(0, {3, 0, 3, 1, 0, 0}).parameter(0, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(embedding.forward(), (Numbers{6, 7, 0, 1, 6, 7, 2, 3, 0, 1, 0, 1}));
  const Numbers delta{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const auto gradients = embedding.backward(delta);
  EXPECT_EQ(gradients.parameters[0], (Numbers{20, 23, 6, 7, 0, 0, 4, 6}));
  EXPECT_EQ(gradients.inputs[0], (Numbers{0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(embedding.backward(delta, 1, 3).parameters[0], (Numbers{0, 0, 6, 7, 0, 0, 0, 0}));
}

TEST_P(Embedding, OfAnyShapeAddsAnAxis) {
  LayerBench embedding("embedding", "{vocabulary: 3, units: 1}", {{2, 2}}, 1, dtype());
  EXPECT_EQ(embedding.plan().output, (Shape{2, 2, 1}));
  embedding.input(0, {2, 1, 0, 2}).parameter(0, {10, 11, 12});
  EXPECT_EQ(embedding.forward(), (Numbers{12, 11, 10, 12}));
}

TEST_P(Embedding, DoesNotLookAtPadding) {
  LayerBench embedding("embedding", "{vocabulary: 3, units: 2}", {{3}}, 2, dtype());
  embedding.lengths({1, 2}).in_slices_of(1);
  embedding.input(0, {2, -1, -1, 1, 0, 99}).parameter(0, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(embedding.forward(), (Numbers{5, 6, 0, 0, 0, 0, 3, 4, 1, 2, 0, 0}));
  EXPECT_EQ(embedding.backward(Numbers(12, 1.0)).parameters[0], (Numbers{1, 1, 1, 1, 1, 1}));
}

TEST_P(Embedding, NamesWhatIsNoIndex) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [value, text] : {std::pair{4.0, "4"}, {-1.0, "-1"}, {1.5, "1.5"}, {nan, "nan"}, {1e30, "e+"}}) {
    LayerBench embedding("embedding", "{vocabulary: 4, units: 1}", {{2}}, 3, dtype());
    embedding.in_slices_of(1).input(0, {0, 1, 2, 3, 3, value}).parameter(0, {1, 2, 3, 4});
    const std::string error = testing::user_error_of([&] { embedding.forward(); });
    EXPECT_NE(error.find("sample 2 of the batch holds "), std::string::npos) << error;
    EXPECT_NE(error.find(text), std::string::npos) << error;
    EXPECT_NE(error.find("whole numbers from 0 to 3"), std::string::npos) << error;
  }
}

TEST(EmbeddingGradients, OfRandomIndices) {
  for (std::uint64_t seed = 1; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    const Stream stream(seed, Purpose::check, 5000);
    const auto V = static_cast<std::int64_t>(1 + stream.below(0, 20)), E = static_cast<std::int64_t>(1 + seed % 3);
    const std::string yaml = "{vocabulary: " + std::to_string(V) + ", units: " + std::to_string(E) + "}";
    LayerBench embedding("embedding", yaml, {{5}}, 4, DType::float64);
    const auto operands = testing::fill(embedding, {.seed = seed});
    Numbers indices(20);
    for (std::size_t i = 0; i < indices.size(); ++i)
      indices[i] = static_cast<double>(stream.below(i + 1, static_cast<std::uint64_t>(V)));
    embedding.in_slices_of(3).input(0, indices);
    embedding.forward();
    const Numbers want = testing::differences(embedding, operands.delta, operands.parameters[0],
                                              [&](const Numbers& numbers) { embedding.parameter(0, numbers); });
    expect_close(embedding.backward(operands.delta).parameters[0], want, 1e-7, "gradient of W");
  }
}

TEST_P(Embedding, PositionsByHand) {
  LayerBench positions("position_embedding", "{}", {{2, 2}}, 2, dtype());
  positions.input(0, {1, 2, 3, 4, 5, 6, 7, 8}).parameter(0, {10, 20, 30, 40});
  EXPECT_EQ(positions.forward(), (Numbers{11, 22, 33, 44, 15, 26, 37, 48}));
  const auto gradients = positions.backward({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(gradients.inputs[0], (Numbers{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{6, 8, 10, 12}));
}

TEST(EmbeddingGradients, PositionsOfAnyShape) {
  for (const Shape& shape : {Shape{1, 1}, Shape{4, 3}, Shape{2, 3, 2}}) {
    LayerBench positions("position_embedding", "{}", {shape}, 3, DType::float64);
    expect_true_gradients(positions.in_slices_of(2));
  }
}

TEST(EmbeddingErrors, PositionsOfARow) {
  const std::string error =
      testing::user_error_of([] { LayerBench("position_embedding", "{}", {{7}}, 1, DType::float32); });
  EXPECT_NE(error.find("wants positions of several numbers [T, E]"), std::string::npos) << error;
}

}  // namespace
}  // namespace backplane
