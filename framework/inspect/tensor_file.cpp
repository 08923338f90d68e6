#include "inspect/tensor_file.h"

#include <fmt/format.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <numeric>

#include "tensor/tensor_kinds.h"

namespace backplane {

using h5::check;
using h5::Handle;
using h5::require;

namespace {

constexpr std::size_t kMostTensors = 1 << 12;  // of one layer

/// Whether every part of an absolute path is there.
bool holds_path(hid_t file, const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    if (!h5::holds(file, path.substr(0, end))) return false;
    if (end == std::string::npos) return true;
  }
}

void describe_type(hid_t dataset, FileTensor& tensor) {
  const Handle type(H5Dget_type(dataset), H5Tclose, "get a type");
  const bool is_float = H5Tget_class(type.id()) == H5T_FLOAT, is_integer = H5Tget_class(type.id()) == H5T_INTEGER;
  require((is_float || is_integer) && H5Tget_order(type.id()) == H5T_ORDER_LE,
          tensor.place + " holds no little-endian numbers");
  const std::size_t bytes = H5Tget_size(type.id());
  require(bytes == 8 || (is_float && (bytes == 2 || bytes == 4)), tensor.place + " holds numbers of a strange size");
  tensor.stored = fmt::format("{}{}", is_float ? "float" : "int", 8 * bytes);
  tensor.dtype = bytes == 8 ? DType::float64 : DType::float32;  // either holds all that is stored, counts up to 2^53
}

}  // namespace

TensorFile::TensorFile(const std::string& path, Part part) : path_(path), part_(part) {
  const auto refuse = [&](const std::string& why) {
    throw UserError(ExitCode::bad_data, Diagnostic{.place = {.source = path}, .what = why});
  };
  try {
    open();
  } catch (const UserError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {  // of HDF5, of what the file promises and does not hold
    refuse(fmt::format("cannot be read: {}", error.what()));
  }
}

void TensorFile::open() {
  h5::OpenedHdf5 opened = h5::open_file(path_);
  file_ = std::move(opened.handle);
  is_being_written_ = opened.is_being_written;
  const std::string format = H5Aexists(id(), "format") > 0 ? h5::read_text_attribute(id(), "format") : "";
  // Those of the first version had no format of their own.
  const bool looks_like_trace = format.empty() && h5::holds(id(), "scales") && h5::holds(id(), "scales/step");
  if (format == "backplane-checkpoint")
    read_checkpoint_head();
  else if (format == "backplane-trace" || looks_like_trace)
    read_trace_head();
  else
    throw UserError(ExitCode::bad_data, Diagnostic{.place = {.source = path_},
                                                   .what = "is an HDF5 file, but neither a checkpoint nor a trace",
                                                   .hint = "h5dump -n shows what it holds"});
  read_layers();
}

void TensorFile::read_checkpoint_head() {
  const std::int64_t version = h5::read_integer_attribute(id(), "format_version");
  require(version == 1, fmt::format("it has format version {}, this program reads version 1", version));
  steps_ = {h5::read_integer_attribute(id(), "step")};
  require(0 <= steps_[0] && steps_[0] <= std::int64_t{1} << 60, fmt::format("it is of step {}", steps_[0]));
  weights_digest_ = h5::read_text_attribute(id(), "weights_digest");
  config_ = h5::read_text(id(), "/config");
  samples_ = {h5::read_array<std::int64_t>(id(), "/scales/sample")};
  for (const h5::Child& child : h5::children(id(), "/state")) {
    const std::string place = "/state/" + child.name;
    const Handle dataset = h5::open_dataset(id(), place);
    require(h5::shape_of(dataset.id()).empty(), place + " is no single number");
    const Handle type(H5Dget_type(dataset.id()), H5Tclose, "get a type");
    if (H5Tget_class(type.id()) == H5T_INTEGER)
      integers_[child.name] = h5::read_array<std::int64_t>(id(), place)[0];
    else
      numbers_[child.name] = h5::read_array<double>(id(), place)[0];
  }
  for (const char* name : {"input", "target", "loss"})
    probe_.tensors.push_back(describe(std::string("/probe/") + name, name));
  probe_.name = "probe";
}

void TensorFile::read_trace_head() {
  kind_ = Kind::trace;
  // Those of the first version may have none.
  const std::int64_t version =
      H5Aexists(id(), "format_version") > 0 ? h5::read_integer_attribute(id(), "format_version") : 1;
  require(version == 1, fmt::format("it has format version {}, this program reads version 1", version));
  const std::string place = part_ == Part::tensors      ? "/scales/step"
                            : part_ == Part::statistics ? "/statistics/scales/step"
                                                        : "/curves/step";
  if (!holds_path(id(), place)) {
    require(part_ != Part::tensors || !h5::holds(id(), "/layers"), place + " is missing");
    return;
  }
  steps_place_ = place;
  require(h5::shape_of(h5::open_dataset(id(), place).id()).size() == 1, place + " is no list");
  steps_ = h5::read_array<std::int64_t>(id(), place);
  samples_.resize(steps_.size());
  if (part_ != Part::tensors) return;
  const Handle dataset = h5::open_dataset(id(), "/scales/sample");
  const Shape shape = h5::shape_of(dataset.id());
  require(shape.size() == 2 && shape[0] >= std::ssize(steps_), "/scales/sample has no row for each step");
  const std::vector<std::int64_t> all = h5::read_array<std::int64_t>(id(), "/scales/sample");
  for (std::size_t record = 0; record < steps_.size(); ++record) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(record) * shape[1];
    samples_[record].assign(first, first + shape[1]);
  }
}

