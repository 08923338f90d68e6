#include "recording/copy_records.h"

#include <chrono>

#include "files/open_file.h"
#include "sandbox/fields.h"
#include "sandbox/run_in_child.h"

namespace backplane {

template <class Way>
void fields(Way& way, TraceTensor& tensor) {
  way(tensor.path, tensor.shape, tensor.axes, tensor.element, tensor.attributes);
}
template <class Way>
void fields(Way& way, TraceSeries& series) {
  way(series.step_path, series.tensors, series.plot);
}
template <class Way>
void fields(Way& way, TraceScale& scale) {
  way(scale.path, scale.axis, scale.values);
}
template <class Way>
void fields(Way& way, TraceLayout& layout) {
  way(layout.layer_names, layout.series, layout.scales);
}

namespace {

struct CopyRequest {
  std::string from;
  std::int64_t last_step = 0;
  TraceLayout layout;
  Compression compression{};
  std::string copy;  ///< its path
};

template <class Way>
void fields(Way& way, CopyRequest& request) {
  way(request.from, request.last_step, request.layout, request.compression, request.copy);
}

/// In the child.
void copy_for_parent(ByteReader& asked, ByteWriter& answer) {
  const auto request = read_fields<CopyRequest>(asked);
  TraceFile copy(request.copy, name_of_descriptor(kChildFile, request.copy), request.layout, request.compression);
  for (const std::int64_t step : copy.copy_records(request.from, request.last_step)) answer.number(step);
}

}  // namespace

const ChildJob kCopyRecords = reading_job<copy_for_parent>("copy-records");

std::vector<std::int64_t> copy_records_in_child(const std::string& from, std::int64_t last_step,
                                                const TraceLayout& layout, Compression compression,
                                                const TemporaryFile& copy) {
  const ChildLimits limits{.memory = std::int64_t{2} << 30, .most_sent = 1 << 20, .patience = std::chrono::hours(1)};
  const CopyRequest request{from, last_step, layout, compression, copy.path()};
  std::vector<std::int64_t> last_steps(layout.series.size());
  run_in_child(
      from, limits, kCopyRecords, [&](ByteWriter& asked) { write_fields(asked, request); },
      [&](ByteReader& answer) {
        for (std::int64_t& step : last_steps) step = answer.number<std::int64_t>();
      },
      copy.descriptor());
  return last_steps;
}

}  // namespace backplane
