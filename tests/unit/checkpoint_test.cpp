#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "checkpoint/image.h"
#include "checkpoint/reader.h"
#include "checkpoint/store.h"
#include "run/snapshot.h"
#include "base/digest.h"
#include "files/file_digest.h"
#include "support/model.h"

namespace backplane {
namespace {

namespace fs = std::filesystem;
using testing::ExperimentText;
using testing::Lab;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::user_error_of;

/// A trained model with slots of its optimizer, frozen parameters and a batch larger than what is recorded.
ExperimentText small_run(const std::string& dtype) {
  return {.data = "synthetic: {random: {samples: 10, inputs: 3, classes: 4}}",
          .layers =
              "{dense: {name: hidden, units: 6, activation: tanh, trainable: {b: false}}}, "
              "{dense: {name: logits, units: 4, bias: false}}",
          .loss = "softmax_cross_entropy",
          .train = "steps: 5, batch_size: 8, optimizer: adam",
          .dtype = dtype,
          .seed = "5",
          .record = "{samples: 5}"};
}

Snapshot snapshot_of(Lab& lab) {
  return take_snapshot(lab.experiment, lab.model.network, lab.model.data, lab.trainer, "{\"cpu\": \"test\"}");
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void expect_equal(const StoredTensor& got, const StoredTensor& want, const std::string& name) {
  EXPECT_EQ(got.shape, want.shape) << name;
  EXPECT_EQ(got.dtype, want.dtype) << name;
  EXPECT_EQ(got.axes, want.axes) << name;
  ASSERT_EQ(got.data.bytes(), want.data.bytes()) << name;
  EXPECT_EQ(std::memcmp(got.data.data(), want.data.data(), want.data.bytes()), 0) << name;
  if (want.attributes.contains("definition")) {
    EXPECT_EQ(got.attributes.at("definition"), want.attributes.at("definition")) << name;
  }
}

class CheckpointOf : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Types, CheckpointOf, ::testing::Values("float32", "float64"),
                         [](const auto& test) { return test.param; });

TEST_P(CheckpointOf, GivesBackEverythingThatWasStored) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run(GetParam()));
  for (int i = 0; i < 3; ++i) lab.trainer.step();
  const Snapshot want = snapshot_of(lab);
  CheckpointStore store(folder.path(), {.keep = 3});
  const Snapshot got = read_checkpoint(folder.path(store.commit(want).file));

  EXPECT_EQ(got.step, 3);
  EXPECT_EQ(got.config, want.config);
  EXPECT_EQ(got.environment, want.environment);
  EXPECT_EQ(got.weights_digest, lab.model.network.weights_digest());
  EXPECT_EQ(got.integers, want.integers);
  EXPECT_EQ(got.numbers, want.numbers);
  EXPECT_EQ(got.sample_indices, want.sample_indices);
  EXPECT_EQ(got.losses, want.losses);
  expect_equal(got.input, want.input, "input");
  expect_equal(got.target, want.target, "target");
  ASSERT_EQ(got.layers.size(), want.layers.size());
  for (std::size_t i = 0; i < want.layers.size(); ++i) {
    const StoredLayer &g = got.layers[i], &w = want.layers[i];
    EXPECT_EQ(g.name, w.name);
    EXPECT_EQ(g.type, w.type);
    EXPECT_EQ(g.activation, w.activation);
    EXPECT_EQ(g.plugin, w.plugin);
    EXPECT_EQ(g.plugin_version, w.plugin_version);
    EXPECT_EQ(g.plugin_sha256, w.plugin_sha256);
    EXPECT_EQ(g.trainable, w.trainable);
    ASSERT_EQ(g.tensors.size(), w.tensors.size());
    for (const auto& [name, tensor] : w.tensors) expect_equal(g.tensors.at(name), tensor, w.name + "/" + name);
  }
}

