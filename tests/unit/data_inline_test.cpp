#include "data/inline_samples.h"

#include "data_test_files.h"

namespace backplane {
namespace {

using Numbers = std::vector<double>;
using Labels = std::vector<std::int64_t>;

Origin at(int line, const std::string& key) {
  return {Place{"run.yaml", line, 3}, "data." + key, ExitCode::bad_config};
}

InlineSplit split(config::TensorLiteral inputs, config::TensorLiteral targets, bool labels) {
  return {std::move(inputs), at(2, "inputs"), std::move(targets), labels, at(3, labels ? "labels" : "targets")};
}

TEST(DataInline, TakesTargetVectors) {
  const DataSet data = load_inline({split({{1, 2}, {0.05, 0.1}}, {{1, 2}, {0.01, 0.99}}, false), std::nullopt});
  EXPECT_EQ(data.input_shape, Shape{2});
  EXPECT_EQ(data.target_size, 2);
  EXPECT_EQ(data.classes, 0);
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{0.05, 0.1}));
  EXPECT_EQ(std::get<Numbers>(data.train.targets), (Numbers{0.01, 0.99}));
}

TEST(DataInline, TakesLabelsAndATestSplit) {
  const DataSet data = load_inline({split({{2}, {1, 2}}, {{2}, {0, 1}}, true), split({{1}, {3}}, {{1}, {4}}, true)});
  EXPECT_EQ(data.input_shape, Shape{1});
  EXPECT_EQ(data.classes, 5);
  EXPECT_EQ(std::get<Labels>(data.train.targets), (Labels{0, 1}));
  EXPECT_EQ(std::get<Labels>(data.test->targets), Labels{4});
}

TEST(DataInline, WhatFollowsASequenceIsOfNoRange) {
  InlineSplit train = split({{2, 2, 1}, {1, 9000, 2, 3}}, {{2}, {0, 1}}, true);
  train.lengths = Table{{2}, Labels{1, 2}, at(4, "lengths")};
  InlineSplit test = split({{1, 2, 1}, {4, -9000}}, {{1}, {1}}, true);
  test.lengths = Table{{1}, Labels{1}, at(4, "lengths")};
  const DataSet data = load_inline({train, test});
  std::vector<std::string> ranges;
  for (const Finding& finding : findings_of(data))
    if (finding.name.ends_with("_range")) ranges.push_back(finding.name + ": " + in_short(finding));
  EXPECT_EQ(ranges, (std::vector<std::string>{"train_range: 1, 3", "test_range: 4, 4"}));
  train.inputs.values[1] = 3;
  train.lengths.reset();
  test.lengths.reset();
  EXPECT_EQ(load_inline({train, test}).warnings.size(), 1U);
  train.lengths = Table{{2}, Labels{1, 2}, at(4, "lengths")};
  test.lengths = Table{{1}, Labels{1}, at(4, "lengths")};
  EXPECT_TRUE(load_inline({train, test}).warnings.empty());
}

TEST(DataInline, NamesThePlaceOfWhatDoesNotFit) {
  EXPECT_EQ(user_error([] {
              load_inline({split({{2}, {1, 2}}, {{1}, {0}}, true), std::nullopt});
            }),
            "78 run.yaml:3:3: error: 1 labels for the 2 samples of the inputs\n  data.labels");
  EXPECT_EQ(user_error([] {
              load_inline({split({{}, {1}}, {{1}, {0}}, true), std::nullopt});
            }),
            "78 run.yaml:2:3: error: expected a list with one entry per sample\n  data.inputs");
  const InlineSplit labels = split({{1, 1}, {1}}, {{1}, {0}}, true);
  EXPECT_EQ(user_error([&] {
              load_inline({labels, split({{1, 1}, {1}}, {{1}, {0}}, false)});
            }),
            "78 run.yaml:3:3: error: expected labels, as in the training split\n  data.targets");
  EXPECT_EQ(user_error([&] {
              load_inline({labels, split({{1, 2}, {1, 2}}, {{1}, {0}}, true)});
            }),
            "78 run.yaml:2:3: error: inputs of the test split have shape [2], those of the training split [1]\n"
            "  data.inputs");
}

}  // namespace
}  // namespace backplane
