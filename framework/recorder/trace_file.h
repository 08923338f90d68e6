#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hdf5/chunk.h"
#include "hdf5/handle.h"
#include "files/temporary_file.h"
#include "recorder/trace_type.h"
#include "tensor/buffer.h"
#include "tensor/shape.h"

namespace backplane {

/// A tensor that is recorded again and again: one data set of the trace, with a first axis `step`.
struct TraceTensor {
  std::string path;               ///< "/layers/hidden/delta"
  Shape shape;                    ///< of one record; empty for a number
  std::vector<std::string> axes;  ///< one label per axis of `shape`
  TraceType element = TraceType::float32;
  std::map<std::string, std::string> attributes;
};

/// Tensors that are recorded at the same steps.
struct TraceSeries {
  /// Data set of those steps, the dimension scale of all first axes: "/scales/step". Empty: the file has no such
  /// series.
  std::string step_path;
  std::vector<TraceTensor> tensors;
  std::string plot;  ///< the tensor, by name within its group, that viewers plot when they open the file; or empty
};

/// What the entries of an axis are: the dimension scale of every axis of that label and extent.
struct TraceScale {
  std::string path;                  ///< "/scales/unit_512"
  std::string axis;                  ///< "unit"
  std::vector<std::int64_t> values;  ///< one for each entry
};

struct TraceLayout {
  std::vector<std::string> layer_names;  ///< all of the network, in the order in which data flows
  std::vector<TraceSeries> series;
  std::vector<TraceScale> scales;
};

/// How tensors are stored; checksums are always.
enum class Compression { none, gzip };

/// What a series records at one step: a buffer for each of its tensors, in their order.
struct TraceRecord {
  std::int64_t step = 0;
  std::vector<Buffer> tensors;
  std::vector<std::int64_t> made_infinite{};  ///< of each tensor, finite elements that rounding did; empty: none
};

/// trace.h5: taps over steps. The same names as in a checkpoint, with a first axis `step`. Written in SWMR mode:
/// readable while the run goes on (h5py.File(path, "r", swmr=True)). See FORMAT.md. Used by the I/O thread.
class TraceFile {
 public:
  /// `anew`: what the file holds, if anything, is dropped. `go_on`: it is a trace of this layout that was closed whole.
  enum class Begin { anew, go_on };
  /// `path`: as messages name it; `name`: by which a library opens it (TemporaryFile::name_for_libraries). Throws
  /// UserError (io) where it cannot be written, InternalError where a file to go on with is laid out
  /// otherwise.
  TraceFile(const std::string& path, const std::string& name, const TraceLayout& layout, Compression compression,
            Begin begin = Begin::anew);

  /// Copies the records up to a step from a trace that its writer may have left in any state, chunk by chunk as they
  /// are, and flushes them. Before `let_readers_in`. Returns the last step that each series has then; 0: none. Throws
  /// InternalError where it cannot be read, or is laid out otherwise. What it reads may be damaged, so call it in a
  /// child (run_in_child).
  std::vector<std::int64_t> copy_records(const std::string& from, std::int64_t last_step);

  /// Moves the file that it was opened as to the path where readers look for it, in place of an earlier one; from now
  /// on they see each record as soon as it is complete. Until then it must stand elsewhere: a reader who opens it too
  /// early locks the writer out.
  void let_readers_in(TemporaryFile& file, const std::string& path);

  /// Appends one record and flushes it: a reader sees it whole or not at all on its next refresh. Throws UserError (io)
  /// where it cannot be written.
  void append(std::size_t series, const TraceRecord& record);

 private:
  /// One data set, and how it is written.
  struct Column {
    h5::Handle dataset;
    TraceType element;
    std::optional<h5::ChunkGrid> grid;  ///< none: many records share a chunk
    Shape shape;
    std::int64_t made_infinite = 0;  ///< elements of all records
  };
  struct Series {
    Column steps;
    std::vector<Column> tensors;
    hsize_t records = 0;
  };

  /// Runs work of HDF5; its failure is that of the disk.
  template <class Work>
  void write_or_say_why(const Work& work);
  /// Throws InternalError where a trace is laid out otherwise than this one.
  void require_same_layout(const h5::Handle& file) const;
  void make(const TraceLayout& layout);
  Series make(const TraceSeries& series);
  Column make(const TraceTensor& tensor);
  void open(const TraceLayout& layout);
  Column column_of(const TraceTensor& tensor) const;
  static void write_made_infinite(const Column& column);
  void write(const Column& column, hsize_t record, const void* data);
  void copy_column(Column& to, const h5::Handle& from, hsize_t records);

  std::string path_;
  TraceLayout layout_;
  Compression compression_;
  h5::ChunkEncoder encoder_;
  h5::Handle file_;
  std::vector<Series> series_;
};

}  // namespace backplane
