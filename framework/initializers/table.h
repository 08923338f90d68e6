#pragma once

#include <string>
#include <vector>

#include "config/schema.h"
#include "random/philox.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// A parameter that wants its first values.
struct Uninitialized {
  const Stream& stream;  ///< every element is a function of its key and the element's index
  const Shape& shape;
  std::int64_t fan_in, fan_out;
  const std::string& owner;  ///< for errors: "parameter 'W' of layer 'hidden'"
};

/// A row of the table of initialisers.
struct InitializerKind {
  std::string name;  ///< the word in the YAML
  std::string doc;   ///< one line
  config::Schema options;
  /// element_count(shape) numbers, row-major. Throws UserError (bad_config) where options do not fit the shape.
  std::vector<double> (*values)(const config::Node& options, const Uninitialized& parameter);
};

/// All of them, as they are shown. Each is one row, and stands in a file of kinds/.
const std::vector<InitializerKind>& initializers();

/// The schema of one initialiser.
config::Schema initializer_schema();

/// Fills `values` (element_count(shape) numbers of `dtype`, row-major) as `choice`, a validated initialiser, says.
/// Computed in float64, then rounded. Throws UserError (bad_config) where explicit values have another shape.
void initialize(const config::Node& choice, const Uninitialized& parameter, DType dtype, void* values);

}  // namespace backplane
