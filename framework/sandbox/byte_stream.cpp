#include "sandbox/byte_stream.h"

namespace backplane {

void ByteWriter::bytes(const void* from, std::size_t size) {
  constexpr std::size_t kPiece = 1 << 16;
  const char* begin = static_cast<const char*>(from);
  if (waiting_.size() + size > kPiece) flush();
  if (size > kPiece)
    send(begin, size);
  else
    waiting_.insert(waiting_.end(), begin, begin + size);
}

void ByteWriter::text(std::string_view value) {
  number(static_cast<std::int64_t>(value.size()));
  bytes(value.data(), value.size());
}

void ByteWriter::flush() {
  if (!waiting_.empty()) send(waiting_.data(), waiting_.size());
  waiting_.clear();
}

std::string ByteReader::text() {
  const auto size = static_cast<std::uint64_t>(number<std::int64_t>());
  require_room(size);
  std::string value(size, '\0');
  bytes(value.data(), value.size());
  return value;
}

}  // namespace backplane
