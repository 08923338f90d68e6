#include <fmt/format.h>

#include <cmath>

#include "config/scalar.h"
#include "data/inline_samples.h"
#include "data/section.h"
#include "data/sources.h"

namespace backplane::sources {

using config::Node;
using config::Schema;

namespace {

constexpr double kMostLabel = 1 << 24;

Schema inline_options() {
  const Schema split =
      Schema::map()
          .required("inputs", Schema::tensor(), "one entry a sample: [[0, 0], [0, 1]]")
          .optional("labels", Schema::tensor(), std::nullopt,
                    "class numbers, one entry a sample: a number, or a list with one for each of its steps")
          .optional("targets", Schema::tensor(), std::nullopt, "one entry a sample, instead of labels")
          .optional("lengths", Schema::list(Schema::integer()), std::nullopt,
                    "how many steps (first axis of a sample) are valid, one a sample; the rest is padding");
  Schema both = split;
  return both.optional("test", split, std::nullopt, "samples of the test split");
}

std::vector<std::int64_t> read_integers(const Node& list) {
  std::vector<std::int64_t> values;
  for (const Node& item : list.list) values.push_back(item.as_integer());
  return values;
}

/// Throws by `origin`, at the place of the first number that is none.
void require_class_numbers(const Node& node, const Origin& origin) {
  for (const Node& item : node.list) require_class_numbers(item, origin);
  if (!node.is_scalar()) return;
  if (const auto label = config::to_integer(node.scalar); label && std::abs(static_cast<double>(*label)) <= kMostLabel)
    return;
  Origin{node.place, origin.path, origin.code}
      .fail(fmt::format("{} is no class number", config::in_short(node.scalar)),
            "numbers that are to be met, not classes, are `targets`");
}

InlineSplit read_inline_split(const Node& map, const std::string& path) {
  InlineSplit split;
  split.inputs = parse_tensor(map.at("inputs"));
  split.inputs_origin = origin_of_numbers(map.at("inputs"), path + ".inputs");
  if (const Node* lengths = map.find("lengths"))
    split.lengths =
        Table{{std::ssize(lengths->list)}, read_integers(*lengths), origin_of_numbers(*lengths, path + ".lengths")};
  split.targets_are_labels = has_first(map, "labels", "targets", path);
  const std::string key = split.targets_are_labels ? "labels" : "targets";
  split.targets_origin = origin_of_numbers(map.at(key), path + "." + key);
  split.targets = parse_tensor(map.at(key));
  if (split.targets_are_labels) require_class_numbers(map.at(key), split.targets_origin);
  return split;
}

DataSet read_inline(const Node& map, std::uint64_t seed) {
  InlineOptions options{read_inline_split(map, "data"), std::nullopt};
  if (const Node* test = map.find("test")) options.test = read_inline_split(*test, "data.test");
  return prepared(load_inline(options), map, seed);
}

}  // namespace

DataSource inline_samples() {
  return {.name = "inline",
          .doc = "samples written here",
          .options = with_preparation(inline_options()),
          .load = read_inline};
}

}  // namespace backplane::sources
