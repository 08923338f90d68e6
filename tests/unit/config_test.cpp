// The tree itself: its readers, its text, and the whole way from a file to a validated tree.

#include <random>

#include "config/schema.h"
#include "config_expect.h"

namespace backplane::config {
namespace {

TEST(ConfigNode, ReadersReturnWhatWasValidated) {
  EXPECT_TRUE(Node::plain("true").as_bool());
  EXPECT_FALSE(Node::plain("false").as_bool());
  EXPECT_EQ(Node::plain("1e3").as_integer(), 1000);
  EXPECT_EQ(Node::plain("-9223372036854775808").as_integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(Node::plain("0.1").as_number(), 0.1);
  EXPECT_EQ(Node::text("x").as_text(), "x");
  EXPECT_EQ(parse_text("{sgd: {lr: 1}}", "f").chosen(), "sgd");
  EXPECT_EQ(line_of(parse_text("{sgd: {lr: 1}}", "f").choice()), "{lr: 1}");
  Node map = parse_text("{a: 1}", "f");
  map.find("a")->scalar = "2";
  EXPECT_EQ(map.at("a").scalar, "2");
  EXPECT_EQ(map.find("b"), nullptr);
}

TEST(ConfigNode, ReadersThrowWhereNothingWasPromised) {
  EXPECT_THROW(Node::plain("yes").as_bool(), InternalError);
  EXPECT_THROW(Node::text("true").as_bool(), InternalError);
  EXPECT_THROW(Node::plain("1.5").as_integer(), InternalError);
  EXPECT_THROW(Node::text("1").as_integer(), InternalError);
  EXPECT_THROW(Node::plain("x").as_number(), InternalError);
  EXPECT_THROW(Node{}.as_number(), InternalError);
  EXPECT_THROW(Node::empty_list().as_text(), InternalError);
  EXPECT_THROW(Node::empty_map().at("a"), InternalError);
  EXPECT_THROW(Node::empty_map().chosen(), InternalError);
  EXPECT_THROW(Node::plain("sgd").choice(), InternalError);
}

struct Row {
  std::string_view text;
  std::string_view expected;
};

TEST(ConfigYaml, WritesBlocksAndShortListsOnOneLine) {
  const Row rows[] = {
      {"", "{}\n"},
      {"{a: 1, b: [], c: {}, d: ~}", "a: 1\nb: []\nc: {}\nd: null\n"},
      {"{a: {b: {c: 1}}, d: 2}", "a:\n  b:\n    c: 1\nd: 2\n"},
      {"{layers: [{dense: {units: 1, name: x}}, relu]}",
       "layers:\n  - dense:\n      units: 1\n      name: x\n  - relu\n"},
      {"{a: [{b: 1, c: 2}]}", "a:\n  - b: 1\n    c: 2\n"},
      {"[[1, 2], [3, 4]]", "- [1, 2]\n- [3, 4]\n"},
      {"[[[1], [2]], {a: [{}]}]", "- - [1]\n  - [2]\n- a:\n    - {}\n"},
      {"{a: '1', b: 'true', c: '', d: '~', e: \"x\\ny\\t\\\"\\\\\\e\"}",
       "a: \"1\"\nb: \"true\"\nc: \"\"\nd: \"~\"\ne: \"x\\ny\\t\\\"\\\\\\x1b\"\n"},
      {"{lr: 1.0e-3, x: -1, y: no}", "lr: 1.0e-3\nx: -1\ny: no\n"},
      {"{'a b': 1, 'a: b': 2, '': 3, '- x': 4, 'null': 5}",
       "a b: 1\n\"a: b\": 2\n\"\": 3\n\"- x\": 4\n\"null\": 5\n"},
      {"a: x, [y] # comment\nb: x\n\n  y\n", "a: \"x, [y]\"\nb: \"x\\ny\"\n"},
      {"3", "3\n"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(to_yaml(parse_text(row.text, "f")), row.expected);
  }
}

TEST(ConfigYaml, BreaksLongLists) {
  Node list = Node::empty_list();
  for (int i = 0; i < 60; ++i) list.list.push_back(Node::plain(std::to_string(i)));
  const std::string text = to_yaml(list);
  EXPECT_TRUE(text.starts_with("- 0\n- 1\n- 2\n")) << text;
  EXPECT_EQ(line_of(parse_text(text, "f")), line_of(list));
}

/// Texts out of the characters that mean something to YAML, as values, keys and items of lists.
TEST(ConfigYaml, ReadsBackAnyText) {
  std::mt19937 random(7);
  const std::string_view pieces[] = {"a", "1", " ", ":", "-", "#", ",", "[", "]", "{", "}", "\"", "'", "\\", "\n", "\t",
                                     "~", "null", "true", "?", "&", "*", "!", "|", ">", "%", "@", "`", "...", "---",
                                     "é", "=", "<<", ".", "\x01", "\r", "\xEF\xBB\xBF", "\xC2\x85", "\xE2\x80\xA8"};
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (auto length = random() % 6; length > 0; --length) text += pieces[random() % std::size(pieces)];
    Node scalar = i % 2 == 0 ? Node::text(text) : Node::plain(text);
    Node list = Node::empty_list();
    list.list = {scalar, Node::plain("1"), scalar};
    Node root = Node::empty_map();
    root.map = {{"value", scalar}, {"list", list}};
    if (text != "<<" && text != "value" && text != "list") root.map.emplace_back(text, list);
    SCOPED_TRACE(to_yaml(root));
    Node again;
    ASSERT_EQ(error_of([&] { again = parse_text(to_yaml(root), "f"); }), "no error");
    for (const auto& [key, value] : root.map) {
      ASSERT_NE(again.find(key), nullptr) << key;
      const Node& read = again.at(key).is_list() ? again.at(key).list.at(2) : again.at(key);
      ASSERT_TRUE(read.is_scalar());
      EXPECT_EQ(read.scalar, text);
      EXPECT_TRUE(read.quoted || !scalar.quoted);
    }
    EXPECT_EQ(to_yaml(again), to_yaml(root));
  }
}

constexpr std::string_view kExperiment = R"(name: fashion-mnist-mlp   # a comment
seed: 42
data:
  idx: &idx {name: 'fashion mnist', validation: 5000, scale: unit}
network:
  layers:
    - dense: {name: hidden1, units: 512, activation: relu}
    - dense: {name: "hidden2", units: 2e2, activation: relu}
    - dropout
    - constant: {value: [[1, 2], [3.5, -4]]}
  loss: softmax_cross_entropy
train: {epochs: 10, batch_size: 128, optimizer: {adam: {lr: 1.0e-3}}}
record:
  every: 200
  taps: [activation, delta]
  note: |
    two
    lines
checkpoint: {every: 1 epoch, keep: ~}
)";

Schema experiment() {
  const Schema dense = Schema::map()
                           .required("units", Schema::integer().at_least(1), "number of outputs")
                           .optional("name", Schema::text(), std::nullopt, "")
                           .optional("activation", Schema::text_of({"relu", "none"}), "none", "")
                           .optional("bias", Schema::boolean(), "true", "");
  const Schema layer = Schema::choice("layer type")
                           .alternative("dense", dense, "")
                           .alternative("dropout", Schema::map().optional("rate", Schema::number(), "0.5", ""), "")
                           .alternative("constant", Schema::map().required("value", Schema::tensor(), ""), "");
  const Schema rate = Schema::either(Schema::number().above(0), Schema::map().required("decay", Schema::number(), ""));
  const Schema optimizer =
      Schema::choice("optimizer").alternative("adam", Schema::map().optional("lr", rate, "1e-3", ""), "");
  const Schema idx = Schema::map()
                         .required("name", Schema::text(), "")
                         .optional("validation", Schema::integer(), "0", "")
                         .optional("scale", Schema::text(), "\"unit\"", "");
  return Schema::map()
      .required("name", Schema::text(), "")
      .optional("seed", Schema::integer(), "0", "")
      .required("data", Schema::choice("data set").alternative("idx", idx, ""), "")
      .required("network", Schema::map().required("layers", Schema::list(layer).items(1), "")
                               .required("loss", Schema::text(), ""), "")
      .required("train", Schema::map().required("epochs", Schema::integer(), "")
                             .optional("batch_size", Schema::integer(), "1", "")
                             .optional("optimizer", optimizer, "adam", ""), "")
      .optional("record", Schema::map().optional("every", Schema::duration(), "100", "")
                              .optional("taps", Schema::list(Schema::text()), "[]", "")
                              .optional("note", Schema::text(), "''", ""), "{}", "")
      .optional("checkpoint", Schema::map().optional("every", Schema::duration(), "1 epoch", "")
                                  .optional("keep", Schema::integer().nullable(), "3", ""), "{}", "");
}

TEST(ConfigRoundTrip, ResolvedTreeReadsBackAsItself) {
  const std::string_view minimal =
      "name: '7'\n"
      "data: {idx: {name: no}}\n"
      "network: {layers: [dropout, {dense: {units: 1}}], loss: \"x: y\"}\n"
      "train: {epochs: 1, optimizer: {adam: {lr: {decay: 1}}}}\n";
  const Node resolved = validate(parse_text(minimal, "f"), experiment());
  const std::string text = to_yaml(resolved);
  EXPECT_EQ(text,
            "name: \"7\"\n"
            "seed: 0\n"
            "data:\n"
            "  idx:\n"
            "    name: no\n"
            "    validation: 0\n"
            "    scale: \"unit\"\n"
            "network:\n"
            "  layers:\n"
            "    - dropout:\n"
            "        rate: 0.5\n"
            "    - dense:\n"
            "        units: 1\n"
            "        activation: none\n"
            "        bias: true\n"
            "  loss: \"x: y\"\n"
            "train:\n"
            "  epochs: 1\n"
            "  batch_size: 1\n"
            "  optimizer:\n"
            "    adam:\n"
            "      lr:\n"
            "        decay: 1\n"
            "record:\n"
            "  every: 100\n"
            "  taps: []\n"
            "  note: \"\"\n"
            "checkpoint:\n"
            "  every: 1 epoch\n"
            "  keep: 3\n");
  EXPECT_EQ(line_of(validate(parse_text(text, "f"), experiment())), line_of(resolved));
}

/// Cuts, copies, swaps and inserts; what comes out may be YAML or not.
std::string mutated(std::string text, std::mt19937& random) {
  const std::string_view pieces[] = {":",    ": ",    "\n",    "\n  ",  "- ",    "[",  "]",      "{",   "}",
                                     ",",    "\"",    "'",     "#",     "&a ",   "*a", "!!str ", "!x ", "|",
                                     ">",    "? ",    "~",     "---\n", "...\n", "\t", "\r",     "%",   "<<: *idx",
                                     "*idx", "&idx ", "1e999", "-",     "@",     "\\", "\xFF",   "é",   "null"};
  for (auto edits = 1 + random() % 4; edits > 0; --edits) {
    const std::size_t at = random() % (text.size() + 1), length = random() % 12;
    switch (random() % 5) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, text.substr(random() % (text.size() + 1), random() % 60)); break;
      case 2: text.insert(at, pieces[random() % std::size(pieces)]); break;
      case 3: text.insert(at, 1, static_cast<char>(random() % 256)); break;
      default: text.replace(at, 1, pieces[random() % std::size(pieces)]); break;
    }
  }
  return text;
}

