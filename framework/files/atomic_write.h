#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace backplane {

/// Writes a whole file so that a reader, at any instant and after any crash, sees the old file or the new one:
/// a temporary file in the same directory, fsync, rename, fsync of the directory. Returns only when all of that is
/// done. On failure the temporary file is removed, the old file stands, and UserError (io) says which call failed.
void write_file_atomically(const std::string& path, const void* data, std::size_t bytes);
inline void write_file_atomically(const std::string& path, std::string_view text) {
  write_file_atomically(path, text.data(), text.size());
}

/// Lets a finished file, which stands in the same directory, take the place of another in the same way: fsync, rename,
/// fsync of the directory. Throws UserError (io); the old file stands unless the rename was done.
void replace_file_durably(const std::string& finished, const std::string& path);

/// Whether that file could be written, asked before hours of work that end in it. Throws UserError (io).
void require_writable(const std::string& path);

/// Makes a directory and its missing parents, and syncs each, so that they survive a loss of power. Throws
/// UserError (io).
void make_directories_durably(const std::string& path);

}  // namespace backplane
