"""Networks that save computation: separable convolutions, and gradients of several devices."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Correction, Identity, Reported, claim, lectures, notes
from repro.claims.architectures._counts import multiplications
from repro.engine import backend

with epy.lazy_imports():
    import keras

# Howard et al. 2017, table 1: stride and output channels of each depth-wise separable layer.
MOBILENET = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *((1, 512),) * 5, (2, 1024), (1, 1024))


@claim(
    "A depth-wise and a point-wise convolution need far fewer parameters and operations than a standard one.",
    source=lectures("3.5.6"),
    kind="formula",
    literature=r"Howard et al. 2017, section 3.1: a share $1/N + 1/k^2$ for N filters of side k",
    criterion=AllOf(
        parameters=Identity("parameters_share", "share", operations=10, where={"network": "layer"}),
        operations=Identity("operations_share", "share", operations=10, where={"network": "layer"}),
        fewer_parameters=AtMost("parameters_share", 0.5),
        fewer_operations=AtMost("operations_share", 0.5),
    ),
    control={"sides": (1,)},
    reported=(
        Reported("4.2", measure="parameters, millions", setting="MobileNet", place="Howard et al. 2017, table 4"),
        Reported(
            "29.3",
            measure="parameters, millions",
            setting="its twin of dense convolutions",
            place="Howard et al. 2017, table 4",
        ),
        Reported("569", measure="multiply-adds, millions", setting="MobileNet", place="Howard et al. 2017, table 4"),
        Reported(
            "4866",
            measure="multiply-adds, millions",
            setting="its twin of dense convolutions",
            place="Howard et al. 2017, table 4",
        ),
    ),
)
def separable_convolution(*, sides=(3, 5, 7), channels=(16, 64, 256), filters=(8, 64, 512)):
    """Counts weights and multiply-adds of separable and standard Keras layers, and of MobileNet and its dense twin.

    Single layers see maps of 14 x 14 and must need exactly the share 1/N + 1/k². Far fewer means at most half, of the
    single layers and of both networks, for images of 224 x 224 and 1000 classes. The control has windows of a single
    pixel, which leave nothing to separate.
    """
    rows = []
    for side in sides:
        for inputs in channels:
            for outputs in filters:
                options = {"padding": "same", "use_bias": False}
                separable, standard = (
                    keras.Sequential([keras.Input((14, 14, inputs)), layer(outputs, side, **options)])
                    for layer in (keras.layers.SeparableConv2D, keras.layers.Conv2D)
                )
                rows.append({"network": "layer", "share": 1 / outputs + 1 / side**2, **_shares(separable, standard)})
        if side == 3:
            rows.append({"network": "MobileNet", **_shares(mobilenet(separable=True), mobilenet(separable=False))})
    return pd.DataFrame(rows)


def mobilenet(*, separable):
    """Build MobileNet, or its twin of standard convolutions, with zero weights (Howard et al. 2017, table 1)."""
    zero = {"padding": "same", "use_bias": False, "kernel_initializer": "zeros"}
    layers = [keras.Input((224, 224, 3)), keras.layers.Conv2D(32, 3, strides=2, **zero), *_normalized()]
    for stride, filters in MOBILENET:
        if separable:
            depthwise = keras.layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)
            layers += [depthwise, *_normalized(), keras.layers.Conv2D(filters, 1, **zero), *_normalized()]
        else:
            layers += [keras.layers.Conv2D(filters, 3, strides=stride, **zero), *_normalized()]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1000)])


@claim(
    "Splitting a batch over replicas of a network on several devices and summing their gradients gives the gradient of "
    "the whole batch on one device.",
    source=notes("Remark 3.30"),
    kind="formula",
    literature="PyTorch documentation of DataParallel",
    criterion=Identity("summed", "whole", operations=1000, dtype="float32", each=("network",)),
    control={"loss_over": "chunk"},
    correction=Correction(
        "It does where the examples of a batch do not influence each other; batch normalisation in training mode takes "
        "its statistics from each replica's own chunk, and the gradient is another one.",
        networks=("dense", "layer normalisation"),
    ),
)
def data_parallel_gradients(
    seeds,
    *,
    networks=("dense", "layer normalisation", "batch normalisation"),
    replicas=4,
    batch=32,
    features=5,
    width=8,
    loss_over="batch",
):
    """Compares gradients of a Keras network in training mode: chunks summed against whole batch.

    The outputs of all chunks share one cross-entropy, the mean over the whole batch, as in DataParallel; the replicas
    run one after the other on one device. Data are normal with random classes. The notes only say that gradients are
    summed; that the sum is the single device's is what makes it data parallelism, and the mistake is the scope:
    networks with batch normalisation are not excepted. In the control each replica takes the mean over its own chunk.
    """
    rows = []
    for kind in networks:
        model = _small_network(kind, features, width)
        for seed in seeds:
            generator = np.random.default_rng(seed)
            weights = [0.5 * generator.normal(size=weight.shape) for weight in model.trainable_weights]
            x = generator.normal(size=(batch, features))
            y = generator.integers(3, size=batch)
            whole = _gradient(model, weights, x, y, batch)
            chunks = [
                _gradient(model, weights, *part, batch if loss_over == "batch" else batch // replicas)
                for part in zip(np.split(x, replicas), np.split(y, replicas), strict=True)
            ]
            columns = {"whole": whole, "summed": np.sum(chunks, axis=0)}
            rows.append(pd.DataFrame({"seed": seed, "network": kind, **columns}))
    return pd.concat(rows, ignore_index=True)


def _shares(network, other):
    return {
        "parameters_share": network.count_params() / other.count_params(),
        "operations_share": multiplications(network) / multiplications(other),
    }


def _normalized():
    return [keras.layers.BatchNormalization(), keras.layers.ReLU(6.0)]


def _small_network(kind, features, width):
    layers = {
        "dense": [],
        "layer normalisation": [keras.layers.LayerNormalization()],
        "batch normalisation": [keras.layers.BatchNormalization()],
    }[kind]
    hidden, outputs = keras.layers.Dense(width), keras.layers.Dense(3)
    return keras.Sequential([keras.Input((features,)), hidden, *layers, keras.layers.Activation("tanh"), outputs])


def _gradient(model, weights, x, y, examples):
    """Gradient, flattened, of the summed cross-entropy over a number of examples."""

    def loss(values):
        outputs, _ = model.stateless_call(values, model.non_trainable_variables, x, training=True)
        losses = keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True)
        return keras.ops.sum(losses) / examples, ()

    values = [keras.ops.convert_to_tensor(weight, "float32") for weight in weights]
    _, _, gradient = backend.value_and_gradient(loss, values)
    return np.concatenate([keras.ops.convert_to_numpy(one).ravel() for one in gradient])
