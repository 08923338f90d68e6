#include "data/hdf5_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>

#include "base/suggest.h"
#include "data/isolation.h"
#include "files/hdf5.h"

namespace backplane {

namespace {

/// HDF5 looks for its signature at byte 0, 512, 1024, 2048, …: a user block may stand before it.
void require_signature(const std::string& path) {
  constexpr std::array<char, 8> kSignature{'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  require_file(path);
  std::ifstream file(path, std::ios::binary);
  std::array<char, 8> found{};
  for (std::streamoff at = 0; file.seekg(at).read(found.data(), found.size()); at = at == 0 ? 512 : at * 2)
    if (found == kSignature) return;
  Origin::file(path).fail("this is not an HDF5 file: its signature is missing");
}

// What follows runs in the child.

herr_t add_name(hid_t, const char* name, const H5L_info_t*, void* names) {
  constexpr std::size_t kMostNames = 20;
  auto& list = *static_cast<std::vector<std::string>*>(names);
  list.emplace_back(name);
  return list.size() < kMostNames ? 0 : 1;
}

[[noreturn]] void fail_missing(const h5::Handle& file, const std::string& parent, const std::string& name,
                               const Origin& origin) {
  std::vector<std::string> names;
  hsize_t position = 0;
  const h5::Handle group(H5Gopen2(file.id(), parent.c_str(), H5P_DEFAULT), H5Gclose, "open a group");
  H5Literate(group.id(), H5_INDEX_NAME, H5_ITER_NATIVE, &position, add_name, &names);
  const std::string nearest = nearest_name(name, names);
  origin.fail(fmt::format("'{}' has no '{}'", parent, name),
              fmt::format("{}it holds: {}", nearest.empty() ? "" : fmt::format("did you mean '{}'? ", nearest),
                          fmt::join(names, ", ")));
}

/// Walks the path link by link, so that HDF5 never follows one that leads out of the file.
void require_hard_links(const h5::Handle& file, const std::string& path, const Origin& origin) {
  std::string parent = "/";
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty()) continue;
    const std::string whole = (parent == "/" ? "" : parent) + "/" + name;
    H5L_info_t info{};
    if (H5Lget_info(file.id(), whole.c_str(), &info, H5P_DEFAULT) < 0) fail_missing(file, parent, name, origin);
    if (info.type != H5L_TYPE_HARD)
      origin.fail(fmt::format("'{}' is a soft, external or user-defined link; only hard links are followed", whole));
    parent = whole;
  }
}

/// Refuses storage that lies outside the file or that needs foreign code to read.
void require_own_storage(const h5::Handle& dataset, const std::string& path, const Origin& origin) {
  const h5::Handle plist(H5Dget_create_plist(dataset.id()), H5Pclose, "read how a data set is stored");
  if (H5Pget_layout(plist.id()) == H5D_VIRTUAL) origin.fail(fmt::format("'{}' is a virtual data set", path));
  if (H5Pget_layout(plist.id()) < 0) origin.fail(fmt::format("'{}' is stored in an unknown layout", path));
  if (H5Pget_external_count(plist.id()) != 0) origin.fail(fmt::format("'{}' is stored in other files", path));
  const int filters = H5Pget_nfilters(plist.id());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0;
    unsigned config = 0;
    std::size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(plist.id(), static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    if (filter < H5Z_FILTER_DEFLATE || filter > H5Z_FILTER_SCALEOFFSET)
      origin.fail(fmt::format("'{}' is stored with filter {}, which is not one of HDF5's own", path, int{filter}));
  }
}

Shape read_extents(const h5::Handle& dataset, const std::string& path, const Origin& origin) {
  const h5::Handle space(H5Dget_space(dataset.id()), H5Sclose, "read a shape");
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = H5Sget_simple_extent_type(space.id()) == H5S_SIMPLE
                       ? H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr)
                       : 0;
  if (rank < 1) origin.fail(fmt::format("'{}' has no axis, expected one per sample", path));
  Shape dims;
  for (int axis = 0; axis < rank; ++axis)
    dims.push_back(static_cast<std::int64_t>(
        std::min<hsize_t>(extents[static_cast<std::size_t>(axis)], std::numeric_limits<std::int64_t>::max())));
  return dims;
}

