#include "data/packed_file.h"

#include <unistd.h>

#include <array>
#include <boost/iostreams/device/file_descriptor.hpp>
#include <boost/iostreams/filter/gzip.hpp>

#include "files/open_file.h"

namespace backplane {

namespace {

constexpr std::array<unsigned char, 2> kGzip{0x1f, 0x8b};

}  // namespace

PackedFile::PackedFile(const std::string& path) : origin_(Origin::file(path)) {
  Descriptor file = open_data(path);
  std::array<unsigned char, 2> first{};
  is_gzip_ = ::pread(file.number(), first.data(), first.size(), 0) == 2 && first == kGzip;
  most_left_ = static_cast<std::int64_t>(size_of(file)) * (is_gzip_ ? kMostDeflateRatio : 1);
  if (is_gzip_) bytes_.push(boost::iostreams::gzip_decompressor());
  bytes_.push(boost::iostreams::file_descriptor_source(file.release(), boost::iostreams::close_handle));
}

template <class F>
auto PackedFile::guarded(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::ios_base::failure&) {
    origin_.fail("the gzip stream is damaged or ends early, or other bytes follow it",
                 "`gzip -t` says which; where only zeros follow it, `zcat FILE | gzip` leaves them out");
  }
}

std::int64_t PackedFile::read(void* to, std::int64_t size) {
  const std::int64_t found = guarded([&] { return bytes_.sgetn(static_cast<char*>(to), size); });
  most_left_ -= found;
  return found;
}

bool PackedFile::at_end() {
  return guarded([&] { return bytes_.sgetc() == std::char_traits<char>::eof(); });
}

}  // namespace backplane
