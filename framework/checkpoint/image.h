#pragma once

#include <cstddef>
#include <span>

#include "checkpoint/snapshot.h"
#include "hdf5/handle.h"

namespace backplane {

/// The HDF5 file of a snapshot, built in memory: HDF5 never meets a full disk. See FORMAT.md.
/// Made and destroyed by the I/O thread.
class Image {
 public:
  explicit Image(const Snapshot& snapshot);

  /// What stands in the file; as long as the image lives.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  h5::Handle file_;
  std::span<const std::byte> bytes_;
};

}  // namespace backplane
