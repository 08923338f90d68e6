#pragma once

/// Layers and activations in C++20, on top of the C ABI (abi.h). Header-only, no dependency but the standard library.
///
/// A layer is a struct. Its attributes are members; three functions describe it, plan it and compute with it:
///
///     struct Stretch {                                           // z = s ⊙ a, one trainable s per feature
///       double initial = 1.0;
///
///       static void describe(bp::About<Stretch>& about) {
///         about.name("stretch").summary("z = s ⊙ a");
///         about.attribute("initial", &Stretch::initial, "starting value of s").at_least(0);
///         about.parameter("s", "gain", "one factor per feature", "ones");
///       }
///       void plan(bp::Plan& plan) const {
///         const bp::Dims features{plan.input(0).back()};
///         plan.output(plan.input(0));
///         plan.parameter(0, features, features[0], features[0]);
///         plan.needs_inputs();
///       }
///       template <class T> void forward(const bp::Call<T>& call) const { … }
///       template <class T> void backward(const bp::Call<T>& call) const { … }
///     };
///     BP_PLUGIN("org.example.stretch", "0.1.0", "MIT", "a layer of factors", bp::layers<Stretch>, bp::activations<>)
///
/// `plan`, `forward` and `backward` are const and may be called by many threads at once for one object; they write
/// only what the call hands over. They may throw bp::Error (or anything): nothing crosses the ABI but a message.
/// A layer that supports one element type only has a forward that accepts Call of that type only.

#include <array>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <backplane/abi.h>

namespace bp {
inline namespace sdk_0_4 {

using Dims = std::vector<std::int64_t>;

/// "[28, 28, 1]", for messages.
inline std::string to_string(const Dims& dims) {
  std::string text;
  for (const std::int64_t extent : dims) text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return "[" + text + "]";
}

/// What a layer throws where the user asked for the impossible; the host adds layer, file, line and column.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text, bp_status code = BP_E_INVALID) : std::runtime_error(text), code_(code) {}
  bp_status code() const { return code_; }

 private:
  bp_status code_;
};

/// A contiguous tensor of one call; not owned. False where the host did not ask for it.
template <class T>
class Tensor {
 public:
  explicit Tensor(const bp_tensor& tensor) : tensor_(&tensor) {}
  explicit operator bool() const { return tensor_->data != nullptr; }
  T* data() const { return static_cast<T*>(tensor_->data); }
  std::int64_t size() const { return tensor_->count; }
  std::span<const std::int64_t> dims() const { return {tensor_->dims, tensor_->rank}; }
  std::int64_t dim(std::size_t axis) const { return tensor_->dims[axis]; }
  /// Seen as a matrix: the last axis are columns, all others rows.
  std::int64_t columns() const { return tensor_->rank == 0 ? 1 : tensor_->dims[tensor_->rank - 1]; }
  std::int64_t rows() const { return columns() == 0 ? 0 : size() / columns(); }
  T& operator[](std::int64_t element) const { return data()[element]; }
  T& operator()(std::int64_t row, std::int64_t column) const { return data()[row * columns() + column]; }

