#include "trainer/metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "metrics/table.h"

namespace backplane {

std::optional<double> Metrics::find(const std::string& name) const {
  const auto found = std::ranges::find(values, name, &Value::name);
  return found == values.end() ? std::nullopt : std::optional(found->value);
}

void MetricSums::clear() {
  loss_sum = 0.0;
  std::ranges::fill(metrics, 0.0);
  predictions = 0;
}

MetricSums& MetricSums::operator+=(const MetricSums& more) {
  BP_ASSERT(metrics.size() == more.metrics.size());
  loss_sum += more.loss_sum;
  for (std::size_t i = 0; i < metrics.size(); ++i) metrics[i] += more.metrics[i];
  predictions += more.predictions;
  return *this;
}

namespace {

/// What the loss knows of a metric's data and outputs goes against it.
std::optional<Objection> objection_to(const Metric& metric, const Loss& loss) {
  if (metric.targets() == TargetKind::labels && !loss.has_labels())
    return Objection{"is of data with `labels`, but this has `targets`", "leave it out"};
  if (metric.targets() == TargetKind::vectors && loss.has_labels())
    return Objection{"is of data with `targets`, but this has `labels`", "leave it out"};
  return metric.objects_to_outputs(loss.features());
}

}  // namespace

MetricSet::MetricSet(const std::optional<config::Node>& choices, const Loss& loss) {
  const config::Node list = choices ? *choices : default_metrics(loss.has_labels());
  for (std::size_t i = 0; i < list.list.size(); ++i) {
    const config::Node& choice = list.list[i];
    const MetricKind& kind = metric_kind(choice);
    Entry entry{.doc = kind.doc, .metric = kind.make(choice.choice()), .first_sum = sums_};
    entry.name = entry.metric->name();
    std::optional<Objection> objection = objection_to(*entry.metric, loss);
    if (find(entry.name) != nullptr) objection = Objection{"stands there twice", "leave one of them out"};
    if (objection)
      throw UserError(ExitCode::bad_config,
                      Diagnostic{.place = choice.place,
                                 .what = fmt::format("the metric '{}' {}", entry.name, objection->what),
                                 .path = fmt::format("train.metrics[{}]", i),
                                 .hint = objection->hint});
    sums_ += static_cast<std::size_t>(entry.metric->sums());
    entries_.push_back(std::move(entry));
  }
}

const Metric* MetricSet::find(const std::string& name) const {
  const auto found = std::ranges::find(entries_, name, &Entry::name);
  return found == entries_.end() ? nullptr : found->metric.get();
}

template <class T>
void MetricSet::evaluate(const Loss& loss, const Loss::Samples<T>& samples, double* sums) const {
  for (std::int64_t n = 0; n < samples.count; ++n, sums += sums_) {
    std::fill_n(sums, sums_, 0.0);
    const std::int64_t steps = loss.steps(samples.length(n));
    for (std::int64_t t = 0; t < steps; ++t)
      for (const Entry& entry : entries_) entry.metric->add(loss.step(samples, n, t), sums + entry.first_sum);
  }
}

template void MetricSet::evaluate(const Loss&, const Loss::Samples<float>&, double*) const;
template void MetricSet::evaluate(const Loss&, const Loss::Samples<double>&, double*) const;

void MetricSet::make(const MetricSums& sums, std::int64_t samples, Metrics& made) const {
  made.loss = sums.loss_sum / static_cast<double>(samples);
  made.samples = samples;
  made.values.resize(entries_.size());
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    made.values[i].name = entries_[i].name;
    made.values[i].value = entries_[i].metric->value(sums.metrics.data() + entries_[i].first_sum, sums.predictions);
  }
}

}  // namespace backplane
