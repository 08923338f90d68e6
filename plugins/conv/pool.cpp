#include "conv/pool.h"

#include <algorithm>

#include "kernels/multiversion.h"

namespace conv {

namespace {

/// Windows over an image; axes as in Convolution.
struct Pool {
  Axis height, width;
  std::int64_t channels = 1;

  std::int64_t input_size() const { return height.in * width.in * channels; }
  std::int64_t output_size() const { return height.out * width.out * channels; }
};

/// Works for MaxPool2d and AvgPool2d alike.
template <class Layer>
Pool pool_of(const Layer& layer, const Sample& sample) {
  const Window window{
      .kernel = layer.kernel, .stride = layer.stride.empty() ? layer.kernel : layer.stride, .padding = layer.padding};
  const auto [height, width] = axes_of(Kind::image, window, sample);
  return {.height = height, .width = width, .channels = sample.channels};
}

template <class Layer>
bp::Dims planned_output(const Layer& layer, const bp::Plan& plan) {
  const bp::Dims input = plan.input(0);
  const Pool pool = pool_of(layer, sample_of(Kind::image, input));
  for (const Axis& axis : {pool.height, pool.width})
    if (axis.before >= axis.kernel)
      throw bp::Error("padding " + layer.padding + " is not smaller than the kernel: windows would see nothing else");
  check_size("the input", input);
  return {pool.height.out, pool.width.out, pool.channels};
}

/// The taps of a window that lie inside the image.
struct Inside {
  std::int64_t begin, end;
};
Inside inside(const Axis& axis, std::int64_t window) {
  const std::int64_t start = axis.place(window, 0);
  return {std::max<std::int64_t>(-start, 0), std::min(axis.kernel, axis.in - start)};
}

/// A tap of a window that lies inside the image.
struct Tap {
  std::int64_t window, pixel;
  std::int64_t position;  ///< ky·KW + kx
  bool is_first;          ///< of the window's taps
};

/// Calls visit(Tap) for a window after the other, its taps in rows. Inlined with its visitors, since BP_MULTIVERSION
/// widens the vectors of the function that it stands at and of no other.
template <class Visit>
[[gnu::always_inline]] inline void for_each_tap(const Pool& pool, const Visit& visit) {
  for (std::int64_t y = 0; y < pool.height.out; ++y) {
    const Inside rows = inside(pool.height, y);
    for (std::int64_t x = 0; x < pool.width.out; ++x) {
      const Inside columns = inside(pool.width, x);
      for (std::int64_t ky = rows.begin; ky < rows.end; ++ky)
        for (std::int64_t kx = columns.begin; kx < columns.end; ++kx)
          visit(Tap{.window = y * pool.width.out + x,
                    .pixel = pool.height.place(y, ky) * pool.width.in + pool.width.place(x, kx),
                    .position = ky * pool.width.kernel + kx,
                    .is_first = ky == rows.begin && kx == columns.begin});
    }
  }
}

/// The number that a window's sum is divided by.
std::int64_t count_of(const Pool& pool, bool include_padding, std::int64_t window) {
  if (include_padding) return pool.height.kernel * pool.width.kernel;
  const Inside rows = inside(pool.height, window / pool.width.out);
  const Inside columns = inside(pool.width, window % pool.width.out);
  return (rows.end - rows.begin) * (columns.end - columns.begin);
}

template <class T>
BP_MULTIVERSION void max_forward(const Pool& pool, const T* a, T* z, T* position) {
  const std::int64_t C = pool.channels;
  const auto take = [=](const Tap& tap) __attribute__((always_inline)) {
    const T* from = a + tap.pixel * C;
    T* best = z + tap.window * C;
    T* at = position + tap.window * C;
    const T here = static_cast<T>(tap.position);
    if (tap.is_first) {
      for (std::int64_t c = 0; c < C; ++c) best[c] = from[c], at[c] = here;
    } else {
      for (std::int64_t c = 0; c < C; ++c) {
        const bool wins = from[c] > best[c] || from[c] != from[c];
        best[c] = wins ? from[c] : best[c];
        at[c] = wins ? here : at[c];
      }
    }
  };
  for_each_tap(pool, take);
}

template <class T>
BP_MULTIVERSION void max_backward(const Pool& pool, const T* delta, const T* position, T* d_a) {
  const std::int64_t C = pool.channels;
  const auto give = [=](const Tap& tap) __attribute__((always_inline)) {
    const T* d = delta + tap.window * C;
    const T* at = position + tap.window * C;
    T* to = d_a + tap.pixel * C;
    const T here = static_cast<T>(tap.position);
    for (std::int64_t c = 0; c < C; ++c) to[c] += at[c] == here ? d[c] : T(0);
  };
  for_each_tap(pool, give);
}

template <class T>
BP_MULTIVERSION void sum_forward(const Pool& pool, const T* a, T* z) {
  const std::int64_t C = pool.channels;
  const auto add = [=](const Tap& tap) __attribute__((always_inline)) {
    const T* from = a + tap.pixel * C;
    T* sum = z + tap.window * C;
    if (tap.is_first)
      for (std::int64_t c = 0; c < C; ++c) sum[c] = from[c];
    else
      for (std::int64_t c = 0; c < C; ++c) sum[c] += from[c];
  };
  for_each_tap(pool, add);
}

template <class T>
BP_MULTIVERSION void divide(std::int64_t C, T count, T* z) {
  for (std::int64_t c = 0; c < C; ++c) z[c] /= count;
}

template <class T>
BP_MULTIVERSION void mean_backward(const Pool& pool, bool include_padding, const T* delta, T* d_a) {
  const std::int64_t C = pool.channels;
  const auto give = [=](const Tap& tap) __attribute__((always_inline)) {
    const T* d = delta + tap.window * C;
    T* to = d_a + tap.pixel * C;
    const T count = static_cast<T>(count_of(pool, include_padding, tap.window));
    for (std::int64_t c = 0; c < C; ++c) to[c] += d[c] / count;
  };
  for_each_tap(pool, give);
}

/// z (C) = the mean of `pixels` rows of `a`. numerics: runs of 64 rows are summed apart, so that float32 rounds away
/// less of a long sum; z collects the runs.
template <class T>
BP_MULTIVERSION void global_mean(std::int64_t pixels, std::int64_t C, const T* a, T* run, T* z) {
  std::fill_n(z, C, T(0));
  for (std::int64_t begin = 0; begin < pixels; begin += 64) {
    std::fill_n(run, C, T(0));
    for (std::int64_t pixel = begin; pixel < std::min(begin + 64, pixels); ++pixel)
      for (std::int64_t c = 0; c < C; ++c) run[c] += a[pixel * C + c];
    for (std::int64_t c = 0; c < C; ++c) z[c] += run[c];
  }
  for (std::int64_t c = 0; c < C; ++c) z[c] /= static_cast<T>(pixels);
}

template <class Layer>
void describe_windows(bp::About<Layer>& about) {
  about.attribute("kernel", &Layer::kernel, "[both] or [height, width]").required().at_least(1).at_most(1 << 12);
  about.attribute("stride", &Layer::stride, "step from window to window; [] is as the kernel")
      .at_least(1)
      .at_most(kLargest);
  about.attribute("padding", &Layer::padding, "valid, same, a number, or \"height,width\"");
}

}  // namespace

void MaxPool2d::describe(bp::About<MaxPool2d>& about) {
  about.name("max_pool2d").summary("maximum of each window of an image [H, W, C]");
  describe_windows(about);
}

void MaxPool2d::plan(bp::Plan& plan) const {
  const bp::Dims output = planned_output(*this, plan);
  plan.output(output);
  plan.saved("position", output, BP_SAVED_BY_FORWARD);
}

template <class T>
void MaxPool2d::forward(const bp::Call<T>& call) const {
  const Pool pool = pool_of(*this, sample_of(call.input(0)));
  for (std::int64_t n = 0; n < call.samples(); ++n)
    max_forward(pool, call.input(0).data() + n * pool.input_size(), call.output().data() + n * pool.output_size(),
                call.saved(0).data() + n * pool.output_size());
}

template <class T>
void MaxPool2d::backward(const bp::Call<T>& call) const {
  const auto d_a = call.d_input(0);
  if (!d_a) return;
  const Pool pool = pool_of(*this, sample_of(call.input(0)));
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    T* to = d_a.data() + n * pool.input_size();
    std::fill_n(to, pool.input_size(), T(0));
    max_backward(pool, call.delta().data() + n * pool.output_size(), call.saved(0).data() + n * pool.output_size(), to);
  }
}

