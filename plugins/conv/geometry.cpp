#include "conv/geometry.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

namespace conv {

namespace {

/// "5×3" for an image, "3" for a sequence, which has no height.
std::string sides(Kind kind, std::int64_t height, std::int64_t width) {
  return (kind == Kind::image ? std::to_string(height) + "×" : std::string()) + std::to_string(width);
}

/// A whole number from 0 to kLargest, or −1.
std::int64_t number_in(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  return is_whole && value >= 0 && value <= static_cast<std::int64_t>(kLargest) ? value : -1;
}

/// The axis with `before` and `after` not yet counted in `out`.
Axis without_padding(const Window& window, std::size_t axis, std::int64_t in) {
  return {.in = in,
          .out = 0,
          .kernel = item(window.kernel, axis),
          .stride = item(window.stride, axis),
          .dilation = item(window.dilation, axis)};
}

}  // namespace

std::int64_t item(const bp::Dims& list, std::size_t axis) {
  return list.size() == 1 ? list[0] : list[axis];
}

void check_items(Kind kind, const char* attribute, const bp::Dims& list) {
  if (list.size() == 1 || (kind == Kind::image && list.size() == 2)) return;
  throw bp::Error(std::string(attribute) +
                  (kind == Kind::image ? " wants 1 or 2 numbers (height, width), got " : " wants 1 number, got ") +
                  std::to_string(list.size()));
}

bp::Dims dims_of(Kind kind, std::int64_t height, std::int64_t width, std::int64_t channels) {
  return kind == Kind::image ? bp::Dims{height, width, channels} : bp::Dims{width, channels};
}

std::string text_of(Kind kind, const Sample& sample) {
  return bp::to_string(dims_of(kind, sample.height, sample.width, sample.channels));
}

Sample sample_of(Kind kind, const bp::Dims& dims) {
  if (kind == Kind::image) {
    if (dims.size() == 2)  // most likely pictures of one channel
      throw bp::Error("wants images [H, W, C], got " + bp::to_string(dims) + "; put `reshape: {shape: [" +
                      std::to_string(dims[0]) + ", " + std::to_string(dims[1]) + ", 1]}` before it");
    if (dims.size() != 3)
      throw bp::Error("wants images [H, W, C], got " + bp::to_string(dims) +
                      "; `reshape: {shape: [H, W, C]}` before it makes them");
    return {.height = dims[0], .width = dims[1], .channels = dims[2]};
  }
  if (dims.size() != 2) throw bp::Error("wants sequences [T, F], got " + bp::to_string(dims));
  return {.height = 1, .width = dims[0], .channels = dims[1]};
}

void check_size(const char* what, const bp::Dims& dims) {
  std::int64_t count = 1;
  for (const std::int64_t extent : dims)
    if (__builtin_mul_overflow(count, extent, &count) || count > std::numeric_limits<std::int32_t>::max())
      throw bp::Error(std::string(what) + " " + bp::to_string(dims) + " would have 2^31 elements or more");
}

std::array<std::int64_t, 2> padding_numbers(Kind kind, const std::string& padding, const char* words) {
  if (padding == "valid") return {0, 0};
  const std::size_t comma = kind == Kind::image ? padding.find(',') : std::string::npos;
  const std::int64_t first = number_in(std::string_view(padding).substr(0, comma));
  const std::int64_t second =
      comma == std::string::npos ? first : number_in(std::string_view(padding).substr(comma + 1));
  if (first < 0 || second < 0)
    throw bp::Error("padding '" + padding + "' is neither " + words + " nor a number" +
                    (kind == Kind::image ? " (or two: height,width)" : ""));
  if (kind == Kind::sequence) return {0, second};
  return {first, second};
}

std::array<Axis, 2> axes_of(Kind kind, const Window& window, const Sample& sample) {
  check_items(kind, "kernel", window.kernel);
  check_items(kind, "stride", window.stride);
  check_items(kind, "dilation", window.dilation);
  for (std::size_t axis = 0; axis < 2; ++axis)
    if (const std::int64_t reach = item(window.kernel, axis) * item(window.dilation, axis); reach > kLargestReach)
      throw bp::Error("the dilated kernel reaches over " + std::to_string(reach) + " places; at most " +
                      std::to_string(kLargestReach) + " can be computed");
  std::array<Axis, 2> axes{kind == Kind::image ? without_padding(window, 0, sample.height) : Axis{},
                           without_padding(window, 1, sample.width)};
  if (window.padding == "same") {
    for (Axis& axis : axes) {
      axis.out = (axis.in + axis.stride - 1) / axis.stride;
      const std::int64_t both = std::max<std::int64_t>((axis.out - 1) * axis.stride + axis.extent() - axis.in, 0);
      axis.before = both / 2;
      axis.after = both - axis.before;
    }
    return axes;
  }
  if (window.padding == "causal" && kind == Kind::sequence) {
    axes[1].before = axes[1].extent() - 1;
  } else {
    const auto padding =
        padding_numbers(kind, window.padding, kind == Kind::image ? "valid, same" : "valid, same, causal");
    for (std::size_t i = 0; i < 2; ++i) axes[i].before = axes[i].after = padding[i];
  }
  for (Axis& axis : axes) {
    const std::int64_t room = axis.before + axis.in + axis.after - axis.extent();
    if (room < 0) {
      const auto padded = [](const Axis& a) { return a.before + a.in + a.after; };
      const bool is_dilated = axes[0].extent() != axes[0].kernel || axes[1].extent() != axes[1].kernel;
      throw bp::Error("kernel " + sides(kind, axes[0].kernel, axes[1].kernel) +
                      (is_dilated ? " (dilated: " + sides(kind, axes[0].extent(), axes[1].extent()) + ")" : "") +
                      " is larger than the padded " + (kind == Kind::image ? "image " : "sequence ") +
                      sides(kind, padded(axes[0]), padded(axes[1])) + " (input " + text_of(kind, sample) +
                      ", padding " + window.padding + ")");
    }
    axis.out = room / axis.stride + 1;
  }
  return axes;
}

}  // namespace conv
