#include "data/hdf5_chunks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <new>
#include <span>
#include <vector>

#include "hdf5/checked_read.h"
#include "hdf5/chunk_decoder.h"

namespace backplane {

namespace {

using Extents = std::array<hsize_t, H5S_MAX_RANK>;

constexpr const char* kCopyAgain = "copy the file again from where it came, or write this data set again";
constexpr const char* kFillChunks =
    "copy the file again from where it came; a program that writes chunks itself (write_direct_chunk) has to give each "
    "of them all the bytes of its shape, also of what lies beyond the table";

/// Memory for a chunk as it is stored. The library writes as many bytes to it as the index says, however many were
/// asked for: behind the last one lies a page that the kernel lets nobody write.
class ChunkMemory {
 public:
  ChunkMemory() = default;
  ChunkMemory(const ChunkMemory&) = delete;
  ChunkMemory& operator=(const ChunkMemory&) = delete;
  ~ChunkMemory() { release(); }

  /// So many bytes up to that page; what was there before is gone.
  std::span<std::byte> take(std::size_t bytes) {
    if (bytes > room_) grow(bytes);
    return {begin_ + room_ - bytes, bytes};
  }

 private:
  void grow(std::size_t bytes) {
    release();
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    room_ = (bytes + page - 1) / page * page;
    mapped_ = room_ + page;
    void* memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<std::byte*>(memory);
    if (mprotect(begin_ + room_, page, PROT_NONE) != 0) throw std::bad_alloc();
  }
  void release() {
    if (begin_ != nullptr) munmap(begin_, mapped_);
    begin_ = nullptr;
    room_ = 0;
  }

  std::byte* begin_ = nullptr;
  std::size_t room_ = 0, mapped_ = 0;
};

/// The chunks of one data set, as they are stored and as elements.
class ChunkedData {
 public:
  ChunkedData(const h5::Handle& dataset, const h5::Handle& creation)
      : dataset_(dataset),
        type_(H5Dget_type(dataset.id()), H5Tclose, "read an element type"),
        element_bytes_(H5Tget_size(type_.id())) {
    const h5::Handle space(H5Dget_space(dataset.id()), H5Sclose, "read a shape");
    const int rank = H5Sget_simple_extent_dims(space.id(), dims_.data(), nullptr);
    h5::check(rank, "read a shape");
    rank_ = static_cast<std::size_t>(rank);
    h5::check(H5Pget_chunk(creation.id(), rank, chunk_.data()), "read the shape of a chunk");
    for (std::size_t axis = 0; axis < rank_; ++axis) elements_ *= chunk_[axis];
    unsigned options = 0;
    h5::check(H5Pget_chunk_opts(creation.id(), &options), "read how chunks are stored");
    leaves_edges_unfiltered_ = (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) != 0;
    h5::check(H5Dget_num_chunks(dataset.id(), space.id(), &counted_), "count the chunks of a data set");
  }

  const h5::Handle& type() const { return type_; }
  std::size_t element_bytes() const { return element_bytes_; }
  std::size_t elements() const { return elements_; }
  std::size_t bytes() const { return elements_ * element_bytes_; }
  /// As many as the index has, wherever it puts them.
  hsize_t counted() const { return counted_; }
  std::string place(const Extents& at) const {
    return fmt::format("[{}]", fmt::join(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(rank_), ", "));
  }

  /// Calls body(coordinates) for each chunk that the table has room for, until it returns false.
  void for_each(const std::function<bool(const Extents&)>& body) const;

  /// Whether the chunk there lies beyond the table with a part of it.
  bool is_edge(const Extents& at) const {
    for (std::size_t axis = 0; axis < rank_; ++axis)
      if (at[axis] + chunk_[axis] > dims_[axis]) return true;
    return false;
  }
  bool is_filtered(const Extents& at) const { return !(leaves_edges_unfiltered_ && is_edge(at)); }

  /// The stored bytes of the chunk there; none where the index has no such chunk. Throws h5::Unreadable. They stay
  /// until the next call.
  h5::EncodedChunk stored(const Extents& at);

