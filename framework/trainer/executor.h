#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "network/network.h"
#include "parallel/arena.h"
#include "trainer/call_frame.h"
#include "trainer/loss.h"

namespace backplane {

/// Samples to compute on: `count` indices into `samples`.
struct Batch {
  const DataSet* data = nullptr;
  const Samples* samples = nullptr;
  const std::int64_t* indices = nullptr;
  std::int64_t count = 0;
};

/// What a batch gave.
struct BatchResult {
  double loss_sum = 0.0;  ///< sum of the per-sample losses, in sample order; C is this divided by the count
  std::int64_t correct = 0;
};

/// Whether layers act as in training (batch statistics, dropout) or as in use.
enum class Mode { training, evaluation };

/// Which parameter gradients are wanted.
enum class Gradients { trainable, all };

/// A part of the parameters of one layer, computed and updated by one task. The cut depends on the network alone.
struct Tile {
  struct Range {
    std::size_t parameter;    ///< index in LayerNode::parameters
    std::int64_t begin, end;  ///< elements
  };
  std::size_t node;
  std::int64_t unit_begin = 0, unit_end = 0;  ///< of a layer with batch-wide gradients
  std::vector<Range> ranges;
};

/// Computes forward and backward passes of a network on the workers of an arena.
///
/// A batch is cut into slices of rows; one task carries a slice through all layers forward and back. Parameter
/// gradients come one of two ways, chosen by the layer's plan: summed over slices by a fixed tree (`per slice`), or as
/// one product over all rows, tile by tile (`batch-wide`). Neither cut depends on the number of threads, and no sum
/// depends on timing: results have the same bits on any number of threads.
///
/// Owns all memory of a batch; allocates nothing in a steady step. Used by the training thread; tasks inside.
class Executor {
 public:
  /// Rows per slice for a batch size: from the batch alone, never from the machine.
  static std::int64_t default_slice_rows(std::int64_t batch_size);

  /// `network`, `loss` and `arena` must outlive the executor. `capacity`: the largest batch.
  Executor(Network& network, const Loss& loss, Arena& arena, std::int64_t capacity, std::int64_t slice_rows);

  /// Forward pass and loss: of an evaluation, or as training step `step` would compute it.
  BatchResult forward(const Batch& batch, Mode mode = Mode::evaluation, std::uint64_t step = 0);

  /// Training: forward and backward pass of optimizer step `step`, up to every δ and the per-slice gradients.
  /// The first `capture_rows` rows of every ∂C/∂a are kept for `d_activation`.
  BatchResult forward_backward(const Batch& batch, std::uint64_t step, Gradients wanted, std::int64_t capture_rows = 0);

  /// Completes the parameter gradients of the last forward_backward, tile by tile, and calls `use` for each tile in
  /// the same task, while the tile is in the cache. [compute: `use` runs on workers]
  void for_each_gradient_tile(Gradients wanted, const std::function<void(const Tile&)>& use);

  /// Calls `use` for each tile, without computing anything.
  void for_each_tile(const std::function<void(const Tile&)>& use);

  /// Lets a layer derive what it derives from its parameters after they have changed: of one tile, inside its task;
  /// of a whole layer; or of all layers that cannot do it tile by tile.
  void prepare(const Tile& tile);
  void prepare_layer(std::size_t node);
  void prepare_untiled_layers();

  const std::vector<Tile>& tiles() const { return tiles_; }

  /// Tensors of the last batch, first row of the whole batch; valid until the next pass.
  const void* input() const { return input_.data(); }
  const void* target() const { return target_.data(); }
  const double* losses() const { return losses_.data(); }
  const void* z(std::size_t node) const { return tensors_[node].z.data(); }
  const void* activation(std::size_t node) const { return tensors_[node].activation(); }
  const void* delta(std::size_t node) const { return tensors_[node].delta.data(); }
  const void* d_activation(std::size_t node) const { return tensors_[node].d_activation.data(); }
  const void* saved(std::size_t node, std::size_t i) const { return tensors_[node].saved[i].data(); }
  /// ∂C/∂θ, complete after for_each_gradient_tile.
  void* gradient(std::size_t node, std::size_t parameter) { return tensors_[node].gradients[0][parameter].data(); }

  /// Where NaN or infinity first stands after a pass, in the order of computation:
  /// "z of layer 'hidden2', sample 17 of the batch". Empty where every tensor is finite.
  std::string first_non_finite(std::int64_t rows) const;

 private:
  /// The batch's tensors of one layer.
  struct Tensors {
    Buffer z, a;   ///< a is empty where the activation is the identity
    Buffer delta;  ///< first ∂C/∂a as consumers write it, then δ in its place
    Buffer d_activation;
    std::vector<Buffer> saved;
    /// [slice][parameter]; batch-wide layers have one slice only. [0] ends as the gradient.
    std::vector<std::vector<Buffer>> gradients;
    /// Per input: whether another consumer of the same producer has written ∂C/∂a before (backward order).
    std::vector<bool> adds;

    const void* activation() const { return a.data() != nullptr ? a.data() : z.data(); }
    void* activation() { return a.data() != nullptr ? a.data() : z.data(); }
  };

  /// What a worker owns; never carries anything from one task to another.
  struct Worker {
    std::vector<CallFrame> frames;
    Buffer workspace;
    Buffer d_input;  ///< a second consumer's ∂C/∂a, before it is added
  };

  struct Rows {
    std::int64_t begin, count;
  };

  void make_tensors();
  void make_tiles();
  void make_workers();
  std::int64_t slices(std::int64_t rows) const { return (rows + slice_rows_ - 1) / slice_rows_; }
  Rows slice(std::int64_t index, std::int64_t rows) const;
  bp_call& start_call(std::size_t node, Rows rows, std::uint64_t step, bool training);
  /// A call of backward for the step that runs: only what the layer said it needs is handed over.
  bp_call& start_backward(std::size_t node, Rows rows);
  void* at(void* tensor, std::int64_t row, std::int64_t size) const;
  const void* producer_rows(int producer, Rows rows) const;

  void gather(const Batch& batch, Rows rows);
  void forward_slice(Rows rows, std::uint64_t step, bool training);
  void evaluate_loss(Rows rows);
  void loss_gradient(Rows rows, std::int64_t batch_rows);
  void backward_slice(std::int64_t index, Rows rows, Gradients wanted, std::int64_t capture_rows);
  void backward_layer(std::size_t node, std::int64_t index, Rows rows, Gradients wanted);
  void gradient_of(const Tile& tile, Gradients wanted);
  BatchResult sum_up(std::int64_t rows) const;

  Network& network_;
  const Loss& loss_;
  Arena& arena_;
  const std::int64_t capacity_;
  const std::int64_t slice_rows_;
  const std::size_t element_;  ///< bytes per element
  std::int64_t rows_ = 0;      ///< of the last batch
  std::uint64_t step_ = 0;     ///< of the last batch

  Buffer input_, target_;
  std::vector<double> losses_;
  std::vector<std::uint8_t> correct_;
  std::vector<Tensors> tensors_;
  std::vector<Tile> tiles_;
  std::vector<Worker> workers_;
};

}  // namespace backplane
