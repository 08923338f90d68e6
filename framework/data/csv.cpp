#include "data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <set>
#include <string_view>

#include "base/suggest.h"
#include "data/csv_reader.h"

namespace backplane {

namespace {

/// What one file holds, as far as it is wanted.
struct Rows {
  std::int64_t count = 0;
  std::vector<double> inputs;
  std::vector<double> targets;
  std::vector<CsvField> labels;
};

/// Positions of the wanted columns.
struct Columns {
  std::vector<std::size_t> inputs;
  std::vector<std::size_t> targets;
  std::optional<std::size_t> label;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

template <class T>
std::optional<T> parse(const CsvField& field) {
  std::string_view text = trimmed(field.text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::size_t find_column(const CsvColumn& column, const std::vector<std::string>& names, const std::string& file) {
  const auto found = std::ranges::find(names, column.name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  throw UserError(column.origin.code, Diagnostic{.place = column.origin.place,
                                                 .what = fmt::format("'{}' has no column '{}'", file, column.name),
                                                 .path = column.origin.path,
                                                 .nearest = nearest_name(column.name, names),
                                                 .known = names,
                                                 .hint = {}});
}

Columns find_columns(const CsvOptions& options, const std::vector<std::string>& names) {
  Columns columns;
  std::set<std::size_t> taken;
  const auto take = [&](const CsvColumn& column) {
    const std::size_t position = find_column(column, names, options.train);
    if (!taken.insert(position).second) column.origin.fail(fmt::format("column '{}' is wanted twice", column.name));
    return position;
  };
  if (options.labels) columns.label = take(*options.labels);
  for (const CsvColumn& column : options.targets) columns.targets.push_back(take(column));
  for (const CsvColumn& column : options.inputs) columns.inputs.push_back(take(column));
  if (!options.inputs.empty()) return columns;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (!taken.contains(i)) columns.inputs.push_back(i);
  if (columns.inputs.empty()) Origin::file(options.train).fail("no column is left for the inputs");
  return columns;
}

/// One file: its header, then its rows.
class CsvFile {
 public:
  CsvFile(const std::string& path, const CsvOptions& options) : path_(path), reader_(path, options.delimiter) {
    if (!reader_.next(fields_)) Origin::file(path_).fail("the file is empty");
    pending_ = !options.header;
    for (std::size_t i = 0; i < fields_.size(); ++i)
      names_.push_back(options.header ? std::string(trimmed(fields_[i].text)) : std::to_string(i));
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (std::find(names_.begin(), names_.begin() + i, names_[i]) != names_.begin() + i)
        fields_[i].origin(path_).fail(fmt::format("a second column is named '{}'", shown(names_[i])));
  }

  const std::vector<std::string>& names() const { return names_; }

  Rows read(const Columns& columns) {
    Rows rows;
    while (pending_ || reader_.next(fields_)) {
      pending_ = false;
      if (fields_.size() != names_.size())
        fields_[0].origin(path_).fail(fmt::format("expected {} fields, found {}", names_.size(), fields_.size()));
      ++rows.count;
      for (const std::size_t i : columns.inputs) rows.inputs.push_back(number(i));
      for (const std::size_t i : columns.targets) rows.targets.push_back(number(i));
      if (columns.label) rows.labels.push_back(label(*columns.label));
      if (rows.inputs.size() * sizeof(double) > static_cast<std::size_t>(kMostBytes))
        fields_[0].origin(path_).fail("the inputs up to here exceed the limit of 4 GiB");
    }
    if (rows.count == 0) Origin::file(path_).fail("the file has a header but no rows");
    return rows;
  }

 private:
  double number(std::size_t i) const {
    const std::optional<double> value = parse<double>(fields_[i]);
    if (!value || !std::isfinite(*value))
      fields_[i].origin(path_).fail(
          fmt::format("expected a finite number in column '{}', found '{}'", names_[i], shown(fields_[i].text)));
    return *value;
  }

  CsvField label(std::size_t i) const {
    const CsvField& field = fields_[i];
    CsvField result{std::string(trimmed(field.text)), field.line, field.column};
    if (result.text.empty()) field.origin(path_).fail(fmt::format("the class in column '{}' is empty", names_[i]));
    return result;
  }

  std::string path_;
  CsvReader reader_;
  std::vector<CsvField> fields_;
  std::vector<std::string> names_;
  bool pending_ = false;  ///< fields_ is the first row, not a header
};

std::vector<std::string> class_names(const std::vector<CsvField>& labels) {
  const bool numbers =
      std::ranges::all_of(labels, [](const CsvField& f) { return parse<std::int64_t>(f).has_value(); });
  if (numbers) return {};
  std::set<std::string> names;
  for (const CsvField& label : labels) names.insert(label.text);
  return {names.begin(), names.end()};
}

/// `names` empty: labels are the class numbers themselves.
std::int64_t class_number(const CsvField& label, const std::vector<std::string>& names, const std::string& file) {
  if (names.empty()) {
    const auto number = parse<std::int64_t>(label);
    if (!number || *number < 0)
      label.origin(file).fail(fmt::format("expected a class number from 0, found '{}'", shown(label.text)));
    return *number;
  }
  const auto found = std::ranges::lower_bound(names, label.text);
  if (found == names.end() || *found != label.text)
    throw UserError(ExitCode::bad_data,
                    Diagnostic{.place = label.origin(file).place,
                               .what = fmt::format("class '{}' is not in the training file", shown(label.text)),
                               .path = {},
                               .nearest = nearest_name(label.text, names),
                               .known = names,
                               .hint = {}});
  return found - names.begin();
}

RawSplit to_split(Rows rows, const Columns& columns, const std::vector<std::string>& names, const std::string& file) {
  const Origin origin = Origin::file(file);
  RawSplit split;
  split.inputs = {{rows.count, static_cast<std::int64_t>(columns.inputs.size())}, std::move(rows.inputs), origin};
  if (!columns.label) {
    split.targets = {{rows.count, static_cast<std::int64_t>(columns.targets.size())}, std::move(rows.targets), origin};
    return split;
  }
  std::vector<std::int64_t> numbers;
  for (const CsvField& label : rows.labels) numbers.push_back(class_number(label, names, file));
  split.targets = {{rows.count}, std::move(numbers), origin};
  return split;
}

}  // namespace

DataSet load_csv(const CsvOptions& options) {
  CsvFile train(options.train, options);
  const Columns columns = find_columns(options, train.names());
  Rows train_rows = train.read(columns);
  std::vector<std::string> names = class_names(train_rows.labels);
  std::optional<RawSplit> test_split;
  if (options.test) {
    CsvFile test(*options.test, options);
    if (test.names() != train.names())
      Origin::file(*options.test).fail(fmt::format("the columns differ from those of '{}'", options.train));
    test_split = to_split(test.read(columns), columns, names, *options.test);
  }
  DataSet data = assemble(to_split(std::move(train_rows), columns, names, options.train), std::move(test_split));
  data.class_names = std::move(names);
  data.files = {options.train};
  if (options.test) data.files.push_back(*options.test);
  return data;
}

}  // namespace backplane
