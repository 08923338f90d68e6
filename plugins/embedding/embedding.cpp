#include "embedding/embedding.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

#include "kernels/elementwise.h"

namespace embedding {

using backplane::kernels::add;
using backplane::kernels::add_to;

namespace {

enum Parameter : std::uint32_t { kW };
enum PositionParameter : std::uint32_t { kP };

/// Places of sample n that hold an index: those before its length.
template <class T>
std::int64_t valid_places(const bp::Call<T>& call, const bp::Tensor<const T>& a, std::int64_t n) {
  const std::int64_t places = a.size() / a.dim(0);
  return a.dims().size() < 2 ? places : call.length(n, a.dim(1)) * (places / a.dim(1));
}

[[noreturn]] void refuse(double value, std::int64_t sample, std::int64_t vocabulary) {
  std::ostringstream text;
  text.precision(17);
  text << "sample " << sample << " of the batch holds " << value << ", which is no index: whole numbers from 0 to "
       << vocabulary - 1 << " are (vocabulary: " << vocabulary << ")";
  throw bp::Error(text.str());
}

}  // namespace

void Embedding::describe(bp::About<Embedding>& about) {
  about.name("embedding").summary("a trainable row of numbers for each index");
  about.attribute("vocabulary", &Embedding::vocabulary, "number of indices V").required().at_least(1).at_most(1 << 24);
  about.attribute("units", &Embedding::units, "numbers for each index E").required().at_least(1).at_most(1 << 24);
  // With a fan-in of 1, the one index that is not 0, this is the standard normal distribution.
  about.parameter("W", "weight", "rows (V, E): one for each index", "lecun_normal");
}

void Embedding::plan(bp::Plan& plan) const {
  bp::Dims output = plan.input(0);
  output.push_back(units);
  plan.output(output);
  plan.parameter(kW, {vocabulary, units}, 1, units);
  plan.needs_inputs();
  plan.gradient_units(vocabulary);
}

template <class T>
void Embedding::forward(const bp::Call<T>& call) const {
  const auto a = call.input(0), W = call.parameter(kW);
  T* z = call.output().data();
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    const std::int64_t places = a.size() / call.samples(), valid = valid_places(call, a, n);
    for (std::int64_t i = 0; i < valid; ++i, z += units) {
      const T index = a[n * places + i];
      // Written so that NaN is refused, too.
      if (!(index >= 0 && index < static_cast<T>(vocabulary) && std::floor(index) == index))
        refuse(index, call.sample_begin() + n, vocabulary);
      std::copy_n(W.data() + static_cast<std::int64_t>(index) * units, units, z);
    }
    z = std::fill_n(z, (places - valid) * units, T(0));
  }
}

template <class T>
void Embedding::backward(const bp::Call<T>& call) const {
  // forward was:  z = W[a]
  if (const auto d_a = call.d_input(0)) std::fill_n(d_a.data(), d_a.size(), T(0));
  const auto d_W = call.d_parameter(kW);
  if (!d_W) return;
  const auto a = call.input(0);
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    const std::int64_t places = a.size() / call.samples(), valid = valid_places(call, a, n);
    for (std::int64_t i = n * places; i < n * places + valid; ++i) {
      const auto index = static_cast<std::int64_t>(a[i]);
      if (index >= call.unit_begin() && index < call.unit_end())
        add_to(units, call.delta().data() + i * units, d_W.data() + (index - call.unit_begin()) * units);
    }
  }
}

void PositionEmbedding::describe(bp::About<PositionEmbedding>& about) {
  about.name("position_embedding").summary("z[t] = a[t] + P[t], trainable numbers for each position");
  about.parameter("P", "weight", "numbers for each position (T, E)", "normal");
}

void PositionEmbedding::plan(bp::Plan& plan) const {
  const bp::Dims input = plan.input(0);
  if (input.size() < 2)
    throw bp::Error("wants positions of several numbers [T, E], got a tensor of " + std::to_string(input.size()) +
                    (input.size() == 1 ? " axis" : " axes"));
  plan.output(input);
  plan.parameter(kP, input, 1, input.back());
  plan.gradient_units(input.front());
}

template <class T>
void PositionEmbedding::forward(const bp::Call<T>& call) const {
  const auto P = call.parameter(kP);
  for (std::int64_t n = 0; n < call.samples(); ++n)
    add(P.size(), call.input(0).data() + n * P.size(), P.data(), call.output().data() + n * P.size());
}

template <class T>
void PositionEmbedding::backward(const bp::Call<T>& call) const {
  // forward was:  z[t] = a[t] + P[t]
  const auto delta = call.delta();
  if (const auto d_a = call.d_input(0)) std::copy_n(delta.data(), d_a.size(), d_a.data());
  const auto d_P = call.d_parameter(kP);
  if (!d_P) return;
  const std::int64_t sample = delta.size() / call.samples(), begin = call.unit_begin() * (sample / delta.dim(1));
  for (std::int64_t n = 0; n < call.samples(); ++n) add_to(d_P.size(), delta.data() + n * sample + begin, d_P.data());
}

}  // namespace embedding

using namespace embedding;

BP_PLUGIN("org.backplane.embedding", "0.1.0", "MIT", "embeddings", bp::layers<Embedding, PositionEmbedding>,
          bp::activations<>)
