#include "recorder/trace_file.h"

#include <hdf5_hl.h>

#include <filesystem>

namespace backplane {

using h5::check;
using h5::ChunkEncoder;
using h5::ChunkGrid;
using h5::Handle;

namespace {

/// A record below this shares its chunk with others: a chunk has some dozens of bytes of its own in the index.
constexpr std::size_t kOwnChunkBytes = 64;
constexpr hsize_t kRecordsOfSharedChunk = 512;

void set_text(const Handle& object, const std::string& name, const std::string& value) {
  check(H5LTset_attribute_string(object.id(), ".", name.c_str(), value.c_str()), "write an attribute");
}

Handle open_group(const Handle& file, const std::string& path) {
  return Handle(H5Gopen2(file.id(), path.c_str(), H5P_DEFAULT), H5Gclose, "open a group");
}

std::string parent_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

/// What NeXus calls a default plot (https://manual.nexusformat.org): viewers that know it open the file with it.
void describe_plot(const Handle& file, const TraceSeries& series) {
  const std::string group = parent_of(series.step_path);
  const Handle root = open_group(file, "/"), data = open_group(file, group);
  set_text(root, "NX_class", "NXroot");
  set_text(root, "default", group.substr(1));
  set_text(data, "NX_class", "NXdata");
  set_text(data, "signal", series.plot);
  set_text(data, "axes", std::filesystem::path(series.step_path).filename().string());
}

}  // namespace

TraceFile::TraceFile(const std::string& path, const TraceLayout& layout, Compression compression)
    : path_(path),
      compression_(compression),
      encoder_(compression == Compression::gzip ? ChunkEncoder::Filters::deflate : ChunkEncoder::Filters::fletcher32) {
  h5::make_quiet_and_safe();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make file access properties");
  check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST), "choose the file format");
  file_ = Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose, "make the trace");
  const Handle root = open_group(file_, "/");
  set_text(root, "format", "backplane-trace");
  const long long version = 1;
  check(H5LTset_attribute_long_long(root.id(), ".", "format_version", &version, 1), "write an attribute");

  std::vector<Handle> scales;
  for (const TraceScale& scale : layout.scales) scales.push_back(make_scale(file_, scale));
  for (const TraceSeries& series : layout.series) {
    series_.push_back(make(series));
    for (std::size_t i = 0; i < series.tensors.size(); ++i)
      for (std::size_t axis = 0; axis < series.tensors[i].axes.size(); ++axis)
        for (std::size_t s = 0; s < scales.size(); ++s)
          if (layout.scales[s].axis == series.tensors[i].axes[axis])
            check(H5DSattach_scale(series_.back().tensors[i].dataset.id(), scales[s].id(),
                                   static_cast<unsigned>(axis + 1)),
                  "attach a scale");
    if (!series.plot.empty()) describe_plot(file_, series);
  }
  check(H5Fstart_swmr_write(file_.id()), "let readers in");
}

Handle TraceFile::make_scale(const Handle& file, const TraceScale& scale) {
  const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "make link properties");
  check(H5Pset_create_intermediate_group(links.id(), 1), "ask for intermediate groups");
  const hsize_t count = scale.values.size();
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, "make a data space");
  Handle dataset(
      H5Dcreate2(file.id(), scale.path.c_str(), H5T_STD_I64LE, space.id(), links.id(), H5P_DEFAULT, H5P_DEFAULT),
      H5Dclose, "make a scale");
  check(H5Dwrite(dataset.id(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, scale.values.data()), "write a scale");
  check(H5DSset_scale(dataset.id(), scale.axis.c_str()), "make a scale");
  return dataset;
}

TraceFile::Series TraceFile::make(const TraceSeries& series) {
  Series made;
  if (series.step_path.empty()) return made;
  made.steps = make({.path = series.step_path, .shape = {}, .axes = {}, .element = Element::int64, .attributes = {}});
  check(H5DSset_scale(made.steps.dataset.id(), "step"), "make a scale");
  for (const TraceTensor& tensor : series.tensors) {
    made.tensors.push_back(make(tensor));
    check(H5DSattach_scale(made.tensors.back().dataset.id(), made.steps.dataset.id(), 0), "attach a scale");
  }
  return made;
}

