#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// A tensor with its own memory, and how it is to be read.
struct StoredTensor {
  Shape shape;
  DType dtype = DType::float32;
  Buffer data;
  std::vector<std::string> axes;  ///< one label per axis: "sample", "out", …
  std::map<std::string, std::string> attributes;
};

/// What a checkpoint holds of one layer.
struct StoredLayer {
  std::string name, type, activation;
  std::string plugin, plugin_version, plugin_sha256;
  bool trainable = true;
  /// By path below the layer: "weights/W", "z", "activation", "delta", "gradients/W", "optimizer/W/velocity".
  std::map<std::string, StoredTensor> tensors;
};

/// Everything that a checkpoint stores, detached from training: a copy at a step boundary. FORMAT.md says how it
/// becomes a file.
struct Snapshot {
  std::int64_t step = 0;
  std::string config;       ///< the resolved YAML
  std::string environment;  ///< JSON: CPU, versions, threads
  std::string weights_digest;
  std::map<std::string, std::int64_t> integers;  ///< /state
  std::map<std::string, double> numbers;         ///< /state
  std::vector<std::int64_t> sample_indices;      ///< which training samples the rows of per-sample tensors are
  StoredTensor input, target;                    ///< of those samples
  std::vector<std::int64_t> lengths;             ///< of those samples; empty where the data has none
  std::vector<double> losses;                    ///< of those samples
  std::vector<std::string> vocabulary;           ///< of text: symbol k in UTF-8; else empty
  std::vector<StoredLayer> layers;
};

}  // namespace backplane
