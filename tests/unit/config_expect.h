#pragma once

#include <gtest/gtest.h>

#include <string>

#include "config/node.h"

namespace backplane::config {

/// The message of the UserError that `action` throws, with its exit code in front: "78 file:1:2: error: …".
/// Anything else that happens is named as itself, so that a comparison with a message fails and shows it.
template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const UserError& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  } catch (const std::exception& error) {
    return std::string("not a UserError: ") + error.what();
  }
  return "no error";
}

/// A tree on one line: plain scalars bare, quoted ones in quotes, null as ~.
inline std::string line_of(const Node& node) {
  std::string line;
  switch (node.kind) {
    case Node::Kind::null: return "~";
    case Node::Kind::scalar: return node.quoted ? '"' + node.scalar + '"' : node.scalar;
    case Node::Kind::list:
      for (const Node& item : node.list) line += (line.empty() ? "" : ", ") + line_of(item);
      return "[" + line + "]";
    case Node::Kind::map:
      for (const auto& [key, value] : node.map) line += (line.empty() ? "" : ", ") + key + ": " + line_of(value);
      return "{" + line + "}";
  }
  return line;
}

}  // namespace backplane::config
