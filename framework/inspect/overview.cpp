#include "inspect/overview.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/counted.h"
#include "base/printable.h"
#include "base/suggest.h"
#include "inspect/statistics.h"
#include "inspect/text_table.h"
#include "inspect/worked_example.h"
#include "recorder/statistics.h"

namespace backplane {

namespace {

constexpr std::size_t kMostRecords = 12;

std::vector<std::string> headings(std::vector<std::string> first) {
  for (const char* name : {"norm", "mean", "std", "min", "max", "zeros", "NaN, inf"}) first.emplace_back(name);
  return first;
}

std::vector<std::string> figures(std::vector<std::string> first, const Statistics& figures) {
  const auto number = [&](double value) { return figures.finite() == 0 ? "-" : fmt::format("{:.4g}", value); };
  for (const double value : {figures.norm(), figures.mean, figures.standard_deviation(), figures.low, figures.high})
    first.push_back(number(value));
  first.push_back(fmt::format("{:.1f}%", 100.0 * figures.share_of_zeros()));
  first.push_back(fmt::format("{}", figures.nans + figures.infinities));
  return first;
}

/// What tensors of these names are, once for all layers.
std::string definitions(const std::vector<const FileLayer*>& layers) {
  std::set<std::string> told;
  std::string text;
  for (const FileLayer* layer : layers)
    for (const FileTensor& tensor : layer->tensors) {
      const std::string name = tensor.name.substr(0, tensor.name.find('/'));
      if (!tensor.definition.empty() && told.insert(name).second)
        text += fmt::format("  {}: {}\n", printable(name), printable(tensor.definition));
    }
  return text;
}

std::string checkpoint_head(const TensorFile& file) {
  const auto number = [](const auto& map, const char* name) {
    const auto found = map.find(name);
    return found == map.end() ? std::string("?") : fmt::format("{:.9g}", static_cast<double>(found->second));
  };
  const auto found = file.integers().find("batch_size");
  const auto batch_size = found == file.integers().end() ? std::nullopt : std::optional(found->second);
  return fmt::format(
             "checkpoint after {}: parameters as they are then; z, a, delta and gradients of the batch of step "
             "{}, "
             "made by them\n",
             counted(file.steps()[0], "step"), file.steps()[0] + 1) +
         fmt::format("weights  {}\nC        {}   (mean loss of that batch of {}; {} of them stored)\n",
                     printable(file.weights_digest()), number(file.numbers(), "batch_loss"),
                     batch_size ? counted(*batch_size, "sample") : "? samples", file.samples()[0].size());
}

std::string trace_head(const TensorFile& file) {
  std::string text = fmt::format("trace of {}", counted(file.steps().size(), "record"));
  if (!file.steps().empty())
    text += fmt::format(", steps {} to {}, {} each", file.steps().front(), file.steps().back(),
                        counted(file.samples()[0].size(), "sample"));
  text += ": z, a and delta of the batch of a step, the weights that made them, the gradients that followed\n";
  if (file.is_being_written())
    text +=
        "its writer has not closed it: the run goes on, or was killed (then `backplane inspect --repair` closes it)\n";
  return text;
}

std::string checkpoint_table(const TensorFile& file, const FileLayer& layer) {
  TextTable table(3);
  table.add(headings({"tensor", "shape", "dtype"}));
  for (const FileTensor& tensor : layer.tensors)
    table.add(figures({printable(tensor.name), printable(labelled_shape(tensor)), tensor.stored},
                      statistics_of(file, tensor, 0)));
  return table.text();
}

std::string trace_table(const TensorFile& file, const FileTensor& tensor, const std::vector<std::size_t>& records) {
  TextTable table(0);
  table.add(headings({"step"}));
  for (const std::size_t record : records)
    table.add(figures({fmt::format("{}", file.steps()[record])}, statistics_of(file, tensor, record)));
  return fmt::format("\n  {} {} {}\n", printable(tensor.name), printable(labelled_shape(tensor)), tensor.stored) +
         table.text();
}

void print_layer(const TensorFile& file, const FileLayer& layer, bool all, std::int64_t& weights, const Print& print) {
  std::string head = fmt::format("\nlayer {}", printable(layer.name));
  if (!file.is_trace())
    head += printable(fmt::format("   {}, activation {}   (plug-in {} {})", layer.type, layer.activation, layer.plugin,
                                  layer.plugin_version));
  print(head + "\n");
  if (file.is_trace()) {
    const std::vector<std::size_t> records = thinned(file.steps().size(), all ? file.steps().size() : kMostRecords);
    for (const FileTensor& tensor : layer.tensors) print(trace_table(file, tensor, records));
  } else if (is_worked_example(file, layer)) {
    print(worked_example(file, layer, weights));
  } else {
    print(checkpoint_table(file, layer));
  }
}

std::vector<std::string> names_of(const TensorFile& file) {
  std::vector<std::string> names;
  for (const FileLayer& layer : file.layers()) names.push_back(layer.name);
  return names;
}

bool has_layer(const TensorFile& file, const std::string& name) {
  return std::ranges::find(file.layers(), name, &FileLayer::name) != file.layers().end();
}

[[noreturn]] void refuse_layer(const TensorFile& file, const std::string& name, const std::vector<std::string>& known) {
  throw UserError(ExitCode::usage, Diagnostic{.place = {.source = file.path()},
                                              .what = fmt::format("it has no layer '{}'", name),
                                              .nearest = nearest_name(name, known),
                                              .known = known});
}

/// "norm" of "weights/W/norm".
std::string below(const std::string& name) {
  return name.substr(name.rfind('/') + 1);
}

struct NumbersOfTensor {
  std::string tensor;
  std::vector<const FileTensor*> statistics;
};

/// The tensors in the order of the file, the numbers of each in the order of recorder/FORMAT.md, and strangers behind
/// them. What is more than a number is for other tools.
std::vector<NumbersOfTensor> numbers_by_tensor(const FileLayer& layer) {
  std::vector<NumbersOfTensor> found;
  for (const FileTensor& statistic : layer.tensors) {
    if (!statistic.shape.empty()) continue;
    const std::string tensor = statistic.name.substr(0, statistic.name.rfind('/'));
    auto place = std::ranges::find(found, tensor, &NumbersOfTensor::tensor);
    if (place == found.end()) place = found.insert(found.end(), {tensor, {}});
    place->statistics.push_back(&statistic);
  }
  const auto rank = [](const FileTensor* statistic) {
    return std::ranges::find(statistic_names(), below(statistic->name)) - statistic_names().begin();
  };
  for (NumbersOfTensor& each : found) std::ranges::stable_sort(each.statistics, {}, rank);
  return found;
}

}  // namespace

std::string labelled_shape(const FileTensor& tensor) {
  std::string text;
  for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis)
    text += fmt::format("{}{}{}{}", axis == 0 ? "" : ", ", tensor.axes[axis], tensor.axes[axis].empty() ? "" : " ",
                        tensor.shape[axis]);
  return "[" + text + "]";
}

