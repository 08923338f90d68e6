#include "data/hdf5_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "data/hdf5_chunks.h"
#include "data/hdf5_links.h"
#include "data/hdf5_numbers.h"
#include "data/read_in_child.h"
#include "data/netcdf_attributes.h"
#include "data/signatures.h"
#include "hdf5/foreign_file.h"
#include "sandbox/fields.h"

namespace backplane {

template <class Way>
void fields(Way& way, Hdf5Options& options) {
  way(options.inputs, options.targets, options.targets_are_labels, options.lengths);
}

namespace {

// All that follows up to kReadHdf5 runs in the child.

/// What the child is asked for.
struct SplitRequest {
  std::string path;
  std::int64_t memory = 0;  ///< that is free
  Hdf5Options options;
};

template <class Way>
void fields(Way& way, SplitRequest& request) {
  way(request.path, request.memory, request.options);
}

/// What the tables of one file may take together. A few bytes may stand for any number of elements, which are never
/// written: the limit is on what is asked for, not on what is stored.
class Room {
 public:
  explicit Room(std::int64_t bytes) : left_(bytes) {}

  /// Throws by `origin` where no room is left for a table, here and where it is sent to.
  void take(std::int64_t bytes, const std::string& path, const Origin& origin) {
    if (bytes > left_ / 2)
      origin.fail(fmt::format("'{}' takes {} MiB of memory, and as much again while it is read; {} MiB are free", path,
                              bytes >> 20, left_ >> 20));
    left_ -= 2 * bytes;
  }

 private:
  std::int64_t left_;
};

[[noreturn]] void fail_group(const h5::Handle& file, const std::string& path, const Origin& origin) {
  const h5::Handle group(H5Gopen2(file.id(), path.c_str(), H5P_DEFAULT), H5Gclose, "open a group");
  if (H5Aexists(group.id(), "MATLAB_sparse") > 0)
    origin.fail(fmt::format("'{}' is a sparse matrix of MATLAB", path), "save full(…) of it");
  origin.fail(fmt::format("'{}' is a group, not a data set", path), holding(group));
}

Shape read_extents(const h5::Handle& dataset, const std::string& path, const Origin& origin) {
  const h5::Handle space(H5Dget_space(dataset.id()), H5Sclose, "read a shape");
  const H5S_class_t kind = H5Sget_simple_extent_type(space.id());
  if (kind == H5S_NULL) origin.fail(fmt::format("'{}' is empty: it has a type, but no values", path));
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = kind == H5S_SIMPLE ? H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr) : 0;
  if (rank < 1) origin.fail(fmt::format("'{}' is a single value without an axis, expected an axis of samples", path));
  Shape dims;
  for (int axis = 0; axis < rank; ++axis)
    dims.push_back(static_cast<std::int64_t>(
        std::min<hsize_t>(extents[static_cast<std::size_t>(axis)], std::numeric_limits<std::int64_t>::max())));
  return dims;
}

template <class T>
Table read_as(const h5::Handle& dataset, Room& room, const std::string& path, const Origin& origin) {
  Shape dims = read_extents(dataset, path, origin);
  const std::int64_t bytes = table_bytes(origin, dims, sizeof(T));
  room.take(bytes, path, origin);
  require_values(dataset, path, origin);
  std::vector<T> values(static_cast<std::size_t>(bytes) / sizeof(T));
  read_elements(dataset, h5::native<T>(), sizeof(T), values.data(), path, origin);
  if (!matlab_class(dataset).empty()) reverse_axes(dims, values);
  return {std::move(dims), std::move(values), origin, unwritten_in(dataset)};
}

constexpr const char* kLengths = "lengths count the valid steps of a sample, from 1 on";

enum class Want { inputs, labels, lengths, vectors };

/// Whole numbers that stand as floating-point numbers, as MATLAB and pandas write them.
std::vector<std::int64_t> to_whole(const std::vector<double>& values, Want want, const Padding& padding,
                                   const std::string& path, const Origin& origin) {
  constexpr double kMostExact = static_cast<double>(std::int64_t{1} << 53);
  std::vector<std::int64_t> whole;
  whole.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (padding.holds(static_cast<std::int64_t>(i))) {
      whole.push_back(0);
      continue;
    }
    if (!(std::abs(values[i]) <= kMostExact) || std::trunc(values[i]) != values[i])
      origin.fail(fmt::format("'{}' holds {} as element {} (counted from 0), expected {}: whole numbers", path,
                              values[i], i, want == Want::labels ? "labels" : "lengths"),
                  want == Want::labels ? fmt::format("to train on numbers, write 'targets: {}'", path) : kLengths);
    whole.push_back(static_cast<std::int64_t>(values[i]));
  }
  return whole;
}

