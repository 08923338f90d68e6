#include "data/folders.h"
#include "data/idx.h"
#include "data/section.h"
#include "data/sources.h"

namespace backplane::sources {

using config::Node;
using config::Schema;

namespace {

Schema idx_options() {
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

DataSet read_idx(const Node& map) {
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

}  // namespace

DataSource idx() {
  return {.name = "idx",
          .doc = "images and labels in the format of MNIST",
          .options = with_preparation(idx_options()),
          .load = [](const Node& options, std::uint64_t seed) { return prepared(read_idx(options), options, seed); }};
}

}  // namespace backplane::sources
