#include "data/csv_reader.h"

#include <fmt/format.h>

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

CsvReader::CsvReader(const std::string& path, char delimiter) : path_(path), delimiter_(delimiter) {
  require_file(path);
  bytes_.open(path, std::ios::in | std::ios::binary);
  for (const int mark : {0xEF, 0xBB, 0xBF}) {  // a byte order mark, which spreadsheets write, is no part of a name
    if (peek() != mark) break;
    bytes_.sbumpc();
  }
}

bool CsvReader::next(std::vector<CsvField>& fields) {
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
  if (bytes_.sbumpc() == '\n') {
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
  if (peek() == '"') return read_quoted(field);
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
    if (peek() == kEnd) field.origin(path_).fail("the quote that opens this field is never closed");
    if (peek() != '"') {
      append(field);
      continue;
    }
    take();
    if (peek() != '"') break;
    append(field);
  }
  if (!at_field_end()) field.origin(path_).fail("text follows the closing quote of this field");
}

}  // namespace backplane
