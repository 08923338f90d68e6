#!/usr/bin/env python3
"""A run whose disk is full: training goes on and says so, and commits again as soon as there is room. And one whose disk
is mounted read-only: what is to be written is refused with a remedy, and where nothing is, nothing is missed.

The disk is a small file system in memory, which takes root to mount; without, the test is skipped (exit 77).

    full_disk_test.py --program build/backplane --rounds 20
"""

import json
import subprocess
import sys
import unittest

from kill_test import newest_whole, result_of
from whole_program import HANGS, InFolder, backplane, read_command_line

OPTIONS = None  # of the command line
SKIPPED = 77
NOT_COMMITTED = "was not committed"
# Steps take no time, so that the run lives until the test has seen what it waits for, and is then stopped.
EXPERIMENT = """
name: full
seed: 1
data: {synthetic: {random: {samples: 64, inputs: 20, classes: 3}}}
network: {layers: [{dense: {units: 200}}, {dense: {units: 3}}], loss: softmax_cross_entropy}
train: {steps: 100000000, batch_size: 4, optimizer: adam}
checkpoint: {every: 200, keep: 2}
metrics: {every: 100}
record: {samples: 4}
"""


class SmallDisk:
    def __init__(self, folder, size):
        self.path = folder / "disk"
        self.path.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(self.path)], capture_output=True)
        self.refusal = done.stderr.decode().strip() if done.returncode else None

    def fill(self):
        """Takes the room that is left, to the last byte. The file that holds it."""
        ballast = self.path / "ballast"
        with open(ballast, "ab", buffering=0) as file:
            for size in (1 << 16, 1 << 10, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    pass
        return ballast

    def make_read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.path)], check=True)


