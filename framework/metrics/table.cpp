#include "metrics/table.h"

#include <algorithm>

#include "base/error.h"

namespace backplane {

namespace metric_kinds {
MetricKind accuracy(), top_k(), mean_absolute_error();
}  // namespace metric_kinds

const std::vector<MetricKind>& metrics() {
  using namespace metric_kinds;
  static const std::vector<MetricKind> kAll{accuracy(), top_k(), mean_absolute_error()};
  return kAll;
}

config::Schema metric_schema() {
  config::Schema schema = config::Schema::choice("metric");
  for (const MetricKind& kind : metrics()) schema.alternative(kind.name, kind.options, kind.doc);
  return schema;
}

const MetricKind& metric_kind(const config::Node& choice) {
  const auto found = std::ranges::find(metrics(), choice.chosen(), &MetricKind::name);
  BP_ASSERT(found != metrics().end());
  return *found;
}

config::Node default_metrics(bool has_labels) {
  config::Node list = config::Node::empty_list();
  if (has_labels) list.list.push_back(config::validate(config::Node::plain("accuracy"), metric_schema()));
  return list;
}

}  // namespace backplane
