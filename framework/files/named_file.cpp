#include "files/named_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "files/output.h"
#include "files/paths.h"

namespace backplane {

namespace {

/// Devices and sockets are never one file with anything: what is written to /dev/null is meant to be lost, and what is
/// read from a socket is not what is written to it.
bool is_one_file(const std::string& a, const std::string& b) {
  struct stat of_a {
  }, of_b{};
  const bool is_a = ::stat(a.c_str(), &of_a) == 0, is_b = ::stat(b.c_str(), &of_b) == 0;
  if (is_a && is_b)
    return !S_ISCHR(of_a.st_mode) && !S_ISSOCK(of_a.st_mode) && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
  const std::filesystem::path end = resolved_path(a);
  return !is_a && !is_b && !end.empty() && end == resolved_path(b);
}

[[noreturn]] void refuse(const NamedFile& output, const NamedFile& other) {
  throw UserError(ExitCode::usage, fmt::format("{}: {} and {} are one file", output.path, output.word, other.word),
                  fmt::format("name another file with {}", output.word));
}

}  // namespace

std::vector<NamedFile> all_named(const std::string& word, const std::vector<std::string>& paths) {
  std::vector<NamedFile> named;
  for (const std::string& path : paths) named.push_back({word, path});
  return named;
}

bool leads_to_stream(const std::string& path, int descriptor) {
  struct stat named {
  }, opened{};
  if (::stat(path.c_str(), &named) != 0 || ::fstat(descriptor, &opened) != 0) return false;
  const bool is_one = named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
  return is_one && (!S_ISCHR(opened.st_mode) || stream_of(path) == descriptor);
}

void require_apart(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs) {
  for (auto output = outputs.begin(); output != outputs.end(); ++output) {
    if (output->path.empty()) continue;
    for (auto earlier = outputs.begin(); earlier != output; ++earlier)
      if (!earlier->path.empty() && is_one_file(output->path, earlier->path)) refuse(*output, *earlier);
    for (const NamedFile& input : inputs)
      if (!input.path.empty() && is_one_file(output->path, input.path)) refuse(*output, input);
  }
}

}  // namespace backplane
