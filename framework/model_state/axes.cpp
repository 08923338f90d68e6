#include "model_state/axes.h"

#include <fmt/format.h>

namespace backplane {

Shape with_batch(std::int64_t rows, const Shape& sample) {
  Shape shape{rows};
  shape.insert(shape.end(), sample.begin(), sample.end());
  return shape;
}

std::vector<std::string> sample_axes(const Shape& sample) {
  switch (sample.size()) {
    case 1: return {"sample", "unit"};
    case 2: return {"sample", "time", "feature"};
    case 3: return {"sample", "height", "width", "channel"};
    default: return saved_axes(sample);
  }
}

std::vector<std::string> saved_axes(const Shape& sample) {
  if (sample.size() == 1 || sample.size() == 2) return sample_axes(sample);
  std::vector<std::string> axes{"sample"};
  for (std::size_t axis = 0; axis < sample.size(); ++axis) axes.push_back(fmt::format("axis{}", axis));
  return axes;
}

std::vector<std::string> parameter_axes(const Shape& shape) {
  if (shape.size() == 1) return {"out"};
  if (shape.size() == 2) return {"out", "in"};
  if (shape.size() == 3) return {"out", "in", "tap"};
  if (shape.size() == 4) return {"out", "in", "height", "width"};
  std::vector<std::string> axes;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) axes.push_back(fmt::format("axis{}", axis));
  return axes;
}

}  // namespace backplane
