"""The files that released versions wrote, in formats/: today's program and h5py read them.

    python3 formats_test.py PROGRAM
"""
import hashlib
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "formats"))
import make_formats
from small_runs import backplane

FOLDER = make_formats.FOLDER
CHECKPOINT = FOLDER / "checkpoints/step-00000002.h5"
VALUES = json.loads((FOLDER / "values.json").read_text())


class Version1(unittest.TestCase):
    def test_h5py_reads_what_it_read_then(self):
        self.assertEqual(make_formats.values_of(CHECKPOINT), VALUES["checkpoint"])
        self.assertEqual(make_formats.values_of(FOLDER / "trace.h5"), VALUES["trace"])

    def changed(self, folder, change):
        """The golden checkpoint, changed by h5py and entered in its manifest."""
        for name in ("MANIFEST.json", CHECKPOINT.name):
            shutil.copy(CHECKPOINT.parent / name, folder)
        path, manifest = pathlib.Path(folder, CHECKPOINT.name), pathlib.Path(folder, "MANIFEST.json")
        with h5py.File(path, "r+") as file:
            change(file)
        entries = json.loads(manifest.read_text())
        del entries["sha256"]  # of the manifest as it was
        entries["checkpoints"][0].update(bytes=path.stat().st_size, later_field=True,
                                         sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        manifest.write_text(json.dumps(entries | {"another": {"field": 1}}))
        return path

    def test_what_a_later_program_of_this_version_may_add_is_passed_over(self):
        def add(file):
            file.attrs["later"] = "x"
            file["layers/norm"].attrs["later"] = 5
            file["later/numbers"] = np.arange(3)
            file["probe/later"] = np.arange(3)
            file["state/later"] = np.int64(7)
            file["layers/norm/later"] = np.ones((3, 2), "f4")
        with tempfile.TemporaryDirectory() as folder:
            done = backplane("inspect", self.changed(folder, add))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_later_version_is_refused(self):
        def make_later(file):
            file.attrs["format_version"] = 2
        with tempfile.TemporaryDirectory() as folder:
            done = backplane("inspect", self.changed(folder, make_later))
            self.assertEqual(done.returncode, 65)
            self.assertIn("has format version 2, this program reads version 1", done.stderr)

    def test_inspect_shows_the_checkpoint(self):
        done = backplane("inspect", CHECKPOINT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(VALUES["checkpoint"]["attributes"]["weights_digest"], done.stdout)
        for number in VALUES["checkpoint"]["data"]["/layers/logits/delta"]["values"]:
            self.assertIn(f"{number:.9f}", done.stdout)

    def test_export_writes_the_tensors_that_it_wrote_then(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "weights.npz")
            self.assertEqual(backplane("export", CHECKPOINT, "--to", "npz", "--out", path).returncode, 0)
            with np.load(path) as now, np.load(FOLDER / "weights.npz") as then:
                self.assertEqual(list(now), list(then))
                for name in then:
                    np.testing.assert_array_equal(now[name], then[name])

    def test_replay_computes_its_layers(self):
        # Another processor may round otherwise; that every layer can be built and run is what is asked here.
        done = backplane("replay", CHECKPOINT)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertIn("layer norm   batch_norm, activation tanh", done.stdout)
        self.assertIn("layer logits   dense, activation identity", done.stdout)

    def test_a_run_begins_with_its_weights(self):
        with tempfile.TemporaryDirectory() as folder:
            yaml = pathlib.Path(folder, "golden.yaml")
            yaml.write_text(make_formats.EXPERIMENT.replace("keep: 1", "keep: 9"))
            for name in ("checkpoints/step-00000002.h5", "weights.safetensors", "weights.npz"):
                done = backplane("run", yaml, "--weights", FOLDER / name, "--out", pathlib.Path(folder, "run"))
                self.assertEqual(done.returncode, 0, done.stderr)
                with h5py.File(pathlib.Path(folder, "run/checkpoints/step-00000000.h5"), "r") as file:
                    self.assertEqual(file.attrs["weights_digest"].decode(),
                                     VALUES["checkpoint"]["attributes"]["weights_digest"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
