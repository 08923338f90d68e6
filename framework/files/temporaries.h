#pragma once

#include <filesystem>
#include <functional>

namespace backplane {

/// Makes something that this process is to remove again, and notes it: `make` returns its path, or an empty one where
/// it made nothing. `is_folder`: descriptors are set aside, so that it can be emptied also where the process has none
/// left; throws UserError (io) where it has too few by then. [any thread]
std::filesystem::path make_temporary(bool is_folder, const std::function<std::filesystem::path()>& make);

/// It has another name by now, and stays. [any thread]
void keep_temporary(const std::filesystem::path& path);

/// Removes it, and what it holds. [any thread]
void remove_temporary(const std::filesystem::path& path);

/// Removes all that there are, for a process that ends without unwinding. Who makes or removes one after that waits for
/// ever. REQUIRES: the process ends at once. [any thread]
void remove_temporaries_at_end();

}  // namespace backplane
