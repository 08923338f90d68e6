#include "run/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <system_error>
#include <vector>

#include "base/system_error.h"
#include "checkpoint/store.h"
#include "files/atomic_write.h"
#include "files/file_lock.h"
#include "files/open_file.h"
#include "files/paths.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLockName = "run.lock";
constexpr const char* kElsewhere = "choose another directory with --out";

[[noreturn]] void fail(const fs::path& directory, const std::string& why, const std::string& hint) {
  throw UserError(ExitCode::io, fmt::format("{}: {}", directory.string(), why), hint);
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/// Of a file that could not be opened: another directory, unless it is the process that may open no more.
std::string remedy_of_elsewhere(int error) {
  return error == EMFILE || error == ENFILE ? remedy_of(error) : kElsewhere;
}

/// The lock file, locked, or why it is not.
struct Lock {
  OpenedFile opened;
  int error = 0;  ///< of a file that is there and could not be locked
};

/// Made for its owner alone: nobody else is to take the lock, or to hold one that stands in its way.
Lock open_lock(const fs::path& directory, int flags) {
  constexpr unsigned kOwnerOnly = 0600;
  const fs::path path = directory / kLockName;
  Lock lock{.opened = open_regular(path.string(), Links::refuse, flags, kOwnerOnly)};
  if (!lock.opened) return lock;
  const int descriptor = lock.opened.file.number();
  // The directory may have been moved between the two calls: then the lock is on a file that stands elsewhere by now.
  struct stat opened {
  }, named{};
  const bool is_to_be_read = (flags & O_ACCMODE) == O_RDONLY;
  lock.error = is_to_be_read ? lock_against_writers(lock.opened.file) : lock_exclusively(lock.opened.file);
  const bool is_here =
      ::fstat(descriptor, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && is_same(opened, named);
  if (lock.error == 0 && !is_here) lock.error = EAGAIN;
  if (lock.error == 0 && !is_to_be_read && (opened.st_mode & 0777) != kOwnerOnly) ::fchmod(descriptor, kOwnerOnly);
  return lock;
}

[[noreturn]] void fail_locked(const fs::path& directory, int error, const std::string& remedy) {
  if (error == EAGAIN) fail(directory, "another run is writing here", remedy);
  fail(directory, fmt::format("{} cannot be locked: {}", kLockName, reason_of(error)),
       "choose a directory on a file system that has locks with --out");
}

/// The lock of an earlier run; throws where what stands there is none of ours or still at work. With O_RDONLY it keeps
/// no reader out.
Descriptor lock_earlier(const fs::path& directory, int flags = O_RDWR) {
  Lock lock = open_lock(directory, flags);
  if (lock.error != 0) fail_locked(directory, lock.error, "wait for it, or choose another directory with --out");
  if (lock.opened.is_missing)
    fail(directory, "is not empty and holds no run", "choose another directory with --out; nothing of it was touched");
  if (!lock.opened)
    fail(directory, fmt::format("{} {}", kLockName, lock.opened.why), remedy_of_elsewhere(lock.opened.error));
  return std::move(lock.opened.file);
}

/// What would be read or written through links that somebody else may have laid is refused before anything is touched.
void require_no_links(const fs::path& directory) {
  for (const std::string& name : RunDirectory::files()) require_regular_or_nothing((directory / name).string());
  const fs::path checkpoints = directory / "checkpoints";
  require_directory_or_nothing(checkpoints.string());
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(checkpoints, missing))
    if (CheckpointStore::is_ours(entry.path().filename().string()) && !fs::is_directory(entry.symlink_status()))
      require_regular_or_nothing(entry.path().string());
}

/// Moves an earlier run away.
std::string move_aside(const fs::path& directory) {
  const Descriptor lock = lock_earlier(directory);
  if (directory.filename() == "." || directory.filename() == "..")
    fail(directory, "the earlier run there cannot be moved aside by that name, which stands for whatever is here",
         "`cd` out of it and name it with --out, or choose another directory");
  std::string target = free_name(directory.string());
  std::error_code error;
  fs::rename(directory, target, error);
  if (error)
    fail(directory, fmt::format("the earlier run cannot be moved to {}: {}", target, reason_of(error.value())),
         kElsewhere);
  return target;
}

/// A link to another disk stays one, and the runs stay on that disk.
fs::path without_links(const fs::path& given) {
  std::error_code error;
  const fs::path path = without_dots(end_of_links(given, error));
  if (error) fail(given, reason_of(error.value()), kElsewhere);
  return path;
}

}  // namespace

