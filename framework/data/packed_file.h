#pragma once

#include <boost/iostreams/filtering_streambuf.hpp>
#include <cstdint>
#include <string>

#include "data/table.h"

namespace backplane {

/// The bytes of a file, unpacked where it is gzip (told by its first two bytes). Damage found on the way is an error of
/// the file (bad_data).
class PackedFile {
 public:
  /// Throws UserError (no_input) where the file cannot be read.
  explicit PackedFile(const std::string& path);

  const Origin& origin() const { return origin_; }
  bool is_gzip() const { return is_gzip_; }
  /// How many bytes can still come; exact for a plain file.
  std::int64_t most_left() const { return most_left_; }

  /// Fills `size` bytes and returns how many there were before the end.
  std::int64_t read(void* to, std::int64_t size);
  bool at_end();

 private:
  template <class F>
  auto guarded(F&& f) -> decltype(f());

  Origin origin_;
  bool is_gzip_ = false;
  std::int64_t most_left_ = 0;
  boost::iostreams::filtering_istreambuf bytes_;
};

}  // namespace backplane