void AvgPool2d::describe(bp::About<AvgPool2d>& about) {
  about.name("avg_pool2d").summary("mean of each window of an image [H, W, C]");
  describe_windows(about);
  about.attribute("include_padding", &AvgPool2d::include_padding, "whether the padding's zeros count in the mean");
}

void AvgPool2d::plan(bp::Plan& plan) const {
  plan.output(planned_output(*this, plan));
}

template <class T>
void AvgPool2d::forward(const bp::Call<T>& call) const {
  const Pool pool = pool_of(*this, sample_of(call.input(0)));
  const std::int64_t windows = pool.height.out * pool.width.out;
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    T* z = call.output().data() + n * pool.output_size();
    sum_forward(pool, call.input(0).data() + n * pool.input_size(), z);
    for (std::int64_t window = 0; window < windows; ++window)
      divide(pool.channels, static_cast<T>(count_of(pool, include_padding, window)), z + window * pool.channels);
  }
}

template <class T>
void AvgPool2d::backward(const bp::Call<T>& call) const {
  const auto d_a = call.d_input(0);
  if (!d_a) return;
  const Pool pool = pool_of(*this, sample_of(call.input(0)));
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    T* to = d_a.data() + n * pool.input_size();
    std::fill_n(to, pool.input_size(), T(0));
    mean_backward(pool, include_padding, call.delta().data() + n * pool.output_size(), to);
  }
}

