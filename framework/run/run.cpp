#include "run/run.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/counted.h"
#include "base/error.h"
#include "base/printable.h"
#include "run/beginning.h"
#include "run/commits.h"
#include "run/metrics.h"
#include "experiment/outside_files.h"
#include "run/progress.h"
#include "run/restore.h"
#include "run/signals.h"
#include "run/snapshot.h"
#include "run/thread_trace.h"
#include "recording/trace.h"
#include "files/atomic_write.h"
#include "files/io_thread.h"

namespace backplane {

namespace {

using Clock = std::chrono::steady_clock;

/// Of each worker: some hundred steps of small networks, and a file that browsers open.
constexpr std::size_t kLoggedTasks = 1 << 15;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// One run, from the first checkpoint, or the one that it goes on from, to the summary. Members stand in the order in
/// which data flows.
class Run {
 public:
  /// `trainer` stands where the run begins or goes on, and no file of its directory holds anything that is later.
  Run(const Experiment& experiment, const RunOptions& options, const Beginning& beginning, Arena& arena,
      Trainer& trainer)
      : experiment_(experiment),
        options_(options),
        beginning_(beginning),
        model_(beginning.model),
        directory_(*beginning.directory),
        arena_(arena),
        trainer_(trainer),
        metrics_(directory_.path("metrics.jsonl")),
        commits_(directory_.path("checkpoints"), retention(), metrics_, io_),
        progress_(trainer_.total_steps(), trainer_.steps_per_epoch(), beginning.step(), options.is_quiet),
        trace_(directory_.path("trace.h5"), beginning.plan, model_.network, trainer_, arena_, io_) {}

  RunSummary operator()() {
    write_file_atomically(directory_.path("config.yaml"), beginning_.versions + config::to_yaml(experiment_.resolved));
    introduce();
    if (beginning_.checkpoint)
      go_on();
    else
      commit_checkpoint();  // also proves, before the long run, that checkpoints can be written
    train();
    return finish();
  }

 private:
  void say(const std::string& message) { progress_.say(directory_.spelled_out(message)); }

  Retention retention() const {
    const config::Duration& every = experiment_.checkpoint.keep_every;
    return {.keep = experiment_.checkpoint.keep,
            .every_steps = every.steps + every.epochs * trainer_.steps_per_epoch(),
            .best = experiment_.checkpoint.keep_best};
  }

  /// Says aloud from where, and what was passed over.
  void go_on() {
    const NewestCheckpoint& from = *beginning_.checkpoint;
    for (const std::string& why : told(from.refused)) say(fmt::format("warning: a checkpoint is not used: {}", why));
    for (const auto* list : {&beginning_.differences.config, &beginning_.differences.environment})
      for (const std::string& what : *list) say("warning: " + what);
    for (const std::string& what : beginning_.differences.notes) say("note: " + what);
    if (trace_.flaw()) say("warning: " + *trace_.flaw());
    say(fmt::format("goes on from step {} ({:.2f} epochs): {}", from.from.step, epochs(),
                    directory_.path("checkpoints/" + from.from.file)));
    if (!from.refused.empty()) commits_.forget(from.refused);
    std::error_code ignored;  // it says how an earlier process ended, and is written anew
    std::filesystem::remove(directory_.path("summary.json"), ignored);
    last_submitted_ = from.from.step;
  }

  void introduce() {
    if (options_.resume != Resume::no && !beginning_.checkpoint)
      say(fmt::format("there is no checkpoint in {} to go on from: the run begins at the beginning",
                      directory_.text()));
    if (!directory_.moved_aside().empty())
      say(fmt::format("the earlier run in {} was moved to {}", directory_.text(), directory_.moved_aside()));
    if (beginning_.metrics_flaw) say("warning: " + *beginning_.metrics_flaw);
    say(fmt::format("{}: {}, {}, {}, {}, {}, {}", experiment_.name,
                    counted(std::ssize(model_.network.nodes()), "layer"),
                    counted(model_.network.parameter_count(), "parameter"), name_of(experiment_.dtype),
                    counted(model_.data.train.count, "training sample"), counted(trainer_.total_steps(), "step"),
                    counted(options_.threads, "thread")));
    for (const std::string& note : model_.notes) say(note);
    const auto warn = [this](const std::vector<std::string>& warnings) {
      for (const std::string& what : warnings) say("warning: " + what);
    };
    warn(model_.warnings);
    warn(beginning_.plan.warnings);
    if (const auto note = note_of_outside_files(experiment_, model_.data)) say("note: " + *note);
  }

