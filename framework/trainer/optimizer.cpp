#include "trainer/optimizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "kernels/multiversion.h"

namespace backplane {

using config::Schema;

Schema optimizer_schema() {
  const auto rule = [](const char* rate) {
    return Schema::map().optional("lr", Schema::number().above(0), rate, "learning rate η");
  };
  const auto momentum = [](Schema map) {
    return map.optional("momentum", Schema::number().at_least(0).below(1), "0.9", "μ");
  };
  const auto epsilon = [](Schema map, const char* value) {
    return map.optional("epsilon", Schema::number().above(0), value, "ε, keeps the quotient finite");
  };
  const auto adam = [&] {
    return epsilon(rule("0.001")
                       .optional("beta1", Schema::number().at_least(0).below(1), "0.9", "decay of the mean")
                       .optional("beta2", Schema::number().at_least(0).below(1), "0.999", "decay of the variance"),
                   "1e-8");
  };
  return Schema::choice("optimizer")
      .alternative("sgd", rule("0.01"), "gradient descent")
      .alternative("momentum", momentum(rule("0.01")), "heavy ball")
      .alternative("nesterov", momentum(rule("0.01")), "Nesterov's momentum")
      .alternative("adagrad", epsilon(rule("0.01"), "1e-10"), "AdaGrad")
      .alternative("rmsprop",
                   epsilon(rule("0.001").optional("decay", Schema::number().at_least(0).below(1), "0.99", "ρ"), "1e-8"),
                   "RMSProp")
      .alternative("adam", adam(), "Adam")
      .alternative("adamw", adam().optional("weight_decay", Schema::number().at_least(0), "0.01", "λ, of weights"),
                   "Adam with decoupled weight decay");
}

/// The numbers of one update of one parameter, in float64.
struct Optimizer::Factors {
  double rate, scale, clip, l1, l2;
  double momentum, decay, beta1, beta2, epsilon;
  double mean_correction;      // 1 / (1 − β₁ᵗ)
  double variance_correction;  // 1 / (1 − β₂ᵗ)
  double shrink;               // 1 − η λ
};

namespace {

/// The gradient as it was computed.
template <class T>
struct Plain {
  const T* __restrict gradient;

  T operator()(std::int64_t i, T) const { return gradient[i]; }
};

/// Scaled, clipped, with the penalties' gradients.
template <class T>
struct Regularized {
  const T* __restrict gradient;
  T scale, clip, l1, l2;

  T operator()(std::int64_t i, T value) const {
    const T g = std::min(std::max(gradient[i] * scale, -clip), clip);
    const T sign = T(value > T(0)) - T(value < T(0));
    return g + l2 * value + l1 * sign;
  }
};

// One loop per rule; θ is `w`, g gives its gradient. Each is compiled for every vector width (see multiversion.h).

template <class T, class Gradient>
BP_MULTIVERSION void step_sgd(T* __restrict w, Gradient g, T rate, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) w[i] -= rate * g(i, w[i]);
}

template <class T, class Gradient>
BP_MULTIVERSION void step_momentum(T* __restrict w, Gradient g, T* __restrict v, T rate, T momentum,
                                   std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    v[i] = momentum * v[i] + g(i, w[i]);
    w[i] -= rate * v[i];
  }
}

template <class T, class Gradient>
BP_MULTIVERSION void step_nesterov(T* __restrict w, Gradient g, T* __restrict v, T rate, T momentum,
                                   std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T gradient = g(i, w[i]);
    v[i] = momentum * v[i] + gradient;
    w[i] -= rate * (gradient + momentum * v[i]);
  }
}

/// AdaGrad (kept 1, added 1) and RMSProp (kept ρ, added 1 − ρ).
template <class T, class Gradient>
BP_MULTIVERSION void step_scaled(T* __restrict w, Gradient g, T* __restrict s, T rate, T kept, T added, T epsilon,
                                 std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T gradient = g(i, w[i]);
    s[i] = kept * s[i] + added * gradient * gradient;
    w[i] -= rate * gradient / (std::sqrt(s[i]) + epsilon);
  }
}

/// Adam, and AdamW with shrink < 1. `added1`, `added2`: 1 − β₁ and 1 − β₂.
/// numerics: they are rounded from float64, since 1 − β₂ in float32 is 1.3e-5 off (of 0.001), and with it every v.
template <class T, class Gradient>
BP_MULTIVERSION void step_adam(T* __restrict w, Gradient g, T* __restrict m, T* __restrict v, T rate, T beta1, T added1,
                               T beta2, T added2, T mean_correction, T variance_correction, T epsilon, T shrink,
                               std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T gradient = g(i, w[i]);
    m[i] = beta1 * m[i] + added1 * gradient;
    v[i] = beta2 * v[i] + added2 * gradient * gradient;
    w[i] = shrink * w[i] - rate * (m[i] * mean_correction) / (std::sqrt(v[i] * variance_correction) + epsilon);
  }
}

}  // namespace

