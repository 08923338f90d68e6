#pragma once

#include <string>

#include "base/error.h"

namespace backplane {

/// Where numbers were found: what an error about them begins with.
struct Origin {
  Place place;                         ///< a file, or a place in the experiment's YAML
  std::string path;                    ///< inside it: "/inputs" or "data.inputs"
  ExitCode code = ExitCode::bad_data;  ///< bad_config where the numbers stand in the YAML

  /// The origin of a file's numbers.
  static Origin file(std::string name, std::string path = {}) { return {Place{std::move(name)}, std::move(path)}; }

  [[noreturn]] void fail(std::string what, std::string hint = {}) const;
};

}  // namespace backplane
