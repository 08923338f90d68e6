"""Writes activations.json, losses.json, losses_per_step.json and optimizers.json: what PyTorch computes for small networks.

Run by hand, when a case is added; the tests only read the files:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.13.0
    /tmp/golden/bin/python tests/golden/make_golden.py

A case is {"name", "experiment", "expected"}. "experiment" is a whole experiment file for Backplane (JSON is YAML), with
data and first weights written out; "expected" holds what PyTorch makes of the same numbers: the loss, and z,
activation, delta (gradient with respect to z) and parameter gradients of each layer; for optimizers, the parameters
after ten steps (of rules that PyTorch does not have, by the equations of their papers). C is the mean over the batch of the loss of one sample, as in Backplane.
"""
import json
import pathlib

import torch
import torch.nn.functional as F

FOLDER = pathlib.Path(__file__).parent
SAMPLES, INPUTS, HIDDEN, OUTPUTS = 5, 3, 4, 3
STEPS = 10
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def numbers(tensor):
    """As nested lists; float32 in the nine digits that name it, so that files stay small and every bit survives."""
    if tensor.dim() > 0:
        return [numbers(item) for item in tensor]
    return float(f"{tensor.item():.9g}") if tensor.dtype == torch.float32 else tensor.item()


ACTIVATIONS = {  # name: what Backplane is told, what PyTorch computes
    "identity": ("identity", lambda z: z * 1.0),
    "sigmoid": ("sigmoid", torch.sigmoid),
    "tanh": ("tanh", torch.tanh),
    "relu": ("relu", torch.relu),
    "leaky_relu": ({"leaky_relu": {"slope": 0.1}}, lambda z: F.leaky_relu(z, 0.1)),
    "elu": ({"elu": {"alpha": 0.7}}, lambda z: F.elu(z, 0.7)),
    "gelu": ("gelu", F.gelu),
    "softplus": ("softplus", F.softplus),
    "swish": ("swish", F.silu),
    "softmax": ("softmax", lambda z: torch.softmax(z, -1)),
}

LOSSES = {  # of the last layer's (z, a) and the targets: mean over samples of the loss of one sample
    "squared_error": lambda z, a, y: 0.5 * F.mse_loss(a, y, reduction="sum") / len(y),
    "mean_squared_error": lambda z, a, y: F.mse_loss(a, y),
    "softmax_cross_entropy": lambda z, a, y: F.cross_entropy(z, y),
    "binary_cross_entropy": lambda z, a, y: F.binary_cross_entropy(a, y),
    "huber": lambda z, a, y: F.huber_loss(a, y, delta=0.7),
}
WITH_OPTIONS = {"huber": {"huber": {"delta": 0.7}}}  # what Backplane is told instead of the name


