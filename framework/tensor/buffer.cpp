#include "tensor/buffer.h"

#include <cstring>

namespace backplane {

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  data_ = ::operator new (bytes, std::align_val_t{kAlignment});
  std::memset(data_, 0, bytes);
}

}  // namespace backplane