  void train() {
    const Clock::time_point start = Clock::now();
    epoch_start_ = start;
    if (options_.thread_trace != nullptr) arena_.log().start(kLoggedTasks);
    if (trainer_.state().owes_end_of_epoch && end_epoch() && is_checkpoint_due()) commit_checkpoint();
    while (!trainer_.is_finished() && !is_stop_asked()) {
      const Metrics& batch = step();
      samples_ += batch.samples;
      epoch_samples_ += batch.samples;
      progress_.step(trainer_.state().step, batch, samples_);
      if (trainer_.state().step % experiment_.metrics_every == 0) note(batch);
      if (trainer_.at_end_of_epoch()) end_epoch();
      if (StopSignals::take_checkpoint_request() || is_checkpoint_due()) commit_checkpoint();
      say_failures();
      if (arena_.log().is_full()) write_trace_of_threads();
    }
    training_seconds_ = seconds_since(start);
    if (arena_.log().is_on()) write_trace_of_threads();
    progress_.erase_line();
    was_stopped_ = !trainer_.is_finished() || trainer_.state().owes_end_of_epoch;
    if (last_submitted_ != trainer_.state().step) commit_checkpoint();
    io_.drain();
    say_failures();
  }

  bool is_stop_asked() const {
    return StopSignals::is_stop_asked() || (options_.stop_after > 0 && trainer_.state().step >= options_.stop_after);
  }

  void say_failures() {
    const std::vector<std::string> failures = commits_.take_failures();
    if (!failures.empty()) directory_.require_held();
    for (const std::string& what : failures)
      say(fmt::format("warning: {}; training goes on, the next one is tried", what));
    if (const std::optional<std::string> what = trace_.take_failure())
      say(fmt::format("warning: {}; training goes on, nothing more is recorded", *what));
    if (const std::optional<std::string> what = trace_.take_overflow()) say("warning: " + *what);
  }

  /// Where it cannot be written, training goes on, and the end of the run says what is missing.
  void write_trace_of_threads() {
    arena_.log().stop();
    try {
      write_thread_trace(*options_.thread_trace, arena_.log(), model_.network);
    } catch (const UserError& error) {
      thread_trace_failure_ = error;
      return say(fmt::format("warning: {}; training goes on without it", error.diagnostics().front().what));
    }
    const std::int64_t done = trainer_.state().step - beginning_.step();
    say(fmt::format("the threads' tasks of the first {} are in {}", done == 1 ? "step" : fmt::format("{} steps", done),
                    options_.thread_trace->path()));
  }

  const Metrics& step() {
    const std::int64_t number = trainer_.state().step + 1;
    if (!trace_.is_due(number)) return trainer_.step();
    const Metrics& metrics = trainer_.step(
        [this](const Batch& batch) {
          const TaskLog::Span span(arena_.log(), Work::recording);
          trace_.copy_before_update(batch);
        },
        trace_.capture_rows(number));
    const TaskLog::Span span(arena_.log(), Work::recording);
    trace_.copy_after_update(number);
    return metrics;
  }

  /// A line of the metrics and a point of the curves.
  void note(const Metrics& batch) {
    const std::int64_t step = trainer_.state().step;
    write_line("train_batch", batch, false);
    trace_.add_to_curves(step, batch, trainer_.learning_rate(step));
  }

  /// Whether the epoch was scored and noted; not so where a stop was asked for meanwhile, and the epoch still owes it.
  bool end_epoch() {
    const double rate = static_cast<double>(epoch_samples_) / seconds_since(epoch_start_);
    std::optional<Metrics> validation;
    if (model_.data.validation) {
      validation = trainer_.evaluate(*model_.data.validation, StopSignals::is_stop_asked);
      if (!validation) return false;
    }
    trainer_.end_epoch(validation);
    const Metrics& train = *trainer_.state().train_metrics;
    write_line("train", train, true, rate);
    if (validation) write_line("validation", *validation, false);
    progress_.epoch(trainer_.state().epoch, train, validation, rate);
    epoch_samples_ = 0;
    epoch_start_ = Clock::now();
    return true;
  }

