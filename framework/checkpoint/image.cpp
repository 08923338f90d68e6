#include "checkpoint/image.h"

#include <fmt/format.h>
#include <hdf5_hl.h>
#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>

#include "hdf5/chunk.h"
#include "hdf5/handle.h"

namespace backplane {

using h5::check;
using h5::Handle;

namespace {

/// Tensors on one scale, whose list takes 16 bytes for each and has room for 64 KiB.
constexpr int kMostAttached = 4000;

/// One row of /manifest; the layout is part of the format.
struct ManifestRow {
  char path[160];
  char dtype[16];
  std::int64_t bytes;
  std::int64_t crc32;
};

Handle text_type(std::size_t length) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a text type");
  check(H5Tset_size(type.id(), std::max<std::size_t>(length, 1)), "set the length of a text");
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "mark a text as UTF-8");
  return type;
}

/// Writes tensors and notes each in the manifest.
class ImageWriter {
 public:
  ImageWriter() {
    h5::make_quiet_and_safe();
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make file access properties");
    constexpr std::size_t kGrowth = 1 << 20;
    check(H5Pset_fapl_core(access.id(), kGrowth, false), "choose the in-memory driver");
    Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "make file creation properties");
    check(H5Pset_link_creation_order(creation.id(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
          "track the order of links");
    // Index nodes of 8 chunks, not 64: most tensors are one chunk, and small networks' files half as large.
    check(H5Pset_istore_k(creation.id(), 4), "choose small index nodes");
    file_ = Handle(H5Fcreate("image", H5F_ACC_TRUNC, creation.id(), access.id()), H5Fclose, "make a file in memory");
    link_creation_ = Handle(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "make link properties");
    check(H5Pset_create_intermediate_group(link_creation_.id(), 1), "ask for intermediate groups");
    dataset_creation_ = Handle(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make data set properties");
    // No time stamps: equal states give equal files.
    check(H5Pset_obj_track_times(dataset_creation_.id(), false), "leave time stamps out");
    group_creation_ = Handle(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, "make group properties");
    check(H5Pset_link_creation_order(group_creation_.id(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
          "track the order of links");
  }

  Handle group(const std::string& path) {
    return Handle(H5Gcreate2(file_.id(), path.c_str(), link_creation_.id(), group_creation_.id(), H5P_DEFAULT),
                  H5Gclose, "make a group");
  }

  void attribute(hid_t object, const char* name, const std::string& value) {
    const Handle type = text_type(value.size());
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "make a scalar");
    const Handle attribute(H5Acreate2(object, name, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                           "make an attribute");
    check(H5Awrite(attribute.id(), type.id(), value.empty() ? "\0" : value.data()), "write an attribute");
  }
  void attribute(hid_t object, const char* name, std::int64_t value) {
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "make a scalar");
    const Handle attribute(H5Acreate2(object, name, H5T_STD_I64LE, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                           "make an attribute");
    check(H5Awrite(attribute.id(), H5T_NATIVE_INT64, &value), "write an attribute");
  }

  void text(const std::string& path, const std::string& value) {
    const Handle type = text_type(value.size());
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "make a scalar");
    const Handle dataset = make(path, type.id(), space.id(), dataset_creation_.id());
    check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, value.empty() ? "\0" : value.data()),
          "write a text");
  }

  template <class T>
  void scalar(const std::string& path, T value) {
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "make a scalar");
    const Handle dataset = make(path, h5::native<T>(), space.id(), dataset_creation_.id());
    check(H5Dwrite(dataset.id(), h5::native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, &value), "write a number");
  }

  /// Writes an array, checksummed by HDF5 chunk by chunk and by the manifest as a whole.
  Handle array(const std::string& path, const Shape& shape, hid_t type, std::size_t element_bytes, const void* data,
               const char* dtype) {
    const std::vector<hsize_t> dims(shape.begin(), shape.end());
    const Handle space(
        dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
        H5Sclose, "make a data space");
    const Handle creation(H5Pcopy(dataset_creation_.id()), H5Pclose, "copy data set properties");
    std::optional<h5::ChunkGrid> grid;
    if (!dims.empty() && element_count(shape) > 0) {
      grid.emplace(shape, element_bytes);
      check(H5Pset_chunk(creation.id(), static_cast<int>(dims.size()), grid->extents().data()), "set chunks");
      check(H5Pset_fletcher32(creation.id()), "ask for checksums");
    }
    Handle dataset = make(path, type, space.id(), creation.id());
    if (grid)
      grid->write(dataset, data, encoder_);
    else
      check(H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "write an array");
    const std::size_t bytes = static_cast<std::size_t>(element_count(shape)) * element_bytes;
    ManifestRow row{};
    if (path.size() >= sizeof row.path) throw InternalError("a path in a checkpoint is too long: " + path);
    std::memcpy(row.path, path.data(), path.size());
    std::strncpy(row.dtype, dtype, sizeof row.dtype - 1);
    row.bytes = static_cast<std::int64_t>(bytes);
    row.crc32 = static_cast<std::int64_t>(libdeflate_crc32(0, data, bytes));
    manifest_.push_back(row);
    return dataset;
  }

