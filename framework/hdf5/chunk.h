#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "hdf5/handle.h"
#include "tensor/shape.h"

namespace backplane::h5 {

/// A chunk as it stands in the file, after HDF5's filters.
struct EncodedChunk {
  std::span<const std::byte> bytes;
  std::uint32_t skipped_filters = 0;  ///< HDF5's filter mask: bit k says that filter k of the data set was not used
};

/// Applies HDF5's own filters to a chunk, for H5Dwrite_chunk, several times as fast as the library does: every reader
/// of HDF5 reads the result. One thread at a time.
class ChunkEncoder {
 public:
  /// Of a data set with the filters fletcher32, or shuffle, deflate and fletcher32.
  enum class Filters { fletcher32, deflate };

  explicit ChunkEncoder(Filters filters);

  /// The chunk stays valid until the next call. What packing does not make smaller is stored as it is.
  EncodedChunk encode(const void* data, std::size_t bytes, std::size_t element_bytes);

 private:
  std::size_t deflate(std::size_t bytes, std::size_t element_bytes);
  std::size_t packed_size(const std::byte* data, std::size_t bytes);

  Filters filters_;
  std::shared_ptr<void> compressor_;
  std::vector<std::byte> shuffled_, encoded_;
};

/// How a tensor is cut into the chunks of a data set: whole rows up to about 1 MiB, each of them contiguous in memory.
class ChunkGrid {
 public:
  /// `shape` has an axis, and no extent of 0.
  ChunkGrid(const Shape& shape, std::size_t element_bytes);

  const std::vector<hsize_t>& extents() const { return extents_; }

  /// Calls body(offset in the data set) for each chunk, in the order of memory. `record` as in `write`.
  void for_each_offset(std::optional<hsize_t> record, const std::function<void(const hsize_t* offset)>& body) const;

  /// Writes a whole tensor, chunk by chunk. `record`: where the data set has an axis more, in front, with chunks of 1
  /// along it, the index there.
  void write(const Handle& dataset, const void* data, ChunkEncoder& encoder,
             std::optional<hsize_t> record = std::nullopt) const;

 private:
  Shape shape_;
  std::size_t element_bytes_;
  std::vector<hsize_t> extents_;
  std::size_t cut_axis_ = 0;   ///< chunks have extent 1 before it, and all of the axes behind it
  std::size_t row_bytes_ = 0;  ///< of what lies behind it
};

inline constexpr std::size_t kChecksumBytes = 4;
/// HDF5's Fletcher-32 checksum of big-endian 16-bit words, an odd last byte being a high one.
std::uint32_t fletcher32(const void* data, std::size_t bytes);

}  // namespace backplane::h5
