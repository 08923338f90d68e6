#include "base/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace backplane {

namespace {
EVP_MD_CTX* evp(const std::shared_ptr<void>& context) {
  return static_cast<EVP_MD_CTX*>(context.get());
}
}  // namespace

Sha256::Sha256()
    : context_(EVP_MD_CTX_new(), [](void* context) { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }) {
  BP_ASSERT(EVP_DigestInit_ex(evp(context_), EVP_sha256(), nullptr) == 1);
}

void Sha256::add(const void* data, std::size_t bytes) {
  BP_ASSERT(EVP_DigestUpdate(evp(context_), data, bytes) == 1);
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  BP_ASSERT(EVP_DigestFinal_ex(evp(context_), digest.data(), &length) == 1);
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_of(const void* data, std::size_t bytes) {
  Sha256 digest;
  digest.add(data, bytes);
  return digest.hex();
}

}  // namespace backplane
