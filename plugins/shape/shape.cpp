#include "shape/shape.h"

#include <algorithm>
#include <string>

namespace shape {

namespace {

std::int64_t elements_of(const bp::Dims& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

template <class T>
void copy_forward(const bp::Call<T>& call) {
  std::copy_n(call.input(0).data(), call.input(0).size(), call.output().data());
}

template <class T>
void copy_backward(const bp::Call<T>& call) {
  if (const auto d_a = call.d_input(0)) std::copy_n(call.delta().data(), d_a.size(), d_a.data());
}

}  // namespace

void Flatten::describe(bp::About<Flatten>& about) {
  about.name("flatten").summary("the whole sample as one row");
}

void Flatten::plan(bp::Plan& plan) const {
  plan.output({elements_of(plan.input(0))});
}

template <class T>
void Flatten::forward(const bp::Call<T>& call) const {
  copy_forward(call);
}

template <class T>
void Flatten::backward(const bp::Call<T>& call) const {
  copy_backward(call);
}

void Reshape::describe(bp::About<Reshape>& about) {
  about.name("reshape").summary("the same elements in the same order, seen as another shape");
  about.attribute("shape", &Reshape::shape, "extents of a sample; one may be -1: whatever is left")
      .required()
      .at_least(-1);
}

void Reshape::plan(bp::Plan& plan) const {
  const std::int64_t elements = elements_of(plan.input(0));
  bp::Dims output = shape;
  const auto open = std::find(output.begin(), output.end(), -1);
  const std::string what = "cannot see " + bp::to_string(plan.input(0)) + " as " + bp::to_string(shape) + ": ";
  std::int64_t known = 1;
  for (const std::int64_t extent : shape) {
    if (extent == 0) throw bp::Error(what + "an extent of 0 holds nothing");
    if (extent < 0) continue;
    if (extent > elements / known) throw bp::Error(what + "it has " + std::to_string(elements) + " elements only");
    known *= extent;
  }
  if (std::count(output.begin(), output.end(), -1) > 1) throw bp::Error(what + "only one extent may be -1");
  if (elements % known != 0 || (open == output.end() && elements != known))
    throw bp::Error(what + "it has " + std::to_string(elements) + " elements");
  if (open != output.end()) *open = elements / known;
  plan.output(output);
}

template <class T>
void Reshape::forward(const bp::Call<T>& call) const {
  copy_forward(call);
}

template <class T>
void Reshape::backward(const bp::Call<T>& call) const {
  copy_backward(call);
}

void ZeroPad::describe(bp::About<ZeroPad>& about) {
  about.name("zero_pad").summary("zeros around sequences and images");
  about.attribute("padding", &ZeroPad::padding, "zeros on all sides, for each axis, or before and after each axis")
      .required()
      .at_least(0)
      .at_most(1 << 20);
}

ZeroPad::Border ZeroPad::border(std::size_t axis, std::size_t axes) const {
  if (padding.size() == 1) return {padding[0], padding[0]};
  if (padding.size() == axes) return {padding[axis], padding[axis]};
  return {padding[2 * axis], padding[2 * axis + 1]};
}

void ZeroPad::plan(bp::Plan& plan) const {
  bp::Dims output = plan.input(0);
  if (output.size() < 2) throw bp::Error("pads sequences [T, F] and images [H, W, C], got " + bp::to_string(output));
  const std::size_t axes = output.size() - 1;
  if (padding.size() != 1 && padding.size() != axes && padding.size() != 2 * axes)
    throw bp::Error("padding of " + bp::to_string(output) + " is " + (axes > 1 ? "1, " : "") + std::to_string(axes) +
                    " or " + std::to_string(2 * axes) + " numbers, got " + bp::to_string(padding));
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const Border zeros = border(axis, axes);
    output[axis] += zeros.before + zeros.after;
  }
  plan.output(output);
}

template <class T>
void ZeroPad::forward(const bp::Call<T>& call) const {
  const auto a = call.input(0);
  const auto z = call.output();
  const std::size_t axes = a.dims().size() - 2;
  // Axis by axis from the slowest: zeros, what is inside, zeros. The last padded axis is copied with its features.
  const auto pad = [&](const auto& self, std::size_t axis, const T* from, T* to, std::int64_t inside,
                       std::int64_t outside) -> void {
    const std::int64_t extent = a.dim(axis + 1), in = inside / extent, out = outside / z.dim(axis + 1);
    const Border zeros = border(axis, axes);
    to = std::fill_n(to, zeros.before * out, T(0));
    if (axis + 1 == axes)
      std::copy_n(from, inside, to);
    else
      for (std::int64_t i = 0; i < extent; ++i) self(self, axis + 1, from + i * in, to + i * out, in, out);
    std::fill_n(to + extent * out, zeros.after * out, T(0));
  };
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    const std::int64_t inside = a.size() / call.samples(), outside = z.size() / call.samples();
    pad(pad, 0, a.data() + n * inside, z.data() + n * outside, inside, outside);
  }
}

