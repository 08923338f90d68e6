#include "recorder/trace_file.h"

#include <fmt/format.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <filesystem>

#include "base/system_error.h"
#include "files/atomic_write.h"
#include "base/digest.h"
#include "hdf5/checked_read.h"

namespace backplane {

using h5::check;
using h5::ChunkEncoder;
using h5::ChunkGrid;
using h5::Handle;

namespace {

/// A record below this shares its chunk with others: a chunk has some dozens of bytes of its own in the index.
constexpr std::size_t kOwnChunkBytes = 64;
constexpr hsize_t kRecordsOfSharedChunk = 512;

constexpr const char* kMadeInfinite = "made_infinite";

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

Handle make_scale(const Handle& file, const TraceScale& scale) {
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

/// Texts of one length, padded with zeros.
void write_names(const Handle& file, const std::string& path, const std::vector<std::string>& names) {
  std::size_t longest = 1;
  for (const std::string& name : names) longest = std::max(longest, name.size());
  std::string packed;
  for (const std::string& name : names) packed += name + std::string(longest - name.size(), '\0');
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a text type");
  check(H5Tset_size(type.id(), longest), "set the length of a text");
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "mark a text as UTF-8");
  const hsize_t count = names.size();
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, "make a data space");
  const Handle dataset(
      H5Dcreate2(file.id(), path.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose,
      "make a data set");
  check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, packed.data()), "write names");
}

/// Equal where all data sets, and how they are stored, are.
std::string digest_of(const TraceLayout& layout, Compression compression) {
  std::string text = fmt::format("{}\n", static_cast<int>(compression));
  for (const TraceSeries& series : layout.series) {
    text += series.step_path + "\n";
    for (const TraceTensor& tensor : series.tensors)
      text += fmt::format("{} {} {}\n", tensor.path, to_string(tensor.shape), static_cast<int>(tensor.element));
  }
  for (const TraceScale& scale : layout.scales) text += fmt::format("{} {}\n", scale.path, to_string(scale.values));
  return sha256_of(text.data(), text.size());
}

TraceTensor steps_of(const TraceSeries& series) {
  return {.path = series.step_path, .shape = {}, .axes = {}, .element = TraceType::int64, .attributes = {}};
}

std::vector<hsize_t> chunk_of(const Handle& dataset) {
  const Handle creation(H5Dget_create_plist(dataset.id()), H5Pclose, "get properties");
  std::vector<hsize_t> chunk(H5S_MAX_RANK);
  const int rank = H5Pget_chunk(creation.id(), H5S_MAX_RANK, chunk.data());
  chunk.resize(static_cast<std::size_t>(std::max(rank, 0)));
  return chunk;
}

}  // namespace

TraceFile::TraceFile(const std::string& path, const std::string& name, const TraceLayout& layout,
                     Compression compression, Begin begin)
    : path_(path),
      layout_(layout),
      compression_(compression),
      encoder_(compression == Compression::gzip ? ChunkEncoder::Filters::deflate : ChunkEncoder::Filters::fletcher32) {
  h5::make_quiet_and_safe();
  const auto prepare = [&] {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make file access properties");
    check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST), "choose the file format");
    if (begin == Begin::anew) {
      file_ = Handle(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose, "make the trace");
      make(layout);
    } else {
      file_ = Handle(H5Fopen(name.c_str(), H5F_ACC_RDWR, access.id()), H5Fclose, "open the trace");
    }
  };
  write_or_say_why(prepare);
  if (begin == Begin::go_on) open(layout);
}

void TraceFile::let_readers_in(TemporaryFile& file, const std::string& path) {
  write_or_say_why([&] { check(H5Fstart_swmr_write(file_.id()), "let readers in"); });
  replace_file_durably(file, path);
  path_ = path;
}

template <class Work>
void TraceFile::write_or_say_why(const Work& work) {
  try {
    work();
  } catch (const InternalError& error) {
    if (const int reason = h5::errno_in(error.what()); reason != 0)
      throw UserError(ExitCode::io, fmt::format("{}: cannot be written: {}", path_, reason_of(reason)),
                      remedy_of_writing(reason));
    throw UserError(ExitCode::io, path_ + ": cannot be written", std::string("is the disk full? ") + error.what());
  }
}

