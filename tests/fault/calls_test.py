#!/usr/bin/env python3
"""Kills a run, and fails its power, before the n-th call that changes a file, and resumes it.

After each: every checkpoint that MANIFEST.json names is whole, and at the end the weights have the bits, and
metrics.jsonl the lines, of a run that was left alone. Nothing but what was synced survives where the power fails.

    calls_test.py --program build/backplane --faults build/tests/fault/libbp_faults.so             every call
    calls_test.py --program build/backplane --faults build/tests/fault/libbp_faults.so --points 20
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from kill_test import HANGS, RUNS, Failure, first_difference, newest_whole, result_of

POWER_FAILED = 99
MEMORY = "/dev/shm"  # what survives is said by the library: no disk need be waited for
SHORTER = {"mlp": ["train.epochs=3"], "cnn": ["train.epochs=3"], "lstm": ["train.epochs=2"]}


class Experiment:
    def __init__(self, options, name, scratch):
        self.options, self.name, self.scratch = options, name, scratch

    def live(self, run, faults=None):
        """One process of a run, in a directory of its own. (exit code, stderr)"""
        words = [self.options.program, "run", str(RUNS / f"{self.name}.yaml"), "--out", "out", "--threads", "2", "--resume"]
        for override in SHORTER[self.name]:
            words += ["--set", override]
        run.mkdir(exist_ok=True)
        env = dict(os.environ)
        if faults is not None:
            env |= {"LD_PRELOAD": self.options.preload, "BP_FAULT_DIRECTORY": str(run), **faults}
        done = subprocess.run(words, cwd=run, env=env, capture_output=True, timeout=HANGS)
        return done.returncode, done.stderr.decode()

    def measure(self):
        """The result of the run that is left alone, and the calls that it makes."""
        log = self.scratch / "calls"
        code, said = self.live(self.scratch / "alone", {"BP_FAULT_LOG": str(log)})
        if code != 0:
            raise Failure(f"exit {code} without a fault: {said}")
        self.wanted = result_of(self.scratch / "alone" / "out")
        return log.read_text().splitlines()

    def check(self, action, at, seed):
        run = self.scratch / f"{action}-{at}-{seed}"
        code, said = self.live(run, {"BP_FAULT_AT": str(at), "BP_FAULT_ACTION": action, "BP_FAULT_SEED": str(seed)})
        if code != (-signal.SIGKILL if action == "killed" else POWER_FAILED):
            raise Failure(f"exit {code} where it was to end by {action}: {said}")
        newest_whole(run / "out")
        code, said = self.live(run)
        if code != 0:
            raise Failure(f"exit {code} when resumed: {said}")
        result = result_of(run / "out")
        for key, wanted in self.wanted.items():
            if result[key] != wanted:
                raise Failure(f"{key} differs from that of the run that was left alone: {first_difference(result[key], wanted)}")
        for path in (run / "out").rglob("*.tmp-*"):
            raise Failure(f"{path.name} was left behind")
        shutil.rmtree(run)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--faults", required=True, help="the library that fails calls")
    parser.add_argument("--points", type=int, help="so many calls of each experiment; default: every call")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("names", nargs="*", help="experiments of runs/; default: mlp and lstm")
    options = parser.parse_args()
    options.program, options.faults = (os.path.realpath(path) for path in (options.program, options.faults))
    linked = subprocess.run(["ldd", options.program], capture_output=True, text=True, check=True).stdout
    options.preload = ":".join([*re.findall(r"=> (\S*/lib[at]san\.so\S*)", linked), options.faults])  # it must come first
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1, 1 << 32)
    print(f"seed {seed}", flush=True)
    failures = 0
    for name in options.names or ["lstm", "mlp"]:
        chance = random.Random(f"{seed} {name}")
        with tempfile.TemporaryDirectory(prefix="bp-calls-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as scratch:
            experiment = Experiment(options, name, pathlib.Path(os.path.realpath(scratch)))
            calls = experiment.measure()
            points = range(1, len(calls) + 1)
            if options.points is not None:
                points = sorted(chance.sample(points, min(options.points, len(points))))
            # 0: all that was not synced is lost; else some of it.
            cases = [case for at in points for case in (("killed", at, 0), ("power_failure", at, 0),
                                                        ("power_failure", at, chance.randrange(1, 1 << 32)))]
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                for case, done in [(case, pool.submit(experiment.check, *case)) for case in cases]:
                    try:
                        done.result()
                    except (Failure, subprocess.TimeoutExpired, OSError, ValueError) as failure:
                        failures += 1
                        print(f"{name}: {case[0]} at call {case[1]}, seed {case[2]}, before '{calls[case[1] - 1]}': {failure}")
            print(f"{name}: {len(calls)} calls; {len(points)} of them, killed or without power: {len(cases)} cases", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
