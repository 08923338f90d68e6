#include "data/sources.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <utility>

#include "config/scalar.h"
#include "data/cifar.h"
#include "data/csv.h"
#include "data/folders.h"
#include "data/hdf5_tables.h"
#include "data/idx.h"
#include "data/inline_samples.h"
#include "data/prepare.h"
#include "data/synthetic.h"
#include "data/text.h"

namespace backplane {

namespace {

using config::Node;
using config::Schema;

constexpr double kMostSamples = 1e8;
constexpr double kMostWindow = 1 << 20;
constexpr double kMostLabel = 1 << 24;
constexpr double kMostSpread = 1e6;  ///< keeps every synthetic value finite

// The schema, one function per format, and beside it the function that loads what was written.

/// Adds what every format offers.
Schema with_splits(Schema map) {
  return map
      .optional("limit", Schema::integer().at_least(1), std::nullopt, "use only the first so many training samples")
      .optional("validation", Schema::number().at_least(0), "0",
                "training samples set apart for validation: how many, or, below 1, which part of them");
}

/// Adds what every format of numbers offers.
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

/// Paths leave the name of a chosen alternative out, as those of `validate` do.
Origin origin_of(const Node& node, const std::string& path) {
  return {node.place, path, ExitCode::bad_config};
}

void append_places(const Node& node, std::vector<std::pair<int, int>>& places) {
  if (node.is_scalar()) places.emplace_back(node.place.line, node.place.column);
  for (const Node& item : node.list) append_places(item, places);
}

/// That of a list of numbers, which knows where each of them is written.
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

/// Whether `first` was written; that both or neither of the two were is an error.
bool has_first(const Node& map, const std::string& first, const std::string& second, const std::string& path = "data") {
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

/// The file of the test split, where `test` names one rather than a part of the training file.
std::optional<std::string> test_file(const Node& map) {
  const Node* test = map.find("test");
  return test != nullptr && !is_part(*test) ? std::optional(test->as_text()) : std::nullopt;
}

Schema idx_schema() {
  const Schema pair = Schema::map()
                          .required("images", Schema::text(), "IDX file, plain or gzip")
                          .required("labels", Schema::text(), "IDX file of bytes, plain or gzip");
  return Schema::map()
      .optional("name", Schema::text(), std::nullopt, "looked for in $BACKPLANE_DATA, then in /usr/share/datasets")
      .optional("train", pair, std::nullopt, "the files of the training split, instead of a name")
      .optional("test", pair, std::nullopt, "the files of the test split")
      .optional("as", Schema::text_of({"images", "rows"}), "images",
                "images: samples are [H, W, 1]; rows: sequences [H, W] of rows");
}

DataSet load_idx(const Node& map) {
  const bool rows = map.at("as").as_text() == "rows";
  if (has_first(map, "name", "train")) {
    if (const Node* test = map.find("test"))
      origin_of(*test, "data.test").fail("'test' goes with 'train', not with 'name'");
    IdxOptions found = find_idx(map.at("name").as_text(), data_folders());
    found.rows = rows;
    return load_idx(found);
  }
  const auto pair = [](const Node& node) { return IdxPair{node.at("images").as_text(), node.at("labels").as_text()}; };
  IdxOptions options{pair(map.at("train")), std::nullopt, rows};
  if (const Node* test = map.find("test")) options.test = pair(*test);
  return load_idx(options);
}

Schema cifar_schema(Cifar which) {
  return Schema::map().optional("folder", Schema::text(), std::nullopt,
                                fmt::format("where the binary version is; where left out, {} in $BACKPLANE_DATA, then "
                                            "in /usr/share/datasets",
                                            cifar_folder(which)));
}

DataSet load_cifar(Cifar which, const Node& map) {
  if (const Node* folder = map.find("folder")) return load_cifar(which, folder->as_text());
  return load_cifar(which, find_cifar(which, data_folders()));
}

Schema csv_schema() {
  const Schema columns = Schema::either(Schema::text(), Schema::list(Schema::text()).items(1));
  return Schema::map()
      .required("train", Schema::text(), "CSV file (RFC 4180)")
      .optional(
          "test", Schema::text(), std::nullopt,
          "CSV file with the same columns; or a number: rows of `train`, drawn at random, or a part of them below 1")
      .optional("delimiter", Schema::text(), "','", "one character between fields")
      .optional("header", Schema::boolean(), "true", "the first line names the columns; false: they count from 0")
      .optional("labels", Schema::text(), std::nullopt, "column of class numbers or names")
      .optional("targets", columns, std::nullopt, "one column of numbers or more, instead of labels")
      .optional("inputs", columns, std::nullopt, "columns; all others that have a name where left out");
}

DataSet load_csv(const Node& map) {
  CsvOptions options{map.at("train").as_text(), test_file(map), ',', std::nullopt, {}, {}, {}};
  if (const Node& header = map.at("header"); !header.is_default) options.header = header.as_bool();
  const Node& delimiter = map.at("delimiter");
  if (delimiter.as_text().size() != 1 || delimiter.as_text().find_first_of("\"\r\n+-.eE0123456789") == 0)
    origin_of(delimiter, "data.delimiter")
        .fail("expected one character that is no quote, no line end and no part of a number",
              delimiter.as_text() == "\\t" ? "a tab is written in double quotes: \"\\t\"" : "");
  options.delimiter = delimiter.as_text()[0];
  const auto columns = [&](const std::string& key) {
    std::vector<CsvColumn> all;
    const Node* list = map.find(key);
    if (list != nullptr && list->is_scalar()) all.push_back({list->as_text(), origin_of(*list, "data." + key)});
    for (std::size_t i = 0; list != nullptr && i < list->list.size(); ++i)
      all.push_back({list->list[i].as_text(), origin_of(list->list[i], fmt::format("data.{}[{}]", key, i))});
    return all;
  };
  if (has_first(map, "labels", "targets"))
    options.labels = CsvColumn{map.at("labels").as_text(), origin_of(map.at("labels"), "data.labels")};
  options.targets = columns("targets");
  options.inputs = columns("inputs");
  return load_csv(options);
}

Schema hdf5_schema() {
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

DataSet load_hdf5(const Node& map) {
  const bool labels = has_first(map, "labels", "targets");
  return load_hdf5(Hdf5Options{map.at("train").as_text(), test_file(map), map.at("inputs").as_text(),
                               map.at(labels ? "labels" : "targets").as_text(), labels, optional_text(map, "lengths")});
}

Schema inline_schema() {
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
  Origin(node.place, origin.path, origin.code)
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

DataSet load_inline(const Node& map) {
  InlineOptions options{read_inline_split(map, "data"), std::nullopt};
  if (const Node* test = map.find("test")) options.test = read_inline_split(*test, "data.test");
  return load_inline(options);
}

Schema text_schema() {
  return Schema::map()
      .required("files", Schema::either(Schema::text(), Schema::list(Schema::text()).items(1)),
                "text files, plain or gzip, read one after another")
      .optional("unit", Schema::text_of({"character", "byte"}), "character",
                "character: the UTF-8 characters that occur; byte: all 256")
      .required("window", Schema::integer().at_least(1).at_most(kMostWindow),
                "length of a sample in units; the label of each is the one that follows it")
      .optional("test", Schema::number().at_least(0).below(1), "0.1", "the part of the text, at its end, to test on");
}

DataSet load_text(const Node& map) {
  TextOptions options{{},
                      map.at("unit").as_text() == "byte",
                      map.at("window").as_integer(),
                      map.at("test").as_number(),
                      origin_of(map.at("test"), "data.test")};
  const Node& files = map.at("files");
  if (files.is_scalar()) options.files = {files.as_text()};
  for (const Node& file : files.list) options.files.push_back(file.as_text());
  return load_text(options);
}

Schema synthetic_schema() {
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

DataSet load_synthetic(const std::string& kind, const Node& map, std::uint64_t seed) {
  const SyntheticSize size{map.at("samples").as_integer(), map.at("test").as_integer()};
  if (kind == "random") return make_random(map, size, seed);
  require_memory(origin_of(map.at("samples"), "data.samples"),
                 (size.samples + size.test) * (2 * sizeof(double) + sizeof(std::int64_t)));
  const double noise = map.at("noise").as_number();
  if (kind == "xor") return make_xor(size, noise, seed);
  return make_spirals(size, map.at("classes").as_integer(), map.at("turns").as_number(), noise, seed);
}

}  // namespace

Schema data_schema() {
  return Schema::choice("data format")
      .alternative("idx", with_preparation(idx_schema()), "images and labels in the format of MNIST")
      .alternative("cifar10", with_preparation(cifar_schema(Cifar::ten)), "colour images of 10 classes")
      .alternative("cifar100", with_preparation(cifar_schema(Cifar::hundred)), "colour images of 100 (fine) classes")
      .alternative("csv", with_preparation(csv_schema()), "tables of text")
      .alternative("hdf5", with_preparation(hdf5_schema()), "tables in HDF5 files")
      .alternative("text", with_splits(text_schema()), "text to be continued, unit by unit")
      .alternative("inline", with_preparation(inline_schema()), "samples written here")
      .alternative("synthetic", synthetic_schema(), "samples computed from the seed");
}

bool has_labels(const Node& section) {
  const Node* map = &section.choice();
  if (section.chosen() == "synthetic") map = &map->choice();
  return map->find("targets") == nullptr;
}

DataSet load_data(const Node& section, std::uint64_t seed) {
  const std::string& format = section.chosen();
  const Node* map = &section.choice();
  DataSet data;
  if (format == "idx") data = load_idx(*map);
  if (format == "cifar10") data = load_cifar(Cifar::ten, *map);
  if (format == "cifar100") data = load_cifar(Cifar::hundred, *map);
  if (format == "csv") data = load_csv(*map);
  if (format == "hdf5") data = load_hdf5(*map);
  if (format == "text") data = load_text(*map);
  if (format == "inline") data = load_inline(*map);
  if (format == "synthetic") {
    const std::string& kind = map->chosen();
    map = &map->choice();
    data = load_synthetic(kind, *map, seed);
  }
  Preparation preparation = read_preparation(*map);
  if (const Node* test = map->find("test"); (format == "csv" || format == "hdf5") && test != nullptr && is_part(*test))
    preparation.test = read_part(*test, "data.test");
  prepare(data, preparation, seed);
  return data;
}

}  // namespace backplane
