#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace backplane {

/// When in a step a tensor gets its values, or is used first.
enum class TensorPhase { forward, backward, update };

/// How long it lasts: for a batch, or from step to step, as part of what training goes on from.
enum class TensorLifetime { batch, kept };

/// What kind of tensor of a layer it is. Checkpoints, traces, taps, `inspect` and `diff` know a tensor by the first
/// part of its name.
struct TensorKind {
  std::string_view name;  ///< "z", or "weights" of "weights/W"; "": of a name that the layer's plug-in chose
  TensorPhase phase;
  TensorLifetime lifetime;
  const char* definition;  ///< one sentence, stored beside the tensor; "": of what its own name says
};

/// All kinds, in the order in which a step meets them.
std::span<const TensorKind> tensor_kinds();

/// Of a tensor by its name below the layer: "weights/W". Unknown ones are a plug-in's.
const TensorKind& kind_of(std::string_view tensor);

/// Where it stands in tensor_kinds().
std::size_t place_in_step(const TensorKind& kind);

}  // namespace backplane
