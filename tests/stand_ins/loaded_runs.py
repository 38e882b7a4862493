"""Runs to be compared, of a claim that was judged by the ratio of two numbers."""

from dataclasses import replace

import numpy as np

from repro.criteria import Verdict
from repro.results.comparison.differences import LoadedRun
from repro.results.comparison.samples import Samples
from repro.results.records import ClaimResult, Evaluation, Run
from repro.uncertainty import Sample

TENSORFLOW = Run(
    "base",
    "2026-01-01T12:00:00+00:00",
    "smoke",
    "tensorflow",
    {
        "python": "3.13.1",
        "backend_version": "2.21.0",
        "memory": 8 * 2**30,
        "packages": {"numpy": "2.3", "scipy": "1.17"},
    },
)
JAX = Run(
    "head",
    "2026-01-02T12:00:00+00:00",
    "smoke",
    "jax",
    {
        "python": "3.13.1",
        "backend_version": "0.10.2",
        "memory": 16 * 2**30,
        "packages": {"numpy": "2.4", "scipy": "1.17"},
    },
)


def evaluation(role, status, *, effect=1.0, p=0.001, **changes):
    verdict = None
    if status not in ("error", "skipped"):
        verdict = Verdict(status, effect, effect - 0.1, effect + 0.1, 24, "ratio", p)
    return replace(Evaluation(role, "It holds.", {"points": 5}, tuple(range(24)), status, verdict), **changes)


def result(status="reproduced", control="refuted", name="a.b", **changes):
    return ClaimResult(name, evaluation("claim", status, **changes), (evaluation("control", control),))


def loaded(run, *results, **samples):
    """A run; samples are given by the name of the claim, without its module."""
    known = {f"a.{name}": Samples({("", "ratio"): sample}, 1) for name, sample in samples.items()}
    return LoadedRun(run, results, lambda result: known.get(result.id, Samples()))


def sample(numbers):
    return Sample(tuple(numbers), float(np.median(numbers)))
