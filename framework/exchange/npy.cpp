#include "exchange/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <stdexcept>

#include "exchange/damage.h"

namespace backplane {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

/// Reads the few forms of Python that a header is made of: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderText {
 public:
  explicit HeaderText(std::string_view text) : rest_(text) {}

  bool take(char wanted) {
    skip_space();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) { require_undamaged(take(wanted), fmt::format("its header lacks a '{}'", wanted)); }
  std::string text() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    require_undamaged(quote == '\'' || quote == '"', "its header lacks a text");
    const std::size_t end = rest_.find(quote, 1);
    require_undamaged(end != std::string_view::npos, "a text of its header has no end");
    std::string value(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return value;
  }
  bool truth() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (rest_.starts_with(word)) {
        rest_.remove_prefix(word.size());
        return value;
      }
    throw std::runtime_error("its header lacks True or False");
  }
  std::int64_t number() {
    skip_space();
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    require_undamaged(error == std::errc() && value >= 0 && value <= std::int64_t{1} << 48,
                      "its shape has an extent that is no count");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }
  Shape shape() {
    Shape shape;
    expect('(');
    while (!take(')')) {
      shape.push_back(number());
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

 private:
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n\t"), rest_.size())); }

  std::string_view rest_;
};

Element element_of(const std::string& descr) {
  if (descr == "<f2") return Element::float16;
  if (descr == "<f4") return Element::float32;
  if (descr == "<f8") return Element::float64;
  return Element::other;
}

std::size_t little_endian(std::string_view bytes) {
  std::size_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

std::string build_npy_header(const TensorView& tensor) {
  std::string header =
      fmt::format("{{'descr': '<f{}', 'fortran_order': False, 'shape': ({}{}), }}", size_of(tensor.dtype),
                  fmt::join(tensor.shape, ", "), tensor.shape.size() == 1 ? "," : "");
  constexpr std::size_t kFixed = 10, kAlignment = 64;  // magic, version 1.0, two bytes of length
  header.append(kAlignment - (kFixed + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  std::string file(kMagic);
  file += {'\1', '\0', static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  return file + header;
}

NpyHeader parse_npy_header(std::string_view begin) {
  require_undamaged(begin.size() >= 12 && begin.starts_with(kMagic), "it does not begin as an array of NumPy does");
  const int version = begin[6];
  require_undamaged(version >= 1 && version <= 3,
                    fmt::format("it has version {} of the format, 1 to 3 are known", version));
  const std::size_t width = version == 1 ? 2 : 4, fixed = kMagic.size() + 2 + width;
  const std::size_t length = little_endian(begin.substr(kMagic.size() + 2, width));
  require_undamaged(length <= begin.size() - fixed, fmt::format("its header of {} bytes is not there", length));
  NpyHeader header;
  header.header_bytes = fixed + length;
  bool has_type = false, has_order = false, has_shape = false;
  HeaderText text(begin.substr(fixed, length));
  text.expect('{');
  while (!text.take('}')) {
    const std::string key = text.text();
    text.expect(':');
    if (key == "descr")
      header.entry.stored_type = text.text(), has_type = true;
    else if (key == "fortran_order")
      header.entry.is_column_major = text.truth(), has_order = true;
    else if (key == "shape")
      header.entry.shape = text.shape(), has_shape = true;
    else
      throw std::runtime_error(fmt::format("its header has an unknown key '{}'", key));
    if (!text.take(',')) {
      text.expect('}');
      break;
    }
  }
  require_undamaged(has_type && has_order && has_shape, "its header lacks descr, fortran_order or shape");
  header.entry.element = element_of(header.entry.stored_type);
  if (header.entry.element == Element::other) return header;
  const std::size_t bytes = size_of(header.entry.element);
  header.data_bytes = checked_count(header.entry.shape, bytes) * bytes;
  return header;
}

}  // namespace backplane
