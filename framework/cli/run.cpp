#include "run/run.h"

#include <fmt/format.h>

#include <memory>

#include "base/counted.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/named_outputs.h"
#include "cli/output.h"
#include "experiment/describe.h"
#include "run/run_directory.h"
#include "run/signals.h"
#include "parallel/cores.h"

namespace backplane::cli {

namespace {

struct RunWords {
  ExperimentWords experiment;
  int threads = usable_cores();
  std::string out;
  std::string thread_trace;
  std::string resume;
  bool is_pinned = false, is_dry = false;
};

void print_metrics(const char* split, const std::optional<Metrics>& metrics) {
  if (!metrics) return;
  std::string line = fmt::format("{:<12} loss {:.4f}", split, metrics->loss);
  for (const auto& [name, value] : metrics->values) line += fmt::format("   {} {:.4f}", name, value);
  show("{}\n", line);
}

void print_summary(const RunSummary& summary) {
  print_metrics("train", summary.train);
  print_metrics("validation", summary.validation);
  print_metrics("test", summary.test);
  show("{:<12} {} in {:.1f} s, {:.0f} samples/s on {}\n", "steps", summary.steps, summary.wall_seconds,
       summary.samples_per_second, counted(summary.threads, "thread"));
  show("{:<12} {}\n", "weights", summary.weights_digest);
  show("{:<12} {}\n", "files", printable(summary.directory));
  show("next:        backplane inspect {}\n", shell_word(summary.last_checkpoint));
}

void print_generated(const std::vector<GeneratedText>& texts) {
  for (const GeneratedText& sample : texts)
    show("\n--- given ---\n{}\n--- goes on ---\n{}\n", printable(sample.prompt, true), printable(sample.text, true));
}

void look_ahead(const Experiment& experiment, const Registry& registry, int threads) {
  Model model = build_model(experiment, registry);
  const RunLength length = run_length(experiment.train, model.data.train.count);
  const TracePlan plan(experiment.record, model.network, model.loss, length);
  print_warnings(model.warnings);
  print_warnings(plan.warnings);
  show("{}", describe(experiment, model));
  Arena arena(threads);
  Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
  const RecordingCost cost = plan.is_empty() ? RecordingCost{} : measure_recording(plan, model.network, trainer, arena);
  show("{}", describe_recording(plan, cost, length.total_steps));
}

Resume resume_of(const std::string& word) {
  if (word.empty()) return Resume::no;
  return word == "loose" ? Resume::loose : Resume::strict;
}

ExitCode say_done(const RunSummary& summary) {
  say("{}: this run had finished at step {}: nothing was changed\n", printable(summary.directory), summary.steps);
  show("{:<12} {}\n{:<12} {}\n", "weights", summary.weights_digest, "files", printable(summary.directory));
  return ExitCode::ok;
}

ExitCode run(const RunWords& words, const Words& all) {
  const StopSignals signals;
  const ExperimentRequest request = words.experiment.request(all);
  std::optional<Output> thread_trace;
  if (!words.is_dry) {
    settle_outputs({{"--trace-threads", words.thread_trace}}, words.experiment.files());
    if (!words.out.empty() && !words.thread_trace.empty())
      RunDirectory::require_outside(words.out, "--trace-threads", words.thread_trace);
    thread_trace = output_of(words.thread_trace);
  }
  const Registry registry = discover_plugins(request.plugins);
  const Experiment experiment = read_experiment(request, registry);
  if (words.is_dry) {
    look_ahead(experiment, registry, words.threads);
    return ExitCode::ok;
  }
  const RunSummary summary = run_experiment(experiment, registry,
                                            {.threads = words.threads,
                                             .pin = words.is_pinned ? Arena::Pin::yes : Arena::Pin::no,
                                             .directory = words.out,
                                             .thread_trace = thread_trace ? &*thread_trace : nullptr,
                                             .resume = resume_of(words.resume)});
  if (summary.was_done) return say_done(summary);
  print_summary(summary);
  print_generated(summary.generated);
  if (summary.code == ExitCode::stopped)
    say("stopped by a signal; a checkpoint was committed: {}\n  go on with --resume\n",
        printable(summary.last_checkpoint));
  return summary.code;
}

}  // namespace

void add_run(CLI::App& app, const Words& all, Action& action) {
  CLI::App* command = app.add_subcommand("run", "train an experiment");
  auto words = std::make_shared<RunWords>();
  words->experiment.add_to(*command);
  words->experiment.add_weights_to(*command);
  command
      ->add_option("--threads", words->threads,
                   "workers; changes the time and nothing else; default: the cores that it may use")
      ->check(CLI::Range(1, 1024));
  command->add_option("--out", words->out, "run directory; default runs/<name>")->check(check_path);
  command
      ->add_flag("--resume{strict}", words->resume,
                 "go on from the newest checkpoint of the run directory, if there is one; with =loose even where "
                 "configuration, data, plug-ins or machine differ from the checkpoint's")
      ->check(CLI::IsMember({"strict", "loose"}));
  command->add_flag("--pin", words->is_pinned, "keep each worker on a core of its own");
  command
      ->add_option("--trace-threads", words->thread_trace,
                   "a file for what each thread did in the first steps (Chrome JSON, opens in Perfetto)")
      ->check(check_path);
  command->add_flag("--dry-run", words->is_dry, "check everything, show the network, train nothing");
  command->callback([&action, words, &all] { action = [words, &all] { return run(*words, all); }; });
}

}  // namespace backplane::cli
