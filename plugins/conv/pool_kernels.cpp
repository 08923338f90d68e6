// Compiled once per instruction set (Highway's foreach_target); the best one is chosen when first called.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "conv/pool_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "conv/pool_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace conv::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// The taps of a window that lie inside the image.
struct Inside {
  std::int64_t begin, end;
};
HWY_INLINE Inside inside(const Axis& axis, std::int64_t window) {
  const std::int64_t start = axis.place(window, 0);
  return {std::max<std::int64_t>(-start, 0), std::min(axis.kernel, axis.in - start)};
}

/// What a window sees: taps of both axes, and the pixel under tap (0, 0), which may lie outside.
struct View {
  std::int64_t window;
  Inside rows, columns;
  std::int64_t origin;

  /// The number that a sum over the window is divided by.
  std::int64_t count(const Pool& pool, bool include_padding) const {
    return include_padding ? pool.height.kernel * pool.width.kernel
                           : (rows.end - rows.begin) * (columns.end - columns.begin);
  }
};

/// Calls visit(pixel, position), position = ky·KW + kx, for a window's taps in rows.
template <class Visit>
HWY_INLINE void for_each_tap(const Pool& pool, const View& view, const Visit& visit) {
  for (std::int64_t ky = view.rows.begin; ky < view.rows.end; ++ky)
    for (std::int64_t kx = view.columns.begin; kx < view.columns.end; ++kx)
      visit(view.origin + ky * pool.width.in + kx, ky * pool.width.kernel + kx);
}

/// Calls visit(view, d, c) for each window and its channels from c on, as many as `d` has lanes: vectors first, then
/// one by one what is left over.
template <class T, class Visit>
HWY_INLINE void for_each_window(const Pool& pool, const Visit& visit) {
  const hn::ScalableTag<T> vector;
  const hn::CappedTag<T, 1> one;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(vector));
  for (std::int64_t y = 0; y < pool.height.out; ++y)
    for (std::int64_t x = 0; x < pool.width.out; ++x) {
      const View view{.window = y * pool.width.out + x,
                      .rows = inside(pool.height, y),
                      .columns = inside(pool.width, x),
                      .origin = pool.height.place(y, 0) * pool.width.in + pool.width.place(x, 0)};
      std::int64_t c = 0;
      for (; c + lanes <= pool.channels; c += lanes) visit(view, vector, c);
      for (; c < pool.channels; ++c) visit(view, one, c);
    }
}

template <class T>
void take_maximum(const Pool& pool, const T* a, T* z, T* position) {
  const std::int64_t C = pool.channels;
  for_each_window<T>(pool, [&](const View& view, auto d, std::int64_t c) HWY_ATTR {
    // The window's first place is looked at twice, which changes nothing.
    const std::int64_t first = view.origin + view.rows.begin * pool.width.in + view.columns.begin;
    auto best = hn::LoadU(d, a + first * C + c);
    auto at = hn::Set(d, static_cast<T>(view.rows.begin * pool.width.kernel + view.columns.begin));
    for_each_tap(pool, view, [&](std::int64_t pixel, std::int64_t tap) HWY_ATTR {
      const auto here = hn::LoadU(d, a + pixel * C + c);
      const auto wins = hn::Or(hn::Gt(here, best), hn::IsNaN(here));
      best = hn::IfThenElse(wins, here, best);
      at = hn::IfThenElse(wins, hn::Set(d, static_cast<T>(tap)), at);
    });
    hn::StoreU(best, d, z + view.window * C + c);
    hn::StoreU(at, d, position + view.window * C + c);
  });
}

template <class T>
void give_to_maximum(const Pool& pool, const T* delta, const T* position, T* d_a) {
  const std::int64_t C = pool.channels;
  std::fill_n(d_a, pool.input_size(), T(0));
  for_each_window<T>(pool, [&](const View& view, auto d, std::int64_t c) HWY_ATTR {
    const auto given = hn::LoadU(d, delta + view.window * C + c);
    const auto at = hn::LoadU(d, position + view.window * C + c);
    for_each_tap(pool, view, [&](std::int64_t pixel, std::int64_t tap) HWY_ATTR {
      T* to = d_a + pixel * C + c;
      const auto is_here = hn::Eq(at, hn::Set(d, static_cast<T>(tap)));
      hn::StoreU(hn::Add(hn::LoadU(d, to), hn::IfThenElseZero(is_here, given)), d, to);
    });
  });
}

