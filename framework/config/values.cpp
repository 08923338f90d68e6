// Readers of validated values that are more than one scalar.

#include "config/scalar.h"

namespace backplane::config {

namespace {

void append_numbers(const Node& node, std::vector<double>& values) {
  if (!node.is_list()) return values.push_back(node.as_number());
  for (const Node& item : node.list) append_numbers(item, values);
}

}  // namespace

Duration parse_duration(const Node& node) {
  const auto duration = to_duration(node.as_text());
  BP_ASSERT(duration.has_value());
  return *duration;
}

TensorLiteral parse_tensor(const Node& node) {
  TensorLiteral tensor;
  for (const Node* level = &node; level->is_list(); level = &level->list.front()) {
    tensor.shape.push_back(static_cast<std::int64_t>(level->list.size()));
    if (level->list.empty()) break;
  }
  append_numbers(node, tensor.values);
  return tensor;
}

}  // namespace backplane::config
