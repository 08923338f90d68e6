// A run that was interrupted after any step and resumed, on another number of threads, ends with the bits of one that
// was not. Between the two stands a checkpoint file, written and read through the door that a run uses.

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "checkpoint/store.h"
#include "run/restore.h"
#include "run/snapshot.h"
#include "base/digest.h"
#include "optimizers/table.h"
#include "support/model.h"

namespace backplane {
namespace {

using testing::Lab;
using testing::TemporaryFolder;

constexpr std::int64_t kSteps = 50;

struct Case {
  std::string name;
  std::string layers;
  std::string train;
  std::string data = "synthetic: {random: {inputs: 5, classes: 3, samples: 60, validation: 10}}";
  std::string dtype = "float32";
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

std::string yaml(const Case& c) {
  return "name: resume\nseed: 11\ndtype: " + c.dtype + "\ndata: {" + c.data + "}\nnetwork: {layers: [" + c.layers +
         "], loss: softmax_cross_entropy}\ntrain: {steps: " + std::to_string(kSteps) + ", batch_size: 8, " + c.train +
         "}\nrecord: {samples: 2}\n";
}

/// One step as a run takes it, with the end of an epoch behind it.
void step(Lab& lab) {
  lab.trainer.step();
  if (!lab.trainer.at_end_of_epoch()) return;
  std::optional<Metrics> validation;
  if (lab.model.data.validation) validation = lab.trainer.evaluate(*lab.model.data.validation);
  lab.trainer.end_epoch(validation);
}

/// Everything that a checkpoint holds, as text that tells where two differ.
std::vector<std::string> contents(Lab& lab) {
  const Snapshot snapshot = take_snapshot(lab.experiment, lab.model.network, lab.model.data, lab.trainer, "{}");
  std::vector<std::string> all = {snapshot.weights_digest};
  for (const auto& [name, value] : snapshot.integers) all.push_back(name + " " + std::to_string(value));
  for (const auto& [name, value] : snapshot.numbers) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    all.push_back(name + " " + std::to_string(bits));
  }
  for (const StoredLayer& layer : snapshot.layers)
    for (const auto& [name, tensor] : layer.tensors)
      all.push_back(layer.name + "/" + name + " " + sha256_of(tensor.data.data(), tensor.data.bytes()));
  return all;
}

class ResumeOf : public ::testing::TestWithParam<Case> {};

TEST_P(ResumeOf, AnyStepHasTheBitsOfAnUninterruptedRun) {
  const std::string text = yaml(GetParam());
  Lab alone(text, 2);
  while (!alone.trainer.is_finished()) step(alone);
  const std::vector<std::string> wanted = contents(alone);
  const std::int64_t end = alone.trainer.state().step;
  ASSERT_GT(end, 10);

  Lab interrupted(text, 1);
  for (std::int64_t k = 0; k < end; ++k) {
    const TemporaryFolder folder("resume");
    CheckpointStore(folder.path(), {.keep = 1})
        .commit(take_snapshot(interrupted.experiment, interrupted.model.network, interrupted.model.data,
                              interrupted.trainer, "{}"));
    Lab resumed(text, static_cast<int>(k % 4) + 1);
    restore(read_newest_checkpoint(folder.path()).snapshot, resumed.model.network, resumed.trainer);
    while (!resumed.trainer.is_finished()) step(resumed);
    ASSERT_EQ(contents(resumed), wanted) << "resumed from step " << k;
    step(interrupted);
  }
  EXPECT_EQ(contents(interrupted), wanted) << "a run that took a checkpoint at each step";
}

constexpr const char* kMlp =
    "{dense: {name: a, units: 7, activation: relu}}, {dropout: {rate: 0.2}}, "
    "{dense: {name: b, units: 3, trainable: {b: false}}}";

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const OptimizerKind& optimizer : optimizers())
    all.push_back({optimizer.name, kMlp, "optimizer: " + optimizer.name});
  all.push_back({"float64", kMlp, "optimizer: adam", Case{}.data, "float64"});
  all.push_back({"schedule", kMlp, "optimizer: adamw, schedule: cosine, warmup: 9 steps, l1: 0.01, clip: {norm: 0.1}"});
  // It stops before step 50: patience is part of the state.
  all.push_back(
      {"early_stopping", kMlp, "optimizer: {sgd: {lr: 1.0e-9}}, early_stopping: {patience: 3, min_delta: 1}"});
  all.push_back({"cnn",
                 "{conv2d: {filters: 3, kernel: 3, padding: same, bias: false}}, {batch_norm: {activation: relu}}, "
                 "{max_pool2d: {kernel: 2}}, {dropout: {rate: 0.4}}, {dense: {units: 3}}",
                 "optimizer: momentum",
                 "synthetic: {random: {inputs: [4, 4, 2], classes: 3, samples: 60, validation: 10, "
                 "augment: {flip: horizontal, shift: 1}}}"});
  all.push_back({"stateful",
                 "{lstm: {units: 5, stateful: true}}, {gru: {units: 4, stateful: true, output: last}}, "
                 "{dense: {units: 3}}",
                 "streams: true, optimizer: adam", "synthetic: {random: {inputs: [4, 3], classes: 3, samples: 75}}"});
  all.push_back({"attention",
                 "{dense: {name: e, units: 4, flatten: false}}, {position_embedding: {name: p}}, {layer_norm: {}}, "
                 "{attention: {heads: 2, causal: true, name: t}}, {add: {inputs: [p, t]}}, {global_avg_pool: {}}, "
                 "{dense: {units: 3}}",
                 "optimizer: adam", "synthetic: {random: {inputs: [4, 3], classes: 3, samples: 60}}"});
  const std::string text = ::testing::TempDir() + "resume.txt";
  std::ofstream(text) << "every step of a text goes on where the step before it ended; every run likewise. 0123456789";
  all.push_back({"text",
                 "{embedding: {vocabulary: 34, units: 4}}, {lstm: {units: 5}}, {dense: {units: 34, flatten: false}}",
                 "optimizer: adam", "text: {files: " + text + ", window: 4}"});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Cases, ResumeOf, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

Case with_layers(const std::string& layers) {
  return {"", layers, "optimizer: adam"};
}

std::string error_of_restoring(const Case& from, const Case& into) {
  Lab lab(yaml(from));
  const Snapshot snapshot = take_snapshot(lab.experiment, lab.model.network, lab.model.data, lab.trainer, "{}");
  Lab other(yaml(into));
  const std::string before = other.model.network.weights_digest();
  const std::string error = testing::user_error_of([&] { restore(snapshot, other.model.network, other.trainer); });
  EXPECT_EQ(other.model.network.weights_digest(), before);
  return error;
}

TEST(Restore, RefusesWhatDoesNotFitAndChangesNothing) {
  const Case seven = with_layers("{dense: {name: a, units: 7}}, {dense: {name: b, units: 3}}");
  const auto expect = [](const std::string& error, const char* part) {
    EXPECT_TRUE(error.starts_with("65 ") && error.find(part) != std::string::npos) << error;
  };
  EXPECT_EQ(error_of_restoring(seven, seven), "");
  expect(error_of_restoring(seven, with_layers("{dense: {name: a, units: 8}}, {dense: {name: b, units: 3}}")),
         "a/weights/W is float32 [7, 5] in the checkpoint and float32 [8, 5] in the network");
  expect(error_of_restoring(seven, with_layers("{dense: {name: b, units: 3}}")), "the checkpoint has a/weights/W");
  expect(error_of_restoring(with_layers("{dense: {name: b, units: 3}}"), seven), "the checkpoint has no a/weights/W");
  Case other_type = seven;
  other_type.dtype = "float64";
  expect(error_of_restoring(seven, other_type), "is float32 [7, 5] in the checkpoint and float64 [7, 5]");
  Case other_optimizer = seven;
  other_optimizer.train = "optimizer: momentum";
  expect(error_of_restoring(seven, other_optimizer), "the checkpoint has no a/optimizer/W/velocity");
}

}  // namespace
}  // namespace backplane
