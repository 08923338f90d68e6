#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"

namespace backplane {

/// Where numbers were found: what an error about them begins with.
struct Origin {
  Place place;                         ///< a file, or a place in the experiment's YAML
  std::string path;                    ///< inside it: "/inputs" or "data.inputs"
  ExitCode code = ExitCode::bad_data;  ///< bad_config where the numbers stand in the YAML
  /// Where one of them stands, counted over all samples as the source has them. Reads a file again, so as to keep no
  /// places of numbers that are right. Empty where nothing more is known than `place`.
  std::function<Place(std::int64_t)> locate{};

  /// The origin of a file's numbers.
  static Origin file(std::string name, std::string path = {}) { return {Place{std::move(name)}, std::move(path)}; }

  /// That of one number.
  Origin at(std::int64_t element) const { return {locate ? locate(element) : place, path, code}; }

  [[noreturn]] void fail(std::string what, std::string hint = {}) const;
};

}  // namespace backplane
