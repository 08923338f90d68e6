#!/usr/bin/env python3
"""Standard streams that are closed, full or without a reader, on every command: no file gets what was meant for them, no run
ends by them, and results that were lost are an error of writing.

    streams_test.py --program build/backplane
"""


import fcntl
import itertools
import json
import os
import signal
import socket
import subprocess
import termios
import time
import unittest

import h5py

import whole_program
from kill_test import result_of
from whole_program import HANGS, InFolder, backplane, read_command_line

USAGE, IO, STOPPED, BAD_CONFIG = 64, 74, 75, 78
RUN = """
name: streams
data: {synthetic: {spirals: {samples: 120, classes: 2}}}
network: {layers: [{dense: {units: 8, activation: tanh}}, {dense: {units: 2}}], loss: softmax_cross_entropy}
train: {epochs: 2, batch_size: 10, optimizer: adam}
record: {every: 1, taps: [activation, delta]}
checkpoint: {every: 1 epoch}
"""


class Streams(InFolder):
    def setUp(self):
        super().setUp()
        self.file = self.write(RUN)
        done = backplane("run", self.file, "--out", self.folder / "alone")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.checkpoint = sorted((self.folder / "alone/checkpoints").glob("*.h5"))[-1]

    def shell(self, words, redirection, **variables):
        command = " ".join([whole_program.OPTIONS.program, *map(str, words)]) + " " + redirection
        return subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, text=True, timeout=HANGS,
                              env={**os.environ, **variables})

    def commands(self):
        """Each command, with what it is asked to do here."""
        return [["inspect", "alone"], ["inspect", "alone", "--json"], ["inspect", self.checkpoint],
                ["diff", "alone", "alone"], ["plugin", "list"], ["plugin", "inspect", "dense"],
                ["check", self.file, "--elements", "2"], ["replay", self.checkpoint],
                ["export", self.checkpoint, "--to", "npz", "--out", "weights.npz", "--force"],
                ["verify-resume", self.file, "--steps", "3"], ["run", self.file, "--dry-run"], ["--help"], ["--version"],
                ["run", "--help"], ["bench", self.file, "--threads", "1", "--repetitions", "3"]]

    def test_a_run_with_closed_streams_is_as_any_other(self):
        for number, closed in enumerate(("<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-")):
            done = self.shell(["run", self.file, "--out", f"out-{number}"], closed)
            self.assertEqual((done.returncode, done.stdout if ">&-" in closed.split() else ""), (0, ""), closed)
            self.assertEqual(result_of(self.folder / f"out-{number}"), result_of(self.folder / "alone"), closed)
            for name in ("config.yaml", "metrics.jsonl", "summary.json"):
                text = (self.folder / f"out-{number}" / name).read_text()
                self.assertNotIn("epoch   1", text, f"{closed}: progress in {name}")
            with h5py.File(self.folder / f"out-{number}/trace.h5") as trace:
                self.assertEqual(len(trace["scales/step"]), 24)

    def test_a_full_stdout_is_an_error_of_writing_for_every_command(self):
        for words in self.commands():
            done = self.shell(words, ">/dev/full")
            self.assertEqual(done.returncode, IO, f"{words}: {done.stderr}")
            self.assertIn("the disk is full", done.stderr, words)

    def test_closed_and_full_streams_end_no_command_badly(self):
        for words, redirection in itertools.product(self.commands(), ("<&-", ">&-", "2>&-", "2>/dev/full", ">&- 2>&-")):
            done = self.shell(words, redirection)
            self.assertEqual(done.returncode, 0, f"{words} {redirection}: {done.stderr}")

    def test_a_run_outlives_its_readers(self):
        words = [whole_program.OPTIONS.program, "run", self.file, "--out", "out"]
        for streams in ["stdout"], ["stdout", "stderr"], ["stderr"]:
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run(words, cwd=self.folder, timeout=HANGS, **{
                "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **dict.fromkeys(streams, writer)})
            os.close(writer)
            self.assertEqual(done.returncode, 0, streams)
            self.assertEqual(result_of(self.folder / "out"), result_of(self.folder / "alone"), streams)

    def test_an_output_on_stdout_stands_alone_there(self):
        """What reads it gets the bytes that a file would hold; words go to stderr."""
        self.shell(["export", self.checkpoint, "--to", "safetensors", "--out", "weights"], "")
        bench = ["bench", self.file, "--threads", "1", "--repetitions", "3", "--turn", "0.01"]
        for out in "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
            for how in ">got", ">>got", "| cat >got":
                (self.folder / "got").unlink(missing_ok=True)
                done = self.shell(["export", self.checkpoint, "--to", "safetensors", "--out", out], how)
                self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
                self.assertEqual((self.folder / "got").read_bytes(), (self.folder / "weights").read_bytes(), how)
                self.assertIn("tensors after 24 steps", done.stderr)
        for words in [*bench, "--json", "/dev/stdout"], [*bench, "--trace-threads", "/dev/stdout"], \
                ["run", self.file, "--out", "traced", "--trace-threads", "/dev/stdout"]:
            done = self.shell(words, "")
            self.assertEqual(done.returncode, 0, done.stderr)
            json.loads(done.stdout)
        done = self.shell([*bench, "--plot", "/dev/stdout"], "")
        self.assertTrue(done.stdout.rstrip().endswith("</svg>"), done.stdout[-100:])
        self.assertIn("speed-up", done.stderr)

    def test_an_output_among_messages_is_refused(self):
        for out, how in (("/dev/stdout", ">got 2>&1"), ("/dev/stderr", "2>got")):
            done = self.shell(["run", self.file, "--out", "new", "--trace-threads", out], how)
            self.assertEqual(done.returncode, USAGE)
            self.assertIn("messages go there as well", (self.folder / "got").read_text())
            self.assertFalse((self.folder / "new").exists())

    def test_a_descriptor_that_cannot_be_written_is_said_before_the_work(self):
        for out, how in (("/dev/fd/9", "9>&-"), ("/dev/fd/9", "9</dev/null")):
            done = self.shell(["export", "missing.h5", "--to", "npz", "--out", out], how)
            self.assertEqual(done.returncode, IO, done.stderr)
            self.assertIn("/dev/fd/9: ", done.stderr)

    def test_a_descriptor_that_the_run_would_open_itself_is_no_output(self):
        for number in range(3, 10):
            for out in f"/dev/fd/{number}", f"/proc/self/fd/{number}", f"/proc/thread-self/fd/{number}", f"/dev/../dev/fd/{number}":
                for words in ["run", self.file, "--out", "new", "--trace-threads", out], \
                        ["bench", self.file, "--threads", "1", "--json", out]:
                    done = self.shell(words, f"{number}>&-")
                    self.assertEqual(done.returncode, IO, f"{words}: {done.stderr}")
                    self.assertIn(out, done.stderr)
                    self.assertFalse((self.folder / "new").exists())
        for out in "/dev/fd/7", "/proc/thread-self/fd/7", "link":
            (self.folder / "link").unlink(missing_ok=True)
            (self.folder / "link").symlink_to("/dev/fd/7")
            done = self.shell(["run", self.file, "--out", "new", "--trace-threads", out], "7>traced")
            self.assertEqual(done.returncode, 0, done.stderr)
            json.loads((self.folder / "traced").read_text())
            self.assertEqual(result_of(self.folder / "new"), result_of(self.folder / "alone"))

    def test_what_nobody_reads_is_no_output(self):
        os.mkfifo(self.folder / "fifo")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.folder / "socket"))
        for out, why in ("fifo", "is a FIFO that nothing reads from"), ("socket", "is a socket"):
            for words in ["run", self.file, "--out", "new", "--trace-threads", out], \
                    ["bench", self.file, "--threads", "1", "--plot", out], \
                    ["export", self.checkpoint, "--to", "npz", "--out", out]:
                done = self.shell(words, "")
                self.assertEqual(done.returncode, IO, done.stderr)
                self.assertIn(f"error: {out}: {why}", done.stderr)
                self.assertFalse((self.folder / "new").exists())
            done = self.shell(["run", self.file, "--out", out], "")
            self.assertEqual(done.returncode, IO, done.stderr)
            self.assertIn(f"error: {out}: {' '.join(why.split()[:3])}, not a directory", done.stderr)
        done = self.shell(["run", self.file, "--out", "new", "--trace-threads", "fifo"], "& pid=$!; cat fifo >got; wait $pid")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_no_output_lies_where_an_earlier_run_goes(self):
        done = self.shell(["run", self.file, "--out", "alone", "--trace-threads", "alone.1/metrics.jsonl"], "")
        self.assertEqual(done.returncode, USAGE, done.stderr)
        self.assertIn("error: alone.1/metrics.jsonl: lies in the run directory", done.stderr)
        self.assertFalse((self.folder / "alone.1").exists())

    def test_training_waits_for_nobody_who_reads_messages(self):
        """A signal stops a run whose stderr, or both streams, go to a pipe that nobody reads, or to a terminal that was stopped."""
        words = [whole_program.OPTIONS.program, "run", self.file, "--set", "train.epochs=1000000", "--set", "metrics.every=1",
                 "--set", "checkpoint.every=1000000", "--set", "record.every=1000000"]
        for number, (is_terminal, streams) in enumerate(itertools.product((False, True), (["stderr"], ["stdout", "stderr"]))):
            with self.subTest(is_terminal=is_terminal, streams=streams):
                reader, writer = os.openpty() if is_terminal else os.pipe()
                if is_terminal:
                    termios.tcflow(writer, termios.TCOOFF)
                else:
                    os.set_blocking(writer, False)
                    with self.assertRaises(BlockingIOError):
                        while True:
                            os.write(writer, b"-" * 4096)
                    os.set_blocking(writer, True)
                out = self.folder / f"out-{number}"
                process = subprocess.Popen([*words, "--out", out], cwd=self.folder, **{
                    "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **dict.fromkeys(streams, writer)})
                self.addCleanup(lambda: (process.kill(), process.wait()))
                metrics = out / "metrics.jsonl"
                self.wait_until(process, lambda: metrics.exists() and metrics.read_text().count("\n") > 5000, "some epochs")
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(timeout=HANGS), STOPPED)
                self.assertEqual(json.loads((out / "summary.json").read_text())["status"], "stopped")
                os.close(reader), os.close(writer)

    def test_a_run_outlives_its_terminal(self):
        """That of a process which ignores SIGHUP, as one behind nohup does."""
        reader, writer = os.openpty()
        process = subprocess.Popen([whole_program.OPTIONS.program, "run", self.file, "--out", "out"], cwd=self.folder,
                                   stdin=writer, stdout=writer, stderr=writer)
        os.close(writer), os.close(reader)
        self.assertEqual(process.wait(timeout=HANGS), 0)
        self.assertEqual(result_of(self.folder / "out"), result_of(self.folder / "alone"))

    def test_a_pipe_that_does_not_wait_gets_all_results(self):
        plain = self.shell(["inspect", "alone", "--json", "--all"], "").stdout
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        process = subprocess.Popen([whole_program.OPTIONS.program, "inspect", "alone", "--json", "--all"], cwd=self.folder,
                                   stdout=writer)
        os.close(writer)
        time.sleep(0.5)  # time to fill it
        with os.fdopen(reader) as file:
            self.assertEqual(file.read(), plain)
        self.assertEqual(process.wait(timeout=HANGS), 0)
        self.assertGreater(len(plain), 4096)

    def test_variables_of_libraries_neither_print_among_results_nor_end_the_program(self):
        words = ["replay", self.checkpoint]
        plain = self.shell(words, "")
        for name in "DNNL_VERBOSE", "ONEDNN_VERBOSE", "BLIS_ARCH_DEBUG", "OMP_DISPLAY_ENV":
            done = self.shell(words, "", **{name: "1"})
            self.assertEqual((done.returncode, done.stdout), (0, plain.stdout), name)
        for value in "99", "abc", "-5":
            done = self.shell(["run", self.file, "--out", "new"], "", BLIS_ARCH_TYPE=value)
            self.assertEqual(done.returncode, BAD_CONFIG, done.stderr)
            self.assertIn(f"error: the variable BLIS_ARCH_TYPE={value} names no kernels", done.stderr)
            self.assertFalse((self.folder / "new").exists())

    def test_a_reader_that_has_seen_enough_hears_nothing(self):
        done = self.shell(["inspect", "alone", "--json"], "| head -c 1; exit ${PIPESTATUS[0]}")
        self.assertEqual((done.stdout, done.stderr), ("{", ""))


if __name__ == "__main__":
    read_command_line(__doc__)
    unittest.main()
