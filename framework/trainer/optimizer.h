#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/node.h"
#include "network/network.h"
#include "optimizers/update_rule.h"
#include "trainer/tile.h"

namespace backplane {

/// Updates a network's parameters from their gradients, tile by tile, by the rule of the experiment's optimizer
/// (optimizers/table.h), and holds what the rule keeps from step to step.
class Optimizer {
 public:
  /// `choice`: the validated `train.optimizer`. `network` and `tiles`, all that it is cut into, must outlive it. Slots
  /// start at 0.
  Optimizer(const config::Node& choice, Network& network, const std::vector<Tile>& tiles);

  /// The learning rate before any schedule.
  double base_rate() const { return rate_; }
  /// Names of the tensors kept for each parameter ("velocity"; "mean", "variance").
  const std::vector<std::string>& slots() const { return slot_names_; }
  Buffer& slot(std::size_t node, std::size_t parameter, std::size_t slot) { return slots_[node][parameter][slot]; }

  struct Step {
    std::uint64_t number = 1;  ///< t
    double rate = 0.0;         ///< η of this step
    double gradient_scale = 1.0;
    double clip_value = 0.0;  ///< each element of g is held within ± this; 0: not clipped
  };

  /// Whether the rule looks at whole parameters: then every tile is collected and `add_up` called before any is
  /// updated.
  bool needs_sums() const { return rule_->sums() > 0; }
  /// The part of one range of a tile; `gradient`: its elements. [compute: ranges may be collected at the same time]
  void collect(const Tile& tile, std::size_t range, const void* gradient, const Step& step);
  /// Adds the parts, in the order of the tiles.
  void add_up();
  /// One step of one range of a tile: gradient · gradient_scale, clipped by value, with penalties, into the parameters.
  /// Frozen parameters are left alone. [compute: likewise]
  void update(const Tile& tile, std::size_t range, const void* gradient, const Step& step);

 private:
  /// Calls body(update of the range) in the network's type, unless the parameter is frozen.
  template <class Body>
  void with_update(const Tile& tile, std::size_t range, const void* gradient, const Step& step,
                   std::vector<double>& sums, const Body& body);

  Network& network_;
  const std::vector<Tile>& tiles_;
  const std::unique_ptr<UpdateRule> rule_;
  const double rate_;
  const std::vector<std::string> slot_names_;
  std::vector<std::vector<std::vector<Buffer>>> slots_;  ///< [node][parameter][slot]
  std::vector<std::vector<std::vector<double>>> parts_;  ///< [tile][range][sum]
  std::vector<std::vector<std::vector<double>>> sums_;   ///< [node][parameter][sum], over all tiles
};

}  // namespace backplane
