// What the host makes of plug-ins: loading, clashes, floating-point mode, and what `plugin inspect` prints.
// Messages about bad plug-ins are tested word by word in tests/error.

#include <gtest/gtest.h>

#include <array>
#include <cfenv>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "plugins/bench.h"
#include "support/paths.h"

namespace backplane {
namespace {

std::string bad(const std::string& name) {
  return std::string(testing::kBadPluginFolder) + "/" + name + ".bp.so";
}
std::string good(const std::string& name) {
  return std::string(testing::kGoodPluginFolder) + "/" + name + ".bp.so";
}

/// Everything that a command writes to stdout.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  for (std::array<char, 4096> part; std::fgets(part.data(), part.size(), pipe) != nullptr;) text += part.data();
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

TEST(LoadLibrary, CopiesWhatAPluginSaysOfItself) {
  const Library library = load_library(good("attributes"));
  EXPECT_EQ(library.identity.id, "test.attributes");
  EXPECT_EQ(library.identity.version, "1.2.3");
  EXPECT_EQ(library.identity.summary, "attributes of every kind");
  EXPECT_EQ(library.identity.licence, "MIT");
  EXPECT_EQ(library.identity.sha256.size(), 64u);
  ASSERT_EQ(library.layers.size(), 1u);
  EXPECT_EQ(library.layers[0].version, 3u);
  EXPECT_EQ(library.layers[0].attribute_count, 9u);
  ASSERT_EQ(library.activations.size(), 1u);
}

TEST(LoadLibrary, KeepsTheFloatingPointMode) {
  EXPECT_EQ(load_library(bad("flushes_denormals")).identity.id, "test.flushes_denormals");
  volatile double smallest = 5e-324;
  EXPECT_GT(smallest * 1.0, 0.0) << "denormal numbers are flushed to zero";
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST(LoadLibrary, MayBeRepeated) {
  // An experiment's --plugin may name what was found already; a library is opened once and never closed.
  EXPECT_EQ(load_library(good("sum")).layers[0].create, load_library(good("sum")).layers[0].create);
}

TEST(Registry, RefusesASecondTypeOfOneNameAndKeepsTheFirst) {
  Registry registry;
  registry.load(std::string(testing::kPluginFolder) + "/dense.bp.so");
  const std::string error = testing::user_error_of([&] { registry.load(bad("clash_dense")); });
  EXPECT_EQ(error.substr(0, 3), "70 ") << error;
  EXPECT_NE(error.find("layer type 'dense' is already defined by plug-in org.backplane.dense"), std::string::npos)
      << error;
  EXPECT_EQ(registry.libraries().size(), 1u);
  EXPECT_EQ(registry.find_layer("dense").plugin->id, "org.backplane.dense");
}

TEST(Registry, RefusesASecondPluginOfOneId) {
  Registry registry;
  registry.load(std::string(testing::kPluginFolder) + "/dense.bp.so");
  const std::string error = testing::user_error_of([&] { registry.load(bad("clash_id")); });
  EXPECT_NE(error.find("id 'org.backplane.dense' is already defined"), std::string::npos) << error;
  EXPECT_EQ(registry.find_layer("spoiled").type, nullptr);
}

TEST(Registry, FindsPluginsOfItsPathAndRemembersWhatFailed) {
  ASSERT_EQ(
      setenv("BACKPLANE_PLUGIN_PATH", (std::string(testing::kBadPluginFolder) + ":" + testing::kGoodPluginFolder).c_str(), 1),
      0);
  const Registry registry = Registry::discover({});
  ASSERT_EQ(unsetenv("BACKPLANE_PLUGIN_PATH"), 0);
  EXPECT_NE(registry.find_layer("sum").type, nullptr);
  EXPECT_NE(registry.find_layer("throws").type, nullptr) << "its tables are in order";
  const auto failed = [&](const std::string& name) {
    for (const FailedPlugin& plugin : registry.failed())
      if (plugin.file == bad(name)) return plugin.why;
    return std::string();
  };
  EXPECT_NE(failed("no_types").find("it has neither layers nor activations"), std::string::npos) << failed("no_types");
  EXPECT_NE(failed("undefined_symbol").find("function_that_nobody_defines"), std::string::npos)
      << failed("undefined_symbol");
}

TEST(PluginInspect, ListsEveryAttributeWithRangeAndDefault) {
  const std::string text = output_of(std::string(testing::kProgram) + " plugin inspect " + good("attributes"));
  // kind, default, summary, range of each: one line per attribute
  for (const char* line : {"reverse      bool      false      from the last column to the first\n",
                           "repeat       int       1          how often ≥ 1 ≤ 4\n",
                           "factor       float     0.5        the factor ≥ -2 ≤ 2\n",
                           "sign         text      \"plus\"     of the factor plus | minus\n",
                           "note         text      \"it's: a #note\" any text, without effect\n",
                           "columns      int list  [0, 1]     which columns ≥ 0 ≤ 99\n",
                           "shift        int       0          added to every column number ≥ -5\n",
                           "gain         float     1          another factor\n",
                           "offset       int       required   number of columns left out in front ≥ 0\n",
                           "steepness    float     2          ∂a/∂z ≥ 0 ≤ 10\n",
                           "plug-in     test.attributes 1.2.3   attributes of every kind\n",
                           "layer       pick   chosen columns, times a factor   (float32, float64)\n",
                           "activation  steep   steepness·z   (float32, float64)\n", "licence     MIT\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "is missing in\n" << text;
}

TEST(PluginInspect, ListsParameters) {
  const std::string text = output_of(std::string(testing::kProgram) + " plugin inspect " + good("scale"));
  EXPECT_NE(text.find("s            gain      ones            one factor per feature\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace backplane
