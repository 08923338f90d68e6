#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace backplane {

/// Calls `look` with the folder of each control group of this process, and of those above it, of the trees that have a
/// controller ("cpu", "memory"). `root` stands before /proc and /sys: tests put their own there.
void for_each_control_group(const std::string& root, const std::string& controller,
                            const std::function<void(const std::filesystem::path& group, bool is_version_2)>& look);

}  // namespace backplane
