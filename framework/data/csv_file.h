#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/csv.h"
#include "data/csv_reader.h"

namespace backplane {

/// Positions of the wanted columns.
struct CsvColumns {
  std::vector<std::size_t> inputs;
  std::vector<std::size_t> targets;
  std::optional<std::size_t> label;
};

/// What one file holds, as far as it is wanted.
struct CsvRows {
  std::int64_t count = 0;
  std::vector<double> inputs;
  std::vector<double> targets;
  std::vector<CsvField> labels;  ///< names: as name_in() gives them
};

/// One file: its header, then its rows. A column whose header is empty, or which pandas called "Unnamed: 0" for that
/// reason, is no input unless it is asked for: it numbers the rows, or stands behind a delimiter that ends each line.
class CsvFile {
 public:
  /// Reads the first line, and the one below it, which shows whether the first is a header. Throws UserError
  /// (bad_data) where a sample would be taken for a header, or the first line is one field only.
  CsvFile(const std::string& path, const CsvOptions& options);

  const std::string& path() const { return path_; }
  const std::vector<std::string>& names() const { return names_; }
  bool has_header() const { return has_header_; }
  /// What is to be said of a first line that nobody called a header and that holds numbers; mostly nothing.
  const std::string& header_warning() const { return header_warning_; }
  /// Finds what `options` asks for. Throws by the column's origin where there is no such column.
  CsvColumns find(const CsvOptions& options) const;
  CsvRows read(const CsvColumns& columns);

 private:
  void refuse_delimiter_line(char delimiter) const;
  void require_delimiter(char delimiter) const;
  void take_names(const CsvOptions& options);
  std::size_t find(const CsvColumn& column) const;
  void refuse_comment() const;
  [[noreturn]] void fail_length() const;
  std::string called(std::size_t i) const;
  double number(std::size_t i, bool is_input) const;
  CsvField label(std::size_t i) const;

  std::string path_;
  CsvReader reader_;
  std::vector<CsvField> fields_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> positions_;  ///< of the first column of each name
  std::string header_warning_;
  bool has_header_;
  bool is_table_ = false;  ///< a number stands below a word of the header: names may be repeated in messages
  bool pending_ = false;   ///< fields_ is a row that has been read
};

/// The name that a field holds. Blanks around it are none of it, unless quotes say so (RFC 4180).
std::string name_in(const CsvField& field);

/// Whether an input column has to be asked for by name.
bool is_unnamed(const std::string& name);

}  // namespace backplane