TEST_P(CheckpointOf, HoldsWeightsActivationsAndDeltasOfEachLayer) {
  Lab lab(small_run(GetParam()));
  for (int i = 0; i < 2; ++i) lab.trainer.step();  // an epoch: the next batch has 8 samples again
  const Snapshot snapshot = snapshot_of(lab);
  const auto names = [](const StoredLayer& layer) {
    std::set<std::string> all;
    for (const auto& [name, tensor] : layer.tensors) all.insert(name);
    return all;
  };
  ASSERT_EQ(snapshot.layers.size(), 2u);
  EXPECT_EQ(names(snapshot.layers[0]),
            (std::set<std::string>{"z", "activation", "activation_gradient", "delta", "weights/W", "weights/b",
                                   "gradients/W", "gradients/b", "optimizer/W/mean", "optimizer/W/variance",
                                   "optimizer/b/mean", "optimizer/b/variance"}));
  // softmax_cross_entropy gives δ of the last layer itself, so there is no ∂C/∂a of it.
  EXPECT_EQ(names(snapshot.layers[1]), (std::set<std::string>{"z", "activation", "delta", "weights/W", "gradients/W",
                                                              "optimizer/W/mean", "optimizer/W/variance"}));
  // record.samples rows of the batch of 8; all weights.
  EXPECT_EQ(snapshot.layers[0].tensors.at("delta").shape, (Shape{5, 6}));
  EXPECT_EQ(snapshot.layers[1].tensors.at("activation").shape, (Shape{5, 4}));
  EXPECT_EQ(snapshot.layers[0].tensors.at("weights/W").shape, (Shape{6, 3}));
  EXPECT_EQ(snapshot.sample_indices.size(), 5u);
  EXPECT_EQ(snapshot.losses.size(), 5u);
}

TEST(Checkpoint, WhoseNumbersCannotBeCountedOnIsRefused) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run("float32"));
  const auto read_with = [&](const char* name, std::int64_t value) {
    Snapshot snapshot = snapshot_of(lab);
    snapshot.integers[name] = value;
    CheckpointStore store(folder.path(name), {.keep = 3});
    const std::string path = folder.path(std::string(name) + "/" + store.commit(snapshot).file);
    return user_error_of([&] { read_checkpoint(path); });
  };
  EXPECT_NE(read_with("step", std::numeric_limits<std::int64_t>::max())
                .find("cannot be read: /state/step is 9223372036854775807, which counts nothing"),
            std::string::npos);
  EXPECT_NE(read_with("epoch", -1).find("cannot be read: /state/epoch is -1, which counts nothing"), std::string::npos);
  EXPECT_EQ(read_with("seed", -1), "");  // any 64 bits
}

TEST(Checkpoint, ManifestSaysWhatStands) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run("float32"));
  CheckpointStore store(folder.path("checkpoints"), {.keep = 3});
  store.commit(snapshot_of(lab));
  lab.trainer.step();
  store.commit(snapshot_of(lab));
  const auto manifest = nlohmann::json::parse(read_bytes(folder.path("checkpoints/MANIFEST.json")));
  EXPECT_EQ(manifest["format"], "backplane-manifest");
  EXPECT_EQ(manifest["format_version"], 1);
  ASSERT_EQ(manifest["checkpoints"].size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& entry = manifest["checkpoints"][i];
    const std::string file = folder.path("checkpoints/" + entry["file"].get<std::string>());
    EXPECT_EQ(entry["file"], "step-0000000" + std::to_string(i) + ".h5");
    EXPECT_EQ(entry["step"], i);
    EXPECT_EQ(entry["bytes"], fs::file_size(file));
    EXPECT_EQ(entry["sha256"], sha256_of_file(file));
    EXPECT_EQ(entry["sha256"], store.committed()[i].sha256);
  }
}

TEST(Checkpoint, KeepRemovesTheOldestOfItsOwnFilesOnly) {
  const TemporaryFolder folder("checkpoint");
  write(folder.path("step-00000099.h5"), "somebody else's");
  write(folder.path("notes.txt"), "mine");
  Lab lab(small_run("float32"));
  CheckpointStore store(folder.path(), {.keep = 2});
  for (int i = 0; i < 4; ++i) {
    store.commit(snapshot_of(lab));
    lab.trainer.step();
  }
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder.path())) files.insert(entry.path().filename());
  EXPECT_EQ(files, (std::set<std::string>{"MANIFEST.copy.json", "MANIFEST.json", "notes.txt", "step-00000002.h5",
                                          "step-00000003.h5", "step-00000099.h5"}));
  ASSERT_EQ(store.committed().size(), 2u);
  EXPECT_EQ(store.committed()[0].step, 2);
  EXPECT_EQ(read_checkpoint(folder.path("step-00000002.h5")).step, 2);
}