void TraceFile::make(const TraceLayout& layout) {
  const Handle root = open_group(file_, "/");
  set_text(root, "format", "backplane-trace");
  set_text(root, "dim_order", h5::kDimOrder);
  const long long version = 1;
  check(H5LTset_attribute_long_long(root.id(), ".", "format_version", &version, 1), "write an attribute");
  set_text(root, "layout_sha256", digest_of(layout, compression_));
  write_names(file_, "/layer_names", layout.layer_names);
  std::vector<Handle> scales;
  for (const TraceScale& scale : layout.scales) scales.push_back(make_scale(file_, scale));
  for (const TraceSeries& series : layout.series) {
    series_.push_back(make(series));
    for (std::size_t i = 0; i < series.tensors.size(); ++i)
      for (std::size_t axis = 0; axis < series.tensors[i].axes.size(); ++axis)
        for (std::size_t s = 0; s < scales.size(); ++s)
          if (layout.scales[s].axis == series.tensors[i].axes[axis] &&
              std::ssize(layout.scales[s].values) == series.tensors[i].shape[axis])
            check(H5DSattach_scale(series_.back().tensors[i].dataset.id(), scales[s].id(),
                                   static_cast<unsigned>(axis + 1)),
                  "attach a scale");
    if (!series.plot.empty()) describe_plot(file_, series);
  }
}

TraceFile::Series TraceFile::make(const TraceSeries& series) {
  Series made;
  if (series.step_path.empty()) return made;
  made.steps = make(steps_of(series));
  check(H5DSset_scale(made.steps.dataset.id(), "step"), "make a scale");
  for (const TraceTensor& tensor : series.tensors) {
    made.tensors.push_back(make(tensor));
    check(H5DSattach_scale(made.tensors.back().dataset.id(), made.steps.dataset.id(), 0), "attach a scale");
  }
  return made;
}

TraceFile::Column TraceFile::column_of(const TraceTensor& tensor) const {
  Column column{.dataset = {}, .element = tensor.element, .grid = {}, .shape = tensor.shape};
  if (static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.element) >= kOwnChunkBytes)
    column.grid.emplace(tensor.shape, size_of(tensor.element));
  return column;
}

