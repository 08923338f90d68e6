#include "hdf5/checked_read.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <functional>

#include "base/system_error.h"
#include "hdf5/foreign_file.h"
#include "hdf5/superblock.h"
#include "files/open_file.h"

namespace backplane::h5 {

namespace {

constexpr std::size_t kLongestText = 1 << 26;       // a data set: a configuration with all its defaults
constexpr std::size_t kLongestAttribute = 1 << 16;  // HDF5's own limit of small attributes
constexpr hsize_t kMostLinks = 1 << 14;
constexpr double kMostBytes = static_cast<double>(std::int64_t{1} << 48);
constexpr double kMostDeflateRatio = 1032;  // deflate shrinks data by this factor at most

/// Sizes in the type and in the data space must be what the memory read into has room for.
void require_scalar(hid_t type, hid_t space, H5T_class_t wanted, const std::string& name) {
  require(H5Tget_class(type) == wanted && H5Tis_variable_str(type) <= 0 && H5Sget_simple_extent_npoints(space) == 1,
          name + " is not what is expected there");
}

std::string text_of(const Handle& type, std::size_t longest, const std::string& name,
                    const std::function<herr_t(void*)>& read) {
  const std::size_t length = H5Tget_size(type.id());
  require(length > 0 && length <= longest, fmt::format("{} is a text of {} bytes", name, length));
  std::string value(length, '\0');
  check(read(value.data()), "read a text");
  value.resize(std::min(value.size(), value.find('\0')));
  return value;
}

/// Throws unless every part of the path is a hard link: others may lead out of the file.
void require_hard_links(hid_t file, const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    H5L_info_t link{};
    require(H5Lget_info(file, part.c_str(), &link, H5P_DEFAULT) >= 0, part + " is missing");
    require(link.type == H5L_TYPE_HARD, part + " is a link to elsewhere");
    if (end == std::string::npos) return;
  }
}

void require_kind(hid_t file, const std::string& path, H5O_type_t kind, const char* noun) {
  H5O_info_t object{};
  check(H5Oget_info_by_name2(file, path.c_str(), &object, H5O_INFO_BASIC, H5P_DEFAULT), "look at an object");
  require(object.type == kind, fmt::format("{} is no {}", path, noun));
}

/// Refuses storage that lies outside the file or that needs foreign code to read.
void require_own_storage(hid_t creation, const std::string& path) {
  const H5D_layout_t layout = H5Pget_layout(creation);
  require(layout >= 0 && layout != H5D_VIRTUAL && H5Pget_external_count(creation) == 0,
          path + " keeps its data elsewhere");
  const int filters = H5Pget_nfilters(creation);
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    require(filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_FLETCHER32,
            fmt::format("{} is stored with filter {}, which no file of Backplane has", path, int{filter}));
  }
}

}  // namespace

void require(bool condition, const std::string& what) {
  if (!condition) throw Unreadable(what);
}

OpenedHdf5 open_file(const std::string& path) {
  const auto fail = [&](ExitCode code, const std::string& why, const std::string& remedy = "") {
    throw UserError(code, Diagnostic{.place = {.source = path}, .what = why, .hint = remedy});
  };
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
    fail(ExitCode::no_input, "there is no such file, or it cannot be read");
  OpenedFile opened = open_regular(path);
  if (!opened) fail(opened.code(), opened.why, remedy_of(opened.error));
  InputFile bytes(std::move(opened.file));
  if (!read_superblock(bytes)) fail(ExitCode::bad_data, "this is not an HDF5 file: its signature is missing");
  make_quiet_and_safe();
  const ReadLock lock(path);
  const Handle access = without_locks();
  const hid_t plain = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id());
  if (plain >= 0) return {Handle(plain, H5Fclose, "open the file"), false};
  // A part that a writer has just then half written is read again, after 1, 2, 4, … ns: HDF5's own 100 times would be
  // ages on a file that is damaged, 27 are 0.13 s.
  check(H5Pset_metadata_read_attempts(access.id(), 27), "bound the attempts to read");
  const hid_t live = H5Fopen(path.c_str(), H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access.id());
  if (live < 0) fail_to_open(path);
  return {Handle(live, H5Fclose, "open the file"), true};
}

bool holds(hid_t place, const std::string& path) {
  return H5Lexists(place, path.c_str(), H5P_DEFAULT) > 0;
}

std::string read_text_attribute(hid_t object, const char* name) {
  const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, "open an attribute");
  const Handle type(H5Aget_type(attribute.id()), H5Tclose, "get a type");
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, "get a data space");
  require_scalar(type.id(), space.id(), H5T_STRING, name);
  return text_of(type, kLongestAttribute, name, [&](void* to) { return H5Aread(attribute.id(), type.id(), to); });
}

std::int64_t read_integer_attribute(hid_t object, const char* name) {
  const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, "open an attribute");
  const Handle type(H5Aget_type(attribute.id()), H5Tclose, "get a type");
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, "get a data space");
  require_scalar(type.id(), space.id(), H5T_INTEGER, name);
  std::int64_t value = 0;
  check(H5Aread(attribute.id(), H5T_NATIVE_INT64, &value), "read an attribute");
  return value;
}

