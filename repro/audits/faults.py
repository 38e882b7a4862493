"""Faults that the suite should notice if a release of Keras had them, as data.

Faults are generated: every public class and op of Keras that a claim uses gets those of its kind. Some classes and ops
have faults of their own in addition, in what makes them special.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import FunctionType

from etils import epy

from repro.audits.mutations import (
    Mutation,
    complement,
    derivative_scaled,
    misplaced,
    negated,
    not_rescaled,
    other_axis,
    passed_through,
    scaled,
    set_to,
    shifted,
    stale,
    state_kept,
    times,
    unit,
    with_argument,
    with_attribute,
    zeroed,
)

with epy.lazy_imports():
    import keras


@dataclass(frozen=True)
class Fault:
    """One way in which Keras could be wrong.

    Attributes:
        target: Dotted name of what is faulty, a public function or a method of a public class.
        change: Description of what is wrong with it.
        mutation: Mutation that makes the faulty version.
    """

    target: str
    change: str
    mutation: Mutation

    @property
    def name(self) -> str:
        """Name of the class or function, and what is wrong with it."""
        return f"{'.'.join(self.target.split('.')[1:3])}: {self.change}"


# The method of the classes of a namespace that does their work.
METHODS = {
    "layers": "call",
    "initializers": "__call__",
    "losses": "call",
    "regularizers": "__call__",
    "optimizers": "update_step",
}
REGISTRY = ("get", "serialize", "deserialize")
FUNCTIONS = ("activations", "losses", "metrics", "ops", "random")

GRADIENT, RATE = 1, 3  # positions in the methods of optimisers, which do not agree on names

TWICE = partial(scaled, factor=2.0)
FLIPPED = partial(scaled, factor=-1.0)
WRONG_AXIS = partial(with_argument, name="axis", change=other_axis)
FIXED_SEED = partial(with_attribute, name="seed", change=partial(set_to, value=1))

Mutations = dict[str, Mutation]

BY_KIND: dict[str, Mutations] = {
    "layers": {"output doubled": TWICE},
    "initializers": {"variance doubled": partial(scaled, factor=2**0.5), "the same values for every seed": FIXED_SEED},
    "activations": {
        "output doubled": TWICE,
        "sign flipped": FLIPPED,
        "derivative halved": partial(derivative_scaled, factor=0.5),
    },
    "losses": {"doubled": TWICE, "sign flipped": FLIPPED},
    "metrics": {"halved": partial(scaled, factor=0.5)},
    "regularizers": {"no penalty": partial(scaled, factor=0.0), "sign flipped": FLIPPED},
    "optimizers": {
        "climbs": partial(with_argument, name=GRADIENT, change=negated),
        "tenfold learning rate": partial(with_argument, name=RATE, change=partial(times, factor=10.0)),
    },
    "ops": {"result doubled": TWICE},
    "random": {"result doubled": TWICE},
}

# Constants do not depend on seeds, and twice nothing is nothing.
CONSTANT = (
    *("Zeros", "Ones", "Constant", "Identity", "IdentityInitializer"),
    *("zeros", "zeros_like", "empty", "empty_like"),
)

PASSED_THROUGH: Mutations = {"does nothing": passed_through}
TERM_LOST: Mutations = {"second term lost": partial(with_argument, name="x2", change=zeroed)}
AXIS: Mutations = {"wrong axis": WRONG_AXIS}
STALE_CELL: Mutations = {"state is stale": state_kept}
OFF_BY_ONE_PIXEL: Mutations = {"off by one pixel": partial(misplaced, axis=1)}

SPECIAL: dict[str, Mutations] = {
    "keras.layers.Activation.call": PASSED_THROUGH,
    "keras.layers.ReLU.call": PASSED_THROUGH,
    "keras.layers.Add.call": {"second term lost": passed_through},
    "keras.layers.Conv2D.call": OFF_BY_ONE_PIXEL,
    "keras.layers.AveragePooling2D.call": OFF_BY_ONE_PIXEL,
    "keras.layers.MaxPooling2D.call": OFF_BY_ONE_PIXEL,
    "keras.layers.Dense.call": {"bias lost": partial(with_attribute, name="bias", change=partial(set_to, value=None))},
    "keras.layers.SimpleRNNCell.call": STALE_CELL,
    "keras.layers.GRUCell.call": STALE_CELL,
    "keras.layers.LSTMCell.call": STALE_CELL,
    "keras.layers.MultiHeadAttention.call": {
        "does nothing": passed_through,
        "causal mask lost": partial(with_argument, name="use_causal_mask", change=partial(set_to, value=False)),
    },
    "keras.layers.BatchNormalization.call": {
        "does nothing": passed_through,
        "trains with moving statistics": partial(with_argument, name="training", change=partial(set_to, value=False)),
        "infers with statistics of the batch": partial(
            with_argument, name="training", change=partial(set_to, value=True)
        ),
        "moving statistics are stale": partial(stale, name="non_trainable_variables"),
        "momentum of the new value": partial(with_attribute, name="momentum", change=complement),
        "scale lost": partial(with_attribute, name="scale", change=operator.not_),
        "shift lost": partial(with_attribute, name="center", change=operator.not_),
    },
    "keras.layers.LayerNormalization.call": {
        "does nothing": passed_through,
        "wrong axis": partial(with_attribute, name="axis", change=partial(set_to, value=[1])),
    },
    "keras.layers.Dropout.call": {
        "kept units not rescaled": not_rescaled,
        "drops at inference": partial(with_argument, name="training", change=partial(set_to, value=True)),
        "never drops": partial(with_argument, name="training", change=partial(set_to, value=False)),
        "rate of keeping": partial(with_attribute, name="rate", change=complement),
        "wrong axis": partial(with_attribute, name="noise_shape", change=partial(set_to, value=(None, 1))),
    },
    "keras.random.SeedGenerator.next": {"state is stale": partial(stale, name="state")},
    "keras.initializers.Zeros.__call__": {"ones": partial(shifted, offset=1.0)},
    "keras.initializers.Ones.__call__": {"doubled": TWICE},
    "keras.losses.sparse_categorical_crossentropy": {
        "logits for probabilities": partial(with_argument, name="from_logits", change=operator.not_)
    },
    "keras.optimizers.SGD.update_step": {
        "momentum lost": partial(with_attribute, name="momentum", change=partial(set_to, value=0.0)),
        "state is stale": partial(stale, name="variables"),
    },
    "keras.optimizers.Adam.update_step": {
        "first moment lost": partial(with_attribute, name="beta_1", change=partial(times, factor=0.0)),
        "moments exchanged": partial(with_attribute, name="beta_1", change=partial(set_to, value=0.999)),
        "epsilon too large": partial(with_attribute, name="epsilon", change=partial(set_to, value=1.0)),
        "state is stale": partial(stale, name="variables"),
    },
    "keras.ops.zeros": {"ones": partial(shifted, offset=1.0)},
    "keras.ops.zeros_like": {"ones": partial(shifted, offset=1.0)},
    "keras.ops.add": TERM_LOST,
    "keras.ops.subtract": TERM_LOST,
    "keras.ops.batch_normalization": {
        "mean lost": partial(with_argument, name="mean", change=zeroed),
        "variance lost": partial(with_argument, name="variance", change=unit),
    },
    "keras.ops.matmul": {"derivative halved": partial(derivative_scaled, factor=0.5)},
    "keras.ops.relu": {"sign flipped": FLIPPED},
    "keras.ops.mean": AXIS,
    "keras.ops.sum": AXIS,
    "keras.ops.var": AXIS,
    "keras.ops.softmax": AXIS,
    "keras.ops.log_softmax": AXIS,
}


def candidates() -> list[str]:
    """List the public functions, and the working methods of the public classes, in which faults can be planted."""
    found: dict[object, str] = {}
    for space in dict.fromkeys((*METHODS, *FUNCTIONS)):
        public = vars(getattr(keras, space))
        for name, value in public.items():
            if space in METHODS and inspect.isclass(value) and callable(getattr(value, METHODS[space], None)):
                known = value.__name__ if value.__name__ in public else name  # many have several names
                found.setdefault(value, f"keras.{space}.{known}.{METHODS[space]}")
            elif space in FUNCTIONS and isinstance(value, FunctionType) and name not in REGISTRY:
                found.setdefault(value, f"keras.{space}.{name}")
    return sorted({*found.values(), *SPECIAL})


def faults_of(target: str) -> Iterator[Fault]:
    """Generate the faults of a target: those of its kind, then its own."""
    space, name = target.split(".")[1:3]
    of_kind = {} if name in CONSTANT else BY_KIND.get(space, {})
    if target == "keras.random.SeedGenerator.next":
        of_kind = {}
    for change, mutation in (of_kind | SPECIAL.get(target, {})).items():
        yield Fault(target, change, mutation)
