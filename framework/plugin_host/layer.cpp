#include "plugin_host/layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "base/printable.h"
#include "base/thread_checks.h"
#include "plugin_host/attributes.h"
#include "plugin_host/host.h"
#include "tensor/tensor_kinds.h"

/// The ABI's opaque plan: what the layer is asked about, and what it answers.
struct bp_plan {
  backplane::DType dtype;
  const std::vector<backplane::Shape>* inputs;
  backplane::LayerPlan answer;
  bool has_output = false;
  std::string misuse;  ///< first thing the plug-in did wrong
};

namespace backplane {

namespace {

constexpr std::uint32_t kHighestRank = 8;

/// More than any machine has, and so little that no product with the rows of a batch can overflow: what is larger is a
/// size that was computed wrongly, such as −1.
constexpr std::uint64_t kMostWorkspace = std::uint64_t{1} << 46, kMostWorkspacePerSample = std::uint64_t{1} << 34;
constexpr std::int64_t kMostSums = std::int64_t{1} << 26, kMostPacked = std::int64_t{1} << 46;

void note_misuse(bp_plan* plan, const char* what) {
  if (plan->misuse.empty()) plan->misuse = what;
}

/// The extents handed over by a plug-in, or an empty shape (and a note) where they make no sense.
Shape checked_shape(bp_plan* plan, const std::int64_t* dims, std::uint32_t rank, const char* what) {
  if (rank > kHighestRank || (rank > 0 && dims == nullptr)) return note_misuse(plan, what), Shape{};
  Shape shape(dims, dims + rank);
  for (const std::int64_t extent : shape)
    if (extent < 1) return note_misuse(plan, what), Shape{};
  return shape;
}

const bp_plan_api kPlanApi{
    .struct_size = sizeof(bp_plan_api),
    .reserved = 0,
    .dtype = [](const bp_plan* plan) { return static_cast<std::uint32_t>(plan->dtype); },
    .input_count = [](const bp_plan* plan) { return static_cast<std::uint32_t>(plan->inputs->size()); },
    .input_dims = [](const bp_plan* plan, std::uint32_t input, std::uint32_t* rank) -> const std::int64_t* {
      if (input >= plan->inputs->size()) return *rank = 0, nullptr;
      const Shape& shape = (*plan->inputs)[input];
      *rank = static_cast<std::uint32_t>(shape.size());
      return shape.data();
    },
    .output =
        [](bp_plan* plan, const std::int64_t* dims, std::uint32_t rank) {
          plan->answer.output = checked_shape(plan, dims, rank, "its output has an impossible shape");
          plan->has_output = true;
        },
    .parameter =
        [](bp_plan* plan, std::uint32_t index, const std::int64_t* dims, std::uint32_t rank, std::int64_t fan_in,
           std::int64_t fan_out) {
          plan->answer.parameters.push_back({static_cast<int>(index),
                                             checked_shape(plan, dims, rank, "a parameter has an impossible shape"),
                                             fan_in, fan_out});
        },
    .needs = [](bp_plan* plan, std::uint32_t bits) { plan->answer.needs |= bits; },
    .saved =
        [](bp_plan* plan, const char* name, const std::int64_t* dims, std::uint32_t rank, std::uint32_t written_by) {
          if (name == nullptr) return note_misuse(plan, "a saved tensor has no name");
          plan->answer.saved.push_back(
              {name, checked_shape(plan, dims, rank, "a saved tensor has an impossible shape"), written_by});
        },
    .workspace =
        [](bp_plan* plan, std::uint64_t fixed_bytes, std::uint64_t bytes_per_sample) {
          plan->answer.workspace_fixed = fixed_bytes;
          plan->answer.workspace_per_sample = bytes_per_sample;
        },
    .gradient_units = [](bp_plan* plan, std::int64_t units) { plan->answer.gradient_units = units; },
    .packed = [](bp_plan* plan, std::int64_t elements) { plan->answer.packed = elements; },
    .batch_sums =
        [](bp_plan* plan, std::int64_t forward, std::int64_t backward) {
          plan->answer.forward_sums = forward;
          plan->answer.backward_sums = backward;
        },
    .state =
        [](bp_plan* plan, const char* name, const std::int64_t* dims, std::uint32_t rank, std::uint32_t kind,
           double initial) {
          if (name == nullptr) return note_misuse(plan, "a state tensor has no name");
          plan->answer.state.push_back(
              {name, checked_shape(plan, dims, rank, "a state tensor has an impossible shape"), kind, initial});
        },
    .uses_lengths = [](bp_plan* plan) { plan->answer.uses_lengths = true; },
    .full_speed_samples =
        [](bp_plan* plan, std::int64_t samples) {
          if (samples < 1) return note_misuse(plan, "full_speed_samples is less than 1");
          plan->answer.full_speed_samples = samples;
        },
    .writes_gradients = [](bp_plan* plan) { plan->answer.writes_gradients = true; },
};

bool is_tensor_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  });
}

