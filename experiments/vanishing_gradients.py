#!/usr/bin/python3
"""Draws how δ shrinks from layer to layer and from time step to time step.

    build/backplane run experiments/vanishing_gradients.yaml
    experiments/vanishing_gradients.py runs/vanishing-gradients/trace.h5

A bar is the mean over the recorded samples of the Euclidean norm of δ, on a logarithmic scale; one character is a fifth
of a decade. Needs h5py.
"""
import sys

import h5py
import numpy as np


def norms(delta):
    """Mean over samples of the norm over units; the sample axis comes first, units last."""
    return np.linalg.norm(delta, axis=-1).mean(axis=0)


def draw(title, names, values):
    print(f"\n{title}")
    least = min(value for value in values if value > 0)
    for name, value in zip(names, values):
        length = 1 + round(5 * np.log10(value / least)) if value > 0 else 0
        print(f"  {name:>12}  {value:9.2e}  {'#' * length}")


with h5py.File(sys.argv[1], "r") as file:
    steps = file["scales/step"][:]
    layers = sorted((name for name in file["layers"] if name.startswith("sigmoid")))
    for record in (0, len(steps) - 1):
        draw(f"step {steps[record]}: |δ| of each sigmoid layer, from the input to the output", layers,
             [norms(file[f"layers/{name}/delta"][record]) for name in layers])
        through_time = norms(file["layers/rnn/delta_hidden"][record])
        draw(f"step {steps[record]}: |∂C/∂h| of the recurrent network at each time step",
             [f"t = {t}" for t in range(len(through_time))], list(through_time))
