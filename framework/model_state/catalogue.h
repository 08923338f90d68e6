#pragma once

#include <map>
#include <string>
#include <vector>

#include "network/network.h"
#include "tensor/tensor_kinds.h"
#include "trainer/trainer.h"

namespace backplane {

/// What a tensor has one of.
enum class TensorExtent {
  layer,   ///< the shape as it is
  sample,  ///< one for each sample of the batch that was computed last
  row,     ///< one for each row of a full batch, whatever sample stands there
};

/// A tensor that a layer of a network has.
struct LayerTensor {
  std::string name;  ///< below the layer: "z", "weights/W", "optimizer/W/mean"
  const TensorKind* kind = nullptr;
  TensorExtent extent = TensorExtent::layer;
  Shape shape;                                    ///< without samples or rows
  std::vector<std::string> axes;                  ///< of the whole tensor, "sample" or "row" included
  std::map<std::string, std::string> attributes;  ///< stored beside it
  bool can_be_tapped = false;
  std::size_t node = 0;
  /// Where it lies; of what belongs to a batch, after a pass that kept it. `trainer` may be NULL for parameters and
  /// shared state.
  void* (*locate)(const LayerTensor& tensor, Network& network, Trainer* trainer) = nullptr;
  std::size_t item = 0, slot = 0;  ///< for `locate`: which parameter, saved tensor or state; which of the optimizer's

  const void* data(const Network& network, Trainer* trainer = nullptr) const {
    return locate(*this, const_cast<Network&>(network), trainer);
  }
  /// For whoever puts it back.
  void* writable_data(Network& network, Trainer* trainer = nullptr) const { return locate(*this, network, trainer); }
  std::int64_t size() const { return element_count(shape); }  ///< elements of a sample, of a row, or of all
};

/// Every tensor that the layer `node` has, said once: what checkpoints store and resumes put back, what taps can look
/// at, what files of weights hold.
///
/// `loss_gives_delta`: then the last layer has no activation_gradient. `slots`: names of what
/// the optimizer keeps for each parameter.
std::vector<LayerTensor> tensors_of(const Network& network, std::size_t node, bool loss_gives_delta,
                                    const std::vector<std::string>& slots);

/// Likewise of all layers of a trainer's network, in their order.
std::vector<LayerTensor> tensors_of(const Network& network, Trainer& trainer);

}  // namespace backplane
