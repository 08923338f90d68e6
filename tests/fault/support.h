#pragma once

// What the fault tests share: a checkpoint of a few kilobytes, and what stands in a directory.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "checkpoint/snapshot.h"
#include "support/model.h"

namespace backplane::fault {

/// Temporary folders stand in memory where there is such a place: thousands of small commits need no disk.
inline const bool kInMemory = access("/dev/shm", W_OK | X_OK) == 0 && setenv("TMPDIR", "/dev/shm", 1) == 0;

/// Whether the versions for long hours were asked for (`make test-long`).
inline bool is_long() {
  return std::getenv("BP_LONG_TESTS") != nullptr;
}

inline StoredTensor small_tensor(const Shape& shape, float value) {
  StoredTensor tensor{
      .shape = shape, .dtype = DType::float32, .data = Buffer(4 * shape[0]), .axes = {}, .attributes = {}};
  std::fill_n(tensor.data.as<float>(), shape[0], value);
  return tensor;
}

/// A whole checkpoint as small as they come; its numbers tell its step.
inline Snapshot small_snapshot(std::int64_t step) {
  Snapshot snapshot;
  snapshot.step = step;
  snapshot.config = "name: small\n";
  snapshot.environment = "{}";
  snapshot.weights_digest = "none";
  snapshot.integers = {{"batch_size", 1}, {"step", step}};
  snapshot.numbers = {{"batch_loss", 0.5}};
  snapshot.sample_indices = {0};
  snapshot.losses = {0.5};
  const auto value = static_cast<float>(step);
  snapshot.input = small_tensor({1}, value);
  snapshot.target = small_tensor({1}, value);
  StoredLayer layer{.name = "out",
                    .type = "dense",
                    .activation = "identity",
                    .plugin = "dense",
                    .plugin_version = "1.0",
                    .plugin_sha256 = "",
                    .trainable = true,
                    .tensors = {}};
  for (const char* name : {"z", "activation", "delta"}) layer.tensors[name] = small_tensor({1}, value);
  layer.tensors["weights/W"] = small_tensor({4}, value);
  snapshot.layers.push_back(std::move(layer));
  return snapshot;
}

inline std::set<std::string> names_in(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) names.insert(entry.path().filename());
  return names;
}

inline long open_descriptors() {
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  return std::distance(begin(descriptors), end(descriptors));
}

}  // namespace backplane::fault
