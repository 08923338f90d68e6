#pragma once

#include <backplane/abi.h>

#include <cmath>
#include <cstdint>
#include <cstring>

/// The tables of a plug-in that keeps every rule of abi.h. Each file of this folder spoils one thing in them:
///
///     BP_SPOILED("test.no_plan", tables.layer.plan = nullptr)
///
/// Written against the C ABI, because plugin.hpp would not let most of these mistakes through.
struct Tables {
  static bp_status create(const bp_host*, bp_context*, const bp_attribute_value*, void** layer) {
    static int object;
    *layer = &object;
    return BP_OK;
  }
  static void destroy(void*) {}
  static bp_status plan(const void*, const bp_host*, bp_context*, const bp_plan_api* api, bp_plan* plan) {
    std::uint32_t rank = 0;
    const std::int64_t* dims = api->input_dims(plan, 0, &rank);
    api->output(plan, dims, rank);
    return BP_OK;
  }
  static bp_status forward(const void*, const bp_call* call) {
    std::memcpy(call->output.data, call->inputs[0].data, static_cast<std::size_t>(call->output.count) * sizeof(float));
    return BP_OK;
  }
  static bp_status backward(const void*, const bp_call* call) {
    if (call->d_inputs[0].data != nullptr)
      std::memcpy(call->d_inputs[0].data, call->delta.data,
                  static_cast<std::size_t>(call->delta.count) * sizeof(float));
    return BP_OK;
  }

  explicit Tables(const char* id) { plugin.id = id; }

  bp_attribute attribute{sizeof(bp_attribute), BP_ATTRIBUTE_FLOAT,         0,         0,        "factor",
                         "a factor",           {0, 1.0, nullptr, nullptr}, -HUGE_VAL, HUGE_VAL, nullptr};
  bp_attribute second_attribute{
      sizeof(bp_attribute), BP_ATTRIBUTE_BOOL, 0, 0, "flag", "a flag", {}, -HUGE_VAL, HUGE_VAL, nullptr};
  const bp_attribute* attributes[2]{&attribute, &second_attribute};
  bp_parameter parameter{sizeof(bp_parameter), 0, "s", "gain", "a parameter", "ones"};
  bp_parameter second_parameter{sizeof(bp_parameter), 0, "t", "gain", "another", "ones"};
  const bp_parameter* parameters[2]{&parameter, &second_parameter};
  bp_kernels kernels{sizeof(bp_kernels), 0, forward, backward, nullptr, nullptr, nullptr, nullptr};
  bp_layer_type layer{sizeof(bp_layer_type),
                      1,
                      "spoiled",
                      "copies its input",
                      2,
                      2,
                      attributes,
                      parameters,
                      1,
                      1,
                      create,
                      destroy,
                      plan,
                      &kernels,
                      nullptr};
  const bp_layer_type* layers[2]{&layer, &layer};
  bp_plugin plugin{sizeof(bp_plugin),
                   BP_ABI_MAJOR,
                   BP_ABI_MINOR,
                   BP_ABI_MINOR,
                   nullptr,
                   "0.1.0",
                   "breaks one rule",
                   "MIT",
                   1,
                   0,
                   layers,
                   nullptr};
};

#define BP_EXPORTED extern "C" __attribute__((visibility("default")))

/// The entry of a plug-in whose `tables` are valid but for what the statement does to them.
#define BP_SPOILED(id, ...)                         \
  BP_EXPORTED const bp_plugin* bp_plugin_v0(void) { \
    static Tables tables(id);                       \
    __VA_ARGS__;                                    \
    return &tables.plugin;                          \
  }
