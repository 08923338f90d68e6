#include "base/control_groups.h"

#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace backplane {

namespace fs = std::filesystem;

namespace {

/// A tree of control groups that bounds something, and where this process stands in it.
struct Hierarchy {
  fs::path mount;  ///< where its root is seen
  fs::path group;  ///< below that
  bool is_version_2 = false;
};

/// The path of this process's group in version 2 (the empty name) and in version 1's trees, by their controllers
/// ("cpu,cpuacct"). A line is "number:controllers:path".
std::map<std::string, std::string> own_groups(const std::string& root) {
  std::map<std::string, std::string> groups;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line, number, controllers, path; std::getline(file, line);) {
    std::istringstream fields(line);
    if (std::getline(fields, number, ':') && std::getline(fields, controllers, ':') && std::getline(fields, path))
      groups[controllers] = path;
  }
  return groups;
}

/// Whether a list, as "cpu,cpuacct", names a controller.
bool names(const std::string& controllers, const std::string& controller) {
  return ("," + controllers + ",").find("," + controller + ",") != std::string::npos;
}

/// The path below the root of a mount, which may itself be a group; "" where the group is not seen there.
std::string below(const std::string& group, const std::string& mounted) {
  if (mounted == "/") return group;
  return group.starts_with(mounted + "/") ? group.substr(mounted.size()) : "";
}

/// A line of mountinfo: "36 35 0:30 /root /mount/point options… - type source super-options" (proc(5)).
std::optional<Hierarchy> hierarchy_of(const std::string& line, const std::map<std::string, std::string>& groups,
                                      const std::string& root, const std::string& controller) {
  std::string skipped, mounted, point, type, source, options;
  std::istringstream fields(line);
  fields >> skipped >> skipped >> skipped >> mounted >> point;
  while (fields >> skipped && skipped != "-") {
  }
  fields >> type >> source >> options;
  const bool is_version_2 = type == "cgroup2";
  if (!is_version_2 && (type != "cgroup" || !names(options, controller))) return std::nullopt;
  for (const auto& [controllers, group] : groups)
    if (is_version_2 ? controllers.empty() : names(controllers, controller))
      return Hierarchy{root + point, below(group, mounted), is_version_2};
  return std::nullopt;
}

}  // namespace

void for_each_control_group(const std::string& root, const std::string& controller,
                            const std::function<void(const fs::path& group, bool is_version_2)>& look) {
  const std::map<std::string, std::string> groups = own_groups(root);
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::optional<Hierarchy> hierarchy = hierarchy_of(line, groups, root, controller);
    if (!hierarchy) continue;
    fs::path group = hierarchy->mount;
    look(group, hierarchy->is_version_2);
    for (const fs::path& name : hierarchy->group.relative_path()) look(group /= name, hierarchy->is_version_2);
  }
}

}  // namespace backplane
