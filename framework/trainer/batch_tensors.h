#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "network/network.h"
#include "tensor/buffer.h"
#include "trainer/scratch.h"

namespace backplane {

/// The tensors of one layer for a whole batch.
struct LayerTensors {
  Buffer z, a;   ///< a is empty where the activation is the identity; z where it passes (see ScratchPlan)
  Buffer delta;  ///< first ∂C/∂a as consumers write it, then δ in its place; empty where it passes
  Buffer d_activation;
  std::vector<Buffer> saved;
  /// [slice][parameter]; batch-wide layers have one slice only. [0] ends as the gradient.
  std::vector<std::vector<Buffer>> gradients;
  std::vector<std::vector<void*>> parts;                         ///< [parameter][slice], the same memory
  std::vector<std::vector<double>> forward_sums, backward_sums;  ///< [slice]; [0] ends as the sum over the batch
  std::vector<Buffer> carried[2];                                ///< [Mode][index in the plan]; empty for shared ones
  /// Per input: whether another consumer of the same producer has written ∂C/∂a before (backward order).
  std::vector<bool> adds;

  const void* activation() const { return a.data() != nullptr ? a.data() : z.data(); }
  void* activation() { return a.data() != nullptr ? a.data() : z.data(); }
};

/// All tensors of a batch, of `capacity` rows; those that pass (see ScratchPlan) and batch-wide gradients only once
/// somebody wants to look at them. Owned by the executor.
class BatchTensors {
 public:
  /// `network` must outlive it. `outputs`: elements of a sample's target. `sums_of_sample`: numbers that
  /// each adds to the metrics' sums. `slices`: of a batch of `capacity` rows.
  BatchTensors(const Network& network, const ScratchPlan& scratch, std::int64_t outputs, std::size_t sums_of_sample,
               std::int64_t capacity, std::int64_t slices);

  LayerTensors& operator[](std::size_t layer) { return layers_[layer]; }
  const LayerTensors& operator[](std::size_t layer) const { return layers_[layer]; }
  std::size_t layers() const { return layers_.size(); }

  void make_room_for_kept();
  void make_room_for_gradients();
  void make_room_for_d_activation(std::int64_t rows);
  void clear_carried(std::size_t mode);

  std::uint64_t bytes() const;

  /// "z of layer 'hidden2', sample 17 of the batch": where NaN or infinity first stands in the first `rows` rows, in
  /// the order of computation. Empty where every tensor is finite.
  std::string first_non_finite(std::int64_t rows) const;

  Buffer input, target;
  std::vector<std::int64_t> lengths;  ///< of the batch's samples; of no account where the data has none
  std::vector<double> losses;
  std::vector<double> metric_sums;  ///< [sample][sum]

 private:
  Buffer of_rows(std::int64_t rows, std::int64_t size) const;

  const Network& network_;
  const std::int64_t capacity_;
  std::vector<LayerTensors> layers_;
};

}  // namespace backplane
