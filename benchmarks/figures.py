"""The figures that the benchmarks measure, and the arithmetic behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        what: is measured.
        bound: what the figure must reach, or must not exceed, on two CPU cores; None for one that is only reported.
        kind: whether ``bound`` is a lower or an upper one.
    """

    what: str
    bound: float | None
    kind: Literal["at least", "at most"] = "at least"

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Whether a higher or a lower value is better."""
        return "higher" if self.kind == "at least" else "lower"

    def holds(self, value: float) -> bool:
        """Tell whether a value is within the bound."""
        if self.bound is None:
            return True
        return value >= self.bound if self.kind == "at least" else value <= self.bound


FIGURES = {
    "speedup_over_fit": Figure(
        "digits MLP 64-64-64-10, batch 32, one replica, TensorFlow: steps/s over `fit` on arrays at its best "
        "`steps_per_execution` and `jit_compile`, compile time excluded on both sides",
        20,
    ),
    "speedup_over_fit_pipeline": Figure(
        "the same over `fit` on a `tf.data` pipeline written for it: cached, shuffled, repeated without end, so that "
        "the run is a single epoch",
        None,
    ),
    "speedup_over_fit_jax": Figure("as `speedup_over_fit`, on the JAX backend", 3),
    "replicas_over_fit": Figure(
        "64 replicas of that MLP on all cores: replica-steps/s over the best `fit`, on arrays or a cached pipeline, at "
        "its best `steps_per_execution` and `jit_compile`, one process with all cores or one process a core",
        None,
    ),
    "ratio_to_jax": Figure(
        "64 replicas of that MLP, replica-steps/s over a hand-written `jit(vmap(scan))` in plain JAX (no Keras) with "
        "the same arithmetic, batches and cores",
        1.0,
    ),
    "ratio_to_jax_4096": Figure("the same for 4096 replicas, on a GPU", None),
    "speedup_over_tuner": Figure(
        "64-trial learning-rate search of that MLP, 20 epochs: wall time of `keras_tuner.RandomSearch` over ours, "
        "building and compilation included on both sides, imports on neither",
        50,
    ),
    "conv_speedup_over_fit": Figure(
        "ResNet-20 of width 16 on 8×8 digits, batch 64, 8 seeds, all cores: seed-steps/s over the best of `fit` "
        "(TensorFlow with and without XLA, JAX; one process with all cores, or one process a core)",
        1.5,
    ),
    "fraction_of_peak": Figure(
        "arithmetic rate of 64-replica runs of the MLP, one process a core (4096 replicas on a GPU), over the rate of "
        "large float32 matrix products with all cores (on the card, in full precision)",
        0.25,
    ),
    "cost_growth": Figure(
        "time for 16, 64, 256, 1024 replicas of the MLP (on a GPU also 4096): fitted exponent", 1.05, "at most"
    ),
    "arithmetic_share": Figure(
        "eight representative claims at smoke in one fresh process, without caches: processor time in programs after "
        "their first call, which compiles them, over all processor time",
        0.4,
    ),
    "arithmetic_share_standard": Figure("the same at standard", 0.6),
    "programs_per_claim": Figure("programs that these claims compile at smoke, over the claims", None, "at most"),
    "programs_per_claim_standard": Figure("the same at standard", None, "at most"),
    "seconds_per_claim": Figure("wall time of these claims at smoke, over the claims", None, "at most"),
    "seconds_per_claim_standard": Figure("the same at standard", None, "at most"),
    "recording_over_plain": Figure(
        "results with their observations recorded in a results folder: results/s over the same Parquet files and rows "
        "written by hand, each file and row made durable on both sides",
        None,
    ),
    "reading_over_plain": Figure(
        "results of a run read back: results/s over fetching and decoding the same rows by hand", None
    ),
    "report_over_figures": Figure(
        "first report of a run written: claims/s over drawing the same figures alone, without pages", None
    ),
    "running_over_experiments": Figure(
        "claims run in one process, their results recorded: claims/s over calling the same experiments and criteria by "
        "hand",
        None,
    ),
}


def step_flop(kernels: Sequence[tuple[int, int]], batch_size: int) -> int:
    """Count the floating-point operations of the matrix products in one step of a fully connected network.

    A product of [batch, inputs] and [inputs, units] takes 2 * batch * inputs * units. Every layer takes one forward and
    one for its kernel's gradient; every layer but the first one more for the gradient of its inputs. Biases,
    activations, the loss and the optimiser are left out: they are not what the peak rate is measured with.

    Args:
        kernels: inputs and units of each layer.
        batch_size: examples per step.
    """
    products = [2 * batch_size * inputs * units for inputs, units in kernels]
    return 3 * sum(products) - products[0]


def growth_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Fit the exponent of ``seconds ~ sizes ** exponent`` by least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def summary(values: Sequence[float]) -> Mapping[str, float]:
    """Summarise the rounds of a benchmark by their median and range."""
    return {"median": float(np.median(values)), "low": float(np.min(values)), "high": float(np.max(values))}
