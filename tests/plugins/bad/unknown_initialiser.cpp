// A default initialiser that no host knows.
#include "valid.h"

static bp_status plan_with_parameter(const void* layer, const bp_host* host, bp_context* context,
                                     const bp_plan_api* api, bp_plan* plan) {
  const std::int64_t dims = 2;
  api->parameter(plan, 0, &dims, 1, 2, 2);
  return Tables::plan(layer, host, context, api, plan);
}

BP_SPOILED("test.unknown_initialiser", tables.parameter.init = "glorot"; tables.layer.plan = plan_with_parameter)
