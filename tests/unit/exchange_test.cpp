#include "exchange/weight_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <string>

#include "checkpoint/store.h"
#include "exchange/export.h"
#include "exchange/npy.h"
#include "exchange/npz.h"
#include "exchange/safetensors.h"
#include "exchange/torch_names.h"
#include "experiment/initial_weights.h"
#include "run/snapshot.h"
#include "support/model.h"

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::user_error_of;

/// Files of weights in a folder of their own.
class WeightFiles : public ::testing::Test {
 protected:
  std::string write(const std::string& bytes) {
    const std::string path = folder_.path("weights");
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return path;
  }
  std::string error_of(const std::string& bytes) {
    return user_error_of([&] { open_weight_file(write(bytes)); });
  }
  static std::string safetensors(const std::string& header, std::size_t data) {
    std::string file(8, '\0');
    const std::uint64_t length = header.size();
    std::memcpy(file.data(), &length, 8);
    return file + header + std::string(data, '\0');
  }
  /// The values of one tensor, as float64.
  std::vector<double> values(const WeightFile& file, const std::string& name) {
    for (const WeightEntry& entry : file.entries)
      if (entry.name == name) {
        std::vector<double> all(static_cast<std::size_t>(element_count(entry.shape)));
        read_values(file, entry, DType::float64, all.data());
        return all;
      }
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }

  TemporaryFolder folder_{"weights"};
  const float matrix_[6] = {1, 2, 3, 4, 5, 6};
  const double scalar_ = -0.5;
  const std::vector<TensorView> tensors_{{"a.W", {2, 3}, DType::float32, matrix_},
                                         {"a.s", {}, DType::float64, &scalar_},
                                         {"b.none", {0, 4}, DType::float32, nullptr}};
};

TEST_F(WeightFiles, OfBothFormatsGiveBackWhatWasWritten) {
  for (const std::string& bytes : {build_safetensors(tensors_, {{"step", "3"}}), build_npz(tensors_)}) {
    const WeightFile file = open_weight_file(write(bytes));
    ASSERT_EQ(file.entries.size(), 3u);
    EXPECT_EQ(file.entries[0].shape, (Shape{2, 3}));
    EXPECT_EQ(file.entries[1].shape, Shape{});
    EXPECT_EQ(file.entries[2].shape, (Shape{0, 4}));
    EXPECT_EQ(values(file, "a.W"), (std::vector<double>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(values(file, "a.s"), std::vector<double>{-0.5});
    EXPECT_EQ(values(file, "b.none"), std::vector<double>{});
  }
}

TEST_F(WeightFiles, AreTheSameBytesEachTime) {
  EXPECT_EQ(build_npz(tensors_), build_npz(tensors_));
  const std::string file = build_safetensors(tensors_, {});
  EXPECT_EQ(file, build_safetensors(tensors_, {}));
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), 8);
  EXPECT_EQ(header % 8, 0u);
}

TEST_F(WeightFiles, OfHalfPrecisionAreExact) {
  // 1, −2, 2⁻²⁴ (the smallest), 65504 (the largest) of binary16; 1, −2 of bfloat16.
  const std::string header =
      R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"g":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}})";
  std::string bytes = safetensors(header, 12);
  const std::uint16_t halves[] = {0x3C00, 0xC000, 0x0001, 0x7BFF, 0x3F80, 0xC000};
  std::memcpy(bytes.data() + bytes.size() - 12, halves, 12);
  const WeightFile file = open_weight_file(write(bytes));
  EXPECT_EQ(values(file, "h"), (std::vector<double>{1, -2, std::ldexp(1.0, -24), 65504}));
  EXPECT_EQ(values(file, "g"), (std::vector<double>{1, -2}));
}