def make_case(name, dtype, hidden="tanh", output="identity", loss="squared_error", target="vectors",
              optimizer=None, train=None, step=None, frozen=()):
    """`optimizer` and `train` go into the experiment; `step(parameters, gradients)` is the same in PyTorch."""
    generator = torch.Generator().manual_seed(20260)
    # float32 numbers in both cases, so that either type starts from exactly the numbers that the file shows.
    draw = lambda *shape, scale=1.0: (scale * torch.randn(*shape, generator=generator)).to(torch.float32).to(dtype)
    x = draw(SAMPLES, INPUTS)
    parameters = {"hidden/W": draw(HIDDEN, INPUTS), "hidden/b": draw(HIDDEN, scale=0.5),
                  "output/W": draw(OUTPUTS, HIDDEN), "output/b": draw(OUTPUTS, scale=0.5)}
    y = draw(SAMPLES, OUTPUTS)
    labels = torch.tensor([2, 0, 1, 1, 2])
    data = {"inputs": numbers(x)}
    if target == "labels":
        data["labels"] = labels.tolist()
        y = labels
    else:
        if target == "probabilities":
            y = torch.softmax(y, -1).to(torch.float32).to(dtype)
        if target == "bits":
            y = (y > 0).to(dtype)
        data["targets"] = numbers(y)

    layers = []
    for layer, units, activation in (("hidden", HIDDEN, hidden), ("output", OUTPUTS, output)):
        layers.append({"dense": {"name": layer, "units": units, "activation": ACTIVATIONS[activation][0],
                                 "init": {p: {"values": numbers(parameters[f"{layer}/{p}"])} for p in "Wb"},
                                 "trainable": {p: f"{layer}/{p}" not in frozen for p in "Wb"}}})
    steps = STEPS if step else 1
    experiment = {"name": name, "dtype": "float64" if dtype == torch.float64 else "float32", "data": {"inline": data},
                  "network": {"layers": layers, "loss": WITH_OPTIONS.get(loss, loss)},
                  "train": {"steps": steps, "batch_size": SAMPLES, "shuffle": False,
                            "optimizer": optimizer or {"sgd": {"lr": 0.1}}, **(train or {})}}

    for parameter in parameters.values():
        parameter.requires_grad_(True)

    def forward():
        tensors = {"hidden/z": F.linear(x, parameters["hidden/W"], parameters["hidden/b"])}
        tensors["hidden/activation"] = ACTIVATIONS[hidden][1](tensors["hidden/z"])
        tensors["output/z"] = F.linear(tensors["hidden/activation"], parameters["output/W"], parameters["output/b"])
        tensors["output/activation"] = ACTIVATIONS[output][1](tensors["output/z"])
        return tensors, LOSSES[loss](tensors["output/z"], tensors["output/activation"], y)

    if step:
        trained = {path: parameter for path, parameter in parameters.items() if path not in frozen}
        take_step = step(trained)
        for _ in range(STEPS):
            for parameter in parameters.values():
                parameter.grad = None
            forward()[1].backward()
            take_step()
        expected = {path: numbers(parameter) for path, parameter in parameters.items()}
        return {"name": name, "experiment": experiment, "expected": expected}

    tensors, C = forward()
    for layer in ("hidden", "output"):
        tensors[f"{layer}/z"].retain_grad()
    C.backward()
    expected = {"loss": C.item()}
    for path, tensor in tensors.items():
        expected[path] = numbers(tensor)
    for layer in ("hidden", "output"):
        expected[f"{layer}/delta"] = numbers(tensors[f"{layer}/z"].grad)
    for path, parameter in parameters.items():
        layer, p = path.split("/")
        expected[f"{layer}/gradients/{p}"] = numbers(parameter.grad)
    return {"name": name, "experiment": experiment, "expected": expected}


STEP_LOSSES = {  # the loss of each place before the last axis
    "squared_error": lambda z, a, y: 0.5 * F.mse_loss(a, y, reduction="none").sum(-1),
    "mean_squared_error": lambda z, a, y: F.mse_loss(a, y, reduction="none").mean(-1),
    "softmax_cross_entropy": lambda z, a, y: F.cross_entropy(z.movedim(-1, 1), y if y.dim() < z.dim()
                                                             else y.movedim(-1, 1), reduction="none"),
    "binary_cross_entropy": lambda z, a, y: F.binary_cross_entropy(a, y, reduction="none").mean(-1),
}