  /// Copies the elements of a chunk, of `bytes` each, to their places in the table.
  void scatter(const Extents& at, const std::byte* from, std::size_t bytes, std::byte* to) const;

 private:
  const h5::Handle& dataset_;
  h5::Handle type_;
  std::size_t element_bytes_, rank_ = 0, elements_ = 1;
  Extents dims_{}, chunk_{};
  bool leaves_edges_unfiltered_ = false;
  hsize_t counted_ = 0;
  ChunkMemory memory_;
};

void ChunkedData::for_each(const std::function<bool(const Extents&)>& body) const {
  Extents at{};
  while (body(at)) {
    std::size_t axis = rank_;
    while (axis > 0 && (at[axis - 1] += chunk_[axis - 1]) >= dims_[axis - 1]) at[--axis] = 0;
    if (axis == 0) return;
  }
}

h5::EncodedChunk ChunkedData::stored(const Extents& at) {
  hsize_t size = 0;
  if (H5Dget_chunk_storage_size(dataset_.id(), at.data(), &size) < 0 || size == 0) return {};
  h5::require(size <= 2 * bytes() + (1 << 16), fmt::format("is said to have {} bytes", size));
  const std::span<std::byte> memory = memory_.take(size);
  std::uint32_t skipped = 0;
  // What the library leaves as it was, the last byte tells: it cannot equal two different ones.
  for (const std::byte mark : {std::byte{0xa5}, std::byte{0x5a}}) {
    memory.back() = mark;
    if (H5Dread_chunk(dataset_.id(), H5P_DEFAULT, at.data(), &skipped, memory.data()) < 0)
      throw h5::Unreadable(
          fmt::format("cannot be read, or has more than its {} bytes ({})", size, h5::innermost_reason()));
    if (memory.back() != mark) return {memory, skipped};
  }
  throw h5::Unreadable(fmt::format("has fewer bytes than its {}", size));
}

void ChunkedData::scatter(const Extents& at, const std::byte* from, std::size_t bytes, std::byte* to) const {
  const std::size_t last = rank_ - 1;
  Extents inside{};
  const auto within = [&](std::size_t axis) { return std::min(chunk_[axis], dims_[axis] - at[axis]); };
  const std::size_t run = within(last) * bytes;
  while (true) {
    std::size_t source = 0, target = 0;
    for (std::size_t axis = 0; axis < rank_; ++axis) {
      source = source * chunk_[axis] + inside[axis];
      target = target * dims_[axis] + at[axis] + inside[axis];
    }
    std::memcpy(to + target * bytes, from + source * bytes, run);
    std::size_t axis = last;
    while (axis > 0 && ++inside[axis - 1] >= within(axis - 1)) inside[--axis] = 0;
    if (axis == 0) return;
  }
}

/// What the library gives for elements that were never written: nothing where the file defines nothing.
void fill(const h5::Handle& creation, hid_t native, std::size_t native_bytes, std::size_t count, std::byte* to) {
  H5D_fill_value_t defined = H5D_FILL_VALUE_DEFAULT;
  H5D_fill_time_t when = H5D_FILL_TIME_IFSET;
  h5::check(H5Pfill_value_defined(creation.id(), &defined), "read the value of elements never written");
  h5::check(H5Pget_fill_time(creation.id(), &when), "read the value of elements never written");
  if (defined != H5D_FILL_VALUE_USER_DEFINED || when == H5D_FILL_TIME_NEVER) return;  // `to` holds zeros
  std::array<std::byte, sizeof(long double)> value{};
  h5::check(H5Pget_fill_value(creation.id(), native, value.data()), "read the value of elements never written");
  for (std::size_t i = 0; i < count; ++i) std::memcpy(to + i * native_bytes, value.data(), native_bytes);
}

[[noreturn]] void fail_to_read(const std::string& path, const Origin& origin) {
  origin.fail(fmt::format("'{}' cannot be read: the file is damaged, or reading it takes too much memory", path),
              fmt::format("the HDF5 library says: {}", h5::innermost_reason()));
}

void read_whole(const h5::Handle& dataset, hid_t native, void* to, const std::string& path, const Origin& origin) {
  if (H5Dread(dataset.id(), native, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) < 0) fail_to_read(path, origin);
}

/// Reads chunks into the table, and counts them.
void read_chunks(const h5::Handle& dataset, const h5::Handle& creation, hid_t native, std::size_t native_bytes,
                 void* to, const std::string& path, const Origin& origin) {
  ChunkedData data(dataset, creation);
  h5::ChunkDecoder decoder(creation, data.bytes());
  const bool reads_here = decoder.undoes_all();
  const bool converts = H5Tequal(data.type().id(), native) <= 0;
  std::vector<std::byte> converted(
      converts && reads_here ? data.elements() * std::max(native_bytes, data.element_bytes()) : 0);
  hsize_t found = 0;
  const auto read = [&](const Extents& at) {
    const h5::EncodedChunk stored = data.stored(at);
    if (stored.bytes.empty()) return;
    ++found;
    const std::byte* elements = stored.bytes.data();
    if (data.is_filtered(at)) elements = decoder.decode(stored).data();
    if (!reads_here) return;
    if (converts) {
      std::memcpy(converted.data(), elements, data.bytes());
      if (H5Tconvert(data.type().id(), native, data.elements(), converted.data(), nullptr, H5P_DEFAULT) < 0)
        fail_to_read(path, origin);
      elements = converted.data();
    }
    data.scatter(at, elements, native_bytes, static_cast<std::byte*>(to));
  };
  data.for_each([&](const Extents& at) {
    try {
      read(at);
    } catch (const h5::Unreadable& damage) {
      origin.fail(fmt::format("'{}' is damaged: its chunk at {} {}", path, data.place(at), damage.what()), kFillChunks);
    }
    return found < data.counted();
  });
  if (found != data.counted())
    origin.fail(fmt::format("'{}' is damaged: its index counts {} chunks, of which {} lie where the table has one",
                            path, data.counted(), found),
                kCopyAgain);
  if (!reads_here) read_whole(dataset, native, to, path, origin);
}

/// A table may grow up to the largest shape that is given to it: beyond that, one of both is damaged.
void require_possible_shape(const h5::Handle& space, const std::string& path, const Origin& origin) {
  Extents dims{}, most{};
  const int rank = H5Sget_simple_extent_dims(space.id(), dims.data(), most.data());
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(std::max(rank, 0)); ++axis)
    if (most[axis] != H5S_UNLIMITED && dims[axis] > most[axis])
      origin.fail(fmt::format("'{}' is damaged: its axis {} has extent {}, and may have {} at most", path, axis,
                              dims[axis], most[axis]),
                  kCopyAgain);
}

}  // namespace

void read_elements(const h5::Handle& dataset, hid_t native, std::size_t native_bytes, void* to, const std::string& path,
                   const Origin& origin) {
  const h5::Handle creation(H5Dget_create_plist(dataset.id()), H5Pclose, "read how a data set is stored");
  const h5::Handle space(H5Dget_space(dataset.id()), H5Sclose, "read a shape");
  require_possible_shape(space, path, origin);
  const auto count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.id()));
  if (H5Pget_layout(creation.id()) == H5D_CHUNKED) {
    fill(creation, native, native_bytes, count, static_cast<std::byte*>(to));
    return read_chunks(dataset, creation, native, native_bytes, to, path, origin);
  }
  const h5::Handle type(H5Dget_type(dataset.id()), H5Tclose, "read an element type");
  const std::size_t bytes = count * H5Tget_size(type.id());
  if (const hsize_t stored = H5Dget_storage_size(dataset.id()); stored != 0 && stored != bytes)
    origin.fail(fmt::format("'{}' is damaged: {} bytes are stored, its shape takes {}", path, stored, bytes),
                kCopyAgain);
  read_whole(dataset, native, to, path, origin);
}

}  // namespace backplane
