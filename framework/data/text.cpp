#include "data/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/locale/utf.hpp>
#include <cmath>
#include <iterator>

#include "data/packed_file.h"
#include "data/signatures.h"

namespace backplane {

namespace {

namespace utf = boost::locale::utf;
using Utf8 = utf::utf_traits<char>;

constexpr std::int64_t kCodePoints = 0x110000;
constexpr char32_t kByteOrderMark = 0xFEFF;

/// At most `most` bytes, unpacked.
std::string read_whole(const std::string& path, std::int64_t most) {
  constexpr std::int64_t kPiece = 1 << 20;
  PackedFile file(path);
  const auto require_room = [&](std::int64_t size) {
    if (size > most)
      file.origin().fail(fmt::format("with this file the text exceeds the limit of {} MiB", kMostText >> 20));
  };
  if (!file.is_gzip()) require_room(file.most_left());
  std::string bytes;
  for (std::int64_t found = kPiece; found == kPiece;) {
    const std::size_t size = bytes.size();
    bytes.resize(size + kPiece);
    found = file.read(bytes.data() + size, kPiece);
    bytes.resize(size + static_cast<std::size_t>(found));
    require_room(std::ssize(bytes));
  }
  return bytes;
}

void append_characters(const std::string& bytes, const std::string& path, std::u32string& units) {
  const char* const end = bytes.data() + bytes.size();
  for (const char* at = bytes.data(); at != end;) {
    const char* const start = at;
    const utf::code_point unit = Utf8::decode(at, end);
    if (unit == utf::illegal || unit == utf::incomplete) {
      const std::string hint = hint_of_signature(path);
      Origin::file(path).fail(
          fmt::format("byte {} (counted from 0) begins no UTF-8 character: {:02x}", start - bytes.data(),
                      static_cast<unsigned char>(*start)),
          hint.empty() ? "`unit: byte` takes any file; iconv turns other encodings into UTF-8" : hint);
    }
    if (unit != kByteOrderMark || start != bytes.data()) units += static_cast<char32_t>(unit);
  }
}

std::u32string read_units(const TextOptions& options) {
  std::u32string units;
  std::int64_t left = kMostText;
  for (const std::string& path : options.files) {
    const std::string bytes = read_whole(path, left);
    left -= std::ssize(bytes);
    if (!options.bytes)
      append_characters(bytes, path, units);
    else
      for (const char byte : bytes) units += static_cast<unsigned char>(byte);
  }
  return units;
}

/// The symbols in order.
std::u32string find_symbols(const std::u32string& units, bool bytes) {
  std::vector<bool> occurs(kCodePoints);
  if (bytes) std::fill_n(occurs.begin(), 256, true);
  for (const char32_t unit : units) occurs[unit] = true;
  std::u32string symbols;
  for (std::int64_t symbol = 0; symbol < kCodePoints; ++symbol)
    if (occurs[static_cast<std::size_t>(symbol)]) symbols += static_cast<char32_t>(symbol);
  return symbols;
}

std::string to_utf8(char32_t symbol) {
  std::string text;
  Utf8::encode(symbol, std::back_inserter(text));
  return text;
}

/// The windows [first, first + count).
template <class Stored>
Samples to_samples(const std::u32string& numbers, std::int64_t first, std::int64_t count, std::int64_t T) {
  const auto begin = numbers.begin() + first * T;
  return {std::vector<Stored>(begin, begin + count * T), std::vector<std::int64_t>(begin + 1, begin + count * T + 1),
          count};
}

std::int64_t count_test_windows(std::int64_t windows, const TextOptions& options) {
  const std::int64_t test = std::llround(static_cast<double>(windows) * options.test);
  if (options.test > 0 && (test == 0 || test == windows))
    options.test_origin.fail(fmt::format("{} of {} windows leaves none for the {} split", options.test, windows,
                                         test == 0 ? "test" : "training"),
                             "0 leaves the test split out; a smaller window gives more of them");
  return test;
}

}  // namespace

DataSet load_text(const TextOptions& options) {
  const std::int64_t T = options.window;
  std::u32string units = read_units(options);
  const Origin end_of_text = Origin::file(options.files.back());
  require_memory(end_of_text, std::ssize(units) * std::int64_t{sizeof(std::int64_t) + sizeof(float)});
  if ((std::ssize(units) - 1) / T < 2)
    end_of_text.fail(fmt::format("the text ends after {} {}; two windows of {} need {}", units.size(),
                                 options.bytes ? "bytes" : "characters", T, 2 * T + 1),
                     "a smaller window needs less text");

  const std::u32string symbols = find_symbols(units, options.bytes);
  if (symbols.size() < 2) end_of_text.fail("the text has one symbol only: there is nothing to predict");
  std::vector<char32_t> number_of(kCodePoints);
  for (std::size_t i = 0; i < symbols.size(); ++i) number_of[symbols[i]] = static_cast<char32_t>(i);
  for (char32_t& unit : units) unit = number_of[unit];

  DataSet data;
  data.input_shape = {T};
  data.steps = T;
  data.target_shape = {T};
  data.classes = std::ssize(symbols);
  std::ranges::transform(symbols, std::back_inserter(data.vocabulary), to_utf8);
  data.files = options.files;
  const std::int64_t windows = (std::ssize(units) - 1) / T;
  const std::int64_t test = count_test_windows(windows, options);
  if (const std::int64_t left = std::ssize(units) - windows * T - 1; left > 0)
    data.findings.push_back({"left_out_at_the_end", left});
  const auto samples = [&](std::int64_t first, std::int64_t count) {
    return data.classes <= 256 ? to_samples<std::uint8_t>(units, first, count, T)
                               : to_samples<float>(units, first, count, T);
  };
  data.train = samples(0, windows - test);
  if (test > 0) data.test = samples(windows - test, test);
  return data;
}

}  // namespace backplane
