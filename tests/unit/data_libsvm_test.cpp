#include "config/parse.h"
#include "data/sources.h"
#include "data_test_files.h"

namespace backplane {
namespace {

using Numbers = std::vector<double>;
using Labels = std::vector<std::int64_t>;

class DataLibsvm : public DataFiles {
 protected:
  static DataSet load(const std::string& options) {
    const config::Schema whole = config::Schema::map().required("data", data_schema(), "");
    const std::string yaml = "data:\n  libsvm: {" + options + "}";
    return load_data(config::validate(config::parse_text(yaml, "run.yaml"), whole).at("data"), 7);
  }
  static std::string error(const std::string& text, const std::string& more = "") {
    write("a.txt", text);
    return user_error([&] { load("train: a.txt" + more); });
  }
};

TEST_F(DataLibsvm, WhatALineLeavesOutIsZero) {
  write("a.txt", "+1 1:0.5 3:-2 # a comment\n-1\t2:1e-3\r\n\n# nothing\n3 1:7");
  const DataSet data = load("train: a.txt");
  EXPECT_EQ(data.input_shape, Shape{3});
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{0.5, 0, -2, 0, 1e-3, 0, 7, 0, 0}));
  EXPECT_EQ(std::get<Labels>(data.train.targets), (Labels{1, 0, 2})) << "classes are numbered by their labels";
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"-1", "1", "3"}));
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(data.files, std::vector<std::string>{"a.txt"});
}

TEST_F(DataLibsvm, TheFirstNumberMayBeATarget) {
  write("a.txt", gzip("0.25 1:1\n-3e2 1:2\n"));
  const DataSet data = load("train: a.txt, learn: targets, features: 2");
  EXPECT_EQ(std::get<Numbers>(data.train.targets), (Numbers{0.25, -300}));
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{1, 0, 2, 0}));
  EXPECT_EQ(data.target_size, 1);
}

TEST_F(DataLibsvm, TheTestFileHasTheSameClassesAndInputs) {
  write("a.txt", "2 1:1\n5 1:2\n");
  write("b.txt", "5 4:1\n");
  const DataSet data = load("train: a.txt, test: b.txt");
  EXPECT_EQ(data.input_shape, Shape{4});
  EXPECT_EQ(std::get<Labels>(data.test->targets), Labels{1});
  EXPECT_EQ(std::get<Numbers>(data.test->inputs), (Numbers{0, 0, 0, 1}));
  write("b.txt", "\n3 4:1\n");
  EXPECT_EQ(user_error([] { load("train: a.txt, test: b.txt"); }),
            "65 b.txt:2: error: label 3 does not occur in the training file");
}

TEST_F(DataLibsvm, APartOfTheFileMayBeTheTestSplit) {
  write("a.txt", "0 1:1\n1 1:2\n0 1:3\n1 1:4\n");
  const DataSet data = load("train: a.txt, test: 0.5");
  EXPECT_EQ(data.train.count, 2);
  EXPECT_EQ(data.test->count, 2);
}

TEST_F(DataLibsvm, LongFilesAreReadPieceByPiece) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i % 3) + " 2:" + std::to_string(i) + " 3:0.125\n";
  write("a.txt", text);  // more than one MiB
  const DataSet data = load("train: a.txt");
  ASSERT_EQ(data.train.count, 100'000);
  const auto& inputs = std::get<Numbers>(data.train.inputs);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(inputs[static_cast<std::size_t>(3 * i + 1)], i);
}

TEST_F(DataLibsvm, MistakesNameTheirLine) {
  const std::string form = "\n  hint: a line is: label index:value index:value …";
  EXPECT_EQ(error("1 1:1\nx 1:2\n"), "65 a.txt:2: error: 'x' is no label" + form);
  EXPECT_EQ(error("1 1:1 2:\n"), "65 a.txt:1: error: '' is no value" + form);
  EXPECT_EQ(error("1 1:nan\n"), "65 a.txt:1: error: 'nan' is no value" + form);
  EXPECT_EQ(error("1 1 2\n"), "65 a.txt:1: error: index 1 is followed by no ':'" + form);
  EXPECT_EQ(error("1 0:5\n"),
            "65 a.txt:1: error: index 0 is no whole number from 1 to 16777216\n  hint: indices count from 1: add 1 to "
            "each");
  EXPECT_EQ(error("1 2:5 2:6\n"), "65 a.txt:1: error: index 2 follows index 2: indices of a line grow");
  EXPECT_EQ(error("1 1:5\n1.5 1:5\n"),
            "65 a.txt:2: error: label 1.5 is no whole number\n  hint: numbers that are to be met, not classes, are "
            "`learn: targets`");
  EXPECT_EQ(error("# nothing\n"), "65 a.txt: error: holds no sample" + form);
  EXPECT_EQ(error("1 3:5\n", ", features: 2"),
            "78 run.yaml:2:36: error: the files have an input of index 3, beyond 2\n  data.features");
}

}  // namespace
}  // namespace backplane
