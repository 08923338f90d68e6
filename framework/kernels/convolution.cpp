#include "kernels/convolution.h"

#include <algorithm>
#include <vector>

#include "kernels/matmul.h"
#include "base/multiversion.h"

// float64: a block of windows is laid out as rows of taps (im2col), and each row times the packed weights is a window's
// output. Samples are taken one by one, so that no bit of a sample depends on its neighbours.

namespace backplane::kernels {

namespace {

/// Columns of a row of taps, in the order (ky, kx, i): a tap's channels lie side by side in a row as in the image.
std::int64_t row_length(const Convolution& shape) {
  return shape.taps() * shape.group_inputs();
}

/// Windows laid out at a time: half a mebibyte of rows, which stays in the second-level cache.
std::int64_t windows_at_once(const Convolution& shape) {
  constexpr std::int64_t kElements = 1 << 16;
  return std::clamp<std::int64_t>(kElements / row_length(shape), 1, shape.output_pixels());
}

/// Calls visit(pixel, columns) for each tap of windows [begin, end): the pixel of the image under the tap, −1 in the
/// padding, and the first element of the tap's channels within the rows.
template <class Visit>
void for_each_tap(const Convolution& shape, std::int64_t begin, std::int64_t end, const Visit& visit) {
  std::int64_t columns = 0;
  for (std::int64_t window = begin; window < end; ++window)
    for (std::int64_t ky = 0; ky < shape.height.kernel; ++ky) {
      const std::int64_t y = shape.height.place(window / shape.width.out, ky);
      const bool is_row_inside = y >= 0 && y < shape.height.in;
      for (std::int64_t kx = 0; kx < shape.width.kernel; ++kx, columns += shape.group_inputs()) {
        const std::int64_t x = shape.width.place(window % shape.width.out, kx);
        const bool is_inside = is_row_inside && x >= 0 && x < shape.width.in;
        visit(is_inside ? y * shape.width.in + x : -1, columns);
      }
    }
}

/// rows ← the taps of windows [begin, end) in the channels from `a` on.
template <class T>
void lay_out(const Convolution& shape, std::int64_t begin, std::int64_t end, const T* a, T* rows) {
  for_each_tap(shape, begin, end, [&](std::int64_t pixel, std::int64_t columns) {
    if (pixel < 0)
      std::fill_n(rows + columns, shape.group_inputs(), T(0));
    else
      std::copy_n(a + pixel * shape.inputs, shape.group_inputs(), rows + columns);
  });
}

/// The reverse: each tap is added to its place.
template <class T>
void add_back(const Convolution& shape, std::int64_t begin, std::int64_t end, const T* rows, T* a) {
  for_each_tap(shape, begin, end, [&](std::int64_t pixel, std::int64_t columns) {
    if (pixel < 0) return;
    for (std::int64_t i = 0; i < shape.group_inputs(); ++i) a[pixel * shape.inputs + i] += rows[columns + i];
  });
}

/// Calls visit(begin, end, group) for blocks of windows and each group.
template <class Visit>
void for_each_block(const Convolution& shape, const Visit& visit) {
  const std::int64_t step = windows_at_once(shape);
  for (std::int64_t begin = 0; begin < shape.output_pixels(); begin += step)
    for (std::int64_t group = 0; group < shape.groups; ++group)
      visit(begin, std::min(begin + step, shape.output_pixels()), group);
}

/// Calls visit(element of W, element of packed). Packed: for each group (taps · I/groups, O/groups).
template <class Visit>
void for_each_weight(const Convolution& shape, const Visit& visit) {
  const std::int64_t I = shape.group_inputs(), O = shape.group_outputs(), taps = shape.taps();
  for (std::int64_t o = 0; o < shape.outputs; ++o)
    for (std::int64_t i = 0; i < I; ++i)
      for (std::int64_t tap = 0; tap < taps; ++tap)
        visit((o * I + i) * taps + tap, (o / O) * taps * I * O + (tap * I + i) * O + o % O);
}

}  // namespace

template <>
std::int64_t convolution_packed_elements<double>(const Convolution& shape) {
  return shape.weights();
}

template <>
std::uint64_t convolution_workspace_bytes<double>(const Convolution& shape) {
  const std::int64_t elements = windows_at_once(shape) * row_length(shape) + shape.weights();
  return static_cast<std::uint64_t>(elements) * sizeof(double);
}

template <>
void convolution_pack<double>(const Convolution& shape, const double* W, double* packed) {
  for_each_weight(shape, [&](std::int64_t plain, std::int64_t at) { packed[at] = W[plain]; });
}

template <>
void convolution_forward<double>(const Convolution& shape, std::int64_t samples, const double* a, const double* packed,
                                 const double* b, double* z, void* workspace) {
  double* rows = static_cast<double*>(workspace);
  const std::int64_t I = shape.group_inputs(), O = shape.group_outputs(), K = row_length(shape);
  const std::int64_t input_size = shape.input_pixels() * shape.inputs;
  const std::int64_t output_size = shape.output_pixels() * shape.outputs;
  for (std::int64_t n = 0; n < samples; ++n, a += input_size, z += output_size) {
    // The bias is laid down first, the product added to it.
    if (b != nullptr)
      for (std::int64_t pixel = 0; pixel < shape.output_pixels(); ++pixel)
        std::copy_n(b, shape.outputs, z + pixel * shape.outputs);
    for_each_block(shape, [&](std::int64_t begin, std::int64_t end, std::int64_t group) {
      lay_out(shape, begin, end, a + group * I, rows);
      matmul<double>(end - begin, O, K, Transpose::no, rows, K, Transpose::no, packed + group * K * O, O,
                     b == nullptr ? 0.0 : 1.0, z + begin * shape.outputs + group * O, shape.outputs);
    });
  }
}

template <>
void convolution_backward_inputs<double>(const Convolution& shape, std::int64_t samples, const double* delta,
                                         const double* packed, double* d_a, void* workspace) {
  double* rows = static_cast<double*>(workspace);
  const std::int64_t I = shape.group_inputs(), O = shape.group_outputs(), K = row_length(shape);
  const std::int64_t input_size = shape.input_pixels() * shape.inputs;
  const std::int64_t output_size = shape.output_pixels() * shape.outputs;
  for (std::int64_t n = 0; n < samples; ++n, delta += output_size, d_a += input_size) {
    std::fill_n(d_a, input_size, 0.0);
    for_each_block(shape, [&](std::int64_t begin, std::int64_t end, std::int64_t group) {
      matmul<double>(end - begin, K, O, Transpose::no, delta + begin * shape.outputs + group * O, shape.outputs,
                     Transpose::yes, packed + group * K * O, O, 0.0, rows, K);
      add_back(shape, begin, end, rows, d_a + group * I);
    });
  }
}

template <>
void convolution_backward_weights<double>(const Convolution& shape, std::int64_t samples, const double* a,
                                          const double* delta, double* d_W, double* d_b, void* workspace) {
  const std::int64_t I = shape.group_inputs(), O = shape.group_outputs(), K = row_length(shape);
  const std::int64_t input_size = shape.input_pixels() * shape.inputs;
  const std::int64_t output_size = shape.output_pixels() * shape.outputs;
  if (d_b != nullptr) convolution_backward_bias(samples, shape.output_pixels(), shape.outputs, delta, d_b);
  double* d_packed = static_cast<double*>(workspace);
  double* rows = d_packed + shape.weights();
  std::fill_n(d_packed, shape.weights(), 0.0);
  for (std::int64_t n = 0; n < samples; ++n, a += input_size, delta += output_size)
    for_each_block(shape, [&](std::int64_t begin, std::int64_t end, std::int64_t group) {
      lay_out(shape, begin, end, a + group * I, rows);
      matmul<double>(K, O, end - begin, Transpose::yes, rows, K, Transpose::no,
                     delta + begin * shape.outputs + group * O, shape.outputs, 1.0, d_packed + group * K * O, O);
    });
  for_each_weight(shape, [&](std::int64_t plain, std::int64_t at) { d_W[plain] += d_packed[at]; });
}

namespace {

/// sums[o] += Σ δ of one sample. Four pixels are added up before they go to the sums, whose loads would otherwise wait
/// for the stores of the pixel before.
template <class T>
BP_MULTIVERSION void add_pixels(std::int64_t pixels, std::int64_t outputs, const T* delta, T* sums) {
  std::int64_t pixel = 0;
  for (; pixel + 4 <= pixels; pixel += 4) {
    const T* d = delta + pixel * outputs;
    for (std::int64_t o = 0; o < outputs; ++o)
      sums[o] += (d[o] + d[o + outputs]) + (d[o + 2 * outputs] + d[o + 3 * outputs]);
  }
  for (; pixel < pixels; ++pixel)
    for (std::int64_t o = 0; o < outputs; ++o) sums[o] += delta[pixel * outputs + o];
}

}  // namespace

template <class T>
void convolution_backward_bias(std::int64_t samples, std::int64_t pixels, std::int64_t outputs, const T* delta,
                               T* d_b) {
  // numerics: samples are summed apart first, so that float32 rounds away less of a long sum.
  thread_local std::vector<T> sums;
  for (std::int64_t n = 0; n < samples; ++n, delta += pixels * outputs) {
    sums.assign(static_cast<std::size_t>(outputs), T(0));
    add_pixels(pixels, outputs, delta, sums.data());
    for (std::int64_t o = 0; o < outputs; ++o) d_b[o] += sums[static_cast<std::size_t>(o)];
  }
}

template void convolution_backward_bias<float>(std::int64_t, std::int64_t, std::int64_t, const float*, float*);
template void convolution_backward_bias<double>(std::int64_t, std::int64_t, std::int64_t, const double*, double*);

namespace {

/// Calls visit(element of a, element of W, element of z) for every product of the definition.
template <class Visit>
void for_each_product(const Convolution& shape, std::int64_t samples, const Visit& visit) {
  const std::int64_t I = shape.group_inputs(), O = shape.group_outputs();
  for (std::int64_t n = 0; n < samples; ++n)
    for (std::int64_t y = 0; y < shape.height.out; ++y)
      for (std::int64_t x = 0; x < shape.width.out; ++x)
        for (std::int64_t o = 0; o < shape.outputs; ++o)
          for (std::int64_t i = 0; i < I; ++i)
            for (std::int64_t ky = 0; ky < shape.height.kernel; ++ky)
              for (std::int64_t kx = 0; kx < shape.width.kernel; ++kx) {
                const std::int64_t from_y = shape.height.place(y, ky), from_x = shape.width.place(x, kx);
                if (from_y < 0 || from_y >= shape.height.in || from_x < 0 || from_x >= shape.width.in) continue;
                const std::int64_t pixel = (n * shape.height.in + from_y) * shape.width.in + from_x;
                visit(pixel * shape.inputs + (o / O) * I + i,
                      ((o * I + i) * shape.height.kernel + ky) * shape.width.kernel + kx,
                      ((n * shape.height.out + y) * shape.width.out + x) * shape.outputs + o);
              }
}

/// Sums in double, then rounded once.
template <class T, class Add>
void sum_into(T* to, std::int64_t count, const Add& add) {
  std::vector<double> sums(to, to + count);
  add(sums.data());
  std::transform(sums.begin(), sums.end(), to, [](double sum) { return static_cast<T>(sum); });
}

}  // namespace

template <class T>
void convolution_forward_reference(const Convolution& shape, std::int64_t samples, const T* a, const T* W, const T* b,
                                   T* z) {
  const std::int64_t count = samples * shape.output_pixels() * shape.outputs;
  for (std::int64_t at = 0; at < count; ++at) z[at] = b == nullptr ? T(0) : b[at % shape.outputs];
  sum_into(z, count, [&](double* sums) {
    for_each_product(shape, samples, [&](std::int64_t i, std::int64_t w, std::int64_t o) {
      sums[o] += static_cast<double>(W[w]) * static_cast<double>(a[i]);
    });
  });
}

template <class T>
void convolution_backward_inputs_reference(const Convolution& shape, std::int64_t samples, const T* delta, const T* W,
                                           T* d_a) {
  const std::int64_t count = samples * shape.input_pixels() * shape.inputs;
  std::fill_n(d_a, count, T(0));
  sum_into(d_a, count, [&](double* sums) {
    for_each_product(shape, samples, [&](std::int64_t i, std::int64_t w, std::int64_t o) {
      sums[i] += static_cast<double>(W[w]) * static_cast<double>(delta[o]);
    });
  });
}

template <class T>
void convolution_backward_weights_reference(const Convolution& shape, std::int64_t samples, const T* a, const T* delta,
                                            T* d_W) {
  sum_into(d_W, shape.weights(), [&](double* sums) {
    for_each_product(shape, samples, [&](std::int64_t i, std::int64_t w, std::int64_t o) {
      sums[w] += static_cast<double>(a[i]) * static_cast<double>(delta[o]);
    });
  });
}

template void convolution_forward_reference<float>(const Convolution&, std::int64_t, const float*, const float*,
                                                   const float*, float*);
template void convolution_forward_reference<double>(const Convolution&, std::int64_t, const double*, const double*,
                                                    const double*, double*);
template void convolution_backward_inputs_reference<float>(const Convolution&, std::int64_t, const float*, const float*,
                                                           float*);
template void convolution_backward_inputs_reference<double>(const Convolution&, std::int64_t, const double*,
                                                            const double*, double*);
template void convolution_backward_weights_reference<float>(const Convolution&, std::int64_t, const float*,
                                                            const float*, float*);
template void convolution_backward_weights_reference<double>(const Convolution&, std::int64_t, const double*,
                                                             const double*, double*);

}  // namespace backplane::kernels
