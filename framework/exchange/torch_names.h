#pragma once

#include <string>

namespace backplane {

/// What PyTorch's modules call a parameter or a running statistic of a layer: "weight" for W, "weight_ih_l0" for W_ih,
/// "in_proj_weight" for W_qkv, …; the name itself where PyTorch has no other.
std::string torch_name(const std::string& parameter);

}  // namespace backplane
