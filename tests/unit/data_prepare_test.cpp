#include "data/prepare.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data_test_files.h"

namespace backplane {
namespace {

using Numbers = std::vector<double>;
using Labels = std::vector<std::int64_t>;

/// Samples whose two inputs and label name them: (10 i, 10 i + 1) -> i.
DataSet numbered(std::int64_t count) {
  Numbers inputs;
  Labels labels(static_cast<std::size_t>(count));
  std::iota(labels.begin(), labels.end(), 0);
  for (const std::int64_t i : labels) inputs.insert(inputs.end(), {10.0 * double(i), 10.0 * double(i) + 1});
  return assemble({{{count, 2}, inputs, {}}, {{count}, labels, {}}}, std::nullopt);
}

const Labels& labels(const Samples& samples) {
  return std::get<Labels>(samples.targets);
}

TEST(DataPrepare, ValidationSplitIsDisjointCompleteAndOrdered) {
  DataSet data = numbered(100);
  prepare(data, {.validation = {30}}, 42);
  ASSERT_EQ(data.train.count, 70);
  ASSERT_EQ(data.validation->count, 30);
  EXPECT_TRUE(std::ranges::is_sorted(labels(data.train)));
  EXPECT_TRUE(std::ranges::is_sorted(labels(*data.validation)));
  Labels all;
  std::ranges::merge(labels(data.train), labels(*data.validation), std::back_inserter(all));
  EXPECT_EQ(all, labels(numbered(100).train));
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(std::get<Numbers>(data.validation->inputs)[2 * i], 10.0 * double(labels(*data.validation)[i]));
    EXPECT_EQ(std::get<Numbers>(data.validation->inputs)[2 * i + 1], 10.0 * double(labels(*data.validation)[i]) + 1);
  }
}

TEST(DataPrepare, ValidationSplitIsAFunctionOfTheSeed) {
  const auto chosen = [](std::uint64_t seed) {
    DataSet data = numbered(100);
    prepare(data, {.validation = {30}}, seed);
    return labels(*data.validation);
  };
  EXPECT_EQ(chosen(1), chosen(1));
  EXPECT_NE(chosen(1), chosen(2));
}

TEST(DataPrepare, RefusesAValidationSplitThatLeavesNothing) {
  DataSet data = numbered(10);
  const Origin origin{Place{"run.yaml", 4, 7}, "data.validation", ExitCode::bad_config};
  EXPECT_EQ(
      user_error([&] {
        prepare(data, {.validation = {10, 0, origin}}, 1);
      }),
      "78 run.yaml:4:7: error: a validation split of 10 samples leaves none of the 10 for training\n  data.validation");
}

TEST(DataPrepare, PartsMayBeFractions) {
  DataSet data = numbered(1000);
  prepare(data, {.limit = 500, .test = {0, 0.2}, .validation = {0, 0.1}}, 7);
  EXPECT_EQ(data.test->count, 100);
  EXPECT_EQ(data.validation->count, 40);
  EXPECT_EQ(data.train.count, 360);
  Labels all = labels(data.train);
  for (const Samples* other : {&*data.test, &*data.validation})
    all.insert(all.end(), labels(*other).begin(), labels(*other).end());
  std::ranges::sort(all);
  EXPECT_EQ(all, labels(numbered(500).train));
  DataSet counted = numbered(500);
  prepare(counted, {.test = {100}, .validation = {40}}, 7);
  EXPECT_EQ(labels(*counted.validation), labels(*data.validation));
  EXPECT_EQ(labels(*counted.test), labels(*data.test));
}

TEST(DataPrepare, RefusesAFractionThatIsNone) {
  const Origin origin{Place{"run.yaml", 4, 7}, "data.validation", ExitCode::bad_config};
  DataSet data = numbered(4);
  EXPECT_EQ(user_error([&] {
              prepare(data, {.validation = {0, 0.1, origin}}, 1);
            }),
            "78 run.yaml:4:7: error: 0.1 of 4 samples leaves none for the validation split\n  data.validation");
  EXPECT_EQ(user_error([&] {
              prepare(data, {.validation = {0, 0.9, origin}}, 1);
            }),
            "78 run.yaml:4:7: error: 0.9 of 4 samples leaves none for the training split\n  data.validation");
}

TEST(DataPrepare, LimitComesBeforeTheValidationSplit) {
  DataSet data = numbered(100);
  prepare(data, {.limit = 5, .validation = {2}}, 1);
  Labels all;
  std::ranges::merge(labels(data.train), labels(*data.validation), std::back_inserter(all));
  EXPECT_EQ(all, (Labels{0, 1, 2, 3, 4}));
  ASSERT_EQ(data.findings.size(), 1u);
  EXPECT_EQ(data.findings[0].name + ": " + in_short(data.findings[0]), "left_out_by_limit: 95");
  DataSet small = numbered(3);
  prepare(small, {.limit = 5}, 1);
  EXPECT_EQ(small.train.count, 3);
}

TEST(DataPrepare, UnitScaleOfBytesIsOneOver255) {
  DataSet data = assemble({{{1, 2}, std::vector<std::uint8_t>{0, 255}, {}}, {{1}, Labels{0}, {}}}, std::nullopt);
  prepare(data, {.scaling = Scaling::unit}, 1);
  Numbers out(2);
  data.gather_input(data.train, 0, out.data());
  EXPECT_EQ(out, (Numbers{0, 1}));
}

TEST(DataPrepare, UnitScaleOfATableIsTheRangeOfEachColumn) {
  DataSet data =
      assemble({{{3, 3}, Numbers{-1, 3000, 5, 0, 3500, 5, 1, 7000, 5}, {}}, {{3}, Labels{0, 0, 0}, {}}}, std::nullopt);
  prepare(data, {.scaling = Scaling::unit}, 1);
  Numbers out(3);
  data.gather_input(data.train, 1, out.data());
  EXPECT_EQ(out, (Numbers{0.5, 0.125, 0}));  // the last column does not vary
  data.gather_input(data.train, 2, out.data());
  EXPECT_EQ(out, (Numbers{1, 1, 0}));
}

TEST(DataPrepare, UnitScaleOfStepsIsTheRangeOfEachFeature) {
  DataSet data = assemble({{{1, 2, 2}, Numbers{-1, 100, 1, 300}, {}}, {{1}, Labels{0}, {}}}, std::nullopt);
  prepare(data, {.scaling = Scaling::unit}, 1);
  EXPECT_EQ(data.shift, (Numbers{-1, 100}));
  EXPECT_EQ(data.scale, (Numbers{1.0 / 2, 1.0 / 200}));
}

TEST(DataPrepare, UnitScaleOfImagesIsOneRange) {
  DataSet data = assemble({{{1, 2, 1, 2}, Numbers{-1, 3, 1, 7}, {}}, {{1}, Labels{0}, {}}}, std::nullopt);
  prepare(data, {.scaling = Scaling::unit}, 1);
  Numbers out(4);
  data.gather_input(data.train, 0, out.data());
  EXPECT_EQ(out, (Numbers{0, 0.5, 0.25, 1}));  // (x + 1) / 8
}

TEST(DataPrepare, StandardScaleIsPerFeatureOfTheTrainingSplit) {
  // Feature 0 of the training split: 1, 3, 8: mean 4, variance (9 + 1 + 16) / 3. Feature 1 does not vary.
  DataSet data = assemble({{{3, 2}, Numbers{1, 0.1, 3, 0.1, 8, 0.1}, {}}, {{3}, Labels{0, 0, 0}, {}}},
                          RawSplit{{{1, 2}, Numbers{100, 5.1}, {}}, {{1}, Labels{0}, {}}});
  prepare(data, {.scaling = Scaling::standard}, 1);
  EXPECT_EQ(data.shift, (Numbers{4, 0.1}));
  EXPECT_DOUBLE_EQ(data.scale[0], std::sqrt(3.0 / 26.0));
  EXPECT_EQ(data.scale[1], 1.0);
  Numbers out(2);
  data.gather_input(*data.test, 0, out.data());
  EXPECT_DOUBLE_EQ(out[0], 96 * std::sqrt(3.0 / 26.0));
  EXPECT_DOUBLE_EQ(out[1], 5.0);
}

TEST(DataPrepare, StandardScaleLeavesValidationOut) {
  DataSet data = numbered(10);
  prepare(data, {.validation = {4}, .scaling = Scaling::standard}, 3);
  const Labels& left = labels(data.train);
  const double mean = 10.0 * static_cast<double>(std::accumulate(left.begin(), left.end(), std::int64_t{0})) / 6;
  EXPECT_DOUBLE_EQ(data.shift[0], mean);
  EXPECT_DOUBLE_EQ(data.shift[1], mean + 1);
}

TEST(DataPrepare, ScalesLeavePaddingOut) {
  // Two sequences of 2 steps and 2 features; the last step of the first is padding.
  const auto padded = [] {
    return assemble(
        {{{2, 2, 2}, Numbers{1, 4, 90, 90, 3, 4, 5, 4}, {}}, {{2}, Labels{0, 1}, {}}, Table{{2}, Labels{1, 2}, {}}},
        std::nullopt);
  };
  DataSet data = padded();
  prepare(data, {.scaling = Scaling::standard}, 1);
  EXPECT_EQ(data.shift, (Numbers{3, 4}));
  data = padded();
  prepare(data, {.scaling = Scaling::unit}, 1);
  EXPECT_EQ(data.scale, (Numbers{1.0 / 4, 1}));  // 1 to 5, and 4 throughout
}

TEST(DataPrepare, StandardScaleOfNumbersWhoseSquaresLeaveTheRange) {
  for (const double unit : {1.0, 1e-170, 1e-300, 1e160}) {
    DataSet data = assemble({{{3, 1}, Numbers{0, unit, 2 * unit}, {}}, {{3}, Labels{0, 1, 0}, {}}}, std::nullopt);
    prepare(data, {.scaling = Scaling::standard}, 1);
    EXPECT_NEAR(data.scale[0] * unit, std::sqrt(1.5), 1e-14) << unit;
  }
}

TEST(DataPrepare, RefusesInputsThatCannotBeScaled) {
  DataSet data = assemble({{{2, 1}, Numbers{-1e308, 1e308}, {}}, {{2}, Labels{0, 0}, {}}}, std::nullopt);
  const std::string expected =
      "65 error: the inputs are too large, or too close to each other, to be scaled: their sum, or 1 / their range, is "
      "not finite\n  hint: give them in another unit, or leave `scale` out";
  EXPECT_EQ(user_error([&] { prepare(data, {.scaling = Scaling::unit}, 1); }), expected);
  EXPECT_EQ(user_error([&] { prepare(data, {.scaling = Scaling::standard}, 1); }), expected);
  DataSet two = assemble({{{2, 2}, Numbers{0, -1e308, 1, 1e308}, {}}, {{2}, Labels{0, 0}, {}}}, std::nullopt);
  two.input_names = {"a", "b"};
  EXPECT_EQ(user_error([&] { prepare(two, {.scaling = Scaling::unit}, 1); }),
            "65 error: the inputs of column 1 'b', counted from 0, are too large, or too close to each other, to be "
            "scaled: their sum, or 1 / their range, is not finite\n  hint: give them in another unit, or leave `scale` "
            "out");
}

TEST(DataAssemble, RefusesWhatMemoryCannotHold) {
  const Origin origin{Place{"run.yaml", 4, 7}, "data.samples", ExitCode::bad_config};
  const std::string error = user_error([&] { require_memory(origin, std::int64_t{1} << 50); });
  EXPECT_TRUE(error.starts_with("78 run.yaml:4:7: error: the samples need 1048576.0 GiB of memory, ")) << error;
  EXPECT_EQ(user_error([&] { require_memory(origin, 1000); }), "");
}

TEST(DataAssemble, RefusesLengthsThatDoNotFit) {
  const Origin origin = Origin::file("lengths");
  const auto split = [&](Labels lengths) {
    const auto count = static_cast<std::int64_t>(lengths.size());
    return RawSplit{{{2, 3}, Numbers(6), {}}, {{2}, Labels{0, 1}, {}}, Table{{count}, std::move(lengths), origin}};
  };
  const auto error = [&](Labels lengths) { return user_error([&] { assemble(split(lengths), std::nullopt); }); };
  EXPECT_EQ(error({1, 3}), "");
  EXPECT_EQ(error({1, 0}), "65 lengths: error: sample 1 (counted from 0) has length 0; lengths are 1 to 3");
  EXPECT_EQ(error({4, 1}), "65 lengths: error: sample 0 (counted from 0) has length 4; lengths are 1 to 3");
  EXPECT_EQ(error({1}), "65 lengths: error: lengths have shape [1], expected one for each of the 2 samples");
  RawSplit without = split({1, 1});
  without.lengths.reset();
  without.inputs.origin = Origin::file("inputs");
  EXPECT_EQ(user_error([&] {
              assemble(split({1, 1}), without);
            }),
            "65 inputs: error: the test split has no lengths, though the training split has");
}

TEST(DataAssemble, RefusesSplitsThatAreNotScaledAlike) {
  const RawSplit bytes{{{1, 2}, std::vector<std::uint8_t>{0, 255}, Origin::file("a")}, {{1}, Labels{0}, {}}};
  const RawSplit floats{{{1, 2}, std::vector<float>{0, 1}, Origin::file("b")}, {{1}, Labels{0}, {}}};
  EXPECT_EQ(
      user_error([&] { assemble(bytes, floats); }),
      "65 b: error: inputs of the test split are numbers of another type, those of the training split bytes (0 to "
      "255): one of them may have been divided by 255 already\n"
      "  hint: store both in the same type and on the same scale");
  EXPECT_NE(user_error([&] { assemble(floats, bytes); }), "");
  EXPECT_EQ(user_error([&] { assemble(bytes, bytes); }), "");
}

TEST(DataAssemble, WarnsOfWhatMayBeWrong) {
  const auto split = [](Numbers inputs, Labels labels) {
    const auto count = std::ssize(labels);
    return RawSplit{{{count, 1}, std::move(inputs), {}}, {{count}, std::move(labels), {}}};
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(assemble(split({0, 255}, {0, 1}), split({0, 254}, {0, 1})).warnings, Texts{});
  EXPECT_EQ(assemble(split({0, 255}, {0, 1}), split({0, 1}, {0, 1})).warnings,
            Texts{"inputs of the training split reach 255, those of the test split 1: is only one of them scaled?"});
  EXPECT_EQ(assemble(split({1, 2, 3}, {1, 2, 3}), std::nullopt).warnings,
            Texts{"class 0 never occurs in the training split: labels count from 0"});
  EXPECT_EQ(assemble(split({1, 2}, {0, 1}), split({1, 2}, {0, 3})).warnings,
            Texts{"2 of the 4 classes never occur in the training split; the first is 2"});
  EXPECT_EQ(assemble(split({1, 2}, {151, 75}), std::nullopt).warnings,
            Texts{"150 of the 152 classes never occur in the training split; the first is 0; numbers to be learned are "
                  "written as targets instead of labels"});
}

TEST(DataAssemble, RefusesLabelsThatAreNoClasses) {
  const Origin origin = Origin::file("labels");
  const auto error = [&](std::int64_t label) {
    return user_error([&] { assemble({{{2, 1}, Numbers{1, 2}, {}}, {{2}, Labels{0, label}, origin}}, std::nullopt); });
  };
  EXPECT_EQ(
      error(-3),
      "65 labels: error: the label of sample 1 (counted from 0) is -3, expected a class number from 0 to 16777215\n"
      "  hint: classes are counted from 0: make 0 and 1 of -1 and 1; where a negative "
      "number means `ignore`, leave the sample out, or let `lengths` end before such steps");
  EXPECT_NE(error(1 << 24), "");
  EXPECT_EQ(error(5), "");
}

}  // namespace
}  // namespace backplane