RunDirectory::RunDirectory(const std::string& directory, Earlier earlier) : directory_(without_dots(directory)) {
  const fs::path real = without_links(directory_);
  std::error_code error;
  const fs::file_status status = fs::status(real, error);
  if (!fs::status_known(status)) fail(directory_, reason_of(error.value()), kElsewhere);
  require_no_file(directory_.string());
  if (fs::is_directory(status) && !fs::is_empty(real, error) && !error) {
    if (earlier == Earlier::go_on) {
      is_read_only_ = ::access(real.c_str(), W_OK) != 0 && errno == EROFS;
      hold(real);
      lock_ = lock_earlier(directory_, is_read_only_ ? O_RDONLY : O_RDWR);
      require_held();
      require_no_links(directory_);
      return;
    }
    moved_aside_ = move_aside(real);
  }
  make_directories_durably(real.string());
  hold(real);
  Lock lock = open_lock(directory_, O_RDWR | O_CREAT);
  if (lock.error != 0) fail_locked(directory_, lock.error, "choose another directory with --out");
  if (!lock.opened)
    fail(directory_, fmt::format("{} {}", kLockName, lock.opened.why), remedy_of_elsewhere(lock.opened.error));
  lock_ = std::move(lock.opened.file);
  require_held();
  // Before any other file of the run: what is found without it after a loss of power would be taken for a stranger's.
  sync_directory(directory_.string());
}

void RunDirectory::hold(const fs::path& real) {
  held_ = Descriptor(::open(real.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!held_) throw system_error(ExitCode::io, directory_.string(), "cannot be opened", errno);
  place_ = name_of_descriptor(held_.number(), directory_.string());
}

bool RunDirectory::is_held_by(const std::string& path) const {
  struct stat held {
  }, named{};
  return ::fstat(held_.number(), &held) == 0 && ::stat(path.c_str(), &named) == 0 && is_same(held, named);
}

std::string RunDirectory::text() const {
  std::error_code unknown;
  const std::string moved = is_held_by(directory_) ? "" : fs::read_symlink(place_, unknown).string();
  return !moved.empty() && is_held_by(moved) ? moved : directory_.string();
}

std::string RunDirectory::spelled_out(const std::string& message) const {
  if (place_ == directory_) return message;
  std::string text = message;
  const std::string place = place_.string(), name = this->text();
  for (std::size_t at = 0; (at = text.find(place, at)) != std::string::npos;) {
    const std::size_t end = at + place.size();
    const bool is_whole = end == text.size() || std::isdigit(static_cast<unsigned char>(text[end])) == 0;
    if (is_whole) text.replace(at, place.size(), name);
    at += is_whole ? name.size() : place.size();
  }
  return text;
}

UserError RunDirectory::spelled_out(const UserError& error) const {
  std::vector<Diagnostic> findings = error.diagnostics();
  for (Diagnostic& finding : findings)
    for (std::string* text : {&finding.place.source, &finding.what, &finding.hint}) *text = spelled_out(*text);
  return {error.code(), std::move(findings)};
}

void RunDirectory::require_held() const {
  struct stat locked {
  }, named{};
  if (::fstat(lock_.number(), &locked) == 0 && ::lstat(path(kLockName).c_str(), &named) == 0 && is_same(locked, named))
    return;
  fail(directory_, fmt::format("the run directory, or its {}, was removed while this run was writing there", kLockName),
       "nothing that it writes from now on would be found, so it ends; to move a run directory does no harm");
}

void RunDirectory::require_writable() const {
  if (is_read_only_)
    fail(directory_, reason_of(EROFS), "copy the run to a disk that can be written, and go on with it there (--out)");
}

void RunDirectory::require_no_file(const std::string& directory) {
  struct stat there {};
  if (::stat(directory.c_str(), &there) == 0 && !S_ISDIR(there.st_mode))
    fail(directory, fmt::format("is {}, not a directory", noun_of(there.st_mode)), kElsewhere);
}

void RunDirectory::require_outside(const std::string& directory, const std::string& word, const std::string& path) {
  std::error_code unknown;
  const fs::path real = without_dots(end_of_links(directory, unknown));
  if (is_inside(path, directory) || is_inside(path, free_name(real.string())))
    throw UserError(ExitCode::usage,
                    fmt::format("{}: lies in the run directory, which holds what the run itself writes", path),
                    fmt::format("name a file elsewhere with {}", word));
}

const std::set<std::string>& RunDirectory::files() {
  static const std::set<std::string> names = {"config.yaml", "metrics.jsonl", "trace.h5", "summary.json",
                                              "generated.txt"};
  return names;
}

bool RunDirectory::holds_run(const fs::path& directory) {
  std::error_code unknown;
  return fs::exists(directory / kLockName, unknown);
}

bool RunDirectory::is_file_of_run(const std::string& path) {
  const fs::path file = resolved_path(path);
  const fs::path folder = file.parent_path();
  const std::string name = file.filename().string();
  return ((files().contains(name) || name == kLockName) && holds_run(folder)) ||
         (CheckpointStore::is_ours(name) && folder.filename() == "checkpoints" && holds_run(folder.parent_path()));
}

}  // namespace backplane
