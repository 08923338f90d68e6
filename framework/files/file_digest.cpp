#include "files/file_digest.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/digest.h"
#include "base/system_error.h"
#include "files/open_file.h"

namespace backplane {

std::string sha256_of_file(const std::string& path) {
  const OpenedFile opened = open_regular(path);
  if (!opened && !opened.is_missing && opened.error != 0) throw cannot_read(path, opened.error);
  if (!opened) throw UserError(ExitCode::no_input, fmt::format("{}: {}", path, opened.why));
  Sha256 digest;
  std::vector<char> block(1 << 16);
  for (;;) {
    const ssize_t got = ::read(opened.file.number(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw cannot_read(path, errno);
    if (got == 0) return digest.hex();
    digest.add(block.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace backplane