TEST(ConfigRoundTrip, MutatedDocumentsReadOrAreRefused) {
  const Schema schema = experiment();
  ASSERT_EQ(error_of([&] { validate(parse_text(kExperiment, "f"), schema); }), "no error");

  std::mt19937 random(20240607);
  int parsed = 0, accepted = 0;
  for (int i = 0; i < 6000; ++i) {
    const std::string text = mutated(std::string(kExperiment), random);
    SCOPED_TRACE(text);
    Node root, resolved;
    const std::string parse_error = error_of([&] { root = parse_text(text, "f"); });
    if (parse_error != "no error") {
      ASSERT_TRUE(parse_error.starts_with("78 f:")) << parse_error;
      continue;
    }
    ++parsed;
    const std::string error = error_of([&] { resolved = validate(root, schema); });
    if (error != "no error") {
      ASSERT_TRUE(error.starts_with("78 f:")) << error;
      continue;
    }
    ++accepted;
    Node again;
    ASSERT_EQ(error_of([&] { again = validate(parse_text(to_yaml(resolved), "f"), schema); }), "no error")
        << to_yaml(resolved);
    ASSERT_EQ(to_yaml(again), to_yaml(resolved));
  }
  // Both ways out are exercised.
  EXPECT_GT(parsed, 1000);
  EXPECT_LT(parsed, 5000);
  EXPECT_GT(accepted, 200);
}

}  // namespace
}  // namespace backplane::config
