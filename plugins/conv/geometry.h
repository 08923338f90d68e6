#pragma once

#include <backplane/plugin.hpp>

#include <array>
#include <cstdint>
#include <string>

#include "kernels/convolution.h"

namespace conv {

using backplane::kernels::Axis;

/// The attributes that say where windows lie. Lists hold one number per axis, or one for all; `padding` is "valid"
/// (none), "same" (as many windows as steps fit into the input; an odd place goes behind it, as in TensorFlow),
/// "causal" (all of it ahead of a sequence), or numbers: "2", "1,2".
struct Window {
  bp::Dims kernel;
  bp::Dims stride = {1};
  bp::Dims dilation = {1};
  std::string padding = "valid";
};

/// No kernel, stride or dilation above this: products of two stay far from overflow.
inline constexpr double kLargest = 1 << 16;

/// No dilated kernel reaches further: oneDNN counts places in 32 bits.
inline constexpr std::int64_t kLargestReach = 1 << 30;

/// What a shape is called in messages.
enum class Kind { image, sequence };

/// The extents of one sample, channels left out: {H, W} of [H, W, C], {1, T} of [T, F]. Throws bp::Error for others.
struct Sample {
  std::int64_t height = 1, width = 1, channels = 1;
};
Sample sample_of(Kind kind, const bp::Dims& dims);
/// The same for a tensor of a call, whose first extent is N and whose rank was checked in `plan`.
template <class T>
Sample sample_of(const bp::Tensor<T>& tensor) {
  const auto dims = tensor.dims();
  if (dims.size() == 3) return {.height = 1, .width = dims[1], .channels = dims[2]};
  return {.height = dims[1], .width = dims[2], .channels = dims[3]};
}

/// Both axes of windows over a sample; a sequence has height 1. Throws bp::Error where no window fits.
std::array<Axis, 2> axes_of(Kind kind, const Window& window, const Sample& sample);
/// Item `axis` of 0 height, 1 width: one number counts for both.
std::int64_t item(const bp::Dims& list, std::size_t axis);
/// Throws bp::Error unless the list has one number, or one for each axis.
void check_items(Kind kind, const char* attribute, const bp::Dims& list);
/// "[28, 28, 1]": one sample as the user knows it.
std::string text_of(Kind kind, const Sample& sample);
/// The shape [H, W, C] or [T, F] of a sample of that many channels.
bp::Dims dims_of(Kind kind, std::int64_t height, std::int64_t width, std::int64_t channels);
/// Throws bp::Error where a tensor of these extents would have 2³¹ elements or more, which the kernels cannot index.
void check_size(const char* what, const bp::Dims& dims);
/// `padding` as numbers {height, width}; throws bp::Error for anything but numbers and "valid". `words`: what the
/// message names besides numbers.
std::array<std::int64_t, 2> padding_numbers(Kind kind, const std::string& padding, const char* words);

}  // namespace conv
