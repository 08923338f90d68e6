#!/usr/bin/env python3
"""Signals at random times, on networks of real size: whichever kernel they meet, no run dies and no bit changes.

Small networks do not reach every kernel: oneDNN's larger products keep the stack pointer in the heap (oneDNN issue 4845),
where the frame of a signal handler would overwrite what they compute. So these networks are the shipped ones, in both
types, with fewer steps. A run gets up to three SIGUSR1, then one signal that stops it, and is resumed until it ends.

    signal_storm_test.py --program build/backplane --signals 60
    signal_storm_test.py --program build/backplane --signals 500 --seed 42 lstm_rows-float32
"""

import argparse
import collections
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from kill_test import Failure, first_difference, result_of
from whole_program import HANGS

SOURCES = pathlib.Path(__file__).resolve().parents[2]
STOPS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU]
STOPPED = 75

# Of each network the file, the steps in float32 (a second or two), and what shortens the rest.
IMAGES = ["data.idx.limit=4000", "data.idx.validation=400", "metrics.every=50", "checkpoint.every=1 epoch"]
NETWORKS = {
    "mlp": ("experiments/fashion_mnist/mlp.yaml", 600, IMAGES),
    "lstm_rows": ("experiments/fashion_mnist/lstm_rows.yaml", 80, IMAGES),
    "gru_rows": ("experiments/fashion_mnist/gru_rows.yaml", 80, IMAGES),
    "cnn": ("experiments/fashion_mnist/cnn.yaml", 70, IMAGES),
    "vgg": ("benchmarks/networks/vgg.yaml", 12, ["data.synthetic.random.samples=512"]),
    "transformer": ("benchmarks/networks/transformer.yaml", 24, ["data.text.limit=1000"]),
}
CASES = [f"{network}-{dtype}" for network in NETWORKS for dtype in ("float32", "float64")]


class Storm:
    """Runs of one network and type."""

    def __init__(self, program, case, scratch, chance):
        self.program, self.scratch, self.chance = program, scratch, chance
        network, self.dtype = case.split("-")
        file, steps, self.overrides = NETWORKS[network]
        self.file, self.steps = SOURCES / file, steps if self.dtype == "float32" else steps // 2
        self.signals = collections.Counter()
        self.runs = 0
        started = time.monotonic()
        code, said = self.live("alone", 2, [])
        if code != 0:
            raise Failure(f"exit {code} without a signal: {said}")
        self.duration = time.monotonic() - started
        self.wanted = result_of(scratch / "alone")

    def words(self, out, threads):
        sets = [f"dtype={self.dtype}", f"train.steps={self.steps}", *self.overrides]
        return [self.program, "run", self.file, "--out", out, "--resume", "--threads", str(threads),
                *(word for value in sets for word in ("--set", value))]

    def live(self, out, threads, storm):
        """One process. `storm`: seconds after which a signal is sent, and which. What it ended with, and what it said."""
        process = subprocess.Popen(self.words(out, threads), cwd=self.scratch, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        sender = threading.Thread(target=self.send, args=(process, storm))
        sender.start()
        try:
            _, said = process.communicate(timeout=HANGS)
        finally:
            process.kill()
            sender.join()
        return process.returncode, said

    def send(self, process, storm):
        while process.poll() is None and not takes_signals(process.pid):
            time.sleep(0.001)  # until then the program has not begun, and any signal ends it
        begin = time.monotonic()
        for moment, number in storm:
            time.sleep(max(0.0, begin + moment - time.monotonic()))
            if process.poll() is not None:
                return
            process.send_signal(number)
            self.signals[number.name] += 1

    def storm(self):
        moments = sorted(self.chance.uniform(0, self.duration) for _ in range(self.chance.randint(1, 4)))
        stop = self.chance.choice(STOPS + [signal.SIGUSR1])
        return [(moment, signal.SIGUSR1) for moment in moments[:-1]] + [(moments[-1], stop)]

    def run_to_the_end(self):
        out = f"run-{self.runs}"
        code = STOPPED
        while code == STOPPED:
            storm = self.storm()
            code, said = self.live(out, self.chance.randint(1, 3), storm)
            if not said and -code in {number for _, number in storm}:
                code = STOPPED  # it came while the command line was read: the process ended by it, as any does
            if code not in (0, STOPPED):
                sent = ", ".join(f"{number.name} after {moment:.3f} s" for moment, number in storm)
                raise Failure(f"exit {code} after {sent}: {said}")
        result = result_of(self.scratch / out)
        for key, wanted in self.wanted.items():
            if result[key] != wanted:
                raise Failure(f"{key} differs from that of the undisturbed run: {first_difference(result[key], wanted)}")
        shutil.rmtree(self.scratch / out)
        self.runs += 1


def takes_signals(pid):
    """Whether the thread that waits for signals, with those of a run in its hands, is there."""
    try:
        return any(path.read_text() == "signals\n" for path in pathlib.Path(f"/proc/{pid}/task").glob("*/comm"))
    except OSError:  # ended meanwhile
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--signals", type=int, default=60, help="over all cases; runs that were begun are ended")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("cases", nargs="*", help=f"default: all of {', '.join(CASES)}")
    options = parser.parse_args()
    program = str(pathlib.Path(options.program).resolve())
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    cases = options.cases or CASES
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="bp-storm-") as scratch:
            try:
                storm = Storm(program, case, pathlib.Path(scratch), random.Random(f"{seed} {case}"))
                while sum(storm.signals.values()) * len(cases) < options.signals:
                    storm.run_to_the_end()
            except (Failure, subprocess.TimeoutExpired) as failure:
                print(f"{case}: {failure}\n  signal_storm_test.py --program {options.program} --seed {seed} {case}")
                return 1
            sent = ", ".join(f"{count} {name}" for name, count in sorted(storm.signals.items()))
            print(f"{case}: {sent}; {storm.runs} runs ended with the same bits", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
