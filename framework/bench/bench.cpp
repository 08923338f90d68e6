#include "bench/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>

#include "bench/bare_step.h"
#include "bench/schedule.h"
#include "data/sources.h"
#include "run/environment.h"
#include "experiment/preflight.h"
#include "run/thread_trace.h"
#include "parallel/cores.h"
#include "trainer/trainer.h"

namespace backplane {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kWarmUpSteps = 3;
constexpr std::size_t kLoggedTasks = 1 << 20;

/// Trains on and on: what ends or interrupts a run is left out.
TrainOptions endless(TrainOptions options, std::int64_t batch_size) {
  options.epochs.reset();
  options.steps = std::numeric_limits<std::int64_t>::max() / 2;
  options.early_stopping.reset();
  options.batch_size = batch_size;
  return options;
}

/// A network in training on so many threads, which the others do not touch.
class Contestant {
 public:
  Contestant(const Experiment& experiment, const Registry& registry, const DataSet& data, int threads,
             std::int64_t batch_size, Arena::Pin pin)
      : network_(experiment.network, registry, data.input_shape, experiment.dtype, experiment.seed, experiment.train.l1,
                 experiment.train.l2),
        loss_(experiment.network, network_, data),
        arena_(threads, pin),
        trainer_(network_, data, loss_, arena_, endless(experiment.train, batch_size), experiment.seed),
        spec_(experiment.network) {
    Experiment measured = experiment;
    measured.train.batch_size = batch_size;
    check_before_training(measured, data, network_);
    warnings_ = doubts_before_training(measured, data, network_, loss_);
  }
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Seconds of so many steps.
  double train(std::int64_t steps) {
    const Clock::time_point start = Clock::now();
    for (std::int64_t i = 0; i < steps; ++i) trainer_.step();
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  /// Seconds of the kernels of so many steps.
  double run_bare(std::int64_t steps) {
    if (!bare_) bare_.emplace(spec_, network_, arena_, trainer_.batch_size(), trainer_.executor().slice_rows());
    const Clock::time_point start = Clock::now();
    for (std::int64_t i = 0; i < steps; ++i) bare_->run();
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  /// What it costs to begin a loop on all threads and to wait for its end.
  double seconds_of_empty_loop() {
    constexpr int kLoops = 1000;
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < kLoops; ++i) arena_.for_each(arena_.threads(), [](std::int64_t) {});
    return std::chrono::duration<double>(Clock::now() - start).count() / kLoops;
  }
  bool has_kernels() const { return bare_ && bare_->has_kernels(); }
  void disturb(std::uint64_t seed) { arena_.disturb(seed); }
  void train_logged(std::int64_t steps) {
    arena_.log().start(kLoggedTasks);
    train(steps);
    arena_.log().stop();
  }
  std::int64_t batch_size() const { return trainer_.batch_size(); }
  int threads() const { return arena_.threads(); }
  const Network& network() const { return network_; }
  const TaskLog& log() { return arena_.log(); }
  const Executor& executor() { return trainer_.executor(); }
  std::string digest() const { return network_.weights_digest(); }

 private:
  Network network_;
  Loss loss_;
  Arena arena_;
  Trainer trainer_;
  const NetworkSpec& spec_;
  std::vector<std::string> warnings_;
  std::optional<BareStep> bare_;  ///< made when first run: short runs that only compare bits need none
};

class Bench {
 public:
  Bench(const Experiment& experiment, const Registry& registry, const BenchOptions& options,
        const std::function<void(const std::string&)>& say)
      : experiment_(experiment),
        registry_(registry),
        options_(options),
        say_(say),
        data_(load_data(experiment.resolved.at("data"), experiment.seed)) {
    require_apart(options.outputs, all_named("the data", data_.files));
    for (const int threads : options.threads) add(threads);
    result_.warnings = contestants_.front()->warnings();
  }