class FullDisk(InFolder):
    def setUp(self):
        super().setUp()
        self.write(EXPERIMENT)
        self.disk = SmallDisk(self.folder, "2m")
        if self.disk.refusal:
            self.skipTest(f"no small disk can be mounted: {self.disk.refusal}")
        self.addCleanup(self.disk.unmount)
        self.run_path = self.disk.path / "out"
        self.said = self.folder / "said"

    def start_run(self, *words):
        with open(self.said, "ab") as said:
            return self.start("run", "run.yaml", "--out", self.run_path, *words, stderr=said)

    def wait_until(self, process, condition, what):
        super().wait_until(process, condition, what, self.said.read_text)

    def stop(self, process):
        process.terminate()
        return process.wait(timeout=HANGS)

    def failures(self):
        return self.said.read_text().count(NOT_COMMITTED)

    def newest(self):
        """The newest step that is committed; its file is not looked at, since the run may be removing it by now."""
        manifest = self.run_path / "checkpoints/MANIFEST.json"
        return json.loads(manifest.read_text())["checkpoints"][-1]["step"] if manifest.exists() else -1

    def test_training_goes_on_and_commits_when_there_is_room(self):
        process = self.start_run()
        self.wait_until(process, lambda: self.newest() > 0, "a second checkpoint")
        for _ in range(OPTIONS.rounds):
            ballast = self.disk.fill()
            before = self.failures()
            self.wait_until(process, lambda: self.failures() >= before + 2, "two commits that fail")
            kept = self.newest()
            ballast.unlink()
            self.wait_until(process, lambda: self.newest() > kept, "a commit after there was room")
        self.assertEqual(self.stop(process), 75, self.said.read_text())
        newest_whole(self.run_path)
        names = {path.name for path in (self.run_path / "checkpoints").iterdir()}
        manifest = json.loads((self.run_path / "checkpoints/MANIFEST.json").read_text())
        self.assertEqual(names, {"MANIFEST.json", "MANIFEST.copy.json", *(e["file"] for e in manifest["checkpoints"])})
        # No line of the metrics was lost, though there was no room for them for a while.
        steps = [json.loads(line)["step"] for line in (self.run_path / "metrics.jsonl").read_text().splitlines()
                 if '"train_batch"' in line]
        self.assertEqual(steps, list(range(100, 100 * len(steps) + 1, 100)))

    def test_a_last_commit_that_fails_is_an_error_and_loses_nothing_earlier(self):
        process = self.start_run()
        self.wait_until(process, lambda: self.newest() > 0, "a second checkpoint")
        ballast = self.disk.fill()
        self.wait_until(process, lambda: self.failures() > 0, "a commit that fails")
        kept = self.newest()
        self.assertEqual(self.stop(process), 74, self.said.read_text())
        self.assertIn("\nerror: ", self.said.read_text())
        self.assertEqual(newest_whole(self.run_path), kept)
        ballast.unlink()
        end = ["--set", f"train.steps={kept + 250}"]
        resumed = self.start_run("--resume=loose", *end)
        self.assertEqual(resumed.wait(timeout=HANGS), 0, self.said.read_text())
        alone = backplane("run", "run.yaml", "--out", "alone", *end, cwd=self.folder)
        self.assertEqual(alone.returncode, 0, alone.stderr)
        self.assertEqual(result_of(self.run_path), result_of(self.folder / "alone"))

    def test_no_room_for_the_first_checkpoint_is_said_before_training(self):
        self.disk.fill()
        process = self.start_run()
        self.assertEqual(process.wait(timeout=HANGS), 74, self.said.read_text())
        self.assertNotIn("internal error", self.said.read_text())
        self.assertNotIn(".tmp-", self.said.read_text())  # nobody knows a file of that name
        self.assertIn("hint: make room on that disk", self.said.read_text())

    def test_no_room_for_a_repaired_trace_is_said_and_the_trace_stands(self):
        short = [word for each in ("train.steps=20", "checkpoint.every=20", "record.every=1") for word in ("--set", each)]
        self.assertEqual(self.start_run(*short).wait(timeout=HANGS), 0, self.said.read_text())
        trace = self.run_path / "trace.h5"
        before = trace.read_bytes()
        self.disk.fill()
        refused = backplane("inspect", trace, "--repair")
        self.assertEqual(refused.returncode, 74, refused.stderr)
        self.assertRegex(refused.stderr, r"trace\.h5: its copy needs \d+ bytes of free space, there are 0\n")
        self.assertEqual(trace.read_bytes(), before)

    def finished_run(self):
        short = [word for each in ("train.steps=20", "checkpoint.every=20", "record.every=1") for word in ("--set", each)]
        self.assertEqual(self.start_run(*short).wait(timeout=HANGS), 0, self.said.read_text())
        return short

    def test_a_finished_run_on_a_read_only_disk_is_finished(self):
        short = self.finished_run()
        self.disk.make_read_only()
        done = backplane("run", "run.yaml", "--out", self.run_path, "--resume", *short, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("had finished at step 20: nothing was changed", done.stderr)
        more = backplane("run", "run.yaml", "--out", self.run_path, "--resume=loose", "--set", "train.steps=30",
                         cwd=self.folder)
        self.assertEqual(more.returncode, 74, more.stderr)
        self.assertRegex(more.stderr, "read-only\n  hint: copy the run to a disk that can be written")

    def test_a_trace_on_a_read_only_disk_is_repaired_elsewhere(self):
        process = self.start_run("--set", "record.every=1000", "--set", "record.taps=[delta]")
        self.wait_until(process, lambda: self.newest() > 0, "a second checkpoint")
        process.kill()
        process.wait(timeout=HANGS)
        self.disk.make_read_only()
        refused = backplane("inspect", self.run_path, "--repair")
        self.assertEqual(refused.returncode, 74, refused.stderr)
        self.assertRegex(refused.stderr, r"trace\.h5: cannot be repaired: the file system is mounted read-only\n"
                                         r"  hint: copy the run to a disk that can be written, and repair it there")

    def test_a_closed_trace_on_a_read_only_disk_needs_no_repair(self):
        self.finished_run()
        self.disk.make_read_only()
        done = backplane("inspect", self.run_path, "--repair")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("was closed already", done.stdout)


def main():
    global OPTIONS
    OPTIONS = read_command_line(
        __doc__, rounds={"type": int, "default": 1, "help": "how often the disk fills and is freed"})
    result = unittest.main(exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    for _, why in result.skipped:
        print(f"skipped: {why}")
    sys.exit(SKIPPED if result.skipped else 0)


if __name__ == "__main__":
    main()
