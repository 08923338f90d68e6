"""Writes activation_table.h: σ(z) and σ'(z) by 60 digits of mpmath, rounded to float64.

    python3 -m venv /tmp/mpmath && /tmp/mpmath/bin/pip install mpmath
    /tmp/mpmath/bin/python tests/plugins/make_activation_table.py > tests/plugins/activation_table.h

Each place stands here as a float32 number and as a float64 number with more digits, since a square with few digits
hides what squaring costs.
"""
from struct import pack, unpack

from mpmath import erfc, exp, expm1, log1p, mp, mpf, pi, sqrt, tanh

mp.dps = 60

PLACES = [0.06, 0.5, 1, 2, 3.3, 5, 6.7, 8, 10, 12.4, 15.1, 20, 30, 36, 50, 85, 200, 600]
Z = [z for place in PLACES for z in (unpack("f", pack("f", place * 1.0123))[0], place * 1.0123)]


def normal(z):
    return erfc(-z / sqrt(mpf(2))) / 2


def sigmoid(z):
    return 1 / (1 + exp(-z))


FUNCTIONS = {
    "sigmoid": (sigmoid, lambda z: exp(-z) / (1 + exp(-z)) ** 2),
    "tanh": (tanh, lambda z: 4 * exp(-2 * z) / (1 + exp(-2 * z)) ** 2),
    "elu": (lambda z: z if z > 0 else expm1(z), lambda z: mpf(1) if z > 0 else exp(z)),
    "gelu": (lambda z: z * normal(z), lambda z: normal(z) + z * exp(-z * z / 2) / sqrt(2 * pi)),
    "softplus": (lambda z: max(z, mpf(0)) + log1p(exp(-abs(z))), sigmoid),
    "swish": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
}

print("""// Written by make_activation_table.py.
#pragma once

namespace backplane::testing {

/// What an activation and its derivative are at z, correctly rounded to float64.
struct ActivationEntry {
  const char* name;
  double z, value, derivative;
};

inline constexpr ActivationEntry kActivationTable[] = {""")
for name, (value, derivative) in FUNCTIONS.items():
    for z in [-z for z in reversed(Z)] + [0.0] + Z:
        print(f'    {{"{name}", {z!r}, {float(value(mpf(z)))!r}, {float(derivative(mpf(z)))!r}}},')
print("""};

}  // namespace backplane::testing""")
