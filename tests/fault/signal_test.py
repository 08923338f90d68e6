#!/usr/bin/env python3
"""SIGTERM, SIGINT, SIGHUP, SIGXCPU and SIGUSR1 in every phase of a run: exit codes, checkpoints, and the bits of what is resumed.

    signal_test.py --program build/backplane
"""

import json
import os
import pathlib
import resource
import signal
import subprocess
import time
import unittest

import h5py

from kill_test import RUNS, TEXT, result_of
import whole_program
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


# A step that takes several seconds.
LONG_STEP = """
name: long-step
dtype: float64
data: {synthetic: {random: {samples: 12000, inputs: 2000, classes: 3}}}
network: {layers: [{dense: {units: 2000}}, {dense: {units: 2000}}, {dense: {units: 2000}}, {dense: {units: 3}}],
          loss: softmax_cross_entropy}
train: {steps: 100, batch_size: 12000, optimizer: sgd}
checkpoint: {every: 1000}
record: {samples: 1}
"""
SYNCHRONOUS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS)


class Signals(InFolder):
    def setUp(self):
        super().setUp()
        self.write(TEXT, "text.txt")

    def start_run(self, file, *words, out="out", **how):
        process = self.start("run", file, "--out", out, "--threads", "2", *words, stderr=subprocess.PIPE, **how)
        self.addCleanup(process.stderr.close)
        return process

    def end(self, process):
        _, said = process.communicate(timeout=HANGS)
        return process.returncode, said.decode()

    def metrics(self, out="out"):
        path = self.folder / out / "metrics.jsonl"
        return path.read_text() if path.exists() else ""

    def files_of_run(self):
        return [path.name for path in (self.folder / "out").glob("*")]

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

    def test_temporary_directories_go_with_the_process(self):
        """Also of one that is ended at once: before training begins, and by a second signal."""
        file = self.write(LONG_STEP, "long-step.yaml")
        temporary = self.folder / "temporary"
        temporary.mkdir()
        recorded = ["--dry-run", "--set", "record.every=1", "--set", "record.taps=[delta]"]
        for command, signals, expected in [(["run", file, *recorded], 1, STOPPED),
                                           (["verify-resume", file, "--steps", "3"], 2, -signal.SIGTERM)]:
            with self.subTest(command[0]):
                process = self.start(*command, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(temporary)})
                self.addCleanup(process.stderr.close)
                self.wait_until(process, lambda: [*temporary.rglob("*.*")], "a file in a temporary directory")
                for i in range(signals):
                    time.sleep(0.7 * i)
                    process.send_signal(signal.SIGTERM)
                code, said = self.end(process)
                self.assertEqual(code, expected, said)
                self.assertNotIn("error", said)
                self.assertEqual([*temporary.iterdir()], [])

    def test_temporary_files_go_with_the_process(self):
        """Those of an export, of a repair, and of what measures the cost of recording: by each signal that ends a process."""
        large = LONG_STEP.replace("units: 2000", "units: 2500").replace("12000", "4").replace("steps: 100", "steps: 1")
        file = self.write(large, "large.yaml")
        code, said = self.end(self.start_run(file))
        self.assertEqual(code, 0, said)
        measured = ["run", self.write(LONG_STEP), "--dry-run", "--set", "record.every=1", "--set", "record.taps=[delta]"]
        temporary = self.folder / "temporary"
        temporary.mkdir()
        export = ["export", self.newest(), "--to", "npz", "--out", temporary / "weights.npz"]
        for command, numbers in ((export, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU, signal.SIGQUIT,
                                           signal.SIGALRM, signal.SIGVTALRM, signal.SIGUSR2)),
                                 (measured, (signal.SIGQUIT, signal.SIGUSR2))):
            for number in numbers:
                with self.subTest(number=number, command=command[0]):
                    process = self.start(*command, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(temporary)},
                                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
                    self.addCleanup(process.stderr.close)
                    self.wait_until(process, lambda: [*temporary.rglob("*.*")], "a temporary file")
                    process.send_signal(number)
                    code, said = self.end(process)
                    self.assertEqual(code, -number, said)
                    self.assertEqual([*temporary.iterdir()], [])

    def test_temporary_directories_go_where_descriptors_are_few(self):
        temporary = self.folder / "temporary"
        temporary.mkdir()
        for limit in (4, 6, 8, 12):
            done = whole_program.backplane("verify-resume", self.write(LONG_TRAINING), "--steps", "3",
                                           env={**os.environ, "TMPDIR": str(temporary)},
                                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
            self.assertEqual([*temporary.iterdir()], [], done.stderr)
            self.assertIn(done.returncode, (0, 74), done.stderr)

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
        process = self.start_run(self.write(LONG_STEP))
        self.wait_until(process, lambda: "checkpoints" in self.files_of_run(), "training")
        process.send_signal(signal.SIGTERM)
        time.sleep(1)  # twice what tells a second signal from an echo of the first; the step takes several times that
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.end(process)[0], -signal.SIGINT)

    def test_echoes_of_the_first_signal_are_one_request(self):
        """`timeout` signals the process and then its group, systemd sends two signals, a terminal and its shell too."""
        for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP),
                              (signal.SIGHUP, signal.SIGHUP), (signal.SIGINT, signal.SIGTERM)):
            process = self.start_run(self.write(LONG_TRAINING), out=f"out-{first}-{second}")
            self.wait_until(process, lambda: self.metrics(f"out-{first}-{second}").count("\n") >= 5, "the fifth step")
            process.send_signal(first)
            process.send_signal(second)
            code, said = self.end(process)
            self.assertEqual(code, STOPPED, said)

    def test_hangup_and_the_limit_of_cpu_time_stop_as_the_others_do(self):
        for number in (signal.SIGHUP, signal.SIGXCPU):
            process = self.start_run(self.write(LONG_TRAINING), out=f"out-{number}")
            self.wait_until(process, lambda: self.metrics(f"out-{number}").count("\n") >= 5, "the fifth step")
            process.send_signal(number)
            code, said = self.end(process)
            self.assertEqual(code, STOPPED, said)
            self.assertIn("a checkpoint was committed", said)

    def test_the_limit_of_cpu_time_itself(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (2, 30))
        process = self.start_run(self.write(LONG_TRAINING), preexec_fn=limit)
        code, said = self.end(process)
        self.assertEqual(code, STOPPED, said)

    def test_the_limit_of_file_sizes_is_an_error_of_writing(self):
        """As a full disk: what can be written is, training goes on to its end, and the exit code says what is missing."""
        text = LONG_TRAINING.replace("steps: 1000000", "steps: 400").replace("every: 1000000", "every: 200")
        alone = self.run_to_the_end(self.write(text), out="alone")
        most = 1 << 20
        text += "record: {every: 1, taps: [activation, delta, gradients], compression: none}\n"  # twice as much
        process = self.start_run(self.write(text),
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
        code, said = self.end(process)
        self.assertEqual(code, 74, said)
        self.assertIn("trace.h5: File too large", said)
        self.assertNotIn("HDF5-DIAG", said)
        self.assertEqual(result_of(self.folder / "out")["digest"], alone["digest"])

    def test_what_the_parent_ignores_stays_ignored(self):
        """`nohup`, and background jobs of a shell without job control."""
        ignore = lambda: (signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process = self.start_run(self.write(LONG_TRAINING), preexec_fn=ignore)
        self.wait_until(process, lambda: self.metrics().count("\n") >= 5, "the fifth step")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGHUP)
        lines = self.metrics().count("\n")
        self.wait_until(process, lambda: self.metrics().count("\n") > lines + 100, "a hundred steps more")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(process)[0], STOPPED)

    def test_how_children_end_is_told_where_the_parent_ignored_it(self):
        program = pathlib.Path(whole_program.OPTIONS.program).resolve()
        plugin = program.parent / "bad-test-plugins/aborts_at_load.bp.so"

        def said(how):
            return subprocess.run([program, "plugin", "inspect", plugin], capture_output=True, timeout=HANGS,
                                  preexec_fn=lambda: signal.signal(signal.SIGCHLD, how)).stderr

        self.assertIn(b"SIGABRT", said(signal.SIG_DFL))
        self.assertEqual(said(signal.SIG_IGN), said(signal.SIG_DFL))

    def test_first_process_of_a_container(self):
        """The kernel spares process 1 what would end any other: the second signal ends it all the same."""
        if subprocess.run(["unshare", "--pid", "--fork", "true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("a PID namespace is not permitted here")
        process = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", whole_program.OPTIONS.program, "run",
                                    self.write(LONG_STEP), "--out", "out", "--threads", "2"], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        self.wait_until(process, lambda: "checkpoints" in self.files_of_run(), "training")
        [child] = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        time.sleep(1)
        os.kill(int(child), signal.SIGTERM)
        self.assertEqual(process.wait(timeout=HANGS), 128 + signal.SIGTERM)

    def test_a_reader_that_goes_costs_no_checkpoint(self):
        """Ctrl-C on `run … 2>&1 | tee log` ends the reader of the messages as well."""
        process = self.start_run(self.write(LONG_TRAINING), "--set", "checkpoint.every=5 steps", "--set",
                                 "checkpoint.keep_best=false")
        self.wait_until(process, lambda: self.metrics().count("\n") >= 5, "the fifth step")
        process.stderr.close()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=HANGS), STOPPED)
        steps = json.loads((self.folder / "out/summary.json").read_text())["steps"]
        self.assertTrue((self.folder / f"out/checkpoints/step-{steps:08}.h5").exists())

    def test_no_thread_that_computes_takes_a_signal(self):
        """Each thread but one has blocked all that an instruction does not cause, handled by this program or not."""
        process = self.start_run(self.write(LONG_TRAINING))
        self.wait_until(process, lambda: self.metrics().count("\n") >= 5, "the fifth step")
        open_to_signals = []
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
            status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
            blocked = int(status["SigBlk"], 16)
            wanted = [number for number in range(1, 65) if number not in
                      (32, 33, *SYNCHRONOUS, signal.SIGKILL, signal.SIGSTOP)]  # 32 and 33 are the C library's
            if any(not blocked >> (number - 1) & 1 for number in wanted):
                open_to_signals.append(status["Name"])
        self.assertEqual(open_to_signals, ["signals"])

    def test_signals_do_not_end_a_run_that_is_done(self):
        """Its results wait for a reader: a pipe that is full."""
        text = LONG_TRAINING.replace("steps: 1000000", "steps: 10")
        for numbers in ([signal.SIGUSR1], [signal.SIGTERM], [signal.SIGUSR1, signal.SIGHUP]):
            out = "out-" + "-".join(map(str, map(int, numbers)))
            reader, writer = os.pipe()
            os.set_blocking(writer, False)
            try:
                while True:
                    os.write(writer, bytes(4096))
            except BlockingIOError:
                os.set_blocking(writer, True)
            process = self.start_run(self.write(text), out=out, stdout=writer)
            os.close(writer)
            self.wait_until(process, lambda: waits_in_write(process), "that its results wait")
            self.assertTrue((self.folder / out / "summary.json").exists())
            for number in numbers:
                process.send_signal(number)
            time.sleep(0.2)
            with open(reader, "rb") as results:
                said = results.read()
            self.assertEqual(self.end(process)[0], 0)
            self.assertIn(b"weights", said)

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


def waits_in_write(process):
    """Whether the first thread of a process waits until what it writes to takes more: it sleeps in poll."""
    return "poll" in pathlib.Path(f"/proc/{process.pid}/wchan").read_text() or \
        pathlib.Path(f"/proc/{process.pid}/syscall").read_text().startswith("7 ")


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