  bool is_checkpoint_due() const {
    const auto is_due = [&](const config::Duration& every) {
      if (every.epochs > 0) return trainer_.at_end_of_epoch() && trainer_.state().epoch % every.epochs == 0;
      return every.steps > 0 && trainer_.state().step % every.steps == 0;
    };
    const CheckpointOptions& wanted = experiment_.checkpoint;
    return is_due(wanted.every) || is_due(wanted.keep_every) || (wanted.keep_best && trainer_.at_end_of_epoch());
  }

  /// Copies the state here and now; hashing and writing happen on the I/O thread while training goes on.
  void commit_checkpoint() {
    directory_.require_held();
    const TrainState& state = trainer_.state();
    last_submitted_ = state.step;
    auto snapshot = std::make_shared<const Snapshot>(
        take_snapshot(experiment_, model_.network, model_.data, trainer_, beginning_.environment.dump(2)));
    const bool is_scored = trainer_.at_end_of_epoch() && !state.owes_end_of_epoch && state.validation_metrics;
    commits_.submit(std::move(snapshot), is_scored ? std::optional(state.validation_metrics->loss) : std::nullopt);
    if (last_submitted_ > 0) return;
    io_.drain();
    if (commits_.last_failure()) throw UserError(*commits_.last_failure());
  }

  void write_line(const char* split, const Metrics& metrics, bool with_digest, std::optional<double> rate = {}) {
    MetricsFile::Line line{.step = trainer_.state().step, .epoch = epochs(), .split = split, .metrics = metrics};
    line.learning_rate = trainer_.learning_rate(std::max<std::int64_t>(1, trainer_.state().step));
    line.samples_per_second = rate;
    if (with_digest) line.digest = model_.network.weights_digest();
    if (experiment_.record.has_layer_digests) line.layer_digests = model_.network.layer_digests();
    metrics_.write(line);
  }

  double epochs() const {
    return static_cast<double>(trainer_.state().step) / static_cast<double>(trainer_.steps_per_epoch());
  }

  RunSummary finish() {
    if (model_.data.test && !was_stopped_)
      summary_.test = trainer_.evaluate(*model_.data.test, StopSignals::is_stop_asked);
    if (!was_stopped_ && experiment_.generate.samples > 0)
      summary_.generated = generate_text(experiment_.generate, model_.data, model_.network, trainer_.executor(),
                                         experiment_.seed, StopSignals::is_stop_asked);
    was_stopped_ = was_stopped_ || StopSignals::is_stop_asked();
    const TrainState& state = trainer_.state();
    summary_.code = was_stopped_ ? ExitCode::stopped : ExitCode::ok;
    summary_.steps = state.step;
    summary_.steps_per_epoch = trainer_.steps_per_epoch();
    summary_.train = state.train_metrics.value_or(trainer_.epoch_metrics());  // else less than one epoch
    summary_.validation = state.validation_metrics;
    summary_.samples_per_second = training_seconds_ > 0.0 ? static_cast<double>(samples_) / training_seconds_ : 0.0;
    summary_.wall_seconds = seconds_since(beginning_.start);
    summary_.threads = options_.threads;
    summary_.weights_digest = model_.network.weights_digest();
    summary_.warnings = model_.warnings;
    summary_.directory = directory_.text();
    summary_.last_checkpoint = directory_.text() + "/checkpoints/" + commits_.newest().file;
    if (trainer_.has_stopped_early()) say(fmt::format("stopped early: no improvement since step {}", state.best_step));
    if (was_stopped_) {
      summary_.test.reset();
      summary_.generated.clear();
    }
    directory_.require_held();
    if (commits_.last_failure())
      throw UserError(ExitCode::io,
                      fmt::format("the last checkpoint, of step {}, could not be committed: {}", state.step,
                                  commits_.last_failure()->diagnostics().front().what),
                      fmt::format("the newest that stands is {}; make room, then go on from it with --resume",
                                  summary_.last_checkpoint));
    if (summary_.test) write_line("test", *summary_.test, true);
    metrics_.require_all_written();
    metrics_.sync();
    if (!summary_.generated.empty()) write_generated();
    write_summary();                           // last: where it says that the run is done, it is
    if (trace_.has_failed() && !was_stopped_)  // else it is not complete: what failed was said when it happened
      throw UserError(ExitCode::io, fmt::format("{}: recording ended before the run", directory_.path("trace.h5")),
                      "training is complete, and its checkpoints stand; what is missing was said when it happened");
    if (thread_trace_failure_ && !was_stopped_) throw UserError(*thread_trace_failure_);
    return summary_;
  }

