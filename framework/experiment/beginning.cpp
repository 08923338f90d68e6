#include "experiment/beginning.h"

#include "experiment/environment.h"
#include "experiment/signals.h"

namespace backplane {

namespace {

/// The directory of the run, from whose making on a signal may not end the process at just any place.
std::string begin_to_change(const Experiment& experiment, const RunOptions& options) {
  StopSignals::begin_polling();
  return options.directory.empty() ? "runs/" + experiment.name : options.directory;
}

}  // namespace

Beginning::Beginning(const Experiment& experiment, const Registry& registry, const RunOptions& options)
    : versions(describe_versions(registry)),
      model(build_model(experiment, registry)),
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
