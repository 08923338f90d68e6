#include "config/schema.h"

#include <fmt/format.h>

#include "config_expect.h"

namespace backplane::config {
namespace {

/// The document, validated, on one line; or the error.
std::string checked(std::string_view text, const Schema& schema) {
  std::string line;
  const std::string error = error_of([&] { line = line_of(validate(parse_text(text, "f"), schema)); });
  return error == "no error" ? line : error;
}

struct Row {
  std::string_view text;
  std::string expected;
};

/// Every row is the value of the key `a`; expectations leave out what is the same in all.
void expect_values(const Schema& schema, std::initializer_list<Row> rows) {
  const Schema document = Schema::map().required("a", schema, "a value");
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const std::string result = checked("a: " + std::string(row.text), document);
    const bool is_error = row.expected.starts_with("error: ");
    EXPECT_EQ(result, is_error ? "78 f:1:4: " + row.expected : "{a: " + row.expected + "}");
  }
}

TEST(ConfigSchema, Boolean) {
  expect_values(Schema::boolean(), {
      {"true", "true"},
      {"false", "false"},
      {"yes", "error: expected true or false, got 'yes'\n  a\n  hint: write true"},
      {"True", "error: expected true or false, got 'True'\n  a\n  hint: write true"},
      {"off", "error: expected true or false, got 'off'\n  a\n  hint: write false"},
      {"'true'", "error: expected true or false, got the text \"true\"\n  a\n  hint: write true"},
      {"1", "error: expected true or false, got '1'\n  a"},
      {"[true]", "error: expected true or false, got a list\n  a"},
  });
}

TEST(ConfigSchema, Integer) {
  const std::string digits = "\n  a\n  hint: write it in digits; whole numbers have 64 bits, the largest is "
                             "9223372036854775807";
  expect_values(Schema::integer(), {
      {"0", "0"},
      {"-5", "-5"},
      {"+5", "+5"},
      {"007", "007"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"1e4", "1e4"},
      {"60000.0", "60000.0"},
      {"9007199254740991.0", "9007199254740991.0"},
      {"9223372036854775808", "error: expected a whole number, got '9223372036854775808'" + digits},
      {"9007199254740992.0", "error: expected a whole number, got '9007199254740992.0'" + digits},
      {"1e300", "error: expected a whole number, got '1e300'" + digits},
      {"ten", "error: expected a whole number, got 'ten'\n  a"},
      {"1.5", "error: expected a whole number, got '1.5'\n  a"},
      {"1_000", "error: expected a whole number, got '1_000'\n  a"},
      {"100e-2", "100e-2"},
      {"0.0e-99999999999999999999", "0.0e-99999999999999999999"},
      {"1e-400", "error: expected a whole number, got '1e-400'\n  a"},
      {"1e-99999999999999999999", "error: expected a whole number, got '1e-99999999999999999999'\n  a"},
      {"2.99999999999999999999", "error: expected a whole number, got '2.99999999999999999999'\n  a"},
      {"0x10", "error: expected a whole number, got '0x10'\n  a"},
      {"+-5", "error: expected a whole number, got '+-5'\n  a"},
      {"5 6", "error: expected a whole number, got '5 6'\n  a"},
      {"\"10\"", "error: expected a whole number, got the text \"10\"\n  a\n  hint: drop the quotes"},
      {"\"x\"", "error: expected a whole number, got the text \"x\"\n  a"},
      {"{b: 1}", "error: expected a whole number, got a map\n  a"},
  });
}

TEST(ConfigSchema, Number) {
  expect_values(Schema::number(), {
      {"1", "1"},
      {"-1.5e-3", "-1.5e-3"},
      {"+.5", "+.5"},
      {"1.", "1."},
      {"1e400", "error: expected a number, got '1e400'\n  a"},
      {".inf", "error: expected a number, got '.inf'\n  a"},
      {"inf", "error: expected a number, got 'inf'\n  a"},
      {"nan", "error: expected a number, got 'nan'\n  a"},
      {"0x1p3", "error: expected a number, got '0x1p3'\n  a"},
      {"1,5", "error: expected a number, got '1,5'\n  a"},
      {"'1'", "error: expected a number, got the text \"1\"\n  a\n  hint: drop the quotes"},
      {"\"\\e[31m\"", "error: expected a number, got the text \"\\x1b[31m\"\n  a"},
  });
  const std::string long_text(70, 'x');
  expect_values(Schema::number(),
                {{long_text, "error: expected a number, got '" + long_text.substr(0, 60) + "…'\n  a"}});
}

TEST(ConfigSchema, Ranges) {
  expect_values(Schema::integer().at_least(1),
                {{"1", "1"}, {"0", "error: must be at least 1, got 0\n  a"}});
  expect_values(Schema::number().above(0).at_most(0.5), {
      {"0.5", "0.5"},
      {"1e-9", "1e-9"},
      {"0", "error: must be above 0 and at most 0.5, got 0\n  a"},
      {"0.51", "error: must be above 0 and at most 0.5, got 0.51\n  a"},
  });
  expect_values(Schema::number().below(1).hint("a probability"),
                {{"0.9", "0.9"}, {"1.0", "error: must be below 1, got 1.0\n  a\n  hint: a probability"}});
  expect_values(Schema::number().hint("a probability"),
                {{"'1'", "error: expected a number, got the text \"1\"\n  a\n  hint: drop the quotes; a probability"}});
}

TEST(ConfigSchema, Text) {
  expect_values(Schema::text(), {
      {"no", "no"},
      {"5", "5"},
      {"'5'", "\"5\""},
      {"''", "\"\""},
      {"[x]", "error: expected text, got a list\n  a"},
  });
  expect_values(Schema::text_of({"unit", "standard"}), {
      {"unit", "unit"},
      {"'standard'", "\"standard\""},
      {"units", "error: unknown value 'units'\n  a\n  did you mean 'unit'?   known: unit, standard"},
      {"x", "error: unknown value 'x'\n  a\n  known: unit, standard"},
  });
}

TEST(ConfigSchema, Duration) {
  const std::string hint = "\n  a\n  hint: write 200, '200 steps' or '3 epochs', at least 1";
  expect_values(Schema::duration(), {
      {"200", "200"},
      {"1 step", "1 step"},
      {"3  epochs", "3  epochs"},
      {"0", "error: expected a number of steps or epochs, got '0'" + hint},
      {"-1 epoch", "error: expected a number of steps or epochs, got '-1 epoch'" + hint},
      {"3 weeks", "error: expected a number of steps or epochs, got '3 weeks'" + hint},
      {"'3 '", "error: expected a number of steps or epochs, got the text \"3 \"" + hint},
      {"1000000000 epochs", "1000000000 epochs"},
      {"1000000001 epochs", "error: must be at most 1000000000, got 1000000001 epochs\n  a"},
      {"9223372036854775807", "error: must be at most 1000000000, got 9223372036854775807\n  a"},
      {"3epochs", "error: expected a number of steps or epochs, got '3epochs'" + hint},
      {"1.5 epochs", "error: expected a number of steps or epochs, got '1.5 epochs'" + hint},
      {"epoch", "error: expected a number of steps or epochs, got 'epoch'" + hint},
      {"[1]", "error: expected a number of steps or epochs, got a list" + hint},
  });
  expect_values(Schema::duration().at_least(10), {{"9 steps", "error: must be at least 10 and at most 1000000000, got 9 steps\n  a"}});

  const auto read = [](std::string text) { return parse_duration(Node::plain(std::move(text))); };
  EXPECT_EQ(read("200").steps, 200);
  EXPECT_EQ(read("200").epochs, 0);
  EXPECT_EQ(read("1e3 steps").steps, 1000);
  EXPECT_EQ(read("1 epoch").epochs, 1);
  EXPECT_EQ(read("3 epochs").steps, 0);
  EXPECT_EQ(read("3 epochs").epochs, 3);
  EXPECT_THROW(read("3 weeks"), InternalError);
}

TEST(ConfigSchema, Tensor) {
  const auto at = [](std::string rest) { return "error: " + rest; };
  expect_values(Schema::tensor(), {
      {"1", "1"},
      {"[1, 2.5]", "[1, 2.5]"},
      {"[[1, 2], [3, 4]]", "[[1, 2], [3, 4]]"},
      {"[]", "[]"},
      {"[[], []]", "[[], []]"},
      {"x", at("expected a number or nested lists of numbers, got 'x'\n  a")},
      {"'1'", at("expected a number or nested lists of numbers, got the text \"1\"\n  a\n  hint: drop the quotes")},
      {"{b: 1}", at("expected a number or nested lists of numbers, got a map\n  a")},
  });
  const Schema document = Schema::map().required("a", Schema::tensor().at_least(0), "");
  const std::string rows = "\n  hint: all rows of a tensor have the same length";
  const Row errors[] = {
      {"a: [[1, 2], [3]]", "78 f:1:13: error: expected a list of 2 items, got 1\n  a[1]" + rows},
      {"a: [[1], 2]", "78 f:1:10: error: expected a list of 1 item, got '2'\n  a[1]" + rows},
      {"a: [1, [2]]", "78 f:1:8: error: expected a number, got a list\n  a[1]"},
      {"a: [[], [1]]", "78 f:1:9: error: expected a list of 0 items, got 1\n  a[1]" + rows},
      {"a: [[1, x]]", "78 f:1:9: error: expected a number or nested lists of numbers, got 'x'\n  a[0][1]"},
      {"a: [1, ~]", "78 f:1:8: error: expected a number or nested lists of numbers, got nothing\n  a[1]"},
      {"a: [1, -2]", "78 f:1:8: error: must be at least 0, got -2\n  a[1]"},
  };
  for (const Row& row : errors) EXPECT_EQ(checked(row.text, document), row.expected);
}

TEST(ConfigSchema, TensorIsReadRowMajor) {
  const auto read = [](std::string_view text) { return parse_tensor(parse_text(text, "f")); };
  const TensorLiteral matrix = read("[[1, 2, 3], [4, 5, 6.5]]");
  EXPECT_EQ(matrix.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(matrix.values, (std::vector<double>{1, 2, 3, 4, 5, 6.5}));
  EXPECT_TRUE(read("7").shape.empty());
  EXPECT_EQ(read("7").values, std::vector<double>{7});
  EXPECT_EQ(read("[[], []]").shape, (std::vector<std::int64_t>{2, 0}));
}

TEST(ConfigSchema, List) {
  expect_values(Schema::list(Schema::integer()).items(1, 2), {
      {"[1, 2]", "[1, 2]"},
      {"[]", "error: must have 1 to 2 items, got 0\n  a"},
      {"[1, 2, 3]", "error: must have 1 to 2 items, got 3\n  a"},
      {"1", "error: expected a list, got '1'\n  a\n  hint: a list is written [a, b]"},
      {"{b: 1}", "error: expected a list, got a map\n  a"},
  });
  expect_values(Schema::list(Schema::text()).items(1), {{"[]", "error: must have at least 1 item, got 0\n  a"}});
  expect_values(Schema::list(Schema::text()).items(2, 2), {{"[x]", "error: must have 2 items, got 1\n  a"}});
  expect_values(Schema::list(Schema::text()).items(0, 1), {{"[x, y]", "error: must have at most 1 item, got 2\n  a"}});
  EXPECT_EQ(checked("a: [1, x]", Schema::map().required("a", Schema::list(Schema::integer()), "")),
            "78 f:1:8: error: expected a whole number, got 'x'\n  a[1]");
}

TEST(ConfigSchema, Null) {
  expect_values(Schema::integer().nullable(), {{"~", "~"}, {"", "~"}, {"1", "1"}});
  const Schema document = Schema::map().optional("a", Schema::integer(), "1", "");
  EXPECT_EQ(checked("b: 1\na:\n", document),
            "78 f:1:1: error: unknown key 'b'\n  did you mean 'a'?   known: a\nf:2:1: error: 'a' has no value, "
            "expected a whole number\n  a");
  EXPECT_EQ(checked("a: [1, ~]", Schema::map().required("a", Schema::list(Schema::integer()), "")),
            "78 f:1:8: error: 'a[1]' has no value, expected a whole number\n  a[1]");
}

Schema training() {
  return Schema::map()
      .required("epochs", Schema::integer().at_least(1), "passes over the data")
      .optional("batch_size", Schema::integer(), "128", "samples of a step")
      .optional("seed", Schema::integer(), std::nullopt, "of the shuffle")
      .optional("clip", Schema::number().nullable(), "null", "of the gradient");
}

TEST(ConfigSchema, MapFillsInDefaultsInTheOrderOfTheSchema) {
  EXPECT_EQ(checked("epochs: 3\n", training()), "{epochs: 3, batch_size: 128, clip: ~}");
  EXPECT_EQ(checked("clip: 1\nseed: 2\nepochs: 3\n", training()), "{epochs: 3, batch_size: 128, seed: 2, clip: 1}");

  const Node root = validate(parse_text("train:\n  epochs: 3\n", "f"), Schema::map().required("train", training(), ""));
  const Node& train = root.at("train");
  EXPECT_FALSE(train.is_default);
  EXPECT_FALSE(train.at("epochs").is_default);
  EXPECT_TRUE(train.at("batch_size").is_default);
  EXPECT_EQ(train.at("batch_size").place.text(), "f:2:3");
  EXPECT_EQ(train.at("batch_size").as_integer(), 128);
}

TEST(ConfigSchema, DefaultsHoldDefaults) {
  const Schema schema = Schema::map().optional("x", Schema::map().optional("y", Schema::map().optional(
      "z", Schema::list(Schema::text()), "[a, 'b']", ""), "{}", ""), "{}", "");
  EXPECT_EQ(checked("", schema), "{x: {y: {z: [a, \"b\"]}}}");
  const Node root = validate(parse_text("", "f"), schema);
  EXPECT_TRUE(root.at("x").at("y").at("z").list[1].is_default);
}

TEST(ConfigSchema, DefaultsThatDoNotFitAreOurFault) {
  const auto with_default = [](std::string text) {
    return Schema::map().optional("a", Schema::integer().at_least(1), std::move(text), "");
  };
  EXPECT_EQ(checked("", with_default("0")),
            "not a UserError: the default '0' of 'a' does not fit: must be at least 1, got 0");
  EXPECT_TRUE(checked("", with_default("[")).starts_with("not a UserError: the default '[' of 'a' does not fit: "));
  EXPECT_EQ(checked("a: 2", with_default("0")), "{a: 2}");
}

TEST(ConfigSchema, MapNamesUnknownAndMissingKeys) {
  const Schema document = Schema::map().required("train", training(), "how to train");
  EXPECT_EQ(checked("train: {epoch: 3}\n", document),
            "78 f:1:1: error: missing key 'epochs'\n  train\n  hint: `epochs`: passes over the data; for example epochs: 64\n"
            "f:1:9: error: unknown key 'epoch'\n  train\n"
            "  did you mean 'epochs'?   known: epochs, batch_size, seed, clip");
  EXPECT_EQ(checked("", document), "78 f:1:1: error: missing key 'train'\n  hint: `train`: how to train");
  EXPECT_EQ(checked("train: epochs:3\n", document),
            "78 f:1:8: error: expected a map, got 'epochs:3'\n  train\n  hint: write a space after the colon");
  EXPECT_EQ(checked("[1]", document), "78 f:1:1: error: expected a map, got a list");
}

Schema optimizer() {
  const Schema rate = Schema::number().above(0);
  return Schema::choice("optimizer")
      .alternative("sgd", Schema::map().required("lr", rate, "learning rate").optional("momentum", rate, "0.9", ""), "")
      .alternative("adam", Schema::map().optional("lr", rate, "1e-3", "learning rate"), "");
}

TEST(ConfigSchema, ChoiceTakesItsLongForm) {
  expect_values(optimizer(), {
      {"adam", "{adam: {lr: 1e-3}}"},
      {"'adam'", "{adam: {lr: 1e-3}}"},
      {"{adam: }", "{adam: {lr: 1e-3}}"},
      {"{adam: {}}", "{adam: {lr: 1e-3}}"},
      {"{sgd: {lr: 0.1}}", "{sgd: {lr: 0.1, momentum: 0.9}}"},
      {"adm", "error: unknown optimizer 'adm'\n  a\n  did you mean 'adam'?   known: sgd, adam"},
      {"sgd", "error: missing key 'lr'\n  a\n  hint: `lr`: learning rate"},
      {"[adam]", "error: expected one optimizer (its name, or a map with one key), got a list\n  a"},
      {"{}", "error: expected one optimizer (its name, or a map with one key), got an empty map\n  a"},
  });
  expect_values(optimizer().nullable(), {{"~", "~"}});
  const Schema document = Schema::map().required("a", optimizer(), "");
  EXPECT_EQ(checked("a: {adm: {lr: 1}}", document),
            "78 f:1:5: error: unknown optimizer 'adm'\n  a\n  did you mean 'adam'?   known: sgd, adam");
  EXPECT_EQ(checked("a: {adam: {lr: 0}}", document), "78 f:1:16: error: must be above 0, got 0\n  a.lr");
  EXPECT_EQ(checked("a: {adam: {l: 1}}", document),
            "78 f:1:12: error: unknown key 'l'\n  a\n  did you mean 'lr'?   known: lr");
  EXPECT_EQ(checked("a: {adam: 3}", document), "78 f:1:11: error: expected a map, got '3'\n  a");
  EXPECT_EQ(checked("a: {sgd: }", document), "78 f:1:5: error: missing key 'lr'\n  a\n  hint: `lr`: learning rate");
  EXPECT_EQ(checked("a: {adam: {}, sgd: {}}", document),
            "78 f:1:15: error: expected one optimizer, got 2 keys: 'adam', 'sgd'\n  a");
  EXPECT_EQ(checked("a:\n  adam:\n  lr: 1\n", document),
            "78 f:3:3: error: expected one optimizer, got 2 keys: 'adam', 'lr'\n  a\n"
            "  hint: indent what belongs to 'adam' deeper");
  const Node root = validate(parse_text("a: adam", "f"), document);
  EXPECT_EQ(root.at("a").chosen(), "adam");
  EXPECT_EQ(root.at("a").choice().at("lr").as_number(), 1e-3);
  EXPECT_FALSE(root.at("a").choice().is_default);
  EXPECT_TRUE(root.at("a").choice().at("lr").is_default);
}

TEST(ConfigSchema, UnknownLayerReadsAsDesigned) {
  const Schema layer = Schema::choice("layer type").alternative("dense", Schema::map(), "")
                           .hint("`backplane plugin list` shows what was found and where");
  const Schema document =
      Schema::map().required("network", Schema::map().required("layers", Schema::list(layer), ""), "");
  EXPECT_EQ(checked("network:\n  layers:\n    - dens: {units: 1}\n", document),
            "78 f:3:7: error: unknown layer type 'dens'\n  network.layers[0]\n"
            "  did you mean 'dense'?   known: dense\n"
            "  hint: `backplane plugin list` shows what was found and where");
}

TEST(ConfigSchema, EitherGoesByTheShapeOfTheValue) {
  expect_values(Schema::either(Schema::number(), optimizer()), {
      {"0.1", "0.1"},
      {"{adam: {}}", "{adam: {lr: 1e-3}}"},
      {"adam", "error: expected a number, got 'adam'\n  a"},
      {"[1]", "error: expected a number or one optimizer (its name, or a map with one key), got a list\n  a"},
  });
  expect_values(Schema::either(Schema::tensor(), Schema::map().optional("b", Schema::integer(), "1", "")), {
      {"2", "2"},
      {"[1, 2]", "[1, 2]"},
      {"{}", "{b: 1}"},
  });
  expect_values(Schema::either(Schema::list(Schema::integer()), Schema::map()), {
      {"[1]", "[1]"},
      {"{}", "{}"},
      {"x", "error: expected a list or a map, got 'x'\n  a"},
  });
  expect_values(Schema::either(Schema::boolean().nullable(), Schema::list(Schema::text())),
                {{"~", "~"}, {"[x]", "[x]"}});
  EXPECT_EQ(checked("a:\n", Schema::map().required("a", Schema::either(Schema::boolean(), Schema::map()), "")),
            "78 f:1:1: error: 'a' has no value, expected true or false\n  a");
}

TEST(ConfigSchema, ReportsAllFindingsInTheOrderOfTheDocument) {
  const Schema document = Schema::map()
                              .required("train", training(), "how to train")
                              .required("optimizer", optimizer(), "")
                              .required("name", Schema::text(), "of the run");
  EXPECT_EQ(checked("optimizer: adm\ntrain:\n  epochs: 0\n  x: 1\n  batch_size: many\n", document),
            "78 f:1:1: error: missing key 'name'\n  hint: `name`: of the run\n"
            "f:1:12: error: unknown optimizer 'adm'\n  optimizer\n  did you mean 'adam'?   known: sgd, adam\n"
            "f:3:11: error: must be at least 1, got 0\n  train.epochs\n"
            "f:4:3: error: unknown key 'x'\n  train\n  known: epochs, batch_size, seed, clip\n"
            "f:5:15: error: expected a whole number, got 'many'\n  train.batch_size");
  std::string many;
  for (int i = 0; i < 30; ++i) many += fmt::format("k{}: 1\n", i);
  try {
    validate(parse_text(many, "f"), Schema::map());
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_EQ(error.diagnostics().size(), 20u);
    EXPECT_EQ(error.diagnostics().back().what, "unknown key 'k19'");
  }
}

TEST(ConfigSchema, NamesTheWordOfAnOverride) {
  const Schema document = Schema::map().required("train", training(), "").required("optimizer", optimizer(), "");
  const auto error_with = [&](std::string_view assignment) {
    Node root = parse_text("train: {epochs: 3}\noptimizer: {adam: {}}\n", "f");
    apply_override(root, assignment, "word 4");
    return error_of([&] { validate(root, document); });
  };
  EXPECT_EQ(error_with("train.epochs=x"), "78 word 4: error: expected a whole number, got 'x'\n  train.epochs");
  EXPECT_EQ(error_with("train.epochs="),
            "78 word 4: error: 'epochs' has no value, expected a whole number\n  train.epochs");
  EXPECT_EQ(error_with("train.batch=x"), "78 word 4: error: unknown key 'batch'\n  train\n"
                                         "  did you mean 'batch_size'?   known: epochs, batch_size, seed, clip");
  EXPECT_EQ(error_with("train={}"), "78 word 4: error: missing key 'epochs'\n  train\n  hint: `epochs`: passes over the data; for example epochs: 64");
  EXPECT_EQ(error_with("optimizer.sgd.lr=1"),
            "78 word 4: error: expected one optimizer, got 2 keys: 'adam', 'sgd'\n  optimizer\n"
            "  hint: to choose another one, set it as a whole: --set 'optimizer={sgd: {lr: 1}}'");
}

TEST(ConfigSchema, CopiesDoNotShareChanges) {
  const Schema base = Schema::map().optional("a", Schema::integer(), "1", "");
  Schema longer = base;
  longer.optional("b", Schema::integer(), "2", "");
  EXPECT_EQ(base.fields().size(), 1u);
  EXPECT_EQ(longer.fields().size(), 2u);
  EXPECT_EQ(longer.kind(), Schema::Kind::map);
  EXPECT_TRUE(Schema::number().fields().empty());
}

}  // namespace
}  // namespace backplane::config
