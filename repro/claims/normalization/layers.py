"""What normalisation layers compute."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import (
    AllOf,
    Boundary,
    Greater,
    Identity,
    Rival,
    cheatsheet,
    claim,
    lectures,
    notes,
)
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

EPSILON = 1e-3
# [batch, units] and [batch, height, width, channels]; few values share a variance, so that a divisor of one less shows
SHAPES = {"dense": (16, 8), "convolutional": (6, 3, 2, 8)}
# Keras' layers normalise in single precision on JAX, whatever their type; sums are pairwise, so that chains of
# roundings are short.
NORMALIZATION = partial(Identity, "keras", "formula", operations=64, dtype="float32")


@claim(
    r"Batch normalisation, $\hat x_c = (x_c - \mu_c)/\sqrt{\sigma_c^2 + \epsilon}$ with the mean and variance of the "
    r"mini-batch, of each channel over batch and space; without $\epsilon$, $\hat f = (f - E[f])/\sqrt{V[f]}$ has "
    r"$E[\hat f] = 0$ and $V[\hat f] = 1$. What is put out has a learned scale and shift, $\mu + \gamma \hat f$.",
    source=(
        cheatsheet("1.8.4", parts=("moments", "learned")),
        lectures("2.3.4", parts=("formula", "learned")),
        notes("Definition 3.75", parts=("formula",)),
    ),
    kind="formula",
    scope="training mode; the variance is that of the batch itself, with the number of values as divisor",
    literature="Ioffe and Szegedy 2015, algorithm 1",
    criterion=AllOf(
        formula=NORMALIZATION(where={"quantity": "output"}),
        moments=NORMALIZATION(where={"quantity": "moment"}),
        learned=NORMALIZATION(where={"quantity": "learned"}),
    ),
    control={"axis": 1},
    rival=Rival(
        "The variance is the unbiased one, with one less than the number of values as divisor.",
        criterion=Identity("keras", "unbiased", operations=64, dtype="float32", where={"quantity": "output"}),
    ),
)
def bn_standardises(seed, *, epsilon=EPSILON, axis=-1):
    """Compares Keras' layer in training mode with the formula, on dense and on convolutional inputs.

    Inputs are normal with other means and scales in every channel, [16, 8] and [6, 3, 2, 8]; the last channel has a
    deviation of a thousandth, of whose unit variance epsilon leaves V / (V + epsilon) = 1/1001. Scale and shift are
    drawn at random; output: what the layer puts out before them. The moments of every channel are 0 and 1 where epsilon
    is zero, as in the cheat sheet. The control normalises along another axis, in inputs of four axes.
    """
    tables = []
    for name, shape in SHAPES.items():
        x = _draw(seed, shape)
        x[..., -1] *= 1e-3 / x[..., -1].std()
        x[..., -1] -= x[..., -1].mean()  # without a mean, whose rounding would be that of single precision on JAX
        axes = tuple(range(len(shape) - 1))
        of_layer = axis if len(shape) > 2 else -1
        (output, put_out, gamma, beta), (exact, *_) = (_unscaled(each, x, seed, of_layer) for each in (epsilon, 0.0))
        moments = np.concatenate([exact.mean(axis=axes), exact.var(axis=axes)])
        expected = np.repeat([0.0, 1.0], shape[-1])
        formula = normalized(x, axes, epsilon)
        values = x.size // shape[-1]
        unbiased = normalized(x, axes, epsilon, divisor=values - 1)
        tables.append(_sides(output, formula, input=name, quantity="output", unbiased=np.ravel(unbiased)))
        tables.append(_sides(moments, expected, input=name, quantity="moment"))
        if of_layer == -1:
            tables.append(_sides(put_out, gamma * formula + beta, input=name, quantity="learned"))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Layer normalisation takes each sample's own mean and variance over its units, $E[f] = \frac{1}{m}\sum_i f_i$ and "
    r"$V[f] = \frac{1}{m}\sum_i (f_i - E[f])^2$: $\hat x_n = (x_n - \mu_n)/\sqrt{\sigma_n^2 + \epsilon}$, over "
    "channels and space where there are any.",
    source=(cheatsheet("1.8.4"), notes("Definition 3.76")),
    kind="formula",
    scope="without a learned scale; the cheat sheet prints no epsilon",
    literature="Ba, Kiros and Hinton 2016",
    criterion=AllOf(
        formula=NORMALIZATION(where={"quantity": "output"}),
        own=NORMALIZATION(where={"quantity": "other batch"}),
    ),
    control={"layer": "batch"},
    rival=Rival(
        r"The variance has the divisor $m - 1$.",
        criterion=Identity("keras", "unbiased", operations=64, dtype="float32", where={"quantity": "output"}),
    ),
)
def layer_norm(seed, *, layer="layer", epsilon=EPSILON):
    """Compares Keras' layer over all axes but the first with the formula.

    Inputs are [16, 8] and [6, 3, 2, 8], normal with other means and scales in every channel. The samples' own
    statistics are shown by the same samples among others: their outputs must be the same. Batch normalisation in its
    place, the control, takes statistics that samples share.
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
        unbiased = normalized(x, axes, epsilon, divisor=x[0].size - 1)
        formula = normalized(x, axes, epsilon)
        tables.append(_sides(output, formula, input=name, quantity="output", unbiased=np.ravel(unbiased)))
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

    Inputs are [6, 3, 2, 8] with other means and scales in every channel. Two channels per group share statistics.
    """
    x = _draw(seed, SHAPES["convolutional"])
    output = _group_norm(x, x.shape[-1] // channels_per_group, epsilon)
    return _sides(output, normalized(x, (1, 2), epsilon))


@claim(
    "Group normalisation is a middle ground between layer and instance normalisation.",
    source=notes("Definition 3.78"),
    kind="formula",
    scope="the normalised values: with a single group it is layer normalisation, with a group for every channel "
    "instance normalisation; learned scales, which differ in shape, are left open",
    literature="Wu and He 2018, section 3.1: both are its ends",
    criterion=AllOf(
        layer=NORMALIZATION(where={"end": "layer"}),
        instance=NORMALIZATION(where={"end": "instance"}),
    ),
    control={"ends": (2, 4)},
)
def group_norm(seed, *, ends=(1, 8), epsilon=EPSILON):
    """Compares Keras' group normalisation at both ends with layer and with instance normalisation.

    Inputs are [6, 3, 2, 8] with other means and scales in every channel. Layer normalisation is Keras' own over all
    axes of a sample, instance normalisation the formula over space. The control has two and four groups, which are
    between the ends and give neither.
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
    r"\frac{1}{HW|G_i|}\sum (x_{cnhw} - \mu_n)^2$, $\hat x_{gn} = (x_n - \mu_n)/\sqrt{\sigma_n^2 + \epsilon}$.",
    source=notes("Definition 3.78"),
    kind="formula",
    scope=r"$\mu_n$, $\sigma_n^2$ and $x_n$ are the symbols of layer normalisation, and not defined here; whether "
    r"those of the group, $\mu_{gn}$, $\sigma_{gn}^2$ and $x_{gn}$, are meant is left open",
    left_open=("subscripts",),
    literature="Wu and He 2018, equations 1 and 7: mean and deviation of the group itself",
    criterion=NORMALIZATION(each=("subscripts",)),
    boundary=Boundary(
        "where the subscripts n on the right are read as gn",
        holds="subscripts == 'of the group'",
        assumption="Wu and He 2018, equations 1 and 7",
    ),
    control={"layer": "layer"},
)
def group_norm_formula(seed, *, groups=(1, 2, 4, 8), layer="group", epsilon=EPSILON):
    """Compares Keras' group normalisation with both readings of the printed formula, for one to eight groups.

    Inputs are [6, 3, 2, 8], eight channels with other means and scales in each. Definition 3.76 defines the moments
    with the subscript n as those of the sample: as printed, the group's mean is defined and never used, and what
    comes out is layer normalisation, which is right for one group only. The second route is the source of the
    definition, Wu and He 2018, where every group is normalised by its own moments. All group counts make up one cell.
    The control puts layer normalisation in place of Keras' group normalisation.
    """
    x = _draw(seed, SHAPES["convolutional"])
    tables = []
    for number in groups:
        grouped = x.reshape(*x.shape[:-1], number, -1)
        output = _group_norm(x, number if layer == "group" else 1, epsilon)
        for subscripts, axes in (("as printed", (1, 2, 3, 4)), ("of the group", (1, 2, 4))):
            formula = normalized(grouped, axes, epsilon).reshape(x.shape)
            tables.append(_sides(output, formula, groups=number, subscripts=subscripts))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"With $w = \gamma v/\|v\|$: $\partial E/\partial\gamma = \nabla_w E \cdot v/\|v\|$ and "
    r"$\nabla_v E = \frac{\gamma}{\|v\|}\left(I - \frac{w w^\top}{\|w\|^2}\right)\nabla_w E$.",
    source=cheatsheet("1.8.4"),
    kind="formula",
    literature="Salimans and Kingma 2016, equations 3 and 4",
    scope="any differentiable error",
    criterion=AllOf(
        gamma=Identity("autodiff", "formula", operations=1024, where={"parameter": "gamma"}),
        v=Identity("autodiff", "formula", operations=1024, where={"parameter": "v"}),
    ),
    control={"projected": False},
    rival=Rival(
        r"$\nabla_v E = \frac{1}{\|v\|}(I - w w^\top/\|w\|^2)\nabla_w E$, without the factor $\gamma$.",
        criterion=Identity("autodiff", "without_gamma", operations=1024, where={"parameter": "v"}),
    ),
)
def weight_norm_gradients(seed, *, inputs=12, examples=64, projected=True):
    """Differentiates the squared error of a tanh unit with weights w by gamma and v, and by w for the formulas.

    Normal inputs [64, 12] and targets; normal v, whose length is not one, and gamma between a half and two; double
    precision, gradients by the backend. The control leaves the projection out, which is what keeps the step orthogonal
    to w.
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
        _sides(by_v, formula, parameter="v", without_gamma=formula / gamma),
    ]
    return pd.concat(tables, ignore_index=True).rename(columns={"keras": "autodiff"})


@claim(
    "Typically batch normalisation takes the statistics of the mini-batch in training, and those of the population at "
    "inference.",
    source=notes("Remark 3.60"),
    kind="formula",
    scope="statistics of the population as Keras, like most, estimates them: by moving averages over batches",
    literature="Ioffe and Szegedy 2015, section 3.1",
    criterion=AllOf(
        training=NORMALIZATION(where={"quantity": "training"}),
        inference=NORMALIZATION(where={"quantity": "inference"}),
        population=Greater(
            "miss", of="one batch", than="moving averages", by="estimate", where={"quantity": "population"}
        ),
    ),
    control={"momentum": 1.0},
)
def bn_inference(seed, *, batches=40, batch_size=32, channels=32, momentum=0.9):
    """Puts the same samples into different batches, in both modes of Keras' layer.

    Training: the output is the formula with the batch's own mean and variance. Inference: the outputs of samples are
    the same in another batch. Population: after 40 batches of normal values the moving averages (momentum 0.9) miss
    mean and variance of the law that the values were drawn from by less than the statistics of one batch do: by theory
    by a factor of the root of (1 + 0.9) / (1 - 0.9) = 19, the number of batches that they are worth. Misses are
    root-mean-squares over 32 channels, in deviations and relative. The control has momentum 1, with which the layer
    keeps its initial statistics and learns nothing of the population.
    """
    generator = np.random.default_rng(seed)
    mean, deviation = generator.normal(size=channels), generator.uniform(0.5, 2.0, size=channels)
    layer = keras.layers.BatchNormalization(momentum=momentum, epsilon=EPSILON, dtype="float64")
    x = mean + deviation * generator.normal(size=(batches, batch_size, channels))
    for batch in x:
        layer(batch, training=True)
    moving = [keras.ops.convert_to_numpy(value) for value in (layer.moving_mean, layer.moving_variance)]
    misses = {
        estimate: np.sqrt(np.mean(np.square([(center - mean) / deviation, variance / deviation**2 - 1])))
        for estimate, (center, variance) in {
            "moving averages": moving,
            "one batch": (x[-1].mean(axis=0), x[-1].var(axis=0)),
        }.items()
    }
    half = batch_size // 2
    first, second = x[0], np.concatenate([x[0, :half], x[1, half:]])
    for_inference = [_apply(layer, batch, training=False)[:half] for batch in (first, second)]
    tables = [
        _sides(_apply(layer, second, training=True), normalized(second, (0,), EPSILON), quantity="training"),
        _sides(for_inference[1], for_inference[0], quantity="inference"),
        pd.DataFrame({"quantity": "population", "estimate": list(misses), "miss": list(misses.values())}),
    ]
    return pd.concat(tables, ignore_index=True)


def normalized(x, axes, epsilon, divisor=None):
    """Subtract the mean over axes and divide by the square root of the variance plus epsilon.

    The divisor of the variance is the number of values unless another one is given.
    """
    mean = x.mean(axis=axes, keepdims=True)
    squares = np.square(x - mean)
    if divisor is None:
        variance = squares.mean(axis=axes, keepdims=True)
    else:
        variance = squares.sum(axis=axes, keepdims=True) / divisor
    return (x - mean) / np.sqrt(variance + epsilon)


def _draw(seed, shape):
    """Normal values with a mean and a scale of their own in every channel, the last axis."""
    generator = np.random.default_rng(seed)
    mean, deviation = generator.normal(size=shape[-1]), generator.uniform(0.5, 2.0, size=shape[-1])
    return mean + deviation * generator.normal(size=shape)


def _unscaled(epsilon, x, seed, axis):
    """Outputs of Keras' batch normalisation before its scale and shift, after them, and these, which are random."""
    layer = keras.layers.BatchNormalization(
        axis=axis,
        epsilon=epsilon,
        beta_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed),
        gamma_initializer=keras.initializers.RandomUniform(0.5, 2.0, seed=seed),
        dtype="float64",
    )
    put_out = _apply(layer, x, training=True)
    shape = [1] * x.ndim
    shape[axis] = -1
    gamma, beta = (keras.ops.convert_to_numpy(value).reshape(shape) for value in (layer.gamma, layer.beta))
    return (put_out - beta) / gamma, put_out, gamma, beta


def _apply(layer, x, **options):
    return keras.ops.convert_to_numpy(layer(x, **options))


def _group_norm(x, groups, epsilon):
    return _apply(keras.layers.GroupNormalization(groups=groups, epsilon=epsilon, dtype="float64"), x)


def _gradient(function, *values):
    _, _, gradient = value_and_gradient(function, [keras.ops.convert_to_tensor(value, "float64") for value in values])
    return [keras.ops.convert_to_numpy(part) for part in gradient]


def _sides(keras_side, formula, **labels):
    return pd.DataFrame({**labels, "keras": np.ravel(keras_side), "formula": np.ravel(formula)})
