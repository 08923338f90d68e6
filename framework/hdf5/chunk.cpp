#include "hdf5/chunk.h"

#include <libdeflate.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/multiversion.h"

namespace backplane::h5 {

namespace {

constexpr int kLevel = 1;
constexpr std::size_t kLongestStoredBlock = 65535;

/// Σ w and Σ (rank from the end, from 1) · w over the words of a block: both fit 32 bits up to 256 words.
struct BlockSums {
  std::uint32_t plain = 0, weighted = 0;
};
constexpr std::size_t kBlockWords = 256;

BP_MULTIVERSION BlockSums sum_block(const std::uint8_t* bytes) {
  BlockSums sums;
  for (std::size_t i = 0; i < kBlockWords; ++i) {
    std::uint16_t word;
    std::memcpy(&word, bytes + 2 * i, 2);
    word = static_cast<std::uint16_t>((word << 8) | (word >> 8));
    sums.plain += word;
    sums.weighted += static_cast<std::uint32_t>(kBlockWords - i) * word;
  }
  return sums;
}

/// The library folds its sums so that a multiple of 65535 is 65535, and only a sum of nothing 0.
std::uint32_t folded(std::uint64_t sum) {
  return sum == 0 ? 0 : static_cast<std::uint32_t>((sum - 1) % 65535 + 1);
}

/// Bytes of equal significance together, as HDF5's shuffle filter does.
template <std::size_t size>
BP_MULTIVERSION void shuffle(const std::byte* from, std::size_t elements, std::byte* to) {
  for (std::size_t byte = 0; byte < size; ++byte)
    for (std::size_t i = 0; i < elements; ++i) to[byte * elements + i] = from[i * size + byte];
}

void shuffle(const std::byte* from, std::size_t elements, std::size_t element_bytes, std::byte* to) {
  switch (element_bytes) {
    case 2: return shuffle<2>(from, elements, to);
    case 4: return shuffle<4>(from, elements, to);
    case 8: return shuffle<8>(from, elements, to);
    default: throw InternalError("elements of a chunk have 2, 4 or 8 bytes");
  }
}

/// Blocks of deflate (RFC 1951, 3.2.4) that hold bytes as they are, none of them the last one.
std::byte* put_stored_blocks(const std::byte* data, std::size_t bytes, std::byte* to) {
  while (bytes > 0) {
    const std::size_t length = std::min(bytes, kLongestStoredBlock);
    const auto low = static_cast<std::uint8_t>(length), high = static_cast<std::uint8_t>(length >> 8);
    for (const std::uint8_t header :
         {std::uint8_t{0}, low, high, static_cast<std::uint8_t>(~low), static_cast<std::uint8_t>(~high)})
      *to++ = std::byte{header};
    to = std::copy_n(data, length, to);
    data += length;
    bytes -= length;
  }
  return to;
}

libdeflate_compressor* as_compressor(const std::shared_ptr<void>& compressor) {
  return static_cast<libdeflate_compressor*>(compressor.get());
}

}  // namespace

std::uint32_t fletcher32(const void* data, std::size_t bytes) {
  const auto* at = static_cast<const std::uint8_t*>(data);
  std::uint64_t first = 0, second = 0;
  std::size_t words = bytes / 2;
  for (; words >= kBlockWords; words -= kBlockWords, at += 2 * kBlockWords) {
    const BlockSums sums = sum_block(at);
    second = folded(second + kBlockWords * first + sums.weighted);
    first = folded(first + sums.plain);
  }
  for (; words > 0; --words, at += 2) second += first += static_cast<std::uint32_t>(at[0]) << 8 | at[1];
  if (bytes % 2 != 0) second += first += static_cast<std::uint32_t>(at[0]) << 8;
  return folded(second) << 16 | folded(first);
}

ChunkEncoder::ChunkEncoder(Filters filters) : filters_(filters) {
  if (filters == Filters::fletcher32) return;
  compressor_ = {libdeflate_alloc_compressor(kLevel),
                 [](void* compressor) { libdeflate_free_compressor(static_cast<libdeflate_compressor*>(compressor)); }};
  if (!compressor_) throw std::bad_alloc();
}

EncodedChunk ChunkEncoder::encode(const void* data, std::size_t bytes, std::size_t element_bytes) {
  EncodedChunk chunk;
  std::size_t size = 0;
  if (filters_ == Filters::deflate) {
    shuffled_.resize(std::max(shuffled_.size(), bytes));
    shuffle(static_cast<const std::byte*>(data), bytes / element_bytes, element_bytes, shuffled_.data());
    size = deflate(bytes, element_bytes);
    if (size == 0) chunk.skipped_filters = 0b011;
  }
  if (size == 0) {
    encoded_.resize(std::max(encoded_.size(), bytes + kChecksumBytes));
    std::memcpy(encoded_.data(), data, bytes);
    size = bytes;
  }
  const std::uint32_t checksum = fletcher32(encoded_.data(), size);
  for (std::size_t i = 0; i < kChecksumBytes; ++i) encoded_[size + i] = std::byte(checksum >> 8 * i & 0xff);
  chunk.bytes = {encoded_.data(), size + kChecksumBytes};
  return chunk;
}

/// Packs shuffled_ into encoded_ as a zlib stream (RFC 1950); its size, or 0 where it is no smaller.
///
/// The low bytes of a mantissa look random: no packer makes them smaller, but each spends its time on them. They come
/// first, so they are laid down as stored blocks, and packing begins at the first byte position that gains by it.
std::size_t ChunkEncoder::deflate(std::size_t bytes, std::size_t element_bytes) {
  constexpr std::size_t kProbe = 4096;
  const std::size_t plane = bytes / element_bytes;
  std::size_t stored = 0;
  encoded_.resize(std::max(encoded_.size(), bytes + 5 * (bytes / kLongestStoredBlock + element_bytes) + 64));
  if (plane >= 4 * kProbe)
    while (stored < bytes && packed_size(shuffled_.data() + stored + plane / 2, kProbe) > kProbe * 19 / 20)
      stored += plane;
  if (stored == bytes) return 0;
  std::byte* to = encoded_.data();
  *to++ = std::byte{0x78};
  *to++ = std::byte{0x01};
  to = put_stored_blocks(shuffled_.data(), stored, to);
  // Room for as much as would be no gain: the packer then gives up, and says 0.
  const std::size_t used = static_cast<std::size_t>(to - encoded_.data()) + kChecksumBytes;
  if (used >= bytes) return 0;
  const std::size_t packed = libdeflate_deflate_compress(as_compressor(compressor_), shuffled_.data() + stored,
                                                         bytes - stored, to, bytes - used);
  if (packed == 0) return 0;
  to += packed;
  const std::uint32_t adler = libdeflate_adler32(1, shuffled_.data(), bytes);
  for (int i = 3; i >= 0; --i) *to++ = std::byte(adler >> 8 * i & 0xff);
  return static_cast<std::size_t>(to - encoded_.data());
}

std::size_t ChunkEncoder::packed_size(const std::byte* data, std::size_t bytes) {
  const std::size_t size =
      libdeflate_deflate_compress(as_compressor(compressor_), data, bytes, encoded_.data(), encoded_.size());
  return size == 0 ? bytes : size;
}

ChunkGrid::ChunkGrid(const Shape& shape, std::size_t element_bytes)
    : shape_(shape), element_bytes_(element_bytes), extents_(shape.begin(), shape.end()) {
  constexpr std::size_t kMostInChunk = 1 << 20;
  row_bytes_ = static_cast<std::size_t>(element_count(shape)) * element_bytes;
  for (; cut_axis_ < shape.size(); ++cut_axis_) {
    hsize_t& extent = extents_[cut_axis_];
    row_bytes_ /= extent;
    const hsize_t rows = extent, most = std::clamp<hsize_t>(kMostInChunk / row_bytes_, 1, rows);
    const hsize_t chunks = (rows + most - 1) / most;
    extent = (rows + chunks - 1) / chunks;  // as many chunks, with less to pad in the last one
    if (extent > 1 || cut_axis_ + 1 == shape.size()) return;
  }
}

void ChunkGrid::for_each_offset(std::optional<hsize_t> record,
                                const std::function<void(const hsize_t* offset)>& body) const {
  const std::size_t lead = record ? 1 : 0;
  std::vector<hsize_t> offset(lead + shape_.size());
  if (record) offset[0] = *record;
  const auto rows = static_cast<hsize_t>(shape_[cut_axis_]);
  while (true) {
    hsize_t& row = offset[lead + cut_axis_];
    for (row = 0; row < rows; row += extents_[cut_axis_]) body(offset.data());
    row = 0;
    std::size_t axis = cut_axis_;  // counts through the axes in front of it
    while (axis > 0 && ++offset[lead + axis - 1] == static_cast<hsize_t>(shape_[axis - 1])) offset[lead + --axis] = 0;
    if (axis == 0) return;
  }
}

void ChunkGrid::write(const Handle& dataset, const void* data, ChunkEncoder& encoder,
                      std::optional<hsize_t> record) const {
  const auto* from = static_cast<const std::byte*>(data);
  const auto rows = static_cast<hsize_t>(shape_[cut_axis_]);
  const hsize_t most = extents_[cut_axis_];
  std::vector<std::byte> padded;  // the last chunk of an axis, where there are rows for a part of it only
  for_each_offset(record, [&](const hsize_t* offset) {
    const hsize_t row = offset[(record ? 1 : 0) + cut_axis_];
    const std::size_t bytes = std::min(most, rows - row) * row_bytes_, whole = most * row_bytes_;
    const std::byte* chunk = from;
    if (bytes < whole) {
      padded.assign(whole, std::byte{0});
      std::memcpy(padded.data(), from, bytes);
      chunk = padded.data();
    }
    const EncodedChunk encoded = encoder.encode(chunk, whole, element_bytes_);
    check(H5Dwrite_chunk(dataset.id(), H5P_DEFAULT, encoded.skipped_filters, offset, encoded.bytes.size(),
                         encoded.bytes.data()),
          "write a chunk");
    from += bytes;
  });
}

}  // namespace backplane::h5
