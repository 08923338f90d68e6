#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace backplane {

/// Extents of a tensor, slowest axis first, contiguous. The shape of a *sample* leaves the batch axis out.
using Shape = std::vector<std::int64_t>;

/// Product of the extents; 1 for a scalar. Throws UserError (bad_config) on overflow past 2^48 elements.
std::int64_t element_count(const Shape& shape);

/// Where the element stands that has so many before it: its index along each axis.
Shape index_of(std::int64_t element, const Shape& shape);

/// "[28, 28, 1]"
std::string to_string(const Shape& shape);

}  // namespace backplane
