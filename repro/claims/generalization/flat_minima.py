"""Training a PAC-Bayesian bound, and how robust the networks are that it finds."""

from __future__ import annotations

import math
from functools import cache, partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Greater, Reported, Rival, cheatsheet, claim
from repro.engine import Record, ValidatedArm, compare_arms, horizons, load_data, train

with epy.lazy_imports():
    import keras

CLASSES = 10
DRAWS = 8
WEIGHTS = ("first", "first_bias", "second", "second_bias")
SWITCHES = ("anew", "kept", "penalised")
NOISES = (0.5, 1.0)
# How far weights are perturbed in training, in deviations: anew in every step, or always by one draw; and whether the
# root of the bound is added to the loss.
ARMS = {
    "plain": (0.0, 0.0, 0.0),
    "objective": (1.0, 0.0, 1.0),
    "one draw": (0.0, 1.0, 0.0),
    "divergence alone": (0.0, 0.0, 1.0),
}


def bound_training(seeds, *, images=500, steps=1000, width=32, batch_size=50, rates=(0.003, 0.01, 0.03), data="digits"):
    """Trains networks of one hidden layer on a PAC-Bayesian bound, and measures their test error under weight noise.

    Arms: plain cross-entropy at the weights; the objective, that is cross-entropy at weights perturbed anew in every
    step with deviations that are trained too, plus root(2 / s (KL + ln(2 root(s) / 0.05))), KL the divergence of the
    perturbed weights from normal ones of deviation 0.3; cross-entropy at weights perturbed by one draw of each seed,
    the same in all steps, with trained deviations too, but without the root; and the root as a penalty on plain
    cross-entropy. The printed logarithm is negative, and no root is taken of it. Adam with batches of 50 of the 500
    images that each seed draws, every arm at the rate of the least validation loss.

    Noise is normal, 0.5 or 1 times as large as the kernel that it is added to (by root mean square), in eight
    directions, so that a rescaling of layers, which leaves a ReLU network the same function, leaves its robustness the
    same (Dinh et al. 2017); no arm trains with this noise. It is added to the means of the weights, after one draw to
    the weights that were trained. The test error without noise stands beside that with it, since a network that has
    learnt nothing loses nothing.
    """
    source = load_data(data).standardized().flat()
    arms = {}
    for label, switches in ARMS.items():
        network = {"width": width, "examples": images, **dict(zip(SWITCHES, switches, strict=True))}

        def on(held_out, network=network, **options):
            def drawn(seed):
                chosen = source.subset(images, seed)
                return chosen.held_out(0.2, seed) if held_out else chosen

            return train(
                bound_network,
                drawn,
                loss=clean_loss,
                optimizer=keras.optimizers.Adam(),
                steps=steps,
                batch_size=batch_size,
                record=Record(every=steps // 2, metrics=METRICS),
                inputs=source.x_train.shape[1],
                **network,
                **options,
            )

        arms[label] = ValidatedArm(partial(on, False), partial(on, True))
    table = compare_arms(
        arms, {"learning_rate": list(rates)}, len(rates), seeds, by="training", objective="validation_loss", widen=1
    )
    records = horizons(table)
    rows = [
        records.assign(
            noise=noise,
            noisy_error=records[f"test_noise_{noise:g}"],
            rise_of_error=records[f"test_noise_{noise:g}"] - records["test_error"],
        )
        for noise in NOISES
    ]
    found = pd.concat(rows, ignore_index=True)
    found.attrs = table.attrs
    return found[["seed", "training", "steps", "noise", "test_loss", "test_error", "noisy_error", "rise_of_error"]]


def _within_a_point(metric):
    """The divergence alone has no more than a point above the objective of what is better low."""
    return Greater(
        metric,
        of="objective",
        than="divergence alone",
        by="training",
        smallest_difference=-0.01,
        each=("noise", "steps"),
    )


@claim(
    r"The objective $E_\mathrm{PAC}(Q) = E_Q[\hat E] + \sqrt{\frac{2}{s}[\mathrm{KL}(Q\|P) + \ln\dots]}$ with Gaussian "
    r"$Q$ favours minima that are robust to perturbations of the parameters.",
    source=cheatsheet("1.9.4"),
    kind="tendency",
    scope="normal Q with one deviation for each parameter, trained too; relative to weights trained without the "
    "objective",
    left_open=("noise",),
    literature="Dziugaite and Roy 2017; Dinh et al. 2017 on what flatness means",
    reads=bound_training,
    criterion=AllOf(
        rises_less=Greater("rise_of_error", of="plain", than="objective", by="training", each=("noise", "steps")),
        stays_lower=Greater("noisy_error", of="plain", than="objective", by="training", each=("noise", "steps")),
    ),
    smoke={"steps": 400},
    full={"data": "mnist", "images": 5000, "width": 256, "steps": 10_000},
    control={"of": "one draw"},
    rival=Rival(
        "The divergence alone, in effect weight decay, makes networks as robust as the objective.",
        criterion=AllOf(
            rises_as_little=_within_a_point("rise_of_error"),
            stays_as_low=_within_a_point("noisy_error"),
        ),
    ),
    seeds=48,
    reported=(
        Reported(
            "0.161 and 0.034",
            measure="bound, and test error of the stochastic network",
            setting="T-600, MNIST with two classes",
            place="Dziugaite and Roy 2017, table 1",
        ),
    ),
)
def pac_bayes_flat_minima(observations, *, of="objective"):
    """How far the test error under noise lies above that without, and where it lies, after plain training and another.

    What is credited is the objective: the mean loss over Q, together with the divergence that keeps Q from shrinking
    to a point. The control, one draw, has weights perturbed and deviations trained all the same, but neither a mean
    over Q nor a divergence. The divergence alone is a term of the objective, and so removes half of it: it is the rival
    explanation, that weight decay would do, and is compared with the objective itself.
    """
    chosen = observations[observations["training"].isin(["plain", of, "divergence alone"])]
    return chosen.replace({"training": {of: "objective"}}).reset_index(drop=True)


def clean_loss(targets, outputs):
    """Cross-entropy of the first block of outputs, which is that of weights without noise, for each example."""
    return keras.losses.sparse_categorical_crossentropy(targets, outputs[:, :CLASSES], from_logits=True)


def mistakes(targets, outputs, first, count):
    """Share of mistakes over blocks of outputs, for each example."""
    blocks = keras.ops.reshape(outputs, (-1, keras.ops.shape(outputs)[1] // CLASSES, CLASSES))[:, first : first + count]
    wrong = keras.ops.cast(keras.ops.argmax(blocks, axis=2), "int32") != keras.ops.cast(targets, "int32")[:, None]
    return keras.ops.mean(keras.ops.cast(wrong, "float32"), axis=1)


METRICS = {
    "error": partial(mistakes, first=0, count=1),
    **{
        f"noise_{noise:g}": partial(mistakes, first=1 + DRAWS * place, count=DRAWS)
        for place, noise in enumerate(NOISES)
    },
}


def bound_network(*, inputs, width, examples, anew, kept, penalised):
    """Build a two-layer ReLU network with normal weights, trained on the bound for a number of examples."""
    switches = {"anew": anew, "kept": kept, "penalised": penalised}
    return keras.Sequential([keras.Input((inputs,)), _gaussian_network()(width, examples, switches)])


@cache
def _gaussian_network():
    class GaussianNetwork(keras.layers.Layer):
        """Two dense layers with normal weights: perturbed in training as the switches ``anew`` and ``kept`` say.

        Outside training the outputs are logits at the means, or where one draw is kept at the weights that it gives,
        then at these with noise of each amount, ``DRAWS`` times. The switches are variables, whose values are no part
        of a program: all arms share one.
        """

        def __init__(self, width, examples, switches, prior=0.3, deviation=0.1, epsilon=0.05):
            super().__init__()
            self.width, self.examples = width, examples
            self.prior, self.deviation, self.epsilon = prior, deviation, epsilon
            self.generator = keras.random.SeedGenerator(0)
            # by these names the engine finds what draws the initial values of a replica
            self.first_initializer = keras.initializers.GlorotUniform()
            self.second_initializer = keras.initializers.GlorotUniform()
            for name in WEIGHTS:
                setattr(self, f"{name}_draw_initializer", keras.initializers.RandomNormal(stddev=1.0))
            for name, value in switches.items():  # initialisers are no part of a program either
                setattr(self, f"{name}_initializer", keras.initializers.Constant(value))

        def build(self, shape):
            deviation = keras.initializers.Constant(math.log(self.deviation))
            kernel, other = (shape[-1], self.width), (self.width, CLASSES)
            initializers = (self.first_initializer, "zeros", self.second_initializer, "zeros")
            self.means = [
                self.add_weight(name=name, shape=shape, initializer=initializer)
                for name, shape, initializer in zip(
                    WEIGHTS, (kernel, kernel[1:], other, other[1:]), initializers, strict=True
                )
            ]
            self.switches = {
                name: self.add_weight(
                    name=name, shape=(), initializer=getattr(self, f"{name}_initializer"), trainable=False
                )
                for name in SWITCHES
            }
            self.logarithms = [
                self.add_weight(name=f"{mean.name}_logarithm", shape=mean.shape, initializer=deviation)
                for mean in self.means
            ]
            self.draws = [
                self.add_weight(
                    name=f"{mean.name}_draw",
                    shape=mean.shape,
                    initializer=getattr(self, f"{mean.name}_draw_initializer"),
                    trainable=False,
                )
                for mean in self.means
            ]

        def call(self, inputs, training=None):
            divergence = _divergence(self.means, self.logarithms, self.prior)
            logarithm = math.log(2 * math.sqrt(self.examples) / self.epsilon)
            root = keras.ops.sqrt(2.0 / self.examples * (divergence + logarithm))
            self.add_loss(self.switches["penalised"] * root)
            if training:
                return _logits(inputs, self._perturbed(fresh=True))
            weights = self._perturbed(fresh=False)
            noisy = [_logits(inputs, _with_noise(weights, amount)) for amount in NOISES]
            return keras.ops.concatenate([_logits(inputs, weights), *noisy], axis=1)

        def _perturbed(self, fresh):
            """Weights with the draw that is kept, and in training with a fresh one."""
            perturbed = []
            for mean, logarithm, draw in zip(self.means, self.logarithms, self.draws, strict=True):
                direction = self.switches["kept"] * draw
                if fresh:
                    direction += self.switches["anew"] * keras.random.normal(mean.shape, seed=self.generator)
                perturbed.append(mean + keras.ops.exp(logarithm) * direction)
            return perturbed

    return GaussianNetwork


def _logits(inputs, weights):
    """Logits [examples, classes], or of kernels [draws, inputs, outputs] those of all draws side by side."""
    first, first_bias, second, second_bias = weights
    hidden = keras.ops.relu(keras.ops.matmul(inputs, first) + first_bias)
    logits = keras.ops.matmul(hidden, second) + second_bias
    if len(logits.shape) == 2:
        return logits
    return keras.ops.reshape(keras.ops.transpose(logits, (1, 0, 2)), (-1, DRAWS * CLASSES))


def _with_noise(weights, amount):
    """Kernels [draws, inputs, outputs] with noise in directions that are always the same, and biases without."""
    noisy = []
    for place, weight in enumerate(weights):
        directions = np.random.default_rng(place).normal(size=(DRAWS, *weight.shape)).astype(np.float32)
        size = keras.ops.sqrt(keras.ops.mean(keras.ops.square(weight)))
        noisy.append(weight[None] + amount * size * directions if len(weight.shape) == 2 else weight)
    return noisy


def _divergence(means, logarithms, prior):
    """Divergence of normal weights, given by means and logarithms of deviations, from those of the prior."""
    return sum(
        keras.ops.sum(
            math.log(prior) - logarithm + (keras.ops.exp(2 * logarithm) + keras.ops.square(mean)) / (2 * prior**2) - 0.5
        )
        for mean, logarithm in zip(means, logarithms, strict=True)
    )