std::vector<std::size_t> thinned(std::size_t count, std::size_t most) {
  std::vector<std::size_t> chosen;
  const std::size_t rows = std::min(count, most);
  for (std::size_t i = 0; i < rows; ++i) chosen.push_back(rows == 1 ? 0 : i * (count - 1) / (rows - 1));
  return chosen;
}

void require_layer(const TensorFile& tensors, const TensorFile& statistics, const std::string& name) {
  std::vector<std::string> names = names_of(tensors);
  for (std::string& each : names_of(statistics))
    if (std::ranges::find(names, each) == names.end()) names.push_back(std::move(each));
  if (std::ranges::find(names, name) == names.end()) refuse_layer(tensors, name, names);
}

const FileLayer& find_layer(const TensorFile& file, const std::string& name) {
  const auto found = std::ranges::find(file.layers(), name, &FileLayer::name);
  if (found == file.layers().end()) refuse_layer(file, name, names_of(file));
  return *found;
}

void print_recorded_statistics(const TensorFile& file, const std::string& layer, bool all, const Print& print) {
  const std::vector<std::size_t> records = thinned(file.steps().size(), all ? file.steps().size() : kMostRecords);
  if (records.empty()) return;
  print(fmt::format("\nstatistics at {}, {} to {}, over all samples of the batch\n",
                    counted(file.steps().size(), "step"), file.steps().front(), file.steps().back()));
  for (const FileLayer& each : file.layers()) {
    if (!layer.empty() && each.name != layer) continue;
    print(fmt::format("\nlayer {}\n", printable(each.name)));
    for (const auto& [tensor, statistics] : numbers_by_tensor(each)) {
      TextTable table(0);
      std::vector<std::string> row{"step"};
      for (const FileTensor* statistic : statistics) row.push_back(printable(below(statistic->name)));
      table.add(row);
      for (const std::size_t record : records) {
        row = {fmt::format("{}", file.steps()[record])};
        for (const FileTensor* statistic : statistics)
          row.push_back(fmt::format(
              "{:.4g}", element(file.read(*statistic, record, TensorFile::whole(*statistic)), statistic->dtype, 0)));
        table.add(row);
      }
      print(fmt::format("\n  {}\n", printable(tensor)) + table.text());
    }
  }
}

void print_overview(const TensorFile& file, const std::string& layer, bool all, const Print& print) {
  std::vector<const FileLayer*> layers;
  if (layer.empty())
    for (const FileLayer& each : file.layers()) layers.push_back(&each);
  else if (!file.is_trace() || has_layer(file, layer))
    layers.push_back(&find_layer(file, layer));
  if (file.is_trace() && layers.empty()) return;  // of them, statistics alone are recorded
  print(file.is_trace() ? trace_head(file) : checkpoint_head(file));
  print(definitions(layers));
  if (!file.is_trace()) print(worked_samples(file));
  std::int64_t weights = 0;
  for (const FileLayer* each : layers) print_layer(file, *each, all, weights, print);
  const std::size_t records = file.steps().size();
  if (file.is_trace() && !all && records > kMostRecords)
    print(fmt::format("\n{} of {} records are shown; --all shows each\n", kMostRecords, records));
}

}  // namespace backplane
