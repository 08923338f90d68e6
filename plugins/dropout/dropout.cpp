#include "dropout/dropout.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "base/multiversion.h"

namespace {

constexpr std::int64_t kWords = 2048;  // drawn at a time: they stay in the first-level cache

/// mask = 0 where a word is below `dropped`, else `kept`; z = mask ⊙ a.
template <class T>
BP_MULTIVERSION void drop(std::int64_t count, const std::uint32_t* words, std::uint32_t dropped, T kept, const T* a,
                          T* __restrict mask, T* __restrict z) {
  for (std::int64_t i = 0; i < count; ++i) mask[i] = words[i] < dropped ? T(0) : kept;
  for (std::int64_t i = 0; i < count; ++i) z[i] = mask[i] * a[i];
}

}  // namespace

void Dropout::describe(bp::About<Dropout>& about) {
  about.name("dropout").summary("sets elements to 0 at random in training, scales the others by 1/(1 - rate)");
  about.attribute("rate", &Dropout::rate, "probability of an element to be dropped, below 1").at_least(0).at_most(1);
}

void Dropout::plan(bp::Plan& plan) const {
  if (rate >= 1.0) throw bp::Error("drops everything: rate must be below 1");
  plan.output(plan.input(0));
  plan.saved("mask", plan.input(0), BP_SAVED_BY_FORWARD);
  plan.workspace(kWords * sizeof(std::uint32_t), 0);
}

template <class T>
void Dropout::forward(const bp::Call<T>& call) const {
  const auto a = call.input(0);
  const auto mask = call.saved(0), z = call.output();
  if (!call.training() || rate == 0.0) {
    std::fill_n(mask.data(), mask.size(), T(1));
    std::copy_n(a.data(), a.size(), z.data());
    return;
  }
  auto* words = static_cast<std::uint32_t*>(call.workspace());
  const auto dropped = static_cast<std::uint32_t>(std::min(std::round(rate * 0x1p32), 0x1p32 - 1.0));
  const T kept = static_cast<T>(1.0 / (1.0 - rate));
  const std::int64_t N = call.samples(), F = N == 0 ? 0 : a.size() / N;
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t begin = 0; begin < F; begin += kWords) {
      const std::int64_t count = std::min(kWords, F - begin), at = n * F + begin;
      call.random(n, static_cast<std::uint64_t>(begin), count, words);
      drop(count, words, dropped, kept, a.data() + at, mask.data() + at, z.data() + at);
    }
}

template <class T>
void Dropout::backward(const bp::Call<T>& call) const {
  // forward was:  z = m ⊙ a
  if (const auto d_a = call.d_input(0))
    backplane::kernels::multiply<T>(d_a.size(), call.saved(0).data(), call.delta().data(), d_a.data());
}

BP_PLUGIN("org.backplane.dropout", "0.1.0", "MIT", "dropout", bp::layers<Dropout>, bp::activations<>)
