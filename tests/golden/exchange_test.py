"""Weights out of checkpoints and into runs: safetensors and npz, read by a reader of ten lines and by NumPy.

    python3 exchange_test.py PROGRAM           with NumPy and h5py
    python3 exchange_test.py PROGRAM --live    with modules of PyTorch; exit code 77 where there is none
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77
PROGRAM, LIVE = sys.argv[1], sys.argv[2:] == ["--live"]
try:
    import h5py
    import numpy as np
    if LIVE:
        import torch
except ImportError as error:
    print(f"skipped: {sys.executable} has no {error.name}")
    sys.exit(SKIPPED)

import networks

EXPERIMENT = """
name: exchange
seed: 3
dtype: {dtype}
data: {{synthetic: {{random: {{samples: 40, inputs: {inputs}, classes: 4}}}}}}
network:
  layers: [{layers}]
  loss: softmax_cross_entropy
train: {{steps: {steps}, batch_size: 16, optimizer: {{momentum: {{lr: 0.1}}}}}}
record: {{samples: 16}}
"""
PLAIN = """{reshape: {name: steps, shape: [2, 3]}}, {lstm: {name: rnn, units: 3, output: last}},
           {batch_norm: {name: norm}}, {dense: {name: logits, units: 4}}"""
MLP = "{dense: {name: hidden, units: 5, activation: tanh}}, {dense: {name: logits, units: 4}}"
CONV = """{reshape: {name: image, shape: [4, 4, 2]}},
          {conv2d: {name: conv, filters: 3, kernel: 3, padding: same, activation: relu}},
          {batch_norm: {name: norm}}, {global_avg_pool: {name: pool}}, {dense: {name: logits, units: 4}}"""
TYPES = {"F32": "<f4", "F64": "<f8"}


def read_safetensors(path):
    """(metadata, tensors in the order of the header)"""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    metadata = header.pop("__metadata__")
    return metadata, {
        name: np.frombuffer(data[t["data_offsets"][0]:t["data_offsets"][1]], TYPES[t["dtype"]]).reshape(t["shape"])
        for name, t in header.items()}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        kind = {value: key for key, value in TYPES.items()} | {"<i8": "I64"}
        header[name] = {"dtype": kind[array.dtype.str], "shape": array.shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Exchange(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def backplane(self, *words, code=0):
        done = subprocess.run([PROGRAM, *map(str, words)], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def train(self, layers, inputs, *words, dtype="float32", steps=3, out="run"):
        """The last checkpoint's path and the messages of a run."""
        path = self.folder / f"{out}.yaml"
        path.write_text(EXPERIMENT.format(layers=layers, inputs=inputs, dtype=dtype, steps=steps))
        done = self.backplane("run", path, "--out", out, *words)
        return sorted((self.folder / out / "checkpoints").glob("*.h5"))[-1], done.stderr

    def export(self, checkpoint, to, *words):
        self.backplane("export", checkpoint, "--to", to, "--out", f"weights.{to}", "--force", *words)
        return self.folder / f"weights.{to}"


class Files(Exchange):
    def stored(self, checkpoint):
        with h5py.File(checkpoint, "r") as file:
            names = [name.decode() for name in file["layer_names"][()]]
            return names, {f"{layer}.{name}": dataset[()] for layer in names for group in ("weights", "state")
                           for name, dataset in file[f"layers/{layer}"].get(group, {}).items()}

    def test_both_formats_hold_the_weights_bit_for_bit(self):
        for dtype in ("float32", "float64"):
            checkpoint, _ = self.train(PLAIN, 6, dtype=dtype, out=dtype)
            layers, want = self.stored(checkpoint)
            self.assertIn("norm.running_mean", want)
            with np.load(self.export(checkpoint, "npz")) as npz:
                of_npz = dict(npz)
            metadata, of_safetensors = read_safetensors(self.export(checkpoint, "safetensors"))
            self.assertEqual(metadata["step"], "3")
            for got in (of_npz, of_safetensors):
                self.assertEqual(set(got), set(want))
                order = [layers.index(name.split(".")[0]) for name in got]
                self.assertEqual(order, sorted(order))
                for name, array in want.items():
                    self.assertEqual(got[name].dtype, array.dtype)
                    np.testing.assert_array_equal(got[name], array, name)

    def test_what_numpy_packs_and_turns_is_read(self):
        checkpoint, _ = self.train(PLAIN, 6)
        digest = h5py.File(checkpoint, "r").attrs["weights_digest"]
        with np.load(self.export(checkpoint, "npz")) as npz:
            arrays = dict(npz)
        np.savez_compressed(self.folder / "packed.npz", **arrays)
        np.savez(self.folder / "turned.npz", **{name: np.asfortranarray(array) for name, array in arrays.items()})
        np.savez(self.folder / "wide.npz", **{name: array.astype("f8") for name, array in arrays.items()})
        for name in ("packed", "turned", "wide"):
            # The first checkpoint of the new run stands before its first step.
            self.train(PLAIN, 6, "--weights", f"{name}.npz", steps=1, out=name)
            with h5py.File(self.folder / name / "checkpoints/step-00000000.h5", "r") as file:
                self.assertEqual(file.attrs["weights_digest"], digest)
                files = [entry["file"] for entry in json.loads(file["environment"][()])["data"]]
                self.assertIn(f"{name}.npz", files)

    def test_config_yaml_repeats_a_run_that_began_with_a_file(self):
        checkpoint, _ = self.train(MLP, 6)
        self.export(checkpoint, "safetensors")
        first, message = self.train(MLP, 6, "--weights", "weights.safetensors", out="first")
        self.assertIn("4 of 4 tensors of the network begin as in weights.safetensors", message)
        self.backplane("run", "first/config.yaml", "--out", "again")
        again = self.folder / "again/checkpoints" / first.name
        self.assertEqual(*(h5py.File(path, "r").attrs["weights_digest"] for path in (first, again)))