 private:
  const bp_tensor* tensor_;
};

/// One call of a kernel: see bp_call in abi.h. Indices are those of `describe` and `plan`.
template <class T>
class Call {
 public:
  explicit Call(const bp_call& call) : call_(&call) {}
  bool training() const { return (call_->flags & BP_CALL_TRAINING) != 0; }
  std::uint64_t step() const { return call_->step; }
  std::int64_t samples() const { return call_->samples; }
  std::int64_t sample_begin() const { return call_->sample_begin; }
  std::int64_t unit_begin() const { return call_->unit_begin; }
  std::int64_t unit_end() const { return call_->unit_end; }
  std::size_t input_count() const { return call_->input_count; }
  Tensor<const T> input(std::size_t i) const { return Tensor<const T>(call_->inputs[i]); }
  Tensor<const T> parameter(std::size_t i) const { return Tensor<const T>(call_->parameters[i]); }
  Tensor<T> saved(std::size_t i) const { return Tensor<T>(call_->saved[i]); }
  T* packed() const { return static_cast<T*>(call_->packed); }
  Tensor<T> output() const { return Tensor<T>(call_->output); }                     ///< z
  Tensor<const T> delta() const { return Tensor<const T>(call_->delta); }           ///< δ
  Tensor<T> d_input(std::size_t i) const { return Tensor<T>(call_->d_inputs[i]); }  ///< write ∂C/∂a_in, if wanted
  /// Add (or write) ∂C/∂θ, if wanted; with gradient_units, of units [unit_begin, unit_end) alone: unit u is its row
  /// u − unit_begin().
  Tensor<T> d_parameter(std::size_t i) const { return Tensor<T>(call_->d_parameters[i]); }
  void* workspace() const { return call_->workspace; }
  std::int64_t batch_samples() const { return call_->batch_samples; }  ///< of the whole batch
  /// Valid steps of sample n of this call, where the first axis of a sample is time and has `steps` of them.
  std::int64_t length(std::int64_t n, std::int64_t steps) const {
    return call_->lengths != nullptr ? call_->lengths[n] : steps;
  }
  bool has_lengths() const { return call_->lengths != nullptr; }
  double* forward_sums() const { return call_->forward_sums; }
  double* backward_sums() const { return call_->backward_sums; }
  Tensor<T> state(std::size_t i) const { return Tensor<T>(call_->state[i]); }
  /// Random bits of sample n of this call: number i of out is a function of run, layer, step, sample and first + i.
  void random(std::int64_t n, std::uint64_t first, std::int64_t count, std::uint32_t* out) const {
    call_->host->random(call_->random_key, call_->step, static_cast<std::uint64_t>(call_->sample_begin + n), first,
                        count, out);
  }

 private:
  const bp_call* call_;
};

/// What `plan` reads and fills in: see bp_plan_api in abi.h.
class Plan {
 public:
  Plan(const bp_plan_api& api, bp_plan* plan) : api_(&api), plan_(plan) {}
  std::uint32_t dtype() const { return api_->dtype(plan_); }
  std::size_t input_count() const { return api_->input_count(plan_); }
  Dims input(std::uint32_t i) const {
    std::uint32_t rank = 0;
    const std::int64_t* dims = api_->input_dims(plan_, i, &rank);
    return Dims(dims, dims + rank);
  }
  void output(const Dims& dims) { api_->output(plan_, dims.data(), static_cast<std::uint32_t>(dims.size())); }
  void parameter(std::uint32_t index, const Dims& dims, std::int64_t fan_in, std::int64_t fan_out) {
    api_->parameter(plan_, index, dims.data(), static_cast<std::uint32_t>(dims.size()), fan_in, fan_out);
  }
  void needs_inputs() { api_->needs(plan_, BP_NEEDS_INPUTS); }
  void needs_output() { api_->needs(plan_, BP_NEEDS_OUTPUT); }
  void saved(const char* name, const Dims& dims, std::uint32_t written_by) {
    api_->saved(plan_, name, dims.data(), static_cast<std::uint32_t>(dims.size()), written_by);
  }
  void workspace(std::uint64_t fixed_bytes, std::uint64_t bytes_per_sample) {
    api_->workspace(plan_, fixed_bytes, bytes_per_sample);
  }
  void gradient_units(std::int64_t units) { api_->gradient_units(plan_, units); }
  void packed(std::int64_t elements) { api_->packed(plan_, elements); }
  void uses_lengths() { api_->uses_lengths(plan_); }
  void full_speed_samples(std::int64_t samples) { api_->full_speed_samples(plan_, samples); }
  void writes_gradients() { api_->writes_gradients(plan_); }
  void batch_sums(std::int64_t forward, std::int64_t backward) { api_->batch_sums(plan_, forward, backward); }
  void shared_state(const char* name, const Dims& dims, double initial) {
    api_->state(plan_, name, dims.data(), static_cast<std::uint32_t>(dims.size()), BP_STATE_SHARED, initial);
  }
  void carried_state(const char* name, const Dims& dims) {
    api_->state(plan_, name, dims.data(), static_cast<std::uint32_t>(dims.size()), BP_STATE_CARRIED, 0.0);
  }