/// A diagnostic cut where the call that did not come back is named.
GuardedOwner owner_of(Diagnostic finding) {
  const std::string text = printable(finding.text(), /*lines=*/true);
  const std::size_t end = text.find('\n');
  return {text.substr(0, end), text.substr(end + 1) + "\n"};
}

}  // namespace

bool LayerPlan::has_carried_state() const {
  return std::any_of(state.begin(), state.end(),
                     [](const StateTensor& tensor) { return tensor.kind == BP_STATE_CARRIED; });
}

Layer::Layer(const bp_layer_type& type, const PluginIdentity& plugin, std::string name, const config::Node& attributes,
             DType dtype)
    : type_(&type),
      plugin_(&plugin),
      name_(std::move(name)),
      place_(attributes.place),
      dtype_(dtype),
      object_(nullptr, {type.destroy, owner_of(diagnostic(""))}) {
  BP_NOT_ON_THREAD(compute);
  kernels_ = dtype == DType::float32 ? type.f32 : type.f64;
  if (kernels_ == nullptr)
    fail(ExitCode::bad_config, fmt::format("layer type '{}' has no kernels for {}", type.name, name_of(dtype)),
         fmt::format("set dtype: {}", name_of(dtype == DType::float32 ? DType::float64 : DType::float32)));
  const AttributeValues values(attributes, type.attributes, type.attribute_count);
  bp_context context;
  void* object = nullptr;
  const bp_status status = call_guarded(context, object_.get_deleter().owner, "create", nullptr, [&] {
    return type.create(&plugin_services(), &context, values.data(), &object);
  });
  object_.reset(object);
  if (status == BP_OK && object == nullptr)
    fail(ExitCode::internal, "its creation succeeded and gave no layer, which is a defect of the plug-in");
  if (status != BP_OK)
    fail(status == BP_E_INVALID || status == BP_E_UNSUPPORTED ? ExitCode::bad_config : ExitCode::internal,
         complaint(context, status));
}

LayerPlan Layer::plan(const std::vector<Shape>& inputs) const {
  BP_NOT_ON_THREAD(compute);
  if (inputs.size() < type_->inputs_min || inputs.size() > type_->inputs_max)
    fail(ExitCode::bad_config, fmt::format("layer type '{}' takes {} input{}, got {}", type_->name,
                                           type_->inputs_min == type_->inputs_max
                                               ? fmt::format("{}", type_->inputs_min)
                                               : fmt::format("{} to {}", type_->inputs_min, type_->inputs_max),
                                           type_->inputs_max == 1 ? "" : "s", inputs.size()));
  bp_plan plan{dtype_, &inputs, {}, false, {}};
  bp_context context;
  const bp_status status = call_guarded(context, object_.get_deleter().owner, "plan", nullptr, [&] {
    return type_->plan(object_.get(), &plugin_services(), &context, &kPlanApi, &plan);
  });
  if (status != BP_OK)
    fail(status == BP_E_INVALID || status == BP_E_UNSUPPORTED ? ExitCode::bad_config : ExitCode::internal,
         complaint(context, status));
  if (const std::string rule = broken_rule(plan); !rule.empty())
    fail(ExitCode::internal, "the plug-in breaks its contract: " + rule,
         "it is a defect of the plug-in; see backplane/abi.h");
  return std::move(plan.answer);
}

