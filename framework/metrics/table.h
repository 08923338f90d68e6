#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "config/schema.h"
#include "metrics/metric.h"

namespace backplane {

/// A row of the table of metrics.
struct MetricKind {
  std::string name;  ///< the word in the YAML
  std::string doc;   ///< one line
  config::Schema options;
  std::unique_ptr<Metric> (*make)(const config::Node& options);
};

/// For `make`: a Kind of these options, or of none.
template <class Kind>
std::unique_ptr<Metric> make_metric(const config::Node& options) {
  if constexpr (std::is_default_constructible_v<Kind>)
    return std::make_unique<Kind>();
  else
    return std::make_unique<Kind>(options);
}

/// All of them, as they are shown. Each is one file in kinds/ and one row.
const std::vector<MetricKind>& metrics();

/// The schema of an item of `train.metrics`.
config::Schema metric_schema();

/// `choice`: a validated item of `train.metrics`.
const MetricKind& metric_kind(const config::Node& choice);

/// What is measured where nobody says what: accuracy, of data with labels.
config::Node default_metrics(bool has_labels);

}  // namespace backplane
