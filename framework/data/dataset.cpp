#include "data/dataset.h"

#include <algorithm>
#include <type_traits>

#include "base/error.h"
#include "base/multiversion.h"
#include "random/philox.h"

namespace backplane {

namespace {

template <class T>
std::vector<T> rows(const std::vector<T>& all, const std::vector<std::int64_t>& indices, std::int64_t width) {
  std::vector<T> chosen;
  chosen.reserve(indices.size() * static_cast<std::size_t>(width));
  for (const std::int64_t index : indices) {
    const auto first = all.begin() + index * width;
    chosen.insert(chosen.end(), first, first + width);
  }
  return chosen;
}

/// Reads as zeros without end.
template <class Stored>
struct Zeros {
  Stored operator[](std::int64_t) const { return 0; }
  Zeros& operator+=(std::int64_t) { return *this; }
};

/// A loop of its own, so that it is compiled for each vector width.
template <class Work, class Stored, class T>
BP_MULTIVERSION void shift_and_scale_all(const Stored* in, std::int64_t size, Work shift, Work scale,
                                         T* __restrict out) {
  for (std::int64_t j = 0; j < size; ++j) out[j] = static_cast<T>((static_cast<Work>(in[j]) - shift) * scale);
}

/// `in` is a pointer to, or reads like, elements of type Stored.
template <class Stored, class In, class T>
void shift_and_scale(In in, std::int64_t size, const DataSet& data, T* out) {
  // Bytes lose nothing in float. Wider values are shifted in double, where a mean far from zero costs no digits.
  using Work = std::conditional_t<std::is_same_v<Stored, std::uint8_t>, T, double>;
  const auto features = static_cast<std::int64_t>(data.shift.size());
  if (features == 1) {
    const auto shift = static_cast<Work>(data.shift[0]);
    const auto scale = static_cast<Work>(data.scale[0]);
    if constexpr (std::is_pointer_v<In>)
      shift_and_scale_all<Work>(in, size, shift, scale, out);
    else
      std::fill_n(out, size, static_cast<T>((Work(0) - shift) * scale));
    return;
  }
  const double* shift = data.shift.data();
  const double* scale = data.scale.data();
  for (const T* end = out + size; out != end; in += features, out += features)
    for (std::int64_t f = 0; f < features; ++f)
      out[f] = static_cast<T>((static_cast<Work>(in[f]) - static_cast<Work>(shift[f])) * static_cast<Work>(scale[f]));
}

/// How one sample is changed in one epoch, all of it from one draw.
struct Change {
  bool flip;
  std::int64_t down;
  std::int64_t right;

