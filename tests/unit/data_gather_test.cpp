#include "data/dataset.h"

#include <gtest/gtest.h>

namespace backplane {
namespace {

template <class Stored>
DataSet two_by_four(std::vector<Stored> inputs) {
  DataSet data;
  data.input_shape = {2, 2};
  data.train = {std::move(inputs), std::vector<std::int64_t>{2, 0}, 2};
  return data;
}

template <class Types>
class DataGather : public ::testing::Test {};

template <class S, class T>
struct Types {
  using Stored = S;
  using Out = T;
};
using AllTypes = ::testing::Types<Types<std::uint8_t, float>, Types<std::uint8_t, double>, Types<float, float>,
                                  Types<float, double>, Types<double, float>, Types<double, double>>;
TYPED_TEST_SUITE(DataGather, AllTypes);

TYPED_TEST(DataGather, ShiftsAndScalesEveryElementAlike) {
  using Out = typename TypeParam::Out;
  DataSet data = two_by_four<typename TypeParam::Stored>({1, 2, 3, 4, 5, 6, 7, 8});
  data.shift = {4};
  data.scale = {0.5};
  std::vector<Out> out(5, -9);
  data.gather_input(data.train, 1, out.data());
  EXPECT_EQ(out, (std::vector<Out>{0.5, 1, 1.5, 2, -9}));
}

TYPED_TEST(DataGather, ShiftsAndScalesPerLastAxisElement) {
  using Out = typename TypeParam::Out;
  DataSet data = two_by_four<typename TypeParam::Stored>({1, 2, 3, 4, 5, 6, 7, 8});
  data.shift = {1, 2};
  data.scale = {2, 10};
  std::vector<Out> out(4);
  data.gather_input(data.train, 1, out.data());
  EXPECT_EQ(out, (std::vector<Out>{8, 40, 12, 60}));
}

TEST(DataGatherOne, KeepsTheDigitsBehindALargeMean) {
  DataSet data = two_by_four<double>({0, 0, 0, 0, 1e9 + 0.25, 1e9 + 0.5, 1e9, 1e9 - 1});
  data.shift = {1e9};
  std::vector<float> out(4);
  data.gather_input(data.train, 1, out.data());
  EXPECT_EQ(out, (std::vector<float>{0.25f, 0.5f, 0.0f, -1.0f}));
}

TEST(DataGatherOne, WritesTargetsAsVectorOneHotOrNumber) {
  const DataSet data = two_by_four<float>({1, 2, 3, 4, 5, 6, 7, 8});
  std::vector<double> out(4, -1);
  gather_target(data.train, 0, 3, out.data());
  EXPECT_EQ(out, (std::vector<double>{0, 0, 1, -1}));
  gather_target(data.train, 0, 1, out.data());
  EXPECT_EQ(out[0], 2);
  const Samples vectors{std::vector<float>{1, 2}, std::vector<double>{10, 20, 30, 40}, 2};
  gather_target(vectors, 1, 2, out.data());
  EXPECT_EQ(out, (std::vector<double>{30, 40, 1, -1}));
}

TEST(DataGatherOne, WritesTheLabelsOfAllStepsOneAfterAnother) {
  const Samples samples{std::vector<float>{1, 2, 3, 4}, std::vector<std::int64_t>{2, 0, 1, 2}, 2};
  std::vector<float> out(7, -1);
  gather_target(samples, 1, 6, out.data());
  EXPECT_EQ(out, (std::vector<float>{0, 1, 0, 0, 0, 1, -1}));
  gather_target(samples, 0, 2, out.data());
  EXPECT_EQ(out, (std::vector<float>{2, 0, 0, 0, 0, 1, -1}));
}

TEST(DataGatherOne, SubsetKeepsStepsAndLengths) {
  const Samples all{std::vector<float>{1, 2, 3, 4, 5, 6}, std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}, 3, {2, 1, 2}};
  const Samples chosen = all.subset({2, 1}, 2, 0);
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(chosen.targets), (std::vector<std::int64_t>{4, 5, 2, 3}));
  EXPECT_EQ(chosen.lengths, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(chosen.labels_per_sample(), 2);
}

TEST(DataGatherOne, SubsetKeepsTheOrderAskedFor) {
  const DataSet data = two_by_four<float>({1, 2, 3, 4, 5, 6, 7, 8});
  const Samples swapped = data.train.subset({1, 0, 1}, 4, 0);
  EXPECT_EQ(swapped.count, 3);
  EXPECT_EQ(std::get<std::vector<float>>(swapped.inputs), (std::vector<float>{5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(swapped.targets), (std::vector<std::int64_t>{0, 2, 0}));
}

}  // namespace
}  // namespace backplane
