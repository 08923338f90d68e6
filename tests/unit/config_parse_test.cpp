#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "config_expect.h"

namespace backplane::config {
namespace {

Node parse(std::string_view text, const Limits& limits = {}) {
  return parse_text(text, "f", limits);
}

std::string parse_error(std::string_view text, const Limits& limits = {}) {
  return error_of([&] { parse(text, limits); });
}

struct Row {
  std::string_view text;
  std::string expected;
};

TEST(ConfigParse, ReadsDocuments) {
  const Row rows[] = {
      {"", "{}"},
      {"# only a comment\n", "{}"},
      {"---\n", "{}"},
      {"a: 1\n", "{a: 1}"},
      {"a: 1", "{a: 1}"},
      {"---\na: 1\n...\n", "{a: 1}"},
      {"\xEF\xBB\xBF"
       "a: 1\r\nb: 2\r\n",
       "{a: 1, b: 2}"},
      {"a: \"1\"\nb: '1'\nc: |\n  1\n", "{a: \"1\", b: \"1\", c: \"1\n\"}"},
      {"a:\nb: ~\nc: null\nd: 'null'\ne: ''\n", "{a: ~, b: ~, c: ~, d: \"null\", e: \"\"}"},
      {"a: no\nb: 0x10\nc: 1_000\n", "{a: no, b: 0x10, c: 1_000}"},
      {"- 1\n- [2, {b: 3}]\n-\n  c: 4\n", "[1, [2, {b: 3}], {c: 4}]"},
      {"1: x\ntrue: y\n", "{1: x, true: y}"},
      {"a: é\n'ü b': c\n", "{a: é, ü b: c}"},
      {"'': 1\n", "{: 1}"},
      // Aliases are copies; an anchor may be written again, and may stand on nothing.
      {"a: &x {p: [1, 2]}\nb: *x\nc: [*x]\n", "{a: {p: [1, 2]}, b: {p: [1, 2]}, c: [{p: [1, 2]}]}"},
      {"- &x 1\n- *x\n- &x 2\n- *x\n", "[1, 1, 2, 2]"},
      {"a: &x\nb: *x\n", "{a: ~, b: ~}"},
      {"- [&x 'q', &y [*x]]\n- *y\n", "[[\"q\", [\"q\"]], [\"q\"]]"},
      // Tags of the core schema say text or plain; "!" says text.
      {"a: !!str 5\nb: !!int \"5\"\nc: ! 5\nd: !!str\n", "{a: \"5\", b: 5, c: \"5\", d: \"\"}"},
      {"a: !!map {}\nb: !!seq []\nc: !!null ''\nd: !!float 1\ne: !!bool true\n", "{a: {}, b: [], c: ~, d: 1, e: true}"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(error_of([&] { EXPECT_EQ(line_of(parse(row.text)), row.expected); }), "no error");
  }
}

TEST(ConfigParse, RefusesWhatIsWrong) {
  const Row rows[] = {
      {"a: \"x\\0zz\"\n",
       "78 f:1:4: error: text with a NUL character (\\0) in it, which no name and no path can hold\n"
       "  hint: leave \\0 out"},
      {"a: {\"x\\x00\": 1}\n",
       "78 f:1:5: error: text with a NUL character (\\0) in it, which no name and no path can hold\n  a\n"
       "  hint: leave \\0 out"},
      {"data:\n  units: 1\n  size: 2\n  units: 3\n",
       "78 f:4:3: error: key 'units' is written twice; first at line 2, column 3\n  data"},
      {"a: [{b: {c: 1, c: 2}}]", "78 f:1:16: error: key 'c' is written twice; first at line 1, column 10\n  a[0].b"},
      {"a: 1\n'a': 2\n", "78 f:2:1: error: key 'a' is written twice; first at line 1, column 1"},
      {"? [a]\n: b\n",
       "78 f:1:3: error: a key must be text, written out where it stands\n  hint: is a '[' or '{' not closed?"},
      {"? {a: b}\n: b\n",
       "78 f:1:3: error: a key must be text, written out where it stands\n  hint: is a '[' or '{' not closed?"},
      {"~: 1\n", "78 f:1:1: error: a key must be text, written out where it stands"},
      {"a: &x b\n*x : 1\n", "78 f:2:1: error: a key must be text, written out where it stands"},
      {"&k a: *k\n", "78 f:1:7: error: the alias names a key; only values can be repeated"},
      {"a: &x {p: 1}\nb:\n  <<: *x\n",
       "78 f:3:3: error: merge keys '<<' are not supported\n  b\n  hint: write the entries out"},
      {"a: &x [*x]\n", "78 f:1:8: error: the alias names a value that it is part of\n  a"},
      {"a: &x {b: [1, *x]}\n", "78 f:1:15: error: the alias names a value that it is part of\n  a.b"},
      {"a: !color red\n", "78 f:1:4: error: the tag '!color' is not supported here"},
      {"a: !!python/object x\n", "78 f:1:4: error: the tag 'tag:yaml.org,2002:python/object' is not supported here"},
      {"a: !!map [1]\n", "78 f:1:4: error: the tag 'tag:yaml.org,2002:map' is not supported here"},
      {"a: !!seq {}\n", "78 f:1:4: error: the tag 'tag:yaml.org,2002:seq' is not supported here"},
      {"a: !!null 5\n", "78 f:1:4: error: the tag 'tag:yaml.org,2002:null' is not supported here"},
      {"a: 1\n---\nb: 2\n",
       "78 f:2:1: error: the document ends before this line\n"
       "  hint: a file holds one document: no second '---', and no line indented less than the first"},
      {"  a: 1\n b: 2\n",
       "78 f:2:2: error: the document ends before this line\n"
       "  hint: a file holds one document: no second '---', and no line indented less than the first"},
      {"a: [1, 2\n",
       "78 f:2:1: error: not valid YAML: end of sequence flow not found\n"
       "  hint: a '[' before this place is not closed"},
      {"a: {b: 1\n",
       "78 f:2:1: error: not valid YAML: end of map flow not found\n  hint: a '{' before this place is not closed"},
      {"a: 1\nb: \"x\nc: 2\n", "78 f:2:1: error: not valid YAML: a quote that opens after this place is not closed"},
      {"a: 'x", "78 f:1:1: error: not valid YAML: a quote that opens after this place is not closed"},
      {"\"x", "78 f:1:1: error: not valid YAML: a quote that opens after this place is not closed"},
      {"a:\n  b: 1\n\tc: 2\n",
       "78 f:3:1: error: not valid YAML: illegal tab when looking for indentation\n"
       "  hint: indent with spaces, not with tabs"},
      {"a: \"\\uDCFF\"",
       "78 f:1:11: error: not valid YAML: \\uDCFF is the number of no character\n  hint: write the character itself; a "
       "pair of surrogates (D800 to DFFF) is one character: \\U and its 8 digits"},
      {"a: \"\\xZZ\"",
       "78 f:1:9: error: not valid YAML: bad character found while scanning hex number\n  hint: behind \\x, \\u and "
       "\\U stand 2, 4 and 8 hexadecimal digits"},
      {"a: \"\\q\"",
       "78 f:1:7: error: not valid YAML: unknown escape character: q\n  hint: a backslash in double quotes is written "
       "twice; in single quotes it is a backslash"},
      {"a:\n\tb: 1\n", "78 f:2:3: error: not valid YAML: illegal map value\n  hint: indent with spaces, not with tabs"},
      {"a: 1\nb:2\nc: 3\n",
       "78 f:3:2: error: not valid YAML: illegal map value\n  hint: look at this line and the one above: a key ends in "
       "a colon and a space, deeper lines are indented, and text with ': ' in it needs quotes"},
      {"a: - b\n",
       "78 f:1:4: error: not valid YAML: illegal block entry\n"
       "  hint: a list begins on a line of its own, or is written [a, b]"},
      {"a: @x\n",
       "78 f:1:4: error: not valid YAML: unknown token\n  hint: text that begins with this character needs quotes"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(parse_error(row.text), row.expected);
  }
}

TEST(ConfigParse, RefusesAnAliasOfNothing) {
  const std::string error = parse_error("a: 1\nb: *y\n");  // yaml-cpp 0.8 says the name as well
  EXPECT_TRUE(error.starts_with("78 f:2:4: error: not valid YAML: the referenced anchor is not defined")) << error;
  EXPECT_TRUE(error.ends_with("\n  hint: an alias *name repeats a value that was marked &name above it")) << error;
}

TEST(ConfigParse, RefusesWhatIsNoText) {
  const std::string hint = "\n  hint: save the file as plain text in UTF-8";
  const std::string nul("a: 1\nb\0: 2\n", 11);
  const std::string utf16(
      "\xFF\xFE"
      "a\0:\0",
      6);
  EXPECT_EQ(parse_error(nul), "78 f:2:2: error: the control character 0x00 is not allowed in YAML" + hint);
  EXPECT_EQ(parse_error(utf16), "78 f:1:1: error: the byte 0xff is not valid UTF-8" + hint);
  const Row rows[] = {
      {"a: b\x04 c\n", "78 f:1:5: error: the control character 0x04 is not allowed in YAML"},
      {"a: \x1B[31m\n", "78 f:1:4: error: the control character 0x1b is not allowed in YAML"},
      {"a: \x7F\n", "78 f:1:4: error: the control character 0x7f is not allowed in YAML"},
      {"a: 1\rb: 2\n", "78 f:1:5: error: the control character 0x0d is not allowed in YAML"},
      {"a: \xC3(\n", "78 f:1:4: error: the byte 0xc3 is not valid UTF-8"},
      {"a: \xC0\x80\n", "78 f:1:4: error: the byte 0xc0 is not valid UTF-8"},
      {"a: \xED\xA0\x80\n", "78 f:1:4: error: the byte 0xed is not valid UTF-8"},
      {"a: \xF4\x90\x80\x80\n", "78 f:1:4: error: the byte 0xf4 is not valid UTF-8"},
      {"a: \x80\n", "78 f:1:4: error: the byte 0x80 is not valid UTF-8"},
      {"a: \xE2\x82", "78 f:1:4: error: the byte 0xe2 is not valid UTF-8"},
  };
  for (const Row& row : rows) EXPECT_EQ(parse_error(row.text), row.expected + hint);
  EXPECT_EQ(line_of(parse("a: \xF0\x9F\x98\x80\tb\n")), "{a: \xF0\x9F\x98\x80\tb}");
}

TEST(ConfigParse, RemembersPlaces) {
  const Node root = parse("a: 1\nb:\n  - c: {d: x}\n  - &e [y]\nf: *e\n");
  const auto place = [](const Place& p) { return p.text(); };
  EXPECT_EQ(place(root.place), "f:1:1");
  EXPECT_EQ(place(root.at("a").place), "f:1:4");
  EXPECT_EQ(place(root.at("a").key_place), "f:1:1");
  const Node& d = root.at("b").list[0].at("c").at("d");
  EXPECT_EQ(place(d.place), "f:3:12");
  EXPECT_EQ(place(d.key_place), "f:3:9");
  EXPECT_EQ(place(root.at("f").list[0].place), "f:4:9");
  EXPECT_EQ(place(root.at("f").key_place), "f:5:1");
  EXPECT_EQ(place(parse("").place), "f:1:1");
  EXPECT_FALSE(root.at("a").is_default);
}

TEST(ConfigParse, CountsWhatAliasesRepeat) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{0}: &a{0} [*a{1}", i, i - 1);
    for (int copies = 1; copies < 10; ++copies) bomb += fmt::format(", *a{}", i - 1);
    bomb += "]\n";
  }
  // 12345 values stand up to a3; the eighth copy of its 11111 is too much.
  EXPECT_EQ(parse_error(bomb),
            "78 f:5:45: error: the document has more than 100000 values, what aliases repeat included\n  a4");

  // Few nodes, much text.
  std::string text = "a: &a " + std::string(500'000, 'x') + "\nb: [*a, *a, *a]\n";
  EXPECT_EQ(parse_error(text), "78 f:2:13: error: aliases repeat more than 1048576 bytes of text\n  b");
  EXPECT_EQ(parse_error("a: &a xxxx\nb: [*a, *a]\n", {.bytes = 30}), "no error");
}

TEST(ConfigParse, LimitsNodesBytesAndDepth) {
  const Limits ten{.bytes = 40, .nodes = 10, .depth = 3};
  EXPECT_EQ(parse_error("[1, 2, 3, 4, 5, 6, 7, 8, 9]", ten), "no error");
  EXPECT_EQ(parse_error("[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]", ten),
            "78 f:1:29: error: the document has more than 10 values, what aliases repeat included");
  EXPECT_EQ(parse_error("- &a [1, 2, 3, 4]\n- *a\n", ten),
            "78 f:2:3: error: the document has more than 10 values, what aliases repeat included");
  EXPECT_EQ(parse_error("[[[1]]]", ten), "no error");
  EXPECT_EQ(parse_error("a: [[{b: 1}]]", ten), "78 f:1:6: error: lists and maps are nested more than 3 deep\n  a[0]");
  EXPECT_EQ(parse_error("- &a [[1]]\n- [*a]\n", ten),
            "78 f:2:4: error: lists and maps are nested more than 3 deep\n  [1]");
  EXPECT_EQ(parse_error(std::string(40, ' '), ten), "no error");
  EXPECT_EQ(parse_error(std::string(41, ' '), ten), "78 f: error: the text is longer than 40 bytes");

  EXPECT_EQ(parse_error(std::string(64, '[') + std::string(64, ']')), "no error");
  const std::string too_deep = parse_error(std::string(65, '[') + std::string(65, ']'));
  EXPECT_TRUE(too_deep.starts_with("78 f:1:65: error: lists and maps are nested more than 64 deep\n  [0][0]"))
      << too_deep;
  EXPECT_EQ(parse_error(std::string(201, 'k') + ": 1"), "78 f:1:1: error: a key is longer than 200 bytes");
}

TEST(ConfigParse, EndsOnHostileRepetition) {
  const std::string_view pieces[] = {"[",    "{",  "- ", "? ",  "&a ",  "*a ",  "!a ",   "[a: ", "{a,",
                                     "a: ",  "\"", "'",  "'' ", "a:\n", "-\n ", "---\n", ">\n ", "|",
                                     "%a\n", "#",  " ",  "\n",  "]",    "}",    ",",     "{?"};
  for (const std::string_view piece : pieces) {
    SCOPED_TRACE(piece);
    std::string text;
    while (text.size() < 100'000) text += piece;
    const std::string error = error_of([&] { parse(text); });
    EXPECT_TRUE(error == "no error" || error.starts_with("78 f:")) << error;
  }
}

class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "backplane_config_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::string folder_;
};

TEST_F(ConfigFile, IsReadWithItsNameInPlaces) {
  const std::string path = write("a.yaml", "a: 1\na: 2\n");
  EXPECT_EQ(error_of([&] { parse_file(path); }),
            "78 " + path + ":2:1: error: key 'a' is written twice; first at line 1, column 1");
  const Node root = parse_file(write("b.yaml", "a: 1\n"));
  EXPECT_EQ(line_of(root), "{a: 1}");
  EXPECT_EQ(line_of(parse_file(write("empty.yaml", ""))), "{}");
}

TEST_F(ConfigFile, OverTheLimitIsRefused) {
  const std::string fits = "#" + std::string((1 << 20) - 1, 'x');
  EXPECT_EQ(line_of(parse_file(write("fits.yaml", fits))), "{}");
  const std::string path = write("large.yaml", fits + "x");
  EXPECT_EQ(error_of([&] { parse_file(path); }), "78 " + path +
                                                     ": error: the file is larger than 1048576 bytes\n"
                                                     "  hint: is it an experiment? Data belongs into files of its own");
}

TEST_F(ConfigFile, ThatCannotBeReadIsNoInput) {
  const std::string missing = folder_ + "/none.yaml";
  EXPECT_EQ(error_of([&] { parse_file(missing); }), "66 error: cannot read '" + missing + "': there is no such file");
  EXPECT_EQ(error_of([&] { parse_file(folder_); }),
            "66 error: cannot read '" + folder_ + "': it is a directory, not a regular file");
  // Opens, but its first page cannot be read: what a failing disk looks like.
  EXPECT_EQ(error_of([&] { parse_file("/proc/self/mem"); }),
            "74 error: /proc/self/mem: cannot be read: input or output failed\n  hint: check the disk that it is on");
}

}  // namespace
}  // namespace backplane::config
