#include "data/sources.h"

#include <algorithm>
#include <cstdlib>

#include "data_test_files.h"

namespace backplane {
namespace {

using Numbers = std::vector<double>;
using Labels = std::vector<std::int64_t>;

/// Loads the section `data:` of a YAML text, as a run does.
DataSet load(const std::string& yaml, std::uint64_t seed = 1) {
  config::Schema whole = config::Schema::map();
  whole.required("data", data_schema(), "what to learn from");
  return load_data(config::validate(config::parse_text("data:\n  " + yaml, "run.yaml"), whole).at("data"), seed);
}

std::string error(const std::string& yaml) {
  return user_error([&] { load(yaml); });
}

class DataSources : public DataFiles {};

TEST_F(DataSources, IdxByNameIsFoundInBackplaneData) {
  std::filesystem::create_directory("digits");
  write("digits/train-images-idx3-ubyte", std::string{0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 51, 102, '\xff'});
  write("digits/train-labels-idx1-ubyte", std::string{0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2});
  setenv("BACKPLANE_DATA", ".", 1);
  const DataSet data = load("idx: {name: digits, validation: 1, scale: unit}");
  EXPECT_EQ(load("idx: {name: digits, as: rows}").input_shape, (Shape{1, 1}));
  unsetenv("BACKPLANE_DATA");
  EXPECT_EQ(data.input_shape, (Shape{1, 1, 1}));
  EXPECT_EQ(data.train.count, 2);
  EXPECT_EQ(data.validation->count, 1);
  EXPECT_EQ(data.scale, Numbers{1.0 / 255.0});
}

TEST_F(DataSources, TheFashionMnistLineOfTheDesignWorks) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const DataSet data = load("idx: {name: fashion-mnist, validation: 5000, scale: unit}", 42);
  EXPECT_EQ(data.train.count, 55000);
  EXPECT_EQ(data.validation->count, 5000);
  EXPECT_EQ(data.test->count, 10000);
}

TEST_F(DataSources, CifarIsFoundInBackplaneData) {
  EXPECT_EQ(error("cifar10: {folder: nowhere}"),
            "66 nowhere: error: there is no data_batch_1.bin in this folder\n"
            "  hint: the binary version is at https://www.cs.toronto.edu/~kriz/cifar.html");
  std::filesystem::create_directory("cifar-100-binary");
  for (const char* file : {"train.bin", "test.bin"})
    write(std::string("cifar-100-binary/") + file, std::string(3074, '\7'));
  setenv("BACKPLANE_DATA", ".", 1);
  const DataSet data = load("cifar100: {normalize: {mean: [0.5, 0.5, 0.5], std: 0.25}, augment: {shift: 4}}");
  const std::string missing = error("cifar10");
  unsetenv("BACKPLANE_DATA");
  EXPECT_EQ(data.classes, 100);
  EXPECT_EQ(data.augmentation->shift, 4);
  EXPECT_EQ(missing.find("66 error: data set 'cifar-10-batches-bin' not found; looked at ./cifar-10-batches-bin, "),
            0u);
}

TEST_F(DataSources, IdxWantsANameOrFiles) {
  EXPECT_EQ(error("idx: {scale: unit}"),
            "78 run.yaml:2:8: error: expected either 'name' or 'train', found neither\n  data");
  EXPECT_EQ(error("idx: {name: x, test: {images: a, labels: b}}"),
            "78 run.yaml:2:24: error: 'test' goes with 'train', not with 'name'\n  data.test");
  EXPECT_EQ(error("idx: {train: {images: a, labels: b}}"), "66 a: error: there is no such file");
}

TEST_F(DataSources, Csv) {
  write("a.csv", "x;y;kind\n1;2;a\n3;4;b\n");
  const DataSet data = load("csv: {train: a.csv, delimiter: ;, labels: kind, inputs: [y]}");
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{2, 4}));
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(error("csv: {train: a.csv, delimiter: ;, targets: [width]}"),
            "78 run.yaml:2:47: error: 'a.csv' has no column 'width'\n  data.targets[0]\n  known: x, y, kind");
  EXPECT_EQ(error("csv: {train: a.csv, delimiter: ab, labels: x}"),
            "78 run.yaml:2:34: error: expected one character that is no quote, no line end and no part of a number\n  "
            "data.delimiter");
}

TEST_F(DataSources, CsvColumnsWithoutHeaderAreNumbers) {
  write("a.csv", "1,2,0\n3,4,1\n");
  EXPECT_EQ(load("csv: {train: a.csv, header: false, labels: 2}").classes, 2);
}