void GlobalAvgPool::describe(bp::About<GlobalAvgPool>& about) {
  about.name("global_avg_pool").summary("mean over all places: [H, W, C] or [T, C] to [C]");
}

void GlobalAvgPool::plan(bp::Plan& plan) const {
  const bp::Dims input = plan.input(0);
  if (input.size() != 2 && input.size() != 3) sample_of(Kind::image, input);  // throws, saying what is wanted
  check_size("the input", input);
  plan.output({input.back()});
  const std::uint64_t element = plan.dtype() == BP_F32 ? sizeof(float) : sizeof(double);
  plan.workspace(static_cast<std::uint64_t>(input.back()) * element, 0);
}

template <class T>
void GlobalAvgPool::forward(const bp::Call<T>& call) const {
  const Sample sample = sample_of(call.input(0));
  const std::int64_t pixels = sample.height * sample.width, C = sample.channels;
  for (std::int64_t n = 0; n < call.samples(); ++n)
    global_mean(pixels, C, call.input(0).data() + n * pixels * C, static_cast<T*>(call.workspace()),
                call.output().data() + n * C);
}

template <class T>
void GlobalAvgPool::backward(const bp::Call<T>& call) const {
  const auto d_a = call.d_input(0);
  if (!d_a) return;
  const Sample sample = sample_of(call.input(0));
  const std::int64_t pixels = sample.height * sample.width, C = sample.channels;
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    T* first = d_a.data() + n * pixels * C;
    for (std::int64_t c = 0; c < C; ++c) first[c] = call.delta()(n, c) / static_cast<T>(pixels);
    for (std::int64_t pixel = 1; pixel < pixels; ++pixel) std::copy_n(first, C, first + pixel * C);
  }
}

template void MaxPool2d::forward<float>(const bp::Call<float>&) const;
template void MaxPool2d::forward<double>(const bp::Call<double>&) const;
template void MaxPool2d::backward<float>(const bp::Call<float>&) const;
template void MaxPool2d::backward<double>(const bp::Call<double>&) const;
template void AvgPool2d::forward<float>(const bp::Call<float>&) const;
template void AvgPool2d::forward<double>(const bp::Call<double>&) const;
template void AvgPool2d::backward<float>(const bp::Call<float>&) const;
template void AvgPool2d::backward<double>(const bp::Call<double>&) const;
template void GlobalAvgPool::forward<float>(const bp::Call<float>&) const;
template void GlobalAvgPool::forward<double>(const bp::Call<double>&) const;
template void GlobalAvgPool::backward<float>(const bp::Call<float>&) const;
template void GlobalAvgPool::backward<double>(const bp::Call<double>&) const;

}  // namespace conv
