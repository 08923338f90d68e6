#include "data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "base/suggest.h"
#include "config/scalar.h"
#include "data/csv_file.h"
#include "data/csv_words.h"

namespace backplane {

namespace {

/// Fewer rows than this may count 0, 1, 2, … by chance.
constexpr std::int64_t kFewestCounted = 10;

bool is_number(const CsvField& field) {
  return config::to_number(field.text).has_value();
}

/// Throws at the first label that says that there is none. Among numbers more words and signs do than among names.
void refuse_missing(const std::vector<CsvField>& labels, bool among_numbers, const std::string& column,
                    const std::string& file) {
  const auto is_missing = [&](const CsvField& f) {
    return among_numbers ? means_missing(f.text) : means_no_name(f.text);
  };
  const auto missing = std::ranges::find_if(labels, is_missing);
  if (missing == labels.end()) return;
  missing->origin(file).fail(fmt::format("a missing value ('{}') among the class {} of column '{}'", missing->text,
                                         among_numbers ? "numbers" : "names", column),
                             among_numbers
                                 ? "fill the gap, or leave out the row"
                                 : "fill the gap, or leave out the row; a class that is called so needs another name");
}

/// Throws at the first label that is a number, too, but not as it should be written. As a name it would make names of
/// all the others, and number their classes anew.
void refuse_other_numbers(const std::vector<CsvField>& labels, const std::string& column, const std::string& file) {
  const auto is_other = [](const CsvField& f) { return !is_number(f) && meant_number(f.text).is_number; };
  const bool all_are_numbers =
      std::ranges::all_of(labels, [&](const CsvField& f) { return is_number(f) || is_other(f); });
  const auto other = std::ranges::find_if(
      labels, [&](const CsvField& f) { return is_other(f) && (all_are_numbers || !meant_number(f.text).is_finite); });
  if (other == labels.end()) return;
  const WrongNumber wrong = wrong_number(other->text, false);
  other->origin(file).fail(fmt::format("expected a class number in column '{}', found {}", column, wrong.what),
                           wrong.hint);
}

/// A comment in front of a row looks like a class, which makes names of class numbers.
void refuse_comments(const std::vector<CsvField>& labels, const std::string& column, const std::string& file) {
  const auto comment = std::ranges::find_if(labels, [](const CsvField& f) { return f.text.starts_with('#'); });
  if (comment != labels.end())
    comment->origin(file).fail(
        fmt::format("expected a class number in column '{}', found what looks like a comment", column), kNoComments);
}

/// Labels are names where one of them is no number. Numbers that are not whole are no classes.
void require_classes(const std::vector<CsvField>& labels, const std::string& column, const std::string& file) {
  const bool has_numbers = std::ranges::any_of(labels, is_number);
  refuse_missing(labels, has_numbers, column, file);
  if (has_numbers) {
    refuse_comments(labels, column, file);
    refuse_other_numbers(labels, column, file);
  }
  if (!std::ranges::all_of(labels, is_number)) return;
  const auto broken = std::ranges::find_if(labels, [](const CsvField& f) {
    return !config::to_integer(f.text) && std::abs(*config::to_number(f.text)) < config::kExactIntegers;
  });
  if (broken != labels.end())
    broken->origin(file).fail(
        fmt::format("expected a class in column '{}', found a number that is not whole, '{}'", column,
                    shown(broken->text)),
        fmt::format("where numbers are to be learned, write targets: {} instead of labels", column));
}

std::vector<std::string> class_names(const std::vector<CsvField>& labels) {
  if (std::ranges::all_of(labels, is_number)) return {};
  std::set<std::string> names;
  for (const CsvField& label : labels) names.insert(label.text);
  return {names.begin(), names.end()};
}

/// `names` empty: labels are the class numbers themselves.
std::int64_t class_number(const CsvField& label, const std::vector<std::string>& names, const std::string& file) {
  if (names.empty()) {
    const auto number = config::to_integer(label.text);
    if (number && *number >= 0) return *number;
    std::string what = fmt::format("'{}'", shown(label.text)),
                hint = "numbers that are to be met, not classes, are `targets`";
    if (!is_number(label)) {
      const WrongNumber wrong = wrong_number(label.text, false);
      what = wrong.what;
      hint = meant_number(label.text).is_number ? wrong.hint : "the classes of the training file are numbers";
    } else if (number) {
      hint = "classes are counted from 0";
      if (*number == -1) hint += ": write 0 and 1 for -1 and 1";
    }
    label.origin(file).fail(fmt::format("expected a class number from 0, found {}", what), hint);
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

/// The origin of numbers that stand in these columns, row by row.
Origin origin_of(const std::vector<std::size_t>& columns, const CsvFile& file, const CsvOptions& options) {
  const Place whole{file.path()};
  const std::int64_t first_row = file.has_header() ? 1 : 0, width = std::ssize(columns);
  Origin origin = Origin::file(file.path());
  origin.locate = [=, delimiter = options.delimiter](std::int64_t element) {
    try {
      CsvReader reader(whole.source, delimiter);
      std::vector<CsvField> fields;
      for (std::int64_t row = -first_row; row <= element / width; ++row)
        if (!reader.next(fields)) return whole;
      const std::size_t column = columns[static_cast<std::size_t>(element % width)];
      return column < fields.size() ? fields[column].origin(whole.source).place : whole;
    } catch (const UserError&) {  // it was changed meanwhile; what is to be said comes from what was read
      return whole;
    }
  };
  return origin;
}

RawSplit to_split(CsvRows rows, const CsvFile& file, const CsvOptions& options, const CsvColumns& columns,
                  const std::vector<std::string>& names) {
  RawSplit split;
  split.inputs = {{rows.count, static_cast<std::int64_t>(columns.inputs.size())},
                  std::move(rows.inputs),
                  origin_of(columns.inputs, file, options)};
  if (!columns.label) {
    split.targets = {{rows.count, static_cast<std::int64_t>(columns.targets.size())},
                     std::move(rows.targets),
                     origin_of(columns.targets, file, options)};
    return split;
  }
  std::vector<std::int64_t> numbers;
  for (const CsvField& label : rows.labels) numbers.push_back(class_number(label, names, file.path()));
  split.targets = {{rows.count}, std::move(numbers), origin_of({*columns.label}, file, options)};
  return split;
}

std::vector<std::string> names_of(const std::vector<std::size_t>& columns, const std::vector<std::string>& names) {
  std::vector<std::string> chosen;
  for (const std::size_t i : columns) chosen.push_back(names[i]);
  return chosen;
}

/// Whether input `column` counts the rows of the file.
bool counts_rows(const CsvRows& rows, std::size_t column, std::size_t width) {
  for (std::int64_t row = 0; row < rows.count; ++row)
    if (rows.inputs[static_cast<std::size_t>(row) * width + column] != rows.inputs[column] + static_cast<double>(row))
      return false;
  return rows.count >= kFewestCounted;
}

void report(const CsvOptions& options, const CsvFile& file, const CsvColumns& columns, const CsvRows& rows,
            DataSet& data) {
  const auto add = [&](const char* name, Finding::Value value) { data.findings.push_back({name, std::move(value)}); };
  add("delimiter", std::string(1, options.delimiter));
  add("header", file.has_header());
  if (columns.label) add("labels", file.names()[*columns.label]);
  if (!columns.targets.empty()) add("targets", names_of(columns.targets, file.names()));
  std::vector<std::string> unnamed;
  const std::set<std::size_t> targets(columns.targets.begin(), columns.targets.end());
  const auto is_used = [&](std::size_t i) { return columns.label == i || targets.contains(i); };
  for (std::size_t i = 0; i < file.names().size(); ++i)
    if (options.inputs.empty() && is_unnamed(file.names()[i]) && !is_used(i))
      unnamed.push_back(fmt::format("column {}", i + 1));
  if (!unnamed.empty()) add("left_out_without_name", unnamed);
  if (!file.header_warning().empty()) data.warnings.push_back(file.header_warning());
  data.input_names = names_of(columns.inputs, file.names());
  for (std::size_t i = 0; i < columns.inputs.size(); ++i)
    if (options.inputs.empty() && counts_rows(rows, i, columns.inputs.size()))
      data.warnings.push_back(fmt::format("{}: input '{}' only counts the rows; `inputs` names the columns to use",
                                          options.train, shown(data.input_names[i])));
}

/// Names that a person takes for one.
void warn_of_blanks(const std::vector<std::string>& names, const std::string& file,
                    std::vector<std::string>& warnings) {
  std::map<std::string_view, const std::string*> seen;
  for (const std::string& name : names)
    if (const auto [same, is_new] = seen.emplace(without_blanks(name), &name); !is_new) {
      warnings.push_back(fmt::format("{}: the classes '{}' and '{}' differ by blanks only, which stand in quotes there",
                                     file, shown(*same->second), shown(name)));
      return;
    }
}

void warn_of_names(const std::vector<std::string>& names, const std::string& file, std::vector<std::string>& warnings) {
  const auto numbers =
      std::ranges::count_if(names, [](const auto& name) { return config::to_number(name).has_value(); });
  if (numbers > 0)
    warnings.push_back(fmt::format("{}: {} of the {} classes are numbers, the others words: all are taken for names",
                                   file, numbers, names.size()));
}

[[noreturn]] void fail_other_columns(const CsvFile& train, const CsvFile& test, const CsvOptions& options) {
  const std::vector<std::string>&expected = train.names(), &found = test.names();
  const std::string what =
      found.size() != expected.size()
          ? fmt::format("{} columns, and '{}' has {}", found.size(), options.train, expected.size())
          : fmt::format("column {} is not '{}', as in '{}'",
                        std::ranges::mismatch(expected, found).in1 - expected.begin() + 1,
                        shown(*std::ranges::mismatch(expected, found).in1), options.train);
  Origin::file(*options.test).fail(what, "both files need the same columns in the same order");
}

}  // namespace

DataSet load_csv(const CsvOptions& options) {
  CsvFile train(options.train, options);
  const CsvColumns columns = train.find(options);
  CsvRows rows = train.read(columns);
  if (columns.label) require_classes(rows.labels, shown(train.names()[*columns.label]), options.train);
  std::vector<std::string> names = class_names(rows.labels);
  std::optional<RawSplit> test_split;
  if (options.test) {
    CsvFile test(*options.test, options);
    if (test.names() != train.names()) fail_other_columns(train, test, options);
    CsvRows test_rows = test.read(columns);
    if (columns.label)
      refuse_missing(test_rows.labels, names.empty(), shown(train.names()[*columns.label]), *options.test);
    test_split = to_split(std::move(test_rows), test, options, columns, names);
  }
  DataSet reported;
  report(options, train, columns, rows, reported);
  DataSet data = assemble(to_split(std::move(rows), train, options, columns, names), std::move(test_split));
  data.findings = std::move(reported.findings);
  data.warnings.insert(data.warnings.end(), reported.warnings.begin(), reported.warnings.end());
  data.input_names = std::move(reported.input_names);
  warn_of_names(names, options.train, data.warnings);
  warn_of_blanks(names, options.train, data.warnings);
  data.class_names = std::move(names);
  data.files = {options.train};
  if (options.test) data.files.push_back(*options.test);
  return data;
}

}  // namespace backplane
