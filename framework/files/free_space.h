#pragma once

#include <cstdint>
#include <string>

namespace backplane {

/// Asked before a file grows by `bytes`, or is made with as many: whether its disk, and the process's limit of a file's
/// size (`ulimit -f`), have room for them, and for a little more that others need.
/// Throws UserError (io) where they have not; a disk that does not tell is taken to have room.
void require_free_space(const std::string& path, std::uint64_t bytes);

}  // namespace backplane
