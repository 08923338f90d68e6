/* The C ABI between Backplane and its layer plug-ins.
 *
 * A plug-in is a shared library named `<anything>.bp.so` that exports ONE symbol, BP_PLUGIN_SYMBOL, a function that
 * returns a static table. It needs no symbol of the host: what it may call is handed to it in `bp_host`.
 * C++ authors include plugin.hpp instead, which writes all of this for them.
 *
 * Rules that keep old plug-ins loading in new hosts, and new ones in old hosts:
 *   - only fixed-width integers, doubles, pointers and NUL-terminated UTF-8 cross;
 *   - every table begins with its own size; fields are only ever appended; arrays hold pointers to tables, or
 *     structs marked FROZEN, whose layout never changes;
 *   - a host loads a plug-in if the major version is equal and the minor version that the plug-in NEEDS is at most
 *     the host's. While the major version is 0 the ABI is a draft and the minor versions must be equal.
 *   - no exception crosses, nobody frees what the other side allocated, and a plug-in is never unloaded.
 *
 * Thread tags, one on each function:
 *   [load]     once, while the library is being loaded, one library at a time
 *   [setup]    never at the same time for the same layer object
 *   [plan]     any thread, repeatable, changes nothing but the plan
 *   [compute]  any number of threads at once on the same const object: read the layer and what the call hands over,
 *              write only what the call hands over; no threads, locks or globals of your own (a thread_local
 *              cache of things that never change results, such as compiled kernels, is allowed)
 *   [any]      at any time, from any thread
 */
#ifndef BACKPLANE_ABI_H
#define BACKPLANE_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_ABI_MAJOR 0
#define BP_ABI_MINOR 5
#define BP_PLUGIN_SYMBOL "bp_plugin_v0"

/* Result of every function that can fail: 0, or a negative code. Say what is wrong through bp_host.error first. */
typedef int32_t bp_status;
#define BP_OK 0
#define BP_E_INVALID (-1)     /* attributes or shapes that make no sense: the experiment's YAML is wrong */
#define BP_E_UNSUPPORTED (-2) /* they make sense, but this layer cannot do it */
#define BP_E_MEMORY (-3)      /* an allocation failed */
#define BP_E_INTERNAL (-4)    /* a fault of the plug-in, for instance a C++ exception */

/* Element types. */
#define BP_F32 1u
#define BP_F64 2u

/* One call's context: where errors of this call go. Host-owned, valid during the call. */
typedef struct bp_context bp_context;

/* What a layer's `plan` fills in. Host-owned, valid during the call. */
typedef struct bp_plan bp_plan;

/* A contiguous tensor, slowest axis first. FROZEN. */
typedef struct bp_tensor {
  void* data;
  const int64_t* dims; /* `rank` extents; dims[0] is the batch axis of per-sample tensors */
  int64_t count;       /* product of the extents */
  uint32_t rank;
  uint32_t dtype; /* BP_F32 or BP_F64 */
} bp_tensor;

/* Kinds of attributes. */
#define BP_ATTRIBUTE_BOOL 1u
#define BP_ATTRIBUTE_INT 2u
#define BP_ATTRIBUTE_FLOAT 3u
#define BP_ATTRIBUTE_TEXT 4u
#define BP_ATTRIBUTE_INT_LIST 5u

/* The value of an attribute; which member counts is the attribute's kind. Valid during `create` only. FROZEN. */
typedef struct bp_attribute_value {
  int64_t integer; /* BOOL (0 or 1), INT; number of items of INT_LIST */
  double number;   /* FLOAT */
  const char* text;
  const int64_t* integers;
  const double* numbers;    /* for kinds to come */
  const char* const* texts; /* likewise */
} bp_attribute_value;

/* An attribute that the YAML of a layer may or must set. The host checks kind, range and choices. */
typedef struct bp_attribute {
  uint32_t struct_size;
  uint32_t kind;
  uint32_t required; /* 1: there is no default */
  uint32_t reserved;
  const char* name;
  const char* summary;        /* one line, shown in errors and by `plugin inspect` */
  bp_attribute_value initial; /* the default, where not required */
  double min, max;            /* INT, FLOAT and items of INT_LIST; infinities where there is no bound */
  const char* const* choices; /* TEXT: NULL-terminated list, or NULL for any text */
} bp_attribute;