  Handle tensor(const std::string& path, const StoredTensor& stored) {
    const bool is_single = stored.dtype == DType::float32;
    Handle dataset = array(path, stored.shape, is_single ? H5T_IEEE_F32LE : H5T_IEEE_F64LE, size_of(stored.dtype),
                           stored.data.data(), name_of(stored.dtype).data());
    for (const auto& [name, value] : stored.attributes) attribute(dataset.id(), name.c_str(), value);
    for (std::size_t axis = 0; axis < stored.axes.size(); ++axis)
      check(H5DSset_label(dataset.id(), static_cast<unsigned>(axis), stored.axes[axis].c_str()), "label an axis");
    return dataset;
  }

  void names(const std::string& path, const std::vector<std::string>& names) {
    std::size_t longest = 1;
    for (const std::string& name : names) longest = std::max(longest, name.size());
    std::vector<char> packed(names.size() * longest, '\0');
    for (std::size_t i = 0; i < names.size(); ++i)
      std::copy(names[i].begin(), names[i].end(), packed.begin() + static_cast<std::ptrdiff_t>(i * longest));
    const Handle type = text_type(longest);
    const hsize_t count = names.size();
    const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, "make a data space");
    const Handle dataset = make(path, type.id(), space.id(), dataset_creation_.id());
    check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, packed.data()), "write names");
  }

  /// Makes a dimension scale, /scales/<name>, which is also /<name>: netCDF looks for scales in the groups above a
  /// tensor only.
  hid_t scale(const std::string& name, const std::vector<std::int64_t>& values, const std::string& definition) {
    const std::string path = "/scales/" + name;
    Handle made = array(path, {std::ssize(values)}, H5T_STD_I64LE, 8, values.data(), "int64");
    check(H5DSset_scale(made.id(), name.c_str()), "make a scale");
    attribute(made.id(), "definition", definition);
    check(H5Lcreate_hard(file_.id(), path.c_str(), file_.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), "link a scale");
    return scales_.emplace(name, std::move(made)).first->second.id();
  }

  /// Attaches a scale to every axis of a per-sample tensor, "unit_512" to one of 512 units: readers that know scales
  /// want one for each axis or for none. A scale lists what it is attached to in an attribute, which HDF5 bounds
  /// to 64 KiB: tensors beyond have the labels of their axes alone.
  void attach_scales(hid_t dataset, const StoredTensor& tensor) {
    if (attached_++ >= kMostAttached) return;
    for (std::size_t axis = 0; axis < tensor.axes.size(); ++axis) {
      const std::string name = axis == 0 ? tensor.axes[0] : fmt::format("{}_{}", tensor.axes[axis], tensor.shape[axis]);
      const auto found = scales_.find(name);
      hid_t scale_id = found == scales_.end() ? H5I_INVALID_HID : found->second.id();
      if (found == scales_.end()) {
        std::vector<std::int64_t> indices(static_cast<std::size_t>(tensor.shape[axis]));
        std::iota(indices.begin(), indices.end(), std::int64_t{0});
        scale_id = scale(name, indices, fmt::format("index of the {}, from 0", tensor.axes[axis]));
      }
      check(H5DSattach_scale(dataset, scale_id, static_cast<unsigned>(axis)), "attach a scale");
    }
  }

  void write_manifest() {
    const Handle type(H5Tcreate(H5T_COMPOUND, sizeof(ManifestRow)), H5Tclose, "make the manifest's type");
    const Handle path = text_type(sizeof ManifestRow::path), dtype = text_type(sizeof ManifestRow::dtype);
    check(H5Tinsert(type.id(), "path", offsetof(ManifestRow, path), path.id()), "describe the manifest");
    check(H5Tinsert(type.id(), "dtype", offsetof(ManifestRow, dtype), dtype.id()), "describe the manifest");
    check(H5Tinsert(type.id(), "bytes", offsetof(ManifestRow, bytes), H5T_STD_I64LE), "describe the manifest");
    check(H5Tinsert(type.id(), "crc32", offsetof(ManifestRow, crc32), H5T_STD_I64LE), "describe the manifest");
    const hsize_t count = manifest_.size();
    const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, "make a data space");
    const Handle dataset = make("/manifest", type.id(), space.id(), dataset_creation_.id());
    check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, manifest_.data()), "write the manifest");
  }

  hid_t root() const { return file_.id(); }

  /// The file, with nothing left to write.
  Handle finish() {
    scales_.clear();
    check(H5Fflush(file_.id(), H5F_SCOPE_GLOBAL), "flush the image");
    return std::move(file_);
  }

 private:
  Handle make(const std::string& path, hid_t type, hid_t space, hid_t creation) {
    return Handle(H5Dcreate2(file_.id(), path.c_str(), type, space, link_creation_.id(), creation, H5P_DEFAULT),
                  H5Dclose, "make a data set");
  }

  Handle file_, link_creation_, group_creation_, dataset_creation_;
  h5::ChunkEncoder encoder_{h5::ChunkEncoder::Filters::fletcher32};
  std::map<std::string, Handle> scales_;  ///< by name
  int attached_ = 0;                      ///< tensors on scales
  std::vector<ManifestRow> manifest_;
};

