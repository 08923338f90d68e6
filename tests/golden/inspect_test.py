"""What `inspect` and `diff` say of files, against what h5py and NumPy find in them.

    python3 inspect_test.py PROGRAM
"""
import json
import shutil
import sys
import unittest

import h5py
import numpy as np

from small_runs import InFolder, backplane

EXPERIMENT = """
name: tiny
seed: 3
dtype: {dtype}
data: {{synthetic: {{random: {{samples: 40, inputs: 3, classes: 4}}}}}}
network:
  layers:
    - dense: {{name: late, units: 25, activation: relu}}
    - dense: {{name: early, units: 4}}
  loss: softmax_cross_entropy
train: {{steps: 15, batch_size: 8, optimizer: {{momentum: {{lr: 0.1}}}}}}
record: {{every: 1, taps: [z, activation, delta, weights, gradients], samples: 6}}
checkpoint: {{every: 5 steps, keep: 9}}
"""


class Files(InFolder):
    """The files of one run; its layers do not stand in the order of the alphabet."""

    dtype = "float32"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text = EXPERIMENT.format(dtype=cls.dtype)
        cls.run_folder = cls.run_experiment(cls.text, "run", "--threads", "2")
        cls.checkpoint = cls.run_folder / "checkpoints/step-00000015.h5"
        cls.trace = cls.run_folder / "trace.h5"

    def inspected(self, *words):
        done = backplane("inspect", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def copy(self, path, change):
        """A copy without manifest, changed by h5py."""
        target = self.folder / f"changed-{path.name}"
        shutil.copy(path, target)
        with h5py.File(target, "r+") as file:
            change(file)
        return target

    def diff(self, *words):
        done = backplane("diff", *words)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.returncode, done.stdout

    def assert_statistics(self, said, values):
        self.assertEqual(said["zeros"], np.count_nonzero(values == 0))
        self.assertEqual((said["nans"], said["infinities"]), (0, 0))
        self.assertEqual((said["min"], said["max"]), (values.min(), values.max()))
        values = values.astype("f8")
        # Sums of some hundred float64, in another order than NumPy's.
        for name, value in {"norm": np.linalg.norm(values), "mean": values.mean(), "std": values.std()}.items():
            self.assertAlmostEqual(said[name], value, delta=1e-13 * np.linalg.norm(values), msg=name)

    def test_overview_of_a_checkpoint(self):
        said = json.loads(self.inspected(self.checkpoint, "--json"))
        self.assertEqual((said["kind"], said["steps"]), ("checkpoint", [15]))
        self.assertEqual([layer["name"] for layer in said["layers"]], ["late", "early"])
        with h5py.File(self.checkpoint) as file:
            self.assertEqual(said["samples"], [file["scales/sample"][:].tolist()])
            found = []
            file["layers"].visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
            told = [f"{layer['name']}/{tensor['name']}" for layer in said["layers"] for tensor in layer["tensors"]]
            self.assertEqual(sorted(told), sorted(found))
            for layer in said["layers"]:
                for tensor in layer["tensors"]:
                    stored = file["layers"][layer["name"]][tensor["name"]]
                    self.assertEqual((tuple(tensor["shape"]), tensor["dtype"]), (stored.shape, self.dtype))
                    self.assertEqual(tensor["axes"], [dim.label for dim in stored.dims])
                    self.assert_statistics(tensor["statistics"][0], stored[:])
        text = self.inspected(self.checkpoint)
        self.assertIn("delta: dC/dz", text)
        self.assertLess(text.index("layer late"), text.index("layer early"))

    def test_overview_of_a_trace(self):
        said = json.loads(self.inspected(self.trace, "--json"))
        self.assertEqual((said["kind"], said["steps"], said["is_being_written"]),
                         ("trace", list(range(1, 16)), False))
        self.assertEqual([layer["name"] for layer in said["layers"]], ["late", "early"])
        with h5py.File(self.trace) as file:
            for layer in said["layers"]:
                for tensor in layer["tensors"]:
                    stored = file["layers"][layer["name"]][tensor["name"]]
                    self.assertEqual([1 + i for i in range(15)], [each["step"] for each in tensor["statistics"]])
                    for record, figures in enumerate(tensor["statistics"]):
                        self.assert_statistics(figures, stored[record])
        shown = self.inspected(self.trace, "--layer", "late")
        self.assertIn("12 of 15 records are shown", shown)
        self.assertNotIn("layer early", shown)
        self.assertNotIn("are shown", self.inspected(self.trace, "--layer", "late", "--all"))

    def test_elements(self):
        with h5py.File(self.checkpoint) as file, h5py.File(self.trace) as trace:
            cases = [([self.checkpoint], "weights/W", file["layers/late/weights/W"][:]),
                     ([self.checkpoint, "--sample", 2], "delta", file["layers/late/delta"][2]),
                     ([self.trace, "--step", 4], "delta", trace["layers/late/delta"][3]),
                     ([self.trace, "--step", 4, "--sample", 5], "delta", trace["layers/late/delta"][3, 5]),
                     ([self.run_folder], "z", file["layers/late/z"][:]),
                     ([self.run_folder, "--step", 2], "z", trace["layers/late/z"][1])]
        for words, tensor, values in cases:
            said = json.loads(self.inspected(*words, "--layer", "late", "--tensor", tensor, "--json"))
            self.assertEqual(tuple(said["shape"]), values.shape, words)
            self.assertEqual(said["values"], values.astype("f8").ravel().tolist(), words)
        table = self.inspected(self.checkpoint, "--layer", "late", "--tensor", "delta")
        self.assertIn("left out: 15 of 25 columns", table)
        full = self.inspected(self.checkpoint, "--layer", "late", "--tensor", "delta", "--all")
        self.assertNotIn("left out", full)
        rows = [line.split("]")[1].split() for line in full.splitlines() if line.startswith("  [")]
        with h5py.File(self.checkpoint) as file:
            np.testing.assert_allclose(np.array(rows, "f8"), file["layers/late/delta"][:], rtol=1e-5)  # 6 digits

    def test_equal_files(self):
        other = self.run_experiment(self.text, "again", "--threads", "1")
        for a, b in ((self.run_folder, other), (self.trace, other / "trace.h5"),
                     (self.checkpoint, other / "checkpoints/step-00000015.h5")):
            code, text = self.diff(a, b)
            self.assertEqual(code, 0, text)
            self.assertIn("are equal", text)

    def test_one_bit(self):
        """The next floating-point number in one element is found, and nothing else."""
        def change(file):
            delta = file["layers/late/delta"]
            values = delta[:]
            self.was = values[3, 7] = values[3, 7] or 1e-3
            values[3, 7] = np.nextafter(values[3, 7], values.dtype.type(9))
            delta[...] = values
            self.sample = file["scales/sample"][3]
        def prepare(file):
            delta = file["layers/late/delta"]
            delta[3, 7] = delta[3, 7] or 1e-3  # no zero, where the next number is of another kind
        good = shutil.move(self.copy(self.checkpoint, prepare), self.folder / "good.h5")
        changed = self.copy(good, change)
        code, text = self.diff(good, changed)
        self.assertEqual(code, 1)
        self.assertIn("first difference: step 15, layer late, delta [sample 3, unit 7]", text)
        self.assertIn("1 ULP apart", text)
        self.assertIn(f"sample 3: index {self.sample} of the training split", text)
        self.assertRegex(text, r"late/delta +15 +1 +150 .* 1 +0\n")
        self.assertEqual(text.count("\n"), 8, text)
        self.assertEqual(self.diff(good, changed, "--tolerance-ulps", 1)[0], 0)

    def test_the_sign_of_zero_and_nan(self):
        def zero(file):
            file["layers/early/weights/b"][0] = 0.0
        def minus_zero(file):
            file["layers/early/weights/b"][0] = -0.0
        def nan(file):
            file["layers/early/weights/b"][0] = np.nan
        zeros = shutil.move(self.copy(self.checkpoint, zero), self.folder / "zero.h5")
        nans = shutil.move(self.copy(self.checkpoint, nan), self.folder / "nan.h5")
        changed = self.copy(self.checkpoint, minus_zero)
        code, text = self.diff(zeros, changed)
        self.assertEqual(code, 1)
        self.assertIn("0 ULPs apart: zeros of other signs", text)
        self.assertEqual(self.diff(zeros, changed, "--tolerance-ulps", 0)[0], 0)
        self.assertEqual(self.diff(nans, nans)[0], 0)
        code, text = self.diff(zeros, nans, "--tolerance-ulps", 2**63)
        self.assertEqual(code, 1)
        self.assertIn("no distance: not a number", text)

    def test_order_of_computing(self):
        """Backward, a difference comes from the last layer; forward, from the first."""
        def change(*names):
            def set_to_nine(file):
                for name in names:
                    file["layers"][name][...] = 9
            return set_to_nine
        for names, first in ((("late/delta", "early/delta"), "early, delta"), (("early/z", "late/z"), "late, z"),
                             (("late/z", "late/weights/W", "early/weights/W"), "late, weights/W"),
                             (("early/delta", "early/z"), "early, z")):
            code, text = self.diff(self.checkpoint, self.copy(self.checkpoint, change(*names)))
            self.assertEqual(code, 1)
            self.assertIn(f"first difference: step 15, layer {first} [", text)

    def test_other_shapes_types_and_layers(self):
        def reshape(file):
            del file["layers/late/weights/W"]
            file["layers/late/weights/W"] = np.zeros((3, 25), "<f4")
        def remove(file):
            del file["layers/early/weights/b"]
        for change, words in ((reshape, "late/weights/W is [out 25, in 3]"), (remove, "early/weights/b is in")):
            code, text = self.diff(self.checkpoint, self.copy(self.checkpoint, change))
            self.assertEqual(code, 1)
            self.assertIn(words, text)
        code, text = self.diff(self.checkpoint, self.run_folder / "checkpoints/step-00000010.h5")
        self.assertEqual(code, 1)
        self.assertIn("is of step 15", text)

    def test_float16_is_shown_as_it_is_stored(self):
        rounded = self.run_experiment(self.text, "rounded", "--set", "record.dtype=float16") / "trace.h5"
        def change(file):
            delta = file["layers/late/delta"]
            bits = delta[:].view("<u2")
            bits[4, 3, 7] = 0x3555  # a third
            delta[...] = bits.view("<f2")
        def change_again(file):
            change(file)
            file["layers/late/delta"][4, 3, 7] = np.array(0x3557, "<u2").view("<f2")
        good = shutil.move(self.copy(rounded, change), self.folder / "third.h5")
        code, text = self.diff(good, self.copy(rounded, change_again))
        self.assertEqual(code, 1)
        self.assertRegex(text, r"A +0\.33325 +0x3555\n +B +0\.33374 +0x3557\n +2 ULPs apart\n")
        self.assertEqual(self.diff(good, self.folder / "changed-trace.h5", "--tolerance-ulps", 2)[0], 0)
        shown = self.inspected(good, "--layer", "late", "--tensor", "delta", "--step", 5)
        self.assertIn("late/delta [sample 6, unit 25] float16, step 5", shown)

    def test_statistics_stand_in_the_order_of_the_format(self):
        words = ("record.statistics.every=5", "record.statistics.of=[cosine, max, zeros, std, min, mean, norm, quantiles]")
        run = self.run_experiment(self.text, "statistics", *(word for each in words for word in ("--set", each)))
        shown = self.inspected(run / "trace.h5", "--layer", "late")
        shown = shown[shown.index("\nstatistics at"):]
        heads = [line.split() for line in shown.splitlines() if line.split()[:1] == ["step"]]
        self.assertEqual(heads, [["step", "norm", "mean", "std", "min", "max", "zeros", "cosine"]] * 6)
        tensors = [line.strip() for line in shown.splitlines() if line.startswith("  ") and len(line.split()) == 1]
        self.assertEqual(tensors, ["weights/W", "weights/b", "activation", "delta", "gradients/W", "gradients/b"])

    def test_other_order_samples_and_configurations(self):
        def reverse(file):
            names = file["layer_names"][()]
            del file["layer_names"]
            file["layer_names"] = names[::-1].copy()
        def other_samples(file):
            file["scales/sample"][...] = file["scales/sample"][:][::-1].copy()
        def configure(file):
            text = file["config"][()]
            del file["config"]
            file["config"] = np.bytes_(text + b"# changed")
        for change, code, words in ((reverse, 1, "the layers are in another order"),
                                    (other_samples, 1, "the two runs used different samples at step 15"),
                                    (configure, 0, "the configurations differ; what they led to is compared")):
            found, text = self.diff(self.checkpoint, self.copy(self.checkpoint, change))
            self.assertEqual(found, code, text)
            self.assertIn(words, text)

    def test_of_runs(self):
        other = self.run_experiment(self.text, "other", "--set", "train.steps=12")
        code, text = self.diff(self.run_folder, other)
        self.assertEqual(code, 1)
        self.assertIn("alone: 3 records, steps", text)
        self.assertIn("checkpoints of step 10, the newest that both have", text)
        self.assertIn("22 of 22 tensors are equal bit for bit;", text)


class Float64Files(Files):
    dtype = "float64"


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