/* A parameter θ that a layer may have. Its shape is told in `plan`. */
typedef struct bp_parameter {
  uint32_t struct_size;
  uint32_t reserved;
  const char* name; /* "W": the name in files and YAML */
  const char* role; /* "weight", "bias", "gain", …: L1 and L2 apply to role "weight" */
  const char* summary;
  const char* init; /* default initialiser, a name as in YAML: "glorot_uniform", "zeros" */
} bp_parameter;

/* Given at load; valid until the process ends. */
typedef struct bp_host {
  uint32_t struct_size;
  uint32_t abi_minor;
  const char* name;
  const char* version;
  /* Says what went wrong in this call, in a sentence for the user. The text is copied; the first one counts. [any] */
  void (*error)(bp_context* context, bp_status code, const char* text);
  /* Fills out[0, count) with 32 random bits each, number i a function of (key, step, sample, first + i) alone: the
   * same on any thread, in any order (Philox4x32-10; Salmon et al. 2011). first + count ≤ 2^32. [any] */
  void (*random)(uint64_t key, uint64_t step, uint64_t sample, uint64_t first, int64_t count, uint32_t* out);
} bp_host;

/* What backward may read besides δ and the parameters (bit set for bp_plan_api.needs). */
#define BP_NEEDS_INPUTS 1u /* the layer's inputs, as forward saw them */
#define BP_NEEDS_OUTPUT 2u /* z, as forward wrote it */

/* When a saved tensor is written. */
#define BP_SAVED_BY_FORWARD 1u /* written by forward, read by backward */
#define BP_SAVED_BY_BACKWARD \
  2u /* written by the backward call of a slice, read by the batch-wide one (gradient_units) */

/* What a state tensor has one of. */
#define BP_STATE_SHARED 1u /* one for the layer (running statistics); changed by training steps only */
#define BP_STATE_CARRIED \
  2u /* one for each row of the batch (a recurrent state); 0 where an epoch or evaluation starts */

/* The functions that `plan` calls. Shapes of samples leave the batch axis out. */
typedef struct bp_plan_api {
  uint32_t struct_size;
  uint32_t reserved;
  uint32_t (*dtype)(const bp_plan* plan);
  uint32_t (*input_count)(const bp_plan* plan);
  const int64_t* (*input_dims)(const bp_plan* plan, uint32_t input, uint32_t* rank); /* of one sample */
  /* Required: the shape of one sample of z. */
  void (*output)(bp_plan* plan, const int64_t* dims, uint32_t rank);
  /* The shape of declared parameter `index`, with the fans that initialisers scale by. A declared parameter that
   * `plan` does not mention does not exist in this layer (a bias that was switched off). */
  void (*parameter)(bp_plan* plan, uint32_t index, const int64_t* dims, uint32_t rank, int64_t fan_in, int64_t fan_out);
  /* What backward reads: the data pointers of the others are NULL then, and nothing is kept that nobody needs. */
  void (*needs)(bp_plan* plan, uint32_t bits);
  /* A per-sample tensor of the layer's own, kept between calls and stored in checkpoints under this name. */
  void (*saved)(bp_plan* plan, const char* name, const int64_t* dims, uint32_t rank, uint32_t written_by);
  /* Scratch memory of one call: fixed + per_sample · samples bytes. */
  void (*workspace)(bp_plan* plan, uint64_t fixed_bytes, uint64_t bytes_per_sample);
  /* ∂C/∂θ can be asked for any range of `units`: the first axis of every parameter has this extent, and unit u of
   * the gradient depends on δ and the inputs alone. The host then asks once for the whole batch, in parallel over
   * ranges of units, instead of summing the gradients of slices: d_parameters hold those units and no others. For
   * layers with large weights. */
  void (*gradient_units)(bp_plan* plan, int64_t units);
  /* `elements` of the layer's dtype, derived from the parameters by `pack` whenever they have changed, read by
   * forward and backward: weights in an order that the kernels like better. */
  void (*packed)(bp_plan* plan, int64_t elements);
  /* Sums over the whole batch, for layers whose samples see each other (batch normalisation). In training the host
   * asks `collect_forward` of each slice for its part of `forward` numbers, adds the parts in a fixed order, and only
   * then calls forward; likewise `collect_backward` for `backward` numbers before backward. */
  void (*batch_sums)(bp_plan* plan, int64_t forward, int64_t backward);
  /* A tensor that lives from step to step, stored in checkpoints as state/<name>; `kind` as above; every element
   * starts as `initial` (0 for carried ones). Changed by `update_state` alone. Shapes of carried ones leave the batch
   * axis out. */
  void (*state)(bp_plan* plan, const char* name, const int64_t* dims, uint32_t rank, uint32_t kind, double initial);
  /* The layer looks at bp_call.lengths. Where samples have lengths, a layer that takes the time axis away and does not
   * is refused: padding would count. */
  void (*uses_lengths)(bp_plan* plan);
  /* From how many samples a call on the kernels run at about their full speed; with half as many they may take as long
   * as with all of them. Left out: 1. The host cuts the batch into smaller slices for layers that can do with less. */
  void (*full_speed_samples)(bp_plan* plan, int64_t samples);
  /* With gradient_units: backward WRITES ∂C/∂θ of the units asked for, into memory that nobody cleared, instead of
   * adding to zeros. Saves large weights a pass over memory. */
  void (*writes_gradients)(bp_plan* plan);
} bp_plan_api;

