#include "hdf5/chunk_decoder.h"

#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/multiversion.h"
#include "hdf5/checked_read.h"

namespace backplane::h5 {

namespace {

constexpr std::size_t kMostAdded = 256;  ///< by checksums and heads of filters

bool compresses(H5Z_filter_t filter) {
  return filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32;
}

std::uint32_t little_endian(const std::byte* at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(at[i]) << 8 * i;
  return value;
}

/// HDF5 1.6.2 wrote the bytes of each half the other way round, and every later one accepts both.
std::uint32_t with_halves_turned(std::uint32_t sum) {
  return (sum & 0x00ff00ffu) << 8 | (sum & 0xff00ff00u) >> 8;
}

std::span<const std::byte> without_checksum(std::span<const std::byte> bytes) {
  require(bytes.size() > kChecksumBytes, "has no room for its checksum");
  const std::size_t size = bytes.size() - kChecksumBytes;
  const std::uint32_t stored = little_endian(bytes.data() + size), found = fletcher32(bytes.data(), size);
  require(stored == found || stored == with_halves_turned(found), "differs from its checksum");
  return bytes.first(size);
}

template <std::size_t size>
BP_MULTIVERSION void unshuffle(const std::byte* from, std::size_t elements, std::byte* to) {
  for (std::size_t i = 0; i < elements; ++i)
    for (std::size_t byte = 0; byte < size; ++byte) to[i * size + byte] = from[byte * elements + i];
}

/// What the filter that follows needs so as to make a whole chunk, by the heads and values that H5Zszip.c, H5Znbit.c
/// and H5Zscaleoffset.c write.
bool is_enough(H5Z_filter_t filter, const std::vector<unsigned>& values, std::span<const std::byte> bytes,
               std::size_t chunk_bytes) {
  constexpr std::size_t kScaleHead = 21, kMostBits = 64;
  const auto value = [&](std::size_t i) { return i < values.size() ? std::size_t{values[i]} : 0; };
  if (filter == H5Z_FILTER_SZIP) return bytes.size() > 4 && little_endian(bytes.data()) >= chunk_bytes;
  const std::size_t elements = value(2);
  if (elements * value(4) < chunk_bytes) return false;
  if (filter == H5Z_FILTER_NBIT) {
    const bool is_plain = value(1) != 0, holds_numbers = value(3) == 1;
    return bytes.size() >= (is_plain ? chunk_bytes : holds_numbers ? (elements * value(6) + 7) / 8 : 1);
  }
  if (bytes.size() < kScaleHead) return false;
  const std::size_t bits = little_endian(bytes.data());
  return bits <= kMostBits && bytes.size() - kScaleHead >= (elements * bits + 7) / 8;
}

}  // namespace

ChunkDecoder::ChunkDecoder(const Handle& creation, std::size_t bytes) : bytes_(bytes) {
  const int filters = H5Pget_nfilters(creation.id());
  check(filters, "read the filters of a data set");
  for (int i = 0; i < filters; ++i) {
    std::array<unsigned, 32> values{};
    std::size_t count = values.size();
    unsigned flags = 0, config = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(creation.id(), static_cast<unsigned>(i), &flags, &count, values.data(), 0, nullptr, &config);
    check(filter, "read a filter of a data set");
    steps_.push_back(
        {filter, {values.begin(), values.begin() + static_cast<std::ptrdiff_t>(std::min(count, values.size()))}});
  }
  decompressor_ = {libdeflate_alloc_decompressor(),
                   [](void* made) { libdeflate_free_decompressor(static_cast<libdeflate_decompressor*>(made)); }};
  if (!decompressor_) throw std::bad_alloc();
}

bool ChunkDecoder::undoes_all() const {
  return std::ranges::all_of(
      steps_, [](const Step& step) { return !compresses(step.filter) || step.filter == H5Z_FILTER_DEFLATE; });
}

/// A writer skips a compression that makes nothing smaller, and with it, as this program's does, what stands around it.
/// That the others alone were skipped is said by damage only.
void ChunkDecoder::require_fitting(std::uint32_t skipped) const {
  bool is_compressed = false, lacks_another = false;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const bool is_skipped = (skipped >> i & 1u) != 0;
    is_compressed = is_compressed || (compresses(steps_[i].filter) && !is_skipped);
    lacks_another = lacks_another || (!compresses(steps_[i].filter) && is_skipped);
  }
  require(!is_compressed || !lacks_another, fmt::format("says of its filters what cannot be (mask {:#x})", skipped));
}

std::span<const std::byte> ChunkDecoder::decode(const EncodedChunk& chunk) {
  require_fitting(chunk.skipped_filters);
  Bytes bytes = chunk.bytes;
  for (std::size_t i = steps_.size(); i-- > 0;) {
    const Step& step = steps_[i];
    if ((chunk.skipped_filters >> i & 1u) != 0) continue;
    switch (step.filter) {
      case H5Z_FILTER_FLETCHER32: bytes = without_checksum(bytes); break;
      case H5Z_FILTER_DEFLATE: bytes = inflate(bytes); break;
      case H5Z_FILTER_SHUFFLE: bytes = unshuffle(bytes, step.values.empty() ? 1 : step.values[0]); break;
      default:
        require(is_enough(step.filter, step.values, bytes, bytes_),
                fmt::format("holds {} packed bytes, which are too few for its shape", bytes.size()));
        return bytes;
    }
  }
  require(bytes.size() == bytes_, fmt::format("holds {} bytes, its shape takes {}", bytes.size(), bytes_));
  return bytes;
}

ChunkDecoder::Bytes ChunkDecoder::inflate(Bytes bytes) {
  next_.resize(std::max(next_.size(), bytes_ + kMostAdded));
  std::size_t read = 0, made = 0;
  const libdeflate_result result =
      libdeflate_zlib_decompress_ex(static_cast<libdeflate_decompressor*>(decompressor_.get()), bytes.data(),
                                    bytes.size(), next_.data(), next_.size(), &read, &made);
  require(result != LIBDEFLATE_INSUFFICIENT_SPACE, "holds more bytes than its shape takes");
  require(result == LIBDEFLATE_SUCCESS, "holds a gzip stream that is damaged or ends early");
  std::swap(now_, next_);
  return {now_.data(), made};
}

ChunkDecoder::Bytes ChunkDecoder::unshuffle(Bytes bytes, std::size_t element_bytes) {
  if (element_bytes <= 1) return bytes;
  next_.resize(std::max(next_.size(), bytes.size()));
  const std::size_t elements = bytes.size() / element_bytes, whole = elements * element_bytes;
  std::byte* to = next_.data();
  switch (element_bytes) {
    case 2: h5::unshuffle<2>(bytes.data(), elements, to); break;
    case 4: h5::unshuffle<4>(bytes.data(), elements, to); break;
    case 8: h5::unshuffle<8>(bytes.data(), elements, to); break;
    default:
      for (std::size_t i = 0; i < whole; ++i) to[i] = bytes[i % element_bytes * elements + i / element_bytes];
  }
  std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(whole), bytes.end(), to + whole);
  std::swap(now_, next_);
  return {now_.data(), bytes.size()};
}

}  // namespace backplane::h5
