"""Reads traces of tiny experiments with h5py: steps, taps, statistics, rounding, and while a run goes on.

    python3 trace_test.py PROGRAM
"""
import hashlib
import json
import subprocess
import sys
import unittest

import h5py
import numpy as np

from small_runs import PROGRAM, InFolder, backplane

STEPS, BATCH = 40, 16
DENSE = """
name: tiny
seed: 3
data: {synthetic: {random: {samples: 80, inputs: [6], classes: 4}}}
network:
  layers:
    - dense: {name: hidden1, units: 24, activation: relu}
    - dense: {name: hidden2, units: 8, activation: tanh}
    - dense: {name: logits, units: 4}
  loss: softmax_cross_entropy
"""
SEQUENCE = """
name: sequence
seed: 4
data: {synthetic: {random: {samples: 48, inputs: [7, 3], classes: 4}}}
network:
  layers:
    - lstm: {name: memory, units: 5}
    - lstm: {name: last, units: 6, output: last}
    - dense: {name: logits, units: 4}
  loss: softmax_cross_entropy
"""
TRAIN = f"train: {{steps: {STEPS}, batch_size: {BATCH}, optimizer: {{adam: {{lr: 0.01}}}}}}\nmetrics: {{every: 1}}\n"


class Traces(InFolder):
    def command(self, network, record, train=TRAIN):
        name = str(len(list(self.folder.iterdir())))
        self.run_folder = self.folder / name
        return self.words_of(network + train + f"record: {record}\n", name, "--threads", "2")

    def trace(self, network, record, train=TRAIN):
        done = backplane(*self.command(network, record, train))
        self.assertEqual(done.returncode, 0, done.stderr)
        file = h5py.File(self.run_folder / "trace.h5", "r", swmr=True)
        self.addCleanup(file.close)
        return file

    def metrics(self, split="train_batch"):
        with open(self.run_folder / "metrics.jsonl") as file:
            return [line for line in map(json.loads, file) if line["split"] == split]

    def test_what_rounding_makes_infinite_is_counted_and_said_once(self):
        network = DENSE.replace("name: hidden1,", "name: hidden1, init: {W: {uniform: {low: 1e5, high: 2e5}}},")
        record = "{every: 10, taps: [weights], dtype: float16}"
        done = backplane(*self.command(network, record))
        self.assertEqual(done.returncode, 0, done.stderr)
        warnings = [line for line in done.stderr.splitlines() if "recorded as infinite" in line]
        self.assertEqual(len(warnings), 1, done.stderr)
        self.assertRegex(warnings[0], "144 elements of 'weights/W' of layer 'hidden1' at step 10 ")
        with h5py.File(self.run_folder / "trace.h5", "r") as file:
            W = file["layers/hidden1/weights/W"]
            self.assertEqual(int(np.isinf(W[:]).sum()), 4 * 144)
            self.assertEqual(W.attrs["made_infinite"], 4 * 144)
            self.assertEqual(file["layers/logits/weights/W"].attrs["made_infinite"], 0)

    def test_steps_are_those_that_any_rule_names(self):
        for rules, steps in (
            ("every: 9", {9, 18, 27, 36}),
            ("at: [7, 3], last: 2", {3, 7, 39, 40}),
            ("first: 3, every: 20", {1, 2, 3, 20, 40}),
            ("exponential: 2", {1, 2, 4, 8, 16, 32}),
            ("every: 2 epochs", {10, 20, 30, 40}),
        ):
            with self.subTest(rules):
                file = self.trace(DENSE, f"{{{rules}}}")
                self.assertEqual(list(file["scales/step"][:]), sorted(steps))
                self.assertEqual(file["layers/hidden1/delta"].shape[0], len(steps))

    def test_taps_are_those_that_patterns_name(self):
        file = self.trace(DENSE, '{every: 10, taps: ["hidden*/delta", logits/weights, "*/gradients/b"]}')
        names = []
        file["layers"].visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        self.assertEqual(sorted(names), ["hidden1/delta", "hidden1/gradients/b", "hidden2/delta", "hidden2/gradients/b",
                                         "logits/gradients/b", "logits/weights/W", "logits/weights/b"])

    def test_what_comes_back_to_an_activation_makes_delta(self):
        file = self.trace(DENSE, "{every: 10, samples: 16, taps: [activation, activation_gradient, delta]}")
        a, d_a, delta = (file[f"layers/hidden2/{tap}"][:] for tap in ("activation", "activation_gradient", "delta"))
        np.testing.assert_allclose(delta, d_a * (1 - a * a), rtol=1e-5, atol=1e-9)  # of tanh
        self.assertGreater(abs(d_a).min(axis=(1, 2)).max(), 0)
        # The loss gives the last layer's delta at once, so there is none of its activation.
        self.assertNotIn("activation_gradient", file["layers/logits"])

    def test_a_budget_thins_steps_out(self):
        whole = self.trace(DENSE, "{every: 1}")
        stored = sum(item.nbytes for item in self.tensors(whole["layers"]))
        thinned = self.trace(DENSE, f"{{every: 1, budget: {stored // 4} B}}")
        steps = list(thinned["scales/step"][:])
        strides = np.diff(steps)
        self.assertEqual(len(set(strides)), 1)
        self.assertLessEqual(sum(item.nbytes for item in self.tensors(thinned["layers"])), stored // 4)
        self.assertGreater(len(steps), 5)
        for name in ("delta", "weights/W"):
            np.testing.assert_array_equal(thinned[f"layers/hidden2/{name}"][:],
                                          whole[f"layers/hidden2/{name}"][:][np.array(steps) - 1])

    @staticmethod
    def tensors(group):
        found = []
        group.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
        return found

    def test_statistics_are_those_of_the_whole_batch(self):
        names = "[norm, mean, std, min, max, zeros, quantiles, histogram, cosine]"
        file = self.trace(DENSE, f"{{every: 4, samples: {BATCH}, taps: [activation, delta, weights, gradients],"
                                 f" statistics: {{every: 2, of: {names}}}}}")
        steps = list(file["statistics/scales/step"][:])
        self.assertEqual(steps, list(range(2, STEPS + 1, 2)))
        both = [steps.index(step) for step in file["scales/step"][:]]
        checked = 0
        for tensor in self.tensors(file["layers"]):
            statistics = file["statistics" + tensor.name]
            x = tensor[:].astype(np.float64).reshape(len(both), -1)
            exact = dict(rtol=1e-12, atol=1e-15)  # float64 sums in another order
            at = lambda name: statistics[name][:][both]
            np.testing.assert_allclose(at("norm"), np.linalg.norm(x, axis=1), **exact)
            np.testing.assert_allclose(at("mean"), x.mean(axis=1), **exact)
            np.testing.assert_allclose(at("std"), x.std(axis=1), **exact)
            np.testing.assert_array_equal(at("min"), x.min(axis=1))
            np.testing.assert_array_equal(at("max"), x.max(axis=1))
            np.testing.assert_array_equal(at("zeros"), (x == 0).mean(axis=1))
            np.testing.assert_allclose(at("quantiles"),
                                       np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1).T, **exact)
            ends = at("histogram_range")
            for row, counts, (low, high) in zip(x, at("histogram"), ends):
                self.assertEqual((low, high), (row.min(), row.max()))
                self.assertEqual(counts.sum(), row.size)
                # An element on the edge of two bins may be rounded into either.
                expected = np.histogram(row, bins=64, range=(low, high))[0]
                self.assertLessEqual(abs(np.cumsum(counts) - np.cumsum(expected)).max(), 1)
            checked += 1
        self.assertEqual(checked, 3 * 6)

    def test_the_cosine_compares_with_the_record_before(self):
        file = self.trace(DENSE, "{every: 5, taps: [weights], statistics: {every: 5, taps: [weights], of: [cosine]}}")
        W = file["layers/hidden1/weights/W"][:].astype(np.float64).reshape(8, -1)
        cosine = file["statistics/layers/hidden1/weights/W/cosine"][:]
        self.assertTrue(np.isnan(cosine[0]))
        norms = np.linalg.norm(W, axis=1)
        np.testing.assert_allclose(cosine[1:], (W[1:] * W[:-1]).sum(axis=1) / norms[1:] / norms[:-1], rtol=1e-12)

    def test_float16_is_float32_rounded_to_nearest(self):
        plain, rounded = self.trace(DENSE, "{every: 4}"), self.trace(DENSE, "{every: 4, dtype: float16}")
        for tensor in self.tensors(plain["layers"]):
            half = rounded[tensor.name]
            self.assertEqual(half.dtype, np.float16)
            np.testing.assert_array_equal(half[:], tensor[:].astype(np.float16))

    def test_time_steps_are_those_asked_for(self):
        taps = "[activation, delta, gates, weights]"
        whole = self.trace(SEQUENCE, f"{{every: 8, taps: {taps}}}")
        cut = self.trace(SEQUENCE, f"{{every: 8, taps: {taps}, time_steps: [0, 3, -1]}}")
        for name in ("memory/activation", "memory/delta", "memory/gates", "last/gates"):
            np.testing.assert_array_equal(cut["layers/" + name][:], whole["layers/" + name][:][:, :, [0, 3, 6]])
        for name in ("last/activation", "logits/delta", "memory/weights/W_ih"):
            np.testing.assert_array_equal(cut["layers/" + name][:], whole["layers/" + name][:])

    def test_every_axis_has_a_label_and_a_scale(self):
        file = self.trace(SEQUENCE, "{every: 8, taps: [delta, gates, weights], statistics: {every: 8, of: [quantiles]}}")
        for tensor in self.tensors(file["layers"]) + self.tensors(file["statistics/layers"]):
            for axis, dimension in enumerate(tensor.dims):
                self.assertTrue(dimension.label)
                self.assertEqual(dimension[0].shape, (tensor.shape[axis],), f"{tensor.name} axis {axis}")

    def test_curves_hold_what_the_metrics_say(self):
        file = self.trace(DENSE, "{every: 10}", TRAIN.replace("train: {", "train: {metrics: [{top_k: {k: 2}}, accuracy], "))
        lines = self.metrics()
        self.assertEqual(list(file["curves/step"][:]), [line["step"] for line in lines])
        for curve, key in (("loss", "loss"), ("accuracy", "accuracy"), ("learning_rate", "lr"), ("top_2", "top_2")):
            np.testing.assert_array_equal(file["curves/" + curve][:], [line[key] for line in lines])
        plot = file[file.attrs["default"].decode()]
        self.assertEqual((plot.attrs["NX_class"], plot.attrs["signal"], plot.attrs["axes"]), (b"NXdata", b"loss", b"step"))

    def test_layers_have_digests_on_request(self):
        file = self.trace(DENSE, "{every: 1, taps: [weights], digest: layers}")
        after = {line["step"]: line["layer_digests"] for line in self.metrics()}
        for layer in ("hidden1", "hidden2", "logits"):
            weights = [file[f"layers/{layer}/weights/{p}"][:] for p in ("W", "b")]
            for record in range(1, STEPS):  # holds the weights after `record` steps
                digest = hashlib.sha256(b"".join(p[record].tobytes() for p in weights)).hexdigest()
                self.assertEqual(after[record][layer], digest)

    def test_what_is_thinned_out_is_said(self):
        network = DENSE.replace("units: 24", "units: 900")
        file = self.trace(network, "{every: 1, when_busy: thin, taps: [weights, gradients]}")
        recorded, skipped = set(file["scales/step"][:]), set(file["scales/skipped"][:])
        self.assertEqual(recorded | skipped, set(range(1, STEPS + 1)))
        self.assertFalse(recorded & skipped)

    def test_a_reader_meets_no_error_while_the_run_goes_on(self):
        train = TRAIN.replace(f"steps: {STEPS}", "steps: 3000")
        words = self.command(DENSE, "{every: 3, statistics: {every: 2, of: [norm, histogram]}}", train)
        process = subprocess.Popen([PROGRAM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        path = self.run_folder / "trace.h5"
        polls, last = 0, 0
        file = None
        while process.poll() is None:
            if file is None:
                try:
                    file = h5py.File(path, "r", swmr=True)
                except OSError:  # not there yet, or its data sets are being made
                    continue
            steps = file["scales/step"]
            steps.refresh()
            whole = steps[:]
            self.assertEqual(list(whole), list(range(3, 3 * len(whole) + 1, 3)))
            for name in ("hidden1/delta", "logits/weights/W"):
                tensor = file["layers/" + name]
                tensor.refresh()
                self.assertGreaterEqual(tensor.shape[0], len(whole))
                if len(whole) > 0:
                    self.assertTrue(np.isfinite(tensor[len(whole) - 1]).all())
                    self.assertTrue(tensor[len(whole) - 1].any())
            norm = file["statistics/layers/hidden2/weights/W/norm"]
            norm.refresh()
            self.assertTrue((norm[:-1] > 0).all())
            polls += len(whole) > last
            last = len(whole)
        self.assertEqual(process.returncode, 0)
        file.close()
        self.assertGreater(polls, 2, "the run ended before it could be looked at")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
