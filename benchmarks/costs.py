"""What claims cost: how many programs they compile, and how much of their time is arithmetic; called in processes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from etils import epy

from repro.catalogue import Profile, registry
from repro.engine import backend
from repro.engine.backend import selection
from repro.runner import execution, planning

with epy.lazy_imports():
    import keras

REPRESENTATIVE = (
    "architectures.deep_narrow_beats_shallow_wide",
    "architectures.densenet_gradients",
    "architectures.resnext",
    "diffusion.losses_equivalent",
    "dropout.geometric_mean",
    "initialization.small_gaussian",
    "normalization.bn_speeds_up",
    "vanishing_gradients.training_stalls",
)


@dataclass
class Costs:
    """Costs of a run.

    Attributes:
        claims: number of claims.
        programs: number of compiled programs.
        arithmetic: processor seconds in programs after their first call, which compiles them.
        processor: all processor seconds.
        seconds: wall time.
    """

    claims: int
    programs: int = 0
    arithmetic: float = 0.0
    processor: float = 0.0
    seconds: float = 0.0

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count the programs of a compiled function, and the time in them."""
        called = set()

        def call(*arguments: Any) -> Any:
            shapes = tuple((np.shape(leaf), str(leaf.dtype)) for leaf in keras.tree.flatten(arguments))
            started = time.process_time()
            result = function(*arguments)
            keras.tree.map_structure(keras.ops.convert_to_numpy, result)  # waits until it is there
            if shapes in called:
                self.arithmetic += time.process_time() - started
            else:
                called.add(shapes)
                self.programs += 1
            return result

        return call


def run_claims(profile: Profile, names: tuple[str, ...] = REPRESENTATIVE) -> Costs:
    """Run claims in this process, which must be fresh."""
    backend.configure()
    implementation = selection.implementation()
    costs = Costs(len(names))

    def counting(name: str) -> Any:
        compiled = getattr(implementation, name)
        return mock.patch.object(implementation, name, lambda function: costs.counted(compiled(function)))

    started, processor = time.perf_counter(), time.process_time()
    with (
        tempfile.TemporaryDirectory() as folder,
        counting("compile_function"),
        counting("compile_quickly"),
    ):
        execution.execute(planning.make_plan(registry.find(*names), profile), Path(folder), workers=0)
    costs.processor = time.process_time() - processor
    costs.seconds = time.perf_counter() - started
    return costs
