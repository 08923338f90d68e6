#!/usr/bin/env python3
"""A run directory that is looked at, moved, removed or taken by another run while a run writes into it: no run ever touches
another's files.

    living_run_test.py --program build/backplane
"""

import json
import shutil
import signal
import subprocess
import unittest

from whole_program import HANGS, InFolder, backplane, read_command_line

IO, STOPPED = 74, 75
LONG = """
name: long
data: {synthetic: {random: {samples: 400, inputs: 10, classes: 3, test: 10}}}
network: {layers: [{dense: {units: 64}}, {dense: {units: 3}}], loss: softmax_cross_entropy}
train: {steps: 1000000, batch_size: 4, optimizer: sgd}
checkpoint: {every: 1000000}
metrics: {every: 1}
record: {every: 10000, taps: [delta]}
"""


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class LivingRun(InFolder):
    def setUp(self):
        super().setUp()
        self.file = self.write(LONG)

    def start_run(self, out, *words):
        process = self.start("run", self.file, "--out", out, "--threads", "1", *words, stderr=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        metrics = self.folder / out / "metrics.jsonl"
        self.wait_until(process, lambda: metrics.exists() and metrics.read_text().count("\n") > 5, "the fifth step")
        return process

    def another_run(self, out):
        done = backplane("run", self.file, "--out", out, "--set", "train.steps=20", "--threads", "1", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return contents(self.folder / out)

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        printed, said = process.communicate(timeout=HANGS)
        return process.returncode, printed.decode(), said.decode()

    def require_complete(self, folder, code, said):
        """The run ended there by the signal, with all that a run has."""
        self.assertEqual(code, STOPPED, said)
        summary = json.loads((folder / "summary.json").read_text())
        self.assertEqual(summary["status"], "stopped")
        self.assertEqual(summary["checkpoint"], str(folder / f"checkpoints/step-{summary['steps']:08}.h5"))
        self.assertIn(summary["checkpoint"], said)
        self.assertNotIn("/proc", said)
        self.assertEqual(backplane("inspect", folder).returncode, 0)

    def test_a_run_goes_on_in_its_directory_where_that_was_moved(self):
        process = self.start_run("out")
        (self.folder / "out").rename(self.folder / "moved")
        others = self.another_run("out")
        code, printed, said = self.stop(process)
        self.require_complete(self.folder / "moved", code, said)
        self.assertIn(str(self.folder / "moved"), printed)
        self.assertEqual(contents(self.folder / "out"), others)

    def test_a_run_goes_on_where_its_link_led(self):
        for name in "first", "second":
            (self.folder / name).mkdir()
        (self.folder / "second").rmdir()
        self.another_run("second")
        (self.folder / "latest").symlink_to("first")
        process = self.start_run("latest")
        others = contents(self.folder / "second")
        (self.folder / "latest").unlink()
        (self.folder / "latest").symlink_to("second")
        code, _, said = self.stop(process)
        self.require_complete(self.folder / "first", code, said)
        self.assertEqual(contents(self.folder / "second"), others)

    def test_a_run_goes_on_inside_of_one_that_is_moved_aside(self):
        self.another_run("out")
        process = self.start_run("out/inner")
        others = self.another_run("out")
        code, _, said = self.stop(process)
        self.require_complete(self.folder / "out.1/inner", code, said)
        self.assertEqual(contents(self.folder / "out"), others)

    def test_a_run_ends_where_its_directory_was_removed(self):
        for is_taken in False, True:
            process = self.start_run("out")
            shutil.rmtree(self.folder / "out")
            others = self.another_run("out") if is_taken else None
            code, printed, said = self.stop(process)
            self.assertEqual((code, printed), (IO, ""), said)
            self.assertIn("error: out: the run directory, or its run.lock, was removed", said)
            self.assertNotIn("/proc", said)
            self.assertEqual((self.folder / "out").exists(), is_taken)
            if is_taken:
                self.assertEqual(contents(self.folder / "out"), others)

    def test_messages_name_the_place_that_was_given(self):
        process = self.start_run("out")
        shutil.rmtree(self.folder / "out/checkpoints")
        code, _, said = self.stop(process)
        self.assertEqual(code, IO, said)
        self.assertIn("out/checkpoints/step-", said)
        self.assertNotIn("/proc", said)

    def test_inspect_follows_a_run_that_replaces_its_only_checkpoint(self):
        process = self.start_run("out", "--set", "checkpoint.every=1", "--set", "checkpoint.keep=1")
        for words in ["out"], ["out", "--json"], ["out", "--layer", "dense", "--tensor", "delta"]:
            for _ in range(20):
                looked = backplane("inspect", *words, cwd=self.folder)
                self.assertEqual(looked.returncode, 0, looked.stderr)
        self.assertEqual(self.stop(process)[0], STOPPED)


if __name__ == "__main__":
    read_command_line(__doc__)
    unittest.main()
