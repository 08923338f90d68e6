#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/node.h"

namespace backplane::config {

/// What a value of the document may be, as data: one table serves validation, defaults, error messages and
/// (later) the JSON Schema. Value type, cheap to copy.
///
///     Schema::map()
///         .required("units", Schema::integer().at_least(1), "number of outputs")
///         .optional("bias", Schema::boolean(), "true", "add b")
class Schema {
 public:
  enum class Kind {
    boolean,   ///< true or false, nothing else
    integer,   ///< decimal, within [min, max]
    number,    ///< finite decimal, within the range
    text,      ///< any scalar; one of `choices` where there are any
    duration,  ///< "3 epochs", "200 steps", "1 epoch", or a bare number of steps; see parse_duration
    tensor,    ///< a number or nested lists of numbers of equal lengths
    list,      ///< items of one schema
    map,       ///< the fields below; other keys are errors
    choice,    ///< a bare name, or a map with one key that names the alternative: `sgd` or `{sgd: {lr: 0.1}}`
    either     ///< one of two schemas of different shape: the first that fits the kind of the value
  };

  struct Field;

  static Schema boolean();
  static Schema integer();
  static Schema number();
  static Schema text();
  static Schema text_of(std::vector<std::string> choices);
  static Schema duration();
  static Schema tensor();
  static Schema list(Schema item);
  static Schema map();
  /// `noun` names an alternative in messages: "unknown optimizer 'adm'".
  static Schema choice(std::string noun);
  /// Where the node's kind (scalar, list, map) does not decide, `scalar_form` is taken for scalars.
  static Schema either(Schema scalar_form, Schema other_form);

  Schema& at_least(double value);
  Schema& above(double value);     ///< exclusive
  Schema& at_most(double value);
  Schema& below(double value);     ///< exclusive
  Schema& items(std::size_t min, std::size_t max = std::numeric_limits<std::size_t>::max());  ///< lengths of a list
  Schema& hint(std::string text);  ///< printed with errors about this value
  Schema& nullable();              ///< `null` (or nothing) is accepted and stays null

  /// Fields of a map. `default_yaml` is parsed as YAML; std::nullopt leaves an absent field absent.
  Schema& required(std::string name, Schema schema, std::string doc);
  Schema& optional(std::string name, Schema schema, std::optional<std::string> default_yaml, std::string doc);
  /// Alternatives of a choice; `schema` is a map (possibly without fields).
  Schema& alternative(std::string name, Schema schema, std::string doc);

  Kind kind() const { return kind_; }
  const std::vector<Field>& fields() const { return *fields_; }

 private:
  friend class Validator;

  Kind kind_ = Kind::map;
  double min_ = -std::numeric_limits<double>::infinity();
  double max_ = std::numeric_limits<double>::infinity();
  bool min_exclusive_ = false;
  bool max_exclusive_ = false;
  bool nullable_ = false;
  std::size_t min_items_ = 0;
  std::size_t max_items_ = std::numeric_limits<std::size_t>::max();
  std::vector<std::string> choices_;
  std::string noun_;
  std::string hint_;
  std::shared_ptr<const std::vector<Field>> fields_;   ///< of a map or choice; replaced, never changed in place
  std::shared_ptr<const Schema> first_;                ///< item of a list; scalar form of an either
  std::shared_ptr<const Schema> second_;               ///< other form of an either
};

struct Schema::Field {
  std::string name;
  Schema schema;
  bool is_required = false;
  std::optional<std::string> default_yaml;
  std::string doc;
};

/// Checks `root` against `schema` and returns it with every default filled in (`is_default` set on those), map
/// entries in the order of the schema, and every choice in its long form {name: {…}}. Defaults inside defaults are
/// filled in too. Throws UserError (bad_config) with *all* findings, at most 20, in the order of the document:
/// unknown keys (nearest and known names), missing keys, wrong types ("expected a whole number, got 'ten'"),
/// out-of-range values with the range, unknown choices, ragged tensors. A finding in a value that came from --set
/// names its word. Paths read "network.layers[0].units".
Node validate(const Node& root, const Schema& schema);

/// A span of training: exactly one of the two is set.
struct Duration {
  std::int64_t steps = 0;
  std::int64_t epochs = 0;
};

/// Reads a validated duration.
Duration parse_duration(const Node& node);

/// Reads a validated tensor: row-major numbers and the lengths of the nesting (empty for a plain number).
struct TensorLiteral {
  std::vector<std::int64_t> shape;
  std::vector<double> values;
};
TensorLiteral parse_tensor(const Node& node);

}  // namespace backplane::config
