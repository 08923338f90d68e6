#include "run/beginning.h"

#include <fmt/format.h>

#include <filesystem>

#include "checkpoint/manifest.h"
#include "run/environment.h"
#include "run/signals.h"
#include "files/named_file.h"
#include "files/paths.h"

namespace backplane {

namespace {

std::string run_directory_of(const Experiment& experiment, const RunOptions& options) {
  return options.directory.empty() ? "runs/" + experiment.name : options.directory;
}

/// A run that goes on has its weights from its checkpoint: those that it began with may be gone by now.
Model model_of(Experiment experiment, const Registry& registry, const RunOptions& options) {
  RunDirectory::require_no_file(run_directory_of(experiment, options));
  if (options.resume != Resume::no && has_manifest(run_directory_of(experiment, options) + "/checkpoints"))
    experiment.initial_weights.reset();
  if (options.data == nullptr) return build_model(experiment, registry);
  return build_model(experiment, registry, std::move(*options.data));
}

/// What becomes of an earlier run in the directory. One that goes on needs a checkpoint; where there is none, what it
/// wrote by then is kept.
RunDirectory::Earlier earlier_of(const Experiment& experiment, const RunOptions& options) {
  using Earlier = RunDirectory::Earlier;
  if (options.resume == Resume::no) return Earlier::move_aside;
  const std::filesystem::path directory = run_directory_of(experiment, options);
  std::error_code missing;
  const std::filesystem::path checkpoints = directory / "checkpoints";
  if (std::filesystem::is_symlink(std::filesystem::symlink_status(checkpoints, missing)) || has_manifest(checkpoints))
    return Earlier::go_on;
  find_checkpoint(directory);  // throws where there are checkpoints that no manifest names
  const bool has_lines = std::filesystem::file_size(directory / "metrics.jsonl", missing) > 0 && !missing;
  return has_lines || std::filesystem::exists(directory / "summary.json", missing) ? Earlier::move_aside
                                                                                   : Earlier::go_on;
}

/// What is written beside the run destroys nothing that the run reads or writes.
void require_trace_apart(const Output* thread_trace, const std::string& directory, const DataSet& data) {
  if (thread_trace == nullptr) return;
  require_apart({{"--trace-threads", thread_trace->path()}}, all_named("the data", data.files));
  RunDirectory::require_outside(directory, "--trace-threads", thread_trace->path());
}

/// Where an earlier run is moved aside, no file that config.yaml names goes with it: running that again would find
/// nothing there, or the new run's own checkpoint.
void require_files_stay(const Experiment& experiment, const RunOptions& options, const DataSet& data) {
  const std::string directory = run_directory_of(experiment, options);
  if (!RunDirectory::holds_run(directory) || earlier_of(experiment, options) == RunDirectory::Earlier::go_on) return;
  for (const std::string& file : data.files)
    if (is_inside(file, directory))
      throw UserError(
          ExitCode::usage,
          fmt::format("{}: lies in the earlier run in {}, which would be moved aside with it", file, directory),
          fmt::format("choose another directory with --out, or rename {} first and name the file there", directory));
}

}  // namespace

Beginning::Beginning(const Experiment& experiment, const Registry& registry, const RunOptions& options)
    : versions(describe_versions(registry)),
      model(model_of(experiment, registry, options)),
      environment(describe_environment(registry, model.data, options.threads)),
      plan(experiment.record, model.network, model.loss, run_length(experiment.train, model.data.train.count)) {
  require_trace_apart(options.thread_trace, run_directory_of(experiment, options), model.data);
  require_files_stay(experiment, options, model.data);
  StopSignals::begin_polling();  // from here on a signal may not end the process at just any place
  directory.emplace(run_directory_of(experiment, options), earlier_of(experiment, options));
  if (options.resume != Resume::no) checkpoint = find_checkpoint(directory->text());
  if (checkpoint) {
    differences = compare(checkpoint->snapshot, experiment, model.network, registry, environment);
    if (is_done()) return;
    if (options.resume == Resume::strict) require_no_difference(differences);
    if (auto weights = same_initial_weights(checkpoint->snapshot, experiment))
      environment["data"].push_back(std::move(*weights));
  }
  directory->require_writable();
}

bool Beginning::is_done() const {
  return checkpoint && differences.config.empty() && backplane::is_done(directory->text(), checkpoint->snapshot);
}

}  // namespace backplane
