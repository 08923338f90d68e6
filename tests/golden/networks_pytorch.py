"""The networks of a checkpoint in PyTorch: `results(run, dtype)` is what networks.Run.results() should be.

A network is the list `network.layers` of the checkpoint's configuration, each entry a function below that makes z from
the layer's inputs and the stored weights with PyTorch's own operation, in Backplane's layout: channels last.
"""
import functools
import re
import types

import h5py
import numpy as np
import torch
import yaml
from torch import nn
from torch.nn import functional as F

import networks

torch.set_num_threads(1)


def is_valid(a, lengths):
    """(N, T, 1, …): whether a step lies within its sample's length, to multiply or to choose with."""
    return (torch.arange(a.shape[1]) < lengths[:, None]).reshape(*a.shape[:2], *[1] * (a.dim() - 2))


def pair(numbers, axes=2):
    numbers = numbers if isinstance(numbers, list) else [numbers]
    return tuple(int(n) for n in (numbers * axes if len(numbers) == 1 else numbers))


def channels_first(a):
    return a.movedim(-1, 1)


def channels_last(a):
    return a.movedim(1, -1)


def padding_of(layer, extents, kernel, stride, dilation):
    """(before, after) of each axis."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if layer.padding == "same":
        both = [max((-(-extent // s) - 1) * s + r - extent, 0) for extent, s, r in zip(extents, stride, reach)]
        return [(b // 2, b - b // 2) for b in both]
    if layer.padding == "causal":
        return [(r - 1, 0) for r in reach]
    numbers = "0" if layer.padding == "valid" else str(layer.padding)
    return [(n, n) for n in pair([int(n) for n in numbers.split(",")], len(extents))]


def padded(a, padding, value=0.0):
    return F.pad(a, [n for axis in reversed(padding) for n in axis], value=value)


# Layers: (layer, its inputs, its parameters by name, the pass) → z. `layer` has the attributes of the YAML.

def dense(layer, a, p, _):
    return F.linear(a.flatten(1) if layer.flatten else a, p["W"], p.get("b"))


def convolution(function, axes):
    def conv(layer, a, p, _):
        a = channels_first(a)
        kernel, stride, dilation = (pair(x, axes) for x in (layer.kernel, layer.stride, layer.dilation))
        a = padded(a, padding_of(layer, a.shape[2:], kernel, stride, dilation))
        return channels_last(function(a, p["W"], p.get("b"), stride, 0, dilation, layer.groups))
    return conv


def conv_transpose2d(layer, a, p, _):
    padding = [before for before, _ in padding_of(layer, (0, 0), (1, 1), (1, 1), (1, 1))]
    return channels_last(F.conv_transpose2d(channels_first(a), p["W"], p.get("b"), pair(layer.stride), padding,
                                            pair(layer.output_padding), layer.groups, pair(layer.dilation)))


def pool_windows(layer, a):
    kernel = pair(layer.kernel)
    stride = pair(layer.stride) if layer.stride else kernel
    padding = padding_of(layer, a.shape[2:], kernel, stride, (1, 1))
    is_even = all(before == after for before, after in padding)  # else it is not PyTorch's, and made apart
    return kernel, stride, padding, [before for before, _ in padding] if is_even else None


def max_pool2d(layer, a, p, _):
    a = channels_first(a)
    kernel, stride, padding, even = pool_windows(layer, a)
    if even is None:
        a, even = padded(a, padding, -torch.inf), 0
    return channels_last(F.max_pool2d(a, kernel, stride, even))


def avg_pool2d(layer, a, p, _):
    a = channels_first(a)
    kernel, stride, padding, even = pool_windows(layer, a)
    if even is not None:
        return channels_last(F.avg_pool2d(a, kernel, stride, even, count_include_pad=layer.include_padding))
    z = F.avg_pool2d(padded(a, padding), kernel, stride)
    if not layer.include_padding:
        z = z / F.avg_pool2d(padded(torch.ones_like(a), padding), kernel, stride)
    return channels_last(z)


def batch_norm(layer, a, p, step):
    state = step.state[layer.name]
    is_counted = torch.ones(a.shape[:-1], dtype=torch.bool)
    if step.lengths is not None and a.dim() > 2:
        is_counted = is_valid(a, step.lengths).expand(a.shape)[..., 0]
    z = torch.zeros_like(a)
    z[is_counted] = F.batch_norm(a[is_counted], state["running_mean"], state["running_variance"], p["gamma"],
                                 p["beta"], step.is_training, layer.momentum, layer.epsilon)
    return z


def dropout(layer, a, p, step):
    return a * step.saved(layer.name, "mask") if step.is_training else a  # the mask is chance, and Backplane's


def embedding(layer, a, p, step):
    z = F.embedding(a.long(), p["W"])
    return z if step.lengths is None else z * is_valid(z, step.lengths)


def name_in_torch(parameter, layer):
    """W_ih_reverse → weight_ih_l0_reverse"""
    kind, source, *reverse = parameter.split("_")
    return "_".join([{"W": "weight", "b": "bias"}[kind], source, f"l{layer}", *reverse])


def recurrent(make):
    def layer_of(layer, a, p, step):
        options = {"nonlinearity": layer.nonlinearity} if make is nn.RNN else {}
        module = make(a.shape[-1], layer.units, batch_first=True, bidirectional=layer.bidirectional, bias=layer.bias,
                      dtype=a.dtype, **options)
        for name, parameter in p.items():
            setattr(module, name_in_torch(name, 0), parameter)
        if step.lengths is not None:
            assert not layer.stateful and not layer.bptt, "not written here: in_parts does without lengths"
            a = nn.utils.rnn.pack_padded_sequence(a, step.lengths, batch_first=True, enforce_sorted=False)
            z, last = module(a)
            last = last if make is nn.LSTM else (last,)
            z, _ = nn.utils.rnn.pad_packed_sequence(z, batch_first=True, total_length=step.extent)
        else:
            z, last = in_parts(module, a, layer, step)
        if layer.output == "sequence":
            return z
        return last[0].transpose(0, 1).flatten(1)  # from (directions, N, H)
    return layer_of


def in_parts(module, a, layer, step):
    """`bptt` steps at a time, each part beginning with the state where the one before ended, without its history; the
    first one, where the layer is stateful, where the same rows of the batch before ended. (Test splits are one batch.)
    """
    assert not (layer.bidirectional and layer.bptt), "not written here: the reverse direction has borders of its own"
    carried, last, parts = step.state[layer.name], None, []
    if layer.stateful and step.is_training:
        last = [carried[name][None, :len(a)].clone() for name in ("hidden", "cell") if name in carried]
    for part in a.split(layer.bptt or a.shape[1], 1):
        if last is not None:
            last = tuple(state.detach() for state in last)
        z, last = module(part, last if last is None or isinstance(module, nn.LSTM) else last[0])
        last = last if isinstance(module, nn.LSTM) else (last,)
        parts.append(z)
    if layer.stateful and step.is_training:
        for name, state in zip(("hidden", "cell"), last):
            carried[name][:len(a)] = state[0].detach()
    return torch.cat(parts, 1), last


def attention(layer, a, p, step):
    N, T, E = a.shape
    module = nn.MultiheadAttention(E, layer.heads, bias=layer.bias, batch_first=True, dtype=a.dtype)
    module.in_proj_weight, module.out_proj.weight = p["W_qkv"], p["W_out"]
    if layer.bias:
        module.in_proj_bias, module.out_proj.bias = p["b_qkv"], p["b_out"]
    ignored = None if step.lengths is None else ~is_valid(a, step.lengths)[..., 0]
    later = torch.ones(T, T, dtype=torch.bool).triu(1) if layer.causal else None
    z, weights = module(a, a, a, key_padding_mask=ignored, attn_mask=later, average_attn_weights=False)
    if ignored is not None:
        z = z.masked_fill(ignored[..., None], 0)
        weights = weights.masked_fill(ignored[:, None, :, None], 0)
    step.shown[f"{layer.name}/attention"] = weights
    return z


def zero_pad(layer, a, p, _):
    axes = a.dim() - 2
    numbers = pair(layer.padding, axes)
    padding = [(n, n) for n in numbers] if len(numbers) == axes else list(zip(numbers[::2], numbers[1::2]))
    return channels_last(padded(channels_first(a), padding))


LAYERS = {
    "dense": dense, "dropout": dropout, "batch_norm": batch_norm, "embedding": embedding, "attention": attention,
    "conv2d": convolution(F.conv2d, 2), "conv1d": convolution(F.conv1d, 1), "conv_transpose2d": conv_transpose2d,
    "max_pool2d": max_pool2d, "avg_pool2d": avg_pool2d,
    "rnn": recurrent(nn.RNN), "lstm": recurrent(nn.LSTM), "gru": recurrent(nn.GRU), "zero_pad": zero_pad,
    "global_avg_pool": lambda layer, a, p, _: a.flatten(1, -2).mean(1),
    "flatten": lambda layer, a, p, _: a.flatten(1),
    "reshape": lambda layer, a, p, _: a.reshape(len(a), *layer.shape),
    "layer_norm": lambda layer, a, p, _: F.layer_norm(a, a.shape[-1:], p["gamma"], p["beta"], layer.epsilon),
    "position_embedding": lambda layer, a, p, _: a + p["P"],
    "scale": lambda layer, a, p, _: layer.initial * p["gamma"] * a + p.get("beta", 0),
    "add": lambda layer, *rest: sum(rest[:-2]),
    "multiply": lambda layer, *rest: functools.reduce(torch.mul, rest[:-2]),
    "concat": lambda layer, *rest: torch.cat(rest[:-2], layer.axis if layer.axis < 0 else layer.axis + 1),
}
ACTIVATIONS = {
    "identity": lambda z: z, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "gelu": F.gelu,
    "leaky_relu": lambda z, slope: F.leaky_relu(z, slope), "elu": lambda z, alpha: F.elu(z, alpha),
    "softplus": lambda z: F.softplus(z, threshold=1e9),  # PyTorch has the identity above z = 20 else
    "swish": F.silu, "softmax": lambda z: torch.softmax(z, -1),
}


class Yaml12(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, where 1e-5 is a text."""


