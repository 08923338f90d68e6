#include "data/isolation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <new>
#include <string_view>

namespace backplane {

namespace {

// What the child sends: an ExitCode as int32, then for `ok` the tables (a count; per table the type, the extents, the
// elements), else the text and hint of the error. Counts are int64. Both ends are one program: nothing is converted.
constexpr std::size_t kMostAxes = 32;

class Sender {
 public:
  explicit Sender(int fd) : fd_(fd) {}

  void bytes(const void* from, std::size_t size) {
    const char* at = static_cast<const char*>(from);
    while (size > 0) {
      const ssize_t sent = write(fd_, at, size);
      if (sent < 0 && errno != EINTR) _exit(1);  // the parent has gone
      if (sent <= 0) continue;
      at += sent;
      size -= static_cast<std::size_t>(sent);
    }
  }
  template <class T>
  void number(T value) {
    bytes(&value, sizeof value);
  }
  void text(std::string_view value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes(value.data(), value.size());
  }
  void table(const Table& table) {
    number(static_cast<std::int64_t>(table.values.index()));
    number(static_cast<std::int64_t>(table.dims.size()));
    for (const std::int64_t extent : table.dims) number(extent);
    std::visit([this](const auto& values) { bytes(values.data(), values.size() * sizeof(values[0])); }, table.values);
  }
  void error(ExitCode code, std::string_view what, std::string_view hint = {}) {
    number(static_cast<std::int32_t>(code));
    text(what);
    text(hint);
  }

 private:
  int fd_;
};

/// The child's memory: what this process has mapped already, and room for one table and the library's buffers.
void bound_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const auto most = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE) + kMostBytes + (std::int64_t{2} << 30));
  const rlimit limit{most, most};
  setrlimit(RLIMIT_AS, &limit);
#endif
}

/// Makes the child die with its parent, quietly, without core file and without the program's own signal handlers.
void become_child() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGINT}) std::signal(crash, SIG_DFL);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (const int null = open("/dev/null", O_WRONLY); null >= 0) dup2(null, STDERR_FILENO);
  bound_memory();
}

[[noreturn]] void run_child(int fd, const std::function<std::vector<Table>()>& read) {
  become_child();
  Sender sender(fd);
  try {
    const std::vector<Table> tables = read();
    sender.number(static_cast<std::int32_t>(ExitCode::ok));
    sender.number(static_cast<std::int64_t>(tables.size()));
    for (const Table& table : tables) sender.table(table);
  } catch (const UserError& error) {
    const Diagnostic& first = error.diagnostics().front();
    sender.error(error.code(), first.what, first.hint);
  } catch (const std::bad_alloc&) {
    sender.error(ExitCode::bad_data, "reading it takes more memory than the limit");
  } catch (const std::exception& error) {
    sender.error(ExitCode::bad_data, error.what());
  }
  _exit(0);  // the parent's exit handlers are not the child's to run
}

/// Owns the child and the pipe from it.
class Child {
 public:
  Child(const std::string& file, const std::function<std::vector<Table>()>& read, std::chrono::seconds patience)
      : origin_(Origin::file(file)), patience_(patience) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail_to_start();
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ == 0) run_child(ends[1], read);
    close(ends[1]);
    fd_ = ends[0];
    if (pid_ < 0) fail_to_start();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (fd_ >= 0) close(fd_);
    if (pid_ > 0) end();
  }

  std::vector<Table> receive() {
    const auto code = static_cast<ExitCode>(number<std::int32_t>());
    if (code != ExitCode::ok) {
      const std::string what = text();
      throw UserError(
          code,
          Diagnostic{.place = origin_.place, .what = what, .path = {}, .nearest = {}, .known = {}, .hint = text()});
    }
    std::vector<Table> tables(static_cast<std::size_t>(number<std::int64_t>()));
    for (Table& table : tables) table = receive_table();
    return tables;
  }

 private:
  [[noreturn]] void fail_to_start() const {
    throw UserError(ExitCode::io, fmt::format("no process could be started to read '{}': {}", origin_.place.source,
                                              std::strerror(errno)));
  }

  /// Kills the child where it still runs, and returns its wait status.
  int end() {
    int status = 0;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

  void wait_for_bytes() {
    pollfd waiting{fd_, POLLIN, 0};
    int ready = -1;
    while ((ready = poll(&waiting, 1, static_cast<int>(patience_.count()) * 1000)) < 0 && errno == EINTR) {
    }
    if (ready > 0) return;
    end();
    origin_.fail(
        fmt::format("the HDF5 library made no progress on it for {} s: the file is damaged", patience_.count()));
  }

  /// The pipe ended too early: the child died.
  [[noreturn]] void fail_crashed() {
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
    const int status = end();
    const std::string how = WIFSIGNALED(status) ? fmt::format("signal SIG{}", sigabbrev_np(WTERMSIG(status)))
                                                : fmt::format("exit status {}", WEXITSTATUS(status));
    origin_.fail(fmt::format("the HDF5 library crashed on it ({}): the file is damaged", how));
  }

  void bytes(void* to, std::size_t size) {
    char* at = static_cast<char*>(to);
    while (size > 0) {
      wait_for_bytes();
      const ssize_t got = read(fd_, at, size);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) fail_crashed();
      at += got;
      size -= static_cast<std::size_t>(got);
    }
  }
  template <class T>
  T number() {
    T value{};
    bytes(&value, sizeof value);
    return value;
  }
  std::string text() {
    std::string value(static_cast<std::size_t>(number<std::int64_t>()), '\0');
    bytes(value.data(), value.size());
    return value;
  }
  template <class T>
  std::vector<T> elements(const Shape& dims) {
    std::vector<T> values(static_cast<std::size_t>(table_bytes(origin_, dims, sizeof(T))) / sizeof(T));
    bytes(values.data(), values.size() * sizeof(T));
    return values;
  }
  Table receive_table() {
    Table table{{}, {}, origin_};
    const auto type = number<std::int64_t>();
    const auto axes = static_cast<std::size_t>(number<std::int64_t>());
    BP_ASSERT(axes <= kMostAxes);
    for (std::size_t axis = 0; axis < axes; ++axis) table.dims.push_back(number<std::int64_t>());
    switch (type) {
      case 0:
        table.values = elements<std::uint8_t>(table.dims);
        break;
      case 1:
        table.values = elements<float>(table.dims);
        break;
      case 2:
        table.values = elements<double>(table.dims);
        break;
      default:
        table.values = elements<std::int64_t>(table.dims);
    }
    return table;
  }

  Origin origin_;
  std::chrono::seconds patience_;
  pid_t pid_ = -1;
  int fd_ = -1;
};

}  // namespace

std::vector<Table> read_in_child(const std::string& file, const std::function<std::vector<Table>()>& read,
                                 std::chrono::seconds patience) {
  return Child(file, read, patience).receive();
}

}  // namespace backplane