TraceFile::Column TraceFile::make(const TraceTensor& tensor) {
  const bool has_own_chunks =
      static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.element) >= kOwnChunkBytes;
  Column column{.dataset = {}, .element = tensor.element, .grid = {}, .shape = tensor.shape};
  std::vector<hsize_t> dims{0}, limits{H5S_UNLIMITED}, chunk{has_own_chunks ? 1 : kRecordsOfSharedChunk};
  dims.insert(dims.end(), tensor.shape.begin(), tensor.shape.end());
  limits.insert(limits.end(), tensor.shape.begin(), tensor.shape.end());
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make data set properties");
  if (has_own_chunks) {
    column.grid.emplace(tensor.shape, size_of(tensor.element));
    chunk.insert(chunk.end(), column.grid->extents().begin(), column.grid->extents().end());
    if (compression_ == Compression::gzip) {
      check(H5Pset_shuffle(creation.id()), "ask for shuffling");
      check(H5Pset_deflate(creation.id(), 1), "ask for compression");
    }
    check(H5Pset_fletcher32(creation.id()), "ask for checksums");
  } else {
    chunk.insert(chunk.end(), tensor.shape.begin(), tensor.shape.end());
  }
  check(H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()), "set chunks");
  const Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), limits.data()), H5Sclose,
                     "make a data space");
  const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "make link properties");
  check(H5Pset_create_intermediate_group(links.id(), 1), "ask for intermediate groups");
  const Handle type = file_type(tensor.element);
  column.dataset =
      Handle(H5Dcreate2(file_.id(), tensor.path.c_str(), type.id(), space.id(), links.id(), creation.id(), H5P_DEFAULT),
             H5Dclose, "make a data set");
  check(H5DSset_label(column.dataset.id(), 0, "step"), "label an axis");
  for (std::size_t axis = 0; axis < tensor.axes.size(); ++axis)
    check(H5DSset_label(column.dataset.id(), static_cast<unsigned>(axis + 1), tensor.axes[axis].c_str()),
          "label an axis");
  for (const auto& [name, value] : tensor.attributes) set_text(column.dataset, name, value);
  return column;
}

void TraceFile::append(std::size_t index, const TraceRecord& record) try {
  Series& series = series_[index];
  for (std::size_t i = 0; i < series.tensors.size(); ++i)
    write(series.tensors[i], series.records, record.tensors[i].data());
  write(series.steps, series.records, &record.step);  // last: its length says how many records are whole
  ++series.records;
} catch (const InternalError& error) {
  throw UserError(ExitCode::io, path_ + ": cannot be written", std::string("is the disk full? ") + error.what());
}

void TraceFile::write(const Column& column, hsize_t record, const void* data) {
  std::vector<hsize_t> dims{record + 1};
  dims.insert(dims.end(), column.shape.begin(), column.shape.end());
  check(H5Dset_extent(column.dataset.id(), dims.data()), "extend a data set of the trace");
  if (column.grid) {
    column.grid->write(column.dataset, data, encoder_, record);
  } else {
    std::vector<hsize_t> begin(dims.size()), count = dims;
    begin[0] = record;
    count[0] = 1;
    const Handle to(H5Dget_space(column.dataset.id()), H5Sclose, "get a data space");
    check(H5Sselect_hyperslab(to.id(), H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr),
          "select a record");
    const Handle from(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose,
                      "make a data space");
    const Handle type = file_type(column.element);
    check(H5Dwrite(column.dataset.id(), type.id(), from.id(), to.id(), H5P_DEFAULT, data), "write a record");
  }
  check(H5Dflush(column.dataset.id()), "flush a record");
}

}  // namespace backplane