TEST_F(DataSources, CsvTakesOneColumnOrAList) {
  write("a.csv", "x,y,z\n1,2,3\n3,4,5\n");
  const DataSet data = load("csv: {train: a.csv, targets: y, inputs: z}");
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{3, 5}));
  EXPECT_EQ(std::get<Numbers>(data.train.targets), (Numbers{2, 4}));
  EXPECT_EQ(data.input_names, std::vector<std::string>{"z"});
  EXPECT_EQ(error("csv: {train: a.csv, targets: width}"),
            "78 run.yaml:2:32: error: 'a.csv' has no column 'width'\n  data.targets\n  known: x, y, z");
}

TEST_F(DataSources, CsvTakesAHeaderThatIsSaidToBeOne) {
  write("a.csv", "0,1\n3,1\n");
  EXPECT_EQ(load("csv: {train: a.csv, labels: '1', header: true}").train.count, 1);
  EXPECT_NE(error("csv: {train: a.csv, labels: '1'}").find("seems to be a sample"), std::string::npos);
}

TEST_F(DataSources, SplitsMayBePartsOfTheTrainingFile) {
  std::string rows = "x,y\n";
  for (int i = 0; i < 50; ++i) rows += std::to_string(i) + "," + std::to_string(i % 2) + "\n";
  write("a.csv", rows);
  const DataSet data = load("csv: {train: a.csv, labels: y, test: 0.2, validation: 0.25}");
  EXPECT_EQ(data.test->count, 10);
  EXPECT_EQ(data.validation->count, 10);
  EXPECT_EQ(data.train.count, 30);
  EXPECT_EQ(load("csv: {train: a.csv, labels: y, test: 20}").test->count, 20);
  EXPECT_EQ(error("csv: {train: a.csv, labels: y, test: '0.2'}"), "66 0.2: error: there is no such file");
  EXPECT_EQ(error("csv: {train: a.csv, labels: y, validation: 1.0}"),
            "78 run.yaml:2:46: error: expected a whole number of samples, or a part of them below 1, got '1.0'\n"
            "  data.validation");
}

TEST_F(DataSources, WhatIsTooSmallForADoubleIsZero) {
  EXPECT_EQ(std::get<Numbers>(load("inline: {inputs: [[1e-400, 4e-324]], labels: [0]}").train.inputs),
            (Numbers{0, 5e-324}));
}

TEST_F(DataSources, Hdf5NamesAMissingFile) {
  EXPECT_EQ(error("hdf5: {train: a.h5, inputs: /x, labels: /y}"), "66 a.h5: error: there is no such file");
}

TEST_F(DataSources, Inline) {
  const DataSet data = load("inline: {inputs: [[0.05, 0.1]], targets: [[0.01, 0.99]]}");
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{0.05, 0.1}));
  EXPECT_EQ(std::get<Numbers>(data.train.targets), (Numbers{0.01, 0.99}));
  const DataSet labelled = load("inline: {inputs: [[1], [2]], labels: [0, 1], test: {inputs: [[3]], labels: [1]}}");
  EXPECT_EQ(std::get<Labels>(labelled.train.targets), (Labels{0, 1}));
  EXPECT_EQ(std::get<Labels>(labelled.test->targets), Labels{1});
}

TEST_F(DataSources, InlineNamesThePlaceOfAMistake) {
  EXPECT_EQ(error("inline: {inputs: [[1], [2]], labels: [0]}"),
            "78 run.yaml:2:40: error: 1 labels for the 2 samples of the inputs\n  data.labels");
  const std::string ragged = error("inline: {inputs: [[1, 2], [2]], labels: [0, 0]}");
  EXPECT_EQ(ragged.substr(0, 13), "78 run.yaml:2") << ragged;
  EXPECT_NE(ragged.find("data.inputs"), std::string::npos) << ragged;
}

TEST_F(DataSources, Synthetic) {
  EXPECT_EQ(load("synthetic: xor").train.count, 4);
  const DataSet spirals = load("synthetic: {spirals: {classes: 2, samples: 40, test: 10, validation: 5}}");
  EXPECT_EQ(spirals.train.count, 35);
  EXPECT_EQ(spirals.validation->count, 5);
  EXPECT_EQ(spirals.test->count, 10);
  EXPECT_EQ(spirals.classes, 2);
  EXPECT_EQ(load("synthetic: {random: {inputs: [28, 28, 1], classes: 10}}").input_shape, (Shape{28, 28, 1}));
  EXPECT_EQ(load("synthetic: {random: {inputs: 7, targets: 3, samples: 2}}").target_size, 3);
  EXPECT_EQ(error("synthetic: {random: {inputs: 7}}"),
            "78 run.yaml:2:23: error: expected either 'classes' or 'targets', found neither\n  data");
  EXPECT_EQ(
      error("synthetic: {random: {inputs: [1000, 1000, 1000], classes: 2}}"),
      "78 run.yaml:2:32: error: a table of shape [1000, 1000, 1000, 1000] with 8 bytes an element exceeds the limit "
      "of 4 GiB\n  data.inputs");
}