void TensorFile::read_layers() {
  if (is_trace() && steps_place_.empty()) return;
  if (part_ == Part::curves) {
    layers_.push_back({.name = "curves"});
    for (const h5::Child& child : h5::children(id(), "/curves"))
      if (!child.is_group && child.name != "step")
        layers_.back().tensors.push_back(describe("/curves/" + child.name, child.name));
    return;
  }
  std::vector<h5::Child> groups = h5::children(id(), layers_place());
  std::ranges::sort(groups, {}, &h5::Child::created);
  std::vector<std::string> names;
  if (h5::holds(id(), "/layer_names")) {
    for (std::string& name : h5::read_names(id(), "/layer_names"))
      if (std::ranges::find(groups, name, &h5::Child::name) != groups.end()) names.push_back(std::move(name));
    require(names.size() == groups.size(), "/layer_names does not name the groups of " + layers_place());
  } else {
    for (const h5::Child& group : groups) names.push_back(group.name);
  }
  for (const std::string& name : names) {
    const std::string place = layers_place() + "/" + name;
    FileLayer layer{.name = name};
    if (!is_trace()) {
      const Handle group = h5::open_group(id(), place);
      layer.type = h5::read_text_attribute(group.id(), "type");
      layer.activation = h5::read_text_attribute(group.id(), "activation");
      layer.plugin = h5::read_text_attribute(group.id(), "plugin");
      layer.plugin_version = h5::read_text_attribute(group.id(), "plugin_version");
    }
    read_tensors(layer, place, "");
    std::ranges::stable_sort(layer.tensors, {},
                             [](const FileTensor& tensor) { return place_in_step(kind_of(tensor.name)); });
    layers_.push_back(std::move(layer));
  }
}

void TensorFile::read_tensors(FileLayer& layer, const std::string& place, const std::string& below) {
  require(std::ranges::count(below, '/') < 3, place + " holds groups in groups in groups");
  for (const h5::Child& child : h5::children(id(), place + (below.empty() ? "" : "/" + below))) {
    const std::string name = below.empty() ? child.name : below + "/" + child.name;
    require(layer.tensors.size() < kMostTensors, place + " holds too many tensors");
    if (child.is_group)
      read_tensors(layer, place, name);
    else
      layer.tensors.push_back(describe(place + "/" + name, name));
  }
}

