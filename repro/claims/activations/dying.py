"""What high learning rates do to units without and with a slope for negative inputs, and without and with a cap."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, Identity, PositiveControl, claim, lectures
from repro.engine import Record, join_tables, load_data, train
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

CONDITIONS = ("learning_rate", "steps")
SMOKE = {"rates": (0.05, 0.7, 1.0), "steps": 200}
DIES = 0.7  # learning rate from which on ReLU units are expected to die
MEASURES = {"grow": "largest", "for_lack_of_a_cap": "gradient"}
FULL = {"data": "mnist", "images": 10_000, "width": 128, "steps": 5000}
STOPPED = 1e-4  # of the layer's largest gradient: halfway between slopes of a hundredth and of a millionth
UNITS = {"relu": 0.0, "leaky_relu": None, "relu6": 0.0}  # slopes for negative inputs; None for that of the experiment


def high_rates(seeds, *, slope=0.01, rates=(0.05, 0.7, 1.0), images=300, depth=3, width=32, steps=400, data="digits"):
    """Trains ReLU, leaky ReLU and capped ReLU networks at several rates, and looks at their units.

    Three hidden layers of 32 units, He's normal weights, biases from zero, plain stochastic gradient descent in batches
    of 32 on 300 standardised images, which each seed redraws. After half and all of the steps, and at the start: the
    share of hidden units that are positive for none of the training images, which then all have the slope of negative
    inputs; the largest root mean square of a layer's outputs so far, and the largest norm of the loss's gradient by
    those of the first layer, of ten measurements, infinite where a run diverged. After the last step, by Keras: the
    largest entry of the gradient of the loss over all training images by the weights into units that are dead, and the
    share of units for which none is above a ten-thousandth of the largest of their layer; all of a run that diverged.
    """
    loaded = load_data(data).standardized().flat()
    redrawn = lambda seed: loaded.subset(images, seed)  # noqa: E731  it is data, as much as images are
    tables = []
    for activation, of_negative in UNITS.items():
        negative = slope if of_negative is None else of_negative
        shape = {"depth": depth, "width": width, "cap": 6.0 if activation == "relu6" else None, "slope": negative}
        trained = train(
            sloped_network,
            redrawn,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer="sgd",
            steps=steps,
            batch_size=32,
            record=Record(every=steps // 10, probed=images),
            seeds=list(seeds),
            learning_rate=[0.0, *rates],
            inputs=loaded.x_train.shape[1],
            outputs=loaded.classes,
            **shape,
        )
        layers = trained.layers[trained.layers["name"].str.startswith("hidden")].copy()
        layers["size"] = np.sqrt(layers["second_moment"])
        by_run = layers.groupby(["seed", "learning_rate", "step"])
        table = by_run.agg(dead_share=("dead", "mean"), largest=("size", "max"), gradient=("gradient", "first"))
        table = table.reset_index().rename(columns={"step": "steps"})
        losses = trained.records.set_index(["seed", "learning_rate", "step"])["train_loss"]
        diverged = ~np.isfinite(
            losses.loc[list(zip(table["seed"], table["learning_rate"], table["steps"], strict=True))]
        )
        table["diverged"] = diverged.to_numpy()
        # what has diverged is no number: all its units are lost, and what they put out is beyond any size
        for column, lost in (("dead_share", 1.0), ("largest", np.inf), ("gradient", np.inf)):
            table[column] = table[column].where(np.isfinite(table[column]) & ~table["diverged"], lost)
        by_run = table.sort_values("steps").groupby(["seed", "learning_rate"])
        for column in ("largest", "gradient"):
            table[column] = by_run[column].cummax()
        table = table[table["steps"].isin([steps // 2, steps])]
        started = table["learning_rate"] == 0
        at_start = table[started].assign(state="start").drop(columns="learning_rate")
        tables.append(table[~started].assign(activation=activation, state="trained", of="units"))
        tables += [at_start.assign(activation=activation, learning_rate=rate, of="units") for rate in rates]
        tables.append(_gradients(trained, redrawn).assign(activation=activation, of="gradients"))
    return join_tables(tables)


def sloped_network(*, inputs, outputs, depth, width, slope, cap):
    """Build a network of hidden units with a slope for negative inputs, and a cap on what they put out or none."""
    layers = [keras.Input((inputs,))]
    for layer in range(depth):
        layers.append(keras.layers.Dense(width, kernel_initializer=keras.initializers.VarianceScaling(2.0)))
        unit = keras.layers.ReLU(max_value=cap, negative_slope=slope, name=f"hidden_{layer}")
        layers.append(unit)
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


def _gradients(trained, redrawn):
    """Gradients by the weights into dead units, and the share of units whose gradients have stopped, of each run."""
    rows = []
    for place, (seed, rate) in enumerate(trained.replicas[["seed", "learning_rate"]].itertuples(index=False)):
        if rate == 0:
            continue
        labels = {"seed": seed, "learning_rate": rate, "zero": 0.0}
        if not all(np.isfinite(each).all() for each in trained.weights[place]):
            rows.append({**labels, "dead": 0, "of_dead": 0.0, "stopped_share": 1.0})
            continue
        images = redrawn(int(seed))
        dead, largest = _of_layers(trained.model(place), images.x_train, images.y_train)
        stopped = [of_layer <= STOPPED * of_layer.max() for of_layer in largest]
        of_dead = max(of_layer[of].max(initial=0.0) for of_layer, of in zip(largest, dead, strict=True))
        columns = {"dead": int(np.sum(dead)), "of_dead": float(of_dead), "stopped_share": float(np.mean(stopped))}
        rows.append({**labels, **columns})
    return pd.DataFrame(rows)


def _of_layers(model, x, y):
    """Which units of each hidden layer are dead, and the largest gradients by the weights into them, by Keras."""
    signal, dead = x, []
    for layer in model.layers[:-1]:
        signal = layer(signal)
        if isinstance(layer, keras.layers.Dense):
            dead.append((keras.ops.convert_to_numpy(signal) <= 0).all(axis=0))

    def loss(values):
        outputs, _ = model.stateless_call(values, [], x)
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True)), ()

    _, _, gradients = value_and_gradient(loss, [variable.value for variable in model.trainable_variables])
    return dead, [np.abs(keras.ops.convert_to_numpy(each)).max(axis=0) for each in gradients[:-2:2]]


@claim(
    "ReLU neurons can get stuck negative for all inputs, so that their gradients are zero and they stop updating; some "
    "can become permanently inactive when their weights are updated so that they never activate again.",
    source=(lectures("2.2.3"), lectures("3.3.2")),
    kind="possibility",
    scope="ReLU networks in training; learning rate, biases and depth are left open, and the optimiser, which "
    "is plain gradient descent here; that units stay inactive is derived for the first layer, not followed in training",
    left_open=("learning_rate",),
    literature="Lu et al. 2020: dying ReLU and initialisation; Douglas and Yu 2018",
    reads=high_rates,
    criterion=AllOf(
        stuck=Greater(
            "dead_share",
            of="trained",
            than="start",
            by="state",
            each=CONDITIONS,
            where={"of": "units", "activation": "relu"},
            smallest_difference=0.01,
        ),
        stops=Identity("of_dead", "zero", atol=1e-12, where={"of": "gradients", "activation": "relu"}),
    ),
    smoke=SMOKE,
    full=FULL,
    seeds=48,
)
def dying_relu(observations):
    """Compares the share of dead units after training with that before it, and takes the gradients of dead ones.

    A dead unit of the first layer stays so whatever becomes of the others, since its inputs are the images and its
    weights have no gradient; one of a later layer may revive while the layers before it move. A run that diverged
    counts as all its units dead.
    """
    return observations[observations["of"].isin(["units", "gradients"])].reset_index(drop=True)


@claim(
    "With a small slope (0.01) for negative inputs neurons are less likely to die.",
    source=lectures("2.2.3"),
    kind="tendency",
    scope="slope 0.01 for negative inputs, where ReLU units die",
    left_open=("learning_rate",),
    literature="Maas et al. 2013",
    reads=high_rates,
    criterion=Greater(
        "stopped_share",
        of="relu",
        than="leaky_relu",
        by="activation",
        each=("learning_rate",),
        where={"of": "gradients"},
        smallest_difference=0.01,
    ),
    boundary=Boundary(f"at rates at which ReLU units die, from {DIES} on", holds=f"learning_rate >= {DIES}"),
    smoke=SMOKE,
    full=FULL,
    control={"slope": 1e-6},
    positive_control=PositiveControl(
        "Of ReLU units more die at the highest rate than of leaky ones at any.",
        criterion=Greater(
            "stopped_share",
            of="relu at the highest rate",
            than="leaky_relu",
            by="activation",
            each=("learning_rate",),
            where={"of": "gradients"},
            smallest_difference=0.02,
            because="it is twice what matters",
        ),
    ),
    seeds=48,
)
def leaky_relu_survives(observations):
    """Compares the share of units whose gradients have stopped after the last step, see ``high_rates``.

    Units of leaky ReLU that are negative for all images still have gradients, a hundredth as large as those of active
    ones, unless what is passed back to them is nothing or the run diverged. The share of units that are positive for no
    image stands in the observations. The control has the slope of a millionth in place of a hundredth. Highest: of the
    rates that are run.
    """
    gradients = observations[observations["of"] == "gradients"]
    relu = gradients[gradients["activation"] == "relu"]
    highest = relu[relu["learning_rate"] == relu["learning_rate"].max()].drop(columns="learning_rate")
    tables = [
        highest.assign(activation="relu at the highest rate", learning_rate=rate)
        for rate in sorted(relu["learning_rate"].unique())
    ]
    return pd.concat([observations, *tables], ignore_index=True)


@claim(
    "As ReLU does not cap its output, activations can grow very large, potentially leading to exploding gradients "
    "under high learning rates.",
    source=lectures("2.2.3"),
    kind="possibility",
    scope="high learning rates; depth and initialisation are left open",
    left_open=("learning_rate",),
    reads=high_rates,
    criterion=AllOf(
        **{
            part: Greater(column, of="relu", than="relu6", by="activation", each=CONDITIONS, where={"state": "trained"})
            for part, column in MEASURES.items()
        }
    ),
    smoke=SMOKE,
    full=FULL,
    positive_control=PositiveControl(
        "Outputs and gradients of ReLU networks grow in training.",
        criterion=AllOf(
            **{
                part: Greater(
                    column,
                    of="trained",
                    than="start",
                    by="state",
                    each=CONDITIONS,
                    where={"activation": "relu"},
                    smallest_ratio=1.05**2,
                    because="it is twice what matters",
                )
                for part, column in MEASURES.items()
            }
        ),
    ),
    seeds=48,
)
def relu_unbounded_explodes(observations):
    """Compares the root mean square of hidden outputs, and gradients, with those of a ReLU that is capped at six.

    It has the same slope. The largest so far: a run may have exploded before its units died. Outputs: of the layer with
    the largest. Gradients: the norm of the loss's gradient by the outputs of the first hidden layer. Both are infinite
    for runs that diverged. The positive control compares with the state before training.
    """
    return observations[observations["of"] == "units"].reset_index(drop=True)
