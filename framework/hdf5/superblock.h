#pragma once

#include <cstdint>
#include <istream>
#include <optional>

namespace backplane::h5 {

/// What the head of an HDF5 file says of the whole, read without the library.
struct Superblock {
  bool is_marked_open = false;  ///< a writer has the file open, or ended before it closed it (since version 3)
  std::uint64_t end = 0;        ///< bytes of the file when it was closed; 0 where the head does not tell
};

/// None where the file has no signature: it stands at byte 0, 512, 1024, 2048, …, behind a user block.
std::optional<Superblock> read_superblock(std::istream& file);

}  // namespace backplane::h5
