#include "parallel/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "base/control_groups.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

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
  double least = kUnbounded;
  for_each_control_group(root, "cpu", [&](const fs::path& group, bool is_version_2) {
    least = std::min(least, cores_of_group(group, is_version_2));
  });
  return least;
}

int usable_cores() {
  const int machine = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int cores = std::min(machine, cores_allowed());
  return std::max(1, static_cast<int>(std::min<double>(cores, std::ceil(cores_of_control_groups("")))));
}

}  // namespace backplane