std::string Layer::broken_rule(const bp_plan& plan) const {
  if (!plan.misuse.empty()) return plan.misuse;
  if (!plan.has_output) return "its plan gives no output";
  int previous = -1;
  for (const PlannedParameter& parameter : plan.answer.parameters) {
    if (parameter.declared <= previous || parameter.declared >= static_cast<int>(type_->parameter_count))
      return "its plan names an undeclared parameter, or not in the order declared";
    previous = parameter.declared;
    if (parameter.fan_in < 1 || parameter.fan_out < 1)
      return fmt::format("parameter '{}' has fans of {} and {}: they count connections, and are at least 1",
                         type_->parameters[parameter.declared]->name, parameter.fan_in, parameter.fan_out);
    if (plan.answer.gradient_units > 0 && (parameter.shape.empty() || parameter.shape[0] != plan.answer.gradient_units))
      return fmt::format("parameter '{}' does not have the gradient units as its first axis",
                         type_->parameters[parameter.declared]->name);
  }
  std::set<std::string> names;
  for (const TensorKind& kind : tensor_kinds()) names.emplace(kind.name);
  for (const SavedTensor& saved : plan.answer.saved) {
    if (!is_tensor_name(saved.name)) return "a saved tensor has a name other than up to 64 letters, digits and '_'";
    if (!names.insert(saved.name).second) return fmt::format("the name of saved tensor '{}' is taken", saved.name);
    if (saved.written_by != BP_SAVED_BY_FORWARD && saved.written_by != BP_SAVED_BY_BACKWARD)
      return fmt::format("saved tensor '{}' is written by neither forward nor backward", saved.name);
  }
  if (plan.answer.gradient_units < 0 || plan.answer.packed < 0) return "its plan has a negative size";
  if (plan.answer.workspace_fixed > kMostWorkspace || plan.answer.workspace_per_sample > kMostWorkspacePerSample)
    return fmt::format("its plan asks for a workspace of {} bytes and {} for each sample", plan.answer.workspace_fixed,
                       plan.answer.workspace_per_sample);
  if (plan.answer.packed > kMostPacked) return fmt::format("its plan asks for {} packed elements", plan.answer.packed);
  if (plan.answer.writes_gradients && plan.answer.gradient_units == 0)
    return "it writes gradients that are summed slice by slice: writes_gradients wants gradient_units";
  if (plan.answer.packed > 0 && kernels_->pack == nullptr)
    return "its plan asks for packed parameters, but it has no pack";
  if (plan.answer.forward_sums < 0 || plan.answer.backward_sums < 0) return "its plan has a negative number of sums";
  if (plan.answer.forward_sums > kMostSums || plan.answer.backward_sums > kMostSums)
    return fmt::format("its plan asks for {} and {} sums over the batch", plan.answer.forward_sums,
                       plan.answer.backward_sums);
  if ((plan.answer.forward_sums > 0 && kernels_->collect_forward == nullptr) ||
      (plan.answer.backward_sums > 0 && kernels_->collect_backward == nullptr))
    return "its plan asks for sums over the batch, but it has no collect_forward or collect_backward";
  names.clear();
  for (const StateTensor& state : plan.answer.state) {
    if (!is_tensor_name(state.name)) return "a state tensor has a name other than up to 64 letters, digits and '_'";
    if (!names.insert(state.name).second) return fmt::format("the name of state tensor '{}' is taken", state.name);
    if (state.kind != BP_STATE_SHARED && state.kind != BP_STATE_CARRIED)
      return fmt::format("state tensor '{}' is neither shared nor carried", state.name);
    if (!std::isfinite(state.initial)) return fmt::format("state tensor '{}' starts as {}", state.name, state.initial);
  }
  if (!plan.answer.state.empty() && kernels_->update_state == nullptr)
    return "its plan has state, but it has no update_state";
  return {};
}

