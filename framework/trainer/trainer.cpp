#include "trainer/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "base/multiversion.h"
#include "random/permutation.h"
#include "tensor/finite.h"
#include "trainer/divergence.h"
#include "trainer/slice.h"

namespace backplane {

RunLength run_length(const TrainOptions& options, std::int64_t training_samples) {
  const std::int64_t per_epoch = count_batches(training_samples, options.batch_size);
  const std::int64_t by_epochs = options.epochs.value_or(0) * per_epoch;
  const std::int64_t in_all = !options.steps   ? by_epochs
                              : options.epochs ? std::min(by_epochs, *options.steps)
                                               : *options.steps;
  return {.batch_size = std::min(options.batch_size, training_samples),
          .steps_per_epoch = per_epoch,
          .total_steps = in_all};
}

Trainer::Trainer(Network& network, const DataSet& data, const Loss& loss, Arena& arena, const TrainOptions& options,
                 std::uint64_t seed)
    : network_(network),
      data_(data),
      loss_(loss),
      options_(options),
      seed_(seed),
      sampler_(data.train.count, options.batch_size),
      length_(run_length(options, data.train.count)),
      metrics_(options.metrics, loss),
      executor_(network, loss, metrics_, arena,
                std::min(options.batch_size, std::max(data.train.count, std::int64_t{1})),
                options.slice_rows.value_or(default_slice_rows(network, options.batch_size)), seed),
      optimizer_(options.optimizer, network, executor_.tiles()),
      schedule_(options.schedule, options.warmup, length_.steps_per_epoch, length_.total_steps),
      state_{.epoch_sums = metrics_.no_sums()} {}

Batch Trainer::next_batch() {
  if (sampled_epoch_ != state_.epoch) {
    if (options_.streams)
      sampler_.batch_contiguously();
    else if (options_.shuffle)
      sampler_.shuffle(Stream(seed_, Purpose::shuffle, static_cast<std::uint64_t>(state_.epoch)));
    sampled_epoch_ = state_.epoch;
  }
  const Sampler::Indices indices = sampler_.batch(state_.position);
  return {.data = &data_,
          .samples = &data_.train,
          .indices = indices.data(),
          .count = std::ssize(indices),
          .is_start = state_.position == 0,
          .epoch = static_cast<std::uint64_t>(state_.epoch)};
}

const Metrics& Trainer::step(const std::function<void(const Batch&)>& before_update, std::int64_t capture_rows) {
  const Batch batch = next_batch();
  const Keep keep = before_update ? Keep::yes : Keep::no;
  const MetricSums& sums = executor_.forward_backward(batch, static_cast<std::uint64_t>(state_.step + 1),
                                                      Gradients::trainable, keep, capture_rows);
  if (!std::isfinite(sums.loss_sum)) report_divergence(batch);
  if (before_update) before_update(batch);
  executor_.update_state(Mode::training);
  update(batch, keep);

  if (batch.is_start) {
    state_.epoch_sums.clear();
    state_.epoch_samples = 0;
  }
  ++state_.step;
  ++state_.position;
  state_.epoch_sums += sums;
  state_.epoch_samples += batch.count;
  state_.owes_end_of_epoch = state_.position == length_.steps_per_epoch;
  if (state_.owes_end_of_epoch) {
    ++state_.epoch;
    state_.position = 0;
  }
  metrics_.make(sums, batch.count, batch_metrics_);
  return batch_metrics_;
}

void Trainer::update(const Batch& batch, Keep keep) {
  Optimizer::Step step{.number = static_cast<std::uint64_t>(state_.step + 1),
                       .rate = learning_rate(state_.step + 1),
                       .clip_value = options_.clip_value};
  std::mutex mutex;
  const Tile* wrong = nullptr;  // of the layer nearest to the loss: backward spreads from there
  std::string where;
  const auto update_tile = [&](const Tile& tile) {
    if (std::string found = non_finite_gradient(tile); !found.empty()) {
      const std::lock_guard lock(mutex);
      if (wrong == nullptr || tile.node > wrong->node || (tile.node == wrong->node && tile.index < wrong->index))
        wrong = &tile, where = std::move(found);
      return;
    }
    {
      const TaskLog::Span span(executor_.log(), Work::optimizer, tile.node, tile.number);
      for (std::size_t r = 0; r < tile.ranges.size(); ++r)
        optimizer_.update(tile, r, executor_.tile_gradient(tile, r), step);
    }
    executor_.pack(tile);
  };
  const bool clips_norm = options_.clip_norm > 0.0, needs_sums = optimizer_.needs_sums();
  if (!clips_norm && !needs_sums) {
    executor_.for_each_gradient_tile(Gradients::trainable, keep, update_tile);
  } else {  // norms are of all gradients, so that the optimizer cannot follow behind each
    if (clips_norm) {
      const double norm = gradient_norm();
      if (norm > options_.clip_norm) step.gradient_scale = options_.clip_norm / norm;
    } else {
      executor_.for_each_gradient_tile(Gradients::trainable, Keep::yes, [](const Tile&) {});
    }
    if (needs_sums) {
      executor_.for_each_tile([&](const Tile& tile) {
        const TaskLog::Span span(executor_.log(), Work::optimizer, tile.node, tile.number);
        for (std::size_t r = 0; r < tile.ranges.size(); ++r)
          optimizer_.collect(tile, r, executor_.tile_gradient(tile, r), step);
      });
      optimizer_.add_up();
    }
    executor_.for_each_tile(update_tile);
  }
  if (wrong != nullptr) {
    const Divergence why = explain_divergence(batch, loss_, state_.step == 0);
    throw UserError(ExitCode::diverged,
                    fmt::format("a gradient is not finite at step {} (epoch {}), though the loss is: NaN or infinity "
                                "first stands in {}{}",
                                state_.step + 1, state_.epoch + 1, where, why.data),
                    why.remedy + "; the step was not completed");
  }
  executor_.pack_untiled_layers();
}

namespace {

/// Whether every number is finite: their exponents are looked at as whole numbers, in vectors.
BP_MULTIVERSION bool all_finite(const float* values, std::int64_t count) {
  constexpr std::uint32_t kExponent = 0x7F80'0000;
  std::uint32_t others = 0;
  for (std::int64_t i = 0; i < count; ++i)
    others |= (std::bit_cast<std::uint32_t>(values[i]) & kExponent) == kExponent ? 1u : 0u;
  return others == 0;
}
BP_MULTIVERSION bool all_finite(const double* values, std::int64_t count) {
  constexpr std::uint64_t kExponent = 0x7FF0'0000'0000'0000;
  std::uint64_t others = 0;
  for (std::int64_t i = 0; i < count; ++i)
    others |= (std::bit_cast<std::uint64_t>(values[i]) & kExponent) == kExponent ? 1u : 0u;
  return others == 0;
}

}  // namespace

std::string Trainer::non_finite_gradient(const Tile& tile) {
  const LayerNode& node = network_.nodes()[tile.node];
  for (std::size_t i = 0; i < tile.ranges.size(); ++i) {
    const Tile::Range& range = tile.ranges[i];
    const Parameter& parameter = node.parameters[range.parameter];
    if (!parameter.trainable) continue;
    const std::int64_t element = dispatch(network_.dtype(), [&]<class T>(T) -> std::int64_t {
      const T* g = static_cast<const T*>(executor_.tile_gradient(tile, i));
      const T* end = g + (range.end - range.begin);
      if (all_finite(g, end - g)) return -1;
      // Clipping by value makes a number of an infinity.
      const T* found = std::find_if(
          g, end, [&](T value) { return std::isnan(value) || (std::isinf(value) && options_.clip_value == 0.0); });
      return found == end ? -1 : range.begin + (found - g);
    });
    if (element >= 0)
      return fmt::format("the gradient of parameter '{}' of layer '{}', element {}", parameter.name, node.name(),
                         element);
  }
  return {};
}

double Trainer::gradient_norm() {
  squares_.assign(executor_.tiles().size(), 0.0);
  executor_.for_each_gradient_tile(Gradients::trainable, Keep::yes, [&](const Tile& tile) {
    double sum = 0.0;
    for (std::size_t r = 0; r < tile.ranges.size(); ++r) {
      const Tile::Range& range = tile.ranges[r];
      if (!network_.nodes()[tile.node].parameters[range.parameter].trainable) continue;
      dispatch(network_.dtype(), [&]<class T>(T) {
        const T* g = static_cast<const T*>(executor_.tile_gradient(tile, r));
        for (std::int64_t i = 0; i < range.end - range.begin; ++i)
          sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
      });
    }
    squares_[tile.index] = sum;
  });
  return std::sqrt(std::accumulate(squares_.begin(), squares_.end(), 0.0));
}

Metrics Trainer::epoch_metrics() const {
  Metrics made;
  if (state_.epoch_samples > 0) metrics_.make(state_.epoch_sums, state_.epoch_samples, made);
  return made;
}

std::optional<Metrics> Trainer::evaluate(const Samples& samples, const std::function<bool()>& is_stop_asked) {
  Sampler sampler(samples.count, batch_size());
  if (options_.streams) sampler.batch_contiguously();
  MetricSums sums = metrics_.no_sums();
  for (std::int64_t i = 0; i < sampler.batches(); ++i) {
    if (is_stop_asked()) return std::nullopt;
    const Sampler::Indices indices = sampler.batch(i);
    const Batch batch{.data = &data_,
                      .samples = &samples,
                      .indices = indices.data(),
                      .count = std::ssize(indices),
                      .is_start = i == 0};
    const MetricSums& of_batch = executor_.forward(batch);
    if (!std::isfinite(of_batch.loss_sum)) report_divergence_in_evaluation(batch);
    executor_.update_state(Mode::evaluation);
    sums += of_batch;
  }
  Metrics made;
  metrics_.make(sums, samples.count, made);
  return made;
}

void Trainer::end_epoch(const std::optional<Metrics>& validation) {
  state_.owes_end_of_epoch = false;
  state_.train_metrics = epoch_metrics();
  state_.validation_metrics = validation;
  if (!options_.early_stopping || !validation) return;
  const EarlyStopping& rule = *options_.early_stopping;
  const Metric* metric = metrics_.find(rule.metric);  // none of the name "loss"
  const bool more_is_better = metric != nullptr && metric->more_is_better();
  const double value = validation->find(rule.metric).value_or(validation->loss);
  const bool is_better =
      std::isfinite(value) && (!state_.best || (more_is_better ? value > *state_.best + rule.min_delta
                                                               : value < *state_.best - rule.min_delta));
  if (is_better) {
    state_.best = value;
    state_.best_step = state_.step;
    state_.epochs_without_improvement = 0;
  } else {
    ++state_.epochs_without_improvement;
  }
  stopped_early_ = state_.epochs_without_improvement >= rule.patience;
}

void Trainer::restore(const TrainState& state) {
  state_ = state;
  stopped_early_ = options_.early_stopping && state_.epochs_without_improvement >= options_.early_stopping->patience;
  for (std::size_t i = 0; i < network_.nodes().size(); ++i) executor_.pack_layer(i);
}

std::vector<std::int64_t> Trainer::probe(std::int64_t capture_rows) {
  const Batch batch = next_batch();
  const MetricSums& sums = executor_.forward_backward(batch, static_cast<std::uint64_t>(state_.step + 1),
                                                      Gradients::all, Keep::yes, capture_rows);
  if (!std::isfinite(sums.loss_sum)) report_divergence(batch);
  executor_.for_each_gradient_tile(Gradients::all, Keep::yes, [](const Tile&) {});
  return std::vector<std::int64_t>(batch.indices, batch.indices + batch.count);
}

void Trainer::report_divergence(const Batch& batch) {
  // Once more, with every tensor kept to be searched.
  executor_.forward_backward(batch, static_cast<std::uint64_t>(state_.step + 1), Gradients::trainable, Keep::yes);
  std::string where = executor_.first_non_finite(batch.count);
  if (where.empty()) where = "the loss itself";
  const Divergence why = explain_divergence(batch, loss_, state_.step == 0);
  throw UserError(ExitCode::diverged,
                  fmt::format("the loss is not finite at step {} (epoch {}): NaN or infinity first stands in {}{}",
                              state_.step + 1, state_.epoch + 1, where, why.data),
                  why.remedy + "; the step was not taken");
}

void Trainer::report_divergence_in_evaluation(const Batch& batch) {
  executor_.forward(batch, Mode::evaluation, 0, Keep::yes);
  const double* losses = executor_.losses();
  const std::int64_t wrong = first_non_finite(losses, batch.count);
  const char* split = batch.split();
  Batch of_sample = batch;
  if (wrong >= 0) of_sample.indices += wrong, of_sample.count = 1;
  const Divergence why = explain_divergence(of_sample, loss_, false);
  const std::string which =
      wrong < 0 ? "the sum of a batch"
                : fmt::format("{} for sample {}", losses[wrong], batch.samples->source_index(batch.indices[wrong]));
  std::string where = executor_.first_non_finite(batch.count);
  if (where.empty()) where = "the loss itself";
  throw UserError(ExitCode::diverged,
                  fmt::format("the {} loss is not finite after step {}: {}; NaN or infinity first stands in {}{}",
                              split, state_.step, which, where, why.data),
                  why.remedy);
}

}  // namespace backplane
