// Functions that fail without saying why, or succeed without doing what they should; `factor` chooses which.
#include "valid.h"

static bp_status create(const bp_host* host, bp_context* context, const bp_attribute_value* values, void** layer) {
  if (values[0].number == 2.0) return BP_E_INVALID;
  if (values[0].number == 3.0) return BP_OK;  // but there is no layer
  if (values[0].number == 4.0) return 17;     // no code of the ABI
  return Tables::create(host, context, values, layer);
}

static bp_status forward(const void*, const bp_call*) {
  return BP_E_INTERNAL;
}

BP_SPOILED("test.silent", tables.layer.create = create; tables.kernels.forward = forward)
