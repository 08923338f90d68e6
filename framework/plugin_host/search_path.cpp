#include "plugin_host/search_path.h"

#include <fmt/format.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/printable.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

/// The program's own file, "" where that cannot be known. Without /proc the kernel still says by which path it was
/// started.
fs::path program_file() {
  std::error_code error;
  if (const fs::path program = fs::read_symlink("/proc/self/exe", error); program.is_absolute()) return program;
  const auto* started = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  if (started == nullptr) return {};
  const fs::path program = fs::canonical(started, error);
  return error ? fs::path() : program;
}

bool may_own(const struct stat& entry, const struct stat& program) {
  return entry.st_uid == 0 || entry.st_uid == ::geteuid() || entry.st_uid == program.st_uid;
}

bool may_share(const struct stat& entry, const struct stat& program) {
  const bool can_change_program = (program.st_mode & S_IWGRP) != 0 && entry.st_gid == program.st_gid;
  return entry.st_gid == 0 || entry.st_gid == ::getegid() || can_change_program;
}

bool is_above(const fs::path& folder, const fs::path& file) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first == folder.end();
}

/// Why what stands in a folder may have been put there, under whatever name, by others: the end of a sentence.
std::string why_replaceable(const fs::path& folder, const fs::path& program_file, const struct stat& program) {
  struct stat entry {};
  if (::stat(folder.c_str(), &entry) != 0) return {};
  const bool is_sticky = (entry.st_mode & S_ISVTX) != 0;  // what is in it is its owners' alone to replace
  if ((entry.st_mode & S_IWOTH) != 0 && !is_sticky)
    return fmt::format("everybody can replace it, since everybody can write {}", folder.string());
  if (is_above(folder, program_file)) return {};  // others who can change it can change the program
  if (!may_own(entry, program))
    return fmt::format("another user (number {}) can replace it, as the owner of {}", entry.st_uid, folder.string());
  if ((entry.st_mode & S_IWGRP) != 0 && !is_sticky && !may_share(entry, program))
    return fmt::format("a group of users (number {}) can replace it, since they can write {}", entry.st_gid,
                       folder.string());
  return {};
}

}  // namespace

std::string why_not_trusted(const std::string& given) {
  std::error_code error;
  const fs::path path = fs::canonical(given, error);
  struct stat entry {
  }, program{};
  if (error || ::stat(path.c_str(), &entry) != 0) return {};
  const fs::path own_file = program_file();
  if (::stat(own_file.c_str(), &program) != 0) program = {};
  if (!may_own(entry, program)) return fmt::format("it belongs to another user (number {})", entry.st_uid);
  if ((entry.st_mode & S_IWOTH) != 0) return "everybody can write it";
  if ((entry.st_mode & S_IWGRP) != 0 && !may_share(entry, program))
    return fmt::format("a group of users can write it (number {})", entry.st_gid);
  for (fs::path folder = path.parent_path(); folder != folder.root_path(); folder = folder.parent_path())
    if (std::string why = why_replaceable(folder, own_file, program); !why.empty()) return why;
  return {};
}

SearchPath search_path() {
  SearchPath path;
  const auto add = [&](std::vector<std::string>& folders, const std::string& folder, const std::string& hint) {
    if (const std::string why = why_not_trusted(folder); why.empty())
      folders.push_back(folder);
    else
      path.refused.push_back(fmt::format("plug-ins in {} are not looked for: {}; {}", folder, why, hint));
  };
  if (const fs::path program = program_file(); !program.empty()) {
    const std::string hint = "see `chmod` and `chown`";
    add(path.own, (program.parent_path() / "plugins").string(), hint);
    add(path.own, (program.parent_path() / BACKPLANE_PLUGINS_FROM_PROGRAM).lexically_normal().string(), hint);
  } else {
    path.refused.push_back(
        "the program's own plug-ins are not looked for: without /proc it cannot know where it stands");
  }
  const char* listed = std::getenv("BACKPLANE_PLUGIN_PATH");
  std::istringstream stream(listed == nullptr ? "" : listed);
  for (std::string folder; std::getline(stream, folder, ':');) {
    if (folder.empty()) continue;
    if (folder[0] == '/')
      add(path.listed, folder, "name a file of it with --plugin to load it all the same");
    else
      path.refused.push_back(fmt::format(
          "plug-ins in '{}' of BACKPLANE_PLUGIN_PATH are not looked for: it is no absolute path", printable(folder)));
  }
  return path;
}

}  // namespace backplane
