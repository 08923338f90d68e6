#include <fmt/format.h>

#include <cmath>
#include <algorithm>
#include <memory>

#include "base/counted.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "parallel/arena.h"
#include "parallel/cores.h"
#include "trainer/gradient_check.h"

namespace backplane::cli {

namespace {

struct CheckWords {
  ExperimentWords experiment;
  int threads = usable_cores();
  GradientCheckOptions options;
  double tolerance = 1e-7;
};

/// What a wrong gradient looks like, said as a guess.
std::string likely_cause(const GradientFinding& finding) {
  if (finding.analytic == 0.0) return "not computed at all";
  const double ratio = finding.analytic / finding.numeric;
  const auto near = [&](double value) { return std::abs(ratio - value) < 1e-4 * std::abs(value); };
  if (near(-1.0)) return "the sign";
  if (near(2.0) || near(0.5)) return "a factor of 2";
  return fmt::format("analytic / numeric = {:.6g}", ratio);
}

ExitCode check(const CheckWords& words, const Words& all) {
  ExperimentRequest request = words.experiment.request(all);
  request.overrides.push_back("dtype=float64");
  request.override_words.push_back("`backplane check` (dtype=float64)");
  const Registry registry = discover_plugins(request.plugins);
  const Experiment experiment = read_experiment(request, registry);
  Model model = build_model(experiment, registry);
  print_warnings(model.warnings);
  Arena arena(words.threads);
  GradientCheckOptions options = words.options;
  options.seed = experiment.seed;
  const std::vector<GradientFinding> findings = check_gradients(model.network, model.data, model.loss, arena, options);

  show("gradients of {} against finite differences, float64, {}\n\n", experiment.name,
       counted(std::min(options.samples, model.data.train.count), "sample"));
  show("{:<16} {:<10} {:>9} {:>8} {:>14} {:>16}  {}\n", "layer", "parameter", "elements", "kinks", "worst element",
       "all together", "verdict");
  if (findings.empty())
    throw UserError(ExitCode::bad_config, "the network has no parameters: there is no gradient to check");
  bool is_good = true, is_complete = true;
  for (const GradientFinding& finding : findings) {
    const bool is_wrong = !(finding.worst_error <= words.tolerance && finding.direction_error <= words.tolerance);
    is_good &= !is_wrong;
    is_complete &= finding.checked > 0;
    show("{:<16} {:<10} {:>9} {:>8} {:>14.2e} {:>16}  {}\n", finding.layer, finding.parameter, finding.checked,
         finding.at_kinks, finding.worst_error,
         finding.is_direction_checked ? fmt::format("{:.2e}", finding.direction_error) : "kink",
         is_wrong              ? "WRONG"
         : finding.checked > 0 ? "ok"
                               : "KINKS ONLY");
    if (is_wrong)
      show("{:16} element {}: analytic {:.12g}, numeric {:.12g}; likely cause: {}\n", "",
           to_string(index_of(finding.worst_element, finding.shape)), finding.analytic, finding.numeric,
           likely_cause(finding));
  }
  if (!is_complete)
    show("\nof some parameters every element looked at lies at a kink: try another seed, or more --elements\n");
  show("\n{} (errors are relative; tolerance {:.0e})\n",
       !is_good       ? "gradients are WRONG"
       : !is_complete ? "not every gradient could be checked"
                      : "all gradients agree",
       words.tolerance);
  return is_good && is_complete ? ExitCode::ok : ExitCode::internal;
}

}  // namespace

void add_check(CLI::App& app, const Words& all, Action& action) {
  CLI::App* command =
      app.add_subcommand("check", "compare all gradients of an experiment's network with finite differences");
  auto words = std::make_shared<CheckWords>();
  // CLI::PositiveNumber prints the largest double in full.
  const auto positive = [](const std::string& text) {
    double value = 0.0;
    return CLI::detail::lexical_cast(text, value) && value > 0.0
               ? std::string()
               : fmt::format("expected a number above 0, got {}", text);
  };
  words->experiment.add_to(*command);
  words->experiment.add_weights_to(*command);
  command->add_option("--threads", words->threads, "workers")->check(CLI::Range(1, 1024));
  command->add_option("--samples", words->options.samples, "samples of the batch; default 8")
      ->check(CLI::Range(1, 4096));
  command->add_option("--elements", words->options.elements, "elements per parameter; default 48")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--tolerance", words->tolerance, "largest relative error; default 1e-7")->check(positive);
  command->callback([&action, words, &all] { action = [words, &all] { return check(*words, all); }; });
}

}  // namespace backplane::cli