Yaml12.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
                             list("-+0123456789"))


def choice(entry):
    """(name, options) of `name` or {name: options}."""
    return (entry, {}) if isinstance(entry, str) else next((name, options or {}) for name, options in entry.items())


def losses_of(name, options, z, a, target, lengths):
    """Of each sample; of a sequence with a target for each step, the mean over its valid steps."""
    each = {
        "squared_error": lambda: ((a - target) ** 2).sum(-1) / 2,
        "mean_squared_error": lambda: ((a - target) ** 2).mean(-1),
        "softmax_cross_entropy": lambda: -(target * F.log_softmax(z, -1)).sum(-1),
        "binary_cross_entropy": lambda: F.binary_cross_entropy_with_logits(z, target, reduction="none").mean(-1),
        "huber": lambda: F.huber_loss(a, target, reduction="none", **options).mean(-1),
    }[name]()
    if each.dim() == 1:
        return each
    return each.mean(1) if lengths is None else (each * is_valid(each, lengths)).sum(1) / lengths


def make_optimizer(choice_of_rule, parameters, roles):
    name, o = choice(choice_of_rule)
    every, lr = list(parameters.values()), o["lr"]
    adam = {"lr": lr, "betas": (o.get("beta1", 0), o.get("beta2", 0)), "eps": o.get("epsilon", 0)}
    if name == "adamw":
        decaying = [p for key, p in parameters.items() if roles[key] == "weight"]
        others = [p for key, p in parameters.items() if roles[key] != "weight"]
        return torch.optim.AdamW([{"params": decaying, "weight_decay": o["weight_decay"]},
                                  {"params": others, "weight_decay": 0.0}], **adam)
    return {
        "sgd": lambda: torch.optim.SGD(every, lr=lr),
        "momentum": lambda: torch.optim.SGD(every, lr=lr, momentum=o["momentum"]),
        "nesterov": lambda: torch.optim.SGD(every, lr=lr, momentum=o["momentum"], nesterov=True),
        "adagrad": lambda: torch.optim.Adagrad(every, lr=lr, eps=o["epsilon"]),
        "rmsprop": lambda: torch.optim.RMSprop(every, lr=lr, alpha=o["decay"], eps=o["epsilon"]),
        "adam": lambda: torch.optim.Adam(every, **adam),
    }[name]()


