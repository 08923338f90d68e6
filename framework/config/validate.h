#pragma once

#include <string>
#include <vector>

#include "config/schema.h"

namespace backplane::config {

/// Of the fields of a map, or the alternatives of a choice.
std::vector<std::string> names_of(const std::vector<Schema::Field>& fields);

/// Walks a document along its schema, collects findings, and builds the tree with defaults filled in. What it returns
/// for a value with findings is of no use.
class Validator {
 public:
  Node check(const Node& node, const Schema& schema, const std::string& path);

  const std::vector<Diagnostic>& findings() const { return findings_; }

 private:
  /// Lengths that the lists of a tensor must have, learnt from the first item of every level.
  struct Shape {
    std::vector<std::size_t> lengths;
    bool is_complete = false;  ///< a number has been seen below them
  };

  void check_boolean(const Node& node, const Schema& schema, const std::string& path);
  void check_number(const Node& node, const Schema& schema, const std::string& path);
  void check_text(const Node& node, const Schema& schema, const std::string& path);
  void check_duration(const Node& node, const Schema& schema, const std::string& path);
  void check_tensor(const Node& node, const Schema& schema, const std::string& path, std::size_t level, Shape& shape);
  void check_length(const Node& node, const Schema& schema, const std::string& path);
  void check_range(double value, const Node& node, const Schema& schema, const std::string& path);
  Node check_list(const Node& node, const Schema& schema, const std::string& path);
  Node check_map(const Node& node, const Schema& schema, const std::string& path);
  Node check_choice(const Node& node, const Schema& schema, const std::string& path);
  Node check_either(const Node& node, const Schema& schema, const std::string& path);

  void report_missing(const Node& map, const Schema& schema, const std::string& path);
  void report_one_key_wanted(const Node& map, const Schema& schema, const std::string& path);
  void report_null(const Node& node, const Schema& schema, const std::string& path);
  void report_unknown_name(const Place& place, const Schema& schema, const std::string& path, const std::string& name,
                           const std::vector<std::string>& known, std::string noun, std::string remedy = {});
  /// "expected a whole number, got 'ten'"
  void report_type(const Node& node, const Schema& schema, const std::string& path, std::string remedy = {});
  void report(const Place& place, const Schema& schema, const std::string& path, std::string what,
              std::string remedy = {});
  void add(Diagnostic finding, const Schema& schema);

  static std::string wanted(const Schema& schema);
  /// "; for example units: 64" of a value that is easily shown, else "".
  static std::string example_of(const std::string& key, const Schema& schema);
  static std::string allowed_range(const Schema& schema);
  static bool accepts(const Schema& schema, Node::Kind kind);

  std::vector<Diagnostic> findings_;
  const Schema* choice_ = nullptr;  ///< whose alternative the map is that is looked at next; nullptr: it is none
};

}  // namespace backplane::config