  BenchResult operator()() {
    warm_up();
    for (int round = 0; round < options_.repetitions; ++round) {
      say_(fmt::format("round {} of {}", round + 1, options_.repetitions));
      // Each round begins with another contestant, so that none always follows the same one.
      for (std::size_t i = 0; i < contestants_.size(); ++i) {
        const std::size_t turn = (i + static_cast<std::size_t>(round)) % contestants_.size();
        const auto steps = static_cast<double>(result_.steps_per_turn);
        seconds_[turn].push_back(contestants_[turn]->train(result_.steps_per_turn) / steps);
        kernel_seconds_[turn].push_back(contestants_[turn]->run_bare(result_.steps_per_turn) / steps);
      }
    }
    for (auto& contestant : contestants_) contestant->train_logged(result_.steps_per_turn);
    for (std::size_t i = 0; i < contestants_.size(); ++i) result_.rows.push_back(make_row(i));
    note_layers();
    if (options_.thread_trace != nullptr)
      write_thread_trace(*options_.thread_trace, contestants_.back()->log(), contestants_.back()->network());
    fit();
    result_.environment =
        describe_environment(registry_, data_, *std::max_element(options_.threads.begin(), options_.threads.end()))
            .dump();
    return std::move(result_);
  }

 private:
  void add(int threads) {
    const std::int64_t batch = experiment_.train.batch_size * (options_.is_weak ? threads : 1);
    if (options_.is_weak && batch > data_.train.count)
      throw UserError(ExitCode::bad_config,
                      fmt::format("{} threads need a batch of {}, but there are {} training samples", threads, batch,
                                  data_.train.count),
                      "a smaller train.batch_size, or more data");
    contestants_.push_back(make(threads, batch));
  }

  std::unique_ptr<Contestant> make(int threads, std::int64_t batch) const {
    return std::make_unique<Contestant>(experiment_, registry_, data_, threads, batch, options_.pin);
  }

  /// The first steps make primitives and touch memory; they also show how many steps a turn takes.
  void warm_up() {
    say_("warming up");
    for (auto& contestant : contestants_) contestant->train(kWarmUpSteps);
    const double step = contestants_.front()->train(kWarmUpSteps) / kWarmUpSteps;
    result_.steps_per_turn =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(options_.turn_seconds / step), 1, 100'000);
    for (std::size_t i = 1; i < contestants_.size(); ++i) contestants_[i]->train(kWarmUpSteps);
    for (auto& contestant : contestants_) contestant->train(std::max<std::int64_t>(1, result_.steps_per_turn / 2));
    result_.slice_rows = contestants_.front()->executor().slice_rows();
    seconds_.resize(contestants_.size());
    kernel_seconds_.resize(contestants_.size());
    for (auto& contestant : contestants_) contestant->run_bare(kWarmUpSteps);
  }

  BenchRow make_row(std::size_t i) {
    Contestant& contestant = *contestants_[i];
    BenchRow row{.threads = contestant.threads(), .batch = contestant.batch_size()};
    row.step = median_with_confidence(seconds_[i]);
    const double samples = static_cast<double>(row.batch) / static_cast<double>(contestants_[0]->batch_size());
    const auto speedup_of = [&](const std::vector<std::vector<double>>& seconds) {
      std::vector<double> speedups = quotients(seconds[0], seconds[i]);
      for (double& speedup : speedups) speedup *= samples;
      return median_with_confidence(speedups);
    };
    row.speedup = speedup_of(seconds_);
    if (contestant.has_kernels()) {
      row.kernels = median_with_confidence(quotients(kernel_seconds_[i], seconds_[i]));
      row.kernel_speedup = speedup_of(kernel_seconds_);
    }
    row.ledger = make_ledger(contestant.log());
    row.tensor_bytes = contestant.executor().bytes();
    row.digest = contestant.digest();
    row.has_same_bits = options_.is_weak ? contestant_after_few_steps(contestant, row.threads)->digest() ==
                                               contestant_after_few_steps(contestant, 1)->digest()
                                         : row.digest == contestants_[0]->digest();
    row.disturbed_differences = count_disturbed_differences(contestant);
    return row;
  }

  /// Another one with the same batch, from the start.
  std::unique_ptr<Contestant> contestant_after_few_steps(const Contestant& like, int threads,
                                                         std::optional<std::uint64_t> disturbance = {}) const {
    auto fresh = make(threads, like.batch_size());
    if (disturbance) fresh->disturb(*disturbance);
    fresh->train(kWarmUpSteps);
    return fresh;
  }

