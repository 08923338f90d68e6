#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <string_view>

#include "data/packed_file.h"
#include "data/section.h"
#include "data/sources.h"
#include "data/table.h"

namespace backplane::sources {

using config::Node;
using config::Schema;

namespace {

/// The format of LIBSVM and SVMlight (Chang and Lin 2011; Joachims 1999): a line a sample, `label index:value …`, with
/// indices that grow from 1 and stand for the inputs that are not 0; what follows a # is a comment.
struct SparseSamples {
  struct Entry {
    std::int64_t sample, feature;  ///< both counted from 0
    double value;
  };
  std::vector<double> labels;
  std::vector<std::int64_t> lines;  ///< where each sample stands, counted from 1
  std::vector<Entry> entries;
  std::int64_t features = 0;  ///< the largest index
  std::string path;

  Origin origin(std::int64_t sample, std::string inside = {}) const {
    return {Place{path, static_cast<int>(lines[static_cast<std::size_t>(sample)])}, std::move(inside)};
  }
};

constexpr std::int64_t kMostFeatures = 1 << 24;

/// One line of a file, taken apart.
class LineReader {
 public:
  LineReader(std::string_view text, Origin origin) : rest_(text.substr(0, text.find('#'))), origin_(std::move(origin)) {
    skip_blanks();
  }

  bool at_end() const { return rest_.empty(); }
  double number(const char* what) {
    const std::string_view word = next_word(" \t\r:");
    double value = 0.0;
    const char* const end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data() + (word.starts_with('+') ? 1 : 0), end, value);
    if (word.empty() || error != std::errc() || stop != end || !std::isfinite(value))
      origin_.fail(fmt::format("'{}' is no {}", word, what), "a line is: label index:value index:value …");
    return value;
  }
  std::int64_t index(std::int64_t above) {
    const double index = number("index");
    if (rest_.empty() || rest_.front() != ':')
      origin_.fail(fmt::format("index {} is followed by no ':'", index), "a line is: label index:value index:value …");
    rest_.remove_prefix(1);
    if (index != std::trunc(index) || index < 1 || index > static_cast<double>(kMostFeatures))
      origin_.fail(fmt::format("index {} is no whole number from 1 to {}", index, kMostFeatures),
                   index == 0 ? "indices count from 1: add 1 to each" : "");
    if (static_cast<std::int64_t>(index) <= above)
      origin_.fail(fmt::format("index {} follows index {}: indices of a line grow", index, above));
    return static_cast<std::int64_t>(index);
  }
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r"), rest_.size())); }

 private:
  std::string_view next_word(const char* ends) {
    const std::string_view word = rest_.substr(0, rest_.find_first_of(ends));
    rest_.remove_prefix(word.size());
    return word;
  }

