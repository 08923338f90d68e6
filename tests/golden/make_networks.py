"""Writes networks.h5, what PyTorch 2.13.0 makes of the experiments in networks/, and their data:

    pip install torch==2.13.0 h5py pyyaml
    python3 tests/golden/make_networks.py build/backplane

Weights, inputs and targets are read from the checkpoint of step 0 that Backplane writes, PyTorch computes everything
else. It does so in float64 for float32 too, beginning with the float32 weights: the float32 rounding of PyTorch belongs
to its version and to a CPU, and is as far from the truth as Backplane's; the truth is the same everywhere.
"""
import sys
import tempfile

import h5py
import numpy as np
import torch

import networks
import networks_pytorch

SAMPLES = {"train": 4, "test": 5}


def write_data():
    """Numbers that float32 holds exactly, by a generator that has no version (Lehmer, Park and Miller's)."""
    state = 42

    def draw():
        nonlocal state
        state = state * 48271 % (2 ** 31 - 1)
        return state >> 8

    def real(*shape):
        count = int(np.prod(shape))
        return np.array([(draw() % 257 - 128) / 64 for _ in range(count)], np.float32).reshape(shape)

    for split, count in SAMPLES.items():
        with h5py.File(networks.FOLDER / f"networks/{split}.h5", "w") as file:
            lengths = np.array([3, 6, 1, 5, 4][:count])
            sequences = real(count, 6, 3)
            for n, length in enumerate(lengths):
                sequences[n, length:] = 0
            file.update({"images": real(count, 6, 5, 2), "vectors": real(count, 5), "targets": real(count, 3),
                         "sequences": sequences, "lengths": lengths,
                         "classes": np.array([1, 2, 0, 2, 1][:count])})


def main():
    version = torch.__version__.split("+")[0]
    assert version == "2.13.0", f"PyTorch 2.13.0 is what Backplane is compared with, this is {version}"
    write_data()
    compact = ("v110", "v110")  # a third of the bytes that many small tensors take otherwise
    with tempfile.TemporaryDirectory() as folder, h5py.File(networks.GOLDEN, "w", libver=compact) as golden:
        golden.attrs.update({"made_by": "tests/golden/make_networks.py", "torch": version})
        for network, dtype in networks.CASES:
            with networks.Run(sys.argv[1], network, dtype, folder) as run:
                networks.save(golden, network, dtype, networks_pytorch.results(run, torch.float64))


main()
