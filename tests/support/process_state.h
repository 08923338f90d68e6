#pragma once

#include <fstream>
#include <iterator>
#include <string>

namespace backplane::testing {

/// What /proc/WHO/stat says of a process ("1234") or of a thread of this one ("self/task/1234"): R runs, S sleeps until
/// something happens, T is stopped, Z has ended. 0 where there is none.
inline char state_of(const std::string& who) {
  std::ifstream file("/proc/" + who + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');  // the name before it may hold anything
  return name_end == std::string::npos ? '\0' : text.at(name_end + 2);
}

/// How often a process has gone to sleep.
inline long sleeps_of(const std::string& who) {
  std::ifstream file("/proc/" + who + "/status");
  for (std::string line; std::getline(file, line);)
    if (const std::string name = "voluntary_ctxt_switches:"; line.starts_with(name))
      return std::stol(line.substr(name.size()));
  return 0;
}

}  // namespace backplane::testing
