#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "files/temporary_file.h"

namespace backplane {

/// Writes a whole file so that a reader, at any instant and after any crash, sees the old file or the new one:
/// a temporary file in the same directory, fsync, rename, fsync of the directory. Returns only when all of that is
/// done. On failure the temporary file is removed and UserError (io) says which call failed. The old file stands,
/// unless it was the last of these steps that failed: then the new one stands, and a loss of power may bring back the
/// old one. What stands there and is no regular file, a link say, is refused: such a file belongs to a run directory;
/// what the user names himself is an Output (files/output.h). `read_back`: before the rename, the bytes
/// are read from the disk again, past the page cache where the file system lets it go, and compared.
enum class ReadBack { no, yes };
void write_file_atomically(const std::string& path, const void* data, std::size_t bytes,
                           ReadBack read_back = ReadBack::no);
inline void write_file_atomically(const std::string& path, std::string_view text) {
  write_file_atomically(path, text.data(), text.size());
}

/// Waits until the entries of a directory are on the disk. Throws UserError (io).
void sync_directory(const std::string& directory);

/// Lets a finished file, which stands in the same directory, take the place of another in the same way: fsync, rename,
/// fsync of the directory. Throws UserError (io); the old file stands unless the rename was done.
void replace_file_durably(TemporaryFile& finished, const std::string& path);

/// Makes a directory and its missing parents, and syncs each, so that they survive a loss of power; the directory also
/// where it is there already. Throws UserError (io).
void make_directories_durably(const std::string& path);

}  // namespace backplane
