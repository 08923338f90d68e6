#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/schema.h"
#include "network/network.h"
#include "trainer/executor.h"

namespace backplane {

/// The schema of `train.optimizer`.
config::Schema optimizer_schema();

/// Updates parameters from their gradients, tile by tile. With gradient g (of C, plus penalties l1·sign(θ) + l2·θ),
/// learning rate η and step t from 1, as PyTorch defines them:
///
///   sgd       θ −= η g
///   momentum  v = μ v + g                          θ −= η v                        Polyak 1964
///   nesterov  v = μ v + g                          θ −= η (g + μ v)                Nesterov 1983, Sutskever 2013
///   adagrad   s += g²                              θ −= η g / (√s + ε)             Duchi 2011
///   rmsprop   s = ρ s + (1−ρ) g²                   θ −= η g / (√s + ε)             Tieleman, Hinton 2012
///   adam      m = β₁ m + (1−β₁) g                  θ −= η m̂ / (√v̂ + ε)             Kingma, Ba 2015
///             v = β₂ v + (1−β₂) g²                 m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ)
///   adamw     as adam, after θ −= η λ θ            (weights only)                  Loshchilov, Hutter 2019
///
/// Element-wise: how parameters are cut into tiles does not change the result.
class Optimizer {
 public:
  /// `choice`: the validated `train.optimizer`. Slots start at 0.
  Optimizer(const config::Node& choice, const Network& network);

  const std::string& name() const { return name_; }
  /// The learning rate before any schedule.
  double base_rate() const { return rate_; }
  /// Names of the tensors kept for each parameter ("velocity"; "mean", "variance").
  const std::vector<std::string>& slots() const { return slot_names_; }
  Buffer& slot(std::size_t node, std::size_t parameter, std::size_t slot) { return slots_[node][parameter][slot]; }

  /// One step of one tile: gradient · gradient_scale, clipped by value, with penalties, into the parameters.
  /// Frozen parameters are left alone. [compute: tiles of one step may run at the same time]
  struct Step {
    std::uint64_t number = 1;  ///< t
    double rate = 0.0;         ///< η of this step
    double gradient_scale = 1.0;
    double clip_value = 0.0;  ///< each element of g is held within ± this; 0: not clipped
  };
  void update(Network& network, Executor& executor, const Tile& tile, const Step& step);

 private:
  enum class Rule { sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw };
  struct Factors;
  template <class T>
  void update_range(Parameter& parameter, const T* gradient, std::vector<Buffer>& slots, const Tile::Range& range,
                    const Factors& factors);

  std::string name_;
  Rule rule_;
  double rate_;
  double momentum_ = 0.0, decay_ = 0.0, beta1_ = 0.0, beta2_ = 0.0, epsilon_ = 0.0, weight_decay_ = 0.0;
  std::vector<std::string> slot_names_;
  std::vector<std::vector<std::vector<Buffer>>> slots_;  ///< [node][parameter][slot]
};

}  // namespace backplane
