#include "exchange/torch_names.h"

#include <map>

namespace backplane {

std::string torch_name(const std::string& parameter) {
  static const std::map<std::string, std::string> kNames{{"W", "weight"},      // Linear, Conv, Embedding
                                                         {"b", "bias"},        //
                                                         {"gamma", "weight"},  // BatchNorm, LayerNorm
                                                         {"beta", "bias"},     //
                                                         {"running_variance", "running_var"},  //
                                                         {"P", "weight"},                      // Embedding of positions
                                                         {"W_ih", "weight_ih_l0"},  // RNN, LSTM, GRU of one layer
                                                         {"W_hh", "weight_hh_l0"},  //
                                                         {"b_ih", "bias_ih_l0"},    //
                                                         {"b_hh", "bias_hh_l0"},    //
                                                         {"W_ih_reverse", "weight_ih_l0_reverse"},  //
                                                         {"W_hh_reverse", "weight_hh_l0_reverse"},  //
                                                         {"b_ih_reverse", "bias_ih_l0_reverse"},    //
                                                         {"b_hh_reverse", "bias_hh_l0_reverse"},    //
                                                         {"W_qkv", "in_proj_weight"},   // MultiheadAttention
                                                         {"b_qkv", "in_proj_bias"},     //
                                                         {"W_out", "out_proj.weight"},  //
                                                         {"b_out", "out_proj.bias"}};
  const auto found = kNames.find(parameter);
  return found == kNames.end() ? parameter : found->second;
}

}  // namespace backplane