  void write_generated() const {
    std::string all;
    for (const GeneratedText& sample : summary_.generated)
      all += fmt::format("--- prompt ---\n{}\n--- goes on ---\n{}\n", sample.prompt, sample.text);
    write_file_atomically(directory_.path("generated.txt"), all);
  }

  void write_summary() const {
    nlohmann::ordered_json json{{"name", experiment_.name},
                                {"status", was_stopped_                   ? "stopped"
                                           : trainer_.has_stopped_early() ? "stopped_early"
                                                                          : "finished"},
                                {"steps", summary_.steps},
                                {"epochs", epochs()}};
    const auto add = [&](const std::string& split, const Metrics& metrics) {
      json[split + "_loss"] = metrics.loss;
      for (const auto& [name, value] : metrics.values) json[split + "_" + name] = value;
    };
    add("train", summary_.train);
    if (summary_.validation) add("validation", *summary_.validation);
    if (summary_.test) add("test", *summary_.test);
    json["samples_per_s"] = summary_.samples_per_second;
    json["threads"] = summary_.threads;
    json["weights_digest"] = summary_.weights_digest;
    json["wall_s"] = summary_.wall_seconds;
    json["checkpoint"] = printable(summary_.last_checkpoint);  // a path may hold bytes that JSON cannot
    json["data"] = beginning_.environment["data_findings"];
    write_file_atomically(directory_.path("summary.json"), json.dump(2) + "\n");
  }

  const Experiment& experiment_;
  const RunOptions& options_;
  const Beginning& beginning_;
  const Model& model_;
  const RunDirectory& directory_;
  Arena& arena_;
  Trainer& trainer_;
  MetricsFile metrics_;
  Commits commits_;
  Progress progress_;
  RunSummary summary_;
  std::int64_t samples_ = 0, epoch_samples_ = 0;
  Clock::time_point epoch_start_;
  double training_seconds_ = 0.0;
  bool was_stopped_ = false;
  std::optional<UserError> thread_trace_failure_;
  std::int64_t last_submitted_ = -1;  ///< step of the newest checkpoint that was handed over, or gone on from
  IoThread io_;                       // ends before what its jobs use
  Trace trace_;
};

/// Of a run that an earlier process ended.
RunSummary earlier_summary(const RunOptions& options, const Beginning& beginning) {
  RunSummary summary{.was_done = true, .steps = beginning.step(), .threads = options.threads};
  summary.weights_digest = beginning.checkpoint->snapshot.weights_digest;
  summary.directory = beginning.directory->text();
  summary.last_checkpoint = beginning.directory->text() + "/checkpoints/" + beginning.checkpoint->from.file;
  return summary;
}

/// Puts training back to the checkpoint, and only then cuts back what an earlier process wrote behind it: a checkpoint
/// that does not fit changes nothing.
void go_back(Beginning& beginning, Trainer& trainer) {
  if (beginning.checkpoint) {
    restore(beginning.checkpoint->snapshot, beginning.model.network, trainer);
    beginning.checkpoint->snapshot.layers.clear();  // as large as the network
  }
  const RunDirectory& directory = *beginning.directory;
  remove_dead_temporary_files(directory.text(),
                              [](const std::string& name) { return RunDirectory::files().contains(name); });
  beginning.metrics_flaw = cut_metrics_back(
      directory.path("metrics.jsonl"), beginning.checkpoint ? beginning.step() : -1, trainer.state().owes_end_of_epoch);
}

RunSummary carry_out(const Experiment& experiment, const RunOptions& options, Beginning& beginning) {
  if (beginning.is_done()) return earlier_summary(options, beginning);
  Model& model = beginning.model;
  Arena arena(options.threads, options.pin);
  Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
  go_back(beginning, trainer);
  return Run(experiment, options, beginning, arena, trainer)();
}

}  // namespace

RunSummary run_experiment(const Experiment& experiment, const Registry& registry, const RunOptions& options) {
  const std::vector<std::string> files = options.data ? options.data->files : std::vector<std::string>{};
  Beginning beginning(experiment, registry, options);
  RunSummary summary;
  try {
    summary = carry_out(experiment, options, beginning);
  } catch (const UserError& error) {
    throw beginning.directory->spelled_out(error);
  }
  if (options.data) {
    *options.data = std::move(beginning.model.data);
    options.data->files = files;  // without that of initial weights
  }
  return summary;
}

}  // namespace backplane