  int count_disturbed_differences(const Contestant& contestant) const {
    if (options_.disturbed_runs == 0) return 0;
    const std::string undisturbed = contestant_after_few_steps(contestant, 1)->digest();
    int differences = 0;
    for (int run = 0; run < options_.disturbed_runs; ++run) {
      say_(fmt::format("{} threads, disturbed run {} of {}", contestant.threads(), run + 1, options_.disturbed_runs));
      const auto disturbed =
          contestant_after_few_steps(contestant, contestant.threads(), static_cast<std::uint64_t>(run));
      if (disturbed->digest() != undisturbed) ++differences;
    }
    return differences;
  }

  void note_layers() {
    for (const LayerNode& node : contestants_.front()->network().nodes())
      result_.layers.push_back({.name = node.name()});
    const TaskLog& log = contestants_.front()->log();
    for (int worker = 0; worker < log.workers(); ++worker)
      for (const TaskLog::Task& task : log.track(worker).tasks) {
        if (task.layer < 0) continue;
        LayerTime& layer = result_.layers[static_cast<std::size_t>(task.layer)];
        double& seconds = task.work == Work::forward    ? layer.forward
                          : task.work == Work::backward ? layer.backward
                                                        : layer.update;
        seconds += 1e-9 * static_cast<double>(task.end - task.begin) / static_cast<double>(result_.steps_per_turn);
      }
  }

  void fit() {
    if (options_.is_weak || result_.rows.front().threads != 1) return;
    std::vector<MeasuredSpeedup> measured;
    for (const BenchRow& row : result_.rows)
      if (row.threads <= usable_cores()) measured.push_back({static_cast<double>(row.threads), row.speedup.median});
    result_.law = fit_scalability(measured);
    predict();
  }

  void predict() {
    const StepSchedule schedule = median_step(contestants_.front()->log(), result_.steps_per_turn);
    if (schedule.loops.empty()) return;
    const ThreadCosts costs = measure_costs();
    const double alone = simulate(schedule, 1, costs);
    result_.critical_path = schedule.critical_path();
    std::vector<int> threads;
    for (const BenchRow& row : result_.rows) threads.push_back(row.threads);
    for (const int asked : options_.predict)
      if (std::find(threads.begin(), threads.end(), asked) == threads.end()) threads.push_back(asked);
    for (const int n : threads) result_.predictions.push_back({n, alone / simulate(schedule, n, costs)});
  }

  /// From the largest number of threads that have a core each.
  ThreadCosts measure_costs() const {
    ThreadCosts costs{.step_bytes = static_cast<double>(contestants_.front()->executor().bytes()),
                      .bandwidth = options_.bandwidth};
    const BenchRow* most = nullptr;
    for (const BenchRow& row : result_.rows)
      if (row.threads > 1 && row.threads <= usable_cores()) most = &row;
    if (most == nullptr) return costs;
    const auto busy = [](const Ledger& ledger) { return ledger.whole() - ledger.imbalance - ledger.serial; };
    const double longer = std::max(0.0, busy(most->ledger) / busy(result_.rows.front().ledger) - 1.0);
    costs.sharing = longer / (1.0 - 1.0 / most->threads);
    for (const auto& contestant : contestants_)
      if (contestant->threads() == most->threads)
        costs.loop = contestant->seconds_of_empty_loop() / std::log2(most->threads);
    return costs;
  }

  const Experiment& experiment_;
  const Registry& registry_;
  const BenchOptions& options_;
  const std::function<void(const std::string&)>& say_;
  const DataSet data_;
  std::vector<std::unique_ptr<Contestant>> contestants_;
  std::vector<std::vector<double>> seconds_, kernel_seconds_;  ///< of a step, [contestant][round]
  BenchResult result_;
};

}  // namespace

BenchResult run_bench(const Experiment& experiment, const Registry& registry, const BenchOptions& options,
                      const std::function<void(const std::string&)>& say) {
  return Bench(experiment, registry, options, say)();
}

}  // namespace backplane
