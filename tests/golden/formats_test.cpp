#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/reader.h"
#include "exchange/export.h"
#include "exchange/weight_file.h"
#include "support/paths.h"

namespace backplane {
namespace {

const std::string kFolder = std::string(testing::kSourceFolder) + "/tests/golden/formats/version-1/";

/// What h5py read of the checkpoint on the day it was written.
const nlohmann::json& values() {
  static const nlohmann::json all = [] {
    std::ifstream file(kFolder + "values.json");
    return nlohmann::json::parse(file)["checkpoint"];
  }();
  return all;
}

Snapshot golden() {
  return read_checkpoint(kFolder + "checkpoints/step-00000002.h5");
}

template <class T>
std::vector<T> numbers(const std::string& path) {
  return values()["data"][path]["values"].get<std::vector<T>>();
}

void expect_equal(const StoredTensor& tensor, const std::string& path) {
  const nlohmann::json& want = values()["data"].at(path);
  EXPECT_EQ(tensor.shape, want["shape"].get<Shape>()) << path;
  EXPECT_EQ(name_of(tensor.dtype), want["dtype"].get<std::string>()) << path;
  const std::vector<double> got = dispatch(tensor.dtype, [&]<class T>(T) {
    return std::vector<double>(tensor.data.as<T>(), tensor.data.as<T>() + element_count(tensor.shape));
  });
  EXPECT_EQ(got, want["values"].get<std::vector<double>>()) << path;
}

TEST(FormatVersion1, OfCheckpointsIsReadToTheLastNumber) {
  const Snapshot snapshot = golden();
  EXPECT_EQ(snapshot.step, values()["attributes"]["step"]);
  EXPECT_EQ(snapshot.weights_digest, values()["attributes"]["weights_digest"].get<std::string>());
  EXPECT_EQ(snapshot.config, values()["data"]["/config"].get<std::string>());
  EXPECT_EQ(snapshot.environment, values()["data"]["/environment"].get<std::string>());
  EXPECT_EQ(snapshot.sample_indices, numbers<std::int64_t>("/scales/sample"));
  EXPECT_EQ(snapshot.losses, numbers<double>("/probe/loss"));
  expect_equal(snapshot.input, "/probe/input");
  expect_equal(snapshot.target, "/probe/target");
  for (const auto& [name, value] : snapshot.integers)
    EXPECT_EQ(value, numbers<std::int64_t>("/state/" + name).at(0)) << name;
  for (const auto& [name, value] : snapshot.numbers) EXPECT_EQ(value, numbers<double>("/state/" + name).at(0)) << name;

  std::size_t tensors = 0;
  for (const StoredLayer& layer : snapshot.layers)
    for (const auto& [name, tensor] : layer.tensors) {
      expect_equal(tensor, "/layers/" + layer.name + "/" + name);
      ++tensors;
    }
  std::size_t wanted = 0;
  for (const auto& [path, value] : values()["data"].items()) wanted += path.starts_with("/layers/");
  EXPECT_EQ(tensors, wanted) << "a tensor was passed over";
  ASSERT_EQ(snapshot.layers.size(), 2u);
  EXPECT_EQ(snapshot.layers[0].type, "batch_norm");
  EXPECT_EQ(snapshot.layers[0].activation, "tanh");
  EXPECT_EQ(snapshot.layers[1].plugin, "org.backplane.dense");
}

TEST(FormatVersion1, OfExportedWeightsIsReadToTheLastNumber) {
  const Snapshot snapshot = golden();
  for (const char* name : {"weights.safetensors", "weights.npz"}) {
    const WeightFile file = open_weight_file(kFolder + name);
    const std::vector<TensorView> want = weights_of(snapshot);
    ASSERT_EQ(file.entries.size(), want.size()) << name;
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(file.entries[i].name, want[i].name) << name;
      ASSERT_EQ(file.entries[i].shape, want[i].shape) << name;
      std::vector<float> got(static_cast<std::size_t>(element_count(want[i].shape)));
      read_values(file, file.entries[i], DType::float32, got.data());
      EXPECT_EQ(std::memcmp(got.data(), want[i].data, got.size() * sizeof(float)), 0) << name << " " << want[i].name;
    }
  }
}

}  // namespace
}  // namespace backplane
