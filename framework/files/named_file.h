#pragma once

#include <string>
#include <vector>

namespace backplane {

/// A file that the user named, and what it was named for: "--json", "FILE", "the data".
struct NamedFile {
  std::string word, path;
};

/// Files that have one word together.
std::vector<NamedFile> all_named(const std::string& word, const std::vector<std::string>& paths);

/// Whether what is written to a path comes out of a descriptor of this process: `/dev/stdout`, or the file or pipe that
/// the descriptor has open. Devices count only where the path names the descriptor: what is written to /dev/null or to
/// a terminal mixes with nothing that is read again.
bool leads_to_stream(const std::string& path, int descriptor);

/// Throws UserError (usage) where two of `outputs` are one file, or one of them is one of `inputs`: it would be
/// destroyed. Paths that are empty name nothing.
void require_apart(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs);

}  // namespace backplane
