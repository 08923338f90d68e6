#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "layer_pass/layer_call.h"
#include "network/network.h"
#include "parallel/arena.h"
#include "trainer/batch_tensors.h"
#include "trainer/loss.h"
#include "trainer/metrics.h"
#include "trainer/scratch.h"
#include "trainer/stage.h"
#include "trainer/tile.h"

namespace backplane {

/// Samples to compute on: `count` indices into `samples`.
struct Batch {
  const DataSet* data = nullptr;
  const Samples* samples = nullptr;
  const std::int64_t* indices = nullptr;
  std::int64_t count = 0;
  bool is_start = false;                 ///< of an epoch or evaluation: carried state begins at 0
  std::optional<std::uint64_t> epoch{};  ///< of training, whose samples are augmented; empty: samples as they are

  /// What split they are of: "training", "validation" or "test".
  const char* split() const;
};

/// Whether layers act as in training (batch statistics, dropout) or as in use.
enum class Mode { training, evaluation };

/// Which parameter gradients are wanted.
enum class Gradients { trainable, all };

/// Whether what nobody needs any more stays to be looked at: z and δ behind their slice, gradients behind their tile.
enum class Keep { no, yes };

/// Computes forward and backward passes of a network on the workers of an arena.
///
/// A batch is cut into slices of rows; one task carries a slice through all layers of a stage. A stage ends before each
/// layer that sums over the batch: all slices leave their parts, which are added in slice order, and the next stage
/// begins. Networks without such layers have one stage, forward and back. Parameter gradients come one of two ways,
/// chosen by the layer's plan: summed over slices by a fixed tree (`per slice`), or as one product over all rows, tile
/// by tile (`batch-wide`). Neither cut depends on the number of threads, and no sum depends on timing: results have the
/// same bits on any number of threads.
///
/// Owns all memory of a batch; allocates no tensor in a steady step. Used by the training thread; tasks inside.
class Executor {
 public:
  /// References must outlive the executor. `capacity`: the largest batch. `seed`: of the run, from which layers draw.
  Executor(Network& network, const Loss& loss, const MetricSet& metrics, Arena& arena, std::int64_t capacity,
           std::int64_t slice_rows, std::uint64_t seed);

  /// Forward pass, loss and metrics: of an evaluation, or as training step `step` would compute it. Changes no state,
  /// but that carried state is 0 where the batch is a start. What is returned stands until the next pass.
  const MetricSums& forward(const Batch& batch, Mode mode = Mode::evaluation, std::uint64_t step = 0,
                            Keep keep = Keep::no);

  /// Training: forward and backward pass of optimizer step `step`, up to every δ and the per-slice gradients. Changes
  /// no state, as forward. `keep`: every z and δ stays to be looked at; without it, those that nobody needs any more
  /// are gone when their slice has passed. The first `capture_rows` rows of every ∂C/∂a are kept for `d_activation`.
  const MetricSums& forward_backward(const Batch& batch, std::uint64_t step, Gradients wanted, Keep keep = Keep::no,
                                     std::int64_t capture_rows = 0);

  /// Lets layers take their state from the last pass to the next: running statistics after a training step, carried
  /// state after any batch. Training and evaluation carry state of their own.
  void update_state(Mode mode);

  /// Completes the parameter gradients of the last forward_backward, tile by tile, and calls `use` for each tile in
  /// the same task, while the tile is in the cache: `tile_gradient` gives it. `keep` also leaves all of them behind
  /// for `gradient`; without it, batch-wide ones live in the worker's scratch. [compute: `use` runs on workers]
  template <class Use>
  void for_each_gradient_tile(Gradients wanted, Keep keep, const Use& use) {
    if (keep == Keep::yes) batch_.make_room_for_gradients();
    keeps_gradients_ = keep == Keep::yes;
    for_each_tile([&](const Tile& tile) {
      if (compute_gradient(tile, wanted)) use(tile);
    });
  }

  /// Calls `use` for each tile, without computing anything.
  template <class Use>
  void for_each_tile(const Use& use) {
    arena_.for_each(std::ssize(tiles_), [&](std::int64_t i) { use(tiles_[static_cast<std::size_t>(i)]); });
  }

  /// Lets a layer derive what it derives from its parameters after they have changed: of one tile, inside its task; of
  /// all layers that cannot do it tile by tile; or of one whole layer.
  void pack(const Tile& tile);
  void pack_untiled_layers() { pack_whole(layers_packed_whole_); }
  void pack_layer(std::size_t node) {
    if (network_.nodes()[node].plan.packed > 0) pack_whole({node});
  }

  /// Of the workers' tasks, to which whoever computes on them adds its own.
  TaskLog& log() { return arena_.log(); }
  /// Whose workers compute.
  Arena& arena() { return arena_; }

  const std::vector<Tile>& tiles() const { return tiles_; }
  std::int64_t slice_rows() const { return slice_rows_; }
  /// Of all memory that it holds.
  std::uint64_t bytes() const;
  /// Rows of the largest batch.
  std::int64_t capacity() const { return capacity_; }

