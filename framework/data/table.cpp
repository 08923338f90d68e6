#include "data/table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

namespace backplane {

namespace {

/// More classes than this are a column that holds no classes.
constexpr std::int64_t kMostClasses = 1 << 24;

void require_finite(const Table& table) {
  std::visit(
      [&](const auto& values) {
        const auto bad = std::ranges::find_if(values, [](auto value) { return !std::isfinite(double(value)); });
        if (bad == values.end()) return;
        const std::int64_t index = bad - values.begin();
        const std::int64_t width = static_cast<std::int64_t>(values.size()) / table.dims[0];
        table.origin.fail(fmt::format("sample {}, element {} is {}, expected a finite number (both counted from 0)",
                                      index / width, index % width, *bad));
      },
      table.values);
}

/// The number of classes that these labels need.
std::int64_t count_classes(const Table& labels) {
  std::int64_t largest = 0;
  const auto& values = std::get<std::vector<std::int64_t>>(labels.values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] >= kMostClasses)
      labels.origin.fail(
          fmt::format("the label of sample {} (counted from 0) is {}, expected a class number from 0 to {}", i,
                      values[i], kMostClasses - 1));
    largest = std::max(largest, values[i]);
  }
  return largest + 1;
}

Shape sample_shape(const Table& table) {
  return table.dims.size() > 1 ? Shape(table.dims.begin() + 1, table.dims.end()) : Shape{1};
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
      lengths.origin.fail(
          fmt::format("sample {} (counted from 0) has length {}; lengths are 1 to {}", i, values[i], longest));
}

void check(const RawSplit& split) {
  const bool labels = has_labels(split);
  if (split.inputs.dims[0] != split.targets.dims[0])
    split.targets.origin.fail(fmt::format("{} {} for the {} samples of the inputs{}", split.targets.dims[0],
                                          labels ? "labels" : "targets", split.inputs.dims[0],
                                          split.inputs.origin.place.source == split.targets.origin.place.source
                                              ? ""
                                              : " in " + split.inputs.origin.place.source));
  require_finite(split.inputs);
  if (!labels) require_finite(split.targets);
  if (split.lengths) check_lengths(*split.lengths, split.inputs);
}

void check_same_shape(const Table& train, const Table& test, const char* noun) {
  const Shape expected = sample_shape(train);
  const Shape found = sample_shape(test);
  if (expected == found) return;
  test.origin.fail(fmt::format("{} of the test split have shape {}, those of the training split {}", noun,
                               to_string(found), to_string(expected)));
}

Samples to_samples(RawSplit split) {
  Samples samples;
  samples.count = split.inputs.dims[0];
  std::visit(
      [&]<class T>(std::vector<T>& values) {
        if constexpr (!std::is_same_v<T, std::int64_t>)
          samples.inputs = std::move(values);
        else
          BP_ASSERT(!"inputs are never read as labels");
      },
      split.inputs.values);
  if (auto* labels = std::get_if<std::vector<std::int64_t>>(&split.targets.values))
    samples.targets = std::move(*labels);
  else
    samples.targets = std::move(std::get<std::vector<double>>(split.targets.values));
  if (split.lengths) samples.lengths = std::move(std::get<std::vector<std::int64_t>>(split.lengths->values));
  return samples;
}

}  // namespace

void Origin::fail(std::string what, std::string hint) const {
  throw UserError(
      code,
      Diagnostic{
          .place = place, .what = std::move(what), .path = path, .nearest = {}, .known = {}, .hint = std::move(hint)});
}

void require_file(const std::string& path) {
  const Origin origin{Place{path}, {}, ExitCode::no_input};
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) origin.fail("there is no such file");
  if (!std::filesystem::status_known(status))
    origin.fail(fmt::format("the file cannot be reached: {}", error.message()));
  if (!std::filesystem::is_regular_file(status)) origin.fail("this is not a regular file");
  if (access(path.c_str(), R_OK) != 0) origin.fail(fmt::format("the file cannot be read: {}", std::strerror(errno)));
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
  if (labels)
    data.classes = count_classes(train.targets);
  else
    data.target_size = element_count(sample_shape(train.targets));
  if (test) {
    BP_ASSERT(has_labels(*test) == labels);
    check(*test);
    check_same_shape(train.inputs, test->inputs, "inputs");
    if (test->lengths.has_value() != train.lengths.has_value())
      test->inputs.origin.fail(test->lengths ? "the test split has lengths, though the training split has none"
                                             : "the test split has no lengths, though the training split has");
    if (labels)
      data.classes = std::max(data.classes, count_classes(test->targets));
    else
      check_same_shape(train.targets, test->targets, "targets");
    data.test = to_samples(std::move(*test));
  }
  data.train = to_samples(std::move(train));
  return data;
}

}  // namespace backplane
