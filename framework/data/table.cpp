#include "data/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string_view>

#include "base/control_groups.h"
#include "base/system_error.h"
#include "files/open_file.h"

namespace backplane {

namespace {

/// More classes than this are a column that holds no classes.
constexpr std::int64_t kMostClasses = 1 << 24;

constexpr const char* kNegativeLabels =
    "classes are counted from 0: make 0 and 1 of -1 and 1; where a negative number means `ignore`, leave the sample "
    "out, or let "
    "`lengths` end before such steps";
constexpr const char* kHugeLabels = "numbers that are to be met, not classes, are `targets`";

/// What stands in `padding` may be anything.
void require_finite(const Table& table, const Padding& padding) {
  std::visit(
      [&](const auto& values) {
        const auto bad = std::ranges::find_if(values, [&](const auto& value) {
          return !std::isfinite(double(value)) && !padding.holds(&value - values.data());
        });
        if (bad == values.end()) return;
        const std::int64_t index = bad - values.begin();
        const std::int64_t width = static_cast<std::int64_t>(values.size()) / table.dims[0];
        table.origin.at(index).fail(
            fmt::format("sample {}, element {} is {}, expected a finite number (both counted from 0)", index / width,
                        index % width, *bad),
            "put a finite number there, or leave out the sample");
      },
      table.values);
}

/// "3", or "3, step 7" of a sample with labels for steps.
std::string place_of(std::size_t label, const Table& labels) {
  const std::size_t each = std::get<std::vector<std::int64_t>>(labels.values).size() / std::size_t(labels.dims[0]);
  return each == 1 ? fmt::format("{} (counted from 0)", label)
                   : fmt::format("{}, step {} (both counted from 0)", label / each, label % each);
}

/// The number of classes that these labels need.
std::int64_t count_classes(const Table& labels) {
  std::int64_t largest = 0;
  const auto& values = std::get<std::vector<std::int64_t>>(labels.values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] >= kMostClasses)
      labels.origin.at(static_cast<std::int64_t>(i))
          .fail(fmt::format("the label of sample {} is {}, expected a class number from 0 to {}", place_of(i, labels),
                            values[i], kMostClasses - 1),
                values[i] < 0 ? kNegativeLabels : kHugeLabels);
    largest = std::max(largest, values[i]);
  }
  return largest + 1;
}

Shape sample_shape(const Table& table) {
  return table.dims.size() > 1 ? Shape(table.dims.begin() + 1, table.dims.end()) : Shape{1};
}

/// Of the labels of a sample, [] where it has one, or of its target vector.
Shape target_shape(const Table& targets) {
  const bool labels = std::holds_alternative<std::vector<std::int64_t>>(targets.values);
  return labels && element_count(targets.dims) == targets.dims[0] ? Shape{} : sample_shape(targets);
}

bool has_labels(const RawSplit& split) {
  return std::holds_alternative<std::vector<std::int64_t>>(split.targets.values);
}

void check_lengths(const Table& lengths, const Table& inputs) {
  const auto& values = std::get<std::vector<std::int64_t>>(lengths.values);
  if (lengths.dims != Shape{inputs.dims[0]})
    lengths.origin.fail(fmt::format("lengths have shape {}, expected one for each of the {} samples",
                                    to_string(lengths.dims), inputs.dims[0]));
  const std::int64_t longest = sample_shape(inputs)[0];
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] < 1 || values[i] > longest)
      lengths.origin.at(static_cast<std::int64_t>(i))
          .fail(fmt::format("sample {} (counted from 0) has length {}; lengths are 1 to {}", i, values[i], longest));
}

/// What stands for steps beyond a sample's length, often -1 or NaN, is never looked at. Layers compute with the inputs
/// among it, so what would make NaN of a zero times it goes; labels among it name no class. Target vectors stay: only
/// the network tells whether they belong to the steps that lengths cut off.
void clear_padding(RawSplit& split) {
  constexpr double kMost = std::numeric_limits<float>::max();
  const auto clear = [](auto& values, const Padding& padding, const auto& is_wrong) {
    for (auto& value : values)
      if (is_wrong(value) && padding.holds(&value - values.data())) value = 0;
  };
  const auto is_huge = [](auto value) { return !(std::abs(static_cast<double>(value)) <= kMost); };
  const auto is_not_zero = [](auto value) { return value != 0; };
  std::visit([&](auto& values) { clear(values, Padding::of_inputs(split), is_huge); }, split.inputs.values);
  if (auto* labels = std::get_if<std::vector<std::int64_t>>(&split.targets.values))
    clear(*labels, Padding::of_targets(split, true), is_not_zero);
}

/// Where another axis than the first has one entry a sample.
std::string hint_of_axes(const Shape& dims, std::int64_t samples) {
  if (std::find(dims.begin() + 1, dims.end(), samples) == dims.end()) return {};
  return fmt::format("the first axis counts samples, and here the shape is {}: transpose it", to_string(dims));
}

