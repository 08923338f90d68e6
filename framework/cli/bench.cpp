#include "bench/bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/counted.h"
#include "base/printable.h"
#include "bench/report.h"
#include "cli/commands.h"
#include "cli/named_outputs.h"
#include "cli/output.h"
#include "parallel/cores.h"

namespace backplane::cli {

namespace {

struct BenchWords {
  ExperimentWords experiment;
  BenchOptions options;
  std::string json, plot, thread_trace;
  bool is_pinned = false;
};

/// 1, 2, 4, … and the number of cores.
std::vector<int> default_threads() {
  const int cores = usable_cores();
  std::set<int> threads{cores};
  for (int n = 1; n < cores; n *= 2) threads.insert(n);
  return {threads.begin(), threads.end()};
}

double efficiency(const BenchRow& row, const BenchRow& first) {
  return row.speedup.median * first.threads / row.threads;
}

/// "1.87 (1.81 to 1.92)"
std::string text_of(const Interval& interval, double factor, int digits) {
  return fmt::format("{0:.{3}f} ({1:.{3}f} to {2:.{3}f})", factor * interval.median, factor * interval.low,
                     factor * interval.high, digits);
}

void print_scaling(const BenchResult& result) {
  const BenchRow& first = result.rows.front();
  show("{:>7} {:>6} {:>26} {:>21} {:>10} {:>21} {:>19} {:>9}  {}\n", "threads", "batch", "ms a step (95 %)", "speed-up",
       "efficiency", "kernels' speed-up", "kernel limit, %", "tensors", "bits");
  for (const BenchRow& row : result.rows)
    show("{:>7} {:>6} {:>26} {:>21} {:>9.0f}% {:>21} {:>19} {:>6.0f} MB  {}\n", row.threads, row.batch,
         text_of(row.step, 1e3, 3), text_of(row.speedup, 1, 2), 100 * efficiency(row, first),
         row.kernel_speedup ? text_of(*row.kernel_speedup, 1, 2) : "-",
         row.kernels ? text_of(*row.kernels, 100, 0) : "-", static_cast<double>(row.tensor_bytes) / 1e6,
         row.has_same_bits ? "same" : "DIFFERENT");
  show("speed-up over {}; {} a turn; kernel limit: time of the bare products / of the step\n",
       counted(first.threads, "thread"), counted(result.steps_per_turn, "step"));
}

void print_ledger(const BenchResult& result) {
  show("\nwhere the threads' time went, % of threads × wall time\n{:>7}", "threads");
  for (int work = 0; work < kWorks; ++work) show(" {:>9}", name_of(static_cast<Work>(work)));
  show(" {:>9} {:>9} {:>9}\n", "imbalance", "serial", "sum");
  for (const BenchRow& row : result.rows) {
    const auto percent = [&](double seconds) { return 100.0 * seconds / row.ledger.whole(); };
    show("{:>7}", row.threads);
    double sum = 0.0;
    for (const double seconds : row.ledger.works) show(" {:>9.1f}", percent(seconds)), sum += percent(seconds);
    sum += percent(row.ledger.imbalance) + percent(row.ledger.serial);
    show(" {:>9.1f} {:>9.1f} {:>9.1f}\n", percent(row.ledger.imbalance), percent(row.ledger.serial), sum);
  }
}

void print_layers(const BenchResult& result) {
  const BenchRow& first = result.rows.front();
  const double step = first.ledger.whole() / static_cast<double>(result.steps_per_turn);
  show("\nwhat layers cost, % of threads × wall time of {}\n{:<20} {:>9} {:>9} {:>9}\n",
       counted(first.threads, "thread"), "layer", "forward", "backward", "update");
  for (const LayerTime& layer : result.layers)
    show("{:<20} {:>9.1f} {:>9.1f} {:>9.1f}\n", layer.name, 100 * layer.forward / step, 100 * layer.backward / step,
         100 * layer.update / step);
}

void print_disturbed(const BenchResult& result, int runs) {
  show("\ntasks shuffled and delayed at random, {} runs of each: weights with other bits\n", runs);
  for (const BenchRow& row : result.rows) show("{:>7} threads: {}\n", row.threads, row.disturbed_differences);
}

void print_prospects(const BenchResult& result) {
  if (result.law) {
    const auto best = result.law->best_threads();
    show("\nuniversal scalability law: σ {:.4f} (contention), κ {:.6f} (coherency), N_max {}\n", result.law->sigma,
         result.law->kappa, best ? fmt::format("{:.0f}", *best) : "unbounded");
  }
  if (!result.law)
    show("\nuniversal scalability law: not fitted; it takes 1 and two more thread counts that have a core each\n");
  if (result.predictions.empty()) return;
  show("\nsimulated schedule, from the tasks of one thread; critical path {:.3f} ms\n{:>7} {:>9} {:>10} {:>9}\n",
       result.critical_path * 1e3, "threads", "speed-up", "efficiency", "measured");
  for (const Prediction& prediction : result.predictions) {
    std::string measured = "-";
    for (const BenchRow& row : result.rows)
      if (row.threads == prediction.threads) measured = fmt::format("{:.2f}", row.speedup.median);
    show("{:>7} {:>9.2f} {:>9.0f}% {:>9}\n", prediction.threads, prediction.speedup,
         100 * prediction.speedup / prediction.threads, measured);
  }
}

ExitCode bench(const BenchWords& words, const Words& all) {
  const ExperimentRequest request = words.experiment.request(all);
  BenchOptions options = words.options;
  options.outputs = {{"--json", words.json}, {"--plot", words.plot}, {"--trace-threads", words.thread_trace}};
  settle_outputs(options.outputs, words.experiment.files());
  const auto json = output_of(words.json), plot = output_of(words.plot), thread_trace = output_of(words.thread_trace);
  if (thread_trace) options.thread_trace = &*thread_trace;
  const Registry registry = discover_plugins(request.plugins);
  const Experiment experiment = read_experiment(request, registry);
  std::sort(options.threads.begin(), options.threads.end());
  options.threads.erase(std::unique(options.threads.begin(), options.threads.end()), options.threads.end());
  if (words.is_pinned) options.pin = Arena::Pin::yes;
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  const BenchResult result = run_bench(experiment, registry, options, [&](const std::string& what) {
    if (is_terminal) write_message("\r\033[K" + printable(what));
  });
  if (is_terminal) write_message("\r\033[K");
  print_warnings(result.warnings);
  show("{}: {}, batch {}, slices of {}, {} rounds in turns\n\n", experiment.name, name_of(experiment.dtype),
       experiment.train.batch_size, result.slice_rows, words.options.repetitions);
  print_scaling(result);
  print_ledger(result);
  print_layers(result);
  print_prospects(result);
  if (options.disturbed_runs > 0) print_disturbed(result, options.disturbed_runs);
  if (json) json->write(to_json(result, options).dump(2) + "\n");
  if (plot) plot->write(speedup_plot(result, experiment.name));
  const bool is_same = std::all_of(result.rows.begin(), result.rows.end(), [](const BenchRow& row) {
    return row.has_same_bits && row.disturbed_differences == 0;
  });
  if (!is_same) show("\nthe weights depend on the number of threads: a layer or rule is not deterministic\n");
  return is_same ? ExitCode::ok : ExitCode::internal;
}

}  // namespace

void add_bench(CLI::App& app, const Words& all, Action& action) {
  CLI::App* command = app.add_subcommand("bench", "measure training steps on several numbers of threads");
  auto words = std::make_shared<BenchWords>();
  words->options.threads = default_threads();
  words->options.predict = {4, 8, 16, 32, 64, 128};
  words->experiment.add_to(*command);
  command->add_option("--threads", words->options.threads, "thread counts, as 1,2,4; the smallest is the base")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  command->add_option("--repetitions", words->options.repetitions, "turns of each; default 15")
      ->check(CLI::Range(1, 10000));
  command->add_option("--turn", words->options.turn_seconds, "seconds of a turn of the base; default 0.3")
      ->check(CLI::Range(0.001, 600.0));
  command
      ->add_option("--trace-threads", words->thread_trace,
                   "a file for what each thread of the last count did in a turn (Chrome JSON, opens in Perfetto)")
      ->check(check_path);
  command->add_option("--json", words->json, "a file for everything that was measured")->check(check_path);
  command->add_option("--plot", words->plot, "a file for a picture of the speed-up (SVG)")->check(check_path);
  command
      ->add_option("--disturb", words->options.disturbed_runs,
                   "number of short runs with tasks shuffled and delayed, whose bits are compared")
      ->check(CLI::Range(1, 100000));
  command
      ->add_option("--bandwidth", words->options.bandwidth,
                   "bytes/s of the memory of the machine that is simulated; default: not looked at")
      ->check(CLI::Range(1.0, 1e15));
  command->add_flag("--pin", words->is_pinned, "keep each worker on a core of its own");
  command->add_flag("--weak", words->options.is_weak, "the batch grows with the threads");
  command->add_option("--predict", words->options.predict, "thread counts to simulate; default 4,8,16,32,64,128")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  command->callback([&action, words, &all] { action = [words, &all] { return bench(*words, all); }; });
}

}  // namespace backplane::cli