#define BP_CALL_TRAINING 1u /* a training step; without it, evaluation */

/* One call of a kernel. Everything is host-owned and valid during the call. Outputs start uninitialised. Results may
 * not depend on how a batch is cut into calls, but for rounding. */
typedef struct bp_call {
  uint32_t struct_size;
  uint32_t flags;
  const bp_host* host;
  bp_context* context;
  uint64_t step;                /* optimizer step, from 1 */
  int64_t sample_begin;         /* first sample of this call within its batch */
  int64_t samples;              /* N: dims[0] of every per-sample tensor here */
  int64_t unit_begin, unit_end; /* gradient_units: those asked for; in pack, those that changed. Else 0, 0 */

  const bp_tensor* inputs;       /* array: a_in */
  const bp_tensor* parameters;   /* array in declared order; data NULL: the parameter does not exist */
  const bp_tensor* saved;        /* array in the order of bp_plan_api.saved */
  void* packed;                  /* written by pack */
  bp_tensor output;              /* z: forward writes it; backward reads it if it said so */
  bp_tensor delta;               /* backward: δ = ∂C/∂z */
  const bp_tensor* d_inputs;     /* backward, array: WRITE ∂C/∂a_in; data NULL: not wanted */
  const bp_tensor* d_parameters; /* backward, array: ADD ∂C/∂θ over these samples, or WRITE it if the plan said
                                    so (writes_gradients); data NULL: not wanted. With gradient_units: of
                                    units [unit_begin, unit_end) alone, whose number is dims[0] */
  void* workspace;               /* uninitialised, 64-byte aligned */
  uint64_t workspace_bytes;

  int64_t batch_samples;  /* rows of the whole batch */
  uint64_t random_key;    /* of this layer in this run, for bp_host.random */
  const int64_t* lengths; /* valid steps of each sample of this call, whose first axis is time; NULL: all of them */
  double* forward_sums;   /* collect_forward: ADD to zeros; afterwards the sums over the batch. NULL in evaluation */
  double* backward_sums;  /* collect_backward: ADD to zeros; backward: the sums over the batch */
  const bp_tensor* state; /* array in the order of bp_plan_api.state; only update_state may write */
  uint32_t input_count;   /* of inputs and d_inputs */
  uint32_t reserved;
} bp_call;

