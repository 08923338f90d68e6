#pragma once

#include <string>

namespace backplane {

/// How many threads of this process can run at one time: the least of the machine's cores, the cores that it may run on
/// (`taskset`), and the share of them that its control groups allow (a container, a job of a scheduler), rounded up. At
/// least 1. More threads than that only wait for each other.
int usable_cores();

/// What the control groups of this process, and those above them, allow, in cores: 0.5, 4, …; infinity where nothing
/// bounds them. Reads cpu.max (version 2) and cpu.cfs_quota_us (version 1). `root` stands before /proc and /sys: tests
/// put their own there.
double cores_of_control_groups(const std::string& root);

}  // namespace backplane
