"""Writes the files of version-1/: what a program of that version writes, and values.json, their numbers as h5py reads
them. Later programs must read these very files (formats_test.cpp, formats_test.py); so they are written once, when a
version is released, and never again.

    python3 make_formats.py PROGRAM            all of it
    python3 make_formats.py PROGRAM trace      trace.h5 and its values alone
"""
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent / "version-1"
EXPERIMENT = """
name: golden
seed: 7
data: {inline: {inputs: [[0.5, -1], [1, 0.25], [-0.75, 2], [0, 1]], labels: [0, 1, 1, 0]}}
network:
  layers:
    - batch_norm: {name: norm, activation: tanh}
    - dense: {name: logits, units: 2}
  loss: softmax_cross_entropy
train: {steps: 2, batch_size: 4, optimizer: {momentum: {lr: 0.1}}}
record: {samples: 3, every: 1, taps: [delta]}
checkpoint: {every: 1 step, keep: 1}
"""


def plain(item):
    """A data set as JSON: numbers widened to float64, which is exact, texts as they are."""
    value = item[()]
    if isinstance(value, bytes):
        return value.decode()
    if value.dtype.kind == "S":
        return [text.decode() for text in value]
    return {"shape": list(value.shape), "dtype": value.dtype.name, "values": np.ravel(value).tolist()}


def values_of(path):
    with h5py.File(path, "r") as file:
        found = {"attributes": {name: value.decode() if isinstance(value, bytes) else np.asarray(value).item()
                                for name, value in file.attrs.items()}, "data": {}}

        def note(name, item):
            if isinstance(item, h5py.Dataset) and item.dtype.names is None:
                found["data"]["/" + name] = plain(item)

        def visit(group, prefix):  # not visititems, which passes by the second name of a scale
            for name, item in group.items():
                visit(item, prefix + name + "/") if isinstance(item, h5py.Group) else note(prefix + name, item)

        visit(file, "")
        return found


def forget_machine(folder):
    """Leaves out of /environment where the files were made: paths, CPU and kernel. The manifests vouch for the result."""
    path = folder / "step-00000002.h5"
    with h5py.File(path, "r+") as file:
        text = file["environment"]
        environment = json.loads(text[()].decode().rstrip("\0"))
        environment["system"], environment["cpu"] = "Linux x86_64", "x86-64"
        for plugin in environment["plugins"]:
            plugin["file"] = "plugins/" + pathlib.Path(plugin["file"]).name
        size = text.dtype.itemsize
        text[()] = np.bytes_(json.dumps(environment, indent=2).encode().ljust(size))
    for name in ("MANIFEST.json", "MANIFEST.copy.json"):
        manifest = json.loads((folder / name).read_text())
        manifest.pop("sha256")
        manifest["checkpoints"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest["sha256"] = hashlib.sha256(json.dumps(manifest, indent=2).encode()).hexdigest()
        (folder / name).write_text(json.dumps(manifest, indent=2) + "\n")


def main():
    program, wanted = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:] or ["checkpoint", "trace"]
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "values.json"
    values = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        def run(*words):
            subprocess.run([program, *words], cwd=scratch, check=True, capture_output=True)

        pathlib.Path(scratch, "golden.yaml").write_text(EXPERIMENT)
        run("run", "golden.yaml", "--threads", "1", "--out", "run")
        if "checkpoint" in wanted:
            run("export", "run/checkpoints/step-00000002.h5", "--to", "safetensors", "--out", "weights.safetensors")
            run("export", "run/checkpoints/step-00000002.h5", "--to", "npz", "--out", "weights.npz")
            shutil.copytree(pathlib.Path(scratch, "run/checkpoints"), FOLDER / "checkpoints", dirs_exist_ok=True)
            for name in ("weights.safetensors", "weights.npz"):
                shutil.copy(pathlib.Path(scratch, name), FOLDER)
            forget_machine(FOLDER / "checkpoints")
            values["checkpoint"] = values_of(FOLDER / "checkpoints/step-00000002.h5")
        if "trace" in wanted:
            shutil.copy(pathlib.Path(scratch, "run/trace.h5"), FOLDER)
            values["trace"] = values_of(FOLDER / "trace.h5")
    path.write_text(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
