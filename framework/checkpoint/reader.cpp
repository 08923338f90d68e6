#include "checkpoint/reader.h"

#include <fmt/format.h>
#include <hdf5_hl.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "checkpoint/manifest.h"
#include "files/digest.h"
#include "files/hdf5.h"

namespace backplane {

namespace fs = std::filesystem;
using h5::check;
using h5::Handle;

namespace {

std::vector<char> read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || fs::is_directory(path))
    throw UserError(ExitCode::no_input, fmt::format("{}: no such checkpoint", path.string()),
                    "checkpoints stand in RUN/checkpoints/step-<8 digits>.h5");
  std::vector<char> bytes(static_cast<std::size_t>(file.tellg()));
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
  throw UserError(ExitCode::bad_data, fmt::format("{}: {}", path.string(), why), "use another checkpoint of the run");
}

/// Throws unless the bytes are those that the manifest promises.
void verify(const fs::path& path, const std::vector<char>& bytes) {
  if (!has_manifest(path.parent_path().string()))
    throw UserError(ExitCode::no_input,
                    fmt::format("{}: there is no MANIFEST.json beside it to verify it by", path.string()),
                    "copy the manifest along with the checkpoint");
  for (const CommittedCheckpoint& entry : read_manifest(path.parent_path().string()).checkpoints) {
    if (entry.file != path.filename().string()) continue;
    if (entry.bytes != bytes.size())
      refuse(path, fmt::format("has {} bytes, its manifest says {}: it is damaged", bytes.size(), entry.bytes));
    if (sha256_of(bytes.data(), bytes.size()) != entry.sha256)
      refuse(path, "its SHA-256 differs from its manifest: it is damaged");
    return;
  }
  refuse(path, "is not in MANIFEST.json: it was never committed");
}

/// What a damaged or hostile file asks for and does not get; turned into a UserError that names the file.
struct Unreadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void require(bool condition, const std::string& what) {
  if (!condition) throw Unreadable(what);
}

/// Sizes in the type and in the data space must be what the memory read into has room for.
void require_scalar(hid_t type, hid_t space, H5T_class_t wanted, const std::string& name) {
  require(H5Tget_class(type) == wanted && H5Tis_variable_str(type) <= 0 && H5Sget_simple_extent_npoints(space) == 1,
          name + " is not what a checkpoint has there");
}

std::string text_of(const Handle& type, const std::function<herr_t(void*)>& read) {
  std::string value(H5Tget_size(type.id()), '\0');
  check(read(value.data()), "read a text");
  value.resize(std::min(value.size(), value.find('\0')));
  return value;
}

std::string read_text_attribute(hid_t object, const char* name) {
  const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, "open an attribute");
  const Handle type(H5Aget_type(attribute.id()), H5Tclose, "get a type");
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, "get a data space");
  require_scalar(type.id(), space.id(), H5T_STRING, name);
  return text_of(type, [&](void* to) { return H5Aread(attribute.id(), type.id(), to); });
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

Handle open_dataset(hid_t file, const std::string& path) {
  require_hard_links(file, path);
  Handle dataset(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose, "open a data set");
  const Handle creation(H5Dget_create_plist(dataset.id()), H5Pclose, "get properties");
  require(H5Pget_layout(creation.id()) != H5D_VIRTUAL && H5Pget_external_count(creation.id()) <= 0,
          path + " keeps its data elsewhere");
  return dataset;
}

Handle open_group(hid_t file, const std::string& path) {
  require_hard_links(file, path);
  return Handle(H5Gopen2(file, path.c_str(), H5P_DEFAULT), H5Gclose, "open a group");
}

Shape shape_of(hid_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose, "get a data space");
  const int rank = H5Sget_simple_extent_ndims(space.id());
  std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(rank, 0)));
  H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr);
  // Checkpoints are not compressed: no data set is larger than its file. Memory is asked for only after this.
  hsize_t file_bytes = 0;
  const Handle file(H5Iget_file_id(dataset), H5Fclose, "get the file");
  check(H5Fget_filesize(file.id(), &file_bytes), "get the size of the file");
  double elements = 1.0;
  for (const hsize_t extent : dims) elements *= static_cast<double>(extent);
  require(elements <= static_cast<double>(file_bytes), "a data set is larger than the file");
  return Shape(dims.begin(), dims.end());
}

