#include "sandbox/run_in_child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <new>

#include "base/sanitizers.h"
#include "base/system_error.h"
#include "sandbox/sandbox.h"

namespace backplane {

namespace {

constexpr bool kIsSanitized = BP_ADDRESS_SANITIZER || BP_THREAD_SANITIZER;

// On the pipe: pieces of a kind and a size, then the bytes. Both ends are one program: nothing is converted.
enum class Kind : std::int32_t { data, error, end };

void write_all(int fd, const void* from, std::size_t size) {
  const char* at = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t sent = write(fd, at, size);
    if (sent < 0 && errno != EINTR) _exit(1);  // the parent has gone
    if (sent <= 0) continue;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

void write_piece(int fd, Kind kind, const void* from, std::size_t size) {
  write_all(fd, &kind, sizeof kind);
  const auto count = static_cast<std::int64_t>(size);
  write_all(fd, &count, sizeof count);
  write_all(fd, from, size);
}

void send_error(int fd, ExitCode code, const Diagnostic& finding) {
  std::vector<std::string> texts{finding.place.source, finding.what, finding.path, finding.nearest, finding.hint};
  texts.insert(texts.end(), finding.known.begin(), finding.known.end());
  const std::int32_t numbers[]{static_cast<std::int32_t>(code), finding.place.line, finding.place.column,
                               static_cast<std::int32_t>(texts.size())};
  write_piece(fd, Kind::error, numbers, sizeof numbers);
  for (const std::string& text : texts) write_piece(fd, Kind::error, text.data(), text.size());
}

void bound(decltype(RLIMIT_AS) resource, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  setrlimit(resource, &limit);
}

/// Makes the child die with its parent, quietly, without core file and without the program's own signal handlers.
/// What a terminal or a batch system sends to both is the parent's to answer; of what the parent's threads have
/// blocked, the child needs SIGXCPU, its limit.
void become_child(const ChildLimits& limits, pid_t parent, int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it died before it could be watched
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(crash, SIG_DFL);
  for (const int request : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) std::signal(request, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  bound(RLIMIT_CORE, 0, 0);
  if (kIsSanitized) return;  // what it finds is to be seen
  std::vector<int> kept{pipe};
  if (limits.writes_to >= 0) kept.push_back(limits.writes_to);
  close_all_but(std::move(kept));
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const auto most = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE) + limits.memory);
  bound(RLIMIT_AS, most, most);
  const auto seconds = static_cast<rlim_t>(limits.cpu.count());
  if (seconds > 0) bound(RLIMIT_CPU, seconds, seconds + 1);
  enter_sandbox(limits.writes_to >= 0 ? Writing::yes : Writing::no);
}

[[noreturn]] void run_child(int fd, pid_t parent, const std::string& file, const ChildLimits& limits,
                            const std::function<void(ChildOutput&)>& work) {
  become_child(limits, parent, fd);
  const auto fail = [&](const char* why) {
    send_error(fd, ExitCode::bad_data, {.place = {.source = file}, .what = why});
  };
  ChildOutput output(fd);
  try {
    work(output);
    output.flush();
    write_piece(fd, Kind::end, nullptr, 0);
  } catch (const UserError& error) {
    output.flush();
    send_error(fd, error.code(), error.diagnostics().front());
  } catch (const std::bad_alloc&) {
    fail("reading it takes more memory than the limit");
  } catch (const std::exception& error) {
    fail(error.what());
  }
  _exit(0);  // the parent's exit handlers are not the child's to run
}

/// Owns the child and the pipe from it.
class Child : public ChildInput {
 public:
  Child(const std::string& file, const ChildLimits& limits, const std::function<void(ChildOutput&)>& work)
      : file_(file), limits_(limits), room_(static_cast<std::uint64_t>(limits.most_sent)) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail_to_start();
    std::fflush(nullptr);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);  // so that writing fails where the parent has gone
      run_child(ends[1], parent, file, limits, work);
    }
    if (pid_ < 0) {
      const int reason = errno;
      for (const int end : ends) close(end);
      errno = reason;
      fail_to_start();
    }
    close(ends[1]);
    fd_ = ends[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() override {
    if (fd_ >= 0) close(fd_);
    if (pid_ > 0) end();
  }

  void bytes(void* to, std::size_t size) override {
    require_room(size);
    room_ -= size;
    char* at = static_cast<char*>(to);
    while (size > 0) {
      if (left_ == 0) next_piece();
      const std::size_t now = std::min<std::size_t>(size, left_);
      take(at, now);
      left_ -= now;
      at += now;
      size -= now;
    }
  }

  void require_room(std::uint64_t size) override {
    if (size > room_) fail("more comes out of it than a file of its size can hold: it is damaged");
  }

  /// Nothing more is expected: throws what the child threw at the end.
  void finish() {
    if (left_ != 0 || next_kind() != Kind::end) fail("its reader sent more than was asked for");
  }

 private:
  [[noreturn]] void fail_to_start() const {
    throw UserError(ExitCode::io, fmt::format("no process could be started to read '{}': {}", file_, reason_of(errno)),
                    remedy_of(errno));
  }
  [[noreturn]] void fail(std::string why) const {
    throw UserError(ExitCode::bad_data, Diagnostic{.place = {.source = file_}, .what = std::move(why)});
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

  /// Patience is counted in seconds that this process lived through: one in which it was stopped, with its child, by a
  /// terminal or a debugger counts as one, however long.
  void wait_for_bytes() {
    pollfd waiting{fd_, POLLIN, 0};
    for (auto waited = limits_.patience.zero(); waited < limits_.patience;) {
      const int ready = poll(&waiting, 1, 1000);
      if (ready > 0) return;
      if (ready == 0 || errno != EINTR) ++waited;
    }
    end();
    fail(
        fmt::format("the HDF5 library made no progress on it for {} s: the file is damaged", limits_.patience.count()));
  }

  /// The pipe ended too early: the child died.
  [[noreturn]] void fail_crashed() {
    siginfo_t info{};
    while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    const int status = end();
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
      fail(fmt::format("reading it takes more than {} s of computing: the file is damaged", limits_.cpu.count()));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
      fail(
          "reading it would have started a program or opened a network (SIGSYS): the file is damaged, or made to harm");
    // Nothing that a file makes its reader do: somebody, or the kernel short of memory, ended it.
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGINT))
      throw UserError(ExitCode::io, Diagnostic{.place = {.source = file_},
                                               .what = fmt::format("the process that read it was killed (SIG{})",
                                                                   sigabbrev_np(WTERMSIG(status)))});
    const std::string how = WIFSIGNALED(status) ? fmt::format("signal SIG{}", sigabbrev_np(WTERMSIG(status)))
                                                : fmt::format("exit status {}", WEXITSTATUS(status));
    fail(fmt::format("the HDF5 library crashed on it ({}): the file is damaged", how));
  }

