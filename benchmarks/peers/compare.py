#!/usr/bin/env python3
"""Times training steps of Backplane and PyTorch on the CPU, in turns. ../README.md says how, under "Against PyTorch".

Exit codes: 0 ok, 1 the two disagree about a loss or a side failed, 2 no PyTorch to compare with.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BATCHES = {"mlp": [32, 128, 512], "cnn": [32, 128], "vgg": [64], "lstm_rows": [32, 128], "gru_rows": [32, 128],
           "char_lstm": [32], "transformer": [32]}
TURN_SECONDS = 0.4
BOUNDS = {1: 1e-5, 5: 1e-3}  # of a step's loss, relatively: by the fifth, roundings have grown
COLUMNS = ["network", "batch", "threads", "Backplane ms", "PyTorch ms", "**ratio**", "low–high", "PyTorch's best",
           "memory", "start Backplane s", "start PyTorch s"]


class Failure(Exception):
    """Of one comparison; the next ones still take place."""


class Side:
    """A process that takes training steps when asked, and is stopped between its turns. `sides` ends it."""

    def __init__(self, sides, name, command, environment, log):
        self.name, self.log, self.rounds = name, log, []
        start = time.perf_counter()
        with open(log, "w") as errors:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
                                            env={**os.environ, **environment})
        sides.callback(self.end)
        self.say("steps 1")
        ready, first = self.hear(), self.hear()
        self.start_seconds = time.perf_counter() - start - ready["data_seconds"]
        self.losses = [*first["losses"], *self.steps(4)["losses"]]
        self.count, self.peak_bytes = 1, 0
        self.sleep()

    def say(self, line):
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            end = "".join(pathlib.Path(self.log).read_text().splitlines(keepends=True)[-5:])
            raise Failure(f"{self.name} ended with exit code {self.process.wait()}:\n{end}")
        return json.loads(line)

    def steps(self, count):
        self.say(f"steps {count}")
        return self.hear()

    def choose_count(self):
        """So many steps that a turn takes about TURN_SECONDS."""
        trial = self.steps(3)
        self.count = max(1, round(TURN_SECONDS / (trial["seconds"] / 3)))

    def turn(self, keep=True):
        with self.awake():
            answer = self.steps(self.count)
        self.peak_bytes = answer["peak_bytes"]
        if keep:
            self.rounds.append(answer["seconds"] / self.count)

    @contextlib.contextmanager
    def awake(self):
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            self.sleep()

    def sleep(self):
        os.killpg(self.process.pid, signal.SIGSTOP)  # threads that wait actively would take the others' time

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def report(self):
        return {"name": self.name, "steps_per_turn": self.count, "seconds_per_step": self.rounds,
                "median": statistics.median(self.rounds), "peak_bytes": self.peak_bytes,
                "start_seconds": self.start_seconds, "first_losses": self.losses}


def variants(network, threads):
    """(name, options of pytorch.py, environment) of everything PyTorch may be fastest as."""
    has_images = "- conv2d:" in (ROOT / f"benchmarks/networks/{network}.yaml").read_text()
    for mode, layout, waiting in itertools.product(["eager", "compiled"],
                                                   ["channels_last", "contiguous"] if has_images else [""],
                                                   ["passive", "active"] if threads > 1 else [""]):
        yield (" ".join(filter(None, [mode, layout.replace("_", " "), waiting])),
               ["--mode", mode, *(["--layout", layout] if layout else [])],
               {"TORCHINDUCTOR_COMPILE_THREADS": "1", **({"OMP_WAIT_POLICY": waiting} if waiting else {})})


def check_losses(backplane, peer):
    for step, bound in BOUNDS.items():
        ours, theirs = backplane.losses[step - 1], peer.losses[step - 1]
        if not abs(ours - theirs) <= bound * abs(theirs):
            raise Failure(f"not timed: loss of step {step} is {ours:.9g}, {peer.name}: {theirs:.9g}, relative bound "
                          f"{bound:g}: the two do not compute the same")


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive")


def compare(network, batch, threads, words, folder):
    """Both sides in turns, after they have agreed on the first losses."""
    files = folder / "weights.h5", folder / "data.h5"
    command = [words.build / "benchmarks/training_steps", ROOT / f"benchmarks/networks/{network}.yaml", "--set",
               f"train.batch_size={batch}", "--threads", threads]
    written = subprocess.run([*map(str, command), "--weights", files[0], "--data", files[1]], input="quit\n", text=True,
                             capture_output=True)
    if written.returncode != 0:
        raise Failure(written.stderr)
    with contextlib.ExitStack() as sides:
        backplane = Side(sides, "Backplane", command, {}, folder / "backplane.log")
        peers = []
        for name, options, environment in variants(network, threads):
            print(f"  starting PyTorch {name}", file=sys.stderr, flush=True)
            peer = [words.python, HERE / "pytorch.py", *files, "--threads", threads, *options]
            peers.append(Side(sides, f"PyTorch {name}", peer, environment, folder / "pytorch.log"))
            check_losses(backplane, peers[-1])
        both = [backplane, *peers]
        for side in both:
            with side.awake():
                side.choose_count()
            side.turn(keep=False)
        for number in range(words.rounds):
            for side in both[number % len(both):] + both[:number % len(both)]:
                side.turn()
        best = min(peers, key=lambda peer: statistics.median(peer.rounds))
        ratios = [theirs / ours for ours, theirs in zip(backplane.rounds, best.rounds)]
        low, middle, high = quartiles(ratios)
        return {"network": network, "batch": batch, "threads": threads, "ratio": middle, "ratio_low": low,
                "ratio_high": high, "best": best.name, "memory_ratio": best.peak_bytes / backplane.peak_bytes,
                "backplane": backplane.report(), "peers": [peer.report() for peer in peers]}


def table_row(result):
    peers = {peer["name"]: peer for peer in result["peers"]}
    best, ours = peers[result["best"]], result["backplane"]
    cells = [result["network"], result["batch"], result["threads"], f"{ours['median'] * 1e3:.3g}",
             f"{best['median'] * 1e3:.3g}", f"**{result['ratio']:.2f}**",
             f"{result['ratio_low']:.2f}–{result['ratio_high']:.2f}", best["name"].removeprefix("PyTorch "),
             f"{result['memory_ratio']:.1f}", f"{ours['start_seconds']:.2f}",
             f"{min(peer['start_seconds'] for peer in result['peers']):.2f}"]
    return "| " + " | ".join(map(str, cells)) + " |"


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cores": os.cpu_count(), "load_average": os.getloadavg(), "system": platform.platform()}


def torch_version(python):
    asked = subprocess.run([python, "-c", "import h5py, yaml, torch; print(torch.__version__)"], capture_output=True,
                           text=True)
    return asked.stdout.strip() if asked.returncode == 0 else None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def names(text):
        unknown = set(text.split(",")) - set(BATCHES)
        if unknown:
            raise argparse.ArgumentTypeError(f"no network {', '.join(sorted(unknown))}; there are {', '.join(BATCHES)}")
        return text.split(",")

    def numbers(text):
        return [int(number) for number in text.split(",")]

    options.add_argument("--networks", type=names, default=list(BATCHES), help="mlp,cnn,…; default: all")
    options.add_argument("--batches", type=numbers, help="32,128,…; default: of each network, its own")
    options.add_argument("--threads", type=numbers, default=sorted({1, os.cpu_count()}),
                         help="1,2,…; default: 1 and all cores")
    options.add_argument("--rounds", type=int, default=9, help="at least 7; default 9")
    options.add_argument("--quick", action="store_true", help="smallest batch of each network, 7 rounds")
    options.add_argument("--python", default=sys.executable, help="the interpreter that has torch, h5py and pyyaml")
    options.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    options.add_argument("--json", type=pathlib.Path, default=pathlib.Path("peers.json"), help="default peers.json")
    words = options.parse_args()
    words.rounds = 7 if words.quick else words.rounds
    if words.rounds < 7:
        options.error(f"--rounds {words.rounds}: quartiles of fewer than 7 rounds say nothing")
    if not (words.build / "benchmarks/training_steps").exists():
        options.error(f"{words.build}/benchmarks/training_steps is missing: `make build` builds it")
    version = torch_version(words.python)
    if version is None:
        print(f"PyTorch is not available: {words.python} cannot import torch, h5py and yaml\n"
              "  hint: `pip install torch==2.13.0 h5py pyyaml` in a venv, and name its interpreter with --python",
              file=sys.stderr)
        return 2
    words.build, words.json = words.build.resolve(), words.json.resolve()
    os.chdir(ROOT)  # paths in the experiments begin here
    record = {"machine": machine(), "torch": version, "rounds": words.rounds, "results": [], "failures": []}
    rows = []
    for network in words.networks:
        batches = words.batches or BATCHES[network]
        for batch, threads in itertools.product(batches[:1] if words.quick else batches, words.threads):
            print(f"{network}, batch {batch}, threads {threads}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="peers-") as folder:
                try:
                    record["results"].append(compare(network, batch, threads, words, pathlib.Path(folder)))
                    rows.append(table_row(record["results"][-1]))
                    print("  " + rows[-1], file=sys.stderr, flush=True)
                except Failure as failure:
                    record["failures"].append({"network": network, "batch": batch, "threads": threads,
                                               "why": str(failure)})
                    print(f"  {failure}", file=sys.stderr, flush=True)
    record["machine"]["load_average_at_end"] = os.getloadavg()
    print(f"PyTorch {version}, {record['machine']['cpu']}, {os.cpu_count()} cores, {words.rounds} rounds\n")
    print("\n".join(["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|", *rows]))
    words.json.write_text(json.dumps(record, indent=1) + "\n")
    return 1 if record["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