/* The kernels of one element type. */
typedef struct bp_kernels {
  uint32_t struct_size;
  uint32_t reserved;
  bp_status (*forward)(const void* layer, const bp_call* call);  /* [compute] */
  bp_status (*backward)(const void* layer, const bp_call* call); /* [compute] */
  bp_status (*pack)(const void* layer, const bp_call* call);     /* [compute] NULL where nothing is packed */
  /* Both NULL where nothing is summed over the batch: read the inputs, or δ and what backward may read. [compute] */
  bp_status (*collect_forward)(const void* layer, const bp_call* call);
  bp_status (*collect_backward)(const void* layer, const bp_call* call);
  /* NULL where there is no state: one call for the whole batch, which sees inputs, output, saved tensors and sums of
   * all rows. Once a training step, when backward has passed and before the parameters change; for carried state after
   * an evaluation's batch, too, without BP_CALL_TRAINING: shared state may not change then. [compute] */
  bp_status (*update_state)(const void* layer, const bp_call* call);
} bp_kernels;

/* A layer type: the transform z = f(a_in; θ). The host applies the activation behind it and hands back δ = ∂C/∂z. */
typedef struct bp_layer_type {
  uint32_t struct_size;
  uint32_t version; /* rises when saved parameters change their meaning */
  const char* name; /* the word in the YAML */
  const char* summary;
  uint32_t attribute_count;
  uint32_t parameter_count;
  const bp_attribute* const* attributes;
  const bp_parameter* const* parameters;
  uint32_t inputs_min, inputs_max;
  /* Makes a layer object. `values`: one per attribute, in table order, checked and complete. [setup] */
  bp_status (*create)(const bp_host* host, bp_context* context, const bp_attribute_value* values, void** layer);
  void (*destroy)(void* layer); /* [setup] */
  bp_status (*plan)(const void* layer, const bp_host* host, bp_context* context, const bp_plan_api* api,
                    bp_plan* plan); /* [plan] */
  const bp_kernels* f32;            /* NULL: not for this element type */
  const bp_kernels* f64;
} bp_layer_type;

/* What an activation's backward may read besides ∂C/∂a (bit set for bp_activation_type.needs). */
#define BP_NEEDS_Z 1u
#define BP_NEEDS_A 2u

/* One call of an activation on rows of `features` elements each, contiguous. */
typedef struct bp_activation_call {
  uint32_t struct_size;
  uint32_t reserved;
  const bp_host* host;
  bp_context* context;
  int64_t rows, features;
  const void* z;            /* backward: NULL unless needed */
  void* a;                  /* forward: write σ(z), never where z stands; backward: read, NULL unless needed */
  const void* d_activation; /* backward: ∂C/∂a */
  void* delta;              /* backward: write δ = ∂C/∂a · ∂a/∂z; may be d_activation itself */
} bp_activation_call;

/* The kernels of an activation for one element type. */
typedef struct bp_activation_kernels {
  uint32_t struct_size;
  uint32_t reserved;
  bp_status (*forward)(const void* activation, const bp_activation_call* call);  /* [compute] */
  bp_status (*backward)(const void* activation, const bp_activation_call* call); /* [compute] */
} bp_activation_kernels;

/* An activation σ, applied by the host behind any layer that names it. */
typedef struct bp_activation_type {
  uint32_t struct_size;
  uint32_t version;
  const char* name;
  const char* summary; /* the formula */
  uint32_t attribute_count;
  uint32_t needs; /* BP_NEEDS_Z, BP_NEEDS_A */
  const bp_attribute* const* attributes;
  bp_status (*create)(const bp_host* host, bp_context* context, const bp_attribute_value* values,
                      void** activation); /* [setup] */
  void (*destroy)(void* activation);      /* [setup] */
  const bp_activation_kernels* f32;
  const bp_activation_kernels* f64;
} bp_activation_type;

/* What the exported function returns. */
typedef struct bp_plugin {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor_built;  /* of the abi.h it was compiled with; while the major version is 0, compared */
  uint32_t abi_minor_needed; /* the oldest minor version that has all it uses */
  const char* id;            /* "org.example.demo" */
  const char* version;       /* "0.1.0" */
  const char* summary;
  const char* licence;
  uint32_t layer_count;
  uint32_t activation_count;
  const bp_layer_type* const* layers;
  const bp_activation_type* const* activations;
} bp_plugin;

/* The one exported symbol. [load] */
typedef const bp_plugin* (*bp_plugin_function)(void);

#ifdef __cplusplus
}
#endif

#endif
