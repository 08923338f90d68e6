#include "model_state/catalogue.h"

#include <algorithm>
#include <iterator>

#include "model_state/axes.h"

namespace backplane {

namespace {

using Extent = TensorExtent;

/// Parameters are written by whoever restores them.
void* writable(const void* data) {
  return const_cast<void*>(data);
}

}  // namespace

std::vector<LayerTensor> tensors_of(const Network& network, std::size_t index, bool loss_gives_delta,
                                    const std::vector<std::string>& slots) {
  const LayerNode& node = network.nodes()[index];
  const LayerPlan& plan = node.plan;
  std::vector<LayerTensor> tensors;
  const auto add = [&](LayerTensor tensor) {
    tensor.kind = &kind_of(tensor.name);
    tensor.node = index;
    if (*tensor.kind->definition != '\0') tensor.attributes["definition"] = tensor.kind->definition;
    tensors.push_back(std::move(tensor));
  };
  using Tensor = const LayerTensor&;

  const auto add_output = [&](const char* name, auto locate) {
    add({.name = name,
         .extent = Extent::sample,
         .shape = plan.output,
         .axes = sample_axes(plan.output),
         .can_be_tapped = true,
         .locate = locate});
  };
  add_output("z", [](Tensor t, Network&, Trainer* of) { return writable(of->executor().z(t.node)); });
  add_output("activation", [](Tensor t, Network&, Trainer* of) { return writable(of->executor().activation(t.node)); });
  if (index + 1 < network.nodes().size() || !loss_gives_delta)
    add_output("activation_gradient",
               [](Tensor t, Network&, Trainer* of) { return writable(of->executor().d_activation(t.node)); });
  add_output("delta", [](Tensor t, Network&, Trainer* of) { return writable(of->executor().delta(t.node)); });

  for (std::size_t i = 0; i < plan.saved.size(); ++i)
    add({.name = plan.saved[i].name,
         .extent = Extent::sample,
         .shape = plan.saved[i].sample_shape,
         .axes = saved_axes(plan.saved[i].sample_shape),
         .can_be_tapped = true,
         .locate = [](Tensor t, Network&, Trainer* of) { return writable(of->executor().saved(t.node, t.item)); },
         .item = i});

  for (std::size_t i = 0; i < node.shared_state.size(); ++i) {
    const StateTensor& state = plan.state[node.shared_state[i].declared];
    add({.name = "state/" + state.name,
         .shape = state.shape,
         .axes = parameter_axes(state.shape),
         .locate = [](Tensor t, Network& in, Trainer*) { return in.nodes()[t.node].shared_state[t.item].value.data(); },
         .item = i});
  }
  for (std::size_t i = 0; i < plan.state.size(); ++i) {
    if (plan.state[i].kind != BP_STATE_CARRIED) continue;
    std::vector<std::string> axes = sample_axes(plan.state[i].shape);
    axes[0] = "row";
    add({.name = "state/" + plan.state[i].name,
         .extent = Extent::row,
         .shape = plan.state[i].shape,
         .axes = std::move(axes),
         .locate = [](Tensor t, Network&, Trainer* of) { return of->executor().carried_state(t.node, t.item); },
         .item = i});
  }

  for (std::size_t p = 0; p < node.parameters.size(); ++p) {
    const Parameter& parameter = node.parameters[p];
    add({.name = "weights/" + parameter.name,
         .shape = parameter.shape,
         .axes = parameter_axes(parameter.shape),
         .attributes = {{"role", parameter.role}, {"trainable", parameter.trainable ? "true" : "false"}},
         .can_be_tapped = true,
         .locate = [](Tensor t, Network& in, Trainer*) { return in.nodes()[t.node].parameters[t.item].value.data(); },
         .item = p});
  }
  for (std::size_t p = 0; p < node.parameters.size(); ++p)
    add({.name = "gradients/" + node.parameters[p].name,
         .shape = node.parameters[p].shape,
         .axes = parameter_axes(node.parameters[p].shape),
         .can_be_tapped = node.parameters[p].trainable,
         .locate = [](Tensor t, Network&, Trainer* of) { return writable(of->executor().gradient(t.node, t.item)); },
         .item = p});
  for (std::size_t p = 0; p < node.parameters.size(); ++p)
    for (std::size_t s = 0; s < slots.size(); ++s)
      add({.name = "optimizer/" + node.parameters[p].name + "/" + slots[s],
           .shape = node.parameters[p].shape,
           .axes = parameter_axes(node.parameters[p].shape),
           .locate = [](Tensor t, Network&,
                        Trainer* of) { return of->optimizer().slot(t.node, t.item, t.slot).data(); },
           .item = p,
           .slot = s});
  return tensors;
}

std::vector<LayerTensor> tensors_of(const Network& network, Trainer& trainer) {
  std::vector<LayerTensor> all;
  for (std::size_t node = 0; node < network.nodes().size(); ++node)
    std::ranges::move(tensors_of(network, node, trainer.loss().gives_delta(), trainer.optimizer().slots()),
                      std::back_inserter(all));
  return all;
}

}  // namespace backplane
