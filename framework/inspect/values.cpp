#include "inspect/values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <algorithm>
#include <limits>

#include "base/printable.h"
#include "base/suggest.h"
#include "inspect/overview.h"
#include "inspect/text_table.h"

namespace backplane {

namespace {

constexpr std::int64_t kMostRows = 16, kMostColumns = 10;
constexpr std::int64_t kMostInRow = 1 << 24;  // elements of one row of the first axis, which is read at once

[[noreturn]] void refuse(const TensorFile& file, const std::string& what, const std::vector<std::string>& known = {},
                         const std::string& wrong = {}) {
  throw UserError(
      ExitCode::usage,
      Diagnostic{
          .place = {.source = file.path()}, .what = what, .nearest = nearest_name(wrong, known), .known = known});
}

std::size_t find_record(const TensorFile& file, const std::optional<std::int64_t>& step) {
  if (!file.is_trace()) {
    if (step && *step != file.steps()[0]) refuse(file, fmt::format("it is of step {} alone", file.steps()[0]));
    return 0;
  }
  if (file.steps().empty()) refuse(file, "no step is recorded in it yet");
  if (!step) return file.steps().size() - 1;
  const auto found = std::ranges::find(file.steps(), *step);
  if (found != file.steps().end()) return static_cast<std::size_t>(found - file.steps().begin());
  const auto nearest = std::ranges::min_element(file.steps(), {}, [&](std::int64_t each) {
    return std::abs(static_cast<double>(each) - static_cast<double>(*step));
  });
  refuse(file, fmt::format("step {} is not recorded; the nearest that is: {}", *step, *nearest));
}

/// Indices of which those in the middle may be left out: −1 stands for them.
std::vector<std::int64_t> elided(std::int64_t count, std::int64_t most) {
  std::vector<std::int64_t> shown;
  for (std::int64_t i = 0; i < count; ++i) {
    if (count > most && i == most / 2) {
      shown.push_back(-1);
      i = count - most / 2;
    }
    shown.push_back(i);
  }
  return shown;
}

/// "[3, 0]" of row 3·width of the axes between the first and the last.
std::string row_name(const Shape& shape, std::int64_t row) {
  return to_string(index_of(row, Shape(shape.begin(), shape.end() - 1)));
}

/// Reads one row of the first axis at a time, and keeps the last.
class Rows {
 public:
  Rows(const TensorFile& file, const FileTensor& tensor, std::size_t record)
      : file_(file), tensor_(tensor), record_(record) {
    width_ = tensor.shape.empty() ? 1 : tensor.shape.back();
    in_first_ = tensor.shape.size() < 2 ? width_ : element_count(tensor.shape) / tensor.shape[0];
    if (in_first_ > kMostInRow)
      refuse(file, fmt::format("{} of shape {} is too large to show", tensor.name, to_string(tensor.shape)));
  }
  double at(std::int64_t row, std::int64_t column) {
    const std::int64_t flat = row * width_ + column;
    const std::int64_t first = flat / in_first_;
    if (first != held_) {
      const bool is_whole = tensor_.shape.size() < 2;
      data_ = file_.read(tensor_, record_, is_whole ? TensorFile::whole(tensor_) : TensorFile::row(tensor_, first));
      held_ = first;
    }
    return element(data_, tensor_.dtype, flat % in_first_);
  }

 private:
  const TensorFile& file_;
  const FileTensor& tensor_;
  std::size_t record_;
  std::int64_t width_ = 0, in_first_ = 0, held_ = -1;
  Buffer data_;
};

}  // namespace

Selected find(const TensorFile& file, const Selection& selection) {
  const FileLayer& layer = find_layer(file, selection.layer);
  const auto tensor = std::ranges::find(layer.tensors, selection.tensor, &FileTensor::name);
  if (tensor == layer.tensors.end()) {
    std::vector<std::string> names;
    for (const FileTensor& each : layer.tensors) names.push_back(each.name);
    refuse(file, fmt::format("layer '{}' has no tensor '{}'", layer.name, selection.tensor), names, selection.tensor);
  }
  const std::size_t record = find_record(file, selection.step);
  if (selection.sample) {
    if (tensor->axes.empty() || tensor->axes[0] != "sample")
      refuse(file, fmt::format("{} has no axis of samples", tensor->name));
    if (*selection.sample < 0 || *selection.sample >= tensor->shape[0])
      refuse(file,
             fmt::format("there is no sample {}: {} are stored, counted from 0", *selection.sample, tensor->shape[0]));
  }
  return {&layer, &*tensor, record};
}

void print_values(const TensorFile& file, const Selection& selection, bool all, const Print& print) {
  const auto [layer, tensor, record] = find(file, selection);
  const Shape& shape = tensor->shape;
  print(printable(fmt::format("{}/{} {} {}, step {}", layer->name, tensor->name, labelled_shape(*tensor),
                              tensor->stored, file.steps()[record])) +
        "\n");
  if (!tensor->definition.empty()) print(fmt::format("  {}\n", printable(tensor->definition)));
  if (selection.sample)
    print(fmt::format("  sample {}: index {} of the training split\n", *selection.sample,
                      file.samples()[record][static_cast<std::size_t>(*selection.sample)]));
  if (element_count(shape) == 0) return;
  Rows rows(file, *tensor, record);
  const std::int64_t width = shape.empty() ? 1 : shape.back();
  const std::int64_t height = element_count(shape) / width;
  const std::int64_t of_sample = selection.sample ? height / shape[0] : height;
  // A per-sample tensor of one axis has all its samples in one row.
  const bool is_one_number = selection.sample && shape.size() == 1;
  const std::int64_t first_row = selection.sample && !is_one_number ? *selection.sample * of_sample : 0;
  const std::int64_t row_count = is_one_number ? 1 : of_sample;
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> columns = elided(width, all ? most : kMostColumns);
  if (is_one_number) columns = {*selection.sample};

  const auto line = [&](std::int64_t row) {
    std::vector<std::string> cells{shape.size() < 2 ? "" : row_name(shape, row)};
    for (const std::int64_t column : columns)
      cells.push_back(column < 0 ? "…" : fmt::format("{:.6g}", rows.at(row, column)));
    return cells;
  };
  constexpr std::int64_t kRowsAtOnce = 256;
  TextTable table(1);
  std::vector<std::string> heading{""};
  for (const std::int64_t column : columns) heading.push_back(column < 0 ? "…" : fmt::format("{}", column));
  if (!shape.empty()) table.add(heading);
  std::int64_t in_table = 0;
  for (const std::int64_t row : elided(row_count, all ? most : kMostRows)) {
    table.add(row < 0 ? std::vector<std::string>{"…"} : line(first_row + row));
    if (++in_table % kRowsAtOnce == 0) {
      print(table.text());
      table = TextTable(1);
    }
  }
  print(table.text());
  std::vector<std::string> left_out;
  if (!all && row_count > kMostRows) left_out.push_back(fmt::format("{} of {} rows", row_count - kMostRows, row_count));
  if (!all && !is_one_number && width > kMostColumns)
    left_out.push_back(fmt::format("{} of {} columns", width - kMostColumns, width));
  if (!left_out.empty()) print(fmt::format("  left out: {}; --all shows them\n", fmt::join(left_out, ", ")));
}

}  // namespace backplane
