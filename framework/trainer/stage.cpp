#include "trainer/stage.h"

namespace backplane {

std::vector<Stage> cut_into_stages(const Network& network) {
  std::vector<Stage> stages;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    if (i == 0 || network.nodes()[i].plan.has_batch_sums()) stages.push_back({i, i});
    stages.back().end = i + 1;
  }
  if (network.nodes()[0].plan.has_batch_sums()) stages.insert(stages.begin(), {0, 0});
  return stages;
}

}  // namespace backplane
