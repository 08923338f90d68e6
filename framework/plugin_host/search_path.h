#pragma once

#include <string>
#include <vector>

namespace backplane {

/// Where plug-ins are looked for.
struct SearchPath {
  std::vector<std::string> own;      ///< the installation's: `plugins` beside the program, and where it is installed
  std::vector<std::string> listed;   ///< those of $BACKPLANE_PLUGIN_PATH
  std::vector<std::string> refused;  ///< sentences on those that are not searched
};

/// Folders that exist or not, all absolute: a relative one would be another one in each current directory. Where the
/// system does not say where the program stands, there is none of its own.
SearchPath search_path();

/// Why a file, or what stands in a folder, may be somebody else's work, as the end of the sentence "…: …"; "" where
/// only root, this user and their groups, and those who can change the program itself can write it, or replace it or a
/// folder on the way to it. (In a sticky folder, as /tmp is, only owners replace.)
std::string why_not_trusted(const std::string& path);

}  // namespace backplane
