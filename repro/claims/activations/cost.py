"""What activation functions cost to compute."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Greater, claim, lectures
from repro.engine.backend import compile_function

with epy.lazy_imports():
    import keras

OTHERS = ("sigmoid", "tanh", "elu")


@claim(
    "ReLU is computationally efficient, since it only thresholds at zero.",
    source=lectures("2.2.3"),
    kind="tendency",
    scale="same",
    scope="hardware, library and the share in the time of a network are left open",
    left_open=("bound_by",),
    criterion=AllOf(
        **{other: Greater("time", of=other, than="relu", by="activation", each=("bound_by",)) for other in OTHERS}
    ),
    smoke={"elements": 2**18},
    control={"thresholding": "softplus"},
    seeds=48,
)
def relu_cheap(seed, *, thresholding="relu", elements=2**20, chain=32, repeats=10):
    """Measures the processor time of compiled Keras activations, in nanoseconds for each element.

    Arithmetic: 32 applications one after the other, less 0.1 each, which stay in registers; memory: one application,
    whose inputs and outputs have to be fetched and stored whatever the function. A million normal numbers, single
    precision, the least of ten times, for the sigmoid, tanh and ELU and for ReLU; what the identity takes stands in the
    observations. Times are those of this machine, and no two runs have the same. The control has softplus in the place
    of ReLU: the same shape without a threshold.
    """
    x = keras.ops.convert_to_tensor(np.random.default_rng(seed).normal(size=elements).astype(np.float32))
    rows = []
    for name in (thresholding, *OTHERS, "linear"):
        for bound_by, number in (("arithmetic", chain), ("memory", 1)):
            taken = _least_time(_compiled(name, number), x, repeats)
            activation = "relu" if name == thresholding else name
            per_element = 1e9 * taken / (elements * number)
            rows.append({"activation": activation, "bound_by": bound_by, "time": per_element})
    return pd.DataFrame(rows)


@cache
def _compiled(name, number):
    """Compile a chain of applications of one of Keras' activations, once for all seeds."""
    activation = keras.activations.get(name)

    def chained(x):
        for _ in range(number):
            x = activation(x) - 0.1
        return x

    return compile_function(chained)


def _least_time(function, x, repeats):
    """Least processor time of a call, in seconds; that of all threads, so that other processes do not count."""
    keras.ops.convert_to_numpy(function(x))
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        keras.ops.convert_to_numpy(function(x))
        times.append(time.process_time() - begun)
    return max(min(times), 1e-9)