  void take(void* to, std::size_t size) {
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

  /// Reads the head of a piece into left_. Throws where it is the child's error.
  Kind next_kind() {
    Kind kind{};
    std::int64_t size = 0;
    take(&kind, sizeof kind);
    take(&size, sizeof size);
    left_ = static_cast<std::size_t>(size);
    if (kind == Kind::error) throw_childs_error();
    return kind;
  }
  void next_piece() {
    if (next_kind() != Kind::data || left_ == 0) fail("its reader ended too early");
  }

  [[noreturn]] void throw_childs_error() {
    std::int32_t numbers[4]{};
    take(numbers, sizeof numbers);
    std::vector<std::string> texts;
    std::size_t room = 1 << 20;
    for (std::int32_t i = 0; i < numbers[3]; ++i) {
      Kind kind{};
      std::int64_t size = 0;
      take(&kind, sizeof kind);
      take(&size, sizeof size);
      if (size < 0 || static_cast<std::size_t>(size) + sizeof(std::string) > room)
        fail("its reader sent no readable error");
      room -= static_cast<std::size_t>(size) + sizeof(std::string);
      texts.emplace_back(static_cast<std::size_t>(size), '\0');
      take(texts.back().data(), texts.back().size());
    }
    if (texts.size() < 5) fail("its reader sent no readable error");
    throw UserError(static_cast<ExitCode>(numbers[0]),
                    Diagnostic{.place = {.source = texts[0], .line = numbers[1], .column = numbers[2]},
                               .what = texts[1],
                               .path = texts[2],
                               .nearest = texts[3],
                               .known = {texts.begin() + 5, texts.end()},
                               .hint = texts[4]});
  }

  std::string file_;
  ChildLimits limits_;
  std::uint64_t room_;
  std::size_t left_ = 0;  ///< bytes of the piece that runs
  pid_t pid_ = -1;
  int fd_ = -1;
};

}  // namespace

void ChildOutput::bytes(const void* from, std::size_t size) {
  constexpr std::size_t kPiece = 1 << 16;
  const char* begin = static_cast<const char*>(from);
  if (waiting_.size() + size > kPiece) flush();
  if (size > kPiece)
    write_piece(fd_, Kind::data, begin, size);
  else
    waiting_.insert(waiting_.end(), begin, begin + size);
}

void ChildOutput::text(std::string_view value) {
  number(static_cast<std::int64_t>(value.size()));
  bytes(value.data(), value.size());
}

void ChildOutput::flush() {
  if (!waiting_.empty()) write_piece(fd_, Kind::data, waiting_.data(), waiting_.size());
  waiting_.clear();
}

std::string ChildInput::text() {
  const auto size = static_cast<std::uint64_t>(number<std::int64_t>());
  require_room(size);
  std::string value(size, '\0');
  bytes(value.data(), value.size());
  return value;
}

void run_in_child(const std::string& file, const ChildLimits& limits, const std::function<void(ChildOutput&)>& work,
                  const std::function<void(ChildInput&)>& receive) {
  Child child(file, limits, work);
  receive(child);
  child.finish();
}

}  // namespace backplane
