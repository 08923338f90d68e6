"""Training steps on demand in PyTorch, for compare.py: the network, weights and samples that `training_steps --weights
WEIGHTS --data DATA` wrote, the same lines on stdin and stdout."""
import argparse
import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def choice(entry):
    """(name, options) of {name: options}."""
    return next((name, options or {}) for name, options in entry.items())


def tensor(stored):
    return torch.from_numpy(stored[()])


class Attention(nn.Module):
    def __init__(self, heads, is_causal, p):
        super().__init__()
        self.heads, self.is_causal = heads, is_causal
        self.qkv = filled(nn.Linear(p["W_qkv"].shape[1], p["W_qkv"].shape[0], "b_qkv" in p), p["W_qkv"], p.get("b_qkv"))
        self.out = filled(nn.Linear(*p["W_out"].shape, "b_out" in p), p["W_out"], p.get("b_out"))

    def forward(self, a):
        N, T, E = a.shape
        q, k, v = self.qkv(a).view(N, T, 3, self.heads, E // self.heads).permute(2, 0, 3, 1, 4)
        context = F.scaled_dot_product_attention(q, k, v, is_causal=self.is_causal)
        return self.out(context.transpose(1, 2).reshape(N, T, E))


class Recurrent(nn.Module):
    """Neighbouring layers as one module."""

    def __init__(self, kind, layers, parameters):
        super().__init__()
        units, inputs = parameters[0]["W_hh"].shape[1], parameters[0]["W_ih"].shape[1]
        self.module = kind(inputs, units, len(layers), batch_first=True)
        self.is_last = layers[-1]["output"] == "last"
        names = {"W_ih": "weight_ih", "W_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
        self.module.load_state_dict({f"{names[name]}_l{k}": value
                                     for k, p in enumerate(parameters) for name, value in p.items()})

    def forward(self, a):
        z, _ = self.module(a)
        return z[:, -1] if self.is_last else z


class PositionEmbedding(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.P = nn.Parameter(p["P"])

    def forward(self, a):
        return a + self.P


class Add(nn.Module):
    def forward(self, a, b):
        return a + b


class FlattenImages(nn.Module):
    """To (N, H·W·C): a view of what lies channels last, a copy of anything else."""

    def forward(self, a):
        return a.permute(0, 2, 3, 1).flatten(1)


def filled(module, weight, bias=None):
    """The module with these numbers, in the memory format that the module has."""
    with torch.no_grad():
        module.weight.copy_(weight)
        if bias is not None:
            module.bias.copy_(bias)
    return module


def same_padding(layer):
    assert all(n == 1 for n in layer["stride"]) and layer["padding"] in ("same", "valid"), \
        f"{layer['name']}: only padding 'same' with stride 1, and 'valid', are written here; add this case"
    return [d * (k - 1) // 2 if layer["padding"] == "same" else 0
            for k, d in zip(both(layer["kernel"]), both(layer["dilation"]))]


def both(numbers):
    return tuple(int(n) for n in (numbers * 2 if len(numbers) == 1 else numbers))


def dense(layer, p, shape, layout):
    W = p["W"]
    linear = filled(nn.Linear(W.shape[1], W.shape[0], "b" in p), W, p.get("b"))
    if not layer["flatten"] or len(shape) == 1:
        return linear
    if len(shape) != 3:
        return nn.Sequential(nn.Flatten(), linear)
    if layout == "channels_last":
        return nn.Sequential(FlattenImages(), linear)
    H, W_, C = shape  # Backplane's columns stand as pixels do, PyTorch's as planes
    filled(linear, W.view(-1, H, W_, C).permute(0, 3, 1, 2).reshape(W.shape))
    return nn.Sequential(nn.Flatten(), linear)


def conv2d(layer, p, *_):
    W, groups = p["W"], layer["groups"]
    return filled(nn.Conv2d(W.shape[1] * groups, W.shape[0], both(layer["kernel"]), both(layer["stride"]),
                            same_padding(layer), both(layer["dilation"]), groups, "b" in p), W, p.get("b"))


def max_pool2d(layer, *_):
    assert layer["padding"] == "valid", f"{layer['name']}: padding of max_pool2d is not written here; add it"
    return nn.MaxPool2d(both(layer["kernel"]), both(layer["stride"] or layer["kernel"]))


def batch_norm(layer, p, *_):
    return filled(nn.BatchNorm2d(len(p["gamma"]), float(layer["epsilon"]), float(layer["momentum"])),
                  p["gamma"], p["beta"])


# (the layer's settings, its parameters, the shape of its input's samples, memory layout of images) → module
LAYERS = {
    "dense": dense, "conv2d": conv2d, "max_pool2d": max_pool2d, "batch_norm": batch_norm,
    "layer_norm": lambda layer, p, *_: filled(nn.LayerNorm(len(p["gamma"]), float(layer["epsilon"])),
                                              p["gamma"], p["beta"]),
    "embedding": lambda layer, p, *_: filled(nn.Embedding(*p["W"].shape), p["W"]),
    "position_embedding": lambda layer, p, *_: PositionEmbedding(p),
    "attention": lambda layer, p, *_: Attention(layer["heads"], layer["causal"], p),
    "add": lambda *_: Add(),
}
RECURRENT = {"lstm": nn.LSTM, "gru": nn.GRU}
ACTIVATIONS = {"relu": lambda: nn.ReLU(inplace=True), "gelu": nn.GELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def are_stackable(before, after):
    """Whether two neighbours (kind, layer) are what PyTorch calls layers of one recurrent module."""
    (kind, a), (kind_after, b) = before, after
    return (kind == kind_after and kind in RECURRENT and a["units"] == b["units"] and a["output"] == "sequence"
            and "identity" in a["activation"] and not b.get("inputs"))


class Network(nn.Module):
    """The list of layers of a checkpoint's configuration. Stored layers give shapes and weights."""

    def __init__(self, config, stored, input_shape, layout):
        super().__init__()
        entries = [choice(entry) for entry in config["network"]["layers"]]
        self.decaying, self.nodes, self.modules_in_order = [], [], nn.ModuleList()
        shapes, before, k = {"": input_shape}, "", 0
        while k < len(entries):
            kind, layer = entries[k]
            group = [layer]
            while k + len(group) < len(entries) and are_stackable(entries[k + len(group) - 1], entries[k + len(group)]):
                group.append(entries[k + len(group)][1])
            k += len(group)
            weights = [stored[each["name"]].get("weights", {}) for each in group]
            parameters = [{name: tensor(value) for name, value in each.items()} for each in weights]
            inputs = layer.get("inputs") or [before]
            inputs = [inputs] if isinstance(inputs, str) else inputs
            if kind in RECURRENT:
                for each in group:
                    assert not (each["bidirectional"] or each["stateful"] or each["bptt"]), \
                        f"{each['name']}: bidirectional, stateful and bptt are not written here; add them"
                module = Recurrent(RECURRENT[kind], group, parameters)
            else:
                assert kind in LAYERS, f"layer type '{kind}' is not written here; add it to LAYERS"
                module = LAYERS[kind](layer, parameters[0], shapes[inputs[0]], layout)
            activation, _ = choice(group[-1]["activation"])
            if activation != "identity":
                module = nn.Sequential(module, ACTIVATIONS[activation]())
            self.modules_in_order.append(module)
            self.decaying += [p for p in module.parameters() if p.dim() > 1]
            before = group[-1]["name"]
            shapes[before] = tuple(stored[before]["z"].shape[1:])
            self.nodes.append([inputs, before, []])
        last_use = {name: i for i, (inputs, _, _) in enumerate(self.nodes) for name in inputs}
        for name, i in last_use.items():
            self.nodes[i][2].append(name)

    def forward(self, input):
        a = {"": input}
        for module, (inputs, name, done) in zip(self.modules_in_order, self.nodes):
            a[name] = module(*[a[each] for each in inputs])
            for each in done:
                del a[each]
        return a[name]


def make_optimizer(rule, network):
    name, o = choice(rule)
    o = {key: float(value) for key, value in o.items()}
    every = list(network.parameters())
    adam = {"lr": o["lr"], "betas": (o.get("beta1"), o.get("beta2")), "eps": o.get("epsilon"), "fused": True}
    if name == "adamw":
        decaying = set(network.decaying)
        return torch.optim.AdamW([{"params": network.decaying, "weight_decay": o["weight_decay"]},
                                  {"params": [p for p in every if p not in decaying], "weight_decay": 0.0}], **adam)
    return {"sgd": lambda: torch.optim.SGD(every, lr=o["lr"], fused=True),
            "momentum": lambda: torch.optim.SGD(every, lr=o["lr"], momentum=o["momentum"], fused=True),
            "adam": lambda: torch.optim.Adam(every, **adam)}[name]()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("weights")
    options.add_argument("data")
    options.add_argument("--threads", type=int, required=True)
    options.add_argument("--mode", choices=["eager", "compiled"], default="eager")
    options.add_argument("--layout", choices=["contiguous", "channels_last"], default="channels_last",
                         help="of images in memory")
    words = options.parse_args()
    torch.set_num_threads(words.threads)
    torch.set_num_interop_threads(1)

    start = time.perf_counter()
    import h5py  # it and what follows is reading, which the ready line reports apart
    import yaml
    with h5py.File(words.data) as file:
        inputs, labels = tensor(file["inputs"]), tensor(file["labels"])
    checkpoint = h5py.File(words.weights)
    config = yaml.safe_load(checkpoint["config"][()])
    data_seconds = time.perf_counter() - start

    samples, size = len(inputs), int(config["train"]["batch_size"])
    sample_shape = tuple(inputs.shape[1:])
    if len(sample_shape) == 3:
        inputs = inputs.permute(0, 3, 1, 2)  # channels last as it lies
        inputs = inputs.contiguous() if words.layout == "contiguous" else inputs
    if choice(config["network"]["layers"][0])[0] == "embedding":
        inputs = inputs.long()
    network = Network(config, checkpoint["layers"], sample_shape, words.layout)
    checkpoint.close()
    if words.layout == "channels_last":
        network = network.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(config["train"]["optimizer"], network)

    def loss_of(input, label):
        return F.cross_entropy(network(input).flatten(0, -2), label.flatten())

    if words.mode == "compiled":
        # A GRU gains from being compiled; an LSTM is oneDNN's in training, which torch.compile fails on.
        torch._dynamo.config.allow_rnn = not any(isinstance(module, nn.LSTM) for module in network.modules())
        loss_of = torch.compile(loss_of, dynamic=False)  # else a smaller last batch makes all sizes variable
    batches = [(begin, min(begin + size, samples)) for begin in range(0, samples, size)]
    position = 0

    def step():
        nonlocal position
        begin, end = batches[position]
        position = (position + 1) % len(batches)
        loss = loss_of(inputs[begin:end], labels[begin:end])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    print(json.dumps({"ready": True, "data_seconds": data_seconds, "train_samples": samples}), flush=True)
    for line in sys.stdin:
        if line.strip() == "quit":
            break
        count = int(line.removeprefix("steps "))
        start = time.perf_counter()
        losses = [step() for _ in range(count)]
        seconds = time.perf_counter() - start
        losses = [loss.item() for loss in losses]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "loss": losses[-1], "losses": losses, "peak_bytes": peak}), flush=True)


if __name__ == "__main__":
    main()
