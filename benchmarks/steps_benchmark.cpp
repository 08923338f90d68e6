// Whole training steps of the networks in networks/ on one thread and on all cores, and what is part of them or comes
// on top: the reduction of gradients, the optimizer, recording, checkpoints. What comes on top takes turns with steps
// without it; `overhead` is the median over the turns in percent, [`low`, `high`] the quartiles.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "built_in.h"
#include "child_jobs/child_jobs.h"
#include "checkpoint/store.h"
#include "run/environment.h"
#include "experiment/experiment.h"
#include "run/snapshot.h"
#include "recording/trace.h"
#include "files/io_thread.h"
#include "measure.h"
#include "optimizers/table.h"
#include "parallel/tree_sum.h"
#include "tensor/buffer.h"
#include "trainer/trainer.h"

namespace backplane {
namespace {

using Clock = std::chrono::steady_clock;

/// A folder of files that nobody wants afterwards.
class Scratch {
 public:
  Scratch() : path_(std::filesystem::temp_directory_path() / ("backplane-steps-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// A network of networks/ in training without end.
struct Training {
  Training(const Registry& registry, const std::string& file, int threads, std::vector<std::string> overrides = {})
      : experiment(read(registry, file, std::move(overrides))),
        model(build_model(experiment, registry)),
        arena(threads),
        trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed) {
    for (int step = 0; step < 5; ++step) trainer.step();
  }

  static Experiment read(const Registry& registry, const std::string& file, std::vector<std::string> overrides) {
    Experiment experiment =
        read_experiment({.file = file, .overrides = overrides, .override_words = overrides, .plugins = {}}, registry);
    experiment.train.epochs.reset();
    experiment.train.steps = std::int64_t{1} << 40;
    return experiment;
  }

  Experiment experiment;
  Model model;
  Arena arena;
  Trainer trainer;
};

void step(benchmark::State& state, const Registry& registry, const std::string& file, int threads) {
  Training training(registry, file, threads);
  for (auto _ : state) training.trainer.step();
  state.SetItemsProcessed(state.iterations() * training.trainer.batch_size());
}

double seconds_of(const std::function<void()>& steps) {
  const Clock::time_point start = Clock::now();
  steps();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Turns of so many plain steps, and as many with `extra`, whose time over theirs is the overhead.
void compare(benchmark::State& state, std::int64_t steps, const std::function<void()>& plain,
             const std::function<void()>& extra) {
  std::vector<double> overheads;
  for (auto _ : state) {
    const double without = seconds_of([&] {
      for (std::int64_t i = 0; i < steps; ++i) plain();
    });
    const double with = seconds_of([&] {
      for (std::int64_t i = 0; i < steps; ++i) extra();
    });
    overheads.push_back(100 * (with / without - 1));
    state.SetIterationTime(with);
  }
  state.counters["overhead"] = quantile(overheads, 0.5);
  state.counters["low"] = quantile(overheads, 0.25);
  state.counters["high"] = quantile(overheads, 0.75);
}

/// Activations, δ and weights of 32 samples; what the turn has left to write counts for it.
void recording(benchmark::State& state, const Registry& registry, const std::string& file, int threads, int every,
               const std::vector<std::string>& stored_as) {
  std::vector<std::string> overrides{"record.every=" + std::to_string(every) + " steps"};
  overrides.insert(overrides.end(), stored_as.begin(), stored_as.end());
  Training training(registry, file, threads, overrides);
  const Scratch scratch;
  IoThread io;
  const TracePlan plan(training.experiment.record, training.model.network, training.model.loss,
                       run_length(training.experiment.train, training.model.data.train.count));
  Trace trace(scratch.file("trace.h5"), plan, training.model.network, training.trainer, training.arena, io);
  constexpr std::int64_t kSteps = 200;
  std::int64_t number = 0;
  compare(
      state, kSteps, [&] { training.trainer.step(); },
      [&] {
        if (trace.is_due(++number)) {
          training.trainer.step([&](const Batch& batch) { trace.copy_before_update(batch); });
          trace.copy_after_update(number);
        } else {
          training.trainer.step();
        }
        if (number % kSteps == 0) io.drain();
      });
}

void checkpoint(benchmark::State& state, const Registry& registry, const std::string& file, int threads) {
  Training training(registry, file, threads);
  const Scratch scratch;
  CheckpointStore store(scratch.file("checkpoints"), {.keep = 3});
  IoThread io;
  const std::string environment = describe_environment(registry, training.model.data, threads).dump();
  constexpr std::int64_t kEvery = 100, kSteps = 4 * kEvery;
  std::int64_t number = 0;
  compare(
      state, kSteps, [&] { training.trainer.step(); },
      [&] {
        training.trainer.step();
        if (++number % kSteps == 0) io.drain();
        if (number % kEvery != kEvery / 2) return;
        auto snapshot = std::make_shared<const Snapshot>(take_snapshot(
            training.experiment, training.model.network, training.model.data, training.trainer, environment));
        io.submit([&store, snapshot] { store.commit(*snapshot); });
      });
}

/// Sixteen slices' gradients of as many elements, tile by tile.
void reduction(benchmark::State& state) {
  const std::int64_t elements = state.range(0);
  constexpr std::int64_t kParts = 16, kTile = 4096;
  std::vector<Buffer> parts;
  std::vector<void*> pointers;
  for (std::int64_t p = 0; p < kParts; ++p) pointers.push_back(parts.emplace_back(filled(elements)).data());
  for (auto _ : state)
    for (std::int64_t begin = 0; begin < elements; begin += kTile)
      tree_sum<float>(pointers.data(), kParts, begin, std::min(begin + kTile, elements));
  state.SetBytesProcessed(state.iterations() * kParts * elements * static_cast<std::int64_t>(sizeof(float)));
}

/// All tiles of the mlp, on one thread: what is left of a step when nothing is computed.
void optimizer(benchmark::State& state, const Registry& registry, const std::string& rule) {
  Training training(registry, BP_NETWORKS "/mlp.yaml", 1, {"train.optimizer=" + rule});
  training.trainer.probe(0);
  Executor& executor = training.trainer.executor();
  Optimizer optimizer(training.experiment.train.optimizer, training.model.network, executor.tiles());
  std::uint64_t number = 0;
  for (auto _ : state) {
    ++number;
    const Optimizer::Step step{.number = number, .rate = 1e-12};
    const auto for_each_range = [&](const auto& body) {
      executor.for_each_tile([&](const Tile& tile) {
        for (std::size_t r = 0; r < tile.ranges.size(); ++r) body(tile, r, executor.tile_gradient(tile, r));
      });
    };
    if (optimizer.needs_sums()) {
      for_each_range([&](const Tile& t, std::size_t r, const void* g) { optimizer.collect(t, r, g, step); });
      optimizer.add_up();
    }
    for_each_range([&](const Tile& t, std::size_t r, const void* g) { optimizer.update(t, r, g, step); });
  }
  state.SetItemsProcessed(state.iterations() * training.model.network.parameter_count());
}

void register_all(const Registry& registry) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(BP_NETWORKS)) files.insert(entry.path().string());
  for (const std::string& file : files)
    for (const int threads : std::set<int>{1, cores})
      benchmark::RegisterBenchmark(
          ("step/" + std::filesystem::path(file).stem().string() + "/threads:" + std::to_string(threads)).c_str(),
          [&registry, file, threads](benchmark::State& state) { step(state, registry, file, threads); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
  for (const char* name : {"mlp", "cnn"}) {
    const std::string file = std::string(BP_NETWORKS "/") + name + ".yaml";
    const std::map<std::string, std::vector<std::string>> storages{
        {"gzip", {}},
        {"none", {"record.compression=none"}},
        {"none_float16", {"record.compression=none", "record.dtype=float16"}}};
    for (const auto& [storage, overrides] : storages)
      for (const int every : {100, 1})
        benchmark::RegisterBenchmark(
            (std::string("recording/") + name + "/every:" + std::to_string(every) + "/" + storage).c_str(),
            [&registry, file, cores, every, overrides = overrides](benchmark::State& state) {
              recording(state, registry, file, cores, every, overrides);
            })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(
        (std::string("checkpoint/") + name + "/every:100").c_str(),
        [&registry, file, cores](benchmark::State& state) { checkpoint(state, registry, file, cores); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
  for (const OptimizerKind& kind : optimizers())
    benchmark::RegisterBenchmark(("optimizer/" + kind.name).c_str(), [&registry, &kind](benchmark::State& state) {
      optimizer(state, registry, "{" + kind.name + ": {}}");
    });
  benchmark::RegisterBenchmark("reduction", reduction)->Arg(10'000)->Arg(100'000)->Arg(1'000'000);
}

}  // namespace
}  // namespace backplane

int main(int argc, char** argv) {
  using namespace backplane;
  do_job_of_parent(argc, argv, child_jobs());
  keep_freed_memory();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
  try {
    const Registry registry = built_in();
    register_all(registry);
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
