#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "network/network.h"
#include "parallel/arena.h"

namespace backplane {

/// The kernel limit of a training step: nothing but the products and convolutions (bare oneDNN, BLIS for float64) that
/// the equations of dense, convolutional, recurrent and attention layers ask for, forward, to the inputs and to the
/// weights, in the same slices and tiles on the same workers. No data, activation, gate, loss, optimizer or repacking
/// of weights; layers that are none of these are left out.
class BareStep {
 public:
  /// The products of one layer. Slices may be computed at the same time.
  class Kernels {
   public:
    virtual ~Kernels() = default;
    virtual void forward(std::int64_t begin, std::int64_t rows) = 0;
    virtual void backward(std::int64_t begin, std::int64_t rows, bool to_inputs) = 0;
    /// Gradients of units [begin, end) over the whole batch.
    virtual void weights(std::int64_t /*begin*/, std::int64_t /*end*/) {}
  };

  /// `spec`: what the network was made from.
  BareStep(const NetworkSpec& spec, const Network& network, Arena& arena, std::int64_t batch, std::int64_t slice_rows);

  void run();
  /// Whether any layer has kernels.
  bool has_kernels() const { return !kernels_.empty(); }

 private:
  struct Range {
    std::size_t kernels;
    std::int64_t begin, end;
  };

  Arena& arena_;
  const std::int64_t batch_, slice_rows_;
  std::vector<std::unique_ptr<Kernels>> kernels_;
  std::vector<Range> tiles_;
};

}  // namespace backplane
