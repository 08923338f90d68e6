// What the host makes of plug-ins: loading, clashes, floating-point mode, and what `plugin inspect` prints.
// Messages about bad plug-ins are tested word by word in tests/error.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cfenv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "base/sanitizers.h"
#include "plugin_host/search_path.h"
#include "plugin_host/trial.h"
#include "plugins/bench.h"
#include "support/child_jobs.h"
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
  ASSERT_EQ(setenv("BACKPLANE_PLUGIN_PATH",
                   (std::string(testing::kBadPluginFolder) + ":" + testing::kGoodPluginFolder).c_str(), 1),
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

/// What is said on folders of $BACKPLANE_PLUGIN_PATH that are not searched.
std::vector<std::string> refused_of(const std::string& listed) {
  setenv("BACKPLANE_PLUGIN_PATH", listed.c_str(), 1);
  const SearchPath path = search_path();
  unsetenv("BACKPLANE_PLUGIN_PATH");
  return path.refused;
}

TEST(SearchPath, TakesAbsoluteFoldersAlone) {
  const testing::TemporaryFolder folder("search-path");
  EXPECT_EQ(refused_of(folder.path() + ":"), std::vector<std::string>{});  // nothing, not the current directory
  EXPECT_EQ(refused_of("plugins:" + folder.path()),
            std::vector<std::string>{
                "plug-ins in 'plugins' of BACKPLANE_PLUGIN_PATH are not looked for: it is no absolute path"});
  EXPECT_EQ(refused_of(".").size(), 1u);
  for (const std::string& own : search_path().own) EXPECT_TRUE(own.starts_with("/")) << own;
}

TEST(SearchPath, TrustsNoFolderThatOthersCanWrite) {
  const testing::TemporaryFolder folder("search-path");
  const std::string plugins = folder.path("plugins");
  std::filesystem::create_directory(plugins);
  EXPECT_EQ(why_not_trusted(plugins), "");
  EXPECT_EQ(chmod(plugins.c_str(), 0775), 0);
  EXPECT_EQ(why_not_trusted(plugins), "") << "this user's own group";
  EXPECT_EQ(chmod(plugins.c_str(), 01777), 0);
  EXPECT_EQ(why_not_trusted(plugins), "everybody can write it");
  EXPECT_EQ(refused_of(plugins).size(), 1u);
  EXPECT_EQ(chmod(plugins.c_str(), 0755), 0);
  EXPECT_EQ(chmod(folder.path().c_str(), 0777), 0);
  EXPECT_EQ(why_not_trusted(plugins), "everybody can replace it, since everybody can write " + folder.path());
  EXPECT_EQ(chmod(folder.path().c_str(), 0755), 0);
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  EXPECT_EQ(chown(plugins.c_str(), 0, 54321), 0);
  EXPECT_EQ(chmod(plugins.c_str(), 0775), 0);
  EXPECT_EQ(why_not_trusted(plugins), "a group of users can write it (number 54321)");
  EXPECT_EQ(chown(plugins.c_str(), 54321, 0), 0);
  EXPECT_EQ(why_not_trusted(plugins), "it belongs to another user (number 54321)");
  EXPECT_EQ(chown(plugins.c_str(), 0, 0), 0);
  EXPECT_EQ(chown(folder.path().c_str(), 0, 54321), 0);
  EXPECT_EQ(chmod(folder.path().c_str(), 0775), 0);
  EXPECT_EQ(why_not_trusted(plugins),
            "a group of users (number 54321) can replace it, since they can write " + folder.path());
  EXPECT_EQ(chmod(folder.path().c_str(), 01775), 0);
  EXPECT_EQ(why_not_trusted(plugins), "") << "sticky";
  EXPECT_EQ(chown(folder.path().c_str(), 54321, 0), 0);
  EXPECT_EQ(why_not_trusted(plugins), "another user (number 54321) can replace it, as the owner of " + folder.path());
}

TEST(SearchPath, KnowsWhereTheProgramStandsWithoutProc) {
  // A name space of mounts in which /proc is covered: what needs rights that not everybody has.
  const testing::TemporaryFolder folder("search-path");
  const std::string hide = "unshare --mount sh -c 'mount -t tmpfs none /proc && ";
  if (std::system((hide + "true' 2> /dev/null").c_str()) != 0) GTEST_SKIP() << "no name space of mounts";
  std::filesystem::create_directories(folder.path("plugins"));
  std::filesystem::copy_file(good("sum"), folder.path("plugins/sum.bp.so"));
  for (const std::string& program :
       {std::string(testing::kProgram),
        "./" + std::filesystem::path(testing::kProgram).lexically_relative(folder.path()).string()}) {
    const std::string text = output_of("cd " + folder.path() + " && " + hide + program + " plugin list'");
    EXPECT_NE(text.find("org.backplane.dense"), std::string::npos) << text;
    EXPECT_EQ(text.find("sum.bp.so"), std::string::npos) << "of the current directory\n" << text;
  }
}

/// A network with a layer of the plug-in `ends`.
std::string network_that_ends(int factor) {
  return "name: ends\ndata: {synthetic: {xor: {}}}\nnetwork:\n  layers:\n    - dense: {name: h, units: 3}\n"
         "    - spoiled: {name: s, factor: " +
         std::to_string(factor) +
         "}\n    - dense: {name: o, units: 2}\n  loss: softmax_cross_entropy\n"
         "train: {steps: 2, batch_size: 4, optimizer: {sgd: {lr: 0.1}}}\n";
}

// The other ways to end, which sanitizers leave as they are, are tested in tests/error.
#if !BP_ADDRESS_SANITIZER && !BP_THREAD_SANITIZER
TEST(PluginGuard, SaysInWhichCallAPluginCrashed) {
  const testing::TemporaryFolder folder("plugin-guard");
  struct Crash {
    int factor;
    const char* what;
  };
  for (const auto& [factor, what] : std::initializer_list<Crash>{
           {20, "forward was ended by abort() (SIGABRT): a failed assertion, an uncaught exception, or damaged memory"},
           {21, "forward was ended by a segmentation fault (SIGSEGV)"},
           {22, "forward was ended by an arithmetic error (SIGFPE), such as an integer divided by zero"},
           {23, "forward was ended by a segmentation fault (SIGSEGV)"},
           {24, "forward was ended by an illegal instruction (SIGILL)"},
           {25, "forward was ended by a bus error (SIGBUS)"},
           {26, "backward was ended by a segmentation fault (SIGSEGV)"}}) {
    const std::string yaml = folder.path("ends.yaml"), errors = folder.path("errors");
    std::ofstream(yaml) << network_that_ends(factor);
    const int status =
        std::system((std::string(testing::kProgram) + " run " + yaml + " --threads 2 --plugin " + bad("ends") +
                     " --out " + folder.path(std::to_string(factor)) + " > " + errors + " 2>&1")
                        .c_str());
    const std::string text = testing::read_bytes(errors);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 70) << text;
    EXPECT_NE(text.find(yaml + ":6:16: error: layer 's': " + what + " at step 1, samples 0 to 3 of the batch\n" +
                        "  type spoiled, plug-in test.ends 0.1.0 (" + bad("ends") + ")\n"),
              std::string::npos)
        << text;
  }
}
#endif

