#include "data/hdf5_numbers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace backplane {

namespace {

using h5::Handle;

std::vector<std::string> member_names(const Handle& type) {
  std::vector<std::string> names;
  for (int i = 0; i < H5Tget_nmembers(type.id()); ++i) {
    char* name = H5Tget_member_name(type.id(), static_cast<unsigned>(i));
    if (name != nullptr) names.emplace_back(name);
    H5free_memory(name);
  }
  return names;
}

[[noreturn]] void fail_records(const Handle& type, const std::string& path, const Origin& origin) {
  const std::vector<std::string> names = member_names(type);
  if (names == std::vector<std::string>{"r", "i"})
    origin.fail(fmt::format("'{}' holds complex numbers", path), "store real and imaginary part along one more axis");
  constexpr std::size_t kMostNames = 20;
  const auto first = names.begin(), last = first + static_cast<std::ptrdiff_t>(std::min(names.size(), kMostNames));
  const std::string more =
      names.size() > kMostNames ? fmt::format(", … and {} more", names.size() - kMostNames) : std::string();
  origin.fail(fmt::format("'{}' holds records of the fields {}{}", path, fmt::join(first, last, ", "), more),
              "store each field, or all of them along one more axis, as a data set of numbers");
}

[[noreturn]] void fail_no_numbers(const Handle& type, const std::string& path, const Origin& origin) {
  switch (H5Tget_class(type.id())) {
    case H5T_STRING:
      origin.fail(fmt::format("'{}' holds text, expected numbers", path),
                  "store classes as whole numbers: numpy.unique(names, return_inverse=True)[1]");
    case H5T_COMPOUND: fail_records(type, path, origin);
    case H5T_REFERENCE:
      origin.fail(fmt::format("'{}' holds references to other objects (MATLAB's cell arrays do)", path),
                  "store the numbers themselves as one array");
    case H5T_VLEN:
      origin.fail(fmt::format("'{}' holds lists of different lengths", path),
                  "store them padded to one length, and their lengths as a data set of its own: lengths: NAME");
    case H5T_ARRAY:
      origin.fail(fmt::format("'{}' holds an array in each element", path), "store them along one more axis");
    case H5T_BITFIELD:
      origin.fail(fmt::format("'{}' holds bit fields (PyTables' bool is one)", path), "store them as uint8");
    case H5T_OPAQUE:
      origin.fail(fmt::format("'{}' holds raw bytes without a type (NumPy's datetime64 and void do)", path),
                  "store them as numbers");
    default:
      origin.fail(
          fmt::format("'{}' holds elements of {} bytes, which are no numbers known here", path, H5Tget_size(type.id())),
          "store them as float64 or as whole numbers of at most 64 bits");
  }
}

/// Filters that other libraries register under these numbers.
std::string filter_name(H5Z_filter_t filter) {
  struct Known {
    H5Z_filter_t number;
    const char* name;
  };
  constexpr std::array<Known, 8> kKnown{{{305, "LZO"},
                                         {307, "bzip2"},
                                         {32000, "LZF"},
                                         {32001, "Blosc"},
                                         {32004, "LZ4"},
                                         {32008, "bitshuffle"},
                                         {32015, "Zstandard"},
                                         {32026, "Blosc2"}}};
  for (const Known& known : kKnown)
    if (known.number == filter) return known.name;
  return fmt::format("filter {}", filter);
}

}  // namespace

Handle open_dataset(const Handle& file, const std::string& path) {
  return {H5Dopen2(file.id(), path.c_str(), H5P_DEFAULT), H5Dclose, "open a data set"};
}

Hdf5Numbers numbers_in(const Handle& dataset, const std::string& path, const Origin& origin) {
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "read an element type");
  const std::string of_matlab = matlab_class(dataset);
  if (H5Aexists(dataset.id(), "MATLAB_object_decode") > 0)
    origin.fail(fmt::format("'{}' holds an object of MATLAB's ({}), which only MATLAB can decode", path,
                            of_matlab.empty() ? "of some class" : of_matlab),
                "save its numbers: double(x), or table2array(x)");
  if (H5Aexists(dataset.id(), "MATLAB_empty") > 0) origin.fail(fmt::format("'{}' is an empty array of MATLAB's", path));
  if (of_matlab == "char") origin.fail(fmt::format("'{}' holds text (MATLAB's char), expected numbers", path));
  if (text_attribute(dataset, "NAME").value_or("").starts_with("This is a netCDF dimension but not a netCDF variable"))
    origin.fail(fmt::format("'{}' is a dimension of netCDF, which has a length, but no values", path),
                "name a variable that has this dimension");
  const std::size_t size = H5Tget_size(type.id());
  const H5T_class_t kind = H5Tget_class(type.id());
  if (kind == H5T_FLOAT && size <= sizeof(long double)) return Hdf5Numbers::fractional;
  if (kind == H5T_ENUM && size <= 8)
    return member_names(type) == std::vector<std::string>{"FALSE", "TRUE"} ? Hdf5Numbers::truths : Hdf5Numbers::whole;
  if (kind != H5T_INTEGER || size > 8) fail_no_numbers(type, path, origin);
  if (of_matlab == "logical") return Hdf5Numbers::truths;
  return size == 1 && H5Tget_sign(type.id()) == H5T_SGN_NONE ? Hdf5Numbers::bytes : Hdf5Numbers::whole;
}

