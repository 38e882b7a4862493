"""What becomes of adaptive rates in long training: sums of squared gradients grow, averages do not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import AllOf, Boundary, Greater, PositiveControl, ScalingLaw, claim, lectures, notes

DIMENSION, COURSES = 10, 8
DECAY, ADADELTA_DECAY, EPSILON, ADADELTA_EPSILON = 0.9, 0.95, 1e-8, 1e-6
ADAGRAD, RMSPROP, ADADELTA, SLOW = "AdaGrad", "RMSprop", "AdaDelta", "AdaGrad at a sixteenth of its rate"
NOISE, DYING, MOVING = "with noise", "dying out", "of a moving target"
EARLY, WHOLE = "on the first steps", "on the whole run"
JUMP = 16  # steps between two places of the moving target
RATES = 2.0 ** np.arange(-12, 10)
# Factors of AdaDelta's steps, which have a size of their own.
FACTORS = 2.0 ** np.arange(-4, 15)


def courses(seeds, *, steps=4096, early=64):
    """Follows AdaGrad, RMSprop and AdaDelta on quadratics of ten axes, with gradients that persist or die out.

    Curvatures from 1/10 to 1, normal starts and minima; eight courses a seed, of whose losses the mean is taken. With
    noise: normal noise of variance one on every gradient; dying out: none; of a moving target: noise of variance
    1/100, and a minimum that moves to another normal place every 16 steps. Every method has its base rate, in factors
    of two, of the least mean loss over the first 64 steps, as of a rate that was found before training was to be long,
    or over all steps, in either case of other courses of the same seed. The effective rate is the factor on the
    gradient over the base rate, as the median over axes and courses; the loss is the mean over the last quarter of the
    steps until then, of which less than a millionth of the first loss counts as a millionth. AdaDelta's rate multiplies
    its own steps.
    """
    rows, trials = [], []
    for gradients in (NOISE, DYING, MOVING):
        trial, final = (_Course(seeds, stream, gradients, steps) for stream in (1, 2))
        for method in (ADAGRAD, RMSPROP, ADADELTA):
            grid = FACTORS if method == ADADELTA else RATES
            tried, _ = trial.follow(method, np.tile(grid, (len(seeds), 1)), steps)
            arms = {}
            for tuned, horizon in ((EARLY, early), (WHOLE, steps)):
                best = tried[:horizon].mean(axis=0).argmin(axis=1)
                arms[tuned, method] = grid[best]
                if method == ADAGRAD:
                    arms[tuned, SLOW] = grid[best] / 16
                labels = {"gradients": gradients, "method": method, "tuned": tuned}
                trials += [
                    {
                        **labels,
                        "learning_rate": float(grid[place]),
                        "best": True,
                        "at_edge": place in (0, len(grid) - 1),
                    }
                    for place in sorted(set(best.tolist()))
                ]
            losses, factors = final.follow(method, np.stack(list(arms.values()), axis=1), steps)
            for place, (tuned, arm) in enumerate(arms):
                for last in 2 ** np.arange(int(np.log2(early)), int(np.log2(steps)) + 1):
                    late = losses[last * 3 // 4 : last, :, place].mean(axis=0)
                    columns = {
                        "seed": list(seeds),
                        "rate": factors[last][:, place],
                        "late_loss": np.maximum(late, 1e-6 * losses[0, :, place]),
                    }
                    labels = {"gradients": gradients, "tuned": tuned, "method": arm, "steps": int(last)}
                    rows.append(pd.DataFrame({**columns, **labels}))
    table = pd.concat(rows, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


class _Course:
    """Quadratics with the gradients and minima of whole runs, one for each seed."""

    def __init__(self, seeds, stream, gradients, steps):
        generators = [np.random.default_rng((seed, stream)) for seed in seeds]
        size = (COURSES, DIMENSION)
        self.curvatures = np.geomspace(0.1, 1, DIMENSION)
        self.start = np.stack([generator.normal(size=size) for generator in generators])[:, :, None]
        noise = {NOISE: 1.0, DYING: 0.0, MOVING: 0.1}[gradients]
        self.noise = noise * np.stack([generator.normal(size=(steps, *size)) for generator in generators], axis=1)
        places = np.stack([generator.normal(size=(steps // JUMP, *size)) for generator in generators], axis=1)
        self.minima = np.repeat(places if gradients == MOVING else 0 * places + places[:1], JUMP, axis=0)

    def follow(self, method, rates, steps):
        """Losses before each step, [steps, seeds, rates], and effective over base rates after 1, 2, 4, ... steps."""
        w = np.repeat(self.start, rates.shape[1], axis=2)
        total, of_steps = np.zeros_like(w), np.zeros_like(w)
        losses, factors = np.empty((steps, *rates.shape)), {}
        for step in range(steps):
            offset = w - self.minima[step][:, :, None]
            losses[step] = (self.curvatures * offset**2).sum(axis=3).mean(axis=1) / 2
            slope = self.curvatures * offset + self.noise[step][:, :, None]
            if method == ADAGRAD:
                total += slope**2
                factor = 1 / np.sqrt(total + EPSILON)
            elif method == RMSPROP:
                total = DECAY * total + (1 - DECAY) * slope**2
                factor = 1 / np.sqrt(total + EPSILON)
            else:
                total = ADADELTA_DECAY * total + (1 - ADADELTA_DECAY) * slope**2
                factor = np.sqrt((of_steps + ADADELTA_EPSILON) / (total + ADADELTA_EPSILON))
                of_steps = ADADELTA_DECAY * of_steps + (1 - ADADELTA_DECAY) * (factor * slope) ** 2
            if step & (step + 1) == 0:
                factors[step + 1] = np.median(factor, axis=(1, 3))
            w = np.clip(w - rates[:, None, :, None] * factor * slope, -1e6, 1e6)
        return losses, factors


@claim(
    "As training time increases AdaGrad's accumulated gradient becomes larger and larger, making the learning rate "
    "tend to zero and the updates ineffective.",
    source=notes("Remark 3.67"),
    kind="tendency",
    scope="long training; whether gradients persist, by noise or a moving target, or die out, and the base rate, are "
    "left open",
    left_open=("gradients", "tuned"),
    literature="Zeiler 2012, section 2; Duchi, Hazan and Singer 2011: the fall by the root of time is what noise asks "
    "for",
    reads=courses,
    criterion=AllOf(
        rate=ScalingLaw(
            "steps", "rate", expected=-0.5, rivals=(0.0, -1.0), each=("gradients",), where={"quantity": "rate"}
        ),
        updates=Greater(
            "late_loss",
            of=ADAGRAD,
            than=RMSPROP,
            by="method",
            each=("gradients", "tuned"),
            where={"quantity": "late loss"},
        ),
    ),
    boundary=Boundary(
        "the rate falls where gradients persist; updates are ineffective where the target moves and the base rate was "
        "found on the first steps: one that is found on the whole run is larger and makes up for the fall; under noise "
        "the fall is what is asked for, and where gradients die out there is none",
        holds=f"(part == 'rate' and gradients != '{DYING}') "
        f"or (part == 'updates' and gradients == '{MOVING}' and tuned == '{EARLY}')",
        named=[
            {"part": "rate", "gradients": NOISE},
            {"part": "updates", "gradients": MOVING, "tuned": EARLY},
            {"part": "updates", "gradients": MOVING, "tuned": WHOLE},
            {"part": "updates", "gradients": NOISE, "tuned": EARLY},
        ],
    ),
    smoke={"steps": 1024},
    positive_control=PositiveControl(
        "At a sixteenth of its base rate AdaGrad's late loss is larger.",
        criterion=AllOf(
            updates=Greater(
                "late_loss",
                of=SLOW,
                than=ADAGRAD,
                by="method",
                each=("gradients", "tuned"),
                where={"quantity": "late loss"},
                smallest_ratio=1.05**2,
                because="it is twice what matters",
            )
        ),
    ),
    seeds=48,
)
def adagrad_shrinks(observations):
    """AdaGrad's effective rate against the number of steps, and its late loss beside RMSprop's.

    A rate that falls by the root of time has an exponent of -1/2. Late losses after all steps; beside them AdaGrad at a
    sixteenth of its base rate.
    """
    early = observations["tuned"] == EARLY
    rate = observations[early & (observations["method"] == ADAGRAD)].assign(quantity="rate")
    late = observations[(observations["steps"] == observations["steps"].max()) & (observations["method"] != ADADELTA)]
    return pd.concat([rate, late.assign(quantity="late loss")], ignore_index=True)


@claim(
    "AdaDelta or RMSprop solves AdaGrad's radically diminishing learning rate by a decaying average of past squared "
    "gradients, in place of their sum.",
    source=(notes("Definition 3.82"), lectures("2.4.3")),
    kind="tendency",
    scope="long or non-stationary training; decay and base rate are left open; the lectures name AdaDelta alone",
    left_open=("method", "gradients", "tuned"),
    literature="Zeiler 2012, section 3.1; Tieleman and Hinton 2012; on stationary noise a rate that does not fall "
    "leaves a loss that does not either (Bottou, Curtis and Nocedal 2018, section 4.2)",
    reads=courses,
    criterion=AllOf(
        rate=ScalingLaw("steps", "rate", expected=0.0, rivals=(-0.5,), each=("method",), where={"quantity": "rate"}),
        progress=Greater(
            "late_loss",
            of=ADAGRAD,
            than="averaged",
            by="arm",
            each=("method", "gradients", "tuned"),
            where={"quantity": "late loss"},
        ),
    ),
    boundary=Boundary(
        "the rate everywhere; for the loss it is a remedy where the target moves and the base rate was found on the "
        "first steps, not under stationary noise nor beside AdaGrad at a rate that was found on the whole run",
        holds=f"part == 'rate' or (gradients == '{MOVING}' and tuned == '{EARLY}')",
        named=[
            {"part": "progress", "method": method, "gradients": MOVING, "tuned": tuned}
            for method in (RMSPROP, ADADELTA)
            for tuned in (EARLY, WHOLE)
        ],
    ),
    smoke={"steps": 1024},
    positive_control=PositiveControl(
        "At a sixteenth of its base rate AdaGrad's late loss is larger.",
        criterion=AllOf(
            progress=Greater(
                "late_loss",
                of=SLOW,
                than=ADAGRAD,
                by="arm",
                each=("method", "gradients", "tuned"),
                where={"quantity": "late loss"},
                smallest_ratio=1.05**2,
                because="it is twice what matters",
            )
        ),
    ),
    seeds=48,
)
def rmsprop_fixes_adagrad(observations):
    """Effective rates under noise against the number of steps, and late losses beside AdaGrad's, after all steps.

    AdaGrad's rate has an exponent of -1/2, asked is at least halfway to none. Late losses under stationary noise and
    with a moving target; beside them AdaGrad at a sixteenth of its base rate.
    """
    averaged = observations["method"].isin([RMSPROP, ADADELTA]) & (observations["tuned"] == EARLY)
    rate = observations[averaged & (observations["gradients"] == NOISE)].assign(quantity="rate")
    late = observations[
        (observations["steps"] == observations["steps"].max()) & observations["gradients"].isin([NOISE, MOVING])
    ].assign(quantity="late loss")
    tables = [rate]
    for method in (RMSPROP, ADADELTA):
        others = late[late["method"].isin([ADAGRAD, SLOW, method])]
        tables.append(others.assign(arm=others["method"].replace(method, "averaged"), method=method))
    return pd.concat(tables, ignore_index=True)