std::string read_text(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
  const Handle space(H5Dget_space(dataset.id()), H5Sclose, "get a data space");
  require_scalar(type.id(), space.id(), H5T_STRING, path);
  return text_of(type, [&](void* to) { return H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, to); });
}

template <class T>
std::vector<T> read_array(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  std::vector<T> values(static_cast<std::size_t>(element_count(shape_of(dataset.id()))));
  check(H5Dread(dataset.id(), h5::native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "read an array");
  return values;
}

std::vector<std::string> read_names(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
  require(H5Tget_class(type.id()) == H5T_STRING && H5Tis_variable_str(type.id()) <= 0, path + " holds no names");
  const std::size_t length = H5Tget_size(type.id());
  const auto count = static_cast<std::size_t>(element_count(shape_of(dataset.id())));
  std::string packed(count * length, '\0');
  check(H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, packed.data()), "read names");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.emplace_back(packed.substr(i * length, length).c_str());
  return names;
}

StoredTensor read_tensor(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
  require(H5Tget_class(type.id()) == H5T_FLOAT, path + " holds no numbers");
  StoredTensor tensor;
  tensor.shape = shape_of(dataset.id());
  tensor.dtype = H5Tget_size(type.id()) == 4 ? DType::float32 : DType::float64;
  tensor.data = Buffer(static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.dtype));
  check(H5Dread(dataset.id(), tensor.dtype == DType::float32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL,
                H5P_DEFAULT, tensor.data.data()),
        "read a tensor");
  for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    char label[64] = {};
    H5DSget_label(dataset.id(), static_cast<unsigned>(axis), label, sizeof label);
    tensor.axes.emplace_back(label);
  }
  if (H5Aexists(dataset.id(), "definition") > 0)
    tensor.attributes["definition"] = read_text_attribute(dataset.id(), "definition");
  return tensor;
}

/// Names of the links in a group, with whether each is a group itself. Only hard links are ours.
std::vector<std::pair<std::string, bool>> children(hid_t file, const std::string& path) {
  std::vector<std::pair<std::string, bool>> found;
  const Handle group = open_group(file, path);
  H5G_info_t info{};
  check(H5Gget_info(group.id(), &info), "look at a group");
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    char name[256] = {};
    if (H5Lget_name_by_idx(group.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) < 0)
      continue;
    H5L_info_t link{};
    H5O_info_t object{};
    check(H5Lget_info(group.id(), name, &link, H5P_DEFAULT), "look at a link");
    require(link.type == H5L_TYPE_HARD, path + "/" + name + " is a link to elsewhere");
    check(H5Oget_info_by_name(group.id(), name, &object, H5P_DEFAULT), "look at an object");
    found.emplace_back(name, object.type == H5O_TYPE_GROUP);
  }
  return found;
}

void read_tensors(hid_t file, const std::string& layer_path, const std::string& below,
                  std::map<std::string, StoredTensor>& tensors) {
  for (const auto& [name, is_group] : children(file, layer_path + "/" + below)) {
    const std::string path = below.empty() ? name : below + "/" + name;
    if (is_group)
      read_tensors(file, layer_path, path, tensors);
    else
      tensors[path] = read_tensor(file, layer_path + "/" + path);
  }
}

StoredLayer read_layer(hid_t file, const std::string& name) {
  const std::string path = "/layers/" + name;
  const Handle group = open_group(file, path);
  StoredLayer layer{.name = name,
                    .type = read_text_attribute(group.id(), "type"),
                    .activation = read_text_attribute(group.id(), "activation"),
                    .plugin = read_text_attribute(group.id(), "plugin"),
                    .plugin_version = read_text_attribute(group.id(), "plugin_version"),
                    .plugin_sha256 = read_text_attribute(group.id(), "plugin_sha256"),
                    .trainable = read_integer_attribute(group.id(), "trainable") != 0,
                    .tensors = {}};
  read_tensors(file, path, "", layer.tensors);
  return layer;
}