TEST(Checkpoint, KeepHoldsWhereTheManifestCannotBeCopied) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run("float32"));
  CheckpointStore store(folder.path(), {.keep = 2});
  const auto commit_some = [&] {
    std::vector<std::string> flaws;
    for (int i = 0; i < 4; ++i) {
      store.commit(snapshot_of(lab));
      lab.trainer.step();
      if (auto flaw = store.take_copy_flaw()) flaws.push_back(*flaw);
    }
    return flaws;
  };
  EXPECT_TRUE(commit_some().empty());
  fs::remove(folder.path("MANIFEST.copy.json"));
  fs::create_directory(folder.path("MANIFEST.copy.json"));
  const std::vector<std::string> flaws = commit_some();
  ASSERT_EQ(flaws.size(), 1u);  // said once
  EXPECT_EQ(flaws[0], folder.path("MANIFEST.copy.json") + ": is a directory, not a regular file");
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder.path())) files.insert(entry.path().filename());
  EXPECT_EQ(files,
            (std::set<std::string>{"MANIFEST.copy.json", "MANIFEST.json", "step-00000006.h5", "step-00000007.h5"}));
}

TEST(Checkpoint, OfTheSameStepIsNotWrittenOver) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run("float32"));
  CheckpointStore store(folder.path(), {.keep = 2});
  store.commit(snapshot_of(lab));
  fs::create_hard_link(folder.path("step-00000000.h5"), folder.path("first"));
  store.commit(snapshot_of(lab));
  EXPECT_EQ(store.committed().size(), 1u);
  EXPECT_EQ(fs::hard_link_count(folder.path("step-00000000.h5")), 2u);
  EXPECT_EQ(read_checkpoint(folder.path("step-00000000.h5")).step, 0);
}

/// Steps of the checkpoints that stand after commits at steps 0 to 9 with these validation losses (0: not evaluated).
std::vector<std::int64_t> steps_kept(const Retention& retention, const std::vector<double>& losses) {
  const TemporaryFolder folder("retention");
  Lab lab(small_run("float32"));
  Snapshot snapshot = snapshot_of(lab);
  CheckpointStore store(folder.path(), retention);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    snapshot.step = static_cast<std::int64_t>(i);
    store.commit(snapshot, losses[i] > 0.0 ? std::optional(losses[i]) : std::nullopt);
  }
  std::vector<std::int64_t> steps;
  for (const CommittedCheckpoint& checkpoint : read_manifest(folder.path()).checkpoints) {
    steps.push_back(checkpoint.step);
    EXPECT_EQ(fs::file_size(folder.path(checkpoint.file)), checkpoint.bytes);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), std::ssize(steps) + 2);
  return steps;
}

TEST(Retention, KeepsTheNewestTheMilestonesAndTheBest) {
  const std::vector<double> losses = {0, 5, 3, 4, 2, 6, 0, 7, 7, 0};
  using Steps = std::vector<std::int64_t>;
  EXPECT_EQ(steps_kept({.keep = 1}, losses), (Steps{9}));
  EXPECT_EQ(steps_kept({.keep = 3}, losses), (Steps{7, 8, 9}));
  EXPECT_EQ(steps_kept({.keep = 2, .every_steps = 3}, losses), (Steps{0, 3, 6, 8, 9}));
  EXPECT_EQ(steps_kept({.keep = 1, .best = true}, losses), (Steps{4, 9}));
  EXPECT_EQ(steps_kept({.keep = 2, .every_steps = 5, .best = true}, losses), (Steps{0, 4, 5, 8, 9}));
  EXPECT_EQ(steps_kept({.keep = 1, .best = true}, std::vector<double>(10, 0.0)), (Steps{9}));
}

TEST(Checkpoint, StoreTakesOverWhatAnEarlierProcessCommitted) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run("float32"));
  for (int i = 0; i < 3; ++i, lab.trainer.step()) CheckpointStore(folder.path(), {.keep = 2}).commit(snapshot_of(lab));
  CheckpointStore store(folder.path(), {.keep = 2});
  ASSERT_EQ(store.committed().size(), 2u);
  EXPECT_EQ(store.committed()[0].step, 1);
  EXPECT_EQ(store.committed()[1].step, 2);
}