/// Throws where a whole number of an unsigned type is beyond int64, which reads it as its largest one.
void refuse_beyond_int64(const h5::Handle& dataset, Want want, const Padding& padding, const std::string& path,
                         const Origin& origin, const std::vector<std::int64_t>& values) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (std::ranges::find(values, kMost) == values.end()) return;
  const std::vector<long double> exact = exact_values(dataset);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (exact[i] <= static_cast<long double>(kMost) || padding.holds(static_cast<std::int64_t>(i))) continue;
    origin.fail(fmt::format("'{}' holds {:.0f} as element {} (counted from 0), expected {}: whole numbers below 2^63",
                            path, exact[i], i, want == Want::labels ? "labels" : "lengths"),
                want == Want::lengths ? std::string(kLengths)
                                      : fmt::format("a negative class in an unsigned type becomes such a number; to "
                                                    "train on numbers, write 'targets: {}'",
                                                    path));
  }
}

/// Throws where a number of more than 64 bits is finite, but beyond float64.
void refuse_beyond_double(const h5::Handle& dataset, const Padding& padding, const std::string& path,
                          const Origin& origin, const Table& table) {
  const auto* values = std::get_if<std::vector<double>>(&table.values);
  if (values == nullptr || std::ranges::none_of(*values, [](double x) { return std::isinf(x); })) return;
  const std::vector<long double> exact = exact_values(dataset);
  const std::int64_t width = std::ssize(*values) / table.dims[0];
  for (std::int64_t i = 0; i < std::ssize(*values); ++i) {
    const long double value = exact[static_cast<std::size_t>(i)];
    if (std::isinf((*values)[static_cast<std::size_t>(i)]) && std::isfinite(value) && !padding.holds(i))
      origin.fail(fmt::format("'{}': sample {}, element {} is {:g}, which float64 cannot hold (both counted from 0)",
                              path, i / width, i % width, value),
                  "store the numbers in another unit");
  }
}

/// Whole numbers, or those of floating-point that are to be such. Where there is one number a sample, axes of extent 1
/// beside that of the samples are left out.
Table read_whole(const h5::Handle& dataset, Room& room, Hdf5Numbers numbers, std::int64_t samples,
                 const std::string& path, const Origin& origin) {
  Table table = numbers == Hdf5Numbers::fractional ? read_as<double>(dataset, room, path, origin)
                                                   : read_as<std::int64_t>(dataset, room, path, origin);
  const std::int64_t count = element_count(table.dims);
  if (count == samples && std::ranges::find(table.dims, count) != table.dims.end()) table.dims = {count};
  return table;
}

/// Target vectors. Numbers that stand in a row, one a sample, are taken as if they stood in a column.
Table read_vectors(const h5::Handle& dataset, Room& room, std::int64_t samples, const std::string& path,
                   const Origin& origin) {
  Table table = read_as<double>(dataset, room, path, origin);
  if (samples > 1 && element_count(table.dims) == samples && table.dims.front() == 1) table.dims = {samples, 1};
  return table;
}

Table read_object(const h5::Handle& file, Room& room, const std::string& path, Want want, std::int64_t samples,
                  const Origin& origin) {
  H5O_info_t info{};
  h5::check(H5Oget_info_by_name1(file.id(), path.c_str(), &info, H5P_DEFAULT), "look at an object");
  if (info.type == H5O_TYPE_GROUP) fail_group(file, path, origin);
  if (info.type != H5O_TYPE_DATASET) origin.fail(fmt::format("'{}' is not a data set", path));
  const h5::Handle dataset = open_dataset(file, path);
  const Hdf5Numbers numbers = numbers_in(dataset, path, origin);
  require_own_storage(dataset, path, origin);
  if (want == Want::labels || want == Want::lengths) return read_whole(dataset, room, numbers, samples, path, origin);
  if (want == Want::vectors) return read_vectors(dataset, room, samples, path, origin);
  if (numbers == Hdf5Numbers::bytes) return read_as<std::uint8_t>(dataset, room, path, origin);
  const h5::Handle type(H5Dget_type(dataset.id()), H5Tclose, "read an element type");
  const bool fits_float = numbers == Hdf5Numbers::fractional && H5Tget_size(type.id()) <= sizeof(float);
  if (fits_float || numbers == Hdf5Numbers::truths) return read_as<float>(dataset, room, path, origin);
  return read_as<double>(dataset, room, path, origin);
}

Table read_table(const h5::Handle& file, Room& room, const std::string& name, Want want, std::int64_t samples,
                 const Origin& origin) {
  const std::string path = resolve(file, name, origin);
  return or_damaged(origin, [&] { return read_object(file, room, path, want, samples, origin); });
}

