#!/usr/bin/env python3
"""One line for each network and type: its weights' digest after 50 steps. For comparing two builds on one machine.

    digests.py build/backplane > before.txt        # or of some: digests.py build/backplane char lstm

Digests belong to a machine and its versions of libraries, so nothing here is compared with stored ones; two builds of
which one claims to compute the same must print the same table. Networks are those of experiments/,
benchmarks/networks/ and tests/golden/networks/, the first two on little data of theirs.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["experiments", "benchmarks/networks", "tests/golden/networks"]
STEPS = 50


def shortened(path):
    """The words that make little data of an experiment's."""
    form, options = next(iter(yaml.safe_load(path.read_text())["data"].items()))
    if form == "synthetic":
        kind, options = next(iter(options.items()))
        form += "." + kind
    if form == "text":
        return [f"data.text.files={ROOT}/LICENSE"]
    words = [f"data.{form}.limit=600"]
    return words + ([f"data.{form}.validation=100"] if "validation" in options else [])


def digest(program, path, dtype, folder):
    words = ["train.epochs=1000", f"train.steps={STEPS}", f"dtype={dtype}"]
    if FOLDERS[2] not in str(path):
        words += shortened(path)
    if "record" in yaml.safe_load(path.read_text()):
        words.append("record.every=10")  # records are no part of the digest, but none at all is an error
    done = subprocess.run([program, "run", path, "--out", folder, "--threads", "2",
                           *[word for each in words for word in ("--set", each)]],
                          capture_output=True, text=True, cwd=ROOT)
    if done.returncode not in (0, 76):
        return f"exit {done.returncode}: {done.stderr}"
    return json.loads((folder / "summary.json").read_text())["weights_digest"]


def main():
    program, parts = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.yaml")):
        if parts and not any(part in str(path) for part in parts):
            continue
        for dtype in ("float32", "float64"):
            with tempfile.TemporaryDirectory(prefix="bp-digests-") as folder:
                print(path.relative_to(ROOT), dtype, digest(program, path, dtype, pathlib.Path(folder) / "run"), flush=True)


main()
