"""What batch normalisation does to the distribution of a layer's values, at the start and during training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, Ratio, Reported, claim, lectures, notes
from repro.claims.normalization._trainings import ARMS, scaled_network
from repro.engine import classifier, load_data, tune
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.stats

SHIFTS = ("moments", "law", "gradients")


@claim(
    "Batch normalisation forces the activations of each layer to values that approximate a unit Gaussian at the start "
    "of training.",
    source=lectures("2.3.4"),
    kind="tendency",
    scope="values that are normalised before the activation, of untrained networks; width, depth and law of the inputs "
    "are left open",
    left_open=("law", "depth"),
    literature="Ioffe and Szegedy 2015, section 3, claim normalised moments only; Diaconis and Freedman 1984: most "
    "projections of high-dimensional data are nearly Gaussian",
    criterion=AllOf(
        unit=Ratio(
            "variance",
            of="normalised",
            than="unit",
            by="values",
            expected=1.0,
            within=1.05,
            each=("law", "depth"),
            where={"quantity": "variance"},
        ),
        gaussian=Greater(
            "distance",
            of="nearest other law",
            than="Gaussian",
            by="law_compared",
            each=("law", "depth"),
            where={"quantity": "distance"},
        ),
    ),
    boundary=Boundary(
        "in mean and variance by construction, in shape where a unit sums many inputs",
        holds="part == 'unit' or law == 'digits'",
    ),
    control={"normalised": False},
    positive_control=PositiveControl(
        "Another law is told from the Gaussian: values of one heavy-tailed input are nearer to a Laplace law.",
        criterion=Greater(
            "distance",
            of="Gaussian",
            than="nearest other law",
            by="law_compared",
            smallest_ratio=1.05**2,
            because="it is twice what matters",
            each=("law", "depth"),
            where={"quantity": "distance", "law": "one heavy-tailed input"},
        ),
    ),
    seeds=48,
)
def bn_unit_gaussian(
    seed,
    *,
    examples=256,
    width=256,
    depth=10,
    normalised=True,
    data="digits",
):
    """Compares what fresh Keras layers of batch normalisation put out with the unit Gaussian and with other unit laws.

    Networks of ReLU layers with He's weights and batch normalisation in every layer, width 256, on 256 standardised
    images that each seed redraws: values behind the first and the tenth normalisation. Beside them one layer on a
    single input with Student's t law of 3 degrees of freedom. Unit: the variance of the values, averaged over units;
    the mean is zero as the layer subtracts it. Both follow from the formula, and are a worked number. Gaussian:
    Wasserstein distances of a unit's standardised values to the normal, the uniform and the Laplace law with mean 0 and
    variance 1, by quantiles, averaged over units; the law that is approximated is the nearest of the three. The sum of
    many inputs is nearly Gaussian over examples, that of one has the input's own shape, which normalising keeps: a
    linear map. The control does not normalise; with He's weights the variance is then two.
    """
    images = load_data(data).standardized().flat().subset(examples, seed).x_train.astype(float)
    generator = np.random.default_rng(seed)
    heavy = generator.standard_t(3, size=(examples, 1))
    rows = []
    for law, signal, layers in (("digits", images, (1, depth)), ("one heavy-tailed input", heavy, (1,))):
        for layer in range(1, max(layers) + 1):
            initializer = keras.initializers.HeNormal(seed=int(generator.integers(2**31)))
            values = keras.layers.Dense(width, kernel_initializer=initializer, dtype="float64")(signal)
            if normalised:
                values = keras.layers.BatchNormalization(dtype="float64")(values, training=True)
            if layer in layers:
                rows += _laws(keras.ops.convert_to_numpy(values), law=law, depth=layer)
            signal = keras.ops.relu(values)
    return pd.DataFrame(rows)


def _laws(values, **labels):
    """Variance of values [examples, units], and distances of the units' shapes to three laws."""
    variance = values.var(axis=0).mean()
    standard = np.sort((values - values.mean(axis=0)) / values.std(axis=0), axis=0)
    places = (np.arange(len(values)) + 0.5) / len(values)
    laws = {
        "Gaussian": scipy.stats.norm(),
        "uniform": scipy.stats.uniform(-(3**0.5), 2 * 3**0.5),
        "Laplace": scipy.stats.laplace(scale=0.5**0.5),
    }
    distances = {name: np.abs(standard - law.ppf(places)[:, None]).mean() for name, law in laws.items()}
    other = min(distances["uniform"], distances["Laplace"])
    return [
        {**labels, "quantity": "variance", "values": "normalised", "variance": variance},
        {**labels, "quantity": "variance", "values": "unit", "variance": 1.0},
        {**labels, "quantity": "distance", "law_compared": "Gaussian", "distance": distances["Gaussian"]},
        {**labels, "quantity": "distance", "law_compared": "nearest other law", "distance": other},
    ]