SLOTS = {"velocity": "momentum_buffer", "square_sum": "sum", "square_mean": "square_avg", "mean": "exp_avg",
         "variance": "exp_avg_sq"}


class Network:
    """The network as Backplane's first checkpoint holds it, in PyTorch."""

    def __init__(self, run, dtype):
        self.run, self.dtype, first = run, dtype, run.files[0]
        config = yaml.load(first["config"][()], Yaml12)
        self.train, self.data = config["train"], config["data"]
        self.loss, self.loss_options = choice(config["network"]["loss"])
        self.layers = [(kind, types.SimpleNamespace(**settings))
                       for kind, settings in map(choice, config["network"]["layers"])]
        self.parameters, self.roles, self.state = {}, {}, {}
        for name in run.layers:
            group = first[f"layers/{name}"]
            for p, stored in group.get("weights", {}).items():
                self.parameters[name, p] = nn.Parameter(self.tensor(stored[()]))
                self.roles[name, p] = stored.attrs["role"].decode()
            self.state[name] = {key: self.tensor(stored[()]) for key, stored in group.get("state", {}).items()}

    def tensor(self, array):
        return torch.tensor(np.asarray(array), dtype=self.dtype)

    def forward(self, input, target, lengths, step=None):
        """The losses of the samples, z and a of each layer, and what else layers show. `step`: of the optimizer, in
        training; None: in evaluation."""
        now = types.SimpleNamespace(
            is_training=step is not None, state=self.state, shown={}, extent=input.shape[1], lengths=lengths,
            saved=lambda layer, name: self.tensor(self.run.files[step][f"layers/{layer}/{name}"][()]))
        before, z, a = None, {}, {}
        for kind, layer in self.layers:
            names = getattr(layer, "inputs", None) or [before]
            names = [names] if isinstance(names, str) else names
            inputs = [input if name is None else a[name] for name in names]
            parameters = {p: value for (owner, p), value in self.parameters.items() if owner == layer.name}
            z[layer.name] = LAYERS[kind](layer, *inputs, parameters, now)
            name, options = choice(layer.activation)
            a[layer.name] = ACTIVATIONS[name](z[layer.name], **options)
            before = layer.name
        return losses_of(self.loss, self.loss_options, z[before], a[before], target, lengths), z, a, now.shown

    def batch_of(self, step):
        """Input, target and lengths of an optimizer step, which the checkpoint before it holds."""
        file = self.run.files[step]
        if file["state/position"][()] == 0:  # an epoch begins, and with it what stateful layers carry along
            for tensors in self.state.values():
                for name in tensors.keys() & {"hidden", "cell"}:
                    tensors[name].zero_()
        probe = file["probe"]
        return (self.tensor(probe["input"][()]).requires_grad_(), self.tensor(probe["target"][()]),
                torch.tensor(probe["length"][()]) if "length" in probe else None)

    def test_split(self, outputs):
        """What Backplane evaluates on, read from the files that the experiment names."""
        kind, data = choice(self.data)
        if kind == "text":
            text = (networks.ROOT / data["files"]).read_text()
            symbols, T = sorted(set(text)), data["window"]
            units, windows = [symbols.index(unit) for unit in text], (len(text) - 1) // data["window"]
            first = windows - round(windows * float(data["test"]))
            input, labels = ([units[i * T + shift:i * T + T + shift] for i in range(first, windows)] for shift in (0, 1))
            return self.tensor(input), F.one_hot(torch.tensor(labels), outputs).to(self.dtype), None
        with h5py.File(networks.ROOT / data["test"], "r") as file:
            lengths = torch.tensor(file[data["lengths"]][()]) if data.get("lengths") else None
            target = (self.tensor(file[data["targets"]][()]) if data.get("targets") else
                      F.one_hot(torch.tensor(file[data["labels"]][()]), outputs).to(self.dtype))
            return self.tensor(file[data["inputs"]][()]), target, lengths


