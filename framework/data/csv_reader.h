#pragma once

#include <streambuf>
#include <string>
#include <vector>

#include "data/table.h"
#include "files/open_file.h"

namespace backplane {

struct CsvField {
  std::string text;
  int line = 0;    ///< counted from 1, of the first character
  int column = 0;  ///< likewise, in bytes
  bool is_quoted = false;

  Origin origin(const std::string& file) const { return Origin{Place{file, line, column}, {}}; }
};

/// Reads RFC 4180 records one by one, in memory that does not grow with the file. Own code, because the one packaged
/// C++ reader (libfccp) wants the columns at compile time and Boost.Tokenizer knows neither "" nor places.
class CsvReader {
 public:
  /// Throws UserError: no_input where the file cannot be read.
  CsvReader(const std::string& path, char delimiter);

  /// Reads the next record, or returns false at the end of the file. Empty lines, and those of blanks only, are
  /// skipped. Throws UserError (bad_data) with the field's place where quotes are wrong or a field or record has no
  /// reasonable length.
  bool next(std::vector<CsvField>& fields);

 private:
  int peek() { return bytes_.sgetc(); }
  bool read_record(std::vector<CsvField>& fields);
  void take();
  void append(CsvField& field);
  void read_field(CsvField& field);
  void read_quoted(CsvField& field);
  bool at_field_end();

  std::string path_;
  char delimiter_;
  InputFile file_;
  std::streambuf& bytes_;
  int line_ = 1;
  int column_ = 1;
};

/// `text` for a message: what cannot be printed becomes '?', and what is long is cut.
std::string shown(const std::string& text);

}  // namespace backplane
