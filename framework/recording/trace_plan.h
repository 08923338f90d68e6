#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recording/recorded_steps.h"
#include "recording/tap_source.h"
#include "recorder/trace_file.h"
#include "trainer/trainer.h"

namespace backplane {

/// What a run is going to record: which tensors, at which steps, how large. Made before anything is written.
class TracePlan {
 public:
  /// Throws UserError (bad_config) where a tap would never be recorded, or a budget holds not one record.
  TracePlan(const RecordOptions& record, const Network& network, const Loss& loss, const RunLength& length);

  bool is_empty() const { return tensors.empty() && statistics.empty(); }
  /// `metrics`: those of the run, each of which is a curve.
  TraceLayout layout(const MetricSet& metrics) const;
  /// Indices of the series of the file.
  enum Series : std::size_t { kTensors, kStatistics, kCurves, kSkipped };

  /// Of one record, as stored, before packing.
  std::uint64_t tensor_bytes() const;
  std::uint64_t statistics_bytes() const;
  /// Of all records.
  std::uint64_t total_bytes() const;
  /// Of the buffers that hold records on their way to the file.
  std::uint64_t buffer_bytes() const;
  static constexpr int kRecordsInFlight = 3, kStatisticsInFlight = 16;

  std::vector<LayerTensor> tensors;     ///< recorded whole
  std::vector<LayerTensor> statistics;  ///< of which statistics are recorded
  std::vector<Statistic> statistics_of;
  RecordedSteps tensor_steps, statistics_steps;
  std::vector<std::string> warnings;  ///< of steps that are asked for beyond the end of the run
  std::int64_t stride = 1;            ///< every so many of the steps asked for are recorded, to keep to the budget
  std::int64_t samples = 0;
  std::vector<std::int64_t> time_steps;  ///< empty: all
  TraceType element = TraceType::float32;
  Compression compression = Compression::gzip;
  WhenBusy when_busy = WhenBusy::wait;

  /// Shape of a record of one of `tensors`.
  Shape record_shape(const LayerTensor& source) const;
  bool is_cut_in_time(const LayerTensor& source) const;

 private:
  TraceSeries tensor_series() const;
  TraceSeries statistics_series() const;
  std::vector<TraceScale> scales_of(const std::vector<TraceSeries>& series) const;
  void look_at_steps(const StepRules& rules, const RecordedSteps& steps, std::int64_t total_steps, const char* path);
  void choose_time_steps(const RecordOptions& record);
  void fit(std::uint64_t budget, const Place& place);

  std::vector<std::string> layer_names_;
};

}  // namespace backplane
