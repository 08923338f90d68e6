#pragma once

#include <string>

#include "config/schema.h"
#include "random/philox.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// The schema of one initialiser:
///
///   zeros, ones             constant
///   constant                {value}
///   uniform, normal         {low, high}, {mean, std}
///   glorot_uniform|normal   variance 2 / (fan_in + fan_out)      Glorot, Bengio 2010
///   he_uniform|normal       variance 2 / fan_in                  He et al. 2015
///   lecun_uniform|normal    variance 1 / fan_in                  LeCun et al. 1998
///   orthogonal              {gain}; rows or columns orthonormal  Saxe et al. 2014
///   values                  the numbers themselves, nested as the parameter's shape
config::Schema initializer_schema();

/// Fills `values` (element_count(shape) numbers of `dtype`, row-major) as `initializer`, a validated choice, says.
/// Every element is a function of the stream's key and its index. Computed in float64, then rounded.
/// `owner` names the parameter in errors ("parameter 'W' of layer 'hidden'").
/// Throws UserError (bad_config) where explicit values have another shape.
void initialize(const config::Node& initializer, const Stream& stream, const Shape& shape, std::int64_t fan_in,
                std::int64_t fan_out, DType dtype, void* values, const std::string& owner);

}  // namespace backplane