Handle open_group(hid_t file, const std::string& path) {
  if (path != "/") require_hard_links(file, path);
  require_kind(file, path, H5O_TYPE_GROUP, "group");
  return Handle(H5Gopen2(file, path.c_str(), H5P_DEFAULT), H5Gclose, "open a group");
}

Handle open_dataset(hid_t file, const std::string& path) {
  require_hard_links(file, path);
  require_kind(file, path, H5O_TYPE_DATASET, "data set");
  Handle dataset(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose, "open a data set");
  const Handle creation(H5Dget_create_plist(dataset.id()), H5Pclose, "get properties");
  require_own_storage(creation.id(), path);
  return dataset;
}

std::vector<std::int64_t> shape_of(hid_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose, "get a data space");
  const Handle type(H5Dget_type(dataset), H5Tclose, "get a type");
  const H5S_class_t kind = H5Sget_simple_extent_type(space.id());
  require(kind == H5S_SIMPLE || kind == H5S_SCALAR, "a data set has no elements");
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr);
  require(rank >= 0, "a data set has no shape");
  double bytes = static_cast<double>(H5Tget_size(type.id())), of_a_part = bytes;  // that leaves out axes of extent 0
  for (int axis = 0; axis < rank; ++axis) {
    const auto extent = static_cast<double>(extents[static_cast<std::size_t>(axis)]);
    bytes *= extent;
    of_a_part *= std::max(extent, 1.0);
  }
  hsize_t file_bytes = 0;
  const Handle file(H5Iget_file_id(dataset), H5Fclose, "get the file");
  check(H5Fget_filesize(file.id(), &file_bytes), "get the size of the file");
  const Handle creation(H5Dget_create_plist(dataset), H5Pclose, "get properties");
  const double ratio = H5Pget_nfilters(creation.id()) > 0 ? kMostDeflateRatio : 1.0;
  const auto stored = static_cast<double>(std::min(H5Dget_storage_size(dataset), file_bytes));
  require(of_a_part < kMostBytes && bytes <= stored * ratio,
          fmt::format("a data set has {} stored bytes, which cannot hold its {:.0f} bytes", stored, bytes));
  return {extents.begin(), extents.begin() + rank};
}

std::string read_text(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
  const Handle space(H5Dget_space(dataset.id()), H5Sclose, "get a data space");
  require_scalar(type.id(), space.id(), H5T_STRING, path);
  shape_of(dataset.id());
  return text_of(type, kLongestText, path,
                 [&](void* to) { return H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, to); });
}

std::vector<std::string> read_names(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
  require(H5Tget_class(type.id()) == H5T_STRING && H5Tis_variable_str(type.id()) <= 0, path + " holds no names");
  const std::size_t length = H5Tget_size(type.id());
  const std::vector<std::int64_t> shape = shape_of(dataset.id());
  require(shape.size() == 1, path + " is no list");
  const auto count = static_cast<std::size_t>(shape[0]);
  std::string packed(count * length, '\0');
  check(H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, packed.data()), "read names");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.emplace_back(packed.substr(i * length, length).c_str());
  return names;
}

template <class T>
std::vector<T> read_array(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
  const H5T_class_t kind = H5Tget_class(type.id());
  require((kind == H5T_INTEGER || kind == H5T_FLOAT) && H5Tget_size(type.id()) <= sizeof(T),
          path + " holds no numbers");
  std::size_t count = 1;
  for (const std::int64_t extent : shape_of(dataset.id())) count *= static_cast<std::size_t>(extent);
  std::vector<T> values(count);
  check(H5Dread(dataset.id(), native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "read an array");
  return values;
}
template std::vector<std::int64_t> read_array(hid_t, const std::string&);
template std::vector<double> read_array(hid_t, const std::string&);

std::vector<Child> children(hid_t file, const std::string& path) {
  const Handle group = open_group(file, path);
  H5G_info_t info{};
  check(H5Gget_info(group.id(), &info), "look at a group");
  require(info.nlinks <= kMostLinks, fmt::format("{} has {} entries", path, info.nlinks));
  std::vector<Child> found;
  const auto add = [](hid_t place, const char* name, const H5L_info_t* link, void* list) -> herr_t {
    H5O_info_t object{};
    if (link->type != H5L_TYPE_HARD || H5Oget_info_by_name2(place, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0)
      return -1;
    static_cast<std::vector<Child>*>(list)->push_back({name, object.type == H5O_TYPE_GROUP, object.addr});
    return 0;
  };
  hsize_t position = 0;
  require(H5Literate(group.id(), H5_INDEX_NAME, H5_ITER_INC, &position, add, &found) >= 0,
          path + " holds a link to elsewhere, or one that leads nowhere");
  return found;
}

}  // namespace backplane::h5