void require_own_storage(const Handle& dataset, const std::string& path, const Origin& origin) {
  const Handle plist(H5Dget_create_plist(dataset.id()), H5Pclose, "read how a data set is stored");
  const H5D_layout_t layout = H5Pget_layout(plist.id());
  const std::string copy = "copy its values into a data set of this file";
  if (layout == H5D_VIRTUAL) origin.fail(fmt::format("'{}' is a virtual data set: a view of others", path), copy);
  if (layout < 0) origin.fail(fmt::format("'{}' is stored in an unknown layout", path));
  if (H5Pget_external_count(plist.id()) != 0) origin.fail(fmt::format("'{}' is stored in other files", path), copy);
  const int filters = H5Pget_nfilters(plist.id());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(plist.id(), static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    if (filter < H5Z_FILTER_DEFLATE || filter > H5Z_FILTER_SCALEOFFSET || H5Zfilter_avail(filter) <= 0)
      origin.fail(
          fmt::format("'{}' is compressed with {}, which is none of HDF5's own filters", path, filter_name(filter)),
          "write it again with gzip; in h5py: create_dataset(name, data=old[name][:], compression='gzip')");
  }
}

void require_values(const Handle& dataset, const std::string& path, const Origin& origin) {
  const Handle plist(H5Dget_create_plist(dataset.id()), H5Pclose, "read how a data set is stored");
  H5D_fill_value_t fill = H5D_FILL_VALUE_DEFAULT;
  H5D_space_status_t status = H5D_SPACE_STATUS_ALLOCATED;
  h5::check(H5Pfill_value_defined(plist.id(), &fill), "read the value of elements never written");
  h5::check(H5Dget_space_status(dataset.id(), &status), "ask how much of a data set was written");
  if (fill == H5D_FILL_VALUE_UNDEFINED && status == H5D_SPACE_STATUS_NOT_ALLOCATED)
    origin.fail(fmt::format("'{}' has a shape, but was never given values", path));
}

std::vector<long double> exact_values(const Handle& dataset) {
  const Handle space(H5Dget_space(dataset.id()), H5Sclose, "read a shape");
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr);
  Shape dims(extents.begin(), extents.begin() + rank);
  std::vector<long double> values(static_cast<std::size_t>(element_count(dims)));
  h5::check(H5Dread(dataset.id(), H5T_NATIVE_LDOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "read a data set");
  if (!matlab_class(dataset).empty()) reverse_axes(dims, values);
  return values;
}

Unwritten unwritten_in(const Handle& dataset) {
  const Handle plist(H5Dget_create_plist(dataset.id()), H5Pclose, "read how a data set is stored");
  const Handle space(H5Dget_space(dataset.id()), H5Sclose, "read a shape");
  Unwritten unwritten{.chunks = 0, .of = 1};
  if (H5Pget_layout(plist.id()) == H5D_CHUNKED) {
    std::array<hsize_t, H5S_MAX_RANK> dims{}, chunk{};
    const int rank = H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr);
    h5::check(H5Pget_chunk(plist.id(), rank, chunk.data()), "read the shape of a chunk");
    for (std::size_t axis = 0; axis < static_cast<std::size_t>(rank); ++axis)
      unwritten.of *= static_cast<std::int64_t>((dims[axis] + chunk[axis] - 1) / chunk[axis]);
    hsize_t written = 0;
    h5::check(H5Dget_num_chunks(dataset.id(), space.id(), &written), "count the chunks of a data set");
    unwritten.chunks = std::max<std::int64_t>(unwritten.of - static_cast<std::int64_t>(written), 0);
  } else {
    H5D_space_status_t status = H5D_SPACE_STATUS_ALLOCATED;
    h5::check(H5Dget_space_status(dataset.id(), &status), "ask how much of a data set was written");
    unwritten.chunks = status == H5D_SPACE_STATUS_NOT_ALLOCATED ? 1 : 0;
  }
  H5D_fill_value_t fill = H5D_FILL_VALUE_DEFAULT;
  H5D_fill_time_t when = H5D_FILL_TIME_IFSET;
  h5::check(H5Pfill_value_defined(plist.id(), &fill), "read the value of elements never written");
  h5::check(H5Pget_fill_time(plist.id(), &when), "read the value of elements never written");
  if (fill != H5D_FILL_VALUE_UNDEFINED && when != H5D_FILL_TIME_NEVER)
    h5::check(H5Pget_fill_value(plist.id(), H5T_NATIVE_DOUBLE, &unwritten.value),
              "read the value of elements never written");
  return unwritten;
}

std::optional<std::string> text_attribute(const Handle& dataset, const char* name) {
  if (H5Aexists(dataset.id(), name) <= 0) return {};
  const Handle attribute(H5Aopen(dataset.id(), name, H5P_DEFAULT), H5Aclose, "open an attribute");
  const Handle type(H5Aget_type(attribute.id()), H5Tclose, "read the type of an attribute");
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, "read the shape of an attribute");
  std::string text;
  if (H5Tget_class(type.id()) != H5T_STRING || H5Sget_simple_extent_npoints(space.id()) != 1) return text;
  if (H5Tis_variable_str(type.id()) > 0) {
    char* words = nullptr;
    h5::check(H5Aread(attribute.id(), type.id(), &words), "read an attribute");
    if (words != nullptr) text = words;
    H5free_memory(words);
  } else {
    text.resize(H5Tget_size(type.id()) + 1);
    h5::check(H5Aread(attribute.id(), type.id(), text.data()), "read an attribute");
    text.resize(std::strlen(text.c_str()));
  }
  return text;
}

std::string matlab_class(const Handle& dataset) {
  return text_attribute(dataset, "MATLAB_class").value_or("");
}

}  // namespace backplane
