#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace backplane::config {

/// One value of a YAML document, with the place where it was written. Aliases are already expanded.
///
/// Scalars keep their text: what they mean is decided by the schema, never by trial, so `no` stays a name where a
/// name is wanted. After `validate` (schema.h) the same tree stands with every default filled in.
struct Node {
  enum class Kind { null, scalar, list, map };
  struct Entry;

  Kind kind = Kind::null;
  std::string scalar;          ///< text of a scalar
  bool quoted = false;         ///< "…" or '…': always text, never a number
  std::vector<Node> list;      ///< items of a list
  std::vector<Entry> map;      ///< entries in the order written; keys are unique
  Place place;                 ///< of the value
  Place key_place;             ///< of the key that names it, for entries of a map
  bool is_default = false;     ///< filled in by the schema, written by nobody

  static Node text(std::string value);      ///< a quoted scalar
  static Node plain(std::string value);     ///< a plain scalar: number, truth value or bare word
  static Node empty_map();
  static Node empty_list();

  bool is_null() const { return kind == Kind::null; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_list() const { return kind == Kind::list; }
  bool is_map() const { return kind == Kind::map; }

  /// The entry `key` of a map, or nullptr.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);

  /// Readers for a tree that `validate` has accepted: they throw InternalError where the schema did not promise
  /// what is asked for. Keys name entries of a map.
  const Node& at(std::string_view key) const;
  bool as_bool() const;
  std::int64_t as_integer() const;
  double as_number() const;
  const std::string& as_text() const;
  /// For a validated `choice`: the chosen name, and what was written for it.
  const std::string& chosen() const;
  const Node& choice() const;
};

/// A key of a map and its value.
struct Node::Entry {
  Entry(std::string key, Node value) : first(std::move(key)), second(std::move(value)) {}
  std::string first;
  Node second;
};

/// Limits that keep a hostile document from costing memory or time.
struct Limits {
  std::size_t bytes = 1 << 20;      ///< of the file
  std::size_t nodes = 100'000;      ///< after expanding aliases (an "alias bomb" ends here)
  int depth = 64;                   ///< of nesting
};

/// Parses one YAML document. Throws UserError: no_input where the file cannot be read; bad_config (with place) for
/// wrong syntax, duplicate keys (both places named), keys that are not text, a second document, unknown tags,
/// an unknown alias, or a document over the limits.
Node parse_file(const std::string& path, const Limits& limits = {});
Node parse_text(std::string_view text, const std::string& source, const Limits& limits = {});

/// Applies one `--set a.b[2].c=value`: the value is parsed as YAML and replaces, or adds, what stands at that path.
/// `word` names the place in errors, for instance "command line, word 4 (--set train.epochs=x)".
/// Throws UserError (usage) where the word has no '=', the path is malformed, passes through a scalar, or indexes
/// beyond a list; the error names the word and what stands there.
void apply_override(Node& root, std::string_view assignment, const std::string& word);

/// The tree as YAML text that parses back to the same values: block style, short lists of scalars on one line.
std::string to_yaml(const Node& root);

}  // namespace backplane::config
