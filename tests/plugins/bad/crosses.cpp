// Written by hand against the C ABI, it lets an exception out of `create` or a kernel, which the ABI forbids.
#include <stdexcept>

#include "valid.h"

static bp_status create(const bp_host* host, bp_context* context, const bp_attribute_value* values, void** layer) {
  if (values[0].number == 2.0) throw 42;
  if (values[0].number == 3.0) throw std::runtime_error("out of create");
  return Tables::create(host, context, values, layer);
}

static bp_status forward(const void*, const bp_call*) {
  throw std::runtime_error("out of forward");
}

BP_SPOILED("test.crosses", tables.layer.create = create; tables.kernels.forward = forward)
