#include "recorder/trace_file.h"

#include <hdf5_hl.h>

#include <algorithm>

namespace backplane {

using h5::check;
using h5::Handle;

namespace {

hid_t native_type(DType dtype) {
  return dtype == DType::float32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}
hid_t file_type(DType dtype) {
  return dtype == DType::float32 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
}

/// One step a chunk, and whole rows up to about 1 MiB.
std::vector<hsize_t> chunk_of(const Shape& shape) {
  constexpr std::int64_t kElements = 1 << 17;
  std::vector<hsize_t> chunk{1};
  std::int64_t inner = element_count(shape);
  for (const std::int64_t extent : shape) {
    inner /= extent;
    chunk.push_back(
        static_cast<hsize_t>(std::clamp<std::int64_t>(kElements / std::max<std::int64_t>(inner, 1), 1, extent)));
  }
  return chunk;
}

}  // namespace

TraceFile::TraceFile(const std::string& path, std::vector<TraceTensor> tensors, std::int64_t samples, DType dtype,
                     Compression compression)
    : path_(path), tensors_(std::move(tensors)), dtype_(dtype), compression_(compression), sample_shape_{samples} {
  h5::make_quiet_and_safe();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make file access properties");
  check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST), "choose the file format");
  file_ = Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose, "make the trace");
  steps_ = make("/scales/step", {}, H5T_STD_I64LE, {});
  check(H5DSset_scale(steps_.id(), "step"), "make a scale");
  samples_ = make("/scales/sample", sample_shape_, H5T_STD_I64LE, {"sample"});
  for (const TraceTensor& tensor : tensors_) {
    datasets_.push_back(make(tensor.path, tensor.shape, file_type(dtype), tensor.axes));
    check(H5LTset_attribute_string(datasets_.back().id(), ".", "definition", tensor.definition.c_str()),
          "write an attribute");
    check(H5DSattach_scale(datasets_.back().id(), steps_.id(), 0), "attach a scale");
  }
  check(H5Fstart_swmr_write(file_.id()), "let readers in");
}

Handle TraceFile::make(const std::string& path, const Shape& shape, hid_t type, const std::vector<std::string>& axes) {
  std::vector<hsize_t> dims{0}, limits{H5S_UNLIMITED};
  for (const std::int64_t extent : shape)
    dims.push_back(static_cast<hsize_t>(extent)), limits.push_back(static_cast<hsize_t>(extent));
  const Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), limits.data()), H5Sclose,
                     "make a data space");
  const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make data set properties");
  const std::vector<hsize_t> chunk = shape.empty() ? std::vector<hsize_t>{1024} : chunk_of(shape);
  check(H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()), "set chunks");
  if (compression_ == Compression::gzip) {
    check(H5Pset_shuffle(creation.id()), "ask for shuffling");
    check(H5Pset_deflate(creation.id(), 1), "ask for compression");
  }
  check(H5Pset_fletcher32(creation.id()), "ask for checksums");
  const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "make link properties");
  check(H5Pset_create_intermediate_group(links.id(), 1), "ask for intermediate groups");
  Handle dataset(H5Dcreate2(file_.id(), path.c_str(), type, space.id(), links.id(), creation.id(), H5P_DEFAULT),
                 H5Dclose, "make a data set");
  check(H5DSset_label(dataset.id(), 0, "step"), "label an axis");
  for (std::size_t axis = 0; axis < axes.size(); ++axis)
    check(H5DSset_label(dataset.id(), static_cast<unsigned>(axis + 1), axes[axis].c_str()), "label an axis");
  return dataset;
}

void TraceFile::append(const TraceRecord& record) try {
  for (std::size_t i = 0; i < datasets_.size(); ++i)
    extend_and_write(datasets_[i], tensors_[i].shape, native_type(dtype_), record.tensors[i].data());
  extend_and_write(samples_, sample_shape_, H5T_NATIVE_INT64, record.samples.data());
  extend_and_write(steps_, {}, H5T_NATIVE_INT64, &record.step);  // last: its length says how many records are whole
  ++records_;
} catch (const InternalError& error) {
  throw UserError(ExitCode::io, path_ + ": cannot be written", std::string("is the disk full? ") + error.what());
}

void TraceFile::extend_and_write(const Handle& dataset, const Shape& shape, hid_t type, const void* data) {
  std::vector<hsize_t> dims{static_cast<hsize_t>(records_ + 1)}, begin{static_cast<hsize_t>(records_)}, count{1};
  for (const std::int64_t extent : shape)
    dims.push_back(static_cast<hsize_t>(extent)), begin.push_back(0), count.push_back(static_cast<hsize_t>(extent));
  check(H5Dset_extent(dataset.id(), dims.data()), "extend a data set of the trace");
  const Handle file_space(H5Dget_space(dataset.id()), H5Sclose, "get a data space");
  check(H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr),
        "select a record");
  const Handle memory_space(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose,
                            "make a data space");
  check(H5Dwrite(dataset.id(), type, memory_space.id(), file_space.id(), H5P_DEFAULT, data), "write a record");
  check(H5Dflush(dataset.id()), "flush a record");
}

}  // namespace backplane
