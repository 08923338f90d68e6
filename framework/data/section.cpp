#include "data/section.h"

#include <fmt/format.h>

#include <memory>

#include "config/scalar.h"

namespace backplane {

using config::Node;
using config::Schema;

namespace {

void append_places(const Node& node, std::vector<std::pair<int, int>>& places) {
  if (node.is_scalar()) places.emplace_back(node.place.line, node.place.column);
  for (const Node& item : node.list) append_places(item, places);
}

std::vector<double> read_numbers(const Node& node) {
  if (node.is_scalar()) return {node.as_number()};
  std::vector<double> values;
  for (const Node& item : node.list) values.push_back(item.as_number());
  return values;
}

bool is_part(const Node& node) {
  return node.is_scalar() && !node.quoted && config::to_number(node.scalar);
}

Part read_part(const Node& node, const std::string& path) {
  Part part{.origin = origin_of(node, path)};
  const double number = node.as_number();
  if (number > 0 && number < 1) {
    part.fraction = number;
    return part;
  }
  const auto count = config::to_integer(node.scalar);
  if (!count || *count < 0 || (*count > 0 && node.scalar.find('.') != std::string::npos))
    part.origin.fail(
        fmt::format("expected a whole number of samples, or a part of them below 1, got {}", config::shown(node)));
  part.count = *count;
  return part;
}

}  // namespace

Schema with_splits(Schema map) {
  return map
      .optional("limit", Schema::integer().at_least(1), std::nullopt, "use only the first so many training samples")
      .optional("validation", Schema::number().at_least(0), "0",
                "training samples set apart for validation: how many, or, below 1, which part of them");
}

Schema with_preparation(Schema map) {
  const Schema deviation = Schema::number().above(0);
  const Schema normalize =
      Schema::map()
          .required("mean", Schema::either(Schema::number(), Schema::list(Schema::number()).items(1)),
                    "of all inputs, or one per feature (channel); of bytes / 255 where inputs are bytes")
          .required("std", Schema::either(deviation, Schema::list(deviation).items(1)), "deviation, likewise");
  const Schema augment =
      Schema::map()
          .optional("flip", Schema::text_of({"none", "horizontal"}), "none", "horizontal: mirror with probability 1/2")
          .optional("shift", Schema::integer().at_least(0), "0",
                    "move by up to so many pixels, each way; stored zeros come in (before scaling)");
  return with_splits(map)
      .optional("scale", Schema::text_of({"none", "unit", "standard"}), "none",
                "unit: bytes / 255, or the range to [0, 1], of images as a whole, else per feature; standard: mean 0, "
                "deviation 1 per feature")
      .optional("normalize", normalize, std::nullopt, "(x - mean) / std with these numbers, instead of scale")
      .optional("augment", augment, std::nullopt,
                "random changes to training images, drawn anew for every sample and epoch");
}

Origin origin_of(const Node& node, const std::string& path) {
  return {node.place, path, ExitCode::bad_config};
}

Origin origin_of_numbers(const Node& list, const std::string& path) {
  Origin origin = origin_of(list, path);
  auto places = std::make_shared<std::vector<std::pair<int, int>>>();
  append_places(list, *places);
  origin.locate = [places, source = list.place.source](std::int64_t element) {
    const auto& [line, column] = places->at(static_cast<std::size_t>(element));
    return Place{source, line, column};
  };
  return origin;
}

bool has_first(const Node& map, const std::string& first, const std::string& second, const std::string& path) {
  const bool has_it = map.find(first) != nullptr;
  if (has_it == (map.find(second) != nullptr))
    origin_of(map, path).fail(
        fmt::format("expected either '{}' or '{}', found {}", first, second, has_it ? "both" : "neither"));
  return has_it;
}

std::optional<std::string> optional_text(const Node& map, const std::string& key) {
  const Node* node = map.find(key);
  return node != nullptr ? std::optional(node->as_text()) : std::nullopt;
}

std::optional<std::string> test_file(const Node& map) {
  const Node* test = map.find("test");
  return test != nullptr && !is_part(*test) ? std::optional(test->as_text()) : std::nullopt;
}

Part test_part(const Node& options) {
  const Node* test = options.find("test");
  return test != nullptr && is_part(*test) ? read_part(*test, "data.test") : Part{};
}

namespace {

Preparation read_preparation(const Node& map) {
  Preparation preparation;
  if (const Node* limit = map.find("limit")) preparation.limit = limit->as_integer();
  preparation.validation = read_part(map.at("validation"), "data.validation");
  if (map.find("scale") == nullptr) return preparation;
  const std::string& scale = map.at("scale").as_text();
  preparation.scaling = scale == "unit" ? Scaling::unit : scale == "standard" ? Scaling::standard : Scaling::none;
  if (const Node* normalize = map.find("normalize")) {
    // A resolved file says `scale: none` beside `normalize`.
    if (preparation.scaling != Scaling::none)
      origin_of(*normalize, "data.normalize")
          .fail(fmt::format("'normalize' and 'scale: {}' exclude each other", scale));
    const Node& mean = normalize->at("mean");
    const Node& deviation = normalize->at("std");
    preparation.normalization =
        Normalization{read_numbers(mean), read_numbers(deviation), origin_of(mean, "data.normalize.mean"),
                      origin_of(deviation, "data.normalize.std")};
  }
  if (const Node* augment = map.find("augment")) {
    preparation.augmentation =
        Augmentation{augment->at("flip").as_text() == "horizontal", augment->at("shift").as_integer()};
    preparation.augmentation_origin = origin_of(*augment, "data.augment");
  }
  return preparation;
}

}  // namespace

DataSet prepared(DataSet data, const Node& options, std::uint64_t seed, const Part& test) {
  Preparation preparation = read_preparation(options);
  preparation.test = test;
  prepare(data, preparation, seed);
  return data;
}

}  // namespace backplane