TraceFile::Column TraceFile::make(const TraceTensor& tensor) {
  Column column = column_of(tensor);
  std::vector<hsize_t> dims{0}, limits{H5S_UNLIMITED}, chunk{column.grid ? 1 : kRecordsOfSharedChunk};
  dims.insert(dims.end(), tensor.shape.begin(), tensor.shape.end());
  limits.insert(limits.end(), tensor.shape.begin(), tensor.shape.end());
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make data set properties");
  if (column.grid) {
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
  write_made_infinite(column);
  return column;
}

void TraceFile::require_same_layout(const Handle& file) const {
  if (H5Aexists(file.id(), "layout_sha256") <= 0 ||
      h5::read_text_attribute(file.id(), "layout_sha256") != digest_of(layout_, compression_))
    throw InternalError("it records other tensors, or stores them otherwise");
}

void TraceFile::open(const TraceLayout& layout) {
  require_same_layout(file_);
  const auto column = [&](const TraceTensor& tensor) {
    Column opened = column_of(tensor);
    opened.dataset = h5::open_dataset(file_.id(), tensor.path);
    if (H5Aexists(opened.dataset.id(), kMadeInfinite) > 0)
      opened.made_infinite = h5::read_integer_attribute(opened.dataset.id(), kMadeInfinite);
    return opened;
  };
  for (const TraceSeries& series : layout.series) {
    Series opened;
    if (!series.step_path.empty()) {
      opened.steps = column(steps_of(series));
      for (const TraceTensor& tensor : series.tensors) opened.tensors.push_back(column(tensor));
      opened.records = static_cast<hsize_t>(h5::shape_of(opened.steps.dataset.id())[0]);
    }
    series_.push_back(std::move(opened));
  }
}

std::vector<std::int64_t> TraceFile::copy_records(const std::string& from, std::int64_t last_step) {
  const Handle file = h5::open_file(from).handle;
  require_same_layout(file);
  std::vector<std::int64_t> last_steps(series_.size(), 0);
  for (std::size_t i = 0; i < series_.size(); ++i) {
    const TraceSeries& series = layout_.series[i];
    if (series.step_path.empty()) continue;
    const auto steps = h5::read_array<std::int64_t>(file.id(), series.step_path);
    const auto kept = static_cast<hsize_t>(std::ranges::upper_bound(steps, last_step) - steps.begin());
    for (std::size_t t = 0; t < series.tensors.size(); ++t)
      copy_column(series_[i].tensors[t], h5::open_dataset(file.id(), series.tensors[t].path), kept);
    copy_column(series_[i].steps, h5::open_dataset(file.id(), series.step_path), kept);
    series_[i].records = kept;
    if (kept > 0) last_steps[i] = steps[kept - 1];
  }
  check(H5Fflush(file_.id(), H5F_SCOPE_GLOBAL), "write the copy");
  return last_steps;
}

void TraceFile::copy_column(Column& to, const Handle& from, hsize_t records) {
  const std::vector<std::int64_t> shape = h5::shape_of(from.id());
  const Handle type(H5Dget_type(from.id()), H5Tclose, "get a type"), wanted = file_type(to.element);
  // The layouts are the same; the file may be damaged all the same.
  if (shape.empty() || shape[0] < static_cast<std::int64_t>(records) ||
      !std::equal(shape.begin() + 1, shape.end(), to.shape.begin(), to.shape.end()) ||
      H5Tequal(type.id(), wanted.id()) <= 0 || chunk_of(from) != chunk_of(to.dataset))
    throw InternalError("its data sets are not what its layout says");
  if (H5Aexists(from.id(), kMadeInfinite) > 0) {
    to.made_infinite = h5::read_integer_attribute(from.id(), kMadeInfinite);
    write_made_infinite(to);
  }
  std::vector<hsize_t> dims(shape.begin(), shape.end());
  dims[0] = records;
  check(H5Dset_extent(to.dataset.id(), dims.data()), "extend a data set of the trace");
  if (records == 0) return;
  std::vector<std::byte> bytes;
  if (!to.grid) {
    bytes.resize(records * static_cast<std::size_t>(element_count(to.shape)) * size_of(to.element));
    const Handle space(H5Dget_space(from.id()), H5Sclose, "get a data space");
    const std::vector<hsize_t> begin(dims.size(), 0);
    check(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, begin.data(), nullptr, dims.data(), nullptr),
          "select records");
    const Handle memory(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose,
                        "make a data space");
    check(H5Dread(from.id(), type.id(), memory.id(), space.id(), H5P_DEFAULT, bytes.data()), "read records");
    check(H5Dwrite(to.dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), "write records");
    return;
  }
  for (hsize_t record = 0; record < records; ++record)
    to.grid->for_each_offset(record, [&](const hsize_t* offset) {
      hsize_t size = 0;
      check(H5Dget_chunk_storage_size(from.id(), offset, &size), "find a chunk");
      bytes.resize(size);
      std::uint32_t skipped_filters = 0;
      check(H5Dread_chunk(from.id(), H5P_DEFAULT, offset, &skipped_filters, bytes.data()), "read a chunk");
      check(H5Dwrite_chunk(to.dataset.id(), H5P_DEFAULT, skipped_filters, offset, size, bytes.data()), "write a chunk");
    });
}

void TraceFile::append(std::size_t index, const TraceRecord& record) {
  write_or_say_why([&] {
    Series& series = series_[index];
    for (std::size_t i = 0; i < series.tensors.size(); ++i) {
      Column& column = series.tensors[i];
      if (!record.made_infinite.empty() && record.made_infinite[i] > 0) {
        column.made_infinite += record.made_infinite[i];
        write_made_infinite(column);
      }
      write(column, series.records, record.tensors[i].data());
    }
    write(series.steps, series.records, &record.step);  // last: its length says how many records are whole
    ++series.records;
  });
}

/// It is there from the beginning: none can be added while readers may look, but its value may change.
void TraceFile::write_made_infinite(const Column& column) {
  if (column.element != TraceType::float16 && column.element != TraceType::float32) return;
  if (H5Aexists(column.dataset.id(), kMadeInfinite) <= 0) {
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "make a data space");
    const Handle made(
        H5Acreate2(column.dataset.id(), kMadeInfinite, H5T_STD_I64LE, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
        "make an attribute");
    check(H5Awrite(made.id(), H5T_NATIVE_INT64, &column.made_infinite), "write an attribute");
    return;
  }
  const Handle attribute(H5Aopen(column.dataset.id(), kMadeInfinite, H5P_DEFAULT), H5Aclose, "open an attribute");
  check(H5Awrite(attribute.id(), H5T_NATIVE_INT64, &column.made_infinite), "write an attribute");
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
