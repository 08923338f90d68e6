#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "data/dataset.h"
#include "network/network.h"
#include "parallel/arena.h"
#include "trainer/sampler.h"
#include "trainer/executor.h"
#include "trainer/loss.h"
#include "trainer/metrics.h"
#include "trainer/optimizer.h"
#include "trainer/options.h"
#include "trainer/schedule.h"

namespace backplane {

/// Where a run stands. Together with parameters and optimizer slots it is all that the rest of the run depends on:
/// orders of samples and random numbers are functions of it and of the seed.
struct TrainState {
  std::int64_t step = 0;      ///< optimizer steps done
  std::int64_t epoch = 0;     ///< epochs completed
  std::int64_t position = 0;  ///< batches done in the epoch that runs
  MetricSums epoch_sums;      ///< over the samples so far of the epoch that the last step belongs to
  std::int64_t epoch_samples = 0;
  bool owes_end_of_epoch = false;  ///< the last step ended an epoch, and end_epoch has not been called for it
  std::optional<Metrics> train_metrics, validation_metrics;  ///< of the last epoch that was ended
  std::optional<double> best;                                ///< of the metric that early stopping looks at
  std::int64_t best_step = 0;
  std::int64_t epochs_without_improvement = 0;
};

/// How long a run is, if nothing ends it early.
struct RunLength {
  std::int64_t batch_size = 0;  ///< samples of a full batch: no more than there are
  std::int64_t steps_per_epoch = 0;
  std::int64_t total_steps = 0;
};
RunLength run_length(const TrainOptions& options, std::int64_t training_samples);

/// Trains a network step by step. The caller decides what happens between steps; nothing here writes files or prints.
/// Used by one thread; works on the arena's.
class Trainer {
 public:
  /// References must outlive the trainer.
  Trainer(Network& network, const DataSet& data, const Loss& loss, Arena& arena, const TrainOptions& options,
          std::uint64_t seed);
  Trainer(const Trainer&) = delete;  // its parts refer to each other
  Trainer& operator=(const Trainer&) = delete;

  const TrainState& state() const { return state_; }
  Optimizer& optimizer() { return optimizer_; }
  Executor& executor() { return executor_; }
  const Loss& loss() const { return loss_; }
  const MetricSet& metrics() const { return metrics_; }
  /// Samples of a full batch: no more than there are.
  std::int64_t batch_size() const { return length_.batch_size; }
  std::int64_t steps_per_epoch() const { return length_.steps_per_epoch; }
  /// Steps of the whole run, if nothing ends it early.
  std::int64_t total_steps() const { return length_.total_steps; }
  double learning_rate(std::int64_t step) const { return optimizer_.base_rate() * schedule_.factor(step); }
  bool is_finished() const { return state_.step >= length_.total_steps || stopped_early_; }
  bool has_stopped_early() const { return stopped_early_; }

  /// One optimizer step. Returns the metrics of its batch, as the parameters were before the step; they stand until the
  /// next one. `before_update` is called between backward pass and update: the executor then keeps z, a and δ, made by
  /// the parameters as they are, all gradients, and the first `capture_rows` rows of every ∂C/∂a.
  /// Throws UserError (diverged) where the loss is NaN or infinite, naming step and the first such tensor; parameters
  /// are then as before the step. Likewise where a gradient is, naming it; other parameters have then taken the step,
  /// and the trainer is of no more use.
  const Metrics& step(const std::function<void(const Batch&)>& before_update = {}, std::int64_t capture_rows = 0);

  /// Whether the last step was the last of its epoch.
  bool at_end_of_epoch() const { return state_.position == 0 && state_.step > 0; }
  /// Mean over the training batches so far of the epoch that the last step belongs to; of no samples before the first.
  Metrics epoch_metrics() const;

  /// Measures a split with the parameters as they are. Empty where `is_stop_asked` said so between two batches. Throws
  /// UserError (diverged) where the loss of a sample is not finite, naming it and the first such tensor.
  std::optional<Metrics> evaluate(const Samples& samples, const std::function<bool()>& is_stop_asked);
  Metrics evaluate(const Samples& samples) {
    return *evaluate(samples, [] { return false; });
  }

  /// Takes note of the metrics of the epoch that the last step ended, and of its validation, for early stopping.
  void end_epoch(const std::optional<Metrics>& validation);

  /// Goes on from another trainer's state, of the same network and data: parameters, optimizer slots and layers' states
  /// have been put in place by the caller, who may do so through `optimizer` and `executor`. What layers derive from
  /// parameters is derived anew.
  void restore(const TrainState& state);

  /// Computes the batch of the next step, forward and backward with all gradients, without changing a parameter: the
  /// executor then holds what the checkpoint stores, made by exactly the parameters that it stores. The first
  /// `capture_rows` rows of ∂C/∂a are kept. Returns the sample indices of that batch. Throws as `step` does where the
  /// loss is not finite: a checkpoint of a network that has diverged would only push a good one out.
  std::vector<std::int64_t> probe(std::int64_t capture_rows);

 private:
  Batch next_batch();
  void update(const Batch& batch, Keep keep);
  double gradient_norm();
  [[noreturn]] void report_divergence(const Batch& batch);
  [[noreturn]] void report_divergence_in_evaluation(const Batch& batch);
  /// Where the first NaN or infinity of the tile's gradient stands; "" where there is none. [compute]
  std::string non_finite_gradient(const Tile& tile);

  Network& network_;
  const DataSet& data_;
  const Loss& loss_;
  const TrainOptions options_;
  const std::uint64_t seed_;
  Sampler sampler_;  ///< of the training samples
  const RunLength length_;
  const MetricSet metrics_;
  Executor executor_;
  Optimizer optimizer_;
  Schedule schedule_;
  TrainState state_;
  Metrics batch_metrics_;  ///< of the last step
  bool stopped_early_ = false;
  std::vector<double> squares_;      ///< of the gradients, tile by tile
  std::int64_t sampled_epoch_ = -1;  ///< the epoch that sampler_ stands at
};

}  // namespace backplane