def covariate_shift(
    seeds, *, depth=3, width=64, images=1000, steps=400, rates=(0.03, 0.1, 0.3, 1.0), examples=256, data="digits"
):
    """Measures how the inputs of each hidden layer change while networks train, in three ways.

    Networks of three hidden ReLU layers on standardised images, which each seed redraws; SGD with batches of 32 for all
    and for half of the steps, each arm at the rate of the least loss on held-out images, on seeds of its own. Inputs of
    a layer are what the activation before it puts out for test images, which no statistics are taken of: those of
    normalisation are the population's, taken of the training images (Ioffe and Szegedy 2015, algorithm 2), at the start
    as at the end. Moments: the Wasserstein distance of two Gaussians that have the unit's mean and deviation at the
    start and at the end. Law: the Wasserstein distance of the values themselves after their moments were made equal, so
    that it is beyond the first two. Both are in pooled deviations of the unit, averaged over units and layers, and
    divided by the logarithm of the factor by which the training loss fell. Gradients (Santurkar et al. 2018, definition
    2.1): the change of the gradient of the last hidden layer's weights when the layers before it take one step at the
    arm's rate, relative to the gradient, on 256 training images.
    """
    loaded = load_data(data).standardized().flat()
    rows, trials = [], []
    for label, statistics in ARMS.items():
        arm = classifier(
            scaled_network,
            lambda seed: loaded.subset(images, seed),
            steps=steps,
            metrics={},
            depth=depth,
            width=width,
            activation="relu",
            scale=1.0,
            statistics=statistics,
        )
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective="validation_loss", widen=1)
        trials += tuning.table(arm=label)
        rate = tuning.best["learning_rate"]
        trained = {
            horizon: arm(seeds=list(seeds), learning_rate=rate, steps=horizon) for horizon in (steps // 2, steps)
        }
        for place, seed in enumerate(seeds):
            chosen = loaded.subset(images, seed)
            model = trained[steps].builders[place]()
            start = _inputs(model, chosen)
            for horizon, training in trained.items():
                model.set_weights(training.weights[place])
                step, smaller_step = _gradient_shifts(model, chosen, (rate, rate / 4), examples)
                found = _shifts(start, _inputs(model, chosen)) | {"gradients": step}
                common = {"seed": seed, "steps": horizon}
                rows += [{**common, "shift": name, "arm": label, "change": found[name]} for name in SHIFTS]
                if label == "plain":
                    rows.append({**common, "shift": "gradients", "arm": "plain, smaller step", "change": smaller_step})
    table = pd.DataFrame(rows)
    table.attrs["tuning"] = trials
    return table


@claim(
    "Normalisation is used to reduce internal covariate shift among the training samples: changes of the distribution "
    "of each layer's inputs during training, which batch normalisation is a powerful technique to address.",
    source=(notes("3.2.4"), lectures("2.3.4")),
    kind="tendency",
    scope="what the shift is, moments or whole law of a layer's inputs or its gradients, is left open",
    left_open=("shift",),
    literature="Ioffe and Szegedy 2015; Santurkar et al. 2018, who define it by gradients, find that it does not",
    reads=covariate_shift,
    criterion=Greater("change", of="plain", than="batch normalisation", by="arm", each=("shift", "steps")),
    boundary=Boundary(
        "in the moments, which it fixes, and in the law, not in the gradients (Santurkar et al. 2018)",
        holds="shift != 'gradients'",
    ),
    smoke={"steps": 160, "images": 500, "width": 32},
    full={"data": "mnist", "images": 50_000, "steps": 4000},
    control={"normalisation": "scale and shift"},
    positive_control=PositiveControl(
        "Gradients of the plain network change less if the layers before take a quarter of the step.",
        criterion=Greater(
            "change",
            of="plain",
            than="plain, smaller step",
            by="arm",
            smallest_ratio=1.05**2,
            because="it is twice what matters",
            each=("shift", "steps"),
            where={"shift": "gradients"},
        ),
    ),
    seeds=48,
    reported=(
        Reported(
            "no less with batch normalisation than without",
            measure="change of the gradients of a layer when the layers before it are updated",
            setting="VGG, CIFAR-10",
            place="Santurkar et al. 2018, figure 3",
        ),
    ),
)
def bn_cuts_covariate_shift(observations, *, normalisation="batch normalisation"):
    """Compares plain and normalised networks. The control has the learned scale and shift without normalising."""
    return _with_arm(observations, normalisation)


def _with_arm(observations, normalisation):
    """Let an arm stand for batch normalisation."""
    others = {"batch normalisation", "scale and shift"} - {normalisation}
    kept = observations[~observations["arm"].isin(others)]
    return kept.assign(arm=kept["arm"].replace(normalisation, "batch normalisation")).reset_index(drop=True)


def _shifts(start, end):
    """Shift of the moments and of the law between two states of layers' inputs, per logarithm of the loss."""
    (before, first), (after, last) = start, end
    moments, laws = [], []
    for old, new in zip(before, after, strict=True):
        pooled = np.sqrt((old.var(axis=0) + new.var(axis=0)) / 2)
        alive = pooled > 0
        mean = new.mean(axis=0) - old.mean(axis=0)
        deviation = new.std(axis=0) - old.std(axis=0)
        moments.append((np.hypot(mean, deviation)[alive] / pooled[alive]).mean())
        both = (old.std(axis=0) > 0) & (new.std(axis=0) > 0)
        shapes = [np.sort((x[:, both] - x[:, both].mean(axis=0)) / x[:, both].std(axis=0), axis=0) for x in (old, new)]
        laws.append(np.abs(shapes[1] - shapes[0]).mean())
    progress = np.log(first / last)
    if not progress > 0:  # what has not trained has moved for nothing
        return {"moments": np.inf, "law": np.inf}
    return {"moments": np.mean(moments) / progress, "law": np.mean(laws) / progress}


def _inputs(model, chosen):
    """Inputs of all layers behind an activation for test images, [examples, units] each, and the training loss."""
    known, fresh, found = chosen.x_train, chosen.x_test, []
    for layer in model.layers[1:]:
        if isinstance(layer, keras.layers.BatchNormalization):
            known = keras.ops.convert_to_numpy(known)
            layer.moving_mean.assign(known.mean(axis=0))
            layer.moving_variance.assign(known.var(axis=0))
        known, fresh = layer(known), layer(fresh)
        if isinstance(layer, keras.layers.Activation):
            found.append(keras.ops.convert_to_numpy(fresh).astype(float))
    losses = keras.losses.sparse_categorical_crossentropy(chosen.y_train, known, from_logits=True)
    return found, float(keras.ops.mean(losses))


def _gradient_shifts(model, chosen, rates, examples):
    """Relative change of the gradient of the last hidden kernel when the layers before it step, for each rate."""
    x, y = chosen.x_train[:examples], chosen.y_train[:examples]
    others = [variable.value for variable in model.non_trainable_variables]

    def loss(trainable):
        outputs, _ = model.stateless_call(trainable, others, x, training=True)
        losses = keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True)
        return keras.ops.mean(losses), ()

    def gradients(values):
        values = [keras.ops.convert_to_tensor(value) for value in values]
        return [keras.ops.convert_to_numpy(part) for part in value_and_gradient(loss, values)[2]]

    variables = model.trainable_variables
    *_, kernel, _ = (place for place, variable in enumerate(variables) if variable.name == "kernel")
    old = [keras.ops.convert_to_numpy(variable.value) for variable in variables]
    at_old = gradients(old)
    for rate in rates:
        moved = [value - rate * at_old[place] if place < kernel else value for place, value in enumerate(old)]
        change = np.linalg.norm(gradients(moved)[kernel] - at_old[kernel]) / np.linalg.norm(at_old[kernel])
        yield float(np.nan_to_num(change, nan=np.inf))  # of a run that has diverged
