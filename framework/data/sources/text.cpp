#include "data/section.h"
#include "data/sources.h"
#include "data/text.h"

namespace backplane::sources {

using config::Node;
using config::Schema;

namespace {

constexpr double kMostWindow = 1 << 20;

Schema text_options() {
  return Schema::map()
      .required("files", Schema::either(Schema::text(), Schema::list(Schema::text()).items(1)),
                "text files, plain or gzip, read one after another")
      .optional("unit", Schema::text_of({"character", "byte"}), "character",
                "character: the UTF-8 characters that occur; byte: all 256")
      .required("window", Schema::integer().at_least(1).at_most(kMostWindow),
                "length of a sample in units; the label of each is the one that follows it")
      .optional("test", Schema::number().at_least(0).below(1), "0.1", "the part of the text, at its end, to test on");
}

DataSet read_text(const Node& map, std::uint64_t seed) {
  TextOptions options{{},
                      map.at("unit").as_text() == "byte",
                      map.at("window").as_integer(),
                      map.at("test").as_number(),
                      origin_of(map.at("test"), "data.test")};
  const Node& files = map.at("files");
  if (files.is_scalar()) options.files = {files.as_text()};
  for (const Node& file : files.list) options.files.push_back(file.as_text());
  return prepared(load_text(options), map, seed);
}

}  // namespace

DataSource text() {
  return {.name = "text",
          .doc = "text to be continued, unit by unit",
          .options = with_splits(text_options()),
          .load = read_text};
}

}  // namespace backplane::sources
