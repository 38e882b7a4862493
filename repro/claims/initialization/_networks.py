"""Networks with weights drawn by the rules of the documents."""

from __future__ import annotations

import math

from etils import epy

from repro.engine import load_data, mlp, probe

with epy.lazy_imports():
    import keras

# Half the width of the interval from which the weights of a layer with n inputs and m outputs are drawn uniformly.
HALF_WIDTHS = {
    "1/sqrt(n)": lambda n, _: 1 / math.sqrt(n),
    "sqrt(3/n)": lambda n, _: math.sqrt(3 / n),
    "sqrt(3) 2/(n+m)": lambda n, m: math.sqrt(3) * 2 / (n + m),
    "sqrt(6/(n+m))": lambda n, m: math.sqrt(6 / (n + m)),
    "sqrt(3) 2/n": lambda n, _: math.sqrt(3) * 2 / n,
    "sqrt(6/n)": lambda n, _: math.sqrt(6 / n),
}


def cross_entropy():
    """Cross-entropy of logits and classes."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def normal_weights(scale, mode="fan_in"):
    """Configure an initialiser of normal weights of variance scale / n; n is the number of inputs by default."""
    config = {"scale": scale, "mode": mode, "distribution": "untruncated_normal"}
    return {"class_name": "VarianceScaling", "config": config}


def weights_of_deviation(deviation):
    """Configure an initialiser of normal weights of the same deviation in every layer."""
    return {"class_name": "RandomNormal", "config": {"stddev": deviation}}


# Initial weights that are compared in training; Keras' normal Glorot initialiser is the first, but for its truncation.
WEIGHTS = {
    "Glorot": lambda: normal_weights(1.0, "fan_avg"),
    "a third": lambda: normal_weights(1 / 3),
    "large": lambda: normal_weights(16.0, "fan_avg"),
    "variance 0.01": lambda: weights_of_deviation(0.1),
    "deviation 0.01": lambda: weights_of_deviation(0.01),
}


def network_of(*, depth, width, activation, weights, inputs, outputs):
    """Build a network of equal hidden layers with initial weights of a name."""
    return _equal_layers(depth, width, activation, WEIGHTS[weights](), inputs, outputs)


def normal_network(*, depth, width, activation, scale, inputs, outputs):
    """Build a network of equal hidden layers with normal weights of variance scale / inputs."""
    return _equal_layers(depth, width, activation, normal_weights(scale), inputs, outputs)


def _equal_layers(depth, width, activation, initializer, inputs, outputs):
    return mlp(inputs=inputs, outputs=outputs, widths=(width,) * depth, activation=activation, initializer=initializer)


def coarse_validation_loss(training):
    """Validation loss of a trial in steps of five per cent, by which rates that do as well tie.

    Of those the first one listed is taken: a network that learns at no rate is trained at a usual one.
    """
    loss = float(training.final["validation_loss"].median())
    return round(math.log(loss) / math.log(1.05)) if math.isfinite(loss) else math.inf


def drawn_images(data, examples):
    """Make a function that draws standardised images for a seed."""
    images = load_data(data).standardized().flat()
    return lambda seed: images.subset(examples, seed)


def probe_hidden(network, data, seeds, *, examples=256, **grids):
    """Probe the hidden layers of untrained networks on standardised images, which each seed redraws."""
    images = load_data(data)
    shape = {"inputs": images.x_train[0].size, "outputs": images.classes}
    observations = probe(network, drawn_images(data, examples), seeds, loss=cross_entropy(), **grids, **shape)
    return observations[observations["layers_back"] > 0].reset_index(drop=True)
