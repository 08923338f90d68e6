#include "checkpoint/reader.h"

#include <fmt/format.h>
#include <hdf5_hl.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

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
  const fs::path manifest_path = path.parent_path() / "MANIFEST.json";
  std::ifstream manifest_file(manifest_path);
  if (!manifest_file)
    throw UserError(ExitCode::no_input,
                    fmt::format("{}: there is no MANIFEST.json beside it to verify it by", path.string()),
                    "copy the manifest along with the checkpoint");
  const nlohmann::json manifest = nlohmann::json::parse(manifest_file, nullptr, false);
  if (!manifest.is_object() || !manifest.contains("checkpoints") || !manifest["checkpoints"].is_array())
    refuse(manifest_path, "is damaged");
  for (const nlohmann::json& entry : manifest["checkpoints"]) {
    if (!entry.is_object() || entry.value("file", "") != path.filename().string()) continue;
    const auto size = entry.value("bytes", std::uint64_t{0});
    if (size != bytes.size())
      refuse(path, fmt::format("has {} bytes, its manifest says {}: it is damaged", bytes.size(), size));
    if (sha256_of(bytes.data(), bytes.size()) != entry.value("sha256", ""))
      refuse(path, "its SHA-256 differs from its manifest: it is damaged");
    return;
  }
  refuse(path, "is not in MANIFEST.json: it was never committed");
}

std::string read_text_attribute(hid_t object, const char* name) {
  const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, "open an attribute");
  const Handle type(H5Aget_type(attribute.id()), H5Tclose, "get a type");
  std::string value(H5Tget_size(type.id()), '\0');
  check(H5Aread(attribute.id(), type.id(), value.data()), "read an attribute");
  value.resize(std::min(value.size(), value.find('\0')));
  return value;
}

std::int64_t read_integer_attribute(hid_t object, const char* name) {
  const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, "open an attribute");
  std::int64_t value = 0;
  check(H5Aread(attribute.id(), H5T_NATIVE_INT64, &value), "read an attribute");
  return value;
}

Handle open_dataset(hid_t file, const std::string& path) {
  return Handle(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose, "open a data set");
}

Shape shape_of(hid_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose, "get a data space");
  const int rank = H5Sget_simple_extent_ndims(space.id());
  std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(rank, 0)));
  H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr);
  return Shape(dims.begin(), dims.end());
}

std::string read_text(hid_t file, const std::string& path) {
  const Handle dataset = open_dataset(file, path);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
  std::string value(H5Tget_size(type.id()), '\0');
  check(H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, value.data()), "read a text");
  value.resize(std::min(value.size(), value.find('\0')));
  return value;
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
  const Handle group(H5Gopen2(file, path.c_str(), H5P_DEFAULT), H5Gclose, "open a group");
  H5G_info_t info{};
  check(H5Gget_info(group.id(), &info), "look at a group");
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    char name[256] = {};
    if (H5Lget_name_by_idx(group.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) < 0)
      continue;
    H5L_info_t link{};
    H5O_info_t object{};
    check(H5Lget_info(group.id(), name, &link, H5P_DEFAULT), "look at a link");
    if (link.type != H5L_TYPE_HARD)
      throw UserError(ExitCode::bad_data, fmt::format("{}/{}: links out of a checkpoint are refused", path, name));
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
  const Handle group(H5Gopen2(file, path.c_str(), H5P_DEFAULT), H5Gclose, "open a layer");
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

void read_state(hid_t file, Snapshot& snapshot) {
  for (const auto& [name, is_group] : children(file, "/state")) {
    const Handle dataset = open_dataset(file, "/state/" + name);
    const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
    if (H5Tget_class(type.id()) == H5T_INTEGER)
      snapshot.integers[name] = read_array<std::int64_t>(file, "/state/" + name).at(0);
    else
      snapshot.numbers[name] = read_array<double>(file, "/state/" + name).at(0);
  }
}

Snapshot read_image(const fs::path& path, std::vector<char>& bytes) {
  h5::make_quiet_and_safe();
  const Handle file(
      H5LTopen_file_image(bytes.data(), bytes.size(), H5LT_FILE_IMAGE_DONT_COPY | H5LT_FILE_IMAGE_DONT_RELEASE),
      H5Fclose, "open the image");
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
  read_state(file.id(), snapshot);
  for (const std::string& name : read_names(file.id(), "/layer_names"))
    snapshot.layers.push_back(read_layer(file.id(), name));
  return snapshot;
}

}  // namespace

Snapshot read_checkpoint(const std::string& given) {
  const fs::path path = given;
  std::vector<char> bytes = read_bytes(path);
  verify(path, bytes);
  return read_image(path, bytes);
}

}  // namespace backplane
