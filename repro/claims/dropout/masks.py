"""What dropout draws, and what it leaves the same on average."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Correction, Equivalent, Identity, Ratio, claim, lectures, notes
from repro.engine import build_seeded

with epy.lazy_imports():
    import keras


@claim(
    "With the weights multiplied by $p$ at test time the output is the same as the expected output at training time, "
    "where units are present with probability $p$.",
    source=notes("Figure 26"),
    kind="formula",
    literature="Srivastava et al. 2014, figure 2; Baldi and Sadowski 2013",
    criterion=Identity("keras", "expected", operations=4096, each=("activation",)),
    control={"scaled": False},
    correction=Correction(
        "What a unit receives, the weighted sum, has the training time's expectation. What it puts out has it only if "
        "it is linear: a convex activation such as ReLU puts out less than expected, by Jensen's inequality.",
        activations=("linear",),
    ),
)
def expected_preactivation(seeds, *, activations=("linear", "relu", "sigmoid"), units=10, keep=0.5, scaled=True):
    """Compares a Keras layer of scaled weights with the exact expectation over all 2^units masks of its inputs.

    Ten normal inputs, each present with probability 1/2; a dense layer of 16 units with normal weights and biases, in
    double precision. The document does not say behind which layer the outputs are compared; they are here behind a
    linear layer, ReLU and the sigmoid. The control leaves the weights as they are.
    """
    masks = np.array(list(itertools.product((0.0, 1.0), repeat=units)))
    probability = keep ** masks.sum(axis=1) * (1 - keep) ** (units - masks.sum(axis=1))
    tables = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        x, kernel, bias = generator.normal(size=units), generator.normal(size=(units, 16)), generator.normal(size=16)
        for activation in activations:
            function = keras.activations.get(activation)
            of_masks = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(masks * x @ kernel + bias)))
            layer = keras.layers.Dense(16, activation=activation, dtype="float64")
            layer.build((None, units))
            layer.set_weights([keep * kernel if scaled else kernel, bias])
            output = keras.ops.convert_to_numpy(layer(x[None]))[0]
            columns = {"keras": output, "expected": probability @ of_masks}
            tables.append(pd.DataFrame({"seed": seed, "activation": activation, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Training a network of $n$ units with dropout trains a collection of $2^n$ thinned networks with shared weights, "
    "of which each is trained very rarely, if at all.",
    source=notes("Remark 3.31"),
    kind="tendency",
    literature="Srivastava et al. 2014, section 1",
    criterion=AllOf(
        collection=Identity("distinct", "possible", where={"network": "few units"}),
        rarely=AtMost("most_frequent", 0.01, where={"network": "many units"}),
    ),
    smoke={"draws": 5000},
    control={"independent": False},
    correction=Correction(
        "There are $2^n$ thinned networks with shared weights, each trained rarely on average. The most frequent one, "
        "the whole network where $p$ is over a half, takes the share $p^n$ of the examples: rare where $n(1-p)$ is "
        "large, but not for a few dozen units that are seldom dropped.",
        many=(128,),
    ),
)
def thinned_networks(seed, *, few=6, many=(32, 128), keep=(0.5, 0.9), draws=20_000, independent=True):
    """Draws masks by Keras' dropout layer on a row of ones, one for every training example, and counts distinct ones.

    Of six units all 2^6 thinned networks must occur among 20,000 masks with rate 1/2. Of 32 and of 128 units the most
    frequent of them must not be trained by more than one example in a hundred, at rates of 1/2 and 1/10. The mistake is
    that "each" does not follow from their number. The control drops all units of an example or none.
    """
    rows = []
    settings = [("few units", few, 0.5), *(("many units", *pair) for pair in itertools.product(many, keep))]
    for network, units, kept in settings:
        masks = _masks(seed, draws, units, kept, independent) > 0
        _, counts = np.unique(np.packbits(masks, axis=1), axis=0, return_counts=True)
        rows.append(
            {
                "network": network,
                "units": units,
                "keep": kept,
                "distinct": len(counts),
                "possible": 2.0**units,
                "most_frequent": counts.max() / draws,
            }
        )
    return pd.DataFrame(rows)


PERCENT = "a hundredth is five standard errors of the share of 65,536 coins"


@claim(
    r"Dropout multiplies a layer by independent Bernoulli variables $r_i \sim \mathrm{Bernoulli}(p)$, with $p$ the "
    "probability of keeping a unit.",
    source=(notes("Remark 3.32"), lectures("2.5.4")),
    kind="formula",
    literature="Srivastava et al. 2014, section 4",
    criterion=AllOf(
        rate=Equivalent("kept", "keep", smallest_difference=0.01, because=PERCENT, each=("keep",)),
        independence=Ratio(
            "variance",
            of="observed",
            than="independent",
            by="source",
            expected=1.0,
            within=1.2,
            because="a correlation of units of 0.003 changes the variance of the number of 64 units by this much",
            each=("keep",),
        ),
        scale=Identity("largest", "inverse", operations=4, dtype="float32"),
    ),
    control={"independent": False},
)
def keep_probability(seed, *, keep=(0.2, 0.5, 0.9), examples=1024, units=64, independent=True):
    """Puts ones through Keras' dropout layer, 1024 examples of 64 units, at the rate 1 - p.

    Rate: the share of units that are kept. Independence: the variance over examples of the number of kept units, which
    for independent units is n p (1 - p). Kept values are 1 / p, as Keras scales at training time. The control lets all
    units of an example share one variable, of the same rate.
    """
    rows = []
    for probability in keep:
        masks = _masks(seed, examples, units, probability, independent)
        kept = masks > 0
        common = {"keep": probability, "kept": kept.mean(), "largest": masks.max(), "inverse": 1 / probability}
        expected = units * probability * (1 - probability)
        rows.append({**common, "source": "observed", "variance": kept.sum(axis=1).var()})
        rows.append({**common, "source": "independent", "variance": expected})
    return pd.DataFrame(rows)


def _masks(seed, examples, units, keep, independent):
    """What Keras' dropout layer makes of ones, [examples, units]."""
    noise_shape = None if independent else (examples, 1)

    def build():
        layer = keras.layers.Dropout(1 - keep, noise_shape=noise_shape)
        return keras.Sequential([keras.Input((units,)), layer])

    ones = np.ones((examples, units), np.float32)
    return keras.ops.convert_to_numpy(build_seeded(build, seed)(ones, training=True))
