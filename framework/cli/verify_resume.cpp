#include "run/verify_resume.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/counted.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "run/signals.h"
#include "parallel/cores.h"

namespace backplane::cli {

namespace {

struct VerifyWords {
  ExperimentWords experiment;
  int threads = usable_cores();
  std::int64_t steps = 24;
};

ExitCode verify(const VerifyWords& words, const Words& all) {
  const ExperimentRequest request = words.experiment.request(all);
  const Registry registry = discover_plugins(request.plugins);
  const Experiment experiment = read_experiment(request, registry);
  const StopSignals signals;
  const ResumeReport report = verify_resume(experiment, registry, words.steps, words.threads);
  print_warnings(report.warnings);
  show("{} steps uninterrupted  weights {}\n", report.steps, report.weights_digest);
  for (const ResumeTrial& trial : report.trials) {
    show("{} on {} + {} on {}  {}\n", trial.step, counted(trial.threads_before, "thread"), report.steps - trial.step,
         counted(trial.threads_after, "thread"), trial.differences.empty() ? "same bits" : "DIFFERENT");
    constexpr std::size_t kMostShown = 10;
    for (std::size_t i = 0; i < std::min(kMostShown, trial.differences.size()); ++i)
      show("  {}\n", trial.differences[i]);
    if (trial.differences.size() > kMostShown) show("  and {} more\n", trial.differences.size() - kMostShown);
  }
  if (report.code == ExitCode::stopped) say("stopped by a signal; what was compared stands above\n");
  return report.code;
}

}  // namespace

void add_verify_resume(CLI::App& app, const Words& all, Action& action) {
  CLI::App* command = app.add_subcommand(
      "verify-resume", "k + (n-k) steps through checkpoints = n steps, bit for bit; exits with 70 if they differ");
  auto words = std::make_shared<VerifyWords>();
  words->experiment.add_to(*command);
  command->add_option("--threads", words->threads, "workers of the uninterrupted run; interrupted ones begin on others")
      ->check(CLI::Range(1, 1024));
  command->add_option("--steps", words->steps, "n; no more than the experiment has")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1} << 40))
      ->capture_default_str();
  command->callback([&action, words, &all] { action = [words, &all] { return verify(*words, all); }; });
}

}  // namespace backplane::cli