  /// Tensors of the last batch, first row of the whole batch; valid until the next pass. z and δ: of one that kept
  /// them, and always of the last layer.
  const void* input() const { return batch_.input.data(); }
  const void* target() const { return batch_.target.data(); }
  const double* losses() const { return batch_.losses.data(); }
  const void* z(std::size_t node) const { return batch_[node].z.data(); }
  const void* activation(std::size_t node) const { return batch_[node].activation(); }
  const void* delta(std::size_t node) const { return batch_[node].delta.data(); }
  const void* d_activation(std::size_t node) const { return batch_[node].d_activation.data(); }
  const void* saved(std::size_t node, std::size_t i) const { return batch_[node].saved[i].data(); }
  /// State carried from training batch to training batch, one row for each of the capacity.
  void* carried_state(std::size_t node, std::size_t i) { return batch_[node].carried[0][i].data(); }
  /// ∂C/∂θ, complete after a for_each_gradient_tile that kept it.
  const void* gradient(std::size_t node, std::size_t parameter) const {
    return batch_[node].gradients[0][parameter].data();
  }
  /// Inside for_each_gradient_tile and, where gradients are kept, for_each_tile: the elements of the tile's range
  /// `range`.
  void* tile_gradient(const Tile& tile, std::size_t range);

  /// After a pass that kept its tensors: see BatchTensors.
  std::string first_non_finite(std::int64_t rows) const { return batch_.first_non_finite(rows); }

 private:
  /// What a worker owns; never carries anything from one task to another.
  struct Worker {
    std::vector<LayerCall> calls;
    Buffer workspace;
    Buffer d_input;    ///< a second consumer's ∂C/∂a, before it is added
    Buffer passing;    ///< z and δ of a slice that nobody needs when it has passed
    Buffer gradients;  ///< of one tile with batch-wide gradients, range after range
  };

  /// What a pass is for; every call of a layer in it says so.
  struct Pass {
    std::uint64_t step = 0;
    Mode mode = Mode::evaluation;
    std::int64_t rows = 0;
    Keep keep = Keep::no;
    const Batch* batch = nullptr;  ///< while the pass runs
  };

  void make_workers();
  void pack_whole(const std::vector<std::size_t>& layers);
  std::int64_t slices(std::int64_t rows) const { return (rows + slice_rows_ - 1) / slice_rows_; }
  Rows slice(std::int64_t index, std::int64_t rows) const;
  /// A call of this worker on these rows, with every tensor that the layer has.
  LayerCall& begin_call(std::size_t node, Rows rows);
  void* at(void* tensor, std::int64_t row, std::int64_t size) const;
  const void* producer_rows(int producer, Rows rows) const;

  /// Where a slice's z and ∂C/∂a, then δ, lie in this pass.
  void* z_rows(std::size_t node, Rows rows);
  void* delta_rows(std::size_t node, Rows rows);

  void begin_pass(const Batch& batch, Mode mode, std::uint64_t step, Keep keep);
  /// Calls body(index, rows) for each slice of the batch.
  template <class Body>
  void for_each_slice(const Body& body);
  /// Every stage but the last, each followed by the sums that the next one begins with.
  void forward_to_last_stage(const Batch& batch);
  /// The last stage of a slice, up to its losses, and to their gradient where it is wanted.
  void finish_forward(const Batch& batch, std::int64_t index, Rows rows, bool with_gradient);
  void gather(const Batch& batch, std::int64_t index, Rows rows);
  void forward_layer(std::size_t index, Rows rows);
  void forward_layers(Stage stage, std::int64_t index, Rows rows);
  void collect_forward(std::size_t node, std::int64_t index, Rows rows);
  void collect_backward(std::size_t node, std::int64_t index, Rows rows);
  void total(std::vector<std::vector<double>>& sums) const;
  void evaluate_loss(std::int64_t index, Rows rows, bool with_gradient);
  void backward_layers(Stage stage, std::int64_t index, Rows rows, Gradients wanted, std::int64_t capture_rows);
  void make_delta(std::size_t node, Rows rows, std::int64_t capture_rows);
  void backward_layer(std::size_t node, std::int64_t index, Rows rows, Gradients wanted);
  /// Where the tile's first so many ranges end in the worker's scratch.
  std::uint64_t scratch_offset(const Tile& tile, std::size_t ranges) const;
  /// Whether anything of the tile is wanted.
  bool compute_gradient(const Tile& tile, Gradients wanted);
  void multiply_gradient(const Tile& tile, Gradients wanted);
  void reduce_gradient(const Tile& tile, Gradients wanted);
  const MetricSums& sum_up();

  Network& network_;
  const Loss& loss_;
  const MetricSet& metrics_;
  Arena& arena_;
  const std::int64_t capacity_;
  const std::int64_t slice_rows_;
  const std::size_t element_;  ///< bytes per element
  const std::vector<Stage> stages_;
  const ScratchPlan scratch_;
  Pass pass_;  ///< the last one
  bool keeps_gradients_ = false;

  BatchTensors batch_;
  MetricSums sums_;  ///< of the last pass
  bool has_lengths_ = false;
  std::vector<std::uint64_t> keys_;  ///< one a layer, for random numbers
  std::vector<std::size_t> layers_packed_whole_, layers_with_state_, layers_with_carried_state_;
  std::vector<Tile> tiles_;
  std::vector<Worker> workers_;
};

}  // namespace backplane
