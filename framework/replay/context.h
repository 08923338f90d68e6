#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "checkpoint/snapshot.h"
#include "experiment/experiment.h"
#include "layer_pass/layer_call.h"
#include "network/network.h"
#include "trainer/loss.h"

namespace backplane {

/// What all layers of a replay share: the checkpoint, the network of its /config, and how the batch was cut.
struct ReplayContext {
  const Snapshot& snapshot;
  const std::string& source;  ///< the checkpoint's path, for messages
  const Experiment& experiment;
  Network& network;
  const Loss& loss;
  std::int64_t batch, stored, slice_rows;

  DType dtype() const { return network.dtype(); }
  bool has_whole_batch() const { return stored == batch; }
  std::int64_t slices() const { return (stored + slice_rows - 1) / slice_rows; }
  Rows slice(std::int64_t index) const {
    return {index * slice_rows, std::min(slice_rows, batch - index * slice_rows)};
  }
  /// Rows of all slices that have stored rows.
  std::int64_t rows() const { return std::min(slices() * slice_rows, batch); }

  template <class Body>
  void for_each_slice(const Body& body) const {
    for (std::int64_t i = 0; i < slices(); ++i) body(i, slice(i));
  }

  Buffer per_sample(const Shape& sample) const {
    return Buffer(static_cast<std::size_t>(rows() * element_count(sample)) * size_of(dtype()));
  }
  /// The stored rows, then copies of them in turn up to the end of the last slice.
  Buffer filled_up(const void* data, std::int64_t sample_size) const {
    const std::size_t row = static_cast<std::size_t>(sample_size) * size_of(dtype());
    Buffer filled(static_cast<std::size_t>(rows()) * row);
    for (std::int64_t n = 0; n < rows() && row > 0; ++n)
      std::memcpy(filled.as<char>() + static_cast<std::size_t>(n) * row,
                  static_cast<const char*>(data) + static_cast<std::size_t>(n % stored) * row, row);
    return filled;
  }
};

}  // namespace backplane
