#include "data/inline_samples.h"

#include <fmt/format.h>

namespace backplane {

namespace {

Table to_table(config::TensorLiteral literal, const Origin& origin) {
  if (literal.shape.empty() || literal.values.empty()) origin.fail("expected a list with one entry per sample");
  return {std::move(literal.shape), std::move(literal.values), origin};
}

RawSplit to_split(InlineSplit split) {
  RawSplit raw{to_table(std::move(split.inputs), split.inputs_origin),
               to_table(std::move(split.targets), split.targets_origin), std::move(split.lengths)};
  if (split.targets_are_labels) {
    const auto numbers = std::get<std::vector<double>>(std::move(raw.targets.values));
    raw.targets.values = std::vector<std::int64_t>(numbers.begin(), numbers.end());
  }
  return raw;
}

}  // namespace

DataSet load_inline(const InlineOptions& options) {
  std::optional<RawSplit> test;
  if (options.test) {
    if (options.test->targets_are_labels != options.train.targets_are_labels)
      options.test->targets_origin.fail(fmt::format("expected {}, as in the training split",
                                                    options.train.targets_are_labels ? "labels" : "targets"));
    test = to_split(*options.test);
  }
  return assemble(to_split(options.train), std::move(test));
}

}  // namespace backplane
