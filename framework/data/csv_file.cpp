#include "data/csv_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/suggest.h"
#include "config/scalar.h"
#include "data/csv_words.h"

namespace backplane {

namespace {

std::optional<double> parse(const CsvField& field) {
  return config::to_number(without_blanks(field.text));
}

/// A number that is written as others do, or with a slip, is none.
bool is_word(const CsvField& field) {
  return !means_missing(field.text) && !meant_number(field.text).is_number;
}

/// Whether a number stands below a word, as in a table with a header it does.
bool has_number_below_word(const std::vector<CsvField>& first, const std::vector<CsvField>& second) {
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i)
    if (is_word(first[i]) && parse(second[i])) return true;
  return false;
}

std::ptrdiff_t count_numbers(const std::vector<CsvField>& fields) {
  return std::ranges::count_if(fields, [](const CsvField& field) { return meant_number(field.text).is_number; });
}

/// Whether the numbers among the fields count on by 1, as those of pixels or years do that name columns.
bool count_on(const std::vector<CsvField>& fields) {
  std::optional<std::int64_t> last;
  for (const CsvField& field : fields) {
    if (is_word(field) || means_missing(field.text)) continue;
    const auto number = config::to_integer(without_blanks(field.text));
    if (!number || (last && *number != *last + 1)) return false;
    last = number;
  }
  return true;
}

}  // namespace

bool is_unnamed(const std::string& name) {
  return name.empty() || name.starts_with("Unnamed: ");
}

std::string name_in(const CsvField& field) {
  return field.is_quoted ? field.text : std::string(without_blanks(field.text));
}

CsvFile::CsvFile(const std::string& path, const CsvOptions& options)
    : path_(path), reader_(path, options.delimiter), has_header_(options.header.value_or(true)) {
  if (!reader_.next(fields_)) Origin::file(path_).fail("the file is empty");
  refuse_delimiter_line(options.delimiter);
  require_delimiter(options.delimiter);
  take_names(options);
}

/// sep=;
void CsvFile::refuse_delimiter_line(char delimiter) const {
  constexpr std::size_t kKey = 4;
  const std::string& first = fields_[0].text;
  if (first.size() > kKey + 1 || !(first.starts_with("sep=") || first.starts_with("SEP="))) return;
  // Where it is the one that fields are told by, it stands behind the first of them.
  const char named = first.size() > kKey ? first[kKey] : delimiter;
  fields_[0].origin(path_).fail(
      "the first line tells Excel the delimiter, and is no header",
      named == delimiter ? "remove this line"
                         : fmt::format("remove this line, and write the delimiter in the data section: delimiter: {}",
                                       yaml_of(named)));
}

void CsvFile::require_delimiter(char delimiter) const {
  const std::string& first = fields_[0].text;
  if (fields_.size() > 1) return;
  if (first.starts_with('#')) fields_[0].origin(path_).fail("the first line is a comment, not a header", kNoComments);
  const char probable = probable_delimiter(first, delimiter);
  if (probable == '\0')
    fields_[0].origin(path_).fail(fmt::format("the first line holds no delimiter {}", yaml_of(delimiter)),
                                  "inputs and labels, or targets, are columns of one table");
  fields_[0].origin(path_).fail(
      fmt::format("the first line holds no delimiter {}; it is probably {}", yaml_of(delimiter), yaml_of(probable)),
      fmt::format("write delimiter: {}", yaml_of(probable)));
}

void CsvFile::take_names(const CsvOptions& options) {
  if (!has_header_) {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      names_.push_back(std::to_string(i));
      positions_.emplace(names_.back(), i);
    }
    pending_ = true;
    return;
  }
  const std::vector<CsvField> header = fields_;
  for (const CsvField& field : header) names_.push_back(name_in(field));
  pending_ = reader_.next(fields_);
  is_table_ = pending_ && has_number_below_word(header, fields_);
  const std::ptrdiff_t numbers = count_numbers(header);
  const bool may_be_names = is_table_ && (2 * numbers < std::ssize(header) || count_on(header));
  if (!options.header && numbers > 0 && !may_be_names)
    header[0].origin(path_).fail(
        "this line seems to be a sample rather than a header: it holds numbers",
        "write header: false, and columns by their position, from 0; or header: true, if these are names");
  if (!options.header && numbers > 0)
    header_warning_ = fmt::format(
        "{}:{}: this line is taken for the header, though {} of its {} fields are numbers, since a number stands below "
        "a word of it: header: true, or false, says what it is",
        path_, header[0].line, numbers, header.size());
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (!positions_.emplace(names_[i], i).second && !names_[i].empty())
      header[i].origin(path_).fail(is_table_ ? fmt::format("a second column is named '{}'", shown(names_[i]))
                                             : "a second column has this name");
}

