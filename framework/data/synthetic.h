#pragma once

#include <cstdint>

#include "data/dataset.h"

namespace backplane {

/// Synthetic samples: element j of sample i is a function of (seed, i, j), whatever the number of samples. The test
/// split holds the samples that follow the training split.
struct SyntheticSize {
  std::int64_t samples = 0;
  std::int64_t test = 0;  ///< 0: no test split
};

/// `classes` intertwined spirals in the plane, from the centre to radius 1, each turning `turns` times; sample i
/// belongs to class i mod classes. Normal noise of deviation `noise` is added to both coordinates.
DataSet make_spirals(const SyntheticSize& size, std::int64_t classes, double turns, double noise, std::uint64_t seed);

/// The four corners of the unit square in turn, (0,0) (1,0) (0,1) (1,1), plus normal noise; class x xor y.
DataSet make_xor(const SyntheticSize& size, double noise, std::uint64_t seed);

/// Standard-normal inputs with random labels (`classes` > 0) or standard-normal targets (`targets` numbers). With
/// `lengths`, each sample has a random number of valid steps from 1 to input_shape[0]; what follows them is 0.
DataSet make_random(const SyntheticSize& size, const Shape& input_shape, std::int64_t classes, std::int64_t targets,
                    std::uint64_t seed, bool lengths = false);

}  // namespace backplane
