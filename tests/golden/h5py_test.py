"""Runs a tiny experiment and reads its checkpoints with tools that know nothing of Backplane: h5py, zlib, h5dump.

    python3 h5py_test.py PROGRAM H5DUMP
"""
import hashlib
import json
import subprocess
import sys
import unittest
import zlib

import h5py
import numpy as np

from small_runs import InFolder

H5DUMP = sys.argv[2]
SAMPLES, INPUTS, HIDDEN, CLASSES = 6, 3, 5, 4
EXPERIMENT = """
name: tiny
seed: 3
dtype: {dtype}
data: {{synthetic: {{random: {{samples: 40, inputs: 3, classes: 4}}}}}}
network:
  layers:
    - dense: {{name: hidden, units: 5, activation: tanh}}
    - dense: {{name: logits, units: 4, trainable: {{b: false}}}}
  loss: softmax_cross_entropy
train: {{steps: 3, batch_size: 16, optimizer: {{momentum: {{lr: 0.1}}}}}}
record: {{samples: 6}}
checkpoint: {{every: 1 step, keep: 9}}
"""


def text(value):
    return value.decode() if isinstance(value, bytes) else value


class Checkpoint(InFolder):
    """The files of one run; run once in float32 and once in float64."""

    dtype, stored = "float32", "<f4"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = cls.run_experiment(EXPERIMENT.format(dtype=cls.dtype), "run", "--threads", "2")
        cls.paths = [cls.run_folder / "checkpoints" / f"step-{step:08}.h5" for step in range(4)]
        cls.files = [h5py.File(path, "r") for path in cls.paths]
        for file in cls.files:
            cls.addClassCleanup(file.close)

    def each_layer(self):
        for file in self.files:
            for layer, outputs, inputs in (("hidden", HIDDEN, INPUTS), ("logits", CLASSES, HIDDEN)):
                yield file, file[f"layers/{layer}"], outputs, inputs

    def test_every_layer_has_weights_activations_and_deltas_of_the_right_shape(self):
        for _, layer, outputs, inputs in self.each_layer():
            self.assertEqual(layer["weights/W"].shape, (outputs, inputs))
            self.assertEqual(layer["weights/b"].shape, (outputs,))
            self.assertEqual(layer["gradients/W"].shape, (outputs, inputs))
            self.assertEqual(layer["optimizer/W/velocity"].shape, (outputs, inputs))
            for name in ("z", "activation", "delta"):
                self.assertEqual(layer[name].shape, (SAMPLES, outputs))
                self.assertTrue(np.isfinite(layer[name][()]).all())

    def test_tensors_are_little_endian_and_of_the_type_asked_for(self):
        for _, layer, _, _ in self.each_layer():
            for name in ("weights/W", "z", "activation", "delta", "gradients/b", "optimizer/b/velocity"):
                kind = layer[name].id.get_type()
                self.assertEqual(kind.get_order(), h5py.h5t.ORDER_LE)
                self.assertEqual(layer[name].dtype.str, self.stored)

    def test_axes_are_labelled_and_carry_the_sample_scale(self):
        for file, layer, _, _ in self.each_layer():
            self.assertEqual([d.label for d in layer["weights/W"].dims], ["out", "in"])
            self.assertEqual([d.label for d in layer["weights/b"].dims], ["out"])
            for name in ("z", "activation", "delta"):
                self.assertEqual([d.label for d in layer[name].dims], ["sample", "unit"])
                self.assertEqual(len(layer[name].dims[0]), 1)
                self.assertEqual(layer[name].dims[0][0].name, "/scales/sample")
            for name in ("probe/input", "probe/target", "probe/loss"):
                self.assertEqual(file[name].dims[0][0].name, "/scales/sample")
            self.assertTrue(h5py.h5ds.is_scale(file["scales/sample"].id))
            self.assertTrue(all(0 <= index < 40 for index in file["scales/sample"][()]))

    def test_every_axis_of_a_per_sample_tensor_carries_a_scale(self):
        for file, layer, outputs, _ in self.each_layer():
            for dataset, extents in ((layer["z"], (SAMPLES, outputs)), (file["probe/input"], (SAMPLES, INPUTS))):
                scales = [dim[0] for dim in dataset.dims]
                self.assertEqual([scale.shape for scale in scales], [(extent,) for extent in extents])
                self.assertEqual(scales[1].name.split("/")[-1], f"unit_{extents[1]}")
                np.testing.assert_array_equal(scales[1][()], np.arange(extents[1]))
            for name in file["scales"]:
                self.assertEqual(file[name], file["scales"][name])

    def test_viewers_of_nexus_files_know_what_to_plot(self):
        for file, layer, _, _ in self.each_layer():
            self.assertEqual(text(file.attrs["NX_class"]), "NXroot")
            plot = file[text(file.attrs["default"])]
            self.assertEqual(text(plot.attrs["NX_class"]), "NXdata")
            self.assertEqual(plot[text(plot.attrs["signal"])].shape, (SAMPLES,))
            self.assertEqual(text(layer.attrs["NX_class"]), "NXdata")
            self.assertEqual(layer[text(layer.attrs["signal"])], layer["delta"])
            self.assertIn("row-major", text(file.attrs["dim_order"]))

    def test_delta_says_what_it_is(self):
        for _, layer, _, _ in self.each_layer():
            definition = text(layer["delta"].attrs["definition"])
            self.assertTrue(definition.startswith("dC/dz"), definition)
            self.assertIn("mean over the whole batch", definition)

    def test_numbers_belong_together(self):
        # The maths of the design page, by NumPy, from what the file holds. C is a mean over the whole batch, of which
        # 6 rows are stored; 40 samples make batches of 16, 16 and 8. The bounds are roundings of the type, times the
        # few terms of a sum, with a factor of ten to spare.
        self.assertEqual([file["state/batch_size"][()] for file in self.files], [16, 16, 8, 16])
        near = {"rtol": 1e-4, "atol": 1e-6} if self.dtype == "float32" else {"rtol": 1e-11, "atol": 1e-14}
        for file in self.files:
            hidden, logits = file["layers/hidden"], file["layers/logits"]
            x, q = file["probe/input"][()], file["probe/target"][()]
            np.testing.assert_allclose(hidden["z"][()], x @ hidden["weights/W"][()].T + hidden["weights/b"][()], **near)
            np.testing.assert_allclose(hidden["activation"][()], np.tanh(hidden["z"][()]), **near)
            z = hidden["activation"][()] @ logits["weights/W"][()].T + logits["weights/b"][()]
            np.testing.assert_allclose(logits["z"][()], z, **near)
            p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            np.testing.assert_allclose(file["probe/loss"][()], -(q * np.log(p)).sum(axis=1), **near)
            np.testing.assert_allclose(logits["delta"][()], (p - q) / file["state/batch_size"][()], **near)
            d_activation = logits["delta"][()] @ logits["weights/W"][()]
            np.testing.assert_allclose(hidden["activation_gradient"][()], d_activation, **near)
            np.testing.assert_allclose(hidden["delta"][()], d_activation * (1 - hidden["activation"][()] ** 2), **near)

    def test_the_next_checkpoint_holds_the_step_that_this_one_shows(self):
        # Momentum: v = 0.9 v + gradient, W -= 0.1 v.
        near = {"rtol": 1e-4, "atol": 1e-6} if self.dtype == "float32" else {"rtol": 1e-12, "atol": 1e-15}
        for this, after in zip(self.files, self.files[1:]):
            for path in ("hidden/{}/W", "hidden/{}/b", "logits/{}/W"):
                path = "layers/" + path
                slot, weights = path.format("optimizer") + "/velocity", path.format("weights")
                velocity = 0.9 * this[slot][()] + this[path.format("gradients")][()]
                np.testing.assert_allclose(after[slot][()], velocity, **near)
                np.testing.assert_allclose(after[weights][()], this[weights][()] - 0.1 * velocity, **near)
            frozen = "layers/logits/weights/b"
            np.testing.assert_array_equal(after[frozen][()], this[frozen][()])

    def test_manifest_has_the_crc32_of_every_tensor(self):
        for file in self.files:
            rows = file["manifest"][()]
            listed = set()
            for row in rows:
                path, dataset = text(row["path"]), file[text(row["path"])]
                raw = np.ascontiguousarray(dataset[()]).astype(dataset.dtype.newbyteorder("<")).tobytes()
                self.assertEqual(len(raw), row["bytes"], path)
                self.assertEqual(zlib.crc32(raw), row["crc32"], path)
                self.assertEqual(text(row["dtype"]), dataset.dtype.name, path)
                listed.add(path)
            tensors = set()

            def note(name, item):
                if isinstance(item, h5py.Dataset) and item.shape != () and item.dtype.kind in "fi":
                    tensors.add("/" + name if "/" in name else "/scales/" + name)  # scales have a second name

            file.visititems(note)
            self.assertEqual(tensors, listed)

    def test_links_stay_inside_the_file_and_nothing_has_variable_length(self):
        def look(group):
            for name in group:
                self.assertIsInstance(group.get(name, getlink=True), h5py.HardLink)
                item = group[name]
                if isinstance(item, h5py.Group):
                    look(item)
                else:
                    self.assertIsNone(item.external)
                    self.assertIsNone(h5py.check_vlen_dtype(item.dtype))
                    kind = item.id.get_type()
                    self.assertFalse(kind.get_class() == h5py.h5t.STRING and kind.is_variable_str())
        for file in self.files:
            look(file)

    def test_words_of_the_run_are_inside(self):
        for step, file in enumerate(self.files):
            self.assertEqual(text(file.attrs["format"]), "backplane-checkpoint")
            self.assertEqual(file.attrs["format_version"], 1)
            self.assertEqual(file.attrs["step"], step)
            self.assertEqual([text(name) for name in file["layer_names"][()]], ["hidden", "logits"])
            self.assertIn("softmax_cross_entropy", text(file["config"][()]))
            self.assertIn("cpu", json.loads(text(file["environment"][()])))
            self.assertEqual(text(file["layers/hidden"].attrs["type"]), "dense")
            self.assertEqual(text(file["layers/hidden"].attrs["activation"]), "tanh")
            self.assertEqual(file["state/step"][()], step)

    def test_digest_of_the_weights_is_a_hash_of_what_is_stored(self):
        for file in self.files:
            digest = hashlib.sha256()
            for name in file["layer_names"][()]:
                for parameter in "Wb":
                    digest.update(file[f"layers/{text(name)}/weights/{parameter}"][()].astype(self.stored).tobytes())
            self.assertEqual(text(file.attrs["weights_digest"]), digest.hexdigest())

    def test_h5dump_opens_it(self):
        for path in self.paths:
            done = subprocess.run([H5DUMP, "-d", "/layers/hidden/delta", path], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("H5T_IEEE_F32LE" if self.dtype == "float32" else "H5T_IEEE_F64LE", done.stdout)
            self.assertEqual(subprocess.run([H5DUMP, path], capture_output=True).returncode, 0)


class CheckpointOfFloat64(Checkpoint):
    dtype, stored = "float64", "<f8"


SEQUENCES = """
name: sequences
seed: 3
data: {{text: {{files: {text}, window: 6, test: 0}}}}
network:
  layers:
    - embedding: {{vocabulary: {symbols}, units: 3}}
    - lstm: {{name: lstm, units: 4, stateful: true}}
    - batch_norm: {{name: norm}}
    - dense: {{name: logits, units: {symbols}, flatten: false}}
  loss: softmax_cross_entropy
train: {{steps: 3, batch_size: 4, streams: true, optimizer: sgd}}
record: {{samples: 3, every: 1, taps: [delta, gates, delta_gates, delta_hidden]}}
generate: {{samples: 2, length: 20}}
"""


class Sequences(InFolder):
    """What recurrent networks on text add to the files."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        source = cls.folder / "text.txt"
        words = "to be or nöt to be " * 12
        cls.symbols = sorted(set(words))
        source.write_text(words)
        cls.run_folder = cls.run_experiment(SEQUENCES.format(text=source, symbols=len(cls.symbols)))

    def test_the_vocabulary_is_in_the_checkpoint(self):
        with h5py.File(self.run_folder / "checkpoints/step-00000003.h5", "r") as file:
            self.assertEqual([value.decode() for value in file["vocabulary"][()]], self.symbols)

    def test_state_is_in_the_checkpoint(self):
        with h5py.File(self.run_folder / "checkpoints/step-00000003.h5", "r") as file:
            hidden = file["layers/lstm/state/hidden"]
            self.assertEqual(hidden.shape, (4, 4))
            self.assertEqual([dim.label for dim in hidden.dims], ["row", "unit"])
            self.assertGreater(np.abs(hidden[()]).min(), 0)
            self.assertEqual(file["layers/norm/state/running_mean"].shape, (4,))
            self.assertGreater(np.abs(file["layers/norm/state/running_variance"][()] - 1).min(), 0)

    def test_axes_of_a_text_are_time(self):
        with h5py.File(self.run_folder / "checkpoints/step-00000003.h5", "r") as file:
            self.assertEqual([dim.label for dim in file["probe/input"].dims], ["sample", "time"])

    def test_the_trace_holds_gates_and_their_deltas(self):
        with h5py.File(self.run_folder / "trace.h5", "r", swmr=True) as file:
            gates, delta_gates = file["layers/lstm/gates"][()], file["layers/lstm/delta_gates"][()]
            self.assertEqual(gates.shape, (3, 3, 6, 16))  # step, sample, time, gate
            i, f, g, o = np.split(gates, 4, axis=-1)
            for gate in (i, f, o):
                self.assertTrue((gate > 0).all() and (gate < 1).all())
            self.assertTrue((np.abs(g) < 1).all() and (g < 0).any())
            self.assertEqual(delta_gates.shape, gates.shape)
            # At the last step of a window nothing comes back through time: all of ∂C/∂h is δ of the layer itself.
            np.testing.assert_array_equal(file["layers/lstm/delta_hidden"][:, :, -1], file["layers/lstm/delta"][:, :, -1])
            self.assertGreater(np.abs(delta_gates).max(), 0)

    def test_text_is_written_on(self):
        with open(self.run_folder / "generated.txt") as file:
            written = file.read()
        self.assertEqual(written.count("--- goes on ---"), 2)
        self.assertIn("--- goes on ---", self.printed)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
