#include "experiment/preflight.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/printable.h"
#include "experiment/check_inputs.h"
#include "recording/tap_source.h"
#include "trainer/sampler.h"
#include "trainer/trainer.h"
#include "losses/table.h"

namespace backplane {

namespace {

/// Early stopping looks at the validation split: without one it would never stop anything, and say nothing.
void check_early_stopping(const TrainOptions& train, const DataSet& data) {
  const std::optional<EarlyStopping>& rule = train.early_stopping;
  if (!rule) return;
  const auto fail = [&](const char* what, const char* hint) {
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = rule->place, .what = what, .path = "train.early_stopping", .hint = hint});
  };
  if (!data.validation)
    fail("early stopping looks at the validation split, but there is none", "set validation: N in the data section");
  if (!train.metrics && rule->metric != "loss" && !data.train.has_labels())  // accuracy, which nobody asked for
    fail("the data has no labels, so there is no accuracy to look at", "use metric: loss");
}

void check_keep_best(const CheckpointOptions& checkpoint, const DataSet& data) {
  if (checkpoint.keep_best && !data.validation)
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = checkpoint.place,
                               .what = "the best checkpoint is that of the lowest validation loss, but there is no "
                                       "validation split",
                               .path = "checkpoint.keep_best",
                               .hint = "set validation: N in the data section"});
}

/// State that is carried from batch to batch means something only where rows go on from batch to batch.
void check_streams(const TrainOptions& train, const Network& network) {
  for (const LayerNode& node : network.nodes())
    if (node.plan.has_carried_state() && !train.streams)
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{.place = node.layer.place(),
                     .what = fmt::format("layer '{}' carries its state from batch to batch, but the rows of one batch "
                                         "do not go on in the next",
                                         node.name()),
                     .hint = "set train.streams: true, which orders windows so; or stateful: false"});
}

/// Only a network that tells each next symbol of a text can write on.
void check_generate(const GenerateOptions& generate, const DataSet& data, const Network& network) {
  if (generate.samples == 0) return;
  const auto fail = [&](const std::string& what, const char* hint) {
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = generate.place, .what = what, .path = "generate", .hint = hint});
  };
  if (data.vocabulary.empty())
    fail("there is no text to go on: the data is no text", "leave it out, or train on data: text");
  if (network.output().output_size / data.steps < data.classes)
    fail(fmt::format("the last layer '{}' needs {} outputs at each step, one for each symbol; it has {}",
                     network.output().name(), data.classes, network.output().output_size / data.steps),
         fmt::format("give it units: {}", data.classes).c_str());
}

/// What follows a layer that takes the time axis away sees no lengths: the layer itself has to look at them.
void check_lengths(const DataSet& data, const Network& network) {
  if (data.train.lengths.empty()) return;
  for (int i = 0; i < static_cast<int>(network.nodes().size()); ++i)
    if (const LayerNode& node = network.nodes()[static_cast<std::size_t>(i)];
        node.is_over_time && !network.is_over_time(i) && !node.plan.uses_lengths)
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{.place = node.layer.place(),
                     .what = fmt::format("layer '{}' takes the time axis away ({} to {}) without regard for "
                                         "the lengths of the samples: their padding would count",
                                         node.name(), to_string(node.input_shapes[0]), to_string(node.plan.output)),
                     .hint = "global_avg_pool and recurrent layers with output: last look at lengths"});
}

/// A layer that normalises over the batch has nothing to normalise in a batch that has one value per feature: one row,
/// and that of a single place.
void check_last_batch(const TrainOptions& train, const DataSet& data, const Network& network) {
  Sampler sampler(data.train.count, train.batch_size);
  if (train.streams) sampler.batch_contiguously();
  if (sampler.batch(sampler.batches() - 1).size() != 1) return;
  for (const LayerNode& node : network.nodes())
    if (node.plan.forward_sums > 0 && node.output_size == node.features())
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{.place = node.layer.place(),
                     .what = fmt::format("layer '{}' needs more than one value per feature, but the last batch of an "
                                         "epoch has one row ({} in batches of {})",
                                         node.name(), counted(data.train.count, "sample"), train.batch_size),
                     .hint = "choose another train.batch_size, or leave a sample out with data's `limit`"});
}

/// Contiguous batching follows the order of the data; a split drawn at random tears holes into it.
void check_streams_have_no_holes(const TrainOptions& train, const DataSet& data, const Place& place) {
  if (train.streams && data.validation && (data.steps == 1 || data.vocabulary.empty()))
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = place,
                               .what = "train.streams goes through the data in order, but `validation` takes samples "
                                       "out of it at random",
                               .path = "data",
                               .hint = "leave validation out"});
}

