#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace backplane {

/// SHA-256 (FIPS 180-4), by OpenSSL, fed piece by piece.
class Sha256 {
 public:
  Sha256();
  void add(const void* data, std::size_t bytes);
  /// 64 lower-case hexadecimal digits. Ends the digest.
  std::string hex();

 private:
  std::shared_ptr<void> context_;
};

std::string sha256_of(const void* data, std::size_t bytes);

}  // namespace backplane
