#include "sandbox/run_in_child.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <new>
#include <system_error>

#include "base/sanitizers.h"
#include "base/system_error.h"
#include "sandbox/sandbox.h"

namespace backplane {

namespace {

/// Before the request: what the child has to know before it meets the file.
struct Terms {
  ChildLimits limits;
  Writing writing;
};

// From the child: pieces of a kind and a size, then the bytes. `begun` is the first one: what ends the child before it
// is not the file's doing.
enum class Kind : std::int32_t { begun, data, error, end };

// The child's side.

void write_all(const void* from, std::size_t size) {
  const char* at = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t sent = ::write(kChildConnection, at, size);
    if (sent < 0 && errno != EINTR) ::_exit(1);  // the parent has gone
    if (sent <= 0) continue;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

void write_piece(Kind kind, const void* from, std::size_t size) {
  write_all(&kind, sizeof kind);
  const auto count = static_cast<std::int64_t>(size);
  write_all(&count, sizeof count);
  write_all(from, size);
}

void send_error(ExitCode code, const Diagnostic& finding) {
  std::vector<std::string> texts{finding.place.source, finding.what, finding.path, finding.nearest, finding.hint};
  texts.insert(texts.end(), finding.known.begin(), finding.known.end());
  const std::int32_t numbers[]{static_cast<std::int32_t>(code), finding.place.line, finding.place.column,
                               static_cast<std::int32_t>(texts.size())};
  write_piece(Kind::error, numbers, sizeof numbers);
  for (const std::string& text : texts) write_piece(Kind::error, text.data(), text.size());
}

class Answer : public ByteWriter {
  void send(const void* from, std::size_t size) override { write_piece(Kind::data, from, size); }
};

/// Where the parent has gone, the child ends.
class Request : public ByteReader {
 public:
  void bytes(void* to, std::size_t size) override {
    char* at = static_cast<char*>(to);
    while (size > 0) {
      const ssize_t got = ::read(kChildConnection, at, size);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) ::_exit(1);
      at += got;
      size -= static_cast<std::size_t>(got);
    }
  }
  void require_room(std::uint64_t) override {}  // it comes from this program
};

void bound(decltype(RLIMIT_AS) resource, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  ::setrlimit(resource, &limit);
}

/// What a terminal or a batch system sends to both is the parent's to answer. A write that cannot be made fails.
void take_signals() {
  for (const int request : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) std::signal(request, SIG_IGN);
  for (const int failure : {SIGPIPE, SIGXFSZ}) std::signal(failure, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void accept(const Terms& terms) {
  take_signals();
  if (kIsSanitized) return;  // what it finds is to be seen
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const auto most = static_cast<rlim_t>(pages * ::sysconf(_SC_PAGESIZE) + terms.limits.memory);
  bound(RLIMIT_AS, most, most);
  const auto seconds = static_cast<rlim_t>(terms.limits.cpu.count());
  if (seconds > 0) bound(RLIMIT_CPU, seconds, seconds + 1);
  enter_sandbox(terms.writing);
}

}  // namespace

void answer_parent(const std::string& file, Reading reading) {
  Request request;
  accept(request.number<Terms>());
  write_piece(Kind::begun, nullptr, 0);
  const auto fail = [&](const char* why) { send_error(ExitCode::bad_data, {.place = {.source = file}, .what = why}); };
  Answer answer;
  try {
    reading(request, answer);
    answer.flush();
    write_piece(Kind::end, nullptr, 0);
  } catch (const UserError& error) {
    answer.flush();
    send_error(error.code(), error.diagnostics().front());
  } catch (const std::bad_alloc&) {
    fail("reading it takes more memory than the limit");
  } catch (const std::exception& error) {
    fail(error.what());
  }
  ::_exit(0);  // there is nothing to be put away
}

namespace {

// The parent's side.

/// Owns the child and the connection to it.
class Child : public ByteReader {
 public:
  Child(const std::string& file, const ChildLimits& limits, const ChildJob& job, int writes_to)
      : file_(file), limits_(limits), room_(static_cast<std::uint64_t>(limits.most_sent)) {
    try {
      StartedChild started = start_child(job, file, writes_to);
      pid_ = started.process;
      connection_ = std::move(started.connection);
    } catch (const std::system_error& error) {
      fail_to_start(reason_of(error.code().value()), remedy_of(error.code().value()));
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() override {
    if (pid_ > 0) end();
  }

  /// Sends so much of the request. Where the child is no more, it will be seen when its answer is read.
  void send(const void* from, std::size_t size) {
    const char* at = static_cast<const char*>(from);
    while (size > 0) {
      wait_for(POLLOUT);
      const ssize_t sent = ::send(connection_.number(), at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (sent < 0) return;
      at += sent;
      size -= static_cast<std::size_t>(sent);
    }
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

  /// Waits until the child has met its terms and looks at the request.
  void wait_for_begin() {
    if (next_kind() != Kind::begun) fail_to_start("it is another program");
    has_begun_ = true;
  }

  /// Nothing more is expected: throws what the child threw at the end.
  void finish() {
    if (left_ != 0 || next_kind() != Kind::end) fail("its reader sent more than was asked for");
  }

 private:
  [[noreturn]] void fail_to_start(const std::string& why, const std::string& remedy = {}) const {
    throw UserError(ExitCode::io, fmt::format("no process could be started to read '{}': {}", file_, why), remedy);
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
  void wait_for(short event) {
    pollfd waiting{connection_.number(), event, 0};
    for (auto waited = limits_.patience.zero(); waited < limits_.patience;) {
      const int ready = ::poll(&waiting, 1, 1000);
      if (ready > 0) return;
      if (ready == 0 || errno != EINTR) ++waited;
    }
    end();
    if (!has_begun_) fail_to_start(fmt::format("it did not begin within {} s", limits_.patience.count()));
    fail(
        fmt::format("the HDF5 library made no progress on it for {} s: the file is damaged", limits_.patience.count()));
  }

  /// The connection ended too early: the child died.
  [[noreturn]] void fail_crashed() {
    siginfo_t info{};
    while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    const int status = end();
    const std::string how = WIFSIGNALED(status) ? fmt::format("signal SIG{}", sigabbrev_np(WTERMSIG(status)))
                                                : fmt::format("exit status {}", WEXITSTATUS(status));
    if (!has_begun_) fail_to_start(fmt::format("it ended as it began ({})", how));
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
    fail(fmt::format("the HDF5 library crashed on it ({}): the file is damaged", how));
  }

  void take(void* to, std::size_t size) {
    char* at = static_cast<char*>(to);
    while (size > 0) {
      wait_for(POLLIN);
      const ssize_t got = ::read(connection_.number(), at, size);
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
  bool has_begun_ = false;
  Descriptor connection_;
};

class RequestToChild : public ByteWriter {
 public:
  explicit RequestToChild(Child& child) : child_(child) {}

 private:
  void send(const void* from, std::size_t size) override { child_.send(from, size); }
  Child& child_;
};

}  // namespace

void run_in_child(const std::string& file, const ChildLimits& limits, const ChildJob& job,
                  const std::function<void(ByteWriter&)>& ask, const std::function<void(ByteReader&)>& receive,
                  int writes_to) {
  Child child(file, limits, job, writes_to);
  RequestToChild request(child);
  request.number(Terms{limits, writes_to >= 0 ? Writing::yes : Writing::no});
  ask(request);
  request.flush();
  child.wait_for_begin();
  receive(child);
  child.finish();
}

}  // namespace backplane