TEST(Checkpoint, StoreSweepsItsOwnTemporaryFilesOnly) {
  const TemporaryFolder folder("checkpoint");
  const std::string dead = ".tmp-00c0ffee00c0ffee";
  for (const std::string& name :
       {"step-00000001.h5" + dead, "MANIFEST.json" + dead, "notes.txt" + dead, std::string("step-00000003.h5.tmp-x")})
    write(folder.path(name), "half");
  const CheckpointStore store(folder.path(), {.keep = 2});
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder.path())) files.insert(entry.path().filename());
  EXPECT_EQ(files, (std::set<std::string>{"notes.txt" + dead, "step-00000003.h5.tmp-x"}));
}

TEST(Checkpoint, NamesAreThoseOfTheirSteps) {
  for (const std::int64_t step : {std::int64_t{0}, std::int64_t{12}, std::int64_t{123456789}})
    EXPECT_EQ(step_of_checkpoint_name(checkpoint_name(step)), step);
  EXPECT_EQ(checkpoint_name(12), "step-00000012.h5");
  for (const char* name :
       {"notes.txt", "", "step-.h5", "step-12.h5", "step-0000000x.h5", "step-00000012.h5.tmp-x", "../step-00000012.h5",
        "step--0000012.h5", "step-+0000012.h5", "step-000000012.h5", "step-99999999999999999999.h5"})
    EXPECT_EQ(step_of_checkpoint_name(name), std::nullopt) << name;
}

/// What a manifest that somebody else wrote has removed.
TEST(Checkpoint, AManifestHasNothingRemovedButCheckpoints) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run("float32"));
  const std::string kept = CheckpointStore(folder.path(), {.keep = 2}).commit(snapshot_of(lab)).file;
  write(folder.path("notes.txt"), "years of work");
  write(folder.path("step-00000007.h5"), "left behind");
  const auto removing = [&](const std::vector<std::string>& names) {
    auto manifest = nlohmann::json::parse(read_bytes(folder.path("MANIFEST.json")));
    manifest.erase("sha256");
    manifest["removing"] = names;
    for (const char* name : {"MANIFEST.json", "MANIFEST.copy.json"}) write(folder.path(name), manifest.dump());
    const CheckpointStore store(folder.path(), {.keep = 2});
  };
  removing({"notes.txt"});
  EXPECT_EQ(read_bytes(folder.path("notes.txt")), "years of work");
  removing({"step-00000007.h5", kept});
  EXPECT_FALSE(fs::exists(folder.path("step-00000007.h5")));
  EXPECT_TRUE(fs::exists(folder.path(kept)));
}

TEST(Checkpoint, AManifestNamesNoCheckpointOfAnotherStep) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run("float32"));
  CheckpointStore(folder.path(), {.keep = 2}).commit(snapshot_of(lab));
  auto manifest = nlohmann::json::parse(read_bytes(folder.path("MANIFEST.json")));
  manifest.erase("sha256");
  manifest["checkpoints"][0]["step"] = 7;
  write(folder.path("MANIFEST.json"), manifest.dump());
  const Manifest read = read_manifest(folder.path());
  EXPECT_TRUE(read.checkpoints.empty());
  ASSERT_EQ(read.unusable.size(), 1u);
  EXPECT_NE(read.unusable[0].find("'step-00000000.h5' is no name of a checkpoint of step 7"), std::string::npos);
}

TEST(Checkpoint, AManifestsEntryThatMakesNoSenseIsSaidInWords) {
  const TemporaryFolder folder("checkpoint");
  const auto said = [&](const std::string& checkpoints, const std::string& removing) {
    write(folder.path("MANIFEST.json"), "{\"checkpoints\": " + checkpoints + ", \"removing\": " + removing + "}");
    const Manifest read = read_manifest(folder.path());
    return read.unusable.size() == 1 ? read.unusable[0] : "nothing, or too much";
  };
  const auto of_entry = [&](const std::string& entry) { return said("[" + entry + "]", "[]"); };
  const std::string file = R"("file": "step-00000002.h5")";
  const std::pair<std::string, const char*> entries[] = {
      {"7", "it is 7, expected an object"},
      {"[{}]", "it is an array, expected an object"},
      {"{}", "it has no 'file'"},
      {R"({"file": 7})", "7 is no name of a checkpoint (step-<8 digits>.h5)"},
      {"{" + file + "}", "it has no 'bytes'"},
      {"{" + file + R"(, "bytes": -3})", "its 'bytes' is -3, expected a whole number"},
      {"{" + file + R"(, "bytes": "3"})", "its 'bytes' is '3', expected a whole number"},
      {"{" + file + R"(, "bytes": 3})", "it has no 'sha256'"},
      {"{" + file + R"(, "bytes": 3, "sha256": null})", "its 'sha256' is null, expected a text"},
      {"{" + file + R"(, "step": "two", "bytes": 3, "sha256": ""})",
       "'step-00000002.h5' is no name of a checkpoint of step 'two'"},
      {"{" + file + R"(, "bytes": 3, "sha256": "", "validation_loss": {}})",
       "its 'validation_loss' is an object, expected a number"}};
  for (const auto& [entry, words] : entries)
    EXPECT_EQ(of_entry(entry), std::string("entry 1 of MANIFEST.json makes no sense: ") + words);
  EXPECT_EQ(said("[]", "3"), "'removing' of MANIFEST.json makes no sense: it is 3, expected an array");
  EXPECT_EQ(said("[]", "[3]"),
            "'removing' of MANIFEST.json makes no sense: 3 is no name of a checkpoint (step-<8 digits>.h5)");
}

