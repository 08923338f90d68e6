#pragma once

#include <stdexcept>
#include <string>

namespace backplane {

/// What a format's rule demands of a file. Throws std::runtime_error, in words; who opened the file says which it is.
inline void require_undamaged(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

}  // namespace backplane
