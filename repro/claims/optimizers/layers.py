"""Rates of their own where the gradients of layers differ in size."""

from __future__ import annotations

import pandas as pd
from etils import epy

from repro import Boundary, Greater, PositiveControl, Reported, claim, lectures
from repro.claims.optimizers._speed import fastest
from repro.engine import classifier, load_data, mlp

with epy.lazy_imports():
    import keras

ONE_RATE, SLOWER = "one rate", "one rate, a quarter of the best"
NETWORKS = {
    "even": {"widths": (32, 32), "activation": "relu", "initializer": "he_normal"},
    "uneven": {"widths": (32, 32, 32, 32), "activation": "sigmoid", "initializer": "glorot_uniform"},
}
EVERY = 5  # steps between measurements
CONDITIONS = ("method", "gradients", "target")
OF_SGD, OF_OTHERS = (0.01, 0.03, 0.1, 0.3, 1.0), (0.0003, 0.001, 0.003, 0.01, 0.03)
OF_NORMALISED = (0.003, 0.01, 0.03, 0.1, 0.3)


@claim(
    "In deep networks neurons may learn at varying rates because gradient magnitudes differ across layers; it is "
    "beneficial to use separate adaptive learning rates for different layers, for which AdaGrad, RMSprop, AdaDelta, "
    "Adam and Rprop have been proposed.",
    source=lectures("2.4.3"),
    kind="tendency",
    scope="deep networks whose layers' gradients differ in size; how much they do is left open, and the "
    "method, which gives every weight a rate of its own, not every layer",
    left_open=CONDITIONS,
    literature="Kingma and Ba 2015, section 6; Wilson et al. 2017: no gain in test error on CIFAR-10",
    criterion=Greater("steps_to_target", of=ONE_RATE, than="adaptive", by="rates", each=CONDITIONS),
    boundary=Boundary(
        "where the gradients of the layers differ much, as in a deep sigmoid network",
        holds="gradients == 'uneven'",
    ),
    smoke={"images": 200, "steps": 400},
    full={"data": "mnist", "images": 5000, "steps": 3000},
    control={"separate": False},
    positive_control=PositiveControl(
        "SGD with momentum is slower at a quarter of its best rate.",
        criterion=Greater(
            "steps_to_target",
            of=SLOWER,
            than=ONE_RATE,
            by="rates",
            each=CONDITIONS,
            smallest_ratio=1.05**2,
            because="it is twice what matters",
        ),
    ),
    reported=(
        Reported(
            "7.65 ± 0.14 and 9.60 ± 0.19 %",
            measure="test error of SGD and of RMSProp",
            setting="VGG with batch normalisation and dropout, CIFAR-10",
            place="Wilson et al. 2017, table 1 and section 4.2",
        ),
    ),
    seeds=48,
)
def adaptive_per_parameter(seeds, *, separate=True, images=300, steps=800, data="digits"):
    """Compares the steps of SGD with momentum 0.9 to training losses of 0.5 and 0.1 with those of adaptive methods.

    Standardised images, which each seed redraws, batches of 32; each at its rate of the fewest steps to the second
    loss, on seeds of their own; runs that do not get there are infinite. Even: two hidden ReLU layers by He's rule.
    Uneven: four sigmoid layers by Glorot's rule, whose gradients shrink to a quarter or less a layer. Methods: RMSprop
    and Adam, as Keras has them but for the rate; AdaGrad and AdaDelta have claims of their own, and Rprop needs full
    batches. Beside them SGD at a quarter of its rate.
    """
    loaded = load_data(data).standardized().flat()
    tables, trials = [], []
    for gradients, options in NETWORKS.items():

        def arm_of(optimizer, options=options):
            return classifier(
                mlp,
                lambda seed: loaded.subset(images, seed),
                steps=steps,
                optimizer=optimizer,
                every=EVERY,
                metrics={},
                **options,
            )

        found = {}
        for method, optimizer, rates in (
            (ONE_RATE, keras.optimizers.SGD(0.1, momentum=0.9), OF_SGD),
            *(_adaptive() if separate else _together()),
        ):
            arm = arm_of(optimizer)
            table, tuning = fastest(arm, rates, seeds, slower=0.25 if method == ONE_RATE else 1.0)
            trials += tuning.table(gradients=gradients, method=method)
            found[method] = table[table["share"] == 1]
            if method == ONE_RATE:
                found[SLOWER] = table[table["share"] < 1]
        for method in ("RMSprop", "Adam"):
            for rates, name in ((ONE_RATE, ONE_RATE), (SLOWER, SLOWER), ("adaptive", method)):
                tables.append(found[name].assign(gradients=gradients, method=method, rates=rates))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def _adaptive():
    """Methods with rates of their own for all weights."""
    return ("RMSprop", keras.optimizers.RMSprop(), OF_OTHERS), ("Adam", keras.optimizers.Adam(), OF_OTHERS)


def _together():
    """In the place of each, the same method with one adaptive rate: no gradient has a norm below the limit."""
    limit = 2.0**-20
    rates = [rate / limit for rate in OF_NORMALISED]
    return [
        (name, keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=limit), rates) for name in ("RMSprop", "Adam")
    ]