/// For want of descriptors, say: the copy may be one commit older.
TEST(Checkpoint, TheCopyOfAManifestServesOnlyWhereTheFirstIsGoneOrDamaged) {
  const TemporaryFolder folder("checkpoint");
  Lab lab(small_run("float32"));
  CheckpointStore(folder.path(), {.keep = 2}).commit(snapshot_of(lab));
  const auto error = [&] { return user_error_of([&] { read_manifest(folder.path()); }); };
  const std::string whole = read_bytes(folder.path("MANIFEST.json"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ASSERT_GE(next, 0);
  ::close(next);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const std::string without_descriptors = error();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(without_descriptors.starts_with("74 ")) << without_descriptors;
  EXPECT_NE(without_descriptors.find("MANIFEST.json: cannot be opened: too many files"), std::string::npos);

  fs::remove(folder.path("MANIFEST.json"));
  fs::create_symlink("MANIFEST.json", folder.path("MANIFEST.json"));
  EXPECT_TRUE(error().starts_with("74 ")) << error();
  fs::remove(folder.path("MANIFEST.json"));
  EXPECT_EQ(read_manifest(folder.path()).checkpoints.size(), 1u);
  write(folder.path("MANIFEST.json"), whole.substr(1));
  EXPECT_EQ(read_manifest(folder.path()).checkpoints.size(), 1u);
  fs::remove(folder.path("MANIFEST.copy.json"));
  fs::create_symlink("MANIFEST.copy.json", folder.path("MANIFEST.copy.json"));
  EXPECT_TRUE(error().starts_with("74 ")) << error();
}

TEST(Checkpoint, AManifestOfNonsenseIsRefused) {
  const TemporaryFolder folder("checkpoint");
  const auto error_of = [&](std::size_t count, const std::string& entry) {
    std::string text = "{\"checkpoints\":[" + entry;
    for (std::size_t i = 1; i < count; ++i) text += "," + entry;
    write(folder.path("MANIFEST.json"), text + "]}");
    return user_error_of([&] { read_manifest(folder.path()); });
  };
  EXPECT_EQ(error_of(10, "\"a file that is none\""), "");
  EXPECT_NE(error_of(11, "\"a file that is none\"").find("more than 10 of its entries make no sense"),
            std::string::npos);
  EXPECT_NE(error_of(1000, "0").find("is damaged"), std::string::npos);
}

/// Three committed checkpoints, of steps 0 to 2.
class NewestOfThree : public ::testing::Test {
 protected:
  NewestOfThree() {
    Lab lab(small_run("float32"));
    CheckpointStore store(folder_.path(), {.keep = 3});
    for (int i = 0; i < 3; ++i, lab.trainer.step()) store.commit(snapshot_of(lab));
    fs::remove(folder_.path("MANIFEST.copy.json"));  // what it is for is tested in tests/fault
  }
  std::string error() const {
    return user_error_of([&] { read_newest_checkpoint(folder_.path()); });
  }

  TemporaryFolder folder_{"newest"};
};

TEST_F(NewestOfThree, IsTheLast) {
  const NewestCheckpoint newest = read_newest_checkpoint(folder_.path());
  EXPECT_EQ(newest.from.step, 2);
  EXPECT_EQ(newest.snapshot.step, 2);
  EXPECT_TRUE(newest.refused.empty());
}

TEST_F(NewestOfThree, IsTheNextOlderWhereNewerOnesAreDamagedOrMissing) {
  fs::remove(folder_.path("step-00000002.h5"));
  std::string damaged = read_bytes(folder_.path("step-00000001.h5"));
  damaged[damaged.size() / 2] ^= 1;
  write(folder_.path("step-00000001.h5"), damaged);
  const NewestCheckpoint newest = read_newest_checkpoint(folder_.path());
  EXPECT_EQ(newest.snapshot.step, 0);
  ASSERT_EQ(newest.refused.size(), 2u);
  EXPECT_EQ(newest.refused[0].file, "step-00000002.h5");
  EXPECT_NE(newest.refused[0].why.find("no such checkpoint"), std::string::npos);
  EXPECT_EQ(newest.refused[1].file, "step-00000001.h5");
  EXPECT_NE(newest.refused[1].why.find("SHA-256 differs"), std::string::npos);

  CheckpointStore store(folder_.path(), {.keep = 3});
  store.forget(newest.refused);
  EXPECT_TRUE(read_newest_checkpoint(folder_.path()).refused.empty());
}

TEST_F(NewestOfThree, IsNoOlderOneWhereTheSystemDoesNotLetItBeRead) {
  const std::string newest = folder_.path("step-00000002.h5"), aside = folder_.path("aside.h5");
  fs::rename(newest, aside);
  fs::create_symlink("step-00000002.h5", newest);  // in a circle: an error of open that root gets too
  EXPECT_EQ(error().substr(0, error().find('\n')),
            "66 error: " + newest + ": cannot be read: symbolic links lead in a circle");
  fs::remove(newest);
  fs::create_symlink("/proc/self/mem", newest);  // opens, has 0 bytes, and none of them can be read
  Manifest manifest = read_manifest(folder_.path());
  const auto promised = manifest.checkpoints.back().bytes;
  manifest.checkpoints.back().bytes = 0;
  write_manifest(folder_.path(), manifest);
  EXPECT_EQ(error().substr(0, error().find('\n')), "74 error: " + newest + ": cannot be read: input or output failed");
  fs::rename(aside, newest);
  manifest.checkpoints.back().bytes = promised;
  write_manifest(folder_.path(), manifest);
  EXPECT_EQ(read_newest_checkpoint(folder_.path()).snapshot.step, 2);
}

TEST_F(NewestOfThree, IsNoneWhereAllAreDamaged) {
  for (const char* file : {"step-00000000.h5", "step-00000001.h5", "step-00000002.h5"}) write(folder_.path(file), "x");
  const std::string what = error();
  EXPECT_TRUE(what.starts_with("65 ")) << what;
  for (const char* file : {"step-00000000.h5", "step-00000001.h5", "step-00000002.h5"})
    EXPECT_NE(what.find(file), std::string::npos) << what;
}

TEST_F(NewestOfThree, NeedsAManifest) {
  fs::remove(folder_.path("MANIFEST.json"));
  EXPECT_TRUE(error().starts_with("66 ")) << error();
  write(folder_.path("MANIFEST.json"), "{");
  EXPECT_TRUE(error().starts_with("65 ")) << error();
}

TEST_F(NewestOfThree, NeverLeavesTheDirectory) {
  auto manifest = nlohmann::json::parse(read_bytes(folder_.path("MANIFEST.json")));
  manifest.erase("sha256");
  manifest["checkpoints"][2]["file"] = "../" + fs::path(folder_.path()).filename().string() + "/step-00000002.h5";
  write(folder_.path("MANIFEST.json"), manifest.dump());
  const NewestCheckpoint newest = read_newest_checkpoint(folder_.path());
  EXPECT_EQ(newest.snapshot.step, 1);
  ASSERT_EQ(newest.refused.size(), 1u);
  EXPECT_NE(newest.refused[0].why.find("no name of a checkpoint"), std::string::npos) << newest.refused[0].why;
}

/// A committed checkpoint whose files a test may damage.
class DamagedCheckpoint : public ::testing::Test {
 protected:
  DamagedCheckpoint() {
    Lab lab(small_run("float32"));
    CheckpointStore store(folder_.path(), {.keep = 1});
    file_ = folder_.path(store.commit(snapshot_of(lab)).file);
    bytes_ = read_bytes(file_);
    manifest_ = read_bytes(folder_.path("MANIFEST.json"));
    fs::remove(folder_.path("MANIFEST.copy.json"));  // what it is for is tested in tests/fault
  }
  std::string error() const {
    return user_error_of([&] { read_checkpoint(file_); });
  }

  TemporaryFolder folder_{"damaged"};
  std::string file_, bytes_, manifest_;
};

TEST_F(DamagedCheckpoint, WithAnyByteChangedIsRefused) {
  ASSERT_EQ(error(), "");
  for (std::size_t i = 0; i < bytes_.size(); i += 97) {
    std::string damaged = bytes_;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    write(file_, damaged);
    const std::string what = error();
    ASSERT_TRUE(what.starts_with("65 ") && what.find("its SHA-256 differs from its manifest") != std::string::npos)
        << "byte " << i << ": " << what;
  }
}

TEST_F(DamagedCheckpoint, OfAnotherLengthIsRefused) {
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, bytes_.size() / 2, bytes_.size() - 1}) {
    write(file_, bytes_.substr(0, length));
    EXPECT_NE(error().find("its manifest says " + std::to_string(bytes_.size()) + ": it is damaged"), std::string::npos)
        << length << ": " << error();
  }
  write(file_, bytes_ + "x");
  EXPECT_TRUE(error().starts_with("65 ")) << error();
}

