#include "trainer/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/suggest.h"
#include "metrics/table.h"
#include "optimizers/table.h"
#include "schedules/table.h"

namespace backplane {

using config::Node;
using config::Schema;

Schema train_schema() {
  const Schema stopping =
      Schema::map()
          .optional("metric", Schema::text(), "loss", "of the validation split: loss, or one that is measured")
          .required("patience", Schema::integer().at_least(1), "epochs without improvement before the run ends")
          .optional("min_delta", Schema::number().at_least(0), "0", "least change that counts as improvement");
  const Schema clip =
      Schema::map()
          .optional("norm", Schema::number().above(0), std::nullopt, "largest norm of all gradients together")
          .optional("value", Schema::number().above(0), std::nullopt, "largest magnitude of an element");
  return Schema::map()
      .optional("epochs", Schema::integer().at_least(1).at_most(1'000'000), std::nullopt,
                "passes over the training split")
      .optional("steps", Schema::integer().at_least(1).at_most(1'000'000'000'000), std::nullopt,
                "optimizer steps; whichever of epochs and steps ends first")
      .optional("batch_size", Schema::integer().at_least(1).at_most(1 << 20), "32", "samples per optimizer step")
      .optional("slice", Schema::integer().at_least(1).at_most(1 << 20), std::nullopt,
                "rows that one task carries; default: from network and batch size")
      .optional("shuffle", Schema::boolean(), "true", "a new order of samples each epoch, a function of seed and epoch")
      .optional("streams", Schema::boolean(), "false",
                "row n of each batch goes on where row n of the batch before ended; for stateful layers")
      .required("optimizer", optimizer_schema(), "how gradients become steps")
      .optional("schedule", schedule_schema(), "constant", "how the learning rate changes")
      .optional("warmup", Schema::duration(), std::nullopt, "time over which the learning rate grows from 0")
      .optional("clip", clip, std::nullopt, "limits on gradients")
      .optional("l1", Schema::number().at_least(0), "0", "factor of ‖W‖₁ of all weights")
      .optional("l2", Schema::number().at_least(0), "0", "factor of ½‖W‖² of all weights")
      .optional("early_stopping", stopping, std::nullopt, "ends the run when validation stops improving")
      .optional("metrics", Schema::list(metric_schema()), std::nullopt,
                "what is measured beside the loss; default: accuracy, where there are labels");
}

namespace {

void require_measured(const Node& metric, const std::optional<Node>& metrics) {
  std::vector<std::string> known{"loss"};
  const Node list = metrics ? *metrics : default_metrics(true);
  for (const Node& choice : list.list) known.push_back(metric_kind(choice).make(choice.choice())->name());
  const std::string& name = metric.as_text();
  if (std::ranges::find(known, name) != known.end()) return;
  throw UserError(ExitCode::bad_config, Diagnostic{.place = metric.place,
                                                   .what = fmt::format("the metric '{}' is not measured", name),
                                                   .path = "train.early_stopping.metric",
                                                   .nearest = nearest_name(name, known),
                                                   .known = known,
                                                   .hint = "train.metrics lists what is measured beside the loss"});
}

}  // namespace

TrainOptions read_train(const Node& section) {
  TrainOptions options;
  const auto integer = [&](const char* key) -> std::optional<std::int64_t> {
    const Node* node = section.find(key);
    return node == nullptr || node->is_null() ? std::nullopt : std::optional(node->as_integer());
  };
  options.epochs = integer("epochs");
  options.steps = integer("steps");
  if (!options.epochs && !options.steps)
    throw UserError(ExitCode::bad_config, Diagnostic{.place = section.place,
                                                     .what = "nothing says how long to train",
                                                     .path = "train",
                                                     .hint = "set epochs: N or steps: N"});
  options.batch_size = section.at("batch_size").as_integer();
  options.slice_rows = integer("slice");
  options.shuffle = section.at("shuffle").as_bool();
  options.streams = section.at("streams").as_bool();
  if (const Node* clip = section.find("clip"); clip != nullptr && !clip->is_null()) {
    if (const Node* norm = clip->find("norm")) options.clip_norm = norm->as_number();
    if (const Node* value = clip->find("value")) options.clip_value = value->as_number();
  }
  if (const Node* metrics = section.find("metrics"); metrics != nullptr && !metrics->is_null())
    options.metrics = *metrics;
  options.l1 = section.at("l1").as_number();
  options.l2 = section.at("l2").as_number();
  if (const Node* stopping = section.find("early_stopping"); stopping != nullptr && !stopping->is_null())
    options.early_stopping = EarlyStopping{.metric = stopping->at("metric").as_text(),
                                           .patience = stopping->at("patience").as_integer(),
                                           .min_delta = stopping->at("min_delta").as_number(),
                                           .place = stopping->place};
  if (options.early_stopping) require_measured(section.at("early_stopping").at("metric"), options.metrics);
  options.optimizer = section.at("optimizer");
  options.schedule = section.at("schedule");
  if (const Node* warmup = section.find("warmup")) options.warmup = config::parse_duration(*warmup);
  return options;
}

}  // namespace backplane
