#pragma once

#include <string>
#include <string_view>

namespace backplane {

// What CSV files of other dialects write where a number or a delimiter is wanted. Of a field's text only what looks
// like a number is repeated in messages: a file that is no table may hold what a log must not.

inline constexpr const char* kNoComments = "comments are no part of CSV: remove them";

/// Without blanks at both ends.
std::string_view without_blanks(std::string_view text);

/// Whether a field says that there is no value: nothing, NA, NaN, null, ? and the like.
bool means_missing(std::string_view text);

/// The same of a field that is to hold a name. Fewer words do: `none`, ?, - and . may be names.
bool means_no_name(std::string_view text);

/// What a message says of a field that is no finite number, and how to mend it. A column of inputs can be left out.
struct WrongNumber {
  std::string what;  ///< "a comma inside a number, '1,5'"
  std::string hint;
};
WrongNumber wrong_number(std::string_view text, bool is_input = true);

/// Whether a field that is no finite number means one, but writes it as others do or lies beyond every double: 1,5,
/// 0x10, 1e400. Of any other text `is_finite` is of no account.
struct MeantNumber {
  bool is_number = false;
  bool is_finite = true;
};
MeantNumber meant_number(std::string_view text);

/// The character that probably delimits the fields of `line`, which has none of `delimiter`; '\0' where none does.
char probable_delimiter(std::string_view line, char delimiter);

/// As the experiment writes it: ';' or "\t".
std::string yaml_of(char delimiter);

}  // namespace backplane
