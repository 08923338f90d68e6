#include "experiment/beginning.h"

#include "checkpoint/manifest.h"
#include "experiment/environment.h"
#include "experiment/signals.h"

namespace backplane {

namespace {

std::string directory_of(const Experiment& experiment, const RunOptions& options) {
  return options.directory.empty() ? "runs/" + experiment.name : options.directory;
}

/// A run that goes on has its weights from its checkpoint: those that it began with may be gone by now.
Model model_of(Experiment experiment, const Registry& registry, const RunOptions& options) {
  if (options.resume != Resume::no && has_manifest(directory_of(experiment, options) + "/checkpoints"))
    experiment.initial_weights.reset();
  if (options.data == nullptr) return build_model(experiment, registry);
  return build_model(experiment, registry, std::move(*options.data));
}

/// The directory of the run, from whose making on a signal may not end the process at just any place.
std::string begin_to_change(const Experiment& experiment, const RunOptions& options) {
  StopSignals::begin_polling();
  return directory_of(experiment, options);
}

}  // namespace

Beginning::Beginning(const Experiment& experiment, const Registry& registry, const RunOptions& options)
    : versions(describe_versions(registry)),
      model(model_of(experiment, registry, options)),
      environment(describe_environment(registry, model.data, options.threads)),
      plan(experiment, model.network, run_length(experiment.train, model.data.train.count)),
      directory(begin_to_change(experiment, options),
                options.resume == Resume::no ? RunDirectory::Earlier::move_aside : RunDirectory::Earlier::go_on) {
  if (options.resume == Resume::no) return;
  checkpoint = find_checkpoint(directory.text());
  if (!checkpoint) return;
  differences = compare(checkpoint->snapshot, experiment, model.network, registry, environment);
  if (options.resume == Resume::strict && !is_done()) require_no_difference(differences);
}

bool Beginning::is_done() const {
  return checkpoint && differences.config.empty() && backplane::is_done(directory.text(), checkpoint->snapshot);
}

}  // namespace backplane
