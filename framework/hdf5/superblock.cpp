#include "hdf5/superblock.h"

#include <algorithm>
#include <array>

namespace backplane::h5 {

namespace {

using Head = std::array<unsigned char, 64>;

std::uint64_t number_at(const Head& head, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t byte = 0; byte < 8; ++byte) value |= std::uint64_t{head[at + byte]} << (8 * byte);
  return value;
}

/// Fields stand where the version puts them; addresses of another size than 8 bytes are left unread.
Superblock parse(const Head& head) {
  const unsigned version = head[8];
  const bool is_old = version < 2;
  const bool has_wide_addresses = head[is_old ? 13 : 9] == 8;
  const std::size_t end_at = version == 0 ? 40 : version == 1 ? 44 : 28;
  return {.is_marked_open = version >= 3 && (head[11] & 1) != 0,
          .end = has_wide_addresses ? number_at(head, end_at) : 0};
}

}  // namespace

std::optional<Superblock> read_superblock(std::istream& file) {
  constexpr std::array<unsigned char, 8> kSignature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  for (std::streamoff at = 0;; at = at == 0 ? 512 : at * 2) {
    Head head{};
    file.clear();
    file.seekg(at).read(reinterpret_cast<char*>(head.data()), head.size());
    if (file.gcount() < static_cast<std::streamsize>(kSignature.size())) return std::nullopt;
    if (std::equal(kSignature.begin(), kSignature.end(), head.begin())) return parse(head);
  }
}

}  // namespace backplane::h5
