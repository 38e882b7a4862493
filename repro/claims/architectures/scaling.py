"""Wider, deeper, finer: how networks are scaled."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Greater, Reported, claim, lectures
from repro.claims.architectures._counts import multiplications, weighted_depth
from repro.engine import classifier, compare_arms, convolution, load_data, residual_network

with epy.lazy_imports():
    import keras

POINT = "one point of error is what choosing another seed changes here"


def widening_experiment(
    seeds, *, steps=250, batch_size=64, depths=(8, 20), widths=(6, 11), rates=(0.03, 0.1), data="digits"
):
    """Trains residual networks: shallow and narrow, shallow and wide, and deep and narrow with as many parameters.

    The networks of He et al. 2016 for small images, SGD with momentum 0.9, each at the rate of the lowest training
    loss; errors are shares of misclassified test images in inference mode at the end. Parameters, multiply-adds and the
    layers with kernels on the longest path are counted from the Keras models.
    """
    images = load_data(data)
    shapes = {"narrow": (depths[0], widths[0]), "wide": (depths[0], widths[1]), "deep": (depths[1], widths[0])}
    options = {"shape": images.shape, "classes": images.classes}
    arms = {
        name: classifier(
            residual_network,
            images,
            steps=steps,
            batch_size=batch_size,
            optimizer=keras.optimizers.SGD(momentum=0.9),
            depth=depth,
            width=width,
        )
        for name, (depth, width) in shapes.items()
    }
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="network")
    counted = {
        name: _costs(residual_network(depth=depth, width=width, **options)) for name, (depth, width) in shapes.items()
    }
    costs = pd.DataFrame(counted).T.rename_axis("network").reset_index()
    records["test_error"] = 1 - records["test_accuracy"]
    observations = records[["seed", "network", "learning_rate", "train_loss", "test_error"]].merge(costs, on="network")
    observations.attrs = records.attrs
    return observations


@claim(
    "More filters in each layer instead of more layers make a network cheaper to compute and easier to parallelise, "
    "and improve its performance without a significant increase in complexity.",
    source=lectures("3.5.7"),
    kind="finding",
    literature="Zagoruyko and Komodakis 2016, section 2 and table 5",
    reads=widening_experiment,
    criterion=AllOf(
        parameters=AtMost("parameters", "parameters_allowed", where={"network": "wide"}),
        multiplications=AtMost("multiplications", "multiplications_allowed", where={"network": "wide"}),
        longest_path=AtMost("layers", "layers_allowed", where={"network": "wide"}),
        performance=Greater(
            "test_error", of="other", than="wide", by="network", smallest_difference=-0.01, because=POINT
        ),
    ),
    smoke={"steps": 60, "rates": (0.1,)},
    full={"data": "cifar10", "steps": 30000, "batch_size": 128, "widths": (16, 31), "depths": (14, 44)},
    control={"against": "narrow"},
    seeds=12,
    reported=(
        Reported(
            "4.27 %", measure="test error", setting="WRN-16-8, CIFAR-10", place="Zagoruyko and Komodakis 2016, table 5"
        ),
        Reported(
            "4.92 %",
            measure="test error",
            setting="ResNet-1001 of as many parameters, CIFAR-10",
            place="Zagoruyko and Komodakis 2016, table 5",
        ),
    ),
)
def wide_resnet(observations, *, against="deep"):
    """Compares the wide network in cost and error with a deeper one of narrow layers.

    A tenth more parameters, operations or layers is significant; fewer layers on the longest path leave more to be done
    in parallel. Performance asks that the wide network is no worse. In the control nothing is saved in depth: against
    a narrow network of as many layers the costs grow with the square of the width.
    """
    other = observations[observations["network"] == against]
    allowed = {f"{cost}_allowed": 1.1 * other[cost].iloc[0] for cost in ("parameters", "multiplications", "layers")}
    wide = observations[observations["network"] == "wide"]
    return pd.concat([other.assign(network="other"), wide], ignore_index=True).assign(**allowed)


# Layers, filters and side of the images; about four times the multiply-adds of (3, 8, 4) each.
SCALED = {"depth": (10, 8, 4), "width": (3, 16, 4), "resolution": (3, 8, 8), "compound": (4, 9, 6)}


def scaling_experiment(
    seeds,
    *,
    training_images=1000,
    steps=500,
    batch_size=32,
    rates=(0.003, 0.01),
    data="digits",
):
    """Trains convolutional networks scaled in four ways to about four times the multiply-adds of a small one.

    The small one has 3 layers of 8 filters of 3x3 and sees images of 4 x 4 pixels; images are resized by averaging over
    the pixels that they cover (Keras' antialiased bilinear resizing). Depth, width and resolution are scaled alone (10
    layers, 16 filters, 8 pixels) or together (4 layers, 9 filters, 6 pixels). Residual connections, linear layer on
    mean maps, Adam, each arm at the rate of the lowest training loss.
    """
    source = load_data(data).subset(training_images, 0)
    arms, costs = {}, {}
    for name, (depth, width, side) in SCALED.items():
        resized = _resized(source, side)
        options = {"shape": resized.shape, "classes": source.classes, "depth": depth, "width": width}
        costs[name] = multiplications(scaled_network(**options))
        arms[name] = classifier(
            scaled_network, resized, steps=steps, batch_size=batch_size, optimizer="adam", **options
        )
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="scaled")
    cheapest = min(cost for name, cost in costs.items() if name != "compound")
    return records[["seed", "scaled", "learning_rate", "train_loss"]].assign(
        test_error=1 - records["test_accuracy"],
        multiplications=records["scaled"].map(costs),
        tenth_over_cheapest=1.1 * cheapest,
    )


@claim(
    "Scaling depth, width and resolution together by one coefficient is more efficient than scaling one of them.",
    source=lectures("3.5.7"),
    kind="finding",
    literature="Tan and Le 2019, section 3 and figure 8",
    reads=scaling_experiment,
    criterion=AllOf(
        cost=AtMost("multiplications", "tenth_over_cheapest", where={"scaled": "compound"}),
        **{
            single: Greater(
                "test_error", of=single, than="compound", by="scaled", smallest_difference=0.01, because=POINT
            )
            for single in ("depth", "width", "resolution")
        },
    ),
    smoke={"steps": 150, "rates": (0.01,)},
    full={"data": "cifar10", "steps": 20000, "batch_size": 128},
    control={"compound": "width"},
    seeds=12,
    decided_by="images of 32 x 32 pixels, as profile full has: on 8 x 8 errors of one kind of network differ by tens "
    "of points between seeds.",
    reported=(
        Reported(
            "79.0 %",
            measure="top-1 accuracy, scaled in depth",
            setting="EfficientNet-B0, ImageNet",
            place="Tan and Le 2019, table 7",
        ),
        Reported(
            "78.9 %",
            measure="top-1 accuracy, scaled in width",
            setting="EfficientNet-B0, ImageNet",
            place="Tan and Le 2019, table 7",
        ),
        Reported(
            "79.1 %",
            measure="top-1 accuracy, scaled in resolution",
            setting="EfficientNet-B0, ImageNet",
            place="Tan and Le 2019, table 7",
        ),
        Reported(
            "81.1 %",
            measure="top-1 accuracy, compound scaling",
            setting="EfficientNet-B0, ImageNet",
            place="Tan and Le 2019, table 7",
        ),
    ),
)
def efficientnet(observations, *, compound="compound"):
    """Compares each network that is scaled in one way with that of compound scaling, at no more multiply-adds.

    In the control the network of compound scaling is the wide one.
    """
    alone = observations[observations["scaled"] != "compound"]
    chosen = observations[observations["scaled"] == compound].assign(scaled="compound")
    return pd.concat([alone, chosen], ignore_index=True)


def scaled_network(*, shape, classes, depth, width):
    """Build residual 3x3 convolutions with ReLU, all of one width and without striding, and a head on mean maps."""
    inputs = keras.Input(shape)
    x = convolution(width, 3, padding="same", activation="relu")(inputs)
    for _ in range(depth - 1):
        x = keras.layers.Add()([x, convolution(width, 3, padding="same", activation="relu")(x)])
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(x)))


def _resized(images, side):
    def resize(x):
        return keras.ops.convert_to_numpy(keras.ops.image.resize(x, (side, side), antialias=True))

    return replace(images, x_train=resize(images.x_train), x_test=resize(images.x_test))


def _costs(model):
    return {
        "parameters": model.count_params(),
        "multiplications": multiplications(model),
        "layers": weighted_depth(model),
    }