TEST_F(DamagedCheckpoint, WithoutItsManifestIsRefused) {
  fs::remove(folder_.path("MANIFEST.json"));
  EXPECT_TRUE(error().starts_with("66 ") && error().find("no MANIFEST.json") != std::string::npos) << error();
}

TEST_F(DamagedCheckpoint, UnderAnotherNameIsRefused) {
  fs::rename(file_, folder_.path("step-00000007.h5"));
  EXPECT_TRUE(error().starts_with("66 ")) << error();
  file_ = folder_.path("step-00000007.h5");
  EXPECT_TRUE(error().starts_with("65 ") && error().find("it was never committed") != std::string::npos) << error();
}

TEST_F(DamagedCheckpoint, WithAnyByteOfTheManifestChangedIsReadOrRefused) {
  for (std::size_t i = 0; i < manifest_.size(); ++i) {
    std::string damaged = manifest_;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    write(folder_.path("MANIFEST.json"), damaged);
    // Spaces and fields that nobody needs may change; nothing but a UserError may come of the rest.
    const std::string what = error();
    EXPECT_TRUE(what.empty() || what.starts_with("65 ")) << "byte " << i << ": " << what;
  }
}

TEST_F(DamagedCheckpoint, WithAManifestOfOtherTypesIsRefused) {
  for (const char* text :
       {"", "[]", "{}", "{\"checkpoints\": 5}", "{\"checkpoints\": [5]}", "{\"checkpoints\": [{\"file\": 5}]}",
        "{\"checkpoints\": [{\"file\": \"step-00000000.h5\", \"bytes\": \"many\"}]}",
        "{\"checkpoints\": [{\"file\": \"step-00000000.h5\", \"bytes\": -1, \"sha256\": 3}]}"}) {
    write(folder_.path("MANIFEST.json"), text);
    EXPECT_TRUE(error().starts_with("65 ")) << text << ": " << error();
  }
}

/// Lists the file with whatever it holds.
void vouch_for(const std::string& file) {
  const std::string bytes = read_bytes(file);
  write((fs::path(file).parent_path() / "MANIFEST.json").string(),
        nlohmann::json{{"checkpoints",
                        {{{"file", fs::path(file).filename()},
                          {"bytes", bytes.size()},
                          {"sha256", sha256_of(bytes.data(), bytes.size())}}}}}
            .dump());
}

TEST_F(DamagedCheckpoint, WithAManifestThatVouchesForTheDamageIsReadOrRefused) {
  const std::string whole = read_bytes(file_);
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); at += whole.size() / 150) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
    write(file_, flipped);
    vouch_for(file_);
    const std::string found = error();
    EXPECT_TRUE(found.empty() || found.starts_with("65 error: " + file_)) << at << ": " << found;
    refused += !found.empty();
  }
  EXPECT_GT(refused, 10);
}

TEST_F(DamagedCheckpoint, ThatIsNoCheckpointIsRefusedEvenWhenTheManifestVouchesForIt) {
  const std::string nonsense = "this is not HDF5";
  write(file_, nonsense);
  vouch_for(file_);
  EXPECT_TRUE(error().starts_with("65 ")) << error();
}

}  // namespace
}  // namespace backplane
