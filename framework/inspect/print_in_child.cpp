#include "inspect/print_in_child.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/printable.h"
#include "sandbox/run_in_child.h"

namespace backplane {

namespace {

// What is read goes through pieces of 4 MiB; HDF5's caches and the chunks of files that are not ours need the rest.
constexpr std::int64_t kMemory = std::int64_t{512} << 20;
// A second suffices for 100 MiB of large records that are unpacked and counted, or for 2 MiB of records that are a
// number each; damage that sends HDF5 into an endless loop costs this.
constexpr std::int64_t kSeconds = 2, kBytesPerSecond = 512 << 10;

ChildLimits limits_for(const std::vector<std::string>& files, int writes_to) {
  std::int64_t bytes = 0;
  for (const std::string& file : files) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(file, error);
    if (!error) bytes += static_cast<std::int64_t>(size);
  }
  return {.memory = kMemory,
          .most_sent = std::numeric_limits<std::int64_t>::max(),
          .cpu = std::chrono::seconds(kSeconds + bytes / kBytesPerSecond),
          .patience = std::chrono::seconds(60 + bytes / kBytesPerSecond),
          .writes_to = writes_to};
}

constexpr std::size_t kMostText = 1 << 20;

/// In pieces that end with a character.
void send(std::string_view text, ChildOutput& output) {
  while (!text.empty()) {
    std::size_t size = std::min(text.size(), kMostText);
    while (size > 1 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0u) == 0x80u) --size;
    output.text(text.substr(0, size));
    text.remove_prefix(size);
  }
}

std::string receive(const std::string& files, ChildInput& input) {
  const auto size = input.number<std::uint64_t>();
  if (size > kMostText) throw UserError(ExitCode::bad_data, files + ": its reader sent no readable text");
  std::string text(size, '\0');
  input.bytes(text.data(), text.size());
  return text;
}

Diagnostic in_safe_characters(Diagnostic finding) {
  for (std::string* text : {&finding.place.source, &finding.what, &finding.path, &finding.nearest, &finding.hint})
    *text = printable(*text);
  for (std::string& name : finding.known) name = printable(name);
  return finding;
}

}  // namespace

int print_in_child(const std::vector<std::string>& files, const std::function<int(const Print&)>& job,
                   const Print& print, int writes_to) try {
  const std::string names = fmt::format("{}", fmt::join(files, " or "));
  int result = 0;
  run_in_child(
      names, limits_for(files, writes_to),
      [&](ChildOutput& output) {
        const int done = job([&](std::string_view text) { send(text, output); });
        output.text({});  // the end of the text
        output.number(done);
      },
      [&](ChildInput& input) {
        for (std::string text = receive(names, input); !text.empty(); text = receive(names, input))
          print(printable(text, true));
        result = input.number<int>();
      });
  return result;
} catch (const UserError& error) {
  throw UserError(error.code(), in_safe_characters(error.diagnostics().front()));
}

}  // namespace backplane