template <class T>
void ZeroPad::backward(const bp::Call<T>& call) const {
  const auto delta = call.delta();
  const auto d_a = call.d_input(0);
  if (!d_a) return;
  const std::size_t axes = d_a.dims().size() - 2;
  const auto crop = [&](const auto& self, std::size_t axis, const T* from, T* to, std::int64_t outside,
                        std::int64_t inside) -> void {
    const std::int64_t extent = d_a.dim(axis + 1), in = inside / extent, out = outside / delta.dim(axis + 1);
    from += border(axis, axes).before * out;
    if (axis + 1 == axes)
      std::copy_n(from, inside, to);
    else
      for (std::int64_t i = 0; i < extent; ++i) self(self, axis + 1, from + i * out, to + i * in, out, in);
  };
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    const std::int64_t inside = d_a.size() / call.samples(), outside = delta.size() / call.samples();
    crop(crop, 0, delta.data() + n * outside, d_a.data() + n * inside, outside, inside);
  }
}

void Concat::describe(bp::About<Concat>& about) {
  about.name("concat").summary("inputs behind one another along an axis").inputs(2, 64);
  about.attribute("axis", &Concat::axis, "of a sample, from 0; or -1, -2, … from the last").at_least(-8).at_most(7);
}

void Concat::plan(bp::Plan& plan) const {
  bp::Dims output = plan.input(0);
  const auto rank = static_cast<std::int64_t>(output.size());
  if (axis >= rank || axis < -rank)
    throw bp::Error("joins along axis " + std::to_string(axis) + ", which " + bp::to_string(output) + " does not have");
  const auto at = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
  for (std::uint32_t k = 1; k < plan.input_count(); ++k) {
    const bp::Dims input = plan.input(k);
    bp::Dims expected = plan.input(0);
    if (input.size() == output.size()) expected[at] = input[at];
    if (input != expected)
      throw bp::Error("joins tensors that differ on axis " + std::to_string(axis) + " only, got " +
                      bp::to_string(plan.input(0)) + " and " + bp::to_string(input));
    output[at] += input[at];
  }
  plan.output(output);
}

namespace {

/// body(k, place in input k, place in z, elements) for each contiguous piece; `input(k)` is a tensor of its shape.
template <class T, class Input, class Body>
void for_each_piece(const bp::Call<T>& call, std::span<const std::int64_t> z, std::int64_t axis, Input input,
                    Body body) {
  const auto at = static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(z.size()) : axis + 1);
  std::int64_t outer = 1, inner = 1;
  for (std::size_t i = 0; i < at; ++i) outer *= z[i];
  for (std::size_t i = at + 1; i < z.size(); ++i) inner *= z[i];
  std::int64_t offset = 0;
  for (std::size_t k = 0; k < call.input_count(); ++k) {
    const std::int64_t piece = input(k).dim(at) * inner;
    for (std::int64_t o = 0; o < outer; ++o) body(k, o * piece, o * z[at] * inner + offset, piece);
    offset += piece;
  }
}

}  // namespace

template <class T>
void Concat::forward(const bp::Call<T>& call) const {
  const auto z = call.output();
  const auto input = [&](std::size_t k) { return call.input(k); };
  for_each_piece(call, z.dims(), axis, input,
                 [&](std::size_t k, std::int64_t from, std::int64_t to, std::int64_t count) {
                   std::copy_n(call.input(k).data() + from, count, z.data() + to);
                 });
}

template <class T>
void Concat::backward(const bp::Call<T>& call) const {
  const auto delta = call.delta();
  const auto input = [&](std::size_t k) { return call.d_input(k); };
  for_each_piece(call, delta.dims(), axis, input,
                 [&](std::size_t k, std::int64_t to, std::int64_t from, std::int64_t count) {
                   if (const auto d_a = call.d_input(k)) std::copy_n(delta.data() + from, count, d_a.data() + to);
                 });
}

}  // namespace shape

using namespace shape;

BP_PLUGIN("org.backplane.shape", "0.1.0", "MIT", "layers that move numbers and change none",
          bp::layers<Flatten, Reshape, ZeroPad, Concat>, bp::activations<>)
