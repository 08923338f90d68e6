#include "exchange/npz.h"

#include <fmt/format.h>
#include <zip.h>

#include <set>
#include <stdexcept>

#include "base/error.h"
#include "exchange/damage.h"
#include "exchange/npy.h"

namespace backplane {

namespace {

constexpr std::string_view kSuffix = ".npy";

using Archive = std::unique_ptr<zip_t, decltype(&zip_discard)>;
using Member = std::unique_ptr<zip_file_t, decltype(&zip_fclose)>;

/// Owns one reference to bytes that libzip reads or writes.
using Source = std::unique_ptr<zip_source_t, decltype(&zip_source_free)>;

[[noreturn]] void fail(const char* what) {
  throw InternalError(fmt::format("libzip could not {}", what));
}

/// A new archive in the memory of `source`.
class Writer {
 public:
  Writer() : source_(zip_source_buffer_create(nullptr, 0, 0, nullptr), zip_source_free) {
    if (!source_) fail("make memory for an archive");
    archive_.reset(zip_open_from_source(source_.get(), ZIP_TRUNCATE, nullptr));
    if (!archive_) fail("make an archive");
    zip_source_keep(source_.get());  // the archive took our reference
  }

  void add(const std::string& name, const std::string& bytes) {
    zip_source_t* member = zip_source_buffer(archive_.get(), bytes.data(), bytes.size(), 0);
    if (member == nullptr) fail("take a tensor");
    const zip_int64_t index = zip_file_add(archive_.get(), name.c_str(), member, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(member);
      fail("name a tensor");
    }
    constexpr zip_uint16_t kMidnight = 0, kFirstOfJanuary1980 = (1 << 5) | 1;
    const auto i = static_cast<zip_uint64_t>(index);
    if (zip_set_file_compression(archive_.get(), i, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive_.get(), i, kMidnight, kFirstOfJanuary1980, 0) != 0)
      fail("describe a tensor");
  }

  /// Ends the archive. What was added must live until then.
  std::string bytes() {
    if (zip_close(archive_.get()) != 0) fail("write an archive");
    (void)archive_.release();
    zip_stat_t status;
    zip_stat_init(&status);
    if (zip_source_open(source_.get()) != 0 || zip_source_stat(source_.get(), &status) != 0) fail("read an archive");
    std::string all(status.size, '\0');
    if (zip_source_read(source_.get(), all.data(), all.size()) != static_cast<zip_int64_t>(all.size()))
      fail("read an archive");
    zip_source_close(source_.get());
    return all;
  }

 private:
  Source source_;
  Archive archive_{nullptr, zip_discard};
};

Archive open_archive(const std::string& bytes) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  zip_t* archive = source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  if (archive == nullptr) {
    if (source != nullptr) zip_source_free(source);
    throw std::runtime_error(fmt::format("its zip archive is damaged: {}", reason));
  }
  return {archive, zip_discard};
}

/// The first `wanted` bytes of a member, or all that it has.
std::string read_member(zip_t* archive, zip_uint64_t index, std::size_t wanted) {
  const Member member(zip_fopen_index(archive, index, 0), zip_fclose);
  require_undamaged(member != nullptr, fmt::format("it cannot be unpacked: {}", zip_strerror(archive)));
  std::string bytes(wanted, '\0');
  std::size_t have = 0;
  while (have < wanted) {
    const zip_int64_t got = zip_fread(member.get(), bytes.data() + have, wanted - have);
    require_undamaged(got >= 0, fmt::format("it cannot be unpacked: {}", zip_file_strerror(member.get())));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

/// Unpacks a whole member. One byte more is asked for: only at the end does libzip compare the checksum.
std::vector<char> read_whole(const std::string& archive_bytes, zip_uint64_t index, std::size_t header,
                             std::size_t size) {
  const Archive archive = open_archive(archive_bytes);
  const std::string bytes = read_member(archive.get(), index, size + 1);
  require_undamaged(bytes.size() == size, fmt::format("it has {} bytes, {} are wanted", bytes.size(), size));
  return {bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end()};
}

}  // namespace

std::string build_npz(const std::vector<TensorView>& tensors) {
  std::vector<std::string> arrays;
  arrays.reserve(tensors.size());
  Writer writer;
  for (const TensorView& tensor : tensors) {
    std::string& array = arrays.emplace_back(build_npy_header(tensor));
    array.append(static_cast<const char*>(tensor.data),
                 static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.dtype));
    writer.add(tensor.name + std::string(kSuffix), array);
  }
  return writer.bytes();
}

std::vector<WeightEntry> parse_npz(const std::shared_ptr<const std::string>& bytes) {
  const Archive archive = open_archive(*bytes);
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  std::set<std::string> names;
  std::vector<WeightEntry> entries;
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
    zip_stat_t status;
    zip_stat_init(&status);
    require_undamaged(zip_stat_index(archive.get(), i, 0, &status) == 0 && (status.valid & ZIP_STAT_NAME) != 0 &&
                          (status.valid & ZIP_STAT_SIZE) != 0,
                      fmt::format("its zip archive is damaged: {}", zip_strerror(archive.get())));
    const std::string name = status.name;
    require_undamaged(name.ends_with(kSuffix),
                      fmt::format("its member '{}' is no array: an npz holds <name>.npy", name));
    require_undamaged(names.insert(name).second, fmt::format("its member '{}' stands twice", name));
    NpyHeader header;
    try {
      header = parse_npy_header(read_member(archive.get(), i, kMostNpyHeader));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(fmt::format("'{}': {}", name, error.what()));
    }
    WeightEntry& entry = entries.emplace_back(std::move(header.entry));
    entry.name = name.substr(0, name.size() - kSuffix.size());
    if (entry.element == Element::other) continue;
    const std::size_t size = header.header_bytes + header.data_bytes;
    require_undamaged(status.size == size, fmt::format("'{}' of shape {} and type {} takes {} bytes, it has {}", name,
                                                       to_string(entry.shape), entry.stored_type, size, status.size));
    entry.load = [bytes, i, header_bytes = header.header_bytes, size] {
      return read_whole(*bytes, i, header_bytes, size);
    };
  }
  return entries;
}

}  // namespace backplane