Optimizer::Optimizer(const config::Node& choice, const Network& network) : name_(choice.chosen()) {
  static const std::map<std::string, std::pair<Rule, std::vector<std::string>>> kRules{
      {"sgd", {Rule::sgd, {}}},
      {"momentum", {Rule::momentum, {"velocity"}}},
      {"nesterov", {Rule::nesterov, {"velocity"}}},
      {"adagrad", {Rule::adagrad, {"square_sum"}}},
      {"rmsprop", {Rule::rmsprop, {"square_mean"}}},
      {"adam", {Rule::adam, {"mean", "variance"}}},
      {"adamw", {Rule::adamw, {"mean", "variance"}}}};
  std::tie(rule_, slot_names_) = kRules.at(name_);
  const config::Node& options = choice.choice();
  rate_ = options.at("lr").as_number();
  for (const auto& [key, member] : {std::pair{"momentum", &momentum_},
                                    {"decay", &decay_},
                                    {"beta1", &beta1_},
                                    {"beta2", &beta2_},
                                    {"epsilon", &epsilon_},
                                    {"weight_decay", &weight_decay_}})
    if (const config::Node* given = options.find(key)) *member = given->as_number();
  for (const LayerNode& node : network.nodes()) {
    auto& layer = slots_.emplace_back();
    for (const Parameter& parameter : node.parameters) {
      auto& slots = layer.emplace_back();
      for (std::size_t s = 0; s < slot_names_.size(); ++s) slots.emplace_back(parameter.value.bytes());
    }
  }
}

void Optimizer::update(Network& network, Executor& executor, const Tile& tile, const Step& step) {
  const TaskLog::Span span(executor.log(), Work::optimizer, tile.node, tile.number);
  LayerNode& node = network.nodes()[tile.node];
  for (std::size_t i = 0; i < tile.ranges.size(); ++i) {
    const Tile::Range& range = tile.ranges[i];
    Parameter& parameter = node.parameters[range.parameter];
    if (!parameter.trainable) continue;
    const auto t = static_cast<double>(step.number);
    const Factors factors{.rate = step.rate,
                          .scale = step.gradient_scale,
                          .clip = step.clip_value > 0.0 ? step.clip_value : std::numeric_limits<double>::infinity(),
                          .l1 = parameter.l1,
                          .l2 = parameter.l2,
                          .momentum = momentum_,
                          .decay = decay_,
                          .beta1 = beta1_,
                          .beta2 = beta2_,
                          .epsilon = epsilon_,
                          .mean_correction = 1.0 / (1.0 - std::pow(beta1_, t)),
                          .variance_correction = 1.0 / (1.0 - std::pow(beta2_, t)),
                          .shrink = 1.0 - (parameter.role == "weight" ? step.rate * weight_decay_ : 0.0)};
    dispatch(network.dtype(), [&]<class T>(T) {
      update_range(parameter, static_cast<const T*>(executor.tile_gradient(tile, i)),
                   slots_[tile.node][range.parameter], range, factors);
    });
  }
}

template <class T>
void Optimizer::update_range(Parameter& parameter, const T* gradient, std::vector<Buffer>& slots,
                             const Tile::Range& range, const Factors& f) {
  const auto as = [](double value) { return static_cast<T>(value); };
  T* w = parameter.value.as<T>() + range.begin;
  const std::int64_t count = range.end - range.begin;
  const auto slot = [&](std::size_t i) { return slots[i].as<T>() + range.begin; };
  const auto follow_rule = [&](const auto& g) {
    switch (rule_) {
      case Rule::sgd: return step_sgd(w, g, as(f.rate), count);
      case Rule::momentum: return step_momentum(w, g, slot(0), as(f.rate), as(f.momentum), count);
      case Rule::nesterov: return step_nesterov(w, g, slot(0), as(f.rate), as(f.momentum), count);
      case Rule::adagrad: return step_scaled(w, g, slot(0), as(f.rate), T(1), T(1), as(f.epsilon), count);
      case Rule::rmsprop:
        return step_scaled(w, g, slot(0), as(f.rate), as(f.decay), as(1.0 - f.decay), as(f.epsilon), count);
      case Rule::adam:
      case Rule::adamw:
        return step_adam(w, g, slot(0), slot(1), as(f.rate), as(f.beta1), as(1.0 - f.beta1), as(f.beta2),
                         as(1.0 - f.beta2), as(f.mean_correction), as(f.variance_correction), as(f.epsilon),
                         as(f.shrink), count);
    }
  };
  // Most runs clip nothing and have no penalties; then the loops are half as long.
  if (f.scale == 1.0 && f.clip == std::numeric_limits<double>::infinity() && f.l1 == 0.0 && f.l2 == 0.0)
    follow_rule(Plain<T>{gradient});
  else
    follow_rule(Regularized<T>{gradient, as(f.scale), as(f.clip), as(f.l1), as(f.l2)});
}

}  // namespace backplane