std::string at(const Place& place) {
  return place.text().empty() ? "" : place.text() + ": ";
}

/// Parts of the schedule of the learning rate that training never comes to: a run may be shortened to try it.
std::vector<std::string> schedule_doubts(const Experiment& experiment, std::int64_t training_samples) {
  const TrainOptions& train = experiment.train;
  const config::Node& section = experiment.resolved.at("train");
  const RunLength length = run_length(train, training_samples);
  const auto in_steps = [&](const config::Duration& duration) {
    return duration.steps + duration.epochs * length.steps_per_epoch;
  };
  const std::int64_t warmup = in_steps(train.warmup);
  if (warmup > length.total_steps)
    return {
        fmt::format("{}train.warmup takes {} steps and training {}: the learning rate never grows to that of the "
                    "optimizer",
                    at(section.at("warmup").place), warmup, length.total_steps)};
  if (train.schedule.chosen() != "step") return {};
  const std::int64_t every = in_steps(config::parse_duration(train.schedule.choice().at("every")));
  if (warmup + every < length.total_steps) return {};
  return {
      fmt::format("{}train.schedule: the learning rate first falls {} after {}, and training takes {}: it "
                  "never falls",
                  at(section.at("schedule").place), counted(every, "step"),
                  warmup > 0 ? fmt::format("a warm-up of {}", warmup) : "the beginning", length.total_steps)};
}

}  // namespace

std::vector<std::string> doubts_before_training(const Experiment& experiment, const DataSet& data,
                                                const Network& network, const Loss& loss) {
  std::vector<std::string> doubts = data.warnings;
  for (const std::string& doubt : loss.doubts(data)) doubts.push_back(doubt);
  const LayerNode& last = network.output();
  const std::int64_t outputs = loss.outputs() / data.steps;
  if (loss.has_labels() && outputs > 1 && outputs > data.classes)
    doubts.push_back(fmt::format(
        "{}the last layer '{}' has {} outputs{}, but the data has {} class{}: output{} can never be right (counted "
        "from 0)",
        at(last.layer.place()), last.name(), outputs, data.steps > 1 ? " a step" : "", data.classes,
        data.classes == 1 ? "" : "es",
        outputs - data.classes == 1 ? fmt::format(" {}", data.classes)
                                    : fmt::format("s {} to {}", data.classes, outputs - 1)));
  if (loss.has_labels() && data.steps == 1 && last.output_size > last.features())
    doubts.push_back(fmt::format(
        "{}the last layer '{}' gives {} a sample, but a sample has one label: each of the {} numbers is the "
        "output of a class of its own",
        at(last.layer.place()), last.name(), to_string(last.plan.output), last.output_size));
  for (std::size_t i = 0; i < network.nodes().size() && !data.vocabulary.empty(); ++i) {
    const LayerNode& node = network.nodes()[i];
    if (experiment.network.layers[i].type != "embedding" || node.inputs.front() != LayerNode::kData) continue;
    const std::int64_t size = experiment.network.layers[i].settings.at("vocabulary").as_integer();
    if (size > data.classes)
      doubts.push_back(
          fmt::format("{}layer '{}' has a vocabulary of {}, but the text has {} symbols: the other rows are "
                      "never trained",
                      at(node.layer.place()), node.name(), size, data.classes));
  }
  const config::Node& batch_size = experiment.resolved.at("train").at("batch_size");
  if (!batch_size.is_default && experiment.train.batch_size > data.train.count)
    doubts.push_back(fmt::format("{}train.batch_size is {}, but there {} {}: every step takes all",
                                 at(batch_size.place), experiment.train.batch_size,
                                 data.train.count == 1 ? "is" : "are", counted(data.train.count, "training sample")));
  for (std::string& doubt : schedule_doubts(experiment, data.train.count)) doubts.push_back(std::move(doubt));
  for (std::string& doubt : doubts) doubt = printable(doubt);  // files and columns have names of their own
  return doubts;
}

void check_before_training(const Experiment& experiment, const DataSet& data, const Network& network) {
  check_early_stopping(experiment.train, data);
  check_keep_best(experiment.checkpoint, data);
  check_streams_have_no_holes(experiment.train, data, experiment.resolved.at("data").place);
  // Taps that name no tensor would never record anything.
  const bool loss_gives_delta = make_loss_function(experiment.network.loss)->gives_delta();
  find_taps(network, loss_gives_delta, experiment.record.taps, "record.taps");
  find_taps(network, loss_gives_delta, experiment.record.statistics.taps, "record.statistics.taps");
  check_streams(experiment.train, network);
  check_generate(experiment.generate, data, network);
  check_lengths(data, network);
  check_last_batch(experiment.train, data, network);
  check_inputs(experiment, data, network);
}

}  // namespace backplane
