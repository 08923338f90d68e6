#pragma once

// What tests share that need a whole model: experiments written as text, read through the same door as a user's file.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "experiment/experiment.h"
#include "parallel/arena.h"
#include "support/paths.h"
#include "trainer/trainer.h"

namespace backplane::testing {

/// A folder that is empty at the start and gone at the end.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / ("backplane-" + name + "-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name = {}) const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The UserError that `action` throws, as "78 message"; "" where it throws nothing. Anything else is named as itself,
/// so that a comparison fails and shows it.
template <class Action>
std::string user_error_of(Action&& action) {
  try {
    action();
  } catch (const UserError& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  } catch (const std::exception& error) {
    return std::string("not a UserError: ") + error.what();
  }
  return {};
}

/// Loads every plug-in of a folder, in the order of their names; one that cannot be loaded is an error.
inline void load_folder(Registry& registry, const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().string().ends_with(".bp.so")) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) registry.load(file);
}

/// The built-in plug-ins of this build, loaded once for all tests of the process.
inline const Registry& plugins() {
  static const Registry registry = [] {
    Registry loaded;
    load_folder(loaded, kPluginFolder);
    return loaded;
  }();
  return registry;
}

/// The parts of an experiment that tests care about, in YAML's flow style.
struct ExperimentText {
  std::string data;    ///< "inline: {inputs: [[3]], targets: [[5]]}"
  std::string layers;  ///< "{dense: {units: 1}}, …"
  std::string loss = "squared_error";
  std::string train;  ///< "steps: 1, optimizer: sgd"
  std::string dtype = "float64";
  std::string seed = "0";
  std::string record = "{}";

  std::string yaml() const {
    return "name: test\nseed: " + seed + "\ndtype: " + dtype + "\ndata: {" + data + "}\nnetwork: {layers: [" + layers +
           "], loss: " + loss + "}\ntrain: {" + train + "}\nrecord: " + record + "\n";
  }
};

inline Experiment experiment_of_text(const std::string& yaml) {
  const TemporaryFolder folder("experiment");
  std::ofstream(folder.path("experiment.yaml")) << yaml;
  return read_experiment({.file = folder.path("experiment.yaml"), .overrides = {}, .override_words = {}, .plugins = {}},
                         plugins());
}

/// Numbers of a tensor in either type, widened: float32 values are kept exactly.
inline std::vector<double> widened(const void* data, std::int64_t count, DType dtype) {
  return dispatch(dtype, [&]<class T>(T) {
    const T* values = static_cast<const T*>(data);
    return std::vector<double>(values, values + count);
  });
}

/// An experiment with everything that a run computes with, and no files.
struct Lab {
  explicit Lab(const ExperimentText& text, int threads = 1) : Lab(text.yaml(), threads) {}
  explicit Lab(const std::string& yaml, int threads = 1)
      : experiment(experiment_of_text(yaml)),
        model(build_model(experiment, plugins())),
        arena(threads),
        trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed) {}

  std::vector<double> parameter(std::size_t node, std::size_t index) const {
    const Parameter& p = model.network.nodes()[node].parameters[index];
    return widened(p.value.data(), p.count, model.network.dtype());
  }
  /// ∂C/∂θ of the last probe or step.
  std::vector<double> gradient(std::size_t node, std::size_t index) {
    return widened(trainer.executor().gradient(node, index), model.network.nodes()[node].parameters[index].count,
                   model.network.dtype());
  }
  void run() {
    while (!trainer.is_finished()) trainer.step();
  }

  Experiment experiment;
  Model model;
  Arena arena;
  Trainer trainer;
};

}  // namespace backplane::testing
