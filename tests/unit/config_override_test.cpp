#include "config_expect.h"

namespace backplane::config {
namespace {

constexpr std::string_view kDocument =
    "train: {epochs: 10, optimizer: adam}\n"
    "empty:\n"
    "network:\n"
    "  layers:\n"
    "    - dense: {name: hidden1, units: 5}\n"
    "    - relu\n"
    "    - dense: {name: hidden2, units: 6}\n";

constexpr std::string_view kWord = "command line, word 4 (--set …)";

Node with(std::string_view assignment) {
  Node root = parse_text(kDocument, "f");
  apply_override(root, assignment, std::string(kWord));
  return root;
}

struct Row {
  std::string_view assignment;
  std::string expected;
};

TEST(ConfigOverride, ReplacesAndAdds) {
  const std::string network =
      "network: {layers: [{dense: {name: hidden1, units: 5}}, relu, {dense: {name: hidden2, units: 6}}]}";
  const std::string train = "train: {epochs: 10, optimizer: adam}, empty: ~, ";
  const Row rows[] = {
      {"train.epochs=3", "{train: {epochs: 3, optimizer: adam}, empty: ~, " + network + "}"},
      {"train.batch=3", "{train: {epochs: 10, optimizer: adam, batch: 3}, empty: ~, " + network + "}"},
      {"train={epochs: 1}", "{train: {epochs: 1}, empty: ~, " + network + "}"},
      {"train=", "{train: ~, empty: ~, " + network + "}"},
      {"train=a=b", "{train: a=b, empty: ~, " + network + "}"},
      {"train='1'", "{train: \"1\", empty: ~, " + network + "}"},
      {"empty.a.b=[1]", "{train: {epochs: 10, optimizer: adam}, empty: {a: {b: [1]}}, " + network + "}"},
      {"new.a=1", "{" + train + network + ", new: {a: 1}}"},
      {"network.layers[0].dense.units=7",
       "{" + train +
           "network: {layers: [{dense: {name: hidden1, units: 7}}, relu, {dense: {name: hidden2, units: 6}}]}}"},
      {"network.layers.hidden2.units=7",
       "{" + train +
           "network: {layers: [{dense: {name: hidden1, units: 5}}, relu, {dense: {name: hidden2, units: 7}}]}}"},
      {"network.layers.hidden1={units: 1}",
       "{" + train + "network: {layers: [{dense: {units: 1}}, relu, {dense: {name: hidden2, units: 6}}]}}"},
      {"network.layers[1]=tanh",
       "{" + train +
           "network: {layers: [{dense: {name: hidden1, units: 5}}, tanh, {dense: {name: hidden2, units: 6}}]}}"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.assignment);
    EXPECT_EQ(error_of([&] { EXPECT_EQ(line_of(with(row.assignment)), row.expected); }), "no error");
  }
}

TEST(ConfigOverride, IndexesNestedListsFromTheRoot) {
  Node root = parse_text("[[1, 2], [3, 4]]", "f");
  apply_override(root, "[1][0]=5", "w");
  EXPECT_EQ(line_of(root), "[[1, 2], [5, 4]]");
}

TEST(ConfigOverride, RefusesWhatItCannotReach) {
  const std::string place = "64 " + std::string(kWord) + ": error: ";
  const std::string malformed = place + "the path before '=' is malformed\n  hint: write a.b[2].c=value";
  const Row rows[] = {
      {"train.epochs", place + "expected path=value, got 'train.epochs'\n  hint: write a.b[2].c=value"},
      {"", place + "expected path=value, got ''\n  hint: write a.b[2].c=value"},
      {"=3", malformed},
      {".a=3", malformed},
      {"a.=3", malformed},
      {"a..b=3", malformed},
      {"a[=3", malformed},
      {"a[]=3", malformed},
      {"a[x]=3", malformed},
      {"a[-1]=3", malformed},
      {"a[1=3", malformed},
      {"a[1]b=3", malformed},
      {"a]=3", malformed},
      {"a.[0]=3", malformed},
      {"a[99999999999999999999]=3", malformed},
      {"train.epochs.x=3",
       place + "cannot set 'x' inside '10'\n  train.epochs\n  hint: set the whole value: train.epochs={x: …}"},
      {"train.optimizer.adam.lr=1", place + "cannot set 'adam' inside 'adam'\n  train.optimizer\n"
                                            "  hint: set the whole value: train.optimizer={adam: …}"},
      {"train[0]=3", place + "[0] asks for a list, but here stands a map\n  train"},
      {"empty[0]=3", place + "[0] asks for a list, but here stands nothing\n  empty"},
      {"train.epochs[0]=3", place + "[0] asks for a list, but here stands '10'\n  train.epochs"},
      {"network.layers[3]=x", place + "[3] is beyond a list of 3, counted from 0\n  network.layers"},
      {"network.layers.hiden1.units=3", place + "no item of this list is named 'hiden1'\n  network.layers\n"
                                                "  did you mean 'hidden1'?   known: hidden1, hidden2\n"
                                                "  hint: items are also chosen by their index: network.layers[0]"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.assignment);
    EXPECT_EQ(error_of([&] { with(row.assignment); }), row.expected);
  }
  std::string deep = "a";
  for (int i = 0; i < 64; ++i) deep += ".a";
  EXPECT_EQ(error_of([&] { with(deep + "=1"); }), malformed);
  EXPECT_EQ(error_of([&] { with(deep.substr(2) + "=1"); }), "no error");
}

TEST(ConfigOverride, ReportsBrokenValuesAtTheWord) {
  const std::string place = "78 " + std::string(kWord) + ": error: ";
  EXPECT_EQ(error_of([] { with("a={x: 1, x: 2}"); }), place + "key 'x' is written twice; first at line 1, column 2");
  EXPECT_EQ(error_of([] { with("a=[1"); }),
            place + "a key must be text, written out where it stands\n  hint: is a '[' or '{' not closed?");
  EXPECT_EQ(error_of([] { with("a=b: - c"); }), place +
                                                    "not valid YAML: illegal block entry\n"
                                                    "  hint: a list begins on a line of its own, or is written [a, b]");
  EXPECT_EQ(error_of([] { with("a=\xFF"); }),
            "64 " + std::string(kWord) +
                ": error: the byte 0xff is not valid UTF-8\n  hint: what is set becomes text of a configuration in "
                "UTF-8: a file whose name is in another encoding needs another name");
}

TEST(ConfigOverride, RefusesWhatYamlWouldDropOfAValue) {
  const std::string place = "64 " + std::string(kWord) + ": error: ";
  const auto in_quotes = [](const std::string& value) {
    return "\n  hint: if it belongs to the value, that stands in quotes: a='" + value + "'";
  };
  EXPECT_EQ(error_of([] { with("a=d.csv #1"); }),
            place + "' #' begins a comment of YAML in the value 'd.csv #1'" + in_quotes("d.csv #1"));
  EXPECT_EQ(error_of([] { with("a=#1"); }),
            place + "' #' begins a comment of YAML in the value '#1'" + in_quotes("#1"));
  EXPECT_EQ(error_of([] { with("a=it's #1"); }),
            place + "' #' begins a comment of YAML in the value 'it's #1'" + in_quotes("it''s #1"));
  EXPECT_EQ(error_of([] { with("a=[1, 2] # two"); }),
            place + "' #' begins a comment of YAML in the value '[1, 2] # two'" + in_quotes("[1, 2] # two"));
  EXPECT_EQ(error_of([] { with("a=%d.csv"); }),
            place + "a '%' begins a directive of YAML, not text, in the value '%d.csv'" + in_quotes("%d.csv"));
  for (const std::string mark : {"---", "..."}) {
    EXPECT_EQ(error_of([&] { with("a=" + mark); }),
              place + "a mark of YAML's documents stands in the value '" + mark + "'" + in_quotes(mark));
    EXPECT_NE(error_of([&] { with("a=b\n" + mark + " c"); }).find("a mark of YAML's documents"), std::string::npos);
  }
  for (const std::string whole : {"a='d.csv #1'", "a=\"d #1\"", "a=d.csv#1", "a=C#", "a=10%", "a=...x", "a=-", "a='#'"})
    EXPECT_EQ(error_of([&] { with(whole); }), "no error") << whole;
}

TEST(ConfigOverride, GivesNewValuesThePlaceOfTheWord) {
  const Node root = with("new.a={b: [1]}");
  const Node& added = root.at("new");
  for (const Node* node : {&added, &added.at("a"), &added.at("a").at("b"), &added.at("a").at("b").list[0]}) {
    EXPECT_EQ(node->place.text(), kWord);
    EXPECT_EQ(node->place.line, 0);
  }
  EXPECT_EQ(added.key_place.text(), kWord);
  const Node replaced = with("train.epochs=3");
  EXPECT_EQ(replaced.at("train").at("epochs").place.text(), kWord);
  EXPECT_EQ(replaced.at("train").at("epochs").key_place.text(), "f:1:9");
  EXPECT_EQ(replaced.at("train").place.text(), "f:1:8");
}

}  // namespace
}  // namespace backplane::config
