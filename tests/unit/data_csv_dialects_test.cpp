// CSV as spreadsheets, pandas, R, NumPy, other countries and other decades write it: each is read as it was meant, or
// refused with its place and remedy. None is read as something else.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/csv.h"
#include "data_test_files.h"

namespace backplane {
namespace {

struct Dialect {
  const char* name;
  std::string text;
  std::string expected;  ///< "inputs of a row -> target / …", or the error behind "train.csv"
  char delimiter = ',';
  std::optional<bool> header{};
  std::string labels = "c";  ///< empty: the target is "y"
};

constexpr std::optional<bool> kGuess = std::nullopt;

std::string shown(const DataSet& data) {
  std::vector<std::string> rows;
  const auto& inputs = std::get<std::vector<double>>(data.train.inputs);
  const auto width = data.input_size();
  for (std::int64_t i = 0; i < data.train.count; ++i) {
    std::string target;
    if (const auto* labels = std::get_if<std::vector<std::int64_t>>(&data.train.targets))
      target = data.class_names.empty() ? std::to_string((*labels)[std::size_t(i)])
                                        : data.class_names[std::size_t((*labels)[std::size_t(i)])];
    else
      target = fmt::format("{}", std::get<std::vector<double>>(data.train.targets)[std::size_t(i)]);
    rows.push_back(
        fmt::format("{} -> {}", fmt::join(inputs.begin() + i * width, inputs.begin() + (i + 1) * width, " "), target));
  }
  return fmt::format("{}", fmt::join(rows, " / "));
}

/// The first line of the error behind the name of the file, and its hint.
std::string in_one_line(std::string error) {
  const std::string start = "65 train.csv";
  if (error.starts_with(start)) error = error.substr(start.size());
  const auto hint = error.find("\n  hint: ");
  return hint == std::string::npos ? error : error.substr(0, hint) + " | " + error.substr(hint + 9);
}

const std::string kMissing = "fill the gap, or leave out the row, or the column: `inputs` names those to use";
const std::string kSample =
    ":1:1: error: this line seems to be a sample rather than a header: it holds numbers | write header: false, and "
    "columns by their position, from 0; or header: true, if these are names";
const std::string kDecimals = "decimals are written with a point, and thousands without a mark: 1.5, 1234";
const std::string kFinite = "put a finite number there, or leave out the row";
const std::string kDate = "write it as a number, as the days since one of them, or several";
const std::string kTypographers = "a number with a sign or blank of typographers (not in ASCII)";
const std::string kAscii = "write - for a minus, and no blanks between digits";
const std::string kTargetsInstead = "numbers that are to be met, not classes, are `targets`";
const std::string kComment = "comments are no part of CSV: remove them";
const std::string kText = "`inputs` and `targets` name the columns to use; all of them hold numbers";

std::string single_field(const std::string& probable, const std::string& delimiter = "','") {
  return fmt::format(":1:1: error: the first line holds no delimiter {0}; it is probably {1} | write delimiter: {1}",
                     delimiter, probable);
}

std::string wrong(const std::string& place, const std::string& what, const std::string& hint = "") {
  return fmt::format(":{}: error: expected a finite number in column 'x', found {}{}", place, what,
                     hint.empty() ? "" : " | " + hint);
}

std::string no_name(const std::string& text) {
  return fmt::format(
      "a missing value ('{}') among the class names of column 'c' | fill the gap, or leave out the row; a "
      "class that is called so needs another name",
      text);
}

std::string other_class(const std::string& place, const std::string& what, const std::string& hint) {
  return fmt::format(":{}: error: expected a class number in column 'c', found {} | {}", place, what, hint);
}

std::string not_whole(const std::string& text) {
  return fmt::format(
      ":3:3: error: expected a class in column 'c', found a number that is not whole, '{}' | where numbers are to be "
      "learned, write targets: c instead of labels",
      text);
}

const std::vector<Dialect> kDialects = {
    // Line ends, marks and blanks.
    {"plain", "x,c\n1,0\n2,1\n", "1 -> 0 / 2 -> 1"},
    {"no newline at the end", "x,c\n1,0\n2,1", "1 -> 0 / 2 -> 1"},
    {"CRLF", "x,c\r\n1,0\r\n2,1\r\n", "1 -> 0 / 2 -> 1"},
    {"CR", "x,c\r1,0\r2,1\r", "1 -> 0 / 2 -> 1"},
    {"CR, wrong line named", "x,c\r1,0\rword,1\r", wrong("3:1", "text", kText)},
    {"byte order mark", "\xEF\xBB\xBFx,c\n1,0\n", "1 -> 0"},
    {"byte order mark and quotes", "\xEF\xBB\xBF\"x\",\"c\"\n1,0\n", "1 -> 0"},
    {"empty lines", "\n\nx,c\n\n1,0\n\n\n", "1 -> 0"},
    {"lines of blanks", "x,c\n1,0\n   \n\t\n2,1\n  ", "1 -> 0 / 2 -> 1"},
    {"blanks around fields", " x , c \n 1 ,\t0 \n", "1 -> 0"},
    // Quotes.
    {"all fields quoted", "\"x\",\"c\"\n\"1.5\",\"0\"\n", "1.5 -> 0"},
    {"quoted delimiter in a name", "\"x, in m\",c\n1,0\n", "1 -> 0"},
    {"quoted blanks", "x,c\n\" 1 \",\" 0\"\n", "1 -> 0"},
    {"single quotes", "x,c\n'1',0\n", wrong("2:1", "a number within quotes of its own", "write it without them")},
    {"backslash before a quote", "x,c\n\"a\\\"b\",0\n",
     ":2:1: error: text follows the closing quote of this field | a quote inside a quoted field is written twice"},
    // Notations of numbers.
    {"plus signs", "x,c\n+1,+0\n+2.5e+1,+1\n", "1 -> 0 / 25 -> 1"},
    {"leading zeros", "x,c\n007,00\n-08.50,01\n", "7 -> 0 / -8.5 -> 1"},
    {"bare points", "x,c\n.5,0\n5.,1.\n", "0.5 -> 0 / 5 -> 1"},
    {"exponents", "x,c\n1E3,0\n-1e-3,1e0\n", "1000 -> 0 / -0.001 -> 1"},
    {"minus zero", "x,c\n-0,-0\n1,-0.0\n", "-0 -> 0 / 1 -> 0"},
    {"too small for a double", "x,c\n1e-400,0\n-1e-9999,1\n4e-324,1\n", "0 -> 0 / -0 -> 1 / 5e-324 -> 1"},
    {"too large for a double", "x,c\n1e400,0\n", wrong("2:1", "a number too large for 64 bits, '1e400'", kFinite)},
    {"infinity", "x,c\n-inf,0\n", wrong("2:1", "an infinite value", kFinite)},
    {"hexadecimal", "x,c\n0x10,0\n", wrong("2:1", "a hexadecimal number, '0x10'", "write it in decimal: 16 for 0x10")},
    {"400 digits", "x,c\n1" + std::string(400, '0') + ",0\n",
     wrong("2:1", "a number too large for 64 bits, '1" + std::string(39, '0') + "…'", kFinite)},
    {"400 digits behind the point", "x,c\n0." + std::string(400, '3') + ",0\n", "0.3333333333333333 -> 0"},
    {"exponents of Fortran", "x,c\n1.5d3,0\n", wrong("2:1", "'1.5d3'", "exponents are written with e: 1e5")},
    {"decimal comma, quoted", "x,c\n\"1,5\",0\n", wrong("2:1", "a comma inside a number, '1,5'", kDecimals)},
    {"decimal comma", "x;c\n1,5;0\n", wrong("2:1", "a comma inside a number, '1,5'", kDecimals), ';'},
    {"decimal comma between commas", "x,c\n1,5,0\n",
     ":2:1: error: expected 2 fields, found 3 | a field that holds the delimiter, as a decimal comma may, is to be put "
     "in quotes"},
    {"thousands of Germany", "x;c\n1.234,5;0\n", wrong("2:1", "a comma inside a number, '1.234,5'", kDecimals), ';'},
    {"thousands", "x,c\n\"1,234,567.5\",0\n",
     wrong("2:1", "a number with marks between its digits, '1,234,567.5'", "write it without them: 1234")},
    {"thousands of Germany without decimals", "x,c\n1.234.567,0\n",
     wrong("2:1", "a number with marks between its digits, '1.234.567'", "write it without them: 1234")},
    {"thousands of Switzerland", "x,c\n1'234,0\n",
     wrong("2:1", "a number with marks between its digits, '1'234'", "write it without them: 1234")},
    {"thousands of Python", "x,c\n1_000,0\n",
     wrong("2:1", "a number with marks between its digits, '1_000'", "write it without them: 1234")},
    {"thousands of SI", "x,c\n1 000,0\n",
     wrong("2:1", "a number with marks between its digits, '1 000'", "write it without them: 1234")},
    {"thousands of typographers", "x,c\n1\u202F000,0\n", wrong("2:1", kTypographers, kAscii)},
    {"percent", "x,c\n12 %,0\n", wrong("2:1", "a percentage", "write the number alone")},
    {"currency", "x,c\n$5,0\n", wrong("2:1", "text", kText)},
    {"units", "x,c\n5 kg,0\n", wrong("2:1", "text", kText)},
    {"dates", "x,c\n2020-01-31,0\n", wrong("2:1", "a date, '2020-01-31'", kDate)},
    {"dates of Germany", "x,c\n31.1.2020,0\n", wrong("2:1", "a date, '31.1.2020'", kDate)},
    {"truth", "x,c\nTrue,0\n", wrong("2:1", "a truth value", "write 1 and 0")},
    {"minus of typographers",
     "x,c\n\xE2\x88\x92"
     "1,0\n",
     wrong("2:1", kTypographers, kAscii)},
    {"digits of others", "x,c\n\xD9\xA1,0\n", wrong("2:1", "text", kText)},
    // Missing values.
    {"empty field", "x,c\n,0\n1,0\n", wrong("2:1", "a missing value (an empty field)", kMissing)},
    {"empty field above a header of words only", "x,c\n,a\n1,0\n",
     ":2:1: error: expected a finite number in this column, found a missing value (an empty field) | " + kMissing},
    {"empty field below", "x,c\n1,0\n,0\n", wrong("3:1", "a missing value (an empty field)", kMissing)},
    {"NA of R", "x,c\n1,0\nNA,0\n", wrong("3:1", "a missing value ('NA')", kMissing)},
    {"NaN of pandas", "x,c\n1,0\nNaN,0\n", wrong("3:1", "a missing value ('NaN')", kMissing)},
    {"? of UCI", "x,c\n1,0\n?,0\n", wrong("3:1", "a missing value ('?')", kMissing)},
    {"empty class", "x,c\n1,0\n2,\n",
     ":3:3: error: a missing value: the class in column 'c' is empty | fill the gap, or "
     "leave out the row"},
    {"NaN among class numbers", "x,c\n1,0\n2,nan\n",
     ":3:3: error: a missing value ('nan') among the class numbers of column 'c' | fill the gap, or leave out the row"},
    {"nan among class names", "x,c\n1,cat\n2,nan\n", ":3:3: error: " + no_name("nan")},
    {"NA among class names", "x,c\n1, NA\n2,dog\n", ":2:3: error: " + no_name("NA")},
    {"null among class names", "x,c\n1,cat\n2,Null\n", ":3:3: error: " + no_name("Null")},
    {"nothing but missing classes", "x,c\n1,NaN\n2,NaN\n", ":2:3: error: " + no_name("NaN")},
    {"signs among class names", "x,c\n1,-\n2,+\n3,?\n", "1 -> - / 2 -> + / 3 -> ?"},
    {"None among class names", "x,c\n1,None\n2,Mild\n", "1 -> None / 2 -> Mild"},
    // Classes.
    {"classes as floats", "x,c\n1,0.0\n2,10.0\n3,2.0\n", "1 -> 0 / 2 -> 10 / 3 -> 2"},
    {"classes as floats and whole", "x,c\n1,0\n2,1.0\n3,1e1\n", "1 -> 0 / 2 -> 1 / 3 -> 10"},
    {"classes as long floats", "x,c\n1,0.000000000000000000e+00\n2,1.000000000000000000e+00\n", "1 -> 0 / 2 -> 1"},
    {"classes that are no whole numbers", "x,c\n1,0\n2,1.5\n",
     ":3:3: error: expected a class in column 'c', found a number that is not whole, '1.5' | where numbers are to be "
     "learned, write targets: c instead of labels"},
    {"classes -1 and 1", "x,c\n1,1\n2,-1\n",
     ":3:3: error: expected a class number from 0, found '-1' | classes are counted from 0: write 0 and 1 for -1 and "
     "1"},
    {"a class beyond 2^64", "x,c\n1,0\n2,99999999999999999999\n",
     ":3:3: error: expected a class number from 0, found '99999999999999999999' | " + kTargetsInstead},
    {"a class that is no whole number, though too small for a double", "x,c\n1,0\n2,1e-400\n", not_whole("1e-400")},
    {"a class that a double takes for a whole number", "x,c\n1,0\n2,1.99999999999999999999\n",
     not_whole("1.99999999999999999999")},
    {"an infinite class", "x,c\n1,0\n2,10\n3,inf\n", other_class("4:3", "an infinite value", kFinite)},
    {"an infinite class among names", "x,c\n1,0\n2,cat\n3,-Infinity\n",
     other_class("4:3", "an infinite value", kFinite)},
    {"a class beyond all doubles", "x,c\n1,1e400\n2,10\n3,2\n",
     other_class("2:3", "a number too large for 64 bits, '1e400'", kFinite)},
    {"a class in hexadecimal", "x,c\n1,0\n2,0x1\n",
     other_class("3:3", "a hexadecimal number, '0x1'", "write it in decimal: 16 for 0x10")},
    {"a class with a comma", "x;c\n1;0\n2;1,0\n", other_class("3:3", "a comma inside a number, '1,0'", kDecimals), ';'},
    {"names in hexadecimal", "x,c\n1,0x10\n2,0x20\n", "1 -> 0x10 / 2 -> 0x20"},
    {"versions", "x,c\n1,1\n2,1.2.3\n", "1 -> 1 / 2 -> 1.2.3"},
    {"infinity as a name", "x,c\n1,inf\n2,sup\n", "1 -> inf / 2 -> sup"},
    {"a commented row of class numbers", "c,x\n0,1\n#1,2\n1,3\n",
     ":3:1: error: expected a class number in column 'c', found what looks like a comment | " + kComment},
    {"a commented row of class names", "c,x\na,1\n# b,2\nc,3\n",
     ":3:1: error: this line looks like a comment | " + kComment},
    {"names with #", "c,x\n#a,1\nb,2\n", "1 -> #a / 2 -> b"},
    {"a commented row of numbers", "x,c\n1,0\n#2,1\n", wrong("3:1", "text", kComment)},
    {"numbers and names", "x,c\n1,1\n2,2\n3,other\n", "1 -> 1 / 2 -> 2 / 3 -> other"},
    {"names", "x,c\n1,setosa\n2,virginica\n", "1 -> setosa / 2 -> virginica"},
    // The first line.
    {"no header, by position", "1,0\n2,1\n", "1 -> 0 / 2 -> 1", ',', false, "1"},
    {"no header, not said", "1,0\n2,1\n", kSample, ',', kGuess, "0"},
    {"no header, iris", "5.1,3.5,setosa\n4.9,3.0,setosa\n", kSample, ',', kGuess, "setosa"},
    {"no header, one line", "1,0\n", kSample, ',', kGuess, "0"},
    {"no header, missing values above", "NA,1,0\n2,2,1\n", kSample, ',', kGuess, "0"},
    {"no header, a slip in its first field", "l,2,1\n3,4,0\n5,6,1\n", kSample, ',', kGuess, "2"},
    {"no header, infinity above", "inf,2\n3,4\n", kSample, ',', kGuess, "2"},
    {"no header, hexadecimal above", "0x1,2\n3,4\n", kSample, ',', kGuess, "2"},
    {"no header, a decimal comma above", "1,5;2\n3;4\n", kSample, ';', kGuess, "2"},
    {"header of numbers that do not count on, said", "x,1,5,c\n7,8,9,0\n", "7 8 9 -> 0", ',', true},
    {"header of pixels behind row numbers", ",c,0,1\n0,1,5,6\n", "5 6 -> 1"},
    {"header, said to be none", "x,c\n1,0\n",
     ":1:1: error: expected a finite number in column '0', found text | if the "
     "first line names the columns, leave out header: false",
     ',', false, "1"},
    {"header of numbers, said", "0,1\n5,1\n", "5 -> 1", ',', true, "1"},
    {"header of pixels", "c,0,1\n1,5,6\n", "5 6 -> 1"},
    {"header of years", "x,1990,c\n1,2,0\n", "1 2 -> 0"},
    {"header of NumPy", "# x,c\n1,0\n", "1 -> 0"},
    {"comment above", "# made by hand\nx,c\n1,0\n",
     ":1:1: error: the first line is a comment, not a header | comments are no part of CSV: remove them"},
    {"comment between", "x,c\n1,0\n# the rest\n2,1\n",
     ":3:1: error: expected 2 fields, found 1 | comments are no part of CSV: remove them"},
    {"row numbers of pandas", ",x,c\n0,5,0\n1,6,1\n", "5 -> 0 / 6 -> 1"},
    {"row numbers of pandas, read and written", "Unnamed: 0,x,c\n0,5,0\n1,6,1\n", "5 -> 0 / 6 -> 1"},
    {"row names of R", "\"\",\"x\",\"c\"\n\"1\",5,0\n\"2\",6,1\n", "5 -> 0 / 6 -> 1"},
    {"row names of R without header", "x,c\n1,5,0\n",
     ":2:1: error: expected 2 fields, found 3 | a field that holds the delimiter, as a decimal comma may, is to be put "
     "in quotes"},
    {"delimiter at each end", "x,c,\n1,0,\n2,1,\n", "1 -> 0 / 2 -> 1"},
    {"delimiter at the end of the header", "x,c,\n1,0\n",
     ":2:1: error: expected 3 fields, found 2 | the first line ends with a delimiter, this one does not: make them "
     "agree"},
    {"delimiter at the end of rows", "x,c\n1,0,\n",
     ":2:1: error: expected 2 fields, found 3 | this line ends with a delimiter, the first one does not: make them "
     "agree"},
    {"names twice", "x,x,c\n1,2,0\n", ":1:3: error: a second column is named 'x'"},
    // Delimiters.
    {"semicolons", "x;c\n1;0\n", "1 -> 0", ';'},
    {"semicolons, not said", "x;c\n1;0\n", single_field("';'")},
    {"semicolons and decimal commas, not said", "1,5;0\n2,5;1\n", kSample, ',', kGuess, "0"},
    {"semicolons and quotes, not said", "\"x\";\"c\"\n1;0\n",
     ":1:1: error: text follows the closing quote of this field | if fields end with ';', write delimiter: ';'"},
    {"tabs", "x\tc\n1\t0\n", "1 -> 0", '\t'},
    {"tabs, not said", "x\tc\n1\t0\n", single_field("\"\\t\"")},
    {"bars, not said", "x|c\n1|0\n", single_field("'|'")},
    {"blanks", "x c\n1 0\n", "1 -> 0", ' '},
    {"blanks, not said", "x c\n1 0\n", single_field("' '")},
    {"commas, said to be semicolons", "x,c\n1,0\n", single_field("','", "';'"), ';'},
    {"line for Excel", "sep=;\nx;c\n1;0\n",
     ":1:1: error: the first line tells Excel the delimiter, and is no header | remove this line, and write the "
     "delimiter "
     "in the data section: delimiter: ';'"},
    {"line for Excel, as said", "sep=,\nx,c\n1,0\n",
     ":1:1: error: the first line tells Excel the delimiter, and is no header | remove this line"},
    {"line for Excel, tab", "sep=\t\nx\tc\n1\t0\n",
     ":1:1: error: the first line tells Excel the delimiter, and is no header | remove this line, and write the "
     "delimiter in the data section: delimiter: \"\\t\""},
    {"line for Excel, in quotes", "\"sep=|\"\nx|c\n1|0\n",
     ":1:1: error: the first line tells Excel the delimiter, and is no header | remove this line, and write the "
     "delimiter in the data section: delimiter: '|'"},
    {"one column", "c\n1\n",
     ":1:1: error: the first line holds no delimiter ',' | inputs and labels, or targets, are "
     "columns of one table"},
    // Targets.
    {"targets", "x,y\n1,-2.5\n", "1 -> -2.5", ',', kGuess, ""},
    {"targets that are missing", "y,x\n1,2\n,3\n",
     ":3:1: error: expected a finite number in column 'y', found a missing value (an empty field) | fill the gap, or "
     "leave out the row",
     ',', kGuess, ""},
};

class DataCsvDialects : public DataFiles {};

TEST_F(DataCsvDialects, AreReadAsTheyWereMeantOrRefused) {
  for (const Dialect& dialect : kDialects) {
    write("train.csv", dialect.text);
    CsvOptions options;
    options.train = "train.csv";
    options.delimiter = dialect.delimiter;
    options.header = dialect.header;
    if (dialect.labels.empty())
      options.targets = {{"y"}};
    else
      options.labels = CsvColumn{dialect.labels};
    std::string found;
    const std::string error = in_one_line(user_error([&] { found = shown(load_csv(options)); }));
    EXPECT_EQ(error.empty() ? found : error, dialect.expected) << dialect.name;
  }
}

}  // namespace
}  // namespace backplane
