#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace backplane {

/// Writes a whole file so that a reader, at any instant and after any crash, sees the old file or the new one:
/// a temporary file in the same directory, fsync, rename, fsync of the directory. Returns only when all of that is
/// done. On failure the temporary file is removed and UserError (io) says which call failed. The old file stands,
/// unless it was the last of these steps that failed: then the new one stands, and a loss of power may bring back the
/// old one. `read_back`: before the rename, the bytes are read from the disk again, past the page cache where the file
/// system lets it go, and compared.
enum class ReadBack { no, yes };
void write_file_atomically(const std::string& path, const void* data, std::size_t bytes,
                           ReadBack read_back = ReadBack::no);
inline void write_file_atomically(const std::string& path, std::string_view text) {
  write_file_atomically(path, text.data(), text.size());
}

/// Waits until what was appended to a file so far is on the disk. Throws UserError (io).
void sync_file(const std::string& path);

/// Waits until the entries of a directory are on the disk. Throws UserError (io).
void sync_directory(const std::string& directory);

/// Removes the temporary files that write_file_atomically left in a directory when its process died: those of files
/// that `is_ours` names whose process is gone. Nothing is removed where that cannot be told.
/// REQUIRES: this process is not writing such a file there.
void remove_dead_temporary_files(const std::string& directory, const std::function<bool(const std::string&)>& is_ours);

/// Lets a finished file, which stands in the same directory, take the place of another in the same way: fsync, rename,
/// fsync of the directory. Throws UserError (io); the old file stands unless the rename was done.
void replace_file_durably(const std::string& finished, const std::string& path);

/// Whether that file could be written, asked before hours of work that end in it. Throws UserError (io).
void require_writable(const std::string& path);

/// Makes a directory and its missing parents, and syncs each, so that they survive a loss of power; the directory also
/// where it is there already. Throws UserError (io).
void make_directories_durably(const std::string& path);

}  // namespace backplane