  Change(const Augmentation& augmentation, std::uint64_t epoch, std::int64_t index) {
    const Stream stream(augmentation.seed, Purpose::augment, epoch);
    const std::uint64_t bits = stream.bits(static_cast<std::uint64_t>(index));
    const auto moves =
        static_cast<std::uint64_t>(2 * augmentation.shift + 1);  // far below 2^32: kMostBytes bounds images
    flip = augmentation.flip && (bits & 1) != 0;
    down = static_cast<std::int64_t>((bits >> 1 & 0x7FFF'FFFF) * moves >> 31) - augmentation.shift;
    right = static_cast<std::int64_t>((bits >> 32) * moves >> 32) - augmentation.shift;
  }
};

template <class T>
void reverse_pixels(T* row, std::int64_t width, std::int64_t channels) {
  for (T* last = row + (width - 1) * channels; row < last; row += channels, last -= channels)
    std::swap_ranges(row, row + channels, last);
}

template <class Stored, class T>
void changed_image(const Stored* in, const Change& change, const DataSet& data, T* out) {
  const std::int64_t H = data.input_shape[0], W = data.input_shape[1], C = data.input_shape[2];
  const std::int64_t before = std::max<std::int64_t>(change.right, 0), after = std::max<std::int64_t>(-change.right, 0);
  const auto zeros = [&](std::int64_t count, T* to) { shift_and_scale<Stored>(Zeros<Stored>(), count * C, data, to); };
  for (std::int64_t y = 0; y < H; ++y, out += W * C) {
    const std::int64_t from = y - change.down;
    if (from < 0 || from >= H) {
      zeros(W, out);
      continue;
    }
    zeros(before, out);
    shift_and_scale<Stored>(in + (from * W + after) * C, (W - before - after) * C, data, out + before * C);
    zeros(after, out + (W - after) * C);
    if (change.flip) reverse_pixels(out, W, C);
  }
}

}  // namespace

std::int64_t Samples::labels_per_sample() const {
  const auto* labels = std::get_if<std::vector<std::int64_t>>(&targets);
  return labels != nullptr && count > 0 ? static_cast<std::int64_t>(labels->size()) / count : 0;
}

Samples Samples::subset(const std::vector<std::int64_t>& indices, std::int64_t input_size,
                        std::int64_t target_size) const {
  Samples chosen;
  chosen.count = static_cast<std::int64_t>(indices.size());
  std::visit([&](const auto& all) { chosen.inputs = rows(all, indices, input_size); }, inputs);
  const std::int64_t width = has_labels() ? labels_per_sample() : target_size;
  std::visit([&](const auto& all) { chosen.targets = rows(all, indices, width); }, targets);
  if (!lengths.empty()) chosen.lengths = rows(lengths, indices, 1);
  chosen.inputs_origin = inputs_origin;
  chosen.targets_origin = targets_origin;
  for (const std::int64_t index : indices) chosen.source_indices.push_back(source_index(index));
  return chosen;
}

template <class T>
void DataSet::gather_input(const Samples& samples, std::int64_t index, T* out) const {
  const std::int64_t size = input_size();
  const auto gather = [&]<class Stored>(const std::vector<Stored>& all) {
    shift_and_scale<Stored>(all.data() + index * size, size, *this, out);
  };
  std::visit(gather, samples.inputs);
}

template <class T>
void DataSet::gather_augmented(const Samples& samples, std::int64_t index, std::uint64_t epoch, T* out) const {
  if (!augmentation) return gather_input(samples, index, out);
  const Change change(*augmentation, epoch, index);
  const auto gather = [&](const auto& all) { changed_image(all.data() + index * input_size(), change, *this, out); };
  std::visit(gather, samples.inputs);
}

template <class T>
void gather_target(const Samples& samples, std::int64_t index, std::int64_t outputs, T* out) {
  if (const auto* vectors = std::get_if<std::vector<double>>(&samples.targets)) {
    std::transform(vectors->begin() + index * outputs, vectors->begin() + (index + 1) * outputs, out,
                   [](double value) { return static_cast<T>(value); });
    return;
  }
  const std::int64_t steps = samples.labels_per_sample();
  const std::int64_t* labels = std::get<std::vector<std::int64_t>>(samples.targets).data() + index * steps;
  BP_ASSERT(outputs % steps == 0);
  const std::int64_t features = outputs / steps;
  if (features == 1) {
    std::transform(labels, labels + steps, out, [](std::int64_t label) { return static_cast<T>(label); });
    return;
  }
  std::fill_n(out, outputs, T{0});
  for (std::int64_t t = 0; t < steps; ++t) {
    BP_ASSERT(labels[t] < features);
    out[t * features + labels[t]] = T{1};
  }
}

template void DataSet::gather_input(const Samples&, std::int64_t, float*) const;
template void DataSet::gather_input(const Samples&, std::int64_t, double*) const;
template void DataSet::gather_augmented(const Samples&, std::int64_t, std::uint64_t, float*) const;
template void DataSet::gather_augmented(const Samples&, std::int64_t, std::uint64_t, double*) const;
template void gather_target(const Samples&, std::int64_t, std::int64_t, float*);
template void gather_target(const Samples&, std::int64_t, std::int64_t, double*);

}  // namespace backplane