/// Refuses a shape that the stored bytes cannot hold: most of it was never written, and would cost memory for nothing.
void require_written(const h5::Handle& dataset, std::int64_t bytes, const std::string& path, const Origin& origin) {
  const std::uintmax_t stored =
      std::min<std::uintmax_t>(H5Dget_storage_size(dataset.id()), std::filesystem::file_size(origin.place.source));
  if (stored < static_cast<std::uintmax_t>(bytes / kMostDeflateRatio + 1))
    origin.fail(fmt::format("'{}' has {} stored bytes, which cannot hold its {} bytes", path, stored, bytes));
}

template <class T>
Table read_as(const h5::Handle& dataset, std::size_t stored_size, const std::string& path, const Origin& origin) {
  Shape dims = read_extents(dataset, path, origin);
  require_written(dataset, table_bytes(origin, dims, stored_size), path, origin);
  std::vector<T> values(static_cast<std::size_t>(table_bytes(origin, dims, sizeof(T))) / sizeof(T));
  h5::check(H5Dread(dataset.id(), h5::native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "read a data set");
  return {std::move(dims), std::move(values), origin};
}

enum class Want { inputs, labels, lengths, vectors };

Table read_table(const h5::Handle& file, const std::string& path, Want want, const Origin& origin) {
  require_hard_links(file, path, origin);
  H5O_info_t info{};
  h5::check(H5Oget_info_by_name1(file.id(), path.c_str(), &info, H5P_DEFAULT), "look at an object");
  if (info.type != H5O_TYPE_DATASET) origin.fail(fmt::format("'{}' is not a data set", path));
  const h5::Handle dataset(H5Dopen2(file.id(), path.c_str(), H5P_DEFAULT), H5Dclose, "open a data set");
  require_own_storage(dataset, path, origin);
  const h5::Handle type(H5Dget_type(dataset.id()), H5Tclose, "read an element type");
  const H5T_class_t kind = H5Tget_class(type.id());
  const std::size_t size = H5Tget_size(type.id());
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || size > sizeof(double))
    origin.fail(fmt::format("'{}' does not hold whole numbers or floating-point numbers of at most 64 bits", path));
  if (want == Want::labels || want == Want::lengths) {
    if (kind != H5T_INTEGER)
      origin.fail(
          fmt::format("'{}' holds no whole numbers, expected {}", path, want == Want::labels ? "labels" : "lengths"));
    return read_as<std::int64_t>(dataset, size, path, origin);
  }
  if (want == Want::vectors) return read_as<double>(dataset, size, path, origin);
  if (kind == H5T_INTEGER && size == 1 && H5Tget_sign(type.id()) == H5T_SGN_NONE)
    return read_as<std::uint8_t>(dataset, size, path, origin);
  if (kind == H5T_FLOAT && size <= sizeof(float)) return read_as<float>(dataset, size, path, origin);
  return read_as<double>(dataset, size, path, origin);
}

RawSplit read_split(const std::string& path, const Hdf5Options& options) {
  require_signature(path);
  const Origin origin = Origin::file(path);
  std::vector<Table> tables = read_in_child(path, [&] {
    h5::make_quiet_and_safe();
    const h5::Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "open the file");
    std::vector<Table> all;
    all.push_back(read_table(file, options.inputs, Want::inputs, origin));
    all.push_back(read_table(file, options.targets, options.targets_are_labels ? Want::labels : Want::vectors, origin));
    if (options.lengths) all.push_back(read_table(file, *options.lengths, Want::lengths, origin));
    return all;
  });
  RawSplit split{std::move(tables[0]), std::move(tables[1])};
  if (options.lengths) {
    split.lengths = std::move(tables[2]);
    split.lengths->origin.path = *options.lengths;
  }
  split.inputs.origin.path = options.inputs;
  split.targets.origin.path = options.targets;
  if (options.targets_are_labels && element_count(split.targets.dims) != split.targets.dims[0])
    split.targets.origin.fail(
        fmt::format("labels have shape {}, expected one a sample", to_string(split.targets.dims)));
  return split;
}

}  // namespace

DataSet load_hdf5(const Hdf5Options& options) {
  std::optional<RawSplit> test;
  if (options.test) test = read_split(*options.test, options);
  DataSet data = assemble(read_split(options.train, options), std::move(test));
  data.files = {options.train};
  if (options.test) data.files.push_back(*options.test);
  return data;
}

}  // namespace backplane
