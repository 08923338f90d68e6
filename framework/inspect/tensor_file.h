#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "hdf5/checked_read.h"
#include "tensor/buffer.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// A tensor of a checkpoint, or of each record of a trace; its elements are still in the file.
struct FileTensor {
  std::string place;              ///< in the file: "/layers/hidden/weights/W"
  std::string name;               ///< below the layer: "weights/W"
  Shape shape;                    ///< of one record; the axis `step` of a trace is left out
  DType dtype = DType::float32;   ///< that it is read as
  std::string stored;             ///< as which it is stored: "float16", "int64" are read as float32, float64
  std::vector<std::string> axes;  ///< one label per axis, "" where the file has none
  std::string definition;         ///< "" where the file says none
};

/// `type` to `plugin_version` are empty in traces.
struct FileLayer {
  std::string name, type, activation, plugin, plugin_version;
  std::vector<FileTensor> tensors;  ///< in the order in which they are computed
};

/// A checkpoint or a trace, opened without trust: see hdf5/checked_read.h. Holds shapes and small numbers in memory,
/// tensors are read piece by piece. Throws UserError (no_input, bad_data) that names the file. Runs in a child.
class TensorFile {
 public:
  enum class Kind { checkpoint, trace };
  /// A trace has three parts with steps of their own. Layers of `statistics` hold "delta/norm" and the like, the only
  /// layer of `curves` is "curves".
  enum class Part { tensors, statistics, curves };

  /// Opens one part of a trace; one that it has not has no steps and no layers. A checkpoint is one part.
  explicit TensorFile(const std::string& path, Part part = Part::tensors);

  const std::string& path() const { return path_; }
  Kind kind() const { return kind_; }
  bool is_trace() const { return kind_ == Kind::trace; }
  bool is_being_written() const { return is_being_written_; }

  /// Of a trace, one per complete record, in the order written; of a checkpoint, its own.
  const std::vector<std::int64_t>& steps() const { return steps_; }
  /// Where they stand: "/scales/step"; empty of a checkpoint, and of a part that the trace has not.
  const std::string& steps_place() const { return steps_place_; }
  /// Of each record: which training samples the rows of per-sample tensors are; none in parts without such tensors.
  const std::vector<std::vector<std::int64_t>>& samples() const { return samples_; }
  /// In the order in which data flows.
  const std::vector<FileLayer>& layers() const { return layers_; }
  /// Of a checkpoint: the samples themselves, as if a layer: input, target, loss.
  const FileLayer& probe() const { return probe_; }
  /// Of a checkpoint: /state.
  const std::map<std::string, std::int64_t>& integers() const { return integers_; }
  const std::map<std::string, double>& numbers() const { return numbers_; }
  const std::string& weights_digest() const { return weights_digest_; }
  const std::string& config() const { return config_; }

  /// A run of elements in row-major order.
  struct Piece {
    std::int64_t first;  ///< index of its first element
    std::int64_t count;
    Shape start, extent;  ///< the same as a box within the tensor
  };
  /// The tensor as pieces of about 4 MiB, from first to last.
  static void for_each_piece(const FileTensor& tensor, const std::function<void(const Piece&)>& use);
  /// The whole tensor, or row `row` of its first axis alone, as one piece.
  static Piece whole(const FileTensor& tensor);
  static Piece row(const FileTensor& tensor, std::int64_t row);

  Buffer read(const FileTensor& tensor, std::size_t record, const Piece& piece) const;

 private:
  void open();
  void read_checkpoint_head();
  void read_trace_head();
  void read_layers();
  void read_tensors(FileLayer& layer, const std::string& place, const std::string& below);
  std::string layers_place() const { return part_ == Part::statistics ? "/statistics/layers" : "/layers"; }
  FileTensor describe(const std::string& place, const std::string& name) const;
  hid_t id() const { return file_.id(); }
  /// Opened once: records are read one by one.
  hid_t dataset_at(const std::string& place) const;

  std::string path_;
  Part part_;
  std::string steps_place_;
  h5::Handle file_;
  mutable std::map<std::string, h5::Handle> datasets_;  ///< closed before file_
  bool is_being_written_ = false;
  Kind kind_ = Kind::checkpoint;
  std::vector<std::int64_t> steps_;
  std::vector<std::vector<std::int64_t>> samples_;
  std::vector<FileLayer> layers_;
  FileLayer probe_;
  std::map<std::string, std::int64_t> integers_;
  std::map<std::string, double> numbers_;
  std::string weights_digest_, config_;
};

/// Element `i` of a piece as double.
inline double element(const Buffer& piece, DType dtype, std::int64_t i) {
  return dtype == DType::float32 ? static_cast<double>(piece.as<float>()[i]) : piece.as<double>()[i];
}

}  // namespace backplane