TEST_F(WeightFiles, SafetensorsThatBreakTheFormatAreRefused) {
  const auto tensor = [](const std::string& shape, const std::string& offsets, const std::string& dtype = "F32") {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const auto one = [&](const std::string& described) { return R"({"t":)" + described + "}"; };
  const std::vector<std::tuple<std::string, std::size_t, std::string>> cases{
      {one(tensor("[2]", "[0,8]")), 12, "take 8 bytes, the data has 12"},
      {one(tensor("[2]", "[4,12]")), 12, "begins at 4, what stands before it ends at 0"},
      {one(tensor("[2]", "[0,12]")), 12, "takes 8 bytes, its offsets give it 12"},
      {one(tensor("[2]", "[8,0]")), 8, "ends before it begins"},
      {one(tensor("[2]", "[0,8]")), 4, "take 8 bytes, the data has 4"},
      {one(tensor("[-2]", "[0,8]")), 8, "no whole number"},
      {one(tensor("[2.0]", "[0,8]")), 8, "no whole number"},
      {one(tensor("[2]", "[0,8]", "F31")), 8, "unknown type 'F31'"},
      {one(tensor("[281474976710656,281474976710656]", "[0,0]")), 0, "too large"},
      {one(tensor("[9223372036854775807]", "[0,8]")), 8, "an axis of 9223372036854775807"},
      {one(tensor("[18446744073709551615,2]", "[0,8]")), 8, "an axis of 18446744073709551615"},
      {R"({"a":)" + tensor("[2]", "[0,8]") + R"(,"b":)" + tensor("[2]", "[4,12]") + "}", 12, "begins at 4"},
      {R"({"a":)" + tensor("[1]", "[0,4]") + R"(,"a":)" + tensor("[1]", "[4,8]") + "}", 8, "names 'a' twice"},
      {R"({"t":{"dtype":"F32","shape":[2]}})", 8, "lacks dtype, shape or data_offsets"},
      {R"({"t":[[[[[[1]]]]]]})", 0, "nested deeper"},
      {R"({"t":)", 0, "its header is no JSON: byte 6 of it makes no sense"}};
  for (const auto& [header, data, message] : cases) {
    const std::string error = error_of(safetensors(header, data));
    EXPECT_TRUE(error.starts_with("65 ") && error.find(message) != std::string::npos) << header << "\n" << error;
  }
}

TEST_F(WeightFiles, OfALengthThatLiesAreRefused) {
  const std::string good = build_safetensors(tensors_, {});
  for (const std::uint64_t length : {std::uint64_t{100'000'001}, good.size(), ~std::uint64_t{0}}) {
    std::string bytes = good;
    std::memcpy(bytes.data(), &length, 8);
    EXPECT_NE(error_of(bytes).find("its header would have"), std::string::npos) << length << error_of(bytes);
  }
}

TEST_F(WeightFiles, CutAnywhereAreRefused) {
  for (const std::string& good : {build_safetensors(tensors_, {}), build_npz(tensors_)})
    for (std::size_t length = 0; length < good.size(); ++length) {
      const std::string error = error_of(good.substr(0, length));
      ASSERT_TRUE(error.starts_with("65 ")) << length << " of " << good.size() << ": " << error;
    }
}

TEST_F(WeightFiles, WithAnyBitOfTheirNpzFlippedAreReadAsTheyWereOrRefused) {
  const std::string good = build_npz(tensors_);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
    const std::string error = user_error_of([&] {
      const WeightFile file = open_weight_file(write(bytes));
      for (const WeightEntry& entry : file.entries)
        if (entry.element != Element::other && entry.name == "a.W" && entry.shape == Shape{2, 3}) {
          EXPECT_EQ(values(file, "a.W"), (std::vector<double>{1, 2, 3, 4, 5, 6})) << "byte " << i;
        }
    });
    EXPECT_TRUE(error.empty() || error.starts_with("65 ")) << "byte " << i << ": " << error;
    refused += !error.empty();
  }
  EXPECT_GT(refused, good.size() / 2);
}

TEST_F(WeightFiles, OfNoKnownKindAndMissingOnesAreErrors) {
  EXPECT_TRUE(error_of("").starts_with("65 "));
  EXPECT_NE(error_of("some text that is no tensor").find("begins as no safetensors file"), std::string::npos);
  EXPECT_TRUE(user_error_of([&] { open_weight_file(folder_.path("none")); }).starts_with("66 "));
  EXPECT_TRUE(user_error_of([&] { open_weight_file(folder_.path()); }).starts_with("66 "));
}

