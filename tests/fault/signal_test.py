#!/usr/bin/env python3
"""SIGTERM, SIGINT and SIGUSR1 in every phase of a run: exit codes, checkpoints, and the bits of what is resumed.

    signal_test.py --program build/backplane
"""

import json
import os
import signal
import subprocess
import unittest

import h5py

from kill_test import RUNS, TEXT, result_of
from whole_program import HANGS, InFolder, read_command_line

STOPPED = 75

# One epoch trains in no time; its validation takes long enough to be met.
SLOW_VALIDATION = """
name: slow
data: {synthetic: {random: {samples: 80064, inputs: 40, classes: 3, validation: 80000}}}
network: {layers: [{dense: {units: 400, activation: tanh}}, {dense: {units: 400, activation: tanh}}, {dense: {units: 3}}],
          loss: softmax_cross_entropy}
train: {epochs: 2, batch_size: 4, optimizer: adam, early_stopping: {patience: 3}}
metrics: {every: 1}
"""
LONG_TRAINING = """
name: long
data: {synthetic: {random: {samples: 400, inputs: 10, classes: 3, test: 10}}}
network: {layers: [{dense: {units: 64}}, {dense: {units: 3}}], loss: softmax_cross_entropy}
train: {steps: 1000000, batch_size: 4, optimizer: sgd}
checkpoint: {every: 1000000}
metrics: {every: 1}
"""


class Signals(InFolder):
    def setUp(self):
        super().setUp()
        self.write(TEXT, "text.txt")

    def start_run(self, file, *words, out="out"):
        process = self.start("run", file, "--out", out, "--threads", "2", *words, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        return process

    def end(self, process):
        _, said = process.communicate(timeout=HANGS)
        return process.returncode, said.decode()

    def metrics(self, out="out"):
        path = self.folder / out / "metrics.jsonl"
        return path.read_text() if path.exists() else ""

    def newest(self):
        manifest = json.loads((self.folder / "out/checkpoints/MANIFEST.json").read_text())
        return self.folder / "out/checkpoints" / manifest["checkpoints"][-1]["file"]

    def run_to_the_end(self, file, *words, out):
        process = self.start_run(file, *words, out=out)
        code, said = self.end(process)
        self.assertEqual(code, 0, said)
        return result_of(self.folder / out)

    def test_stop_in_training_commits_and_is_resumed(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            out = f"out-{number}"
            process = self.start_run(self.write(LONG_TRAINING), out=out)
            self.wait_until(process, lambda: self.metrics(out).count("\n") >= 5, "the fifth step")
            process.send_signal(number)
            code, said = self.end(process)
            self.assertEqual(code, STOPPED, said)
            self.assertIn("a checkpoint was committed", said)
            steps = json.loads((self.folder / out / "summary.json").read_text())["steps"]
            self.assertTrue((self.folder / out / f"checkpoints/step-{steps:08}.h5").exists())
            end = f"train.steps={steps + 20}"
            resumed = self.run_to_the_end("run.yaml", "--resume=loose", "--set", end, out=out)
            alone = self.run_to_the_end("run.yaml", "--set", end, out=out + "-alone")
            self.assertEqual(resumed, alone)

    def test_stop_in_an_evaluation_owes_it_and_pays_it(self):
        process = self.start_run(self.write(SLOW_VALIDATION))
        self.wait_until(process, lambda: '"step":16,' in self.metrics(), "the end of the epoch")
        process.send_signal(signal.SIGTERM)
        code, said = self.end(process)
        self.assertEqual(code, STOPPED, said)
        self.assertNotIn('"validation"', self.metrics(), "the signal came after the evaluation")
        with h5py.File(self.newest()) as file:
            self.assertEqual(file["state/step"][()], 16)
            self.assertEqual(file["state/owes_end_of_epoch"][()], 1)
        self.assertEqual(self.run_to_the_end("run.yaml", "--resume", out="out"),
                         self.run_to_the_end("run.yaml", out="alone"))

    def test_stop_while_data_is_loaded_changes_nothing(self):
        with open(self.folder / "data.csv", "w") as file:
            file.write("a,b,label\n" + "0.25,0.75,1\n0.5,0.125,0\n" * 1000000)
        text = LONG_TRAINING.replace("synthetic: {random: {samples: 400, inputs: 10, classes: 3, test: 10}}",
                                     "csv: {train: data.csv, labels: label}")
        process = self.start_run(self.write(text))
        self.wait_until(process, lambda: "data.csv" in open_files(process), "the data file being read")
        process.send_signal(signal.SIGTERM)
        code, said = self.end(process)
        self.assertEqual((code, said), (STOPPED, "stopped by a signal before training began: nothing was changed, "
                                                 "nothing is lost\n"))
        self.assertFalse((self.folder / "out").exists())

    def test_stop_while_text_is_written_is_resumed(self):
        file = self.write((RUNS / "text.yaml").read_text().replace("length: 40", "length: 3000"))
        process = self.start_run(file)
        steps = 26
        # Before it writes, the run has committed its last step.
        last = self.folder / f"out/checkpoints/step-{steps:08}.h5"
        self.wait_until(process, last.exists, "the last checkpoint")
        process.send_signal(signal.SIGTERM)
        code, said = self.end(process)
        self.assertEqual(code, STOPPED, said)
        self.assertEqual(self.run_to_the_end(file, "--resume", out="out"), self.run_to_the_end(file, out="alone"))

    def test_the_second_signal_ends_at_once(self):
        process = self.start_run(self.write(SLOW_VALIDATION.replace("batch_size: 4", "batch_size: 64, slice: 1")
                                        .replace("epochs: 2", "epochs: 200000")))
        self.wait_until(process, lambda: self.metrics() != "", "the first step")
        os.kill(process.pid, signal.SIGSTOP)  # so that both arrive before anybody looks at the first
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        os.kill(process.pid, signal.SIGCONT)
        code, _ = self.end(process)
        self.assertIn(code, (-signal.SIGTERM, -signal.SIGINT))

    def test_usr1_commits_and_goes_on(self):
        process = self.start_run(self.write(LONG_TRAINING))
        self.wait_until(process, lambda: self.metrics() != "", "the first step")
        before = self.newest()
        process.send_signal(signal.SIGUSR1)
        self.wait_until(process, lambda: self.newest() != before, "the checkpoint that was asked for")
        lines = self.metrics().count("\n")
        self.wait_until(process, lambda: self.metrics().count("\n") > lines, "another step")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(process)[0], STOPPED)


def open_files(process):
    """Names of the files that a process has open."""
    names = []
    for number in range(64):
        try:
            names.append(os.path.basename(os.readlink(f"/proc/{process.pid}/fd/{number}")))
        except OSError:  # not open, or not any more
            pass
    return names


if __name__ == "__main__":
    read_command_line(__doc__)
    unittest.main()