def make_step_case(name, dtype, loss, output, target, places=(5,), lengths=None):
    """Targets or labels for each step, or pixel. What stands beyond a sample's length is no target at all."""
    generator = torch.Generator().manual_seed(20261)
    draw = lambda *shape, scale=1.0: (scale * torch.randn(*shape, generator=generator)).to(torch.float32).to(dtype)
    samples = 4
    x, y = draw(samples, *places, INPUTS), draw(samples, *places, OUTPUTS)
    parameters = {"hidden/W": draw(HIDDEN, INPUTS), "hidden/b": draw(HIDDEN, scale=0.5),
                  "output/W": draw(OUTPUTS, HIDDEN), "output/b": draw(OUTPUTS, scale=0.5)}
    valid = torch.ones(samples, *places, dtype=torch.bool)
    if lengths:
        valid = torch.arange(places[0]) < torch.tensor(lengths)[:, None]
        x[~valid] = 0
    if target == "labels":
        y = y.argmax(-1)
    if target == "probabilities":
        y = torch.softmax(y, -1).to(torch.float32).to(dtype)
    if target == "bits":
        y = (y > 0).to(dtype)
    written = y.clone()
    written[~valid] = -1
    data = {"inputs": numbers(x), "labels" if target == "labels" else "targets": numbers(written)}
    if lengths:
        data["lengths"] = lengths
    layers = [{"dense": {"name": layer, "units": units, "flatten": False, "activation": ACTIVATIONS[activation][0],
                         "init": {p: {"values": numbers(parameters[f"{layer}/{p}"])} for p in "Wb"}}}
              for layer, units, activation in (("hidden", HIDDEN, "tanh"), ("output", OUTPUTS, output))]
    experiment = {"name": name, "dtype": "float64" if dtype == torch.float64 else "float32", "data": {"inline": data},
                  "network": {"layers": layers, "loss": loss},
                  "train": {"steps": 1, "batch_size": samples, "shuffle": False, "optimizer": {"sgd": {"lr": 0.1}}}}

    for parameter in parameters.values():
        parameter.requires_grad_(True)
    tensors = {"hidden/z": F.linear(x, parameters["hidden/W"], parameters["hidden/b"])}
    tensors["hidden/activation"] = torch.tanh(tensors["hidden/z"])
    tensors["output/z"] = F.linear(tensors["hidden/activation"], parameters["output/W"], parameters["output/b"])
    tensors["output/activation"] = ACTIVATIONS[output][1](tensors["output/z"])
    each = STEP_LOSSES[loss](tensors["output/z"], tensors["output/activation"], y) * valid
    of_samples = each.flatten(1).sum(1)
    if loss != "squared_error":
        of_samples = of_samples / valid.flatten(1).sum(1)
    C = of_samples.mean()
    for layer in ("hidden", "output"):
        tensors[f"{layer}/z"].retain_grad()
    C.backward()
    expected = {"loss": C.item(), **{path: numbers(tensor) for path, tensor in tensors.items()}}
    if target == "labels":
        expected["accuracy"] = (tensors["output/activation"].argmax(-1) == y)[valid].double().mean().item()
    for layer in ("hidden", "output"):
        expected[f"{layer}/delta"] = numbers(tensors[f"{layer}/z"].grad)
    for path, parameter in parameters.items():
        layer, p = path.split("/")
        expected[f"{layer}/gradients/{p}"] = numbers(parameter.grad)
    return {"name": name, "experiment": experiment, "expected": expected}


def weights_first(parameters, **of_weights):
    """Two groups: what is said of weights is not said of biases, as with Backplane's penalties."""
    return [{"params": [p for path, p in parameters.items() if path.endswith("W")], **of_weights},
            {"params": [p for path, p in parameters.items() if path.endswith("b")], **{key: 0.0 for key in of_weights}}]


def with_torch(make, before=lambda parameters: None):
    """A step by an optimizer of PyTorch; `before` looks at the gradients first."""
    def bind(parameters):
        optimizer = make(parameters)
        def step():
            before(list(parameters.values()))
            optimizer.step()
        return step
    return bind


def clip_norm_exactly(limit):
    """PyTorch's clip_grad_norm_ divides by norm + 1e-6; Backplane by the norm. This is the latter."""
    def clip(parameters):
        norm = torch.sqrt(sum((p.grad ** 2).sum() for p in parameters))
        if norm > limit:
            for p in parameters:
                p.grad.mul_(limit / norm)
    return clip


def sgd(**options):
    return lambda parameters: torch.optim.SGD(parameters.values(), lr=0.2, **options)


def momentum(**options):
    return lambda parameters: torch.optim.SGD(parameters.values(), lr=0.1, momentum=0.8, **options)


