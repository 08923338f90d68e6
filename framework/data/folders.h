#pragma once

#include <string>
#include <vector>

namespace backplane {

/// Where data sets are looked for by name: $BACKPLANE_DATA where it is set, then where Debian's dataset packages put
/// theirs.
std::vector<std::string> data_folders();

/// The path of the first subfolder `name` that one of `folders` has. Throws UserError (no_input) with `hint`, naming
/// every place that was looked at, and why it does not serve, where none has it.
std::string find_data_folder(const std::string& name, const std::vector<std::string>& folders, const std::string& hint);

/// Whether something has that name, be it readable or not: whoever opens it says why it is not.
bool is_there(const std::string& path);

}  // namespace backplane