TEST(Npy, HeadersAreThoseOfNumpy) {
  const float number = 0;
  const std::string header = build_npy_header({"x", {3, 1}, DType::float32, &number});
  EXPECT_EQ(header.size() % 64, 0u);
  EXPECT_NE(header.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }"), std::string::npos);
  EXPECT_NE(build_npy_header({"x", {3}, DType::float64, &number}).find("'shape': (3,), }"), std::string::npos);
  EXPECT_NE(build_npy_header({"x", {}, DType::float64, &number}).find("'shape': (), }"), std::string::npos);
}

TEST(Npy, HeadersThatAreNoneAreRefused) {
  const auto error_of = [](const std::string& dictionary) -> std::string {
    const std::string begin = std::string("\x93NUMPY\1\0", 8) + static_cast<char>(dictionary.size()) + '\0';
    try {
      parse_npy_header(begin + dictionary);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_EQ(error_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}"), "");
  for (const char* wrong :
       {"", "{", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': No, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2", "{'descr': '<f4, 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (281474976710656, 281474976710656)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'code': 'x'}"})
    EXPECT_NE(error_of(wrong), "") << wrong;
}

/// Two layers, a running statistic, and a file of their weights.
class InitialWeightsOf : public ::testing::Test {
 protected:
  static ExperimentText text(const std::string& dtype = "float32", const std::string& seed = "5") {
    return {.data = "synthetic: {random: {samples: 12, inputs: 3, classes: 4}}",
            .layers = "{dense: {name: hidden, units: 6, activation: tanh}}, {dense: {name: logits, units: 4}}",
            .loss = "softmax_cross_entropy",
            .train = "steps: 4, batch_size: 6, optimizer: sgd",
            .dtype = dtype,
            .seed = seed};
  }
  std::string file(const std::string& bytes) {
    const std::string path = folder_.path("weights");
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return path;
  }
  Snapshot trained(const std::string& dtype = "float32") {
    Lab lab(text(dtype));
    lab.run();
    return take_snapshot(lab.experiment, lab.model.network, lab.model.data, lab.trainer, "{}");
  }
  std::string error_of(const InitialWeights& initial) {
    Lab lab(text("float32", "6"));
    return user_error_of([&] { load_initial_weights(initial, lab.model.network); });
  }

  TemporaryFolder folder_{"initial"};
};

TEST_F(InitialWeightsOf, AnotherRunAreThatRunsBits) {
  const Snapshot snapshot = trained();
  for (const WeightFormat format : {WeightFormat::safetensors, WeightFormat::npz})
    for (const WeightNames names : {WeightNames::backplane, WeightNames::pytorch}) {
      Lab lab(text("float32", "6"));
      ASSERT_NE(lab.model.network.weights_digest(), snapshot.weights_digest);
      load_initial_weights({.file = file(build_weight_file(snapshot, format, names)), .renames = {}},
                           lab.model.network);
      EXPECT_EQ(lab.model.network.weights_digest(), snapshot.weights_digest);
    }
}

TEST_F(InitialWeightsOf, ACheckpointAreItsWeights) {
  const Snapshot snapshot = trained();
  CheckpointStore store(folder_.path("checkpoints"), {.keep = 1});
  const std::string path = folder_.path("checkpoints/" + store.commit(snapshot).file);
  Lab lab(text("float32", "6"));
  load_initial_weights({.file = path, .renames = {}}, lab.model.network);
  EXPECT_EQ(lab.model.network.weights_digest(), snapshot.weights_digest);
}

TEST_F(InitialWeightsOf, AWiderTypeAreRoundedAndItIsSaid) {
  const Snapshot snapshot = trained("float64");
  Lab lab(text("float32", "6"));
  const auto notes = load_initial_weights(
      {.file = file(build_weight_file(snapshot, WeightFormat::npz, WeightNames::backplane)), .renames = {}},
      lab.model.network);
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[1], "4 of them were rounded from float64 to float32");
  const auto* wide = snapshot.layers[0].tensors.at("weights/W").data.as<double>();
  const auto* narrow = lab.model.network.nodes()[0].parameters[0].value.as<float>();
  for (int i = 0; i < 18; ++i) EXPECT_EQ(narrow[i], static_cast<float>(wide[i]));
}

TEST_F(InitialWeightsOf, ASequentialOfPyTorchAreRenamed) {
  Snapshot snapshot = trained();
  snapshot.layers[0].name = "0";
  snapshot.layers[1].name = "10.inner";
  const std::string path = file(build_weight_file(snapshot, WeightFormat::safetensors, WeightNames::pytorch));
  const std::string error = error_of({.file = path, .renames = {}});
  EXPECT_NE(error.find("this network has no parameter '0.weight'"), std::string::npos) << error;
  EXPECT_NE(error.find("has no 'logits.b', which has shape [4]"), std::string::npos) << error;
  EXPECT_NE(error.find("these would do: --rename 0=hidden --rename 10.inner=logits"), std::string::npos) << error;

  Lab lab(text("float32", "6"));
  load_initial_weights(
      {.file = path, .renames = {{"0", "hidden"}, {"10.inner.weight", "logits.W"}, {"10.inner", "logits"}}},
      lab.model.network);
  EXPECT_EQ(lab.model.network.weights_digest(), snapshot.weights_digest);
}

TEST_F(InitialWeightsOf, OtherShapesTypesAndNamesAreAllNamed) {
  const float numbers[24] = {};
  const double huge = 1e300, nan = NAN;
  const auto of = [&](std::vector<TensorView> tensors) { return file(build_npz(tensors)); };
  const TensorView W{"hidden.W", {6, 3}, DType::float32, numbers}, b{"hidden.b", {6}, DType::float32, numbers},
      V{"logits.W", {4, 6}, DType::float32, numbers}, c{"logits.b", {4}, DType::float32, numbers};
  EXPECT_EQ(error_of({.file = of({W, b, V, c}), .renames = {}}), "");
  const auto expect = [&](const InitialWeights& initial, const std::string& message) {
    const std::string error = error_of(initial);
    EXPECT_TRUE(error.starts_with("65 ") && error.find(message) != std::string::npos) << error;
  };
  expect({.file = of({{"hidden.W", {3, 6}, DType::float32, numbers}, b, V, c}), .renames = {}},
         "'hidden.W' has shape [3, 6], hidden.W has shape [6, 3]: transpose it");
  expect({.file = of({W, b, V, {"logits.bias", {4}, DType::float32, numbers}, c}), .renames = {}},
         "'logits.bias' and 'logits.b' would both be logits.b");
  expect({.file = of({W, b, V, {"logit.b", {4}, DType::float32, numbers}}), .renames = {}}, "did you mean 'logits.b'");
  expect({.file = of({W, b, V, c}), .renames = {{"hiden", "x"}}}, "did you mean 'hidden'");
  expect({.file = of({W, b, V}), .renames = {}}, "has no 'logits.b', which has shape [4] in this network");
  EXPECT_EQ(error_of({.file = of({W, b, V}), .renames = {}, .is_partial = true}), "");
  Lab lab({.data = "inline: {inputs: [[1]], targets: [[1]]}",
           .layers = "{dense: {name: d, units: 1, bias: false}}",
           .train = "steps: 1, optimizer: sgd",
           .dtype = "float32"});
  for (const double& value : {huge, nan}) {
    const std::string path = of({{"d.W", {1, 1}, DType::float64, &value}});
    const std::string error =
        user_error_of([&] { load_initial_weights({.file = path, .renames = {}}, lab.model.network); });
    EXPECT_NE(error.find("'d.W': element 0 is NaN, infinite, or beyond float32"), std::string::npos) << error;
  }
}

}  // namespace
}  // namespace backplane