def adam(**options):
    return lambda parameters: torch.optim.Adam(parameters.values(), lr=0.05, **options)


def decaying(rule, **options):
    """Weights decay by 0.1: what Backplane calls l2 (weight_decay of its own for AdamW, which shrinks weights only)."""
    return lambda parameters: rule(weights_first(parameters, weight_decay=0.1), **options)


def by_equations(of_parameter):
    """A step as a paper writes it: of_parameter(path, θ, state of θ, t), without PyTorch's optimizers."""
    def bind(parameters):
        state = {path: [torch.zeros_like(p), torch.zeros_like(p)] for path, p in parameters.items()}
        t = [0]
        def step():
            t[0] += 1
            with torch.no_grad():
                for path, p in parameters.items():
                    of_parameter(path, p, state[path], t[0])
        return step
    return bind


def lion(lr, beta1, beta2, decay):
    """Chen et al. 2023, algorithm 2; weights decay."""
    def of_parameter(path, p, state, _):
        direction = torch.sign(beta1 * state[0] + (1 - beta1) * p.grad)
        p -= lr * (direction + (decay if path.endswith("W") else 0.0) * p)
        state[0] = beta2 * state[0] + (1 - beta2) * p.grad
    return by_equations(of_parameter)


def lamb(lr, beta1, beta2, epsilon, decay):
    """You et al. 2020, algorithm 2 with φ(x) = x; weights decay."""
    def of_parameter(path, p, state, t):
        state[0] = beta1 * state[0] + (1 - beta1) * p.grad
        state[1] = beta2 * state[1] + (1 - beta2) * p.grad ** 2
        r = (state[0] / (1 - beta1 ** t)) / (torch.sqrt(state[1] / (1 - beta2 ** t)) + epsilon)
        r = r + (decay if path.endswith("W") else 0.0) * p
        p -= lr * (p.norm() / r.norm()) * r
    return by_equations(of_parameter)


SGD, MOMENTUM, ADAM = {"sgd": {"lr": 0.2}}, {"momentum": {"lr": 0.1, "momentum": 0.8}}, {"adam": {"lr": 0.05}}
CLIP_NORM, exactly = {"clip": {"norm": 0.5}}, clip_norm_exactly(0.5)
OPTIMIZERS = {  # name: (Backplane's optimizer, Backplane's train, PyTorch's step, frozen parameters)
    "sgd": (SGD, {}, with_torch(sgd()), ()),
    "momentum": (MOMENTUM, {}, with_torch(momentum()), ()),
    "nesterov": ({"nesterov": MOMENTUM["momentum"]}, {}, with_torch(momentum(nesterov=True)), ()),
    "adagrad": ({"adagrad": {"lr": 0.1}}, {}, with_torch(lambda p: torch.optim.Adagrad(p.values(), lr=0.1)), ()),
    "rmsprop": ({"rmsprop": {"lr": 0.02, "decay": 0.9}}, {},
                with_torch(lambda p: torch.optim.RMSprop(p.values(), lr=0.02, alpha=0.9)), ()),
    "adam": (ADAM, {}, with_torch(adam()), ()),
    "adam_other_betas": ({"adam": {"lr": 0.05, "beta1": 0.7, "beta2": 0.95, "epsilon": 1e-3}}, {},
                         with_torch(adam(betas=(0.7, 0.95), eps=1e-3)), ()),
    "adamw": ({"adamw": {"lr": 0.05, "weight_decay": 0.1}}, {}, with_torch(decaying(torch.optim.AdamW, lr=0.05)), ()),
    "lion": ({"lion": {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1}}, {}, lion(0.01, 0.8, 0.95, 0.1),
             ()),
    "lamb": ({"lamb": {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.1}}, {},
             lamb(0.05, 0.8, 0.95, 1e-6, 0.1), ()),
    "sgd_l2": (SGD, {"l2": 0.1}, with_torch(decaying(torch.optim.SGD, lr=0.2)), ()),
    "momentum_l2": (MOMENTUM, {"l2": 0.1}, with_torch(decaying(torch.optim.SGD, lr=0.1, momentum=0.8)), ()),
    "adam_l2": (ADAM, {"l2": 0.1}, with_torch(decaying(torch.optim.Adam, lr=0.05)), ()),
    "sgd_clip_value": (SGD, {"clip": {"value": 0.2}},
                       with_torch(sgd(), lambda p: torch.nn.utils.clip_grad_value_(p, 0.2)), ()),
    "sgd_clip_norm": (SGD, CLIP_NORM, with_torch(sgd(), exactly), ()),
    "sgd_clip_norm_as_torch": (SGD, CLIP_NORM,
                               with_torch(sgd(), lambda p: torch.nn.utils.clip_grad_norm_(p, 0.5)), ()),
    "adam_clip_norm_l2": (ADAM, {**CLIP_NORM, "l2": 0.1},
                          with_torch(decaying(torch.optim.Adam, lr=0.05), exactly), ()),
    "adam_frozen": (ADAM, {}, with_torch(adam()), ("hidden/b", "output/W")),
    "sgd_clip_norm_frozen": (SGD, CLIP_NORM, with_torch(sgd(), exactly), ("hidden/W",)),
}