 private:
  const bp_plan_api* api_;
  bp_plan* plan_;
};

/// Narrows one attribute's values; returned by About::attribute.
class AttributeLimits {
 public:
  explicit AttributeLimits(bp_attribute& attribute) : attribute_(&attribute) {}
  AttributeLimits& required() { return attribute_->required = 1, *this; }
  AttributeLimits& at_least(double value) { return attribute_->min = value, *this; }
  AttributeLimits& at_most(double value) { return attribute_->max = value, *this; }
  /// `names`: a NULL-terminated array with static storage.
  AttributeLimits& one_of(const char* const* names) { return attribute_->choices = names, *this; }

 private:
  bp_attribute* attribute_;
};

/// Collects what a layer or activation says about itself. All text must have static storage (string literals).
template <class Object>
class About {
 public:
  About& name(const char* name) { return name_ = name, *this; }
  About& summary(const char* summary) { return summary_ = summary, *this; }
  About& version(std::uint32_t version) { return version_ = version, *this; }
  About& inputs(std::uint32_t min, std::uint32_t max) { return inputs_min_ = min, inputs_max_ = max, *this; }
  /// Of an activation: what its backward reads, BP_NEEDS_Z, BP_NEEDS_A or both (the default).
  About& needs(std::uint32_t bits) { return needs_ = bits, *this; }

  /// An attribute held in `member`; its default is the member's value in a default-constructed Object.
  template <class Value>
  AttributeLimits attribute(const char* name, Value Object::*member, const char* summary) {
    bp_attribute& attribute = *attributes_.emplace_back(std::make_unique<bp_attribute>());
    attribute = {.struct_size = sizeof(bp_attribute),
                 .kind = kind_of<Value>(),
                 .required = 0,
                 .reserved = 0,
                 .name = name,
                 .summary = summary,
                 .initial = {},
                 .min = -std::numeric_limits<double>::infinity(),
                 .max = std::numeric_limits<double>::infinity(),
                 .choices = nullptr};
    write(attribute.initial, defaults_.*member);
    setters_.push_back([member](Object& object, const bp_attribute_value& value) { read(value, object.*member); });
    return AttributeLimits(attribute);
  }

  void parameter(const char* name, const char* role, const char* summary, const char* init) {
    parameters_.push_back(std::make_unique<bp_parameter>(bp_parameter{.struct_size = sizeof(bp_parameter),
                                                                      .reserved = 0,
                                                                      .name = name,
                                                                      .role = role,
                                                                      .summary = summary,
                                                                      .init = init}));
  }

  const char* name() const { return name_; }
  const char* summary() const { return summary_; }
  std::uint32_t version() const { return version_; }
  std::uint32_t inputs_min() const { return inputs_min_; }
  std::uint32_t inputs_max() const { return inputs_max_; }
  std::uint32_t needs() const { return needs_; }
  const std::vector<std::unique_ptr<bp_attribute>>& attributes() const { return attributes_; }
  const std::vector<std::unique_ptr<bp_parameter>>& parameters() const { return parameters_; }
  void assign(Object& object, const bp_attribute_value* values) const {
    for (std::size_t i = 0; i < setters_.size(); ++i) setters_[i](object, values[i]);
  }

