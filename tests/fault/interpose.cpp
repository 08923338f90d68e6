// The calls of libc that change files, in front of libc's own: counted, made to fail, and told to the simulated disk.

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "faults.h"
#include "simulated_disk.h"

namespace backplane::fault {

namespace fs = std::filesystem;

namespace {

struct State {
  explicit State(const Plan& made) : plan(made), disk(made.directory) {}

  Plan plan;
  SimulatedDisk disk;
  std::map<int, std::shared_ptr<Node>> open;
  std::vector<std::string> calls;
  int repeated_fsyncs = 0;
};

/// Made on first use, which other libraries' constructors may be.
std::mutex& mutex() {
  static std::mutex instance;
  return instance;
}
State* state = nullptr;       // guarded by mutex(); null: nothing is watched
thread_local bool is_inside;  // what the library itself does to files is let through

/// Holds the lock for one call; false where the call is none of ours.
class Entered {
 public:
  Entered() {
    if (is_inside) return;
    lock_ = std::unique_lock(mutex());
    is_inside = is_watching_ = state != nullptr;
  }
  ~Entered() {
    if (is_watching_) is_inside = false;
  }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  explicit operator bool() const { return is_watching_; }

 private:
  std::unique_lock<std::mutex> lock_;
  bool is_watching_ = false;
};

long with_errno(int error, long result) {
  errno = error;
  return result;
}

/// Counts a call. 0: it is let through; else the error that it ends with, or -1 for half of it.
int fate_of(const char* call, const std::string& path) {
  state->calls.push_back(std::string(call) + " " + path);
  if (const char* log = std::getenv("BP_FAULT_LOG"); log != nullptr)  // at once: the program's end runs no destructors
    std::ofstream(log, std::ios::app) << state->calls.back() << '\n';
  for (const Fault& fault : state->plan.faults) {
    if (fault.at != std::ssize(state->calls)) continue;
    switch (fault.action) {
      case Action::io_error: return EIO;
      case Action::no_space: return ENOSPC;
      case Action::over_quota: return EDQUOT;
      case Action::interrupted: return EINTR;
      case Action::half: return -1;
      case Action::killed: kill(getpid(), SIGKILL); break;
      case Action::power_failure: lose_power();
    }
  }
  return 0;
}

/// Absolute and normal; "" where it is not under the watched directory.
std::string watched(int directory, const char* name) {
  fs::path path = name;
  if (path.is_relative())
    path =
        (directory == AT_FDCWD ? fs::current_path() : fs::read_symlink("/proc/self/fd/" + std::to_string(directory))) /
        path;
  constexpr std::string_view kDescriptors = "/proc/self/fd/";
  if (const std::string text = path; text.starts_with(kDescriptors)) {  // an open file, or a folder on the way to it
    const std::size_t end = std::min(text.find('/', kDescriptors.size()), text.size());
    std::error_code none;
    path = fs::read_symlink(text.substr(0, end), none).string() + text.substr(end);
  }
  std::string normal = path.lexically_normal().string();
  if (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return state->disk.covers(normal) ? normal : "";
}

std::shared_ptr<Node> watched(int descriptor) {
  const auto found = state->open.find(descriptor);
  return found == state->open.end() ? nullptr : found->second;
}

std::string name_of(int descriptor) {
  return fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor)).string();
}

int open_at(int directory, const char* name, int flags, mode_t mode) {
  const Entered entered;
  const auto really = [&] { return static_cast<int>(syscall(SYS_openat, directory, name, flags, mode)); };
  if (!entered) return really();
  const std::string path = watched(directory, name);
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
  if (path.empty() || !(writes || (flags & O_DIRECTORY) != 0)) return really();
  if (const int error = fate_of("open", path); error > 0) return static_cast<int>(with_errno(error, -1));
  const int descriptor = really();
  if (descriptor < 0) return descriptor;
  const int kept = errno;
  std::shared_ptr<Node> node = state->disk.find(path);
  if (!node) state->disk.link(path, node = std::make_shared<Node>());
  if ((flags & O_TRUNC) != 0) node->now.clear();
  state->open[descriptor] = node;
  errno = kept;
  return descriptor;
}

/// `really` makes the call with at most so many bytes; the bytes that it wrote went to where the offset, or the file's
/// own where that is -1, stood.
template <class Really>
ssize_t write_to(int descriptor, const char* data, std::size_t bytes, off_t offset, Really&& really) {
  const Entered entered;
  const std::shared_ptr<Node> node = entered ? watched(descriptor) : nullptr;
  if (!node) return really(bytes);
  const int fate = fate_of("write", name_of(descriptor));
  if (fate > 0) return with_errno(fate, -1);
  const ssize_t written = really(fate < 0 ? (bytes + 1) / 2 : bytes);
  if (written <= 0) return written;
  const int kept = errno;
  const off_t end = offset < 0 ? lseek(descriptor, 0, SEEK_CUR) : offset + written;
  SimulatedDisk::write(*node, static_cast<std::size_t>(end - written), data, static_cast<std::size_t>(written));
  errno = kept;
  return written;
}

/// Counted too, since a commit reads back what it wrote.
ssize_t read_from(int descriptor, void* data, std::size_t bytes, off_t offset) {
  const Entered entered;
  const auto really = [&](std::size_t part) {
    return static_cast<ssize_t>(syscall(SYS_pread64, descriptor, data, part, offset));
  };
  if (!entered || !watched(descriptor)) return really(bytes);
  const int fate = fate_of("read", name_of(descriptor));
  if (fate > 0) return with_errno(fate, -1);
  return really(fate < 0 ? (bytes + 1) / 2 : bytes);
}

/// Never passed on to the kernel: what survives is said by the simulated disk, and no test waits for a real one.
int sync(int descriptor) {
  const Entered entered;
  const std::shared_ptr<Node> node = entered ? watched(descriptor) : nullptr;
  if (!node) return 0;
  if (node->has_failed_sync) ++state->repeated_fsyncs;
  if (const int error = fate_of("fsync", name_of(descriptor)); error > 0) {
    node->has_failed_sync = !node->is_directory;
    return static_cast<int>(with_errno(error, -1));
  }
  SimulatedDisk::sync(*node);
  return 0;
}

int rename_at(int from_directory, const char* from_name, int to_directory, const char* to_name) {
  const Entered entered;
  const auto really = [&] {
    return static_cast<int>(syscall(SYS_renameat, from_directory, from_name, to_directory, to_name));
  };
  const std::string to = entered ? watched(to_directory, to_name) : "";
  if (to.empty()) return really();
  if (const int error = fate_of("rename", to); error > 0) return static_cast<int>(with_errno(error, -1));
  const std::string from = watched(from_directory, from_name);
  const int result = really();
  if (result == 0) state->disk.rename(from, to);
  return result;
}

int unlink_at(int directory, const char* name, int flags) {
  const Entered entered;
  const auto really = [&] { return static_cast<int>(syscall(SYS_unlinkat, directory, name, flags)); };
  const std::string path = entered ? watched(directory, name) : "";
  if (path.empty()) return really();
  if (const int error = fate_of("unlink", path); error > 0) return static_cast<int>(with_errno(error, -1));
  const int result = really();
  if (result == 0) state->disk.unlink(path);
  return result;
}

int make_directory(const char* name, mode_t mode) {
  const Entered entered;
  const auto really = [&] { return static_cast<int>(syscall(SYS_mkdir, name, mode)); };
  const std::string path = entered ? watched(AT_FDCWD, name) : "";
  if (path.empty()) return really();
  if (const int error = fate_of("mkdir", path); error > 0) return static_cast<int>(with_errno(error, -1));
  const int result = really();
  if (result != 0) return result;
  auto node = std::make_shared<Node>();
  node->is_directory = true;
  state->disk.link(path, node);
  return result;
}

int truncate_to(int descriptor, off_t length) {
  const Entered entered;
  const auto really = [&] { return static_cast<int>(syscall(SYS_ftruncate, descriptor, length)); };
  const std::shared_ptr<Node> node = entered ? watched(descriptor) : nullptr;
  if (!node) return really();
  if (const int error = fate_of("ftruncate", name_of(descriptor)); error > 0)
    return static_cast<int>(with_errno(error, -1));
  const int result = really();
  if (result == 0) node->now.resize(static_cast<std::size_t>(length), '\0');
  return result;
}

/// As on Linux, the descriptor is gone even where the call fails.
int close_it(int descriptor) {
  const Entered entered;
  const std::shared_ptr<Node> node = entered ? watched(descriptor) : nullptr;
  const int error = node ? fate_of("close", name_of(descriptor)) : 0;
  if (node) state->open.erase(descriptor);
  const int result = static_cast<int>(syscall(SYS_close, descriptor));
  return error > 0 ? static_cast<int>(with_errno(error, -1)) : result;
}

/// Of a child that keeps nothing of its parent's: not counted.
int close_many(unsigned first, unsigned last, int flags) {
  const Entered entered;
  if (entered)
    std::erase_if(state->open, [&](const auto& each) {
      const auto descriptor = static_cast<unsigned>(each.first);
      return first <= descriptor && descriptor <= last;
    });
  return static_cast<int>(syscall(SYS_close_range, first, last, flags));
}

std::optional<Action> action_of(const std::string& word) {
  const std::map<std::string, Action> words{{"io_error", Action::io_error},
                                            {"no_space", Action::no_space},
                                            {"over_quota", Action::over_quota},
                                            {"interrupted", Action::interrupted},
                                            {"half", Action::half},
                                            {"power_failure", Action::power_failure},
                                            {"killed", Action::killed}};
  const auto found = words.find(word);
  return found == words.end() ? std::nullopt : std::optional(found->second);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

[[gnu::constructor]] void arm_from_environment() {
  if (environment("BP_FAULT_DIRECTORY").empty()) return;
  Plan plan{.directory = environment("BP_FAULT_DIRECTORY"), .faults = {}, .seed = 0};
  if (const std::string at = environment("BP_FAULT_AT"); !at.empty()) {
    const std::optional<Action> action = action_of(environment("BP_FAULT_ACTION"));
    if (!action) std::fprintf(stderr, "BP_FAULT_ACTION is no action\n"), std::abort();
    plan.faults.push_back({std::atoi(at.c_str()), *action});
  }
  if (const std::string seed = environment("BP_FAULT_SEED"); !seed.empty())
    plan.seed = std::strtoull(seed.c_str(), nullptr, 10);
  arm(plan);
}

}  // namespace

void arm(const Plan& plan) {
  const std::lock_guard lock(mutex());
  is_inside = true;
  delete state;
  state = nullptr;
  state = new State(plan);
  is_inside = false;
}

std::vector<std::string> disarm() {
  const std::lock_guard lock(mutex());
  if (state == nullptr) return {};
  std::vector<std::string> calls = std::move(state->calls);
  delete state;
  state = nullptr;
  return calls;
}

void lose_power() {
  is_inside = true;
  state->disk.lose_power(state->plan.seed);
  for (;;) syscall(SYS_exit_group, kPowerFailed);  // nobody is asked, as the program asks who calls _exit
}

int repeated_fsyncs() {
  const std::lock_guard lock(mutex());
  return state == nullptr ? 0 : state->repeated_fsyncs;
}

}  // namespace backplane::fault

