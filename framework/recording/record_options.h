#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/schema.h"
#include "recorder/statistics.h"
#include "recorder/trace_file.h"

namespace backplane {

/// Which steps are recorded: all that any of the rules names.
struct StepRules {
  std::optional<config::Duration> every;  ///< multiples of it
  std::vector<std::int64_t> at;
  std::int64_t first = 0;    ///< the first so many
  std::int64_t last = 0;     ///< the last so many of the run, if nothing ends it early
  double exponential = 0.0;  ///< 1, then each at least so many times the one before; 0: no such rule
  Place place;

  bool is_empty() const { return !every && at.empty() && first == 0 && last == 0 && exponential == 0.0; }
};

/// Tensors to record, as written: "delta" (of every layer), "conv*/delta", "hidden1/weights/W".
struct Tap {
  std::string pattern;
  Place place;
};

/// What happens to a record that is due while the writer is still busy with all buffers.
enum class WhenBusy {
  wait,  ///< training waits
  thin   ///< it is left out, counted, and its step noted in the trace
};

struct StatisticsOptions {
  StepRules steps;
  std::vector<Tap> taps;
  std::vector<Statistic> of;
};

/// What is recorded of each layer.
struct RecordOptions {
  std::int64_t samples = 32;  ///< first rows of a batch that are kept, in checkpoints and traces
  // Of the trace:
  StepRules steps;
  std::vector<Tap> taps;
  std::vector<std::int64_t> time_steps;  ///< of tensors with a time axis, negative ones from the end; empty: all
  Place time_steps_place;
  std::optional<TraceType> element;  ///< empty: that of the run
  Compression compression = Compression::gzip;
  WhenBusy when_busy = WhenBusy::wait;
  std::optional<std::uint64_t> budget;  ///< bytes of all records, before packing; steps are thinned out to fit
  Place budget_place;
  StatisticsOptions statistics;
  // Of metrics.jsonl:
  bool has_layer_digests = false;
};

config::Schema record_schema();

/// `record` has been validated. Throws UserError (bad_config).
RecordOptions read_record(const config::Node& record);

}  // namespace backplane
