"""What normalisation layers compute."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Correction, Equivalent, Identity, cheatsheet, claim, lectures, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.stats

EPSILON = 1e-3
# Axes of [batch, units] and of [batch, height, width, channels] that the batch's statistics are taken over.
SHAPES = {"dense": (64, 8), "convolutional": (16, 6, 5, 8)}
# Keras' layers normalise in single precision on JAX, whatever their type; sums are pairwise, so that chains of
# roundings are short.
NORMALIZATION = partial(Identity, "keras", "formula", operations=64, dtype="float32")


@claim(
    r"Batch normalisation, $\hat x_c = (x_c - \mu_c)/\sqrt{\sigma_c^2 + \epsilon}$ with the mean and variance of each "
    r"channel over batch and space, gives $\hat f = (f - E[f])/\sqrt{V[f]}$ with $E[\hat f] = 0$, $V[\hat f] = 1$ "
    "before the learned scale and shift.",
    source=(cheatsheet("1.8.4"), lectures("2.3.4"), notes("Definition 3.75")),
    kind="formula",
    literature="Ioffe and Szegedy 2015",
    criterion=AllOf(
        formula=NORMALIZATION(where={"quantity": "output"}, each=("input",)),
        moments=NORMALIZATION(where={"quantity": "moment"}, each=("input",)),
    ),
    control={"training": False},
)
def bn_standardises(seed, *, epsilon=EPSILON, training=True):
    """Compares Keras' layer with the formula, on dense and on convolutional inputs.

    Inputs are normal with other means and scales in every channel: [64, 8] and [16, 6, 5, 8]. Scale and shift are drawn
    at random and undone. The moments of every channel are 0 and 1 where epsilon is zero, as in the cheat sheet; with it
    the variance is V / (V + epsilon). In inference mode the layer takes its initial statistics instead of those of the
    batch.
    """
    tables = []
    for name, shape in SHAPES.items():
        x = _draw(seed, shape)
        axes = tuple(range(len(shape) - 1))
        output, exact = (_unscaled(value, x, seed, training=training) for value in (epsilon, 0.0))
        moments = np.concatenate([exact.mean(axis=axes), exact.var(axis=axes)])
        expected = np.repeat([0.0, 1.0], shape[-1])
        tables.append(_sides(output, normalized(x, axes, epsilon), input=name, quantity="output"))
        tables.append(_sides(moments, expected, input=name, quantity="moment"))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Layer normalisation, $\hat x_n = (x_n - \mu_n)/\sqrt{\sigma_n^2 + \epsilon}$, takes the mean and variance of "
    r"each sample over all its units, $E[f] = \frac{1}{m}\sum_i f_i$, $V[f] = \frac{1}{m}\sum_i (f_i - E[f])^2$.",
    source=(cheatsheet("1.8.4"), notes("Definition 3.76")),
    kind="formula",
    literature="Ba, Kiros and Hinton 2016",
    criterion=AllOf(
        formula=NORMALIZATION(where={"quantity": "output"}, each=("input",)),
        own=NORMALIZATION(where={"quantity": "other batch"}, each=("input",)),
    ),
    control={"layer": "batch"},
)
def layer_norm(seed, *, layer="layer", epsilon=EPSILON):
    """Compares Keras' layer over all axes but the first with the formula.

    The samples' own statistics are shown by the same samples among others: their outputs must be the same. Batch
    normalisation in its place takes statistics that samples share.
    """
    tables = []
    for name, shape in SHAPES.items():
        x, others = _draw(seed, shape), 3 * _draw(seed + 1_000_000, shape)
        axes = tuple(range(1, len(shape)))
        build = {
            "layer": lambda axes=axes: keras.layers.LayerNormalization(
                axis=list(axes), epsilon=epsilon, dtype="float64"
            ),
            "batch": lambda: keras.layers.BatchNormalization(epsilon=epsilon, dtype="float64"),
        }[layer]
        output = _apply(build(), x, training=True)
        in_other = _apply(build(), np.concatenate([x, others]), training=True)[: len(x)]
        tables.append(_sides(output, normalized(x, axes, epsilon), input=name, quantity="output"))
        tables.append(_sides(in_other, output, input=name, quantity="other batch"))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Instance normalisation, $\hat x_{cn} = (x_{cn} - \mu_{cn})/\sqrt{\sigma_{cn}^2 + \epsilon}$, normalises each "
    "channel of each sample over space.",
    source=notes("Definition 3.77"),
    kind="formula",
    literature="Ulyanov, Vedaldi and Lempitsky 2016",
    criterion=NORMALIZATION(),
    control={"channels_per_group": 2},
)
def instance_norm(seed, *, channels_per_group=1, epsilon=EPSILON):
    """Compares Keras' group normalisation with one channel per group with the formula.

    Inputs are [16, 6, 5, 8] with other means and scales in every channel. Two channels per group share statistics.
    """
    x = _draw(seed, SHAPES["convolutional"])
    output = _group_norm(x, x.shape[-1] // channels_per_group, epsilon)
    return _sides(output, normalized(x, (1, 2), epsilon))


@claim(
    "Group normalisation is a middle ground between layer and instance normalisation: with a single group it is the "
    "one, with a group for every channel the other.",
    source=notes("Definition 3.78"),
    kind="formula",
    literature="Wu and He 2018",
    criterion=NORMALIZATION(each=("end",)),
    control={"ends": (2, 4)},
)
def group_norm(seed, *, ends=(1, 8), epsilon=EPSILON):
    """Compares Keras' group normalisation at both ends with layer and with instance normalisation.

    Inputs are [16, 6, 5, 8]. Layer normalisation is Keras' own over all axes of a sample, instance
    normalisation the formula over space. Group counts between the ends give neither.
    """
    x = _draw(seed, SHAPES["convolutional"])
    layer = keras.layers.LayerNormalization(axis=[1, 2, 3], epsilon=epsilon, dtype="float64")
    expected = {"layer": _apply(layer, x), "instance": normalized(x, (1, 2), epsilon)}
    tables = [
        _sides(_group_norm(x, groups, epsilon), values, end=end)
        for (end, values), groups in zip(expected.items(), ends, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Group normalisation: $\mu_{gn} = \frac{1}{HW|G_i|}\sum x_{cnhw}$ over the group, $\sigma_{gn}^2 = "
    r"\frac{1}{HW|G_i|}\sum (x_{cnhw} - \mu_n)^2$, $\hat x_{gn} = (x_n - \mu_n)/\sqrt{\sigma_n^2 + \epsilon}$, with "
    r"$\mu_n$ and $\sigma_n^2$ the moments of the whole sample.",
    source=notes("Definition 3.78"),
    kind="formula",
    literature="Wu and He 2018, equations 1 and 7: mean and deviation of the group itself",
    criterion=NORMALIZATION(each=("groups",)),
    correction=Correction(
        r"$\sigma_{gn}^2 = \frac{1}{HW|G_i|}\sum (x_{cnhw} - \mu_{gn})^2$ and $\hat x_{gn} = (x_{gn} - \mu_{gn})/"
        r"\sqrt{\sigma_{gn}^2 + \epsilon}$: every group is normalised by its own moments.",
        moments="group",
    ),
)
def group_norm_formula(seed, *, groups=(1, 4, 8), moments="sample", epsilon=EPSILON):
    """Compares Keras' group normalisation with the printed formula for one, four and eight groups of eight channels.

    Inputs are [16, 6, 5, 8] with other means and scales in every channel. The print defines the
    group's mean and then uses the moments of the sample, which would make it layer normalisation: right for one group.
    """
    x = _draw(seed, SHAPES["convolutional"])
    tables = []
    for number in groups:
        grouped = x.reshape(*x.shape[:-1], number, -1)
        axes = (1, 2, 4) if moments == "group" else (1, 2, 3, 4)
        formula = normalized(grouped, axes, epsilon).reshape(x.shape)
        tables.append(_sides(_group_norm(x, number, epsilon), formula, groups=number))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"With $w = \gamma v/\|v\|$: $\partial E/\partial\gamma = \nabla_w E \cdot v/\|v\|$ and "
    r"$\nabla_v E = \frac{\gamma}{\|v\|}\left(I - \frac{w w^\top}{\|w\|^2}\right)\nabla_w E$.",
    source=cheatsheet("1.8.4"),
    kind="formula",
    literature="Salimans and Kingma 2016, equations 3 and 4",
    criterion=Identity("autodiff", "formula", operations=1024, each=("parameter",)),
    control={"projected": False},
)
def weight_norm_gradients(seed, *, inputs=12, examples=64, projected=True):
    """Differentiates the squared error of a tanh unit of unit w by gamma and v, and by w for the formulas.

    Normal inputs [64, 12] and targets, double precision, gradients by the backend. The control leaves the projection
    out, which is what keeps the step orthogonal to w.
    """
    generator = np.random.default_rng(seed)
    x, targets = generator.normal(size=(examples, inputs)), generator.normal(size=examples)
    v, gamma = generator.normal(size=inputs), generator.uniform(0.5, 2.0)
    w = gamma * v / np.linalg.norm(v)

    def error(w):
        return keras.ops.mean(keras.ops.square(keras.ops.tanh(keras.ops.matmul(x, w)) - targets))

    def of_w(values):
        return error(values[0]), ()

    def of_gamma_and_v(values):
        gamma, v = values
        length = keras.ops.sqrt(keras.ops.sum(keras.ops.square(v)))  # ops.norm is in single precision on JAX
        return error(gamma * v / length), ()

    (by_w,) = _gradient(of_w, w)
    by_gamma, by_v = _gradient(of_gamma_and_v, gamma, v)
    projection = np.eye(inputs) - (np.outer(w, w) / (w @ w) if projected else 0)
    formula = gamma / np.linalg.norm(v) * projection @ by_w
    tables = [
        _sides(by_gamma, by_w @ v / np.linalg.norm(v), parameter="gamma"),
        _sides(by_v, formula, parameter="v"),
    ]
    return pd.concat(tables, ignore_index=True).rename(columns={"keras": "autodiff"})


@claim(
    "Batch normalisation takes the statistics of the mini-batch while training, and those of the population for "
    "inference.",
    source=notes("Remark 3.60"),
    kind="formula",
    literature="Ioffe and Szegedy 2015, section 3.1",
    criterion=AllOf(
        inference=NORMALIZATION(where={"quantity": "inference"}),
        training=AtLeast("keras", 0.1, where={"quantity": "training"}),
        population=Equivalent(
            "keras",
            "formula",
            smallest_difference=0.1,
            because="a batch of 32 misses the population by 0.18 deviations, which is what inference should avoid",
            where={"quantity": "population"},
        ),
    ),
    control={"inference": True},
)
def bn_inference(seed, *, batches=40, batch_size=32, channels=8, inference=False):
    """Puts the same samples into different batches, in both modes of Keras' layer.

    Inference: the outputs must not change. Training: their mean absolute change must be a tenth of a deviation or more,
    as the means of two batches of 32 that share half of their samples differ by 0.18. Population: after 40 batches of
    normal values the moving averages (momentum 0.9) miss the mean and variance they were drawn from by this much, in
    deviations and relative. The control calls the layer for inference as for training.
    """
    generator = np.random.default_rng(seed)
    mean, deviation = generator.normal(size=channels), generator.uniform(0.5, 2.0, size=channels)
    layer = keras.layers.BatchNormalization(momentum=0.9, dtype="float64")
    x = mean + deviation * generator.normal(size=(batches, batch_size, channels))
    for batch in x:
        layer(batch, training=True)
    moving_mean, moving_variance = (
        keras.ops.convert_to_numpy(value) for value in (layer.moving_mean, layer.moving_variance)
    )
    errors = np.abs(np.concatenate([(moving_mean - mean) / deviation, moving_variance / deviation**2 - 1]))
    half = batch_size // 2
    first, second = x[0], np.concatenate([x[0, :half], x[1, half:]])
    for_inference = [_apply(layer, batch, training=inference)[:half] for batch in (first, second)]
    in_training = [_apply(layer, batch, training=True)[:half] for batch in (first, second)]
    change = np.abs(in_training[0] - in_training[1]).mean()
    tables = [
        _sides(for_inference[1], for_inference[0], quantity="inference"),
        _sides(np.array(change), np.array(0.0), quantity="training"),
        _sides(errors, np.zeros_like(errors), quantity="population"),
    ]
    return pd.concat(tables, ignore_index=True)


EXACT = "the statistics are those of the batch itself, so that only the epsilon in the root is left to differ by"
NORMAL = "three standard errors of a sample of 256 normal values are less: any further from it has another shape"


@claim(
    "Batch normalisation forces activations to take on values that approximate a unit Gaussian at the start of "
    "training.",
    source=lectures("2.3.4"),
    kind="tendency",
    literature="Ioffe and Szegedy 2015, section 3, claim normalised moments only",
    criterion=AllOf(
        mean=Equivalent("mean", 0.0, smallest_difference=0.1, because=EXACT, each=("input",)),
        variance=Equivalent("variance", 1.0, smallest_difference=0.1, because=EXACT, each=("input",)),
        skewness=Equivalent("skewness", 0.0, smallest_difference=0.5, because=NORMAL, each=("input",)),
        kurtosis=Equivalent("kurtosis", 0.0, smallest_difference=1.0, because=NORMAL, each=("input",)),
    ),
    correction=Correction(
        "Batch normalisation gives activations mean 0 and variance 1 and keeps the shape of their distribution, with "
        "its skewness and kurtosis; they approximate a unit Gaussian only where they were Gaussian before.",
        inputs=("gaussian",),
    ),
)
def bn_unit_gaussian(seed, *, inputs=("gaussian", "deep ReLU", "heavy-tailed"), examples=256, units=64, depth=10):
    """Normalises pre-activations of fresh Keras networks and takes the moments of every unit over a batch of 256.

    One dense layer on normal inputs, the eleventh dense layer of a ReLU network, and one dense layer on four inputs of
    Student's t with 3 degrees of freedom; He's weights. Mean, variance, and the absolute skewness and excess kurtosis
    are averaged over 64 units. The correction has pre-activations that are exactly normal.
    """
    rows = []
    for name in inputs:
        generator = np.random.default_rng(seed)
        if name == "heavy-tailed":
            signal = generator.standard_t(3, size=(examples, 4))
        else:
            signal = generator.normal(size=(examples, units))
        for layer in range(1 + (depth if name == "deep ReLU" else 0)):
            initializer = keras.initializers.HeNormal(seed=int(generator.integers(2**31)))
            dense = keras.layers.Dense(units, kernel_initializer=initializer, dtype="float64")
            signal = dense(keras.ops.relu(signal) if layer else signal)
        values = _apply(keras.layers.BatchNormalization(dtype="float64"), signal, training=True)
        rows.append(
            {
                "input": name,
                "mean": values.mean(),
                "variance": values.var(axis=0).mean(),
                "skewness": np.abs(scipy.stats.skew(values)).mean(),
                "kurtosis": np.abs(scipy.stats.kurtosis(values)).mean(),
            }
        )
    return pd.DataFrame(rows)


def normalized(x, axes, epsilon):
    """Subtract the mean over axes and divide by the square root of the variance plus epsilon."""
    mean = x.mean(axis=axes, keepdims=True)
    variance = np.square(x - mean).mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def _draw(seed, shape):
    """Normal values with a mean and a scale of their own in every channel, the last axis."""
    generator = np.random.default_rng(seed)
    mean, deviation = generator.normal(size=shape[-1]), generator.uniform(0.5, 2.0, size=shape[-1])
    return mean + deviation * generator.normal(size=shape)


def _unscaled(epsilon, x, seed, *, training):
    """Outputs of Keras' batch normalisation before its scale and shift, which are random."""
    layer = keras.layers.BatchNormalization(
        epsilon=epsilon,
        beta_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed),
        gamma_initializer=keras.initializers.RandomUniform(0.5, 2.0, seed=seed),
        dtype="float64",
    )
    outputs = _apply(layer, x, training=training)
    return (outputs - keras.ops.convert_to_numpy(layer.beta)) / keras.ops.convert_to_numpy(layer.gamma)


def _apply(layer, x, **options):
    return keras.ops.convert_to_numpy(layer(x, **options))


def _group_norm(x, groups, epsilon):
    return _apply(keras.layers.GroupNormalization(groups=groups, epsilon=epsilon, dtype="float64"), x)


def _gradient(function, *values):
    _, _, gradient = value_and_gradient(function, [keras.ops.convert_to_tensor(value, "float64") for value in values])
    return [keras.ops.convert_to_numpy(part) for part in gradient]


def _sides(keras_side, formula, **labels):
    return pd.DataFrame({**labels, "keras": np.ravel(keras_side), "formula": np.ravel(formula)})
