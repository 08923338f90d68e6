#include "recording/record_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace backplane {

using config::Node;
using config::Schema;

namespace {

constexpr std::int64_t kMostSteps = std::int64_t{1} << 40;

/// The rules that `record` and `record.statistics` share.
Schema with_step_rules(Schema schema) {
  const auto step = [] { return Schema::integer().at_least(1).at_most(static_cast<double>(kMostSteps)); };
  return schema.optional("every", Schema::duration(), std::nullopt, "records steps that are multiples of it")
      .optional("at", Schema::list(step()).items(1), std::nullopt, "records these steps, counted from 1")
      .optional("first", step(), std::nullopt, "records the first so many steps")
      .optional("last", step(), std::nullopt, "records the last so many steps of the run")
      .optional("exponential", Schema::number().at_least(1.01).at_most(1000), std::nullopt,
                "records step 1, then each step that is so many times the one before");
}

Schema taps_schema() {
  return Schema::list(Schema::text()).items(1);
}

StepRules read_steps(const Node& node) {
  StepRules rules;
  rules.place = node.place;
  if (const Node* every = node.find("every")) rules.every = config::parse_duration(*every);
  if (const Node* at = node.find("at")) {
    rules.place = at->place;
    for (const Node& step : at->list) rules.at.push_back(step.as_integer());
  }
  if (const Node* first = node.find("first")) rules.first = first->as_integer();
  if (const Node* last = node.find("last")) rules.last = last->as_integer();
  if (const Node* factor = node.find("exponential")) rules.exponential = factor->as_number();
  return rules;
}

std::vector<Tap> read_taps(const Node& taps) {
  std::vector<Tap> read;
  for (const Node& tap : taps.list) read.push_back({tap.as_text(), tap.place});
  return read;
}

/// "500 MB", "2GB", "1.5 GiB".
std::uint64_t parse_bytes(const Node& node) {
  const std::string& text = node.as_text();
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string unit(end);
  unit.erase(0, unit.find_first_not_of(' '));
  double factor = 0.0;
  const std::pair<const char*, double> units[] = {
      {"B", 1.0},   {"kB", 1e3},     {"KB", 1e3},        {"MB", 1e6},           {"GB", 1e9},
      {"TB", 1e12}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}};
  for (const auto& [name, bytes] : units)
    if (unit == name) factor = bytes;
  if (end == text.c_str() || factor == 0.0 || !(number > 0.0) || number * factor > 1e18)
    throw UserError(ExitCode::bad_config, Diagnostic{.place = node.place,
                                                     .what = fmt::format("expected a size, got '{}'", text),
                                                     .path = "record.budget",
                                                     .hint = "a number and a unit: 500 MB, 2GB, 1.5 GiB"});
  return static_cast<std::uint64_t>(number * factor);
}

}  // namespace

Schema record_schema() {
  const Schema statistics = with_step_rules(Schema::map())
                                .optional("taps", taps_schema(), "[activation, delta, weights, gradients]",
                                          "of which tensors, as record.taps")
                                .optional("of", Schema::list(Schema::text_of(statistic_names())).items(1),
                                          "[norm, mean, std, min, max, zeros]",
                                          "what is computed of each tensor, over all samples of the batch");
  return with_step_rules(Schema::map().optional("samples", Schema::integer().at_least(1).at_most(1 << 16), "32",
                                                "first samples of a batch whose z, activation and delta are stored"))
      .optional("taps", taps_schema(), "[activation, delta, weights]",
                "what goes to trace.h5: z, activation, delta, weights, gradients, and what layers declare; of some "
                "layers only: conv*/delta")
      .optional("time_steps", Schema::list(Schema::integer()).items(1), std::nullopt,
                "which time steps of sequences, from 0, negative ones from the end; default: all")
      .optional("dtype", Schema::text_of({"float16", "float32"}), std::nullopt, "rounds what is stored; default: not")
      .optional("compression", Schema::text_of({"gzip", "none"}), "gzip", "how trace.h5 stores tensors")
      .optional("when_busy", Schema::text_of({"wait", "thin"}), "wait",
                "where the disk is slower than training: training waits, or records are left out and counted")
      .optional("budget", Schema::text(), std::nullopt,
                "most bytes of all records, as 2GB: steps are thinned out to fit")
      .optional("statistics", statistics, std::nullopt, "numbers that stand for whole tensors, for long runs")
      .optional("digest", Schema::text_of({"layers"}), std::nullopt, "adds a digest of each layer to metrics.jsonl");
}

RecordOptions read_record(const Node& record) {
  RecordOptions options{
      .samples = record.at("samples").as_integer(), .steps = read_steps(record), .taps = read_taps(record.at("taps"))};
  if (const Node* steps = record.find("time_steps")) {
    options.time_steps_place = steps->place;
    for (const Node& step : steps->list) options.time_steps.push_back(step.as_integer());
  }
  if (const Node* dtype = record.find("dtype"))
    options.element = dtype->as_text() == "float16" ? TraceType::float16 : TraceType::float32;
  if (record.at("compression").as_text() == "none") options.compression = Compression::none;
  if (record.at("when_busy").as_text() == "thin") options.when_busy = WhenBusy::thin;
  if (const Node* budget = record.find("budget")) {
    options.budget = parse_bytes(*budget);
    options.budget_place = budget->place;
  }
  if (const Node* statistics = record.find("statistics"); statistics != nullptr && !statistics->is_null()) {
    options.statistics.steps = read_steps(*statistics);
    if (options.statistics.steps.is_empty())
      throw UserError(ExitCode::bad_config, Diagnostic{.place = statistics->place,
                                                       .what = "no step is recorded",
                                                       .path = "record.statistics",
                                                       .hint = "say which: every, at, first, last or exponential"});
    options.statistics.taps = read_taps(statistics->at("taps"));
    const auto& names = statistic_names();
    for (const Node& name : statistics->at("of").list)
      options.statistics.of.push_back(static_cast<Statistic>(std::ranges::find(names, name.as_text()) - names.begin()));
  }
  options.has_layer_digests = record.find("digest") != nullptr;
  return options;
}

}  // namespace backplane
