"""Networks that save computation: separable convolutions, and gradients of several devices."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Identity, Reported, Rival, claim, lectures, notes
from repro.claims.architectures._counts import multiplications
from repro.engine import backend

with epy.lazy_imports():
    import keras

# Howard et al. 2017, table 1: stride and output channels of each depth-wise separable layer.
MOBILENET = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *((1, 512),) * 5, (2, 1024), (1, 1024))


@claim(
    "Splitting a convolution into a depth-wise and a point-wise one significantly reduces parameters and operations, "
    "and MobileNet needs far fewer of them than a traditional network.",
    source=lectures("3.5.6", parts=("fewer_parameters", "fewer_operations")),
    kind="formula",
    scope="windows of several pixels and tens of output channels or more",
    literature=r"Howard et al. 2017, section 3.1: a share $1/N + 1/k^2$ for N filters of side k",
    criterion=AllOf(
        fewer_parameters=AtMost("parameters_share", 1 / 1.05),
        fewer_operations=AtMost("operations_share", 1 / 1.05),
        share_of_parameters=Identity("parameters_share", "share", operations=10, where={"network": "layer"}),
        share_of_operations=Identity("operations_share", "share", operations=10, where={"network": "layer"}),
    ),
    rival=Rival(
        "The share is 1/N + 1/k for N filters of side k.",
        criterion=Identity("parameters_share", "share_of_rival", operations=10, where={"network": "layer"}),
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
def separable_convolution(*, sides=(3, 5, 7), channels=(16, 64, 256), filters=(16, 64, 512)):
    """Counts weights and multiply-adds of separable and standard Keras layers, and of MobileNet and its dense twin.

    Single layers see maps of 14 x 14 and must need exactly the share 1/N + 1/k² that the source derives. Fewer means by
    five per cent at least, of the single layers and of both networks, for images of 224 x 224 and 1000 classes; the
    share of that bound which is reached stands beside the verdict. The control has windows of a single pixel, which
    leave nothing to separate.
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
                stated = {"share": 1 / outputs + 1 / side**2, "share_of_rival": 1 / outputs + 1 / side}
                rows.append({"network": "layer", **stated, **_shares(separable, standard)})
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
    "A batch is split over replicas of a network, each of which handles its portion, and the gradients of the replicas "
    "are summed into the original one.",
    source=notes("Remark 3.30"),
    kind="formula",
    scope="batches larger than the number of devices; that the sum is the gradient of a single device is not said, and "
    "the loss, and layers in which examples influence each other, are left open",
    left_open=("network", "loss"),
    literature="PyTorch documentation of DataParallel; Goyal et al. 2017, section 2.3, of normalisation by replica, "
    "and section 3, of losses that each replica averages",
    criterion=Identity("summed", "whole", operations=1000, dtype="float32", each=("network", "loss")),
    boundary=Boundary(
        "where examples do not influence each other and no replica takes an average of its own",
        holds="network != 'batch normalisation' and loss == 'of the whole batch'",
        assumption="Goyal et al. 2017, sections 2.3 and 3: losses and statistics that are not each replica's own",
    ),
    rival=Rival(
        "The gradient of the whole batch is the average of those of the replicas.",
        criterion=Identity("averaged", "whole", operations=1000, dtype="float32", where={"loss": "of the whole batch"}),
    ),
)
def data_parallel_gradients(
    seeds,
    *,
    networks=("dense", "layer normalisation", "batch normalisation"),
    replicas=3,
    batch=32,
    features=5,
    width=8,
):
    """Compares gradients of a Keras network in training mode: chunks of unequal size summed, against the whole batch.

    The notes only say that gradients are summed; that the sum is the single device's gradient is what makes it data
    parallelism, so that this is what is compared, under both conditions. The outputs of all chunks share one
    cross-entropy, the mean over the whole batch, as DataParallel has it, or each replica takes the mean over its chunk.
    The replicas run one after the other on one device; data are normal with random classes. Theory: the gradient of a
    sum is the sum of gradients if every term depends on its own example alone, which layer normalisation grants and
    batch normalisation does not; means of chunks sum to about as many times the mean as there are replicas.
    """
    tables = []
    for kind in networks:
        model = _small_network(kind, features, width)
        for seed in seeds:
            generator = np.random.default_rng(seed)
            weights = [0.5 * generator.normal(size=weight.shape) for weight in model.trainable_weights]
            x = generator.normal(size=(batch, features))
            y = generator.integers(3, size=batch)
            whole = _gradient(model, weights, x, y, batch)
            chunks = list(zip(np.array_split(x, replicas), np.array_split(y, replicas), strict=True))
            of_chunks = [_gradient(model, weights, *chunk, batch) for chunk in chunks]
            shares = [len(chunk) / batch for _, chunk in chunks]
            for loss, divisors in (("of the whole batch", [1.0] * replicas), ("of each chunk", shares)):
                gradients = [one / divisor for one, divisor in zip(of_chunks, divisors, strict=True)]
                columns = {"whole": whole, "summed": np.sum(gradients, axis=0), "averaged": np.mean(gradients, axis=0)}
                tables.append(pd.DataFrame({"seed": seed, "network": kind, "loss": loss, **columns}))
    return pd.concat(tables, ignore_index=True)


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