 private:
  template <class Value>
  static constexpr std::uint32_t kind_of() {
    if constexpr (std::is_same_v<Value, bool>)
      return BP_ATTRIBUTE_BOOL;
    else if constexpr (std::is_integral_v<Value>)
      return BP_ATTRIBUTE_INT;
    else if constexpr (std::is_floating_point_v<Value>)
      return BP_ATTRIBUTE_FLOAT;
    else if constexpr (std::is_same_v<Value, std::string>)
      return BP_ATTRIBUTE_TEXT;
    else {
      static_assert(std::is_same_v<Value, Dims>,
                    "an attribute is a bool, integer, floating point number, "
                    "std::string or bp::Dims");
      return BP_ATTRIBUTE_INT_LIST;
    }
  }
  template <class Value>
  static void write(bp_attribute_value& to, const Value& from) {
    if constexpr (std::is_integral_v<Value>)
      to.integer = static_cast<std::int64_t>(from);
    else if constexpr (std::is_floating_point_v<Value>)
      to.number = from;
    else if constexpr (std::is_same_v<Value, std::string>)
      to.text = from.c_str();
    else
      to.integer = static_cast<std::int64_t>(from.size()), to.integers = from.data();
  }
  template <class Value>
  static void read(const bp_attribute_value& from, Value& to) {
    if constexpr (std::is_same_v<Value, bool>)
      to = from.integer != 0;
    else if constexpr (std::is_integral_v<Value>) {
      if (!std::in_range<Value>(from.integer))
        throw Error("attribute value " + std::to_string(from.integer) + " does not fit the type that holds it");
      to = static_cast<Value>(from.integer);
    } else if constexpr (std::is_floating_point_v<Value>)
      to = static_cast<Value>(from.number);
    else if constexpr (std::is_same_v<Value, std::string>)
      to = from.text;
    else
      to.assign(from.integers, from.integers + from.integer);
  }

  Object defaults_{};  // keeps the text and lists of defaults alive
  const char* name_ = "";
  const char* summary_ = "";
  std::uint32_t version_ = 1;
  std::uint32_t inputs_min_ = 1;
  std::uint32_t inputs_max_ = 1;
  std::uint32_t needs_ = BP_NEEDS_Z | BP_NEEDS_A;
  std::vector<std::unique_ptr<bp_attribute>> attributes_;
  std::vector<std::unique_ptr<bp_parameter>> parameters_;
  std::vector<std::function<void(Object&, const bp_attribute_value&)>> setters_;
};

template <class Object>
concept Described = std::copyable<Object> && std::default_initializable<Object> && requires(About<Object>& about) {
  Object::describe(about);
};

template <class Object, class T>
concept ComputesLayer = requires(const Object& layer, const Call<T>& call) {
  layer.forward(call);
  layer.backward(call);
};

/// z = f(a_in; θ): const `plan`, `forward` and `backward`, and optionally `pack`, `collect_forward` with
/// `collect_backward`, and `update_state`, all of which take a Call.
template <class Object>
concept Layer = Described<Object> && requires(const Object& layer, Plan& plan) {
  layer.plan(plan);
} &&(ComputesLayer<Object, float> || ComputesLayer<Object, double>);

template <class Object, class T>
concept ComputesActivation = requires(const Object& activation, const T* in, T* out, std::int64_t n) {
  activation.forward(in, out, n, n);
  activation.backward(in, in, in, out, n, n);
};

/// a = σ(z): const `forward(z, a, rows, features)` and `backward(z, a, d_activation, delta, rows, features)`; z or a is
/// nullptr in backward where About::needs leaves it out.
template <class Object>
concept Activation = Described<Object> &&(ComputesActivation<Object, float> || ComputesActivation<Object, double>);

namespace detail {

/// Runs `body`; whatever it throws becomes a status and a message.
template <class Body>
bp_status guarded(const bp_host* host, bp_context* context, Body&& body) noexcept {
  try {
    body();
    return BP_OK;
  } catch (const Error& error) {
    host->error(context, error.code(), error.what());
    return error.code();
  } catch (const std::bad_alloc&) {
    host->error(context, BP_E_MEMORY, "out of memory");
    return BP_E_MEMORY;
  } catch (const std::exception& error) {
    host->error(context, BP_E_INTERNAL, error.what());
    return BP_E_INTERNAL;
  } catch (...) {
    host->error(context, BP_E_INTERNAL, "threw something that is no std::exception");
    return BP_E_INTERNAL;
  }
}

template <class Object>
const About<Object>& about() {
  struct Filled : About<Object> {  // described in place: defaults point into the object, which never moves
    Filled() { Object::describe(*this); }
  };
  static const Filled instance;
  return instance;
}

/// A vector of owners as the array of pointers that the ABI wants.
template <class Item>
std::vector<const Item*> pointers(const std::vector<std::unique_ptr<Item>>& items) {
  std::vector<const Item*> result;
  for (const auto& item : items) result.push_back(item.get());
  return result;
}

template <class Object>
bp_status create(const bp_host* host, bp_context* context, const bp_attribute_value* values, void** object) noexcept {
  return guarded(host, context, [&] {
    auto made = std::make_unique<Object>();
    about<Object>().assign(*made, values);
    *object = made.release();
  });
}

template <class Object>
void destroy(void* object) noexcept {
  delete static_cast<Object*>(object);
}

template <Layer L>
bp_status plan(const void* layer, const bp_host* host, bp_context* context, const bp_plan_api* api,
               bp_plan* plan) noexcept {
  return guarded(host, context, [&] {
    Plan view(*api, plan);
    static_cast<const L*>(layer)->plan(view);
  });
}

/// The functions of a layer that take a call, as the ABI calls them.
template <Layer L, class T>
struct Kernels {
  static bp_status forward(const void* layer, const bp_call* call) noexcept {
    return guarded(call->host, call->context, [&] { of(layer).forward(Call<T>(*call)); });
  }
  static bp_status backward(const void* layer, const bp_call* call) noexcept {
    return guarded(call->host, call->context, [&] { of(layer).backward(Call<T>(*call)); });
  }
  static bp_status pack(const void* layer, const bp_call* call) noexcept {
    return guarded(call->host, call->context, [&] { of(layer).pack(Call<T>(*call)); });
  }
  static bp_status collect_forward(const void* layer, const bp_call* call) noexcept {
    return guarded(call->host, call->context, [&] { of(layer).collect_forward(Call<T>(*call)); });
  }
  static bp_status collect_backward(const void* layer, const bp_call* call) noexcept {
    return guarded(call->host, call->context, [&] { of(layer).collect_backward(Call<T>(*call)); });
  }
  static bp_status update_state(const void* layer, const bp_call* call) noexcept {
    return guarded(call->host, call->context, [&] { of(layer).update_state(Call<T>(*call)); });
  }

