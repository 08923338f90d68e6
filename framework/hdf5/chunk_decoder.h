#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "hdf5/chunk.h"
#include "hdf5/handle.h"

namespace backplane::h5 {

/// Undoes the filters of chunks that other programs wrote. Unlike the library it asks how many bytes come out: the
/// library takes memory for whatever a chunk has too few of, and leaves it as it was. One thread at a time.
class ChunkDecoder {
 public:
  /// `creation`: the creation properties of a data set whose filters are HDF5's own; `bytes`: those of a chunk.
  ChunkDecoder(const Handle& creation, std::size_t bytes);

  /// Whether every filter is one that is undone here: shuffle, deflate, fletcher32. The others (szip, n-bit,
  /// scale-offset) are the library's to undo.
  bool undoes_all() const;

  /// The chunk without its filters; where not all are undone here, as far as they are, and then it has as many bytes
  /// as the next one needs to make a whole chunk. It stays valid until the next call, or is `chunk` itself. Throws
  /// Unreadable (checked_read.h) where the bytes are not those of such a chunk.
  std::span<const std::byte> decode(const EncodedChunk& chunk);

 private:
  struct Step {
    H5Z_filter_t filter;
    std::vector<unsigned> values;  ///< what the file says of the filter
  };
  using Bytes = std::span<const std::byte>;

  void require_fitting(std::uint32_t skipped) const;
  Bytes inflate(Bytes bytes);
  Bytes unshuffle(Bytes bytes, std::size_t element_bytes);

  std::vector<Step> steps_;  ///< in the order in which a writer applies them
  std::size_t bytes_;
  std::shared_ptr<void> decompressor_;
  std::vector<std::byte> now_, next_;  ///< what the last step made, and room for the next one
};

}  // namespace backplane::h5
