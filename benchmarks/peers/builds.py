#!/usr/bin/env python3
"""Times training steps of two builds of Backplane in turns: the ratio OTHER / BUILD of every network, above 1 where
BUILD is faster, with quartiles, and the geometric mean.

    git worktree add /tmp/other <commit> && make -C /tmp/other build
    builds.py build /tmp/other/build
"""
import argparse
import contextlib
import itertools
import os
import pathlib
import statistics
import sys
import tempfile

from compare import BATCHES, ROOT, Side, quartiles


def ratios(network, batch, threads, builds, rounds, folder):
    """OTHER / BUILD of each round."""
    with contextlib.ExitStack() as stack:
        sides = [Side(stack, str(build), [build / "benchmarks/training_steps", f"benchmarks/networks/{network}.yaml",
                                          "--set", f"train.batch_size={batch}", "--threads", threads], {},
                      folder / f"{number}.log") for number, build in enumerate(builds)]
        with sides[0].awake():
            sides[0].choose_count()
        sides[1].count = sides[0].count
        for side in sides:
            side.turn(keep=False)
        for number in range(rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                side.turn()
        return [other / build for build, other in zip(*(side.rounds for side in sides))], sides[0].rounds


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("build", type=pathlib.Path)
    options.add_argument("other", type=pathlib.Path)
    options.add_argument("--networks", default=",".join(BATCHES), help="mlp,cnn,…; default: all")
    options.add_argument("--threads", default=str(os.cpu_count()), help="1,2,…; default: all cores")
    options.add_argument("--rounds", type=int, default=9, help="default 9")
    words = options.parse_args()
    builds = [words.build.resolve(), words.other.resolve()]
    os.chdir(ROOT)  # paths in the experiments begin here
    middles = []
    print("| network | batch | threads | ms | ratio | low–high |\n|---|---|---|---|---|---|")
    for network in words.networks.split(","):
        for batch, threads in itertools.product(BATCHES[network], words.threads.split(",")):
            with tempfile.TemporaryDirectory(prefix="builds-") as folder:
                rounds, times = ratios(network, batch, threads, builds, words.rounds, pathlib.Path(folder))
            low, middle, high = quartiles(rounds)
            middles.append(middle)
            print(f"| {network} | {batch} | {threads} | {statistics.median(times) * 1e3:.3g} | **{middle:.3f}** | "
                  f"{low:.3f}–{high:.3f} |", flush=True)
    print(f"\ngeometric mean {statistics.geometric_mean(middles):.3f}, least {min(middles):.3f}")


if __name__ == "__main__":
    sys.exit(main())