std::vector<Table> read_tables(ByteReader& asked) {
  const auto [path_of_file, memory, options] = read_fields<SplitRequest>(asked);
  const Origin origin = Origin::file(path_of_file);
  const h5::Handle file = h5::open_foreign(path_of_file);
  Room room(memory);
  const auto read = [&](const std::string& name, Want want, std::int64_t samples = 0) {
    return read_table(file, room, name, want, samples, origin);
  };
  const auto interpret = [&](const std::string& name, Want want, const Padding& padding, Table& table) {
    const std::string path = resolve(file, name, origin);
    const h5::Handle dataset = open_dataset(file, path);
    refuse_missing_values(file, path, origin, padding, table);
    refuse_beyond_double(dataset, padding, path, origin, table);
    if (const auto* values = std::get_if<std::vector<std::int64_t>>(&table.values))
      refuse_beyond_int64(dataset, want, padding, path, origin, *values);
    if (const auto* values = std::get_if<std::vector<double>>(&table.values);
        values != nullptr && (want == Want::labels || want == Want::lengths))
      table.values = to_whole(*values, want, padding, path, origin);
    unpack_numbers(file, path, origin, padding, table);
  };
  const Want targets = options.targets_are_labels ? Want::labels : Want::vectors;
  RawSplit split{.inputs = read(options.inputs, Want::inputs), .targets = {}};
  const std::int64_t samples = split.inputs.dims.front();
  split.targets = read(options.targets, targets, samples);
  if (options.lengths) {
    split.lengths = read(*options.lengths, Want::lengths, samples);
    interpret(*options.lengths, Want::lengths, Padding(), *split.lengths);
  }
  interpret(options.inputs, Want::inputs, Padding::of_inputs(split), split.inputs);
  interpret(options.targets, targets, Padding::of_targets(split, options.targets_are_labels), split.targets);
  std::vector<Table> all;
  all.push_back(std::move(split.inputs));
  all.push_back(std::move(split.targets));
  if (split.lengths) all.push_back(std::move(*split.lengths));
  return all;
}

}  // namespace

const ChildJob kReadHdf5 = table_job<read_tables>("read-hdf5");

namespace {

RawSplit read_split(const std::string& path, const Hdf5Options& options) {
  open_data(path);  // the library opens it again, by its name
  refuse_foreign(path, "an HDF5 file");
  const h5::ForeignFile foreign(path);
  const SplitRequest wanted{path, available_memory(), options};
  std::vector<Table> tables =
      read_in_child(path, kReadHdf5, [&](ByteWriter& request) { write_fields(request, wanted); });
  RawSplit split{std::move(tables[0]), std::move(tables[1])};
  if (options.lengths) {
    split.lengths = std::move(tables[2]);
    split.lengths->origin.path = *options.lengths;
  }
  split.inputs.origin.path = options.inputs;
  split.targets.origin.path = options.targets;
  return split;
}

/// "4 of 6 chunks never written: the fill value 0 stands there"
std::string in_words(const Unwritten& unwritten) {
  const auto narrow = static_cast<float>(unwritten.value);  // 9.96921e+36 as it was written, not with a double's digits
  return fmt::format(
      "{}never written: the fill value {} stands there",
      unwritten.of == 1 ? "" : fmt::format("{} of {} chunks ", unwritten.chunks, unwritten.of),
      static_cast<double>(narrow) == unwritten.value ? fmt::format("{}", narrow) : fmt::format("{}", unwritten.value));
}

/// What was never written is no error: a file may be made so, with a fill value that is meant. Who did not mean it
/// trains on values that nobody gave.
void report_unwritten(const std::string& split_name, const std::string& file, const RawSplit& split,
                      const Hdf5Options& options, DataSet& data) {
  const auto report = [&](const char* noun, const Table& table) {
    if (table.unwritten.chunks == 0) return;
    const std::string words = in_words(table.unwritten);
    data.findings.push_back({fmt::format("{}unwritten_{}", split_name, noun), words});
    data.warnings.push_back(fmt::format("{}: '{}': {}", file, table.origin.path, words));
  };
  report("inputs", split.inputs);
  report(options.targets_are_labels ? "labels" : "targets", split.targets);
  if (split.lengths) report("lengths", *split.lengths);
}

}  // namespace

DataSet load_hdf5(const Hdf5Options& options) {
  DataSet reported;
  std::optional<RawSplit> test;
  if (options.test) test = read_split(*options.test, options);
  RawSplit train = read_split(options.train, options);
  report_unwritten("", options.train, train, options, reported);
  if (test) report_unwritten("test_", *options.test, *test, options, reported);
  DataSet data = assemble(std::move(train), std::move(test));
  data.findings = std::move(reported.findings);
  data.warnings.insert(data.warnings.end(), reported.warnings.begin(), reported.warnings.end());
  data.files = {options.train};
  if (options.test) data.files.push_back(*options.test);
  return data;
}

}  // namespace backplane