std::size_t CsvFile::find(const CsvColumn& column) const {
  if (const auto found = positions_.find(column.name); found != positions_.end()) return found->second;
  const bool may_tell = is_table_ || !has_header_;
  const bool is_position = config::to_integer(column.name).has_value();
  throw UserError(
      column.origin.code,
      Diagnostic{.place = column.origin.place,
                 .what = fmt::format("'{}' has no column '{}'", path_, column.name),
                 .path = column.origin.path,
                 .nearest = may_tell && !is_position ? nearest_name(column.name, names_) : "",
                 .known = may_tell ? names_ : std::vector<std::string>{},
                 .hint = !has_header_ ? "with header: false columns are named by their position, counted from 0"
                         : is_position
                             ? "the first line names the columns; only with header: false do they count from 0"
                             : ""});
}

CsvColumns CsvFile::find(const CsvOptions& options) const {
  CsvColumns columns;
  std::set<std::size_t> taken;
  const auto take = [&](const CsvColumn& column) {
    const std::size_t position = find(column);
    if (!taken.insert(position).second) column.origin.fail(fmt::format("column '{}' is wanted twice", column.name));
    return position;
  };
  if (options.labels) columns.label = take(*options.labels);
  for (const CsvColumn& column : options.targets) columns.targets.push_back(take(column));
  for (const CsvColumn& column : options.inputs) columns.inputs.push_back(take(column));
  if (!options.inputs.empty()) return columns;
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (!taken.contains(i) && !is_unnamed(names_[i])) columns.inputs.push_back(i);
  if (columns.inputs.empty()) Origin::file(path_).fail("no column is left for the inputs");
  return columns;
}

CsvRows CsvFile::read(const CsvColumns& columns) {
  CsvRows rows;
  while (pending_ || reader_.next(fields_)) {
    pending_ = false;
    if (fields_.size() != names_.size()) fail_length();
    ++rows.count;
    refuse_comment();
    for (const std::size_t i : columns.inputs) rows.inputs.push_back(number(i, true));
    for (const std::size_t i : columns.targets) rows.targets.push_back(number(i, false));
    if (columns.label) rows.labels.push_back(label(*columns.label));
    if (rows.inputs.size() + columns.inputs.size() >
        rows.inputs.capacity())  // it is about to be copied to twice as much
      require_memory(fields_[0].origin(path_), 3 * std::ssize(rows.inputs) * std::int64_t{sizeof(double)});
    if (rows.inputs.size() * sizeof(double) > static_cast<std::size_t>(kMostBytes))
      fields_[0].origin(path_).fail("the inputs up to here exceed the limit of 4 GiB");
  }
  if (rows.count == 0) Origin::file(path_).fail("the file has a header but no rows");
  return rows;
}

/// One that by chance has as many fields as the rows.
void CsvFile::refuse_comment() const {
  const std::string& first = fields_[0].text;
  if (first.starts_with("# ") || first.starts_with("#\t"))
    fields_[0].origin(path_).fail("this line looks like a comment", kNoComments);
}

void CsvFile::fail_length() const {
  std::string hint;
  if (fields_[0].text.starts_with('#'))
    hint = kNoComments;
  else if (fields_.size() == names_.size() + 1 && fields_.back().text.empty())
    hint = "this line ends with a delimiter, the first one does not: make them agree";
  else if (fields_.size() + 1 == names_.size() && has_header_ && names_.back().empty())
    hint = "the first line ends with a delimiter, this one does not: make them agree";
  else if (fields_.size() < names_.size())
    hint = "each line has as many fields as the first one; nothing stands in a field that has no value";
  else
    hint = "a field that holds the delimiter, as a decimal comma may, is to be put in quotes";
  fields_[0].origin(path_).fail(fmt::format("expected {} fields, found {}", names_.size(), fields_.size()), hint);
}

std::string CsvFile::called(std::size_t i) const {
  return is_table_ || !has_header_ ? fmt::format("column '{}'", shown(names_[i])) : "this column";
}

double CsvFile::number(std::size_t i, bool is_input) const {
  if (const std::optional<double> value = parse(fields_[i])) return *value;
  WrongNumber wrong = wrong_number(fields_[i].text, is_input);
  if (!has_header_ && fields_[i].line == 1 && is_word(fields_[i]))
    wrong.hint = "if the first line names the columns, leave out header: false";
  if (i == 0 && fields_[i].text.starts_with('#')) wrong.hint = kNoComments;
  fields_[i].origin(path_).fail(fmt::format("expected a finite number in {}, found {}", called(i), wrong.what),
                                wrong.hint);
}

CsvField CsvFile::label(std::size_t i) const {
  const CsvField& field = fields_[i];
  CsvField result = field;
  result.text = parse(field) ? std::string(without_blanks(field.text)) : name_in(field);
  if (without_blanks(result.text).empty())
    field.origin(path_).fail(fmt::format("a missing value: the class in {} is empty", called(i)),
                             "fill the gap, or leave out the row");
  return result;
}

}  // namespace backplane
