#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "data/table.h"
#include "parallel/cores.h"

namespace backplane {
namespace {

namespace fs = std::filesystem;

/// A machine's /proc and /sys, in a folder.
class Cores : public ::testing::Test {
 protected:
  Cores() : root_(fs::path(::testing::TempDir()) / ("cores-" + std::to_string(::getpid()))) { fs::remove_all(root_); }
  ~Cores() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::int64_t memory() const { return available_memory(root_.string()); }
  double cores() const { return cores_of_control_groups(root_.string()); }

  void mount_version_2(const std::string& group) {
    write("proc/self/cgroup", "0::" + group + "\n");
    write("proc/self/mountinfo",
          "22 1 0:21 / /proc rw,nosuid - proc proc rw\n"
          "33 24 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
  }

 private:
  fs::path root_;
};

TEST_F(Cores, TheMemoryOfEachGroupAboveCounts) {
  mount_version_2("/job/step");
  write("proc/meminfo", "MemTotal: 64 kB\nMemAvailable: 32 kB\n");
  EXPECT_EQ(memory(), 32 << 10);
  write("sys/fs/cgroup/job/step/memory.max", "max\n");
  write("sys/fs/cgroup/job/memory.max", "4096\n");
  EXPECT_EQ(memory(), 4096);
  write("sys/fs/cgroup/job/memory.stat", "file 2000\nanon 1000\n");
  EXPECT_EQ(memory(), 3096) << "less what its processes hold";
  write("proc/self/cgroup", "3:memory:/job\n");
  write("proc/self/mountinfo", "36 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "8192\n");
  EXPECT_EQ(memory(), 8192);
  write("sys/fs/cgroup/memory/job/memory.stat", "cache 5000\nrss 1\ntotal_rss 9000\n");
  EXPECT_EQ(memory(), 0);
}

TEST_F(Cores, AreUnboundedWithoutControlGroups) {
  EXPECT_TRUE(std::isinf(cores()));
}

TEST_F(Cores, AreTheQuotaOfAContainer) {
  mount_version_2("/");
  write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_DOUBLE_EQ(cores(), 0.5);
  write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_TRUE(std::isinf(cores()));
}

TEST_F(Cores, AreTheLeastOfAllGroupsAbove) {
  mount_version_2("/user.slice/job.scope");
  write("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
  write("sys/fs/cgroup/user.slice/job.scope/cpu.max", "400000 100000\n");
  EXPECT_DOUBLE_EQ(cores(), 1.5);
}

TEST_F(Cores, AreReadInVersion1) {
  write("proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/docker/0a1b/job\n0::/unified\n");
  write("proc/self/mountinfo",
        "31 24 0:26 /docker/0a1b /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "32 24 0:27 /docker/0a1b /sys/fs/cgroup/cpu,cpuacct rw master:7 - cgroup cgroup rw,cpu,cpuacct\n");
  write("sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "1\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_TRUE(std::isinf(cores()));
  write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n");
  write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(cores(), 2.5);
}

TEST_F(Cores, OfThisMachineAreAtLeastOne) {
  EXPECT_GE(usable_cores(), 1);
}

}  // namespace
}  // namespace backplane