TEST(PluginGuard, LeavesChildrenOfAPluginAlone) {
  const testing::TemporaryFolder folder("plugin-guard");
  std::ofstream(folder.path("ends.yaml")) << network_that_ends(15);
  output_of(std::string(testing::kProgram) + " run " + folder.path("ends.yaml") + " --plugin " + bad("ends") +
            " --out " + folder.path("run"));
}

TEST(LoadLibrary, MakesItsTextsPrintable) {
  const Library library = load_library(bad("not_utf8"));
  EXPECT_EQ(library.identity.summary, "caf\\xe9 \\x1b[31mred");
  EXPECT_STREQ(library.layers[0].summary, "na\\xefve");
  EXPECT_STREQ(library.layers[0].attributes[0]->summary, "\\x1b]0;title\\x07");
  EXPECT_STREQ(library.layers[0].parameters[0]->summary, "\\xff");
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

/// What children do, by name.
const std::map<std::string, void (*)()> kLoadings = {
    {"come back", [] {}},
    {"close everything and wait",
     [] {
       for (int descriptor = 3; descriptor < 1024; ++descriptor) ::close(descriptor);
       for (;;) ::pause();
     }},
    {"go on in a child",
     [] {
       if (::fork() != 0) ::_exit(0);
     }},
};

void load_somehow(const std::string& loading) {
  kLoadings.at(loading)();
}

constexpr ChildJob kLoadSomehow = trial_job<load_somehow>("test-load-somehow");

TEST(Trial, WhatClosesEverythingAndWaitsIsKilled) {
  EXPECT_EQ(why_trial_does_not_return(kLoadSomehow, "close everything and wait", std::chrono::milliseconds(400)),
            "its loading did not end within 0.4 s");
}

TEST(Trial, WhatComesBackInAnotherProcessHasNotComeBack) {
  EXPECT_EQ(why_trial_does_not_return(kLoadSomehow, "come back"), "");
  EXPECT_EQ(why_trial_does_not_return(kLoadSomehow, "go on in a child"),
            "its loading ended the program with exit code 0");
}

}  // namespace
}  // namespace backplane

std::vector<backplane::ChildJob> backplane::testing::child_jobs_of_tests() {
  return {kLoadSomehow};
}
