#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "files/hdf5.h"
#include "tensor/buffer.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// A tensor that is recorded again and again: one data set of the trace.
struct TraceTensor {
  std::string path;               ///< "/layers/hidden/delta"
  Shape shape;                    ///< of one record
  std::vector<std::string> axes;  ///< one label per axis of `shape`
  std::string definition;
};

/// How tensors are stored: gzip packs float32 weights by a tenth or so and takes a core 25 ms a MB; checksums are
/// always.
enum class Compression { none, gzip };

/// What is recorded at one step: one buffer for each TraceTensor, in their order.
struct TraceRecord {
  std::int64_t step = 0;
  std::vector<std::int64_t> samples;  ///< which training samples the rows are
  std::vector<Buffer> tensors;
};

/// trace.h5: taps over steps. The same names as in a checkpoint, with a first axis `step`; /scales/step says which
/// steps, /scales/sample which samples. Written in SWMR mode: readable while the run goes on
/// (h5py.File(path, "r", swmr=True)). See FORMAT.md. Used by the I/O thread.
class TraceFile {
 public:
  /// Makes the file with all its data sets. `samples`: rows of per-sample tensors.
  TraceFile(const std::string& path, std::vector<TraceTensor> tensors, std::int64_t samples, DType dtype,
            Compression compression);

  /// Appends one record and flushes it: a reader sees it whole or not at all on its next refresh. Throws UserError (io)
  /// where it cannot be written.
  void append(const TraceRecord& record);

 private:
  h5::Handle make(const std::string& path, const Shape& shape, hid_t type, const std::vector<std::string>& axes);
  void extend_and_write(const h5::Handle& dataset, const Shape& shape, hid_t type, const void* data);

  std::string path_;
  std::vector<TraceTensor> tensors_;
  DType dtype_;
  Compression compression_;
  Shape sample_shape_;
  std::int64_t records_ = 0;
  h5::Handle file_;
  h5::Handle steps_, samples_;
  std::vector<h5::Handle> datasets_;
};

}  // namespace backplane
