#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "network/network.h"
#include "parallel/arena.h"
#include "trainer/loss.h"

namespace backplane {

/// How the gradients of one parameter compare with finite differences.
struct GradientFinding {
  std::string layer, parameter;
  Shape shape;
  std::int64_t checked = 0;   ///< elements compared
  std::int64_t at_kinks = 0;  ///< elements left out: finite differences do not settle (relu near 0)
  double worst_error = 0.0;   ///< relative, see below
  std::int64_t worst_element = 0;
  double analytic = 0.0, numeric = 0.0;  ///< of the worst element
  double direction_error = 0.0;          ///< relative, of g·v for a random direction v through *all* elements
  bool is_direction_checked = false;
};

struct GradientCheckOptions {
  std::int64_t samples = 8;    ///< first samples of the training split, as one batch
  std::int64_t elements = 48;  ///< per parameter; all where there are no more, else drawn by the seed
  std::uint64_t seed = 0;
};

/// Compares ∂C/∂θ of the executor, computed on slices and tiles as in training, with central differences of C,
/// extrapolated twice (Richardson 1911; steps h, h/2, h/4, error O(h⁶)). REQUIRES: a float64 network.
///
/// An error is relative to the larger of both values, and to no less than a thousandth of the parameter's largest
/// gradient element (and a millionth of the network's), below which rounding of C would be measured. Where the
/// extrapolation does not settle for h = 0.1, 0.01, 0.001 or 0.0001, a kink lies within reach (or C is rounded too
/// coarsely for so small a gradient), and the element is counted, not judged. Before, every parameter is moved by a
/// small random number: where biases begin as 0, whole regions of an image lie at the kink of relu. Parameters have
/// their values back afterwards.
std::vector<GradientFinding> check_gradients(Network& network, const DataSet& data, const Loss& loss, Arena& arena,
                                             const GradientCheckOptions& options);

}  // namespace backplane