  static bp_kernels table() {
    bp_kernels made{.struct_size = sizeof(bp_kernels),
                    .reserved = 0,
                    .forward = forward,
                    .backward = backward,
                    .pack = nullptr,
                    .collect_forward = nullptr,
                    .collect_backward = nullptr,
                    .update_state = nullptr};
    if constexpr (requires(const L& layer, const Call<T>& call) { layer.pack(call); }) made.pack = pack;
    if constexpr (requires(const L& layer, const Call<T>& call) { layer.collect_forward(call); })
      made.collect_forward = collect_forward;
    if constexpr (requires(const L& layer, const Call<T>& call) { layer.collect_backward(call); })
      made.collect_backward = collect_backward;
    if constexpr (requires(const L& layer, const Call<T>& call) { layer.update_state(call); })
      made.update_state = update_state;
    return made;
  }

 private:
  static const L& of(const void* layer) { return *static_cast<const L*>(layer); }
};

template <Layer L, class T>
const bp_kernels* kernels() {
  if constexpr (ComputesLayer<L, T>) {
    static const bp_kernels table = Kernels<L, T>::table();
    return &table;
  } else {
    return nullptr;
  }
}

template <Activation A, class T>
bp_status activate(const void* activation, const bp_activation_call* call) noexcept {
  return guarded(call->host, call->context, [&] {
    static_cast<const A*>(activation)
        ->forward(static_cast<const T*>(call->z), static_cast<T*>(call->a), call->rows, call->features);
  });
}

template <Activation A, class T>
bp_status activate_backward(const void* activation, const bp_activation_call* call) noexcept {
  return guarded(call->host, call->context, [&] {
    static_cast<const A*>(activation)
        ->backward(static_cast<const T*>(call->z), static_cast<const T*>(call->a),
                   static_cast<const T*>(call->d_activation), static_cast<T*>(call->delta), call->rows, call->features);
  });
}

template <Activation A, class T>
const bp_activation_kernels* activation_kernels() {
  if constexpr (ComputesActivation<A, T>) {
    static const bp_activation_kernels table{sizeof(bp_activation_kernels), 0, activate<A, T>, activate_backward<A, T>};
    return &table;
  } else {
    return nullptr;
  }
}

template <Layer L>
const bp_layer_type* layer_type() {
  static const auto attributes = pointers(about<L>().attributes());
  static const auto parameters = pointers(about<L>().parameters());
  static const bp_layer_type type{.struct_size = sizeof(bp_layer_type),
                                  .version = about<L>().version(),
                                  .name = about<L>().name(),
                                  .summary = about<L>().summary(),
                                  .attribute_count = static_cast<std::uint32_t>(attributes.size()),
                                  .parameter_count = static_cast<std::uint32_t>(parameters.size()),
                                  .attributes = attributes.data(),
                                  .parameters = parameters.data(),
                                  .inputs_min = about<L>().inputs_min(),
                                  .inputs_max = about<L>().inputs_max(),
                                  .create = create<L>,
                                  .destroy = destroy<L>,
                                  .plan = plan<L>,
                                  .f32 = kernels<L, float>(),
                                  .f64 = kernels<L, double>()};
  return &type;
}

template <Activation A>
const bp_activation_type* activation_type() {
  static const auto attributes = pointers(about<A>().attributes());
  static const bp_activation_type type{.struct_size = sizeof(bp_activation_type),
                                       .version = about<A>().version(),
                                       .name = about<A>().name(),
                                       .summary = about<A>().summary(),
                                       .attribute_count = static_cast<std::uint32_t>(attributes.size()),
                                       .needs = about<A>().needs(),
                                       .attributes = attributes.data(),
                                       .create = create<A>,
                                       .destroy = destroy<A>,
                                       .f32 = activation_kernels<A, float>(),
                                       .f64 = activation_kernels<A, double>()};
  return &type;
}

template <Layer... L>
struct LayerList {};
template <Activation... A>
struct ActivationList {};

template <Layer... L, Activation... A>
const bp_plugin* plugin(const char* id, const char* version, const char* licence, const char* summary, LayerList<L...>,
                        ActivationList<A...>) {
  static const std::array<const bp_layer_type*, sizeof...(L)> layers{layer_type<L>()...};
  static const std::array<const bp_activation_type*, sizeof...(A)> activations{activation_type<A>()...};
  static const bp_plugin table{.struct_size = sizeof(bp_plugin),
                               .abi_major = BP_ABI_MAJOR,
                               .abi_minor_built = BP_ABI_MINOR,
                               .abi_minor_needed = BP_ABI_MINOR,
                               .id = id,
                               .version = version,
                               .summary = summary,
                               .licence = licence,
                               .layer_count = sizeof...(L),
                               .activation_count = sizeof...(A),
                               .layers = layers.data(),
                               .activations = activations.data()};
  return &table;
}

}  // namespace detail

/// The two lists of BP_PLUGIN.
template <Layer... L>
inline constexpr detail::LayerList<L...> layers{};
template <Activation... A>
inline constexpr detail::ActivationList<A...> activations{};

}  // namespace sdk_0_4
}  // namespace bp

/// Defines the plug-in's one exported symbol: BP_PLUGIN(id, version, licence, summary, bp::layers<…>,
/// bp::activations<…>). List every type here; nothing registers itself.
#define BP_PLUGIN(...)                                                                    \
  extern "C" __attribute__((visibility("default"))) const bp_plugin* bp_plugin_v0(void) { \
    return ::bp::detail::plugin(__VA_ARGS__);                                             \
  }
