"""Runs the experiments in networks/ and lays out their results as PyTorch's are laid out (networks_pytorch.py).

Results are a dictionary from path to array. Paths are those of a checkpoint, below the moment that they belong to:
    start/…   what both begin with: start/input, start/target, start/<layer>/weights/<p>, start/<layer>/state/<name>
    first/…   the first pass: first/loss (of each sample), first/<layer>/{z, activation, activation_gradient, delta,
              gradients/<p>, attention}
    after/…   ten steps on: after/<layer>/{weights/<p>, optimizer/<p>/<slot>, state/<name>}, after/batch_loss (of each
              step's batch), after/test_loss and after/test_accuracy (in evaluation mode)
"""
import json
import pathlib
import subprocess

import h5py
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent  # the experiments name their data from here
GOLDEN = FOLDER / "networks.h5"
STEPS = 10
# float64: 1e-10 leaves a factor of 10⁵ over rounding, and no two different formulas agree that well.
# float32: 2e-5 is 300 units in the last place, enough for other orders of sums through ten steps.
BOUNDS = {"float64": 1e-10, "float32": 2e-5}
# What a run begins with is not computed by layers: roundings of the initialiser's logarithms, not of sums.
START_BOUNDS = {"float64": 1e-14, "float32": 1e-6}
CASES = [(path.stem, dtype) for path in sorted((FOLDER / "networks").glob("*.yaml")) for dtype in BOUNDS]


class Run:
    """One experiment, run by Backplane into `folder`; its checkpoints are `files`, by step."""

    def __init__(self, program, network, dtype, folder):
        self.folder = pathlib.Path(folder, f"{network}-{dtype}")
        self.dtype = dtype
        command = [program, "run", f"tests/golden/networks/{network}.yaml", "--set", f"dtype={dtype}", "--threads", "2",
                   "--out", self.folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.files = [h5py.File(self.folder / f"checkpoints/step-{step:08}.h5", "r") for step in range(STEPS + 1)]
        self.layers = [name.decode() for name in self.files[0]["layer_names"][()]]
        for file in self.files:
            whole, stored = file["state/batch_size"][()], len(file["probe/loss"])
            assert whole == stored, f"{network}: {stored} of a batch's {whole} samples are stored, PyTorch needs all"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for file in self.files:
            file.close()

    def results(self):
        """All that PyTorch has too: everything a layer stores but the tensors that only its plug-in knows."""
        begin, end = self.files[0], self.files[STEPS]
        results = {f"start/{name}": begin[f"probe/{name}"][()] for name in begin["probe"] if name != "loss"}
        results["first/loss"] = begin["probe/loss"][()]
        for layer in self.layers:
            for moment, file, names in (("start", begin, ("weights", "state")),
                                        ("first", begin, ("z", "activation", "activation_gradient", "delta",
                                                          "gradients", "attention")),
                                        ("after", end, ("weights", "state", "optimizer"))):
                def note(path, item):
                    if isinstance(item, h5py.Dataset) and path.split("/")[0] in names:
                        results[f"{moment}/{layer}/{path}"] = item[()]
                file[f"layers/{layer}"].visititems(note)
        results["after/batch_loss"] = np.array([file["state/batch_loss"][()] for file in self.files[:STEPS]])
        summary = json.loads((self.folder / "summary.json").read_text())
        for name in ("test_loss", "test_accuracy"):
            if name in summary:
                results[f"after/{name}"] = np.array(summary[name])
        return results


def relative_difference(got, want):
    """The largest difference of two tensors' elements, divided by the largest of `want`: single elements may be small
    by cancellation, and then have no more right digits than the sums that they came from."""
    if not np.isfinite(got).all():
        return np.inf
    difference, size = (np.abs(x).max(initial=0) for x in (np.float64(got) - np.float64(want), np.float64(want)))
    return difference / size if size > 0 else difference


def compare(network, dtype, got, want, bound, of="PyTorch"):
    """The largest relative difference, the path that has it, and a line for each tensor that disagrees."""
    worst, worst_path, mistakes = 0.0, "", []
    where = f"{network} {dtype}"
    for path in [*got, *(path for path in want if path not in got)]:  # as data flows: the first one is where to look
        if path not in got or path not in want:
            mistakes.append(f"{where} {path}: only {'Backplane' if path in got else of} has it")
        elif got[path].shape != want[path].shape:
            mistakes.append(f"{where} {path}: shape {got[path].shape}, {of}: {want[path].shape}")
        else:
            difference = relative_difference(got[path], want[path])
            if difference > worst:
                worst, worst_path = difference, path
            if not difference <= bound:
                element = np.abs(np.nan_to_num(np.float64(got[path]), nan=np.inf) - want[path]).argmax()
                at = tuple(int(i) for i in np.unravel_index(element, got[path].shape))
                mistakes.append(f"{where} {path}: relative difference {difference:.2g} > {bound:g}, at {list(at)}: "
                                f"{got[path][at]:.17g}, {of}: {want[path][at]:.17g}")
    return worst, worst_path, mistakes


def save(golden, network, dtype, results):
    """Equal tensors (an activation that is its z) are stored once. What float32 is compared with keeps 24 bits: the
    bound is 300 of their units."""
    seen = {}
    for path, value in results.items():
        value = np.asarray(value, dtype)
        key = (value.shape, value.tobytes())
        *groups, name = [network, dtype, *path.split("/")]
        group = golden
        for part in groups:  # one by one: those that HDF5 makes by itself note the time, and no two records are equal
            group = group.require_group(part)
        group[name] = seen.setdefault(key, value)
        seen[key] = group[name]


def load(golden, network, dtype):
    results = {}
    assert f"{network}/{dtype}" in golden, f"{GOLDEN.name} has no {network} {dtype}: make_networks.py adds it"

    def look(group, prefix):  # not visititems, which passes by the second name of a tensor
        for name, item in group.items():
            if isinstance(item, h5py.Group):
                look(item, f"{prefix}{name}/")
            else:
                results[prefix + name] = np.asarray(item[()])

    look(golden[f"{network}/{dtype}"], "")
    return results
