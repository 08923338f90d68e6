#include "parallel/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

namespace backplane {

namespace fs = std::filesystem;

namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

/// A tree of control groups that bounds CPU time, and where this process stands in it.
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

bool has_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

/// The path below the root of a mount, which may itself be a group; "" where the group is not seen there.
std::string below(const std::string& group, const std::string& mounted) {
  if (mounted == "/") return group;
  return group.starts_with(mounted + "/") ? group.substr(mounted.size()) : "";
}

/// A line of mountinfo: "36 35 0:30 /root /mount/point options… - type source super-options" (proc(5)).
std::optional<Hierarchy> hierarchy_of(const std::string& line, const std::map<std::string, std::string>& groups,
                                      const std::string& root) {
  std::string skipped, mounted, point, type, source, options;
  std::istringstream fields(line);
  fields >> skipped >> skipped >> skipped >> mounted >> point;
  while (fields >> skipped && skipped != "-") {
  }
  fields >> type >> source >> options;
  const bool is_version_2 = type == "cgroup2";
  if (!is_version_2 && (type != "cgroup" || !has_cpu(options))) return std::nullopt;
  for (const auto& [controllers, group] : groups)
    if (is_version_2 ? controllers.empty() : has_cpu(controllers))
      return Hierarchy{root + point, below(group, mounted), is_version_2};
  return std::nullopt;
}

/// Quota over period of one group.
double cores_of_group(const fs::path& group, bool is_version_2) {
  double quota = 0, period = 0;
  if (is_version_2) {
    std::ifstream(group / "cpu.max") >> quota >> period;  // "max 100000" leaves both at 0
  } else {
    std::ifstream(group / "cpu.cfs_quota_us") >> quota;  // -1: none
    std::ifstream(group / "cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : kUnbounded;
}

int cores_allowed() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : std::numeric_limits<int>::max();
}

}  // namespace

double cores_of_control_groups(const std::string& root) {
  const std::map<std::string, std::string> groups = own_groups(root);
  double least = kUnbounded;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::optional<Hierarchy> hierarchy = hierarchy_of(line, groups, root);
    if (!hierarchy) continue;
    fs::path group = hierarchy->mount;
    least = std::min(least, cores_of_group(group, hierarchy->is_version_2));
    for (const fs::path& name : hierarchy->group.relative_path())
      least = std::min(least, cores_of_group(group /= name, hierarchy->is_version_2));
  }
  return least;
}

int usable_cores() {
  const int machine = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int cores = std::min(machine, cores_allowed());
  return std::max(1, static_cast<int>(std::min<double>(cores, std::ceil(cores_of_control_groups("")))));
}

}  // namespace backplane
