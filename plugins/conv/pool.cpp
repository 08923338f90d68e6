#include "conv/pool.h"

#include <algorithm>

#include "conv/pool_kernels.h"
#include "base/multiversion.h"

namespace conv {

namespace {

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
    max_forward<T>(pool, call.input(0).data() + n * pool.input_size(), call.output().data() + n * pool.output_size(),
                   call.saved(0).data() + n * pool.output_size());
}

template <class T>
void MaxPool2d::backward(const bp::Call<T>& call) const {
  const auto d_a = call.d_input(0);
  if (!d_a) return;
  const Pool pool = pool_of(*this, sample_of(call.input(0)));
  for (std::int64_t n = 0; n < call.samples(); ++n)
    max_backward<T>(pool, call.delta().data() + n * pool.output_size(), call.saved(0).data() + n * pool.output_size(),
                    d_a.data() + n * pool.input_size());
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
  for (std::int64_t n = 0; n < call.samples(); ++n)
    mean_forward<T>(pool, include_padding, call.input(0).data() + n * pool.input_size(),
                    call.output().data() + n * pool.output_size());
}

template <class T>
void AvgPool2d::backward(const bp::Call<T>& call) const {
  const auto d_a = call.d_input(0);
  if (!d_a) return;
  const Pool pool = pool_of(*this, sample_of(call.input(0)));
  for (std::int64_t n = 0; n < call.samples(); ++n)
    mean_backward<T>(pool, include_padding, call.delta().data() + n * pool.output_size(),
                     d_a.data() + n * pool.input_size());
}

void GlobalAvgPool::describe(bp::About<GlobalAvgPool>& about) {
  about.name("global_avg_pool").summary("mean over all places: [H, W, C] or [T, C] to [C]");
}

void GlobalAvgPool::plan(bp::Plan& plan) const {
  const bp::Dims input = plan.input(0);
  if (input.size() != 2 && input.size() != 3) sample_of(Kind::image, input);  // throws, saying what is wanted
  check_size("the input", input);
  plan.uses_lengths();
  plan.output({input.back()});
  const std::uint64_t element = plan.dtype() == BP_F32 ? sizeof(float) : sizeof(double);
  plan.workspace(static_cast<std::uint64_t>(input.back()) * element, 0);
}

namespace {

/// Places of sample n that count: all of an image, the valid steps of a sequence.
template <class T>
std::int64_t valid_places(const bp::Call<T>& call, std::int64_t n, const Sample& sample) {
  const std::int64_t rows = call.d_input(0).dim(1), places = sample.height * sample.width;
  return call.length(n, rows) * (places / rows);
}

}  // namespace

template <class T>
void GlobalAvgPool::forward(const bp::Call<T>& call) const {
  const Sample sample = sample_of(call.input(0));
  const std::int64_t pixels = sample.height * sample.width, C = sample.channels;
  for (std::int64_t n = 0; n < call.samples(); ++n)
    global_mean(valid_places(call, n, sample), C, call.input(0).data() + n * pixels * C,
                static_cast<T*>(call.workspace()), call.output().data() + n * C);
}

template <class T>
void GlobalAvgPool::backward(const bp::Call<T>& call) const {
  const auto d_a = call.d_input(0);
  if (!d_a) return;
  const Sample sample = sample_of(call.input(0));
  const std::int64_t pixels = sample.height * sample.width, C = sample.channels;
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    T* first = d_a.data() + n * pixels * C;
    const std::int64_t valid = valid_places(call, n, sample);
    for (std::int64_t c = 0; c < C; ++c) first[c] = call.delta()(n, c) / static_cast<T>(valid);
    for (std::int64_t pixel = 1; pixel < valid; ++pixel) std::copy_n(first, C, first + pixel * C);
    std::fill_n(first + valid * C, (pixels - valid) * C, T(0));
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