TEST_F(DataSources, LengthsOfSequences) {
  const DataSet data = load("inline: {inputs: [[[1], [2]], [[3], [0]]], labels: [0, 1], lengths: [2, 1]}");
  EXPECT_EQ(data.train.lengths, (Labels{2, 1}));
  EXPECT_EQ(error("inline: {inputs: [[[1], [2]], [[3], [0]]], labels: [0, 1], lengths: [2, 3]}"),
            "78 run.yaml:2:75: error: sample 1 (counted from 0) has length 3; lengths are 1 to 2\n  data.lengths");
  EXPECT_EQ(load("synthetic: {random: {inputs: [4, 2], classes: 2, samples: 3, lengths: true}}").train.lengths.size(),
            3u);
  EXPECT_EQ(error("synthetic: {random: {inputs: 4, classes: 2, lengths: true}}"),
            "78 run.yaml:2:56: error: lengths need samples of steps, [T, F]; these have shape [4]\n  data.lengths");
}

TEST_F(DataSources, LabelsOfEachStep) {
  const DataSet data = load(
      "inline: {inputs: [[[1], [2]], [[3], [0]], [[4], [5]]], labels: [[0, 2], [1, -1], [1, 0]], lengths: [2, 1, "
      "2], validation: 2}");
  EXPECT_EQ(data.steps, 2);
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(data.target_shape, Shape{2});
  EXPECT_EQ(data.train.labels_per_sample(), 2);
  const Numbers first{1, 3, 4};
  for (const Samples* samples : {&data.train, &*data.validation})
    for (std::int64_t n = 0; n < samples->count; ++n)
      EXPECT_EQ(std::get<Numbers>(samples->inputs)[static_cast<std::size_t>(2 * n)],
                first[static_cast<std::size_t>(samples->source_index(n))]);
  EXPECT_EQ(error("inline: {inputs: [[1], [2]], labels: [0, 1.5]}"),
            "78 run.yaml:2:44: error: 1.5 is no class number\n  data.labels\n  hint: numbers that are to be met, not "
            "classes, are `targets`");
}

TEST_F(DataSources, NormalizeAndAugment) {
  const std::string images = "synthetic: {random: {inputs: [4, 4, 3], classes: 2, samples: 2, ";
  const DataSet data =
      load(images + "normalize: {mean: [1, 2, 3], std: 2}, augment: {flip: horizontal, shift: 2}}}", 17);
  EXPECT_EQ(data.shift, (Numbers{1, 2, 3}));
  EXPECT_EQ(data.scale, (Numbers{0.5, 0.5, 0.5}));
  EXPECT_TRUE(data.augmentation->flip);
  EXPECT_EQ(data.augmentation->shift, 2);
  EXPECT_EQ(data.augmentation->seed, 17u);
  EXPECT_EQ(load(images + "scale: none, normalize: {mean: 0, std: 2}}}").scale, Numbers{0.5});
  EXPECT_EQ(error(images + "scale: unit, normalize: {mean: 0, std: 1}}}"),
            "78 run.yaml:2:91: error: 'normalize' and 'scale: unit' exclude each other\n  data.normalize");
  EXPECT_NE(error(images + "normalize: {mean: 0, std: [1, 1, 0]}}}").find("data.normalize.std[2]"), std::string::npos);
}

TEST_F(DataSources, Text) {
  write("a.txt", "to be or not to be");
  const DataSet data = load("text: {files: a.txt, window: 3, test: 0.4, validation: 1}");
  EXPECT_EQ(data.train.count, 2);  // of five windows, two for testing
  EXPECT_EQ(data.validation->count, 1);
  EXPECT_EQ(data.validation->labels_per_sample(), 3);
  EXPECT_EQ(data.test->count, 2);
  EXPECT_EQ(data.vocabulary.size(), 7u);
  EXPECT_EQ(load("text: {files: [a.txt, a.txt], unit: byte, window: 3}").classes, 256);
  EXPECT_NE(error("text: {files: a.txt, window: 3, scale: unit}").find("unknown key 'scale'"), std::string::npos);
  EXPECT_EQ(error("text: {files: a.txt, window: 3, test: 0.05}").substr(0, 20), "78 run.yaml:2:41: er");
}

TEST_F(DataSources, SameSectionAndSeedGiveTheSameBits) {
  const auto inputs = [](std::uint64_t seed) {
    return std::get<Numbers>(
        load("synthetic: {spirals: {samples: 40, validation: 7, scale: standard}}", seed).train.inputs);
  };
  EXPECT_EQ(inputs(4), inputs(4));
  EXPECT_NE(inputs(4), inputs(5));
}

TEST_F(DataSources, ValidationThatLeavesNothingNamesItsPlace) {
  EXPECT_EQ(error("synthetic: {xor: {validation: 4}}"),
            "78 run.yaml:2:33: error: a validation split of 4 samples leaves none of the 4 for training\n"
            "  data.validation");
}

}  // namespace
}  // namespace backplane
