/* z = -a, in plain C against abi.h: the ABI is one of C, and this file is compiled as C11 with every warning an
 * error. It also stands for a plug-in that knows nothing of the C++ SDK. */
#include <backplane/abi.h>
#include <stddef.h>

static int the_layer; /* it has no state */

static bp_status create(const bp_host* host, bp_context* context, const bp_attribute_value* values, void** layer) {
  (void)host, (void)context, (void)values;
  *layer = &the_layer;
  return BP_OK;
}

static void destroy(void* layer) { (void)layer; }

static bp_status plan(const void* layer, const bp_host* host, bp_context* context, const bp_plan_api* api,
                      bp_plan* plan) {
  uint32_t rank = 0;
  const int64_t* dims = api->input_dims(plan, 0, &rank);
  (void)layer;
  if (rank != 1) {
    host->error(context, BP_E_UNSUPPORTED, "it takes vectors only");
    return BP_E_UNSUPPORTED;
  }
  api->output(plan, dims, rank);
  return BP_OK;
}

#define DEFINE_KERNELS(suffix, type)                                                \
  static bp_status forward_##suffix(const void* layer, const bp_call* call) {       \
    const type* a = (const type*)call->inputs[0].data;                              \
    type* z = (type*)call->output.data;                                             \
    int64_t i;                                                                      \
    (void)layer;                                                                    \
    for (i = 0; i < call->output.count; ++i) z[i] = -a[i];                          \
    return BP_OK;                                                                   \
  }                                                                                 \
  static bp_status backward_##suffix(const void* layer, const bp_call* call) {      \
    const type* delta = (const type*)call->delta.data;                              \
    type* d_a = (type*)call->d_inputs[0].data;                                      \
    int64_t i;                                                                      \
    (void)layer;                                                                    \
    for (i = 0; d_a != NULL && i < call->delta.count; ++i) d_a[i] = -delta[i];      \
    return BP_OK;                                                                   \
  }                                                                                 \
  static const bp_kernels suffix = {sizeof(bp_kernels), 0, forward_##suffix, backward_##suffix, NULL, NULL, NULL, NULL};

DEFINE_KERNELS(f32, float)
DEFINE_KERNELS(f64, double)

static const bp_layer_type negate = {sizeof(bp_layer_type), 1, "negate", "z = -a", 0, 0, NULL, NULL, 1, 1,
                                     create, destroy, plan, &f32, &f64};
static const bp_layer_type* const layers[] = {&negate};
static const bp_plugin plugin = {sizeof(bp_plugin), BP_ABI_MAJOR, BP_ABI_MINOR, BP_ABI_MINOR, "test.negate", "0.1.0",
                                 "a plug-in in C", "MIT", 1, 0, layers, NULL};

/* ISO C wants a declaration before a definition that others link to; BP_PLUGIN_SYMBOL is its name as text. */
const bp_plugin* bp_plugin_v0(void);
__attribute__((visibility("default"))) const bp_plugin* bp_plugin_v0(void) { return &plugin; }
