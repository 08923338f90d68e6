#include "sandbox/child_program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/sanitizers.h"

namespace backplane {

namespace {

/// A child's command line: this word, which begins like no subcommand, the job, its parent's number, what it is about.
constexpr const char* kFirstWord = ":child";
constexpr int kWords = 5;  // with the program's name

bool has_door = false;  // set before main starts a thread

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

void require(int error, const char* what) {
  if (error != 0) fail(error, what);
}

/// A copy with a number that is none of a child's own.
Descriptor moved_up(int descriptor) {
  Descriptor copy(::fcntl(descriptor, F_DUPFD_CLOEXEC, kChildFile + 1));
  if (!copy) fail(errno == EINVAL ? EMFILE : errno, "fcntl");  // the limit is below those numbers
  return copy;
}

/// What the kernel does between fork and exec. It does it without copying this process, and none of its threads.
class Spawn {
 public:
  Spawn() {
    require(::posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init");
    if (const int error = ::posix_spawnattr_init(&attributes_); error != 0) {
      ::posix_spawn_file_actions_destroy(&actions_);
      fail(error, "posix_spawnattr_init");
    }
  }
  ~Spawn() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;

  void open_as(int descriptor, int number) {
    require(::posix_spawn_file_actions_adddup2(&actions_, descriptor, number), "posix_spawn_file_actions_adddup2");
  }
  void close_from(int first) {
    require(::posix_spawn_file_actions_addclosefrom_np(&actions_, first), "posix_spawn_file_actions_addclosefrom_np");
  }
  void reset_signals() {
    sigset_t all;
    ::sigfillset(&all);
    require(::posix_spawnattr_setsigdefault(&attributes_, &all), "posix_spawnattr_setsigdefault");
    require(::posix_spawnattr_setsigmask(&attributes_, &all), "posix_spawnattr_setsigmask");
    require(::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK),
            "posix_spawnattr_setflags");
  }

  /// This program: the file that this process runs, also where another has taken its name since. Without /proc the
  /// kernel still says by which path it was started.
  pid_t start_this_program(char** words) const {
    pid_t process = 0;
    int error = ::posix_spawn(&process, "/proc/self/exe", &actions_, &attributes_, words, environ);
    if (error == ENOENT)
      if (const auto* path = reinterpret_cast<const char*>(::getauxval(AT_EXECFN)); path != nullptr)
        error = ::posix_spawn(&process, path, &actions_, &attributes_, words, environ);
    require(error, "posix_spawn");
    return process;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

/// Makes this process die with its parent, and without a core file, which would hold what it reads.
void follow(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before it could be watched
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
}

bool is_socket(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

StartedChild start_child(const ChildJob& job, const std::string& about, int file) {
  if (!has_door) throw InternalError("main has to call do_job_of_parent");
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail(errno, "socketpair");
  Descriptor here(ends[0]);
  const Descriptor there(ends[1]), connection = moved_up(there.number());
  const Descriptor handed_over = file >= 0 ? moved_up(file) : Descriptor();
  Spawn spawn;
  const Descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const Descriptor silence = null ? moved_up(null.number()) : Descriptor();
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (silence && !(kIsSanitized && stream == STDERR_FILENO)) spawn.open_as(silence.number(), stream);
  spawn.open_as(connection.number(), kChildConnection);
  if (handed_over) spawn.open_as(handed_over.number(), kChildFile);
  spawn.close_from(handed_over ? kChildFile + 1 : kChildFile);
  spawn.reset_signals();
  std::array<std::string, kWords> words{"backplane", kFirstWord, job.name, std::to_string(::getpid()), about};
  std::array<char*, kWords + 1> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();
  return {spawn.start_this_program(arguments.data()), std::move(here)};
}

void do_job_of_parent(int argc, char** argv, const std::vector<ChildJob>& table) {
  has_door = true;
  std::signal(SIGCHLD, SIG_DFL);  // where a parent left it ignored, the end of no child would be told
  if (argc != kWords || std::string_view(argv[1]) != kFirstWord || !is_socket(kChildConnection)) return;
  follow(std::atoi(argv[3]));
  for (const ChildJob& job : table)
    if (std::string_view(argv[2]) == job.name) job.work(argv[4]);
  ::_exit(static_cast<int>(ExitCode::internal));
}

}  // namespace backplane
