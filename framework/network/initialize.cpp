#include "network/initialize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "base/error.h"
#include "network/orthogonal.h"

namespace backplane {

using config::Node;
using config::Schema;

Schema initializer_schema() {
  const Schema none = Schema::map();
  return Schema::choice("initialiser")
      .alternative("zeros", none, "all 0")
      .alternative("ones", none, "all 1")
      .alternative("constant", Schema::map().required("value", Schema::number(), "the number"), "all the same")
      .alternative("uniform",
                   Schema::map()
                       .optional("low", Schema::number(), "-0.05", "lower end")
                       .optional("high", Schema::number(), "0.05", "upper end"),
                   "uniform in [low, high)")
      .alternative("normal",
                   Schema::map()
                       .optional("mean", Schema::number(), "0", "mean")
                       .optional("std", Schema::number().at_least(0), "0.05", "standard deviation"),
                   "normal distribution")
      .alternative("glorot_uniform", none, "uniform, variance 2 / (fan_in + fan_out)")
      .alternative("glorot_normal", none, "normal, variance 2 / (fan_in + fan_out)")
      .alternative("he_uniform", none, "uniform, variance 2 / fan_in")
      .alternative("he_normal", none, "normal, variance 2 / fan_in")
      .alternative("lecun_uniform", none, "uniform, variance 1 / fan_in")
      .alternative("lecun_normal", none, "normal, variance 1 / fan_in")
      .alternative("orthogonal", Schema::map().optional("gain", Schema::number(), "1", "factor"),
                   "orthonormal rows (or columns, where there are more rows)")
      .alternative("values", Schema::tensor(), "the numbers themselves");
}

namespace {

using Element = std::function<double(std::uint64_t)>;

Element uniform_between(const Stream& stream, double low, double high) {
  return [=](std::uint64_t i) { return low + (high - low) * stream.uniform(i); };
}

Element normal_around(const Stream& stream, double mean, double deviation) {
  return [=](std::uint64_t i) { return mean + deviation * stream.normal(i); };
}

/// glorot_…, he_…, lecun_…: a distribution whose variance is scaled by the fans.
Element scaled(const std::string& name, const Stream& stream, double fan_in, double fan_out) {
  double variance = 1.0 / fan_in;
  if (name.starts_with("he_")) variance = 2.0 / fan_in;
  if (name.starts_with("glorot_")) variance = 2.0 / (fan_in + fan_out);
  if (name.ends_with("_normal")) return normal_around(stream, 0.0, std::sqrt(variance));
  const double bound = std::sqrt(3.0 * variance);  // uniform in [−b, b) has variance b²/3
  return uniform_between(stream, -bound, bound);
}

std::vector<double> explicit_values(const Node& node, const Shape& shape, const std::string& owner) {
  config::TensorLiteral literal = config::parse_tensor(node);
  if (literal.shape != shape)
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = node.place,
                               .what = fmt::format("{} has shape {}, but the values given have shape {}", owner,
                                                   to_string(shape), to_string(literal.shape))});
  return std::move(literal.values);
}

std::vector<double> initial_values(const Node& initializer, const Stream& stream, const Shape& shape,
                                   std::int64_t fan_in, std::int64_t fan_out, const std::string& owner) {
  const std::string& name = initializer.chosen();
  const Node& options = initializer.choice();
  const auto count = static_cast<std::size_t>(element_count(shape));
  if (name == "values") return explicit_values(options, shape, owner);
  if (name == "orthogonal") return orthogonal(shape, options.at("gain").as_number(), stream);

  Element element;
  if (name == "zeros")
    element = [](std::uint64_t) { return 0.0; };
  else if (name == "ones")
    element = [](std::uint64_t) { return 1.0; };
  else if (name == "constant")
    element = [value = options.at("value").as_number()](std::uint64_t) { return value; };
  else if (name == "uniform")
    element = uniform_between(stream, options.at("low").as_number(), options.at("high").as_number());
  else if (name == "normal")
    element = normal_around(stream, options.at("mean").as_number(), options.at("std").as_number());
  else
    element = scaled(name, stream, static_cast<double>(fan_in), static_cast<double>(fan_out));
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = element(i);
  return values;
}

}  // namespace

void initialize(const Node& initializer, const Stream& stream, const Shape& shape, std::int64_t fan_in,
                std::int64_t fan_out, DType dtype, void* values, const std::string& owner) {
  const std::vector<double> wide = initial_values(initializer, stream, shape, fan_in, fan_out, owner);
  dispatch(dtype, [&]<class T>(T) {
    std::transform(wide.begin(), wide.end(), static_cast<T*>(values), [](double v) { return static_cast<T>(v); });
  });
}

}  // namespace backplane
