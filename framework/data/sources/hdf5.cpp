#include "data/hdf5_tables.h"
#include "data/section.h"
#include "data/sources.h"

namespace backplane::sources {

using config::Node;
using config::Schema;

namespace {

Schema hdf5_options() {
  return Schema::map()
      .required("train", Schema::text(), "HDF5 file")
      .optional(
          "test", Schema::text(), std::nullopt,
          "HDF5 file with the same data sets; or a number: samples of `train`, drawn at random, or a part of them "
          "below 1")
      .required("inputs", Schema::text(), "data set of numbers; its first axis counts samples")
      .optional("labels", Schema::text(), std::nullopt,
                "data set of whole numbers, one a sample, or one for each of its steps")
      .optional("targets", Schema::text(), std::nullopt, "data set of numbers, instead of labels")
      .optional("lengths", Schema::text(), std::nullopt,
                "data set of whole numbers: how many steps (first axis of a sample) are valid; the rest is padding");
}

DataSet read_hdf5(const Node& map, std::uint64_t seed) {
  const bool labels = has_first(map, "labels", "targets");
  const Hdf5Options options{.train = map.at("train").as_text(),
                            .test = test_file(map),
                            .inputs = map.at("inputs").as_text(),
                            .targets = map.at(labels ? "labels" : "targets").as_text(),
                            .targets_are_labels = labels,
                            .lengths = optional_text(map, "lengths")};
  return prepared(load_hdf5(options), map, seed, test_part(map));
}

}  // namespace

DataSource hdf5() {
  return {
      .name = "hdf5", .doc = "tables in HDF5 files", .options = with_preparation(hdf5_options()), .load = read_hdf5};
}

}  // namespace backplane::sources