void Layer::invoke(Kernel kernel, const char* direction, bp_call& call) const {
  BP_NOT_ON_THREAD(io);
  bp_context context;
  call.host = &plugin_services();
  call.context = &context;
  const bp_status status = call_guarded(context, object_.get_deleter().owner, direction, &call,
                                        [&] { return kernel(object_.get(), &call); });
  if (status == BP_OK) return;
  // A layer that calls numbers invalid means the data that it was fed (an index beyond its vocabulary).
  const ExitCode code = status == BP_E_INVALID ? ExitCode::bad_data : ExitCode::internal;
  if (call.samples == 0) fail(code, fmt::format("{} failed: {}", direction, complaint(context, status)));
  const bool is_training = (call.flags & BP_CALL_TRAINING) != 0;
  fail(code, fmt::format("{} failed {}, samples {} to {} of the batch: {}", direction,
                         is_training ? fmt::format("at step {}", call.step) : "in an evaluation", call.sample_begin,
                         call.sample_begin + call.samples - 1, complaint(context, status)));
}

Diagnostic Layer::diagnostic(const std::string& what) const {
  return {
      .place = place_,
      .what = fmt::format("layer '{}': {}", name_, what),
      .path = fmt::format("type {}, plug-in {} {} ({})", type_->name, plugin_->id, plugin_->version, plugin_->file)};
}

void Layer::fail(ExitCode code, const std::string& what, const std::string& hint) const {
  Diagnostic finding = diagnostic(what);
  finding.hint = hint;
  throw UserError(code, finding);
}

Activation::Activation(const bp_activation_type& type, const PluginIdentity& plugin, const config::Node& attributes,
                       DType dtype)
    : type_(&type),
      plugin_(&plugin),
      place_(attributes.place),
      object_(nullptr, {type.destroy, owner_of(diagnostic(""))}) {
  kernels_ = dtype == DType::float32 ? type.f32 : type.f64;
  if (kernels_ == nullptr) fail(ExitCode::bad_config, fmt::format("it has no kernels for {}", name_of(dtype)));
  const AttributeValues values(attributes, type.attributes, type.attribute_count);
  bp_context context;
  void* object = nullptr;
  const bp_status status = call_guarded(context, object_.get_deleter().owner, "create", nullptr, [&] {
    return type.create(&plugin_services(), &context, values.data(), &object);
  });
  object_.reset(object);
  if (status != BP_OK)
    fail(status == BP_E_INTERNAL ? ExitCode::internal : ExitCode::bad_config, complaint(context, status));
}

void Activation::forward(const void* z, void* a, std::int64_t rows, std::int64_t features) const {
  invoke(kernels_->forward, "forward", {.rows = rows, .features = features, .z = z, .a = a});
}

void Activation::backward(const void* z, const void* a, const void* d_activation, void* delta, std::int64_t rows,
                          std::int64_t features) const {
  invoke(kernels_->backward, "backward",
         {.rows = rows,
          .features = features,
          .z = (needs() & BP_NEEDS_Z) != 0 ? z : nullptr,
          .a = (needs() & BP_NEEDS_A) != 0 ? const_cast<void*>(a) : nullptr,
          .d_activation = d_activation,
          .delta = delta});
}

void Activation::invoke(Kernel kernel, const char* direction, bp_activation_call call) const {
  bp_context context;
  call.struct_size = sizeof call;
  call.host = &plugin_services();
  call.context = &context;
  const bp_status status = call_guarded(context, object_.get_deleter().owner, direction, nullptr,
                                        [&] { return kernel(object_.get(), &call); });
  if (status != BP_OK) fail(ExitCode::internal, fmt::format("{} failed: {}", direction, complaint(context, status)));
}

Diagnostic Activation::diagnostic(const std::string& what) const {
  return {.place = place_,
          .what = fmt::format("activation '{}': {}", type_->name, what),
          .path = fmt::format("plug-in {} {} ({})", plugin_->id, plugin_->version, plugin_->file)};
}

void Activation::fail(ExitCode code, const std::string& what) const {
  throw UserError(code, diagnostic(what));
}

}  // namespace backplane
