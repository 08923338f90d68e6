#include <fmt/format.h>

#include "data/section.h"
#include "data/sources.h"
#include "data/synthetic.h"
#include "data/table.h"

namespace backplane::sources {

using config::Node;
using config::Schema;

namespace {

constexpr double kMostSamples = 1e8;
constexpr double kMostSpread = 1e6;  ///< keeps every synthetic value finite

Schema synthetic_options() {
  const auto sized = [](Schema map, const std::string& samples) {
    return with_preparation(
        map.optional("samples", Schema::integer().at_least(1).at_most(kMostSamples), samples, "training samples")
            .optional("test", Schema::integer().at_least(0).at_most(kMostSamples), "0", "test samples"));
  };
  const Schema noise = Schema::number().at_least(0).at_most(kMostSpread);
  const Schema count = Schema::integer().at_least(1).at_most(1 << 24);
  return Schema::choice("synthetic data set")
      .alternative("spirals",
                   sized(Schema::map()
                             .optional("classes", count, "3", "number of spirals")
                             .optional("turns", Schema::number().at_least(-kMostSpread).at_most(kMostSpread), "1.0",
                                       "turns from the centre to the rim")
                             .optional("noise", noise, "0.1", "deviation of the points"),
                         "300"),
                   "intertwined spirals in the plane")
      .alternative("xor", sized(Schema::map().optional("noise", noise, "0.0", "deviation of the points"), "4"),
                   "the corners of the unit square")
      .alternative("random",
                   sized(Schema::map()
                             .required("inputs", Schema::either(count, Schema::list(count).items(1, 8)),
                                       "numbers per sample, or the shape of a sample")
                             .optional("classes", count, std::nullopt, "random labels of so many classes")
                             .optional("targets", count, std::nullopt, "random target vectors, instead of classes")
                             .optional("lengths", Schema::boolean(), "false",
                                       "random lengths, 1 to the first extent of a sample; what follows them is 0"),
                         "1000"),
                   "standard-normal inputs, for measuring speed");
}

DataSet make_random(const Node& map, const SyntheticSize& size, std::uint64_t seed) {
  Shape shape;
  const Node& inputs = map.at("inputs");
  if (inputs.is_scalar()) shape.push_back(inputs.as_integer());
  for (const Node& extent : inputs.list) shape.push_back(extent.as_integer());
  const bool lengths = map.at("lengths").as_bool();
  if (lengths && shape.size() < 2)
    origin_of(map.at("lengths"), "data.lengths")
        .fail(fmt::format("lengths need samples of steps, [T, F]; these have shape {}", to_string(shape)));
  const bool labels = has_first(map, "classes", "targets");
  const std::int64_t outputs = map.at(labels ? "classes" : "targets").as_integer();

  Shape whole{size.samples + size.test};
  whole.insert(whole.end(), shape.begin(), shape.end());
  const auto require = [](const Origin& origin, const Shape& dims) {
    require_memory(origin, table_bytes(origin, dims, sizeof(double)));
  };
  require(origin_of(inputs, "data.inputs"), whole);
  if (!labels) require(origin_of(map.at("targets"), "data.targets"), {whole[0], outputs});
  DataSet data = make_random(size, shape, labels ? outputs : 0, labels ? 0 : outputs, seed, lengths);
  for (Samples* samples : {&data.train, data.test ? &*data.test : nullptr}) {
    if (samples == nullptr) continue;
    samples->inputs_origin = origin_of(inputs, "data.inputs");
    if (!labels) samples->targets_origin = origin_of(map.at("targets"), "data.targets");
  }
  return data;
}

DataSet make(const std::string& kind, const Node& map, std::uint64_t seed) {
  const SyntheticSize size{map.at("samples").as_integer(), map.at("test").as_integer()};
  if (kind == "random") return make_random(map, size, seed);
  require_memory(origin_of(map.at("samples"), "data.samples"),
                 (size.samples + size.test) * std::int64_t{2 * sizeof(double) + sizeof(std::int64_t)});
  const double noise = map.at("noise").as_number();
  if (kind == "xor") return make_xor(size, noise, seed);
  return make_spirals(size, map.at("classes").as_integer(), map.at("turns").as_number(), noise, seed);
}

DataSet read_synthetic(const Node& choice, std::uint64_t seed) {
  const Node& options = choice.choice();
  return prepared(make(choice.chosen(), options, seed), options, seed);
}

}  // namespace

DataSource synthetic() {
  return {.name = "synthetic",
          .doc = "samples computed from the seed",
          .options = synthetic_options(),
          .load = read_synthetic};
}

}  // namespace backplane::sources
