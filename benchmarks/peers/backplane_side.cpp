#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "built_in.h"
#include "checkpoint/image.h"
#include "child_jobs/child_jobs.h"
#include "data/sources.h"
#include "run/environment.h"
#include "experiment/experiment.h"
#include "run/snapshot.h"
#include "files/atomic_write.h"
#include "hdf5/handle.h"
#include "parallel/arena.h"
#include "trainer/trainer.h"

// Training steps on demand, as `backplane run` takes them, for compare.py. Lines on stdin, one JSON object each on
// stdout:
//   (start)   {"ready": true, "data_seconds": how long data was read, "train_samples": …}
//   steps K   {"seconds": of the K steps, "losses": of each batch, "loss": the last of them, "peak_bytes", "digest"}
//   quit      the end

namespace backplane {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Words {
  std::string file;
  std::vector<std::string> overrides;
  int threads = 1;
  std::string weights, data;  ///< files to write; empty: none
};

Experiment read(const Words& words, const Registry& registry) {
  Experiment experiment = read_experiment(
      {.file = words.file, .overrides = words.overrides, .override_words = words.overrides, .plugins = {}}, registry);
  experiment.train.epochs.reset();
  experiment.train.steps = std::int64_t{1} << 40;  // whoever asks for steps decides when they end
  return experiment;
}

std::int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

template <class T>
void write_table(const h5::Handle& file, const char* name, const Shape& shape, const std::vector<T>& values) {
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const h5::Handle space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose,
                         "make a data space");
  const h5::Handle table(
      H5Dcreate2(file.id(), name, h5::native<T>(), space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose,
      "make a data set");
  h5::check(H5Dwrite(table.id(), h5::native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "write a data set");
}

/// The training split as the network sees it, in its order: `inputs` (float32) and `labels` (int64).
void write_data(const DataSet& data, const std::string& path) {
  if (!data.train.has_labels())
    throw UserError(ExitCode::bad_config, "the targets of this experiment are vectors, but --data writes labels",
                    "leave --data out, or take data with classes");
  const std::int64_t N = data.train.count, size = data.input_size();
  std::vector<float> inputs(static_cast<std::size_t>(N * size));
  for (std::int64_t n = 0; n < N; ++n) data.gather_input(data.train, n, inputs.data() + n * size);
  Shape shape = data.input_shape;
  shape.insert(shape.begin(), N);
  h5::make_quiet_and_safe();
  const h5::Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, "make --data FILE");
  write_table(file, "inputs", shape, inputs);
  write_table(file, "labels", data.steps > 1 ? Shape{N, data.steps} : Shape{N},
              std::get<std::vector<std::int64_t>>(data.train.targets));
}

void answer(const nlohmann::ordered_json& line) {
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

void take_steps(std::int64_t count, Trainer& trainer, const Network& network) {
  std::vector<double> losses;
  losses.reserve(static_cast<std::size_t>(count));
  const Clock::time_point start = Clock::now();
  for (std::int64_t i = 0; i < count; ++i) losses.push_back(trainer.step().loss);
  const double seconds = seconds_since(start);
  answer({{"seconds", seconds},
          {"loss", losses.back()},
          {"losses", losses},
          {"peak_bytes", peak_bytes()},
          {"digest", network.weights_digest()}});
}

void serve(const Words& words) {
  const Registry registry = built_in();
  const Experiment experiment = read(words, registry);
  const Clock::time_point start = Clock::now();
  DataSet data = load_data(experiment.resolved.at("data"), experiment.seed);
  const double data_seconds = seconds_since(start);
  Model model = build_model(experiment, registry, std::move(data));
  Arena arena(words.threads);
  Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
  if (!words.data.empty()) write_data(model.data, words.data);
  if (!words.weights.empty()) {
    const std::string environment = describe_environment(registry, model.data, words.threads).dump(2);
    const Image image(take_snapshot(experiment, model.network, model.data, trainer, environment));
    write_file_atomically(words.weights, image.bytes().data(), image.bytes().size());
  }
  answer({{"ready", true}, {"data_seconds", data_seconds}, {"train_samples", model.data.train.count}});
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    std::istringstream text(line);
    std::string word;
    std::int64_t count = 0;
    if (!(text >> word >> count) || word != "steps" || count < 1)
      throw UserError(ExitCode::usage, fmt::format("'{}' is no command", line),
                      "say `steps K` (K at least 1) or `quit`");
    take_steps(count, trainer, model.network);
  }
}

int run(int argc, char** argv) {
  Words words;
  CLI::App app("Takes training steps as stdin asks for them", "training_steps");
  app.add_option("FILE", words.file, "the experiment's YAML")->required();
  app.add_option("--set", words.overrides, "a.b=c: replace a value of the YAML; may be repeated")
      ->take_all()
      ->expected(1);
  app.add_option("--threads", words.threads, "workers")->required()->check(CLI::Range(1, 1024));
  app.add_option("--weights", words.weights, "write the checkpoint of step 0 here");
  app.add_option("--data", words.data, "write the training split here: inputs and labels");
  CLI11_PARSE(app, argc, argv);
  serve(words);
  return 0;
}

}  // namespace

}  // namespace backplane

int main(int argc, char** argv) {
  backplane::do_job_of_parent(argc, argv, backplane::child_jobs());
  try {
    return backplane::run(argc, argv);
  } catch (const backplane::UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "internal error: {}\n", error.what());
    return static_cast<int>(backplane::ExitCode::internal);
  }
}