def write(name, cases):
    lines = ",\n".join(json.dumps(case) for case in cases)  # a case is a line: differences can be read
    version = torch.__version__.split("+")[0]
    text = f'{{"made_by": "tests/golden/make_golden.py", "torch": "{version}", "cases": [\n{lines}\n]}}'
    (FOLDER / name).write_text(text + "\n")


def main():
    both = [(torch.float64, "float64"), (torch.float32, "float32")]
    write("activations.json", [make_case(f"{activation}_{suffix}", dtype, hidden=activation)
                               for dtype, suffix in both for activation in ACTIVATIONS])
    losses = [("squared_error", "tanh", "vectors"), ("mean_squared_error", "tanh", "vectors"),
              ("huber", "tanh", "vectors"), ("squared_error", "softmax", "vectors"),
              ("softmax_cross_entropy", "identity", "labels"), ("softmax_cross_entropy", "identity", "probabilities"),
              ("binary_cross_entropy", "sigmoid", "bits"), ("binary_cross_entropy", "sigmoid", "probabilities")]
    write("losses.json", [make_case(f"{loss}_{output}_{target}_{suffix}", dtype, "tanh", output, loss, target)
                          for dtype, suffix in both for loss, output, target in losses])
    some = [3, 5, 1, 4]
    per_step = [("softmax_cross_entropy", "identity", "labels", (5,), None),
                ("softmax_cross_entropy", "identity", "labels", (5,), some),
                ("softmax_cross_entropy", "identity", "labels", (2, 3), None),
                ("softmax_cross_entropy", "identity", "probabilities", (5,), None),
                ("softmax_cross_entropy", "identity", "probabilities", (5,), some),
                ("binary_cross_entropy", "sigmoid", "bits", (5,), None),
                ("binary_cross_entropy", "sigmoid", "bits", (5,), some),
                ("mean_squared_error", "tanh", "vectors", (5,), some),
                ("squared_error", "tanh", "vectors", (5,), None),
                ("squared_error", "tanh", "vectors", (5,), some)]
    write("losses_per_step.json",
          [make_step_case(f"{loss}_{target}_{'x'.join(map(str, places))}{'_lengths' if lengths else ''}_{suffix}", dtype,
                          loss, output, target, places, lengths)
           for dtype, suffix in both for loss, output, target, places, lengths in per_step])
    write("optimizers.json",
          [make_case(f"{name}_{suffix}", dtype, optimizer=optimizer, train=train, step=step, frozen=frozen)
           for dtype, suffix in both for name, (optimizer, train, step, frozen) in OPTIMIZERS.items()])


main()