template <class T>
void take_mean(const Pool& pool, bool include_padding, const T* a, T* z) {
  const std::int64_t C = pool.channels;
  for_each_window<T>(pool, [&](const View& view, auto d, std::int64_t c) HWY_ATTR {
    auto sum = hn::Zero(d);
    for_each_tap(pool, view, [&](std::int64_t pixel, std::int64_t) HWY_ATTR {
      sum = hn::Add(sum, hn::LoadU(d, a + pixel * C + c));
    });
    const auto count = hn::Set(d, static_cast<T>(view.count(pool, include_padding)));
    hn::StoreU(hn::Div(sum, count), d, z + view.window * C + c);
  });
}

template <class T>
void give_shares(const Pool& pool, bool include_padding, const T* delta, T* d_a) {
  const std::int64_t C = pool.channels;
  std::fill_n(d_a, pool.input_size(), T(0));
  for_each_window<T>(pool, [&](const View& view, auto d, std::int64_t c) HWY_ATTR {
    const auto count = hn::Set(d, static_cast<T>(view.count(pool, include_padding)));
    const auto share = hn::Div(hn::LoadU(d, delta + view.window * C + c), count);
    for_each_tap(pool, view, [&](std::int64_t pixel, std::int64_t) HWY_ATTR {
      T* to = d_a + pixel * C + c;
      hn::StoreU(hn::Add(hn::LoadU(d, to), share), d, to);
    });
  });
}

void max_forward_f32(const Pool& pool, const float* a, float* z, float* at) {
  take_maximum(pool, a, z, at);
}
void max_forward_f64(const Pool& pool, const double* a, double* z, double* at) {
  take_maximum(pool, a, z, at);
}
void max_backward_f32(const Pool& pool, const float* d, const float* at, float* d_a) {
  give_to_maximum(pool, d, at, d_a);
}
void max_backward_f64(const Pool& pool, const double* d, const double* at, double* d_a) {
  give_to_maximum(pool, d, at, d_a);
}
void mean_forward_f32(const Pool& pool, bool padding, const float* a, float* z) {
  take_mean(pool, padding, a, z);
}
void mean_forward_f64(const Pool& pool, bool padding, const double* a, double* z) {
  take_mean(pool, padding, a, z);
}
void mean_backward_f32(const Pool& pool, bool padding, const float* d, float* d_a) {
  give_shares(pool, padding, d, d_a);
}
void mean_backward_f64(const Pool& pool, bool padding, const double* d, double* d_a) {
  give_shares(pool, padding, d, d_a);
}

}  // namespace conv::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace conv {

HWY_EXPORT(max_forward_f32);
HWY_EXPORT(max_forward_f64);
HWY_EXPORT(max_backward_f32);
HWY_EXPORT(max_backward_f64);
HWY_EXPORT(mean_forward_f32);
HWY_EXPORT(mean_forward_f64);
HWY_EXPORT(mean_backward_f32);
HWY_EXPORT(mean_backward_f64);

template <>
void max_forward(const Pool& pool, const float* a, float* z, float* position) {
  HWY_DYNAMIC_DISPATCH(max_forward_f32)(pool, a, z, position);
}
template <>
void max_forward(const Pool& pool, const double* a, double* z, double* position) {
  HWY_DYNAMIC_DISPATCH(max_forward_f64)(pool, a, z, position);
}
template <>
void max_backward(const Pool& pool, const float* delta, const float* position, float* d_a) {
  HWY_DYNAMIC_DISPATCH(max_backward_f32)(pool, delta, position, d_a);
}
template <>
void max_backward(const Pool& pool, const double* delta, const double* position, double* d_a) {
  HWY_DYNAMIC_DISPATCH(max_backward_f64)(pool, delta, position, d_a);
}
template <>
void mean_forward(const Pool& pool, bool include_padding, const float* a, float* z) {
  HWY_DYNAMIC_DISPATCH(mean_forward_f32)(pool, include_padding, a, z);
}
template <>
void mean_forward(const Pool& pool, bool include_padding, const double* a, double* z) {
  HWY_DYNAMIC_DISPATCH(mean_forward_f64)(pool, include_padding, a, z);
}
template <>
void mean_backward(const Pool& pool, bool include_padding, const float* delta, float* d_a) {
  HWY_DYNAMIC_DISPATCH(mean_backward_f32)(pool, include_padding, delta, d_a);
}
template <>
void mean_backward(const Pool& pool, bool include_padding, const double* delta, double* d_a) {
  HWY_DYNAMIC_DISPATCH(mean_backward_f64)(pool, include_padding, delta, d_a);
}

}  // namespace conv
#endif
