#pragma once

#include <string>
#include <vector>

#include "data/table.h"

namespace backplane {

/// Text to be continued: each unit (character or byte) is predicted from those before it.
struct TextOptions {
  std::vector<std::string> files;  ///< plain or gzip, read one after another
  bool bytes = false;              ///< units are bytes, else Unicode code points in UTF-8
  std::int64_t window = 0;         ///< units a sample, T
  double test = 0;                 ///< the part of the windows, at the end of the text, that is the test split
  Origin test_origin{{}, {}, ExitCode::bad_config};
};

/// The most bytes of text: its labels, 8 bytes each, then take kMostBytes.
inline constexpr std::int64_t kMostText = kMostBytes / 8;

/// Sample i is units [i·T, i·T + T), its labels units [i·T + 1, i·T + T + 1); what is left at the end is dropped. A
/// unit is the number of its symbol in `vocabulary`: of characters, the sorted set of those in the *whole* text, so
/// that the test split holds none that is unknown; of bytes, all 256, where byte b stands as U+00bb. Inputs are bytes
/// where 256 symbols suffice, else float. A byte order mark at the start of a file is no part of the text.
///
/// Throws UserError: no_input where a file cannot be read; bad_data where one is no UTF-8 (naming the byte), or the
/// text is larger than kMostText, shorter than two windows or of one symbol only; bad_config by `test_origin` where a
/// split would have no window.
DataSet load_text(const TextOptions& options);

}  // namespace backplane
