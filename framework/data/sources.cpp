#include "data/sources.h"

#include <algorithm>

#include "base/error.h"

namespace backplane {

namespace sources {
DataSource idx(), cifar10(), cifar100(), csv(), hdf5(), libsvm(), text(), inline_samples(), synthetic();
}  // namespace sources

namespace {

const DataSource& source_of(const config::Node& section) {
  const auto found = std::ranges::find(data_sources(), section.chosen(), &DataSource::name);
  BP_ASSERT(found != data_sources().end());
  return *found;
}

}  // namespace

bool name_no_targets(const config::Node& options) {
  return std::ranges::none_of(options.map, [](const config::Node::Entry& entry) {
    return entry.first == "targets" || !name_no_targets(entry.second);
  });
}

const std::vector<DataSource>& data_sources() {
  using namespace sources;
  static const std::vector<DataSource> kAll{idx(),    cifar10(), cifar100(),       csv(),      hdf5(),
                                            libsvm(), text(),    inline_samples(), synthetic()};
  return kAll;
}

config::Schema data_schema() {
  config::Schema schema = config::Schema::choice("data format");
  for (const DataSource& source : data_sources()) schema.alternative(source.name, source.options, source.doc);
  return schema;
}

bool has_labels(const config::Node& section) {
  return source_of(section).has_labels(section.choice());
}

DataSet load_data(const config::Node& section, std::uint64_t seed) {
  return source_of(section).load(section.choice(), seed);
}

}  // namespace backplane