/// Of a file of the in-memory driver: where it stands, not a copy. Valid until the file is written to or closed.
std::span<const std::byte> bytes_in_memory(const Handle& file) {
  void* memory = nullptr;
  check(H5Fget_vfd_handle(file.id(), H5P_DEFAULT, &memory), "find the image");
  const ssize_t size = H5Fget_file_image(file.id(), nullptr, 0);
  if (size < 0) throw InternalError("HDF5 could not tell the size of the image");
  return {*static_cast<const std::byte**>(memory), static_cast<std::size_t>(size)};
}

/// What viewers of NeXus files (h5web, NeXpy, silx) show first of a group.
void mark_as_plot(ImageWriter& writer, hid_t group, const std::string& signal) {
  writer.attribute(group, "NX_class", std::string("NXdata"));
  writer.attribute(group, "signal", signal);
}

void write_layer(ImageWriter& writer, const StoredLayer& layer, std::int64_t index) {
  const std::string path = "/layers/" + layer.name;
  {
    const Handle group = writer.group(path);
    writer.attribute(group.id(), "index", index);
    writer.attribute(group.id(), "type", layer.type);
    writer.attribute(group.id(), "activation", layer.activation);
    writer.attribute(group.id(), "plugin", layer.plugin);
    writer.attribute(group.id(), "plugin_version", layer.plugin_version);
    writer.attribute(group.id(), "plugin_sha256", layer.plugin_sha256);
    writer.attribute(group.id(), "trainable", layer.trainable ? 1 : 0);
    mark_as_plot(writer, group.id(), "delta");
  }
  for (const auto& [name, tensor] : layer.tensors) {
    const Handle dataset = writer.tensor(fmt::format("{}/{}", path, name), tensor);
    if (!tensor.axes.empty() && tensor.axes[0] == "sample") writer.attach_scales(dataset.id(), tensor);
  }
}

}  // namespace

Image::Image(const Snapshot& snapshot) {
  ImageWriter writer;
  writer.attribute(writer.root(), "format", std::string("backplane-checkpoint"));
  writer.attribute(writer.root(), "format_version", 1);
  writer.attribute(writer.root(), "step", snapshot.step);
  writer.attribute(writer.root(), "weights_digest", snapshot.weights_digest);
  writer.attribute(writer.root(), "NX_class", std::string("NXroot"));
  writer.attribute(writer.root(), "default", std::string("probe"));
  writer.attribute(writer.root(), "dim_order", std::string(h5::kDimOrder));
  writer.text("/config", snapshot.config);
  writer.text("/environment", snapshot.environment);

  std::vector<std::string> names;
  for (const StoredLayer& layer : snapshot.layers) names.push_back(layer.name);
  writer.names("/layer_names", names);
  if (!snapshot.vocabulary.empty()) writer.names("/vocabulary", snapshot.vocabulary);

  const auto samples = static_cast<std::int64_t>(snapshot.sample_indices.size());
  const hid_t scale = writer.scale("sample", snapshot.sample_indices, "index of the sample within the training split");
  mark_as_plot(writer, writer.group("/probe").id(), "loss");
  for (const auto& [path, tensor] : {std::pair{"/probe/input", &snapshot.input}, {"/probe/target", &snapshot.target}}) {
    const Handle dataset = writer.tensor(path, *tensor);
    writer.attach_scales(dataset.id(), *tensor);
  }
  if (!snapshot.lengths.empty()) {
    const Handle lengths = writer.array("/probe/length", {samples}, H5T_STD_I64LE, 8, snapshot.lengths.data(), "int64");
    check(H5DSattach_scale(lengths.id(), scale, 0), "attach a scale");
  }
  const Handle losses = writer.array("/probe/loss", {samples}, H5T_IEEE_F64LE, 8, snapshot.losses.data(), "float64");
  check(H5DSattach_scale(losses.id(), scale, 0), "attach a scale");
  writer.attribute(losses.id(), "long_name", std::string("loss of each stored sample"));

  for (const auto& [name, value] : snapshot.integers) writer.scalar("/state/" + name, value);
  for (const auto& [name, value] : snapshot.numbers) writer.scalar("/state/" + name, value);
  for (std::size_t i = 0; i < snapshot.layers.size(); ++i)
    write_layer(writer, snapshot.layers[i], static_cast<std::int64_t>(i));
  writer.write_manifest();
  file_ = writer.finish();
  bytes_ = bytes_in_memory(file_);
}

}  // namespace backplane