using namespace backplane::fault;

namespace {
mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}
}  // namespace

#define BP_OPEN_BODY(directory)                  \
  va_list arguments;                             \
  va_start(arguments, flags);                    \
  const mode_t mode = mode_of(flags, arguments); \
  va_end(arguments);                             \
  return open_at(directory, name, flags, mode)

extern "C" {

int open(const char* name, int flags, ...) {
  BP_OPEN_BODY(AT_FDCWD);
}
int open64(const char* name, int flags, ...) {
  BP_OPEN_BODY(AT_FDCWD);
}
int openat(int directory, const char* name, int flags, ...) {
  BP_OPEN_BODY(directory);
}
int openat64(int directory, const char* name, int flags, ...) {
  BP_OPEN_BODY(directory);
}
int __open_2(const char* name, int flags) {
  return open_at(AT_FDCWD, name, flags, 0);
}
int __open64_2(const char* name, int flags) {
  return open_at(AT_FDCWD, name, flags, 0);
}
int creat(const char* name, mode_t mode) {
  return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char* name, mode_t mode) {
  return creat(name, mode);
}

ssize_t write(int descriptor, const void* data, size_t bytes) {
  return write_to(descriptor, static_cast<const char*>(data), bytes, -1,
                  [&](std::size_t part) { return static_cast<ssize_t>(syscall(SYS_write, descriptor, data, part)); });
}
ssize_t pwrite(int descriptor, const void* data, size_t bytes, off_t offset) {
  return write_to(descriptor, static_cast<const char*>(data), bytes, offset, [&](std::size_t part) {
    return static_cast<ssize_t>(syscall(SYS_pwrite64, descriptor, data, part, offset));
  });
}
ssize_t pwrite64(int descriptor, const void* data, size_t bytes, off_t offset) {
  return pwrite(descriptor, data, bytes, offset);
}
ssize_t pread(int descriptor, void* data, size_t bytes, off_t offset) {
  return read_from(descriptor, data, bytes, offset);
}
ssize_t pread64(int descriptor, void* data, size_t bytes, off_t offset) {
  return read_from(descriptor, data, bytes, offset);
}
/// As one write of all the parts: a writev may end short as well.
ssize_t writev(int descriptor, const struct iovec* parts, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  return write(descriptor, all.data(), all.size());
}

int fsync(int descriptor) {
  return sync(descriptor);
}
int fdatasync(int descriptor) {
  return sync(descriptor);
}
int close(int descriptor) {
  return close_it(descriptor);
}
int close_range(unsigned first, unsigned last, int flags) {
  return close_many(first, last, flags);
}
int ftruncate(int descriptor, off_t length) {
  return truncate_to(descriptor, length);
}
int ftruncate64(int descriptor, off_t length) {
  return truncate_to(descriptor, length);
}

int rename(const char* from, const char* to) {
  return rename_at(AT_FDCWD, from, AT_FDCWD, to);
}
int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  return rename_at(from_directory, from, to_directory, to);
}
int unlink(const char* name) {
  return unlink_at(AT_FDCWD, name, 0);
}
int unlinkat(int directory, const char* name, int flags) {
  return unlink_at(directory, name, flags);
}
int rmdir(const char* name) {
  return unlink_at(AT_FDCWD, name, AT_REMOVEDIR);
}
int remove(const char* name) {
  const int result = unlink_at(AT_FDCWD, name, 0);
  return result != 0 && errno == EISDIR ? rmdir(name) : result;
}
int mkdir(const char* name, mode_t mode) {
  return make_directory(name, mode);
}

}  // extern "C"