void check(RawSplit& split) {
  const bool labels = has_labels(split);
  if (split.inputs.dims[0] != split.targets.dims[0])
    split.targets.origin.fail(fmt::format("{} {} for the {} samples of the inputs{}", split.targets.dims[0],
                                          labels ? "labels" : "targets", split.inputs.dims[0],
                                          split.inputs.origin.place.source == split.targets.origin.place.source
                                              ? ""
                                              : " in " + split.inputs.origin.place.source),
                              hint_of_axes(split.targets.dims, split.inputs.dims[0]));
  if (split.lengths) check_lengths(*split.lengths, split.inputs);
  clear_padding(split);
  require_finite(split.inputs, Padding());
  if (!labels) require_finite(split.targets, Padding::of_targets(split, false));
}

void check_same_shape(const Table& train, const Table& test, const char* noun) {
  const Shape expected = sample_shape(train);
  const Shape found = sample_shape(test);
  if (expected == found) return;
  test.origin.fail(fmt::format("{} of the test split have shape {}, those of the training split {}", noun,
                               to_string(found), to_string(expected)));
}

/// Bytes and other numbers are not scaled alike: what is stored as a float may have been divided by 255 already.
void check_same_scale(const Table& train, const Table& test) {
  const auto is_bytes = [](const Table& table) {
    return std::holds_alternative<std::vector<std::uint8_t>>(table.values);
  };
  if (is_bytes(train) == is_bytes(test)) return;
  const auto kind = [&](const Table& table) {
    return is_bytes(table) ? "bytes (0 to 255)" : "numbers of another type";
  };
  test.origin.fail(fmt::format("inputs of the test split are {}, those of the training split {}: one of them may have "
                               "been divided by 255 already",
                               kind(test), kind(train)),
                   "store both in the same type and on the same scale");
}

constexpr double kSuspiciousRatio = 50;

double largest_magnitude(const RawSplit& split) {
  const Padding padding = Padding::of_inputs(split);
  return std::visit(
      [&](const auto& values) {
        double largest = 0;
        for (std::size_t i = 0; i < values.size(); ++i)
          if (!padding.holds(static_cast<std::int64_t>(i)))
            largest = std::max(largest, std::abs(static_cast<double>(values[i])));
        return largest;
      },
      split.inputs.values);
}

/// Says where the splits seem to be on different scales.
void compare_ranges(const RawSplit& train, const RawSplit& test, std::vector<std::string>& warnings) {
  const double a = largest_magnitude(train), b = largest_magnitude(test);
  if (a > 0 && b > 0 && (a > kSuspiciousRatio * b || b > kSuspiciousRatio * a))
    warnings.push_back(
        fmt::format("inputs of the training split reach {:g}, those of the test split {:g}: is only one "
                    "of them scaled?",
                    a, b));
}

/// Says where classes do not occur, as where they are counted from 1.
void look_for_classes(const DataSet& data, std::vector<std::string>& warnings) {
  std::vector<bool> occurs(static_cast<std::size_t>(data.classes));
  for (const std::int64_t label : std::get<std::vector<std::int64_t>>(data.train.targets))
    occurs[static_cast<std::size_t>(label)] = true;
  const auto absent = std::ranges::count(occurs, false);
  if (absent == 0) return;
  const auto first = std::ranges::find(occurs, false) - occurs.begin();
  if (first == 0 && absent == 1)
    warnings.push_back("class 0 never occurs in the training split: labels count from 0");
  else
    warnings.push_back(fmt::format(
        "{} of the {} classes never occur in the training split; the first is {}{}", absent, data.classes, first,
        2 * absent < data.classes + 2 ? "" : "; numbers to be learned are written as targets instead of labels"));
}

Samples to_samples(RawSplit split) {
  Samples samples;
  samples.count = split.inputs.dims[0];
  samples.inputs_origin = split.inputs.origin;
  samples.targets_origin = split.targets.origin;
  std::visit(
      [&]<class T>(std::vector<T>& values) {
        if constexpr (!std::is_same_v<T, std::int64_t>)
          samples.inputs = std::move(values);
        else
          throw InternalError("inputs are never read as labels");
      },
      split.inputs.values);
  if (auto* labels = std::get_if<std::vector<std::int64_t>>(&split.targets.values))
    samples.targets = std::move(*labels);
  else
    samples.targets = std::move(std::get<std::vector<double>>(split.targets.values));
  if (split.lengths) samples.lengths = std::move(std::get<std::vector<std::int64_t>>(split.lengths->values));
  return samples;
}

/// Bytes that the processes of a control group hold. What else it uses is mostly cache, which it can give back.
std::int64_t held_by(const std::filesystem::path& group, bool is_version_2) {
  const std::string_view wanted = is_version_2 ? "anon" : "total_rss";
  std::ifstream statistics(group / "memory.stat");
  std::int64_t bytes = 0;
  for (std::string key; statistics >> key >> bytes;)
    if (key == wanted) return bytes;
  return 0;
}

}  // namespace

