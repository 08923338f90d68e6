#include "data/csv_reader.h"

#include <fmt/format.h>

#include "data/csv_words.h"
#include "data/signatures.h"

namespace backplane {

namespace {

constexpr int kEnd = std::char_traits<char>::eof();
constexpr std::size_t kLongestField = 1 << 20;
constexpr std::size_t kMostFields = 1 << 20;

}  // namespace

std::string shown(const std::string& text) {
  constexpr std::size_t kLongest = 40;
  std::string result = text.substr(0, kLongest);
  for (char& c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text.size() > kLongest ? result + "…" : result;
}

CsvReader::CsvReader(const std::string& path, char delimiter)
    : path_(path), delimiter_(delimiter), file_(open_data(path)), bytes_(*file_.rdbuf()) {
  refuse_foreign(path, "a CSV file");
  for (const int mark : {0xEF, 0xBB, 0xBF}) {  // a byte order mark, which spreadsheets write, is no part of a name
    if (peek() != mark) break;
    bytes_.sbumpc();
  }
}

bool CsvReader::next(std::vector<CsvField>& fields) {
  do {
    if (!read_record(fields)) return false;
  } while (fields.size() == 1 && without_blanks(fields[0].text).empty());
  return true;
}

bool CsvReader::read_record(std::vector<CsvField>& fields) {
  while (peek() == '\n' || peek() == '\r') take();
  if (peek() == kEnd) return false;
  std::size_t count = 0;
  for (bool more = true; more;) {
    if (count == fields.size()) fields.emplace_back();
    read_field(fields[count]);
    if (++count > kMostFields)
      fields[0].origin(path_).fail(fmt::format("a record of more than {} fields", kMostFields));
    more = peek() == static_cast<unsigned char>(delimiter_);
    if (more) take();
  }
  fields.resize(count);
  return true;
}

void CsvReader::take() {
  const int taken = bytes_.sbumpc();
  if (taken == '\n' || (taken == '\r' && peek() != '\n')) {
    ++line_;
    column_ = 1;
  } else {
    ++column_;
  }
}

void CsvReader::append(CsvField& field) {
  if (field.text.size() == kLongestField)
    field.origin(path_).fail(fmt::format("a field of more than {} bytes begins here", kLongestField),
                             field.text.find('\n') != std::string::npos ? "a closing quote may be missing" : "");
  field.text += static_cast<char>(peek());
  take();
}

bool CsvReader::at_field_end() {
  const int c = peek();
  return c == kEnd || c == '\n' || c == '\r' || c == static_cast<unsigned char>(delimiter_);
}

void CsvReader::read_field(CsvField& field) {
  field.text.clear();
  field.line = line_;
  field.column = column_;
  field.is_quoted = peek() == '"';
  if (field.is_quoted) return read_quoted(field);
  while (!at_field_end()) {
    if (peek() == '"')
      field.origin(path_).fail("a quote stands inside a field that does not begin with one",
                               "put the whole field in quotes and write the inner one twice");
    append(field);
  }
}

void CsvReader::read_quoted(CsvField& field) {
  take();
  while (true) {
    if (peek() == kEnd)
      field.origin(path_).fail("the quote that opens this field is never closed",
                               "close it where the field ends; a quote inside a quoted field is written twice");
    if (peek() != '"') {
      append(field);
      continue;
    }
    take();
    if (peek() != '"') break;
    append(field);
  }
  if (at_field_end()) return;
  const char probable = probable_delimiter(std::string(1, static_cast<char>(peek())), delimiter_);
  field.origin(path_).fail("text follows the closing quote of this field",
                           probable == '\0'
                               ? "a quote inside a quoted field is written twice"
                               : fmt::format("if fields end with {0}, write delimiter: {0}", yaml_of(probable)));
}

}  // namespace backplane
