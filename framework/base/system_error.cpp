#include "base/system_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>

namespace backplane {

namespace {

constexpr const char* kRoom = "make room on that disk";
constexpr const char* kDisk = "the disk or the network that it is on failed: the kernel's log (dmesg) says more";

struct Meaning {
  int error;
  const char* reason;
  const char* remedy;
  ExitCode reading = ExitCode::io;
};

constexpr Meaning kMeanings[] = {
    {ENOENT, "there is no such file or directory", "", ExitCode::no_input},
    {EACCES, "permission denied", "the file, and every folder on the way to it, must be open to you (`namei -l PATH`)",
     ExitCode::no_input},
    {EPERM, "permission denied", "the file belongs to somebody else, or its file system forbids it",
     ExitCode::no_input},
    {ENOTDIR, "a part of the path is a file, not a directory", "", ExitCode::no_input},
    {EISDIR, "it is a directory", "name a file in it", ExitCode::no_input},
    {ENAMETOOLONG, "the path is longer than the file system takes", "a name may have 255 bytes, a path 4095",
     ExitCode::no_input},
    {ELOOP, "symbolic links lead in a circle", "`readlink` on each part of the path shows where", ExitCode::no_input},
    {ENXIO, "there is nothing behind that device or socket", "", ExitCode::no_input},
    {EROFS, "the file system is mounted read-only", "choose a place on another disk"},
    {ENOSPC, "the disk is full", kRoom},
    {EDQUOT, "your quota of that disk is used up", kRoom},
    {EFBIG, "it would be larger than a file may be here", "the limit is the file system's, or `ulimit -f`"},
    {EMFILE, "too many files are open in this process", "`ulimit -n` shows and raises the limit"},
    {ENFILE, "too many files are open on this machine", "close other programs, or raise fs.file-max"},
    {ENOMEM, "the machine is out of memory", "a smaller batch, network or data set needs less"},
    {EAGAIN, "the system has nothing to spare for it at the moment",
     "`ulimit -u` and the container's limit of processes (pids) bound threads and processes, `ulimit -v` their memory"},
    {EBUSY, "something else is using it", ""},
    {ETXTBSY, "it is a program that is running", ""},
    {EIO, "input or output failed", kDisk},
    {ESTALE, "the network file system lost it", kDisk},
    {ENOLCK, "the file system offers no locks", "choose a place on a local disk"},
};

const Meaning* meaning_of(int error) {
  const Meaning* found = std::ranges::find(kMeanings, error, &Meaning::error);
  return found == std::end(kMeanings) ? nullptr : found;
}

}  // namespace

std::string reason_of(int error) {
  if (const Meaning* meaning = meaning_of(error)) return meaning->reason;
  const char* name = ::strerrorname_np(error);
  return fmt::format("{} ({})", std::strerror(error), name == nullptr ? std::to_string(error) : name);
}

std::string remedy_of(int error) {
  const Meaning* meaning = meaning_of(error);
  return meaning == nullptr ? "" : meaning->remedy;
}

std::string remedy_of_writing(int error) {
  const bool is_of_reading = error == EACCES || error == ENOENT || remedy_of(error).empty();
  return is_of_reading ? "check free space and permissions of that directory" : remedy_of(error);
}

ExitCode code_of_reading(int error) {
  const Meaning* meaning = meaning_of(error);
  return meaning == nullptr ? ExitCode::io : meaning->reading;
}

UserError system_error(ExitCode code, const std::string& path, std::string_view what, int error) {
  return {code, fmt::format("{}: {}: {}", path, what, reason_of(error)), remedy_of(error)};
}

UserError cannot_read(const std::string& path, int error) {
  return system_error(code_of_reading(error), path, "cannot be read", error);
}

UserError system_error(const std::system_error& error) {
  const std::error_category& category = error.code().category();
  if (category != std::generic_category() && category != std::system_category())
    return {ExitCode::io, std::string("the system refused what the program needs: ") + error.what()};
  const int number = error.code().value();
  if (const auto* of_file = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
    return system_error(ExitCode::io, of_file->path1().string(), "the system refused", number);
  return {ExitCode::io, "the system refused what the program needs: " + reason_of(number), remedy_of(number)};
}

}  // namespace backplane