Padding::Padding(const RawSplit& split, const Table& table, std::size_t axes_of_vectors) {
  if (!split.lengths) return;
  const auto* lengths = std::get_if<std::vector<std::int64_t>>(&split.lengths->values);
  const std::int64_t samples = table.dims[0], steps = sample_shape(split.inputs)[0];
  if (lengths == nullptr || std::ssize(*lengths) != samples || samples != split.inputs.dims[0]) return;
  if (table.dims.size() <= axes_of_vectors || sample_shape(table)[0] != steps) return;
  lengths_ = lengths;
  width_ = element_count(sample_shape(table));
  step_ = width_ / steps;
}

void Origin::fail(std::string what, std::string hint) const {
  throw UserError(
      code,
      Diagnostic{
          .place = place, .what = std::move(what), .path = path, .nearest = {}, .known = {}, .hint = std::move(hint)});
}

Descriptor open_data(const std::string& path) {
  const Origin origin{Place{path}, {}, ExitCode::no_input};
  if (path.empty()) Origin{{}, "data", origin.code}.fail("a path is expected, and this one is empty");
  if (path.find('\0') != std::string::npos)  // the system would read the name up to it
    origin.fail("a path cannot hold a NUL character", "leave it out");
  OpenedFile opened = open_regular(path);
  if (opened) return std::move(opened.file);
  if (opened.error == 0) origin.fail(opened.why);
  origin.fail(opened.is_missing ? "there is no such file" : "cannot be read: " + reason_of(opened.error),
              remedy_of(opened.error));
}

std::int64_t available_memory(const std::string& root) {
  std::int64_t bytes = std::numeric_limits<std::int64_t>::max();
  std::ifstream info(root + "/proc/meminfo");
  for (std::string key; info >> key;)
    if (key == "MemAvailable:") {
      std::int64_t kilobytes = 0;
      if (info >> kilobytes) bytes = kilobytes * 1024;
    }
  for_each_control_group(root, "memory", [&](const std::filesystem::path& group, bool is_version_2) {
    std::int64_t most = 0;  // "max": none
    if (std::ifstream(group / (is_version_2 ? "memory.max" : "memory.limit_in_bytes")) >> most)
      bytes = std::min(bytes, std::max<std::int64_t>(most - held_by(group, is_version_2), 0));
  });
  return bytes;
}

void require_memory(const Origin& origin, std::int64_t bytes) {
  constexpr std::int64_t kSmall = 64 << 20;
  if (bytes < kSmall) return;
  const std::int64_t available = available_memory();
  if (bytes > available)
    origin.fail(fmt::format("the samples need {:.1f} GiB of memory, {:.1f} GiB are free", double(bytes) / (1 << 30),
                            double(available) / (1 << 30)),
                "fewer samples, or smaller ones, need less");
}

std::int64_t table_bytes(const Origin& origin, const Shape& dims, std::size_t element_size) {
  std::int64_t bytes = static_cast<std::int64_t>(element_size);
  for (const std::int64_t extent : dims)
    if (extent <= 0) origin.fail(fmt::format("a table of shape {} holds no samples", to_string(dims)));
  for (const std::int64_t extent : dims) {
    if (bytes > kMostBytes / extent)
      origin.fail(fmt::format("a table of shape {} with {} bytes an element exceeds the limit of 4 GiB",
                              to_string(dims), element_size));
    bytes *= extent;
  }
  return bytes;
}

DataSet assemble(RawSplit train, std::optional<RawSplit> test) {
  check(train);
  DataSet data;
  data.input_shape = sample_shape(train.inputs);
  const bool labels = has_labels(train);
  data.target_shape = target_shape(train.targets);
  if (labels)
    data.classes = count_classes(train.targets), data.steps = element_count(data.target_shape);
  else
    data.target_size = element_count(data.target_shape);
  if (test) {
    BP_ASSERT(has_labels(*test) == labels);
    check(*test);
    check_same_shape(train.inputs, test->inputs, "inputs");
    check_same_scale(train.inputs, test->inputs);
    compare_ranges(train, *test, data.warnings);
    if (test->lengths.has_value() != train.lengths.has_value())
      test->inputs.origin.fail(test->lengths ? "the test split has lengths, though the training split has none"
                                             : "the test split has no lengths, though the training split has");
    check_same_shape(train.targets, test->targets, labels ? "labels" : "targets");
    if (labels) data.classes = std::max(data.classes, count_classes(test->targets));
    data.test = to_samples(std::move(*test));
  }
  data.train = to_samples(std::move(train));
  if (labels) look_for_classes(data, data.warnings);
  return data;
}

}  // namespace backplane
