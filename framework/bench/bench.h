#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/ledger.h"
#include "bench/statistics.h"
#include "bench/usl.h"
#include "experiment/experiment.h"
#include "files/named_file.h"
#include "files/output.h"
#include "parallel/arena.h"

namespace backplane {

struct BenchOptions {
  std::vector<int> threads;   ///< ascending, no number twice; the first one is what others are compared with
  int repetitions = 15;       ///< turns of each
  double turn_seconds = 0.3;  ///< how long a turn of the first one lasts
  bool is_weak = false;       ///< the batch grows with the threads
  Arena::Pin pin = Arena::Pin::no;
  int disturbed_runs = 0;    ///< short runs of each with tasks shuffled and delayed, whose bits are compared
  std::vector<int> predict;  ///< thread counts to simulate
  double bandwidth = 0.0;    ///< bytes/s of the memory of the machine to simulate; 0: not looked at
  const Output* thread_trace = nullptr;  ///< where the tasks of a turn of the last one go; NULL: nowhere
  std::vector<NamedFile> outputs{};      ///< all that will be written: refused (usage) where one is a file of the data
};

/// What was measured with one number of threads.
struct BenchRow {
  int threads = 1;
  std::int64_t batch = 0;
  Interval step;                           ///< seconds
  Interval speedup;                        ///< samples per second over those of the first row, turn by turn
  std::optional<Interval> kernels;         ///< time of the bare kernels / time of the step, turn by turn; see BareStep
  std::optional<Interval> kernel_speedup;  ///< what the machine gives the bare kernels
  Ledger ledger;                           ///< of a turn of its own
  std::uint64_t tensor_bytes = 0;
  std::string digest;  ///< of the weights after all turns
  /// Whether the weights' bits are those of the first row; of one thread where the batch grows. And how many of the
  /// disturbed runs have others.
  bool has_same_bits = true;
  int disturbed_differences = 0;
};

/// What one layer costs: seconds of thread time in a step of the first row.
struct LayerTime {
  std::string name;
  double forward = 0.0, backward = 0.0, update = 0.0;  ///< update: gradient, reduction, optimizer, pack
};

struct Prediction {
  int threads;
  double speedup;
};

struct BenchResult {
  std::int64_t steps_per_turn = 0;
  std::int64_t slice_rows = 0;
  std::vector<BenchRow> rows;
  std::vector<LayerTime> layers;
  std::optional<ScalabilityLaw> law;    ///< of numbers of threads that have a core each
  std::vector<Prediction> predictions;  ///< over one thread: first the measured counts, then those asked for
  double critical_path = 0.0;           ///< seconds of a step on any number of threads
  std::string environment;              ///< JSON: machine, versions, plug-ins
  std::vector<std::string> warnings{};  ///< of what is hardly meant so, as before a run
};

/// Trains the experiment's network with each number of threads in turn, round after round, so that a machine that
/// changes its speed changes all of them. Each has weights, optimizer and position in the data of its own; data are
/// shared. Nothing is evaluated, recorded or committed. `say`: told what goes on. Throws UserError as runs do.
BenchResult run_bench(const Experiment& experiment, const Registry& registry, const BenchOptions& options,
                      const std::function<void(const std::string&)>& say);

}  // namespace backplane