def results(run, dtype):
    """A pass and ten steps from the weights of Backplane's first checkpoint, on the batches of each."""
    network, probe, found = Network(run, dtype), run.files[0]["probe"], {}

    def note(path, tensor):
        found[path] = tensor.detach().clone().numpy()

    def note_start_or_end(moment):
        for (layer, p), value in network.parameters.items():
            note(f"{moment}/{layer}/weights/{p}", value)
        for layer, tensors in network.state.items():
            for name, value in tensors.items():
                note(f"{moment}/{layer}/state/{name}", value)

    for name in ("input", "target", "length"):
        if name in probe:
            found[f"start/{name}"] = probe[name][()]
    note_start_or_end("start")
    is_fused = network.loss in ("softmax_cross_entropy", "binary_cross_entropy")

    optimizer = make_optimizer(network.train["optimizer"], network.parameters, network.roles)
    batch_losses = []
    for step in range(networks.STEPS):
        optimizer.zero_grad()
        losses, z, a, shown = network.forward(*network.batch_of(step), step)
        for tensor in [*z.values(), *a.values()]:
            tensor.retain_grad()
        losses.mean().backward()
        batch_losses.append(losses.mean().item())
        if step == 0:
            note("first/loss", losses)
            for layer in run.layers:
                note(f"first/{layer}/z", z[layer])
                note(f"first/{layer}/activation", a[layer])
                note(f"first/{layer}/delta", z[layer].grad)
                if not (is_fused and layer == run.layers[-1]):  # Backplane's loss then gives δ itself
                    note(f"first/{layer}/activation_gradient", a[layer].grad)
            for (layer, p), value in network.parameters.items():
                note(f"first/{layer}/gradients/{p}", value.grad)
            for path, value in shown.items():
                note(f"first/{path}", value)
        optimizer.step()
    note_start_or_end("after")
    for (layer, p), value in network.parameters.items():
        for slot, name in SLOTS.items():
            if name in optimizer.state.get(value, {}):
                note(f"after/{layer}/optimizer/{p}/{slot}", optimizer.state[value][name])
    found["after/batch_loss"] = np.array(batch_losses)

    with torch.no_grad():
        input, target, lengths = network.test_split(a[run.layers[-1]].shape[-1])
        losses, _, a, _ = network.forward(input, target, lengths)
    found["after/test_loss"] = np.array(losses.mean().item())
    if not choice(network.data)[1].get("targets"):
        found["after/test_accuracy"] = np.array((a[run.layers[-1]].argmax(-1) == target.argmax(-1)).double().mean().item())
    return found


def stacked_lstm(run, names):
    """The last state, (N, 2H), of these layers, all bidirectional, as one nn.LSTM with num_layers."""
    probe, layers = run.files[0]["probe"], [run.files[0][f"layers/{name}/weights"] for name in names]
    units, inputs = layers[0]["W_hh"].shape[1], layers[0]["W_ih"].shape[1]
    module = nn.LSTM(inputs, units, len(names), batch_first=True, bidirectional=True, dtype=torch.float64)
    module.load_state_dict({name_in_torch(p, k): torch.tensor(stored[()])
                            for k, layer in enumerate(layers) for p, stored in layer.items()})
    packed = nn.utils.rnn.pack_padded_sequence(torch.tensor(probe["input"][()]), torch.tensor(probe["length"][()]),
                                               batch_first=True, enforce_sorted=False)
    _, (hidden, _) = module(packed)
    return hidden[-2:].transpose(0, 1).flatten(1).detach().numpy()
