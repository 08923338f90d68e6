#include "data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "data/folders.h"
#include "data/packed_file.h"
#include "data/signatures.h"

namespace backplane {

namespace {

template <class T>
T from_big_endian(T value) {
  if constexpr (std::endian::native == std::endian::big) return value;
  auto bytes = std::bit_cast<std::array<std::byte, sizeof(T)>>(value);
  std::ranges::reverse(bytes);
  return std::bit_cast<T>(bytes);
}

struct Header {
  std::uint8_t type = 0;
  Shape dims;
};

Header read_header(PackedFile& input) {
  std::array<std::uint8_t, 4> magic{};
  const std::int64_t found = input.read(magic.data(), magic.size());
  if (found > 0 && found < 4 && std::ranges::all_of(magic, [](auto byte) { return byte == 0 || byte == 8; }))
    input.origin().fail(fmt::format("the file ends within its header: it has {} bytes", found));
  if (found < 4 || magic[0] != 0 || magic[1] != 0)
    input.origin().fail(found == 0 ? "expected an IDX file, found an empty one"
                                   : "expected an IDX file, which begins with two bytes of 0",
                        input.is_gzip() ? "" : hint_of_signature(input.origin().place.source));
  Header header{magic[2], {}};
  for (int axis = 0; axis < magic[3]; ++axis) {
    std::uint32_t extent = 0;
    if (input.read(&extent, sizeof extent) < static_cast<std::int64_t>(sizeof extent))
      input.origin().fail(fmt::format("the file ends within its header of {} axes", magic[3]));
    header.dims.push_back(from_big_endian(extent));
  }
  return header;
}

template <class T>
Table read_elements(PackedFile& input, Shape dims) {
  const std::int64_t bytes = table_bytes(input.origin(), dims, sizeof(T));
  const auto truncated = [&](const std::string& found) {
    input.origin().fail(fmt::format("the file is truncated: shape {} needs {} bytes after the header, found {}",
                                    to_string(dims), bytes, found));
  };
  if (bytes > input.most_left()) truncated(fmt::format("{}{}", input.is_gzip() ? "at most " : "", input.most_left()));
  require_memory(input.origin(), bytes);
  std::vector<T> values(static_cast<std::size_t>(bytes) / sizeof(T));
  if (const std::int64_t found = input.read(values.data(), bytes); found < bytes) truncated(std::to_string(found));
  if (!input.at_end())
    input.origin().fail(fmt::format("shape {} needs {} bytes after the header, but the file goes on after them",
                                    to_string(dims), bytes));
  if constexpr (sizeof(T) > 1) std::ranges::transform(values, values.begin(), from_big_endian<T>);
  return {std::move(dims), std::move(values), input.origin()};
}

Table read_images(const std::string& path, bool rows) {
  Table images = read_idx(path);
  if (images.dims.size() < 2)
    images.origin.fail(fmt::format("expected images with 2 axes or more, found shape {}", to_string(images.dims)));
  if (rows && images.dims.size() != 3)
    images.origin.fail(
        fmt::format("expected images with 3 axes to read their rows, found shape {}", to_string(images.dims)));
  if (!rows && images.dims.size() == 3) images.dims.push_back(1);
  return images;
}

Table read_labels(const std::string& path) {
  Table labels = read_idx(path);
  const auto* bytes = std::get_if<std::vector<std::uint8_t>>(&labels.values);
  if (labels.dims.size() != 1 || bytes == nullptr)
    labels.origin.fail(fmt::format("expected labels, unsigned bytes with 1 axis, found {} of shape {}",
                                   bytes != nullptr ? "unsigned bytes" : "floating point", to_string(labels.dims)));
  labels.values = std::vector<std::int64_t>(bytes->begin(), bytes->end());
  return labels;
}

RawSplit read_split(const IdxPair& pair, bool rows) {
  return {read_images(pair.images, rows), read_labels(pair.labels)};
}

/// `stem` or `stem.gz` in `folder`, or "".
std::string find_file(const std::string& folder, const std::string& stem) {
  for (const char* ending : {"", ".gz"})
    if (std::string path = folder + "/" + stem + ending; is_there(path)) return path;
  return {};
}

}  // namespace

IdxOptions find_idx(const std::string& name, const std::vector<std::string>& folders) {
  const std::string place = find_data_folder(
      name, folders,
      fmt::format("set BACKPLANE_DATA to the folder that holds {}/, or install Debian's dataset-{}", name, name));
  const auto require = [&](const std::string& stem) {
    std::string path = find_file(place, stem);
    if (path.empty())
      Origin{Place{place}, {}, ExitCode::no_input}.fail(fmt::format("this folder has no {} (or {}.gz)", stem, stem));
    return path;
  };
  IdxOptions options{{require("train-images-idx3-ubyte"), require("train-labels-idx1-ubyte")}, std::nullopt};
  if (!find_file(place, "t10k-images-idx3-ubyte").empty() || !find_file(place, "t10k-labels-idx1-ubyte").empty())
    options.test = IdxPair{require("t10k-images-idx3-ubyte"), require("t10k-labels-idx1-ubyte")};
  return options;
}

Table read_idx(const std::string& path) {
  PackedFile input(path);
  Header header = read_header(input);
  switch (header.type) {
    case 0x08: return read_elements<std::uint8_t>(input, std::move(header.dims));
    case 0x0D: return read_elements<float>(input, std::move(header.dims));
    case 0x0E: return read_elements<double>(input, std::move(header.dims));
  }
  input.origin().fail(
      fmt::format("element type {:02x} is not one of 08 (unsigned byte), 0d (float), 0e (double)", header.type));
}

DataSet load_idx(const IdxOptions& options) {
  std::optional<RawSplit> test;
  if (options.test) test = read_split(*options.test, options.rows);
  DataSet data = assemble(read_split(options.train, options.rows), std::move(test));
  data.files = {options.train.images, options.train.labels};
  if (options.test) data.files.insert(data.files.end(), {options.test->images, options.test->labels});
  return data;
}

}  // namespace backplane
