#include "tensor/tensor_kinds.h"

#include <algorithm>
#include <array>

namespace backplane {

namespace {

constexpr const char* kOfPlugin = "a tensor that the layer's plug-in declared";

using enum TensorPhase;
using enum TensorLifetime;

constexpr std::array kKinds{
    TensorKind{"weights", forward, kept, "parameter as it was when z, activation and delta beside it were computed"},
    TensorKind{"state", forward, kept, ""},
    TensorKind{"z", forward, batch, "output of the layer before its activation"},
    TensorKind{"", forward, batch, kOfPlugin},
    TensorKind{"activation", forward, batch, "a = sigma(z), what the next layer sees"},
    TensorKind{"activation_gradient", backward, batch, "dC/da of this layer's activation a, C as in delta"},
    TensorKind{"delta", backward, batch,
               "dC/dz: z is this layer's output before its activation, C the mean over the whole batch of the loss of "
               "one sample; same shape as z, batch axis first"},
    TensorKind{"delta_", backward, batch, kOfPlugin},  // of which a plug-in says that it is made of delta
    TensorKind{"gradients", backward, batch, "dC/dparameter over the whole batch, C as in delta, without penalties"},
    TensorKind{"optimizer", update, kept, ""}};

const TensorKind& named(std::string_view name) {
  return *std::ranges::find(kKinds, name, &TensorKind::name);
}

}  // namespace

std::span<const TensorKind> tensor_kinds() {
  return kKinds;
}

const TensorKind& kind_of(std::string_view tensor) {
  const std::string_view first = tensor.substr(0, tensor.find('/'));
  if (first.starts_with("delta_")) return named("delta_");
  const auto found = std::ranges::find(kKinds, first, &TensorKind::name);
  return found == kKinds.end() ? named("") : *found;
}

std::size_t place_in_step(const TensorKind& kind) {
  return static_cast<std::size_t>(&kind - kKinds.data());
}

}  // namespace backplane
