#include "inspect/print_in_child.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/printable.h"

namespace backplane {

namespace {

// What is read goes through pieces of 4 MiB; HDF5's caches and the chunks of files that are not ours need the rest.
constexpr std::int64_t kMemory = std::int64_t{512} << 20;
// A second suffices for 100 MiB of large records that are unpacked and counted, or for 2 MiB of records that are a
// number each; damage that sends HDF5 into an endless loop costs this.
constexpr std::int64_t kSeconds = 2, kBytesPerSecond = 512 << 10;

ChildLimits limits_for(const std::vector<std::string>& files) {
  std::int64_t bytes = 0;
  for (const std::string& file : files) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(file, error);
    if (!error) bytes += static_cast<std::int64_t>(size);
  }
  return {.memory = kMemory,
          .most_sent = std::numeric_limits<std::int64_t>::max(),
          .cpu = std::chrono::seconds(kSeconds + bytes / kBytesPerSecond),
          .patience = std::chrono::seconds(60 + bytes / kBytesPerSecond)};
}

std::string names_of(const std::vector<std::string>& files) {
  return fmt::format("{}", fmt::join(files, " or "));
}

constexpr std::size_t kMostText = 1 << 20;

/// In pieces that end with a character.
void send(std::string_view text, ByteWriter& answer) {
  while (!text.empty()) {
    std::size_t size = std::min(text.size(), kMostText);
    while (size > 1 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0u) == 0x80u) --size;
    answer.text(text.substr(0, size));
    text.remove_prefix(size);
  }
}

std::string receive(const std::vector<std::string>& files, ByteReader& answer) {
  const auto size = answer.number<std::uint64_t>();
  if (size > kMostText) throw UserError(ExitCode::bad_data, names_of(files) + ": its reader sent no readable text");
  std::string text(size, '\0');
  answer.bytes(text.data(), text.size());
  return text;
}

Diagnostic in_safe_characters(Diagnostic finding) {
  for (std::string* text : {&finding.place.source, &finding.what, &finding.path, &finding.nearest, &finding.hint})
    *text = printable(*text);
  for (std::string& name : finding.known) name = printable(name);
  return finding;
}

}  // namespace

void look_in_child(const std::vector<std::string>& files, const ChildJob& job,
                   const std::function<void(ByteWriter&)>& ask, const std::function<void(ByteReader&)>& receive,
                   int writes_to) try {
  run_in_child(names_of(files), limits_for(files), job, ask, receive, writes_to);
} catch (const UserError& error) {
  throw UserError(error.code(), in_safe_characters(error.diagnostics().front()));
}

void answer_with_text(Printing printing, ByteReader& request, ByteWriter& answer) {
  const int done = printing(request, [&](std::string_view text) { send(text, answer); });
  answer.text({});  // the end of the text
  answer.number(done);
}

int print_in_child(const std::vector<std::string>& files, const ChildJob& job,
                   const std::function<void(ByteWriter&)>& ask, const Print& print) {
  int result = 0;
  look_in_child(files, job, ask, [&](ByteReader& answer) {
    for (std::string text = receive(files, answer); !text.empty(); text = receive(files, answer))
      print(printable(text, true));
    result = answer.number<int>();
  });
  return result;
}

}  // namespace backplane
