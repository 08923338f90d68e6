#include <fmt/format.h>

#include "data/csv.h"
#include "data/section.h"
#include "data/sources.h"

namespace backplane::sources {

using config::Node;
using config::Schema;

namespace {

Schema csv_options() {
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

DataSet read_csv(const Node& map, std::uint64_t seed) {
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
  return prepared(load_csv(options), map, seed, test_part(map));
}

}  // namespace

DataSource csv() {
  return {.name = "csv", .doc = "tables of text", .options = with_preparation(csv_options()), .load = read_csv};
}

}  // namespace backplane::sources