FileTensor TensorFile::describe(const std::string& place, const std::string& name) const {
  const Handle dataset = h5::open_dataset(id(), place);
  FileTensor tensor{.place = place, .name = name, .shape = h5::shape_of(dataset.id())};
  describe_type(dataset.id(), tensor);
  for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    char label[64] = {};
    H5DSget_label(dataset.id(), static_cast<unsigned>(axis), label, sizeof label - 1);
    tensor.axes.emplace_back(label);
  }
  if (H5Aexists(dataset.id(), "definition") > 0)
    tensor.definition = h5::read_text_attribute(dataset.id(), "definition");
  if (is_trace()) {
    require(!tensor.shape.empty() && tensor.shape[0] >= std::ssize(steps_), place + " has no record for each step");
    tensor.shape.erase(tensor.shape.begin());
    tensor.axes.erase(tensor.axes.begin());
  }
  const bool is_per_sample = !tensor.axes.empty() && tensor.axes[0] == "sample";
  require(!is_per_sample || samples_.empty() || tensor.shape[0] == std::ssize(samples_[0]),
          place + " has no row for each sample");
  return tensor;
}

void TensorFile::for_each_piece(const FileTensor& tensor, const std::function<void(const Piece&)>& use) {
  constexpr std::int64_t kElements = 1 << 20;
  const Shape& shape = tensor.shape;
  const std::int64_t all = element_count(shape);
  if (all == 0) return;
  // Axes before `cut` are walked one by one, `cut` in strides, those behind it whole.
  std::size_t cut = 0;
  std::int64_t inner = all;
  for (; cut < shape.size(); ++cut) {
    inner /= shape[cut];
    if (inner <= kElements) break;
  }
  if (shape.empty()) return use(whole(tensor));
  const std::int64_t stride = std::clamp<std::int64_t>(kElements / inner, 1, shape[cut]);
  Piece piece{0, 0, Shape(shape.size(), 0), shape};
  std::fill_n(piece.extent.begin(), cut, 1);
  while (piece.first < all) {
    piece.extent[cut] = std::min(stride, shape[cut] - piece.start[cut]);
    piece.count = piece.extent[cut] * inner;
    use(piece);
    piece.first += piece.count;
    piece.start[cut] += piece.extent[cut];
    for (std::size_t axis = cut; axis > 0 && piece.start[axis] == shape[axis]; --axis)
      piece.start[axis] = 0, ++piece.start[axis - 1];
  }
}

TensorFile::Piece TensorFile::whole(const FileTensor& tensor) {
  return {0, element_count(tensor.shape), Shape(tensor.shape.size(), 0), tensor.shape};
}

TensorFile::Piece TensorFile::row(const FileTensor& tensor, std::int64_t row) {
  Piece piece = whole(tensor);
  piece.count /= tensor.shape[0];
  piece.first = row * piece.count;
  piece.start[0] = row;
  piece.extent[0] = 1;
  return piece;
}

hid_t TensorFile::dataset_at(const std::string& place) const {
  auto found = datasets_.find(place);
  if (found == datasets_.end()) found = datasets_.emplace(place, h5::open_dataset(id(), place)).first;
  return found->second.id();
}

Buffer TensorFile::read(const FileTensor& tensor, std::size_t record, const Piece& piece) const try {
  Buffer buffer(static_cast<std::size_t>(piece.count) * size_of(tensor.dtype));
  const hid_t dataset = dataset_at(tensor.place);
  std::vector<hsize_t> start(piece.start.begin(), piece.start.end()), extent(piece.extent.begin(), piece.extent.end());
  if (is_trace()) start.insert(start.begin(), record), extent.insert(extent.begin(), 1);
  const Handle there(H5Dget_space(dataset), H5Sclose, "get a data space");
  const hsize_t count = static_cast<hsize_t>(piece.count);
  const Handle here(H5Screate_simple(1, &count, nullptr), H5Sclose, "make a data space");
  if (!start.empty())
    check(H5Sselect_hyperslab(there.id(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr),
          "select a part of a tensor");
  check(H5Dread(dataset, tensor.dtype == DType::float32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, here.id(), there.id(),
                H5P_DEFAULT, buffer.data()),
        "read a tensor");
  return buffer;
} catch (const InternalError& error) {
  throw UserError(ExitCode::bad_data,
                  Diagnostic{.place = {.source = path_}, .what = fmt::format("{}: {}", tensor.place, error.what())});
}

}  // namespace backplane
