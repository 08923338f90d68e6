#!/usr/bin/env python3
"""Kills runs with SIGKILL at random times and resumes them, on other numbers of threads, until they end.

After each kill: every checkpoint that MANIFEST.json names is whole, and none that was committed is newer than the newest.
At the end: the weights have the bits, and metrics.jsonl and generated.txt the lines, of a run that was left alone.
A failure prints the seed, which repeats the times and threads (not the moments: those are the machine's).

    kill_test.py --program build/backplane --kills 60
    kill_test.py --program build/backplane --kills 600 --seed 42 cnn lstm
"""

import argparse
import hashlib
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from whole_program import HANGS

RUNS = pathlib.Path(__file__).resolve().parent / "runs"
TEXT = "a network that was killed goes on as if nothing had happened, bit for bit. " * 12


class Failure(Exception):
    pass


def lines_of(run):
    """metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("samples_per_s", None)
    return lines


def result_of(run):
    summary = json.loads((run / "summary.json").read_text())
    generated = run / "generated.txt"
    return {"status": summary["status"], "steps": summary["steps"], "digest": summary["weights_digest"],
            "test_loss": summary.get("test_loss"), "validation_loss": summary.get("validation_loss"),
            "train_loss": summary["train_loss"], "metrics": lines_of(run),
            "generated": generated.read_bytes() if generated.exists() else None}


def newest_whole(run):
    """The newest step that is committed, -1 where there is none; every file of the manifest is looked at."""
    manifest = run / "checkpoints" / "MANIFEST.json"
    if not manifest.exists():
        return -1
    entries = json.loads(manifest.read_text())["checkpoints"]
    for entry in entries:
        path = run / "checkpoints" / entry["file"]
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            raise Failure(f"{path.name} stands in the manifest and is not whole")
    if not entries:
        raise Failure("the manifest names no checkpoint")
    return max(entry["step"] for entry in entries)


class Lives:
    """Runs of one experiment, each killed again and again until it ends by itself."""

    def __init__(self, program, name, scratch, chance):
        self.program, self.name, self.scratch, self.chance = program, name, scratch, chance
        self.kills = self.runs = 0
        started = time.monotonic()
        done = subprocess.run(self.words("alone", 2), cwd=scratch, capture_output=True, timeout=HANGS)
        duration = time.monotonic() - started
        if done.returncode != 0:
            raise Failure(f"exit {done.returncode} without a kill: {done.stderr.decode()}")
        self.wanted = result_of(scratch / "alone")
        self.longest_life = duration / 2  # seconds

    def words(self, out, threads):
        return [self.program, "run", str(RUNS / f"{self.name}.yaml"), "--out", out, "--threads", str(threads), "--resume"]

    def live(self, run):
        """One process of a run. Whether it was killed before it ended."""
        process = subprocess.Popen(self.words(run.name, self.chance.randint(1, 4)), cwd=self.scratch,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, said = process.communicate(timeout=self.chance.uniform(0, self.longest_life))
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate(timeout=HANGS)
        if process.returncode == -signal.SIGKILL:
            self.kills += 1
            return True
        if process.returncode != 0:
            raise Failure(f"exit {process.returncode} after {self.kills} kills: {said.decode()}")
        self.longest_life *= 0.9  # whoever lives that long is not killed
        return False

    def run_to_the_end(self):
        run = self.scratch / f"killed-{self.runs}"
        newest = -1
        while self.live(run):
            before, newest = newest, newest_whole(run)
            if newest < before:
                raise Failure(f"the checkpoint of step {before} was committed; the newest is {newest} now")
            # On a machine that became busy, lives may be too short to get anywhere.
            self.longest_life *= 1.5 if newest == before else 0.9
        result = result_of(run)
        for key, wanted in self.wanted.items():
            if result[key] != wanted:
                raise Failure(f"{key} differs from that of the run that was left alone: {first_difference(result[key], wanted)}")
        for path in [*run.rglob("*.tmp-*")]:
            raise Failure(f"{path.name} was left behind")
        shutil.rmtree(run)
        self.runs += 1


def first_difference(got, wanted):
    if isinstance(got, list):
        for i, (a, b) in enumerate(zip(got, wanted)):
            if a != b:
                return f"line {i + 1}: {a} instead of {b}"
        return f"{len(got)} lines instead of {len(wanted)}"
    return f"{got!r} instead of {wanted!r}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--kills", type=int, default=60, help="over all experiments; runs that were begun are ended")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("names", nargs="*", help="experiments of runs/; default: all")
    options = parser.parse_args()
    program = str(pathlib.Path(options.program).resolve())
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    names = options.names or sorted(path.stem for path in RUNS.glob("*.yaml"))
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bp-kill-") as scratch:
            (pathlib.Path(scratch) / "text.txt").write_text(TEXT)
            try:
                lives = Lives(program, name, pathlib.Path(scratch), random.Random(f"{seed} {name}"))
                while lives.kills * len(names) < options.kills:
                    lives.run_to_the_end()
            except (Failure, subprocess.TimeoutExpired) as failure:
                print(f"{name}: {failure}\n  kill_test.py --program {options.program} --kills {options.kills} --seed {seed} {name}")
                return 1
            print(f"{name}: {lives.kills} kills, {lives.runs} runs ended with the same bits", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