class Live(Exchange):
    def modules(self, checkpoint, modules):
        """Modules by layer, with the checkpoint's weights."""
        _, tensors = read_safetensors(self.export(checkpoint, "safetensors", "--names", "pytorch"))
        model = torch.nn.ModuleDict(modules).eval()
        kind = {"float32": torch.float32, "float64": torch.float64}[next(iter(tensors.values())).dtype.name]
        model = model.to(kind)
        tensors = {name: torch.tensor(array) for name, array in tensors.items()}
        missing = model.load_state_dict(tensors, strict=False)
        self.assertEqual(missing.unexpected_keys, [])
        self.assertEqual([key for key in missing.missing_keys if not key.endswith("num_batches_tracked")], [])
        return model

    def compare(self, got, want, dtype):
        # The bounds of networks.py, for the same reason: other orders of sums.
        self.assertLessEqual(networks.relative_difference(got.detach().numpy(), want), networks.BOUNDS[dtype])

    def test_linear_conv_and_lstm_give_what_the_checkpoint_stores(self):
        for dtype in networks.BOUNDS:
            with self.subTest(dtype=dtype):
                checkpoint, _ = self.train(CONV, 32, dtype=dtype, out=f"conv-{dtype}")
                model = self.modules(checkpoint, {"conv": torch.nn.Conv2d(2, 3, 3, padding=1),
                                                  "norm": torch.nn.BatchNorm2d(3), "logits": torch.nn.Linear(3, 4)})
                with h5py.File(checkpoint, "r") as file:
                    layers = file["layers"]
                    image = torch.tensor(layers["image/activation"][()]).movedim(-1, 1)  # channels first
                    self.compare(model["conv"](image).movedim(1, -1), layers["conv/z"][()], dtype)
                    model["norm"].train()  # a checkpoint shows the pass of a training step
                    a = torch.tensor(layers["conv/activation"][()]).movedim(-1, 1)
                    self.compare(model["norm"](a).movedim(1, -1), layers["norm/z"][()], dtype)
                    pooled = torch.tensor(layers["pool/activation"][()])
                    self.compare(model["logits"](pooled), layers["logits/z"][()], dtype)

                checkpoint, _ = self.train(PLAIN, 6, dtype=dtype, out=f"lstm-{dtype}")
                model = self.modules(checkpoint, {"rnn": torch.nn.LSTM(3, 3, batch_first=True),
                                                  "norm": torch.nn.BatchNorm1d(3), "logits": torch.nn.Linear(3, 4)})
                with h5py.File(checkpoint, "r") as file:
                    steps = torch.tensor(file["layers/steps/activation"][()])
                    self.compare(model["rnn"](steps)[0][:, -1], file["layers/rnn/z"][()], dtype)

    def test_weights_of_pytorch_give_pytorchs_loss(self):
        torch.manual_seed(1)
        for dtype, kind in (("float32", torch.float32), ("float64", torch.float64)):
            model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4)).to(kind)
            arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
            write_safetensors(self.folder / "torch.safetensors", arrays)
            np.savez(self.folder / "torch.npz", **arrays)
            for form in ("safetensors", "npz"):
                out = f"{form}-{dtype}"
                self.train(MLP, 6, "--weights", f"torch.{form}", "--rename", "0=hidden", "--rename", "2=logits",
                           dtype=dtype, steps=1, out=out)
                with h5py.File(self.folder / out / "checkpoints/step-00000000.h5", "r") as file:
                    np.testing.assert_array_equal(file["layers/hidden/weights/W"], arrays["0.weight"])
                    z = model(torch.tensor(file["probe/input"][()]))
                    target = torch.tensor(file["probe/target"][()])
                    self.compare(torch.nn.functional.cross_entropy(z, target, reduction="none"),
                                 file["probe/loss"][()], dtype)

    def test_batch_norm_with_its_counter_is_read(self):
        torch.manual_seed(1)
        model = torch.nn.ModuleDict({"conv": torch.nn.Conv2d(2, 3, 3), "norm": torch.nn.BatchNorm2d(3),
                                     "logits": torch.nn.Linear(3, 4)})
        write_safetensors(self.folder / "torch.safetensors",
                          {name: tensor.numpy() for name, tensor in model.state_dict().items()})
        _, message = self.train(CONV, 32, "--weights", "torch.safetensors", steps=1)
        self.assertIn("8 of 8 tensors of the network begin as in torch.safetensors", message)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], defaultTest="Live" if LIVE else "Files")