  std::string_view rest_;
  Origin origin_;
};

void read_line(std::string_view text, std::int64_t number, SparseSamples& samples) {
  LineReader line(text, Origin{Place{samples.path, static_cast<int>(number)}});
  if (line.at_end()) return;
  const auto sample = std::ssize(samples.labels);
  samples.labels.push_back(line.number("label"));
  samples.lines.push_back(number);
  std::int64_t last = 0;
  for (line.skip_blanks(); !line.at_end(); line.skip_blanks()) {
    last = line.index(last);
    samples.entries.push_back({sample, last - 1, line.number("value")});
  }
  samples.features = std::max(samples.features, last);
}

SparseSamples read_file(const std::string& path) {
  constexpr std::int64_t kPiece = 1 << 20;
  SparseSamples samples{.path = path};
  PackedFile file(path);
  std::string text;
  std::int64_t number = 0;
  for (std::int64_t found = kPiece; found == kPiece;) {
    const std::size_t size = text.size();
    text.resize(size + kPiece);
    found = file.read(text.data() + size, kPiece);
    text.resize(size + static_cast<std::size_t>(found));
    if (std::ssize(text) > kMostBytes / 16)
      file.origin().fail(fmt::format("line {} is longer than {} MiB", number + 1, kMostBytes >> 24));
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      read_line(std::string_view(text).substr(begin, end - begin), ++number, samples);
    text.erase(0, begin);
    require_memory(file.origin(), std::ssize(samples.entries) * std::int64_t{sizeof(SparseSamples::Entry)});
  }
  if (!text.empty()) read_line(text, ++number, samples);
  if (samples.labels.empty()) file.origin().fail("holds no sample", "a line is: label index:value index:value …");
  return samples;
}

/// The samples with all their zeros.
Table dense(const SparseSamples& samples, std::int64_t features) {
  const Origin origin = Origin::file(samples.path);
  Table table{.dims = {std::ssize(samples.labels), features}, .values = {}, .origin = origin};
  const std::int64_t bytes = table_bytes(origin, table.dims, sizeof(double));
  require_memory(origin, bytes);
  std::vector<double> values(static_cast<std::size_t>(bytes) / sizeof(double));
  for (const SparseSamples::Entry& entry : samples.entries)
    values[static_cast<std::size_t>(entry.sample * features + entry.feature)] = entry.value;
  table.values = std::move(values);
  table.origin.locate = [path = samples.path, lines = samples.lines, features](std::int64_t element) {
    return Place{path, static_cast<int>(lines[static_cast<std::size_t>(element / features)])};
  };
  return table;
}

/// Classes are numbered in the order of their labels, which become their names: −1 and +1 are 0 and 1.
using Classes = std::map<double, std::int64_t>;

Classes classes_of(const SparseSamples& train) {
  Classes classes;
  for (std::size_t i = 0; i < train.labels.size(); ++i) {
    if (train.labels[i] != std::trunc(train.labels[i]))
      train.origin(static_cast<std::int64_t>(i))
          .fail(fmt::format("label {} is no whole number", train.labels[i]),
                "numbers that are to be met, not classes, are `learn: targets`");
    classes.emplace(train.labels[i], 0);
  }
  std::int64_t next = 0;
  for (auto& [label, number] : classes) number = next++;
  return classes;
}

Table targets_of(const SparseSamples& samples, const std::optional<Classes>& classes) {
  Table table{.dims = {std::ssize(samples.labels)}, .values = samples.labels, .origin = Origin::file(samples.path)};
  table.origin.locate = [path = samples.path, lines = samples.lines](std::int64_t element) {
    return Place{path, static_cast<int>(lines[static_cast<std::size_t>(element)])};
  };
  if (!classes) {
    table.dims.push_back(1);
    return table;
  }
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < samples.labels.size(); ++i) {
    const auto found = classes->find(samples.labels[i]);
    if (found == classes->end())
      samples.origin(static_cast<std::int64_t>(i))
          .fail(fmt::format("label {} does not occur in the training file", samples.labels[i]));
    numbers.push_back(found->second);
  }
  table.values = std::move(numbers);
  return table;
}

bool learns_labels(const Node& options) {
  return options.at("learn").as_text() == "labels";
}

DataSet read_libsvm(const Node& options, std::uint64_t seed) {
  const SparseSamples train = read_file(options.at("train").as_text());
  std::optional<SparseSamples> test;
  if (const auto path = test_file(options)) test = read_file(*path);
  std::int64_t features = std::max({train.features, test ? test->features : 0, std::int64_t{1}});
  if (const Node* wanted = options.find("features")) {
    if (wanted->as_integer() < features)
      origin_of(*wanted, "data.features")
          .fail(fmt::format("the files have an input of index {}, beyond {}", features, wanted->as_integer()));
    features = wanted->as_integer();
  }
  std::optional<Classes> classes;
  if (learns_labels(options)) classes = classes_of(train);
  const auto split = [&](const SparseSamples& samples) {
    return RawSplit{.inputs = dense(samples, features), .targets = targets_of(samples, classes)};
  };
  DataSet data = assemble(split(train), test ? std::optional(split(*test)) : std::nullopt);
  if (classes)
    for (const auto& [label, number] : *classes) data.class_names.push_back(fmt::format("{:.0f}", label));
  data.files = {train.path};
  if (test) data.files.push_back(test->path);
  return prepared(std::move(data), options, seed, test_part(options));
}

}  // namespace

DataSource libsvm() {
  return {
      .name = "libsvm",
      .doc = "sparse tables of text, as LIBSVM and SVMlight have them",
      .options = with_preparation(
          Schema::map()
              .required("train", Schema::text(), "file of lines `label index:value …`, plain or gzip")
              .optional("test", Schema::text(), std::nullopt,
                        "file of the test split; or a number: samples of `train`, drawn at random, or a part of them "
                        "below 1")
              .optional("learn", Schema::text_of({"labels", "targets"}), "labels",
                        "labels: the first number of a line is a class, a whole number; targets: a number to be met")
              .optional("features", Schema::integer().at_least(1).at_most(kMostFeatures), std::nullopt,
                        "inputs of a sample; where left out, the largest index")),
      .load = read_libsvm,
      .has_labels = learns_labels};
}

}  // namespace backplane::sources
