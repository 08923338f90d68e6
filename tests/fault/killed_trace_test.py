#!/usr/bin/env python3
"""The trace of a run that is killed: read while the run goes on, read after it, and closed by `inspect --repair`.

    python3 killed_trace_test.py --program PROGRAM
"""
import json
import os
import shutil
import subprocess
import sys
import unittest

import h5py
import numpy as np

from whole_program import InFolder, backplane, read_command_line

EXPERIMENT = """
name: endless
seed: 5
data: {synthetic: {random: {samples: 64, inputs: 3, classes: 2}}}
network:
  layers:
    - dense: {name: late, units: 9, activation: tanh}
    - dense: {name: early, units: 2}
  loss: softmax_cross_entropy
train: {steps: 100000000, batch_size: 8, optimizer: {sgd: {lr: 0.01}}}
record: {every: 1, taps: [activation, delta, weights], samples: 4, statistics: {every: 2}, compression: COMPRESSION}
"""


def contents(path, **how):
    """Every tensor of the complete records, by name."""
    with h5py.File(path, "r", **how) as file:
        complete = {scale: file[scale].shape[0] for scale in ("scales/step", "statistics/scales/step", "curves/step")}

        def records(name):
            return complete[next(s for s in reversed(complete) if s == "scales/step" or name.startswith(s.split("/")[0]))]

        found = {}
        file.visititems(lambda name, item: found.update({name: item[:records(name)]})
                        if isinstance(item, h5py.Dataset) else None)
    return found


class KilledTrace(InFolder):
    compression = "gzip"

    def setUp(self):
        super().setUp()
        self.trace = self.folder / "run/trace.h5"
        self.run_process = self.start("run", self.write(EXPERIMENT.replace("COMPRESSION", self.compression)), "--out", "run")
        self.wait_until(self.run_process, lambda: self.trace.exists() and self.trace.stat().st_size > 200_000, "some records")

    def kill(self):
        self.run_process.kill()
        self.run_process.wait()

    def test_is_read_while_it_grows_and_closed_after(self):
        for _ in range(10):
            living = backplane("inspect", self.trace, "--layer", "late")
            self.assertEqual((living.returncode, living.stderr), (0, ""))
            self.assertIn("its writer has not closed it", living.stdout)
        before = self.trace.stat().st_ino
        for path in (self.trace, self.folder / "run"):
            refused = backplane("inspect", path, "--repair")
            self.assertEqual(refused.returncode, 74)
            self.assertIn("its run is still writing it", refused.stderr)
        self.assertEqual(self.trace.stat().st_ino, before)

        self.kill()
        with self.assertRaises(OSError):
            h5py.File(self.trace, "r")
        wanted = contents(self.trace, swmr=True)
        original = self.folder / "original.h5"
        shutil.copy(self.trace, original)

        lock = self.folder / "run/run.lock"
        lock.rename(self.folder / "lock")
        lock.symlink_to("run.lock")
        unknown = backplane("inspect", self.trace, "--repair")
        self.assertEqual(unknown.returncode, 74)
        self.assertIn("run.lock: is a link, not a regular file", unknown.stderr)
        (self.folder / "lock").rename(lock)

        repaired = backplane("inspect", self.folder / "run", "--repair")
        self.assertEqual(repaired.returncode, 0, repaired.stderr)
        records = len(wanted["scales/step"])
        self.assertIn(f"{records} complete records, steps 1 to {records}; closed", repaired.stdout)
        got = contents(self.trace)
        self.assertEqual(sorted(got), sorted(wanted))
        for name, values in wanted.items():
            self.assertEqual(got[name].tobytes(), values.tobytes(), name)
        with h5py.File(self.trace, "r") as file:
            delta = file["layers/late/delta"]
            self.assertEqual(len(delta), records)
            self.assertEqual(delta.dims[0][0].name, "/scales/step")
            self.assertEqual([dim.label for dim in delta.dims], ["step", "sample", "unit"])
            self.assertIn(b"dC/dz", delta.attrs["definition"])
            self.assertEqual(delta.compression, "gzip" if self.compression == "gzip" else None)
            self.assertTrue(delta.fletcher32)
            self.assertTrue(np.isfinite(delta[:]).all())
        said = json.loads(backplane("inspect", self.trace, "--json").stdout)
        self.assertEqual([layer["name"] for layer in said["layers"]], ["late", "early"])
        same = backplane("diff", original, self.trace)
        self.assertEqual(same.returncode, 0, same.stderr)
        self.assertEqual([name for name in os.listdir(self.trace.parent) if "tmp" in name], [])

        closed = self.trace.read_bytes()
        again = backplane("inspect", self.trace, "--repair")
        self.assertEqual(again.returncode, 0)
        self.assertIn("nothing to repair", again.stdout)
        self.assertEqual(self.trace.read_bytes(), closed)

    def test_that_is_damaged_stands_as_it_was(self):
        self.kill()
        data = bytearray(self.trace.read_bytes())
        data[48:2048] = bytes(2000)
        self.trace.write_bytes(data)
        refused = backplane("inspect", self.trace, "--repair")
        self.assertEqual(refused.returncode, 65)
        self.assertEqual(self.trace.read_bytes(), data)
        self.assertEqual([name for name in os.listdir(self.trace.parent) if "tmp" in name], [])


# Leaves a trace as a killed writer does: in SWMR mode. One data set has a name in each of many groups, which are linked too.
LINKER = """
import os, sys, h5py
file = h5py.File(sys.argv[1], "r+", libver="latest")
del file["layer_names"]
for i in range(40):
    file[f"layers/linked{i}/delta"] = file["layers/late/delta"]
    file[f"layers/again{i}"] = file[f"layers/linked{i}"]
file.swmr_mode = True
os._exit(0)
"""


class LinkedTrace(InFolder):
    def test_is_copied_once_and_linked_again(self):
        short = self.write(EXPERIMENT.replace("COMPRESSION", "none").replace("100000000", "40"))
        self.assertEqual(backplane("run", short, "--out", self.folder / "run").returncode, 0)
        trace = self.folder / "run/trace.h5"
        subprocess.run([sys.executable, "-c", LINKER, trace], check=True)
        wanted = contents(trace, swmr=True)
        repaired = backplane("inspect", trace, "--repair")
        self.assertEqual(repaired.returncode, 0, repaired.stderr)
        self.assertIn("closed", repaired.stdout)
        with h5py.File(trace, "r") as file:
            for i in range(40):
                self.assertEqual(file[f"layers/linked{i}/delta"], file["layers/late/delta"])
                self.assertEqual(file[f"layers/again{i}"], file[f"layers/linked{i}"])
            self.assertEqual(file["layers/late/delta"].dims[0][0].name, "/scales/step")
        got = contents(trace)
        self.assertEqual(sorted(got), sorted(wanted))
        for name, values in wanted.items():
            self.assertEqual(got[name].tobytes(), values.tobytes(), name)


class KilledTraceWithoutCompression(KilledTrace):
    compression = "none"


if __name__ == "__main__":
    read_command_line(__doc__)
    unittest.main()
