"""Resilient propagation, which knows the signs of gradients alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import AllOf, Boundary, Greater, Identity, claim, lectures

DIMENSION, EXAMPLES = 8, 64
# The factors, limits and first step of Riedmiller and Braun 1993.
GROWTH, SHRINKAGE, LARGEST, SMALLEST, FIRST = 1.2, 0.5, 50.0, 1e-6, 0.1
RPROP, SIGNS, SGD = "Rprop", "signs at a fixed step", "gradient descent"
RATES = 10.0 ** np.arange(-4, 1.01, 0.25)
LEARNING_BY_EPOCH = "Riedmiller and Braun 1993: learning by epoch, where the sign is that of the whole gradient"


@claim(
    "Rprop adjusts the weight updates based on the sign of the gradient, so that step sizes remain appropriate.",
    source=lectures("2.4.3"),
    kind="formula",
    scope="Rprop as published; full batches or mini-batches, and what is appropriate, are left open: here that it gets "
    "further than other steps at their best rate",
    left_open=("batches",),
    literature="Riedmiller and Braun 1993; Hinton 2012, lecture 6e: with mini-batches signs are not averaged",
    criterion=AllOf(
        signs=Identity("rescaled", "path", where={"quantity": "path"}),
        appropriate=Greater(
            "excess_loss", of=SGD, than=RPROP, by="update", each=("batches",), where={"quantity": "loss"}
        ),
        adapted=Greater(
            "excess_loss", of=SIGNS, than=RPROP, by="update", each=("batches",), where={"quantity": "loss"}
        ),
    ),
    boundary=Boundary(
        "with full batches; with mini-batches signs change at random and steps shrink to nothing",
        holds="part == 'signs' or batches == 'full'",
        assumption=LEARNING_BY_EPOCH,
    ),
    control={"uses": "sizes"},
)
def rprop_uses_signs(seed, *, uses="signs", steps=200, batch=2):
    """Follows Rprop with gradients as they are and rescaled, and compares its loss with descent and with signs alone.

    Linear least squares, 64 normal examples in eight dimensions with scales from 1 to 10, normal weights and noise,
    normal starts. Path: every gradient multiplied by a factor for each weight, and one for each step, of up to a
    thousand either way; the paths must be the same to the last bit, a
    worked number, as Keras has no Rprop. Loss above the least one over all examples after
    200 steps, with all examples or two in a step: Rprop as published, with its factors 1.2 and 0.5, first step 0.1 and
    weight backtracking; gradient descent, and steps of one size along the signs, each at its rate of the least loss of
    21. The control takes steps of the gradient's size over that of the step before in place of its sign.
    """
    generator = np.random.default_rng(seed)
    scales = np.geomspace(1, 10, DIMENSION)
    x = generator.normal(size=(EXAMPLES, DIMENSION)) * scales
    y = x @ generator.normal(size=DIMENSION) + generator.normal(size=EXAMPLES)
    start = generator.normal(size=DIMENSION)
    least = np.square(y - x @ np.linalg.lstsq(x, y)[0]).mean() / 2

    def full(w, _):
        return (w @ x.T - y) @ x / EXAMPLES

    drawn = np.stack([generator.choice(EXAMPLES, batch, replace=False) for _ in range(steps)])

    def sampled(w, step):
        return (w @ x[drawn[step]].T - y[drawn[step]]) @ x[drawn[step]] / batch

    of_weights, of_steps = (10 ** generator.uniform(-3, 3, size=size) for size in (DIMENSION, steps))

    def rescaled(w, step):
        return of_weights * of_steps[step] * full(w, step)

    paths = {name: rprop(gradient, start, steps, uses) for name, gradient in (("path", full), ("rescaled", rescaled))}
    tables = [pd.DataFrame({"quantity": "path"} | {name: path.ravel() for name, path in paths.items()})]
    for batches, gradient in (("full", full), ("small", sampled)):
        ends = {
            RPROP: rprop(gradient, start, steps, uses)[-1:],
            SGD: _at_rates(gradient, start, steps, lambda slope: slope),
            SIGNS: _at_rates(gradient, start, steps, np.sign),
        }
        excess = [np.nanmin(np.square(end @ x.T - y).mean(axis=1) / 2) - least for end in ends.values()]
        columns = {"quantity": "loss", "batches": batches, "update": list(ends), "excess_loss": np.maximum(excess, 0)}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def rprop(gradient, start, steps, uses="signs"):
    """Weights after each step of Rprop with weight backtracking, [steps, weights].

    Args:
        gradient: Function of weights and of the number of the step, from zero.
        start: First weights.
        steps: Number of steps.
        uses: ``signs``, or ``sizes`` for steps along the gradient over its size at the step before.
    """
    w, size = start, np.full_like(start, FIRST)
    before, last, path = np.zeros_like(start), np.zeros_like(start), []
    for number in range(steps):
        slope = gradient(w, number)
        agreement = np.sign(slope * before)
        size = np.clip(size * np.select([agreement > 0, agreement < 0], [GROWTH, SHRINKAGE], 1.0), SMALLEST, LARGEST)
        direction = np.sign(slope) if uses == "signs" else slope / np.where(before == 0, 1.0, np.abs(before))
        # Where the sign has changed, the last step is taken back, and the next one adapts no size.
        last = np.where(agreement < 0, -last, -size * direction)
        before = np.where(agreement < 0, 0.0, slope)
        w = np.clip(w + last, -1e9, 1e9)
        path.append(w)
    return np.stack(path)


def _at_rates(gradient, start, steps, direction):
    """Weights after steps along a function of the gradient, [rates, weights]."""
    w = np.tile(start, (len(RATES), 1))
    for number in range(steps):
        w = np.clip(w - RATES[:, None] * direction(gradient(w, number)), -1e9, 1e9)
    return w