template <class T>
T read_scalar(hid_t file, const std::string& path) {
  const std::vector<T> values = read_array<T>(file, path);
  require(values.size() == 1, path + " is no single number");
  return values[0];
}

void read_state(hid_t file, Snapshot& snapshot) {
  for (const auto& [name, is_group] : children(file, "/state")) {
    require(!is_group, "/state/" + name + " is no number");
    const std::string path = "/state/" + name;
    const Handle dataset = open_dataset(file, path);
    const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
    if (H5Tget_class(type.id()) == H5T_INTEGER)
      snapshot.integers[name] = read_scalar<std::int64_t>(file, path);
    else
      snapshot.numbers[name] = read_scalar<double>(file, path);
  }
}

Snapshot read_image(const fs::path& path, std::vector<char>& bytes) {
  h5::make_quiet_and_safe();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make file access properties");
  check(H5Pset_fapl_core(access.id(), bytes.size(), false), "choose the in-memory driver");
  check(H5Pset_file_image(access.id(), bytes.data(), bytes.size()), "hand over the image");
  const Handle file(H5Fopen(path.filename().c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose, "open the image");
  if (H5Aexists(file.id(), "format") <= 0 || read_text_attribute(file.id(), "format") != "backplane-checkpoint")
    refuse(path, "is an HDF5 file, but no checkpoint");
  if (const std::int64_t version = read_integer_attribute(file.id(), "format_version"); version != 1)
    refuse(path, fmt::format("has format version {}, this program reads version 1", version));
  Snapshot snapshot;
  snapshot.step = read_integer_attribute(file.id(), "step");
  snapshot.weights_digest = read_text_attribute(file.id(), "weights_digest");
  snapshot.config = read_text(file.id(), "/config");
  snapshot.environment = read_text(file.id(), "/environment");
  snapshot.sample_indices = read_array<std::int64_t>(file.id(), "/scales/sample");
  snapshot.input = read_tensor(file.id(), "/probe/input");
  snapshot.target = read_tensor(file.id(), "/probe/target");
  snapshot.losses = read_array<double>(file.id(), "/probe/loss");
  const auto holds = [&](const char* name) { return H5Lexists(file.id(), name, H5P_DEFAULT) > 0; };
  if (holds("/probe/length")) snapshot.lengths = read_array<std::int64_t>(file.id(), "/probe/length");
  if (holds("/vocabulary")) snapshot.vocabulary = read_names(file.id(), "/vocabulary");
  read_state(file.id(), snapshot);
  for (const std::string& name : read_names(file.id(), "/layer_names"))
    snapshot.layers.push_back(read_layer(file.id(), name));
  const auto rows = static_cast<std::int64_t>(snapshot.sample_indices.size());
  const auto has_rows = [&](const StoredTensor& tensor) { return !tensor.shape.empty() && tensor.shape[0] == rows; };
  require(std::ssize(snapshot.losses) == rows && has_rows(snapshot.input) && has_rows(snapshot.target),
          "the probe's tensors have different numbers of samples");
  for (const char* name : {"batch_size", "step"})
    require(snapshot.integers.contains(name), fmt::format("/state/{} is missing", name));
  require(snapshot.numbers.contains("batch_loss"), "/state/batch_loss is missing");
  for (const StoredLayer& layer : snapshot.layers)
    for (const char* name : {"z", "activation", "delta"})
      require(layer.tensors.contains(name) && has_rows(layer.tensors.at(name)),
              fmt::format("layer {} has no {} for these samples", layer.name, name));
  return snapshot;
}

}  // namespace

Snapshot read_checkpoint(const std::string& given) {
  const fs::path path = given;
  try {
    std::vector<char> bytes = read_bytes(path);
    verify(path, bytes);
    return read_image(path, bytes);
  } catch (const UserError&) {
    throw;
  } catch (const std::exception& error) {  // of HDF5, of JSON, of what the file promised and does not hold
    refuse(path, fmt::format("cannot be read: {}", error.what()));
  }
}

}  // namespace backplane
