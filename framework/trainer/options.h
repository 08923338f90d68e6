#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/schema.h"

namespace backplane {

/// The schema of the section `train:`.
config::Schema train_schema();

/// Stop when a metric has not improved for a while.
struct EarlyStopping {
  std::string metric = "loss";  ///< or the name of one that is measured
  std::int64_t patience = 0;    ///< epochs without improvement
  double min_delta = 0.0;       ///< what counts as one
  Place place;
};

/// The section `train:`, read. Optimizer and schedule stay nodes: they have readers of their own.
struct TrainOptions {
  std::optional<std::int64_t> epochs, steps;  ///< whichever ends first
  std::int64_t batch_size = 0;
  std::optional<std::int64_t> slice_rows;  ///< empty: see default_slice_rows
  bool shuffle = true;
  bool streams = false;                      ///< contiguous (stateful) batching; see Sampler
  double clip_norm = 0.0, clip_value = 0.0;  ///< 0: off
  double l1 = 0.0, l2 = 0.0;
  std::optional<config::Node> metrics;  ///< the list; empty: see default_metrics
  std::optional<EarlyStopping> early_stopping;
  config::Duration warmup;
  config::Node optimizer, schedule;
};

/// Reads a validated `train:`. Throws UserError (bad_config) where neither epochs nor steps are given, or
/// early stopping names a metric that is not measured.
TrainOptions read_train(const config::Node& section);

}  // namespace backplane
