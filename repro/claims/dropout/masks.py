"""What dropout draws, and what it leaves the same on average."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Identity, Rival, claim, lectures, notes
from repro.engine import build_seeded

with epy.lazy_imports():
    import keras

# In standard errors: that of a mean of thousands of draws lies beyond once in two million.
ERRORS = 5.0


@claim(
    "A unit that is present with probability $p$ in training is always present at test time, with its outgoing weights "
    "multiplied by $p$; the output is then the same as the expected output at training time.",
    source=notes("Figure 26"),
    kind="formula",
    scope="one unit and what it passes on, a weighted sum; outputs behind further activations are left open",
    left_open=("activation",),
    literature="Srivastava et al. 2014, figure 2; Baldi and Sadowski 2013",
    criterion=Identity("keras", "expected", operations=4096, each=("activation",)),
    boundary=Boundary(
        "at the weighted sum that is passed on",
        holds="activation == 'linear'",
        assumption="Baldi and Sadowski 2013: expectations are exact for linear units",
    ),
    control={"scaled": False},
)
def expected_preactivation(seeds, *, activations=("linear", "relu", "sigmoid"), units=10, keep=0.5, scaled=True):
    """Compares a Keras layer of scaled weights with the exact expectation over all 2^units masks of its inputs.

    Ten normal inputs, each present with probability 1/2; a dense layer of 16 units with normal weights and biases, in
    double precision. Linear: the weighted sum that the units pass on, whose expectation is that of the inputs. Behind
    an activation the statement would need E f(z) = f(E z): by Jensen's inequality ReLU, which is convex, puts out less
    at test time than on average in training, and the sigmoid is not linear either. The control leaves the weights as
    they are.
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
    "Training a network of $n$ nodes with dropout can be seen as training a collection of $2^n$ thinned networks with "
    "extensive weight sharing, where each is trained very rarely, if at all.",
    source=notes("Remark 3.31"),
    kind="tendency",
    scope="networks of ordinary size, hundreds of units; the probability of keeping a unit is left open",
    left_open=("keep",),
    literature="Srivastava et al. 2014, section 1",
    criterion=AllOf(
        collection=Identity("distinct", "possible", where={"network": "few units"}),
        sharing=Identity("output", "shared", operations=64, dtype="float32", where={"network": "weights"}),
        rarely=AtMost("repeated", bound=0.01, each=("keep",), where={"network": "many units"}),
    ),
    smoke={"draws": 5000},
    control={"independent": False},
)
def thinned_networks(seed, *, few=6, many=256, keep=(0.5, 0.9), draws=20_000, independent=True):
    """Draws masks by Keras' dropout layer, one for every training example as in a run, and counts distinct ones.

    Collection: of six units all 2^6 thinned networks occur among the masks of rate 1/2. Sharing: what a Keras network
    of dropout and a dense layer puts out in training is what the thinned network does with that layer's own weights,
    those of the units that are present. Rarely: of 256 units, the share of training examples whose thinned network was
    trained by another example of the run too is at most a point. By theory the most frequent network has the share
    max(p, 1 - p)^n, 2e-12 for p = 0.9, so that independent masks could not come out otherwise: a worked number. It is
    not rare for a few dozen units that are seldom dropped, which is no network of ordinary size. The control drops all
    units of an example or none.
    """
    masks = _masks(seed, draws, few, 0.5, independent) > 0
    rows = [{"network": "few units", "distinct": len(_counts(masks)), "possible": 2.0**few}]
    for kept in keep:
        counts = _counts(_masks(seed, draws, many, kept, independent) > 0)
        rows.append({"network": "many units", "keep": kept, "repeated": counts[counts > 1].sum() / draws})
    return pd.concat([pd.DataFrame(rows), _shared(seed, few)], ignore_index=True)


@claim(
    r"Dropout multiplies a layer by a vector of independent $r_i \sim \mathrm{Bernoulli}(p)$, $p$ the probability of "
    r"retaining a unit: each hidden unit is set to zero with a probability $\mathrm{Pr}_j^{(l)}$, and at each step a "
    "new mask is applied.",
    source=(notes("Remark 3.32", parts=("rate", "independence")), lectures("2.5.4", parts=("rate", "steps"))),
    kind="formula",
    scope="Keras' rate is the probability of dropping, 1 - p",
    literature="Srivastava et al. 2014, section 4",
    criterion=AllOf(
        rate=AtMost("miss", bound="allowed", where={"quantity": "share of kept units"}),
        independence=AtMost("miss", bound="allowed", where={"quantity": "variance of the number of kept units"}),
        steps=AtMost("miss", bound="allowed", where={"quantity": "agreement of two steps"}),
    ),
    control={"independent": False},
    rival=Rival(
        r"$p$ is the probability of dropping a unit.",
        criterion=AtMost("rival_miss", bound="allowed", where={"quantity": "share of kept units"}),
    ),
)
def keep_probability(seed, *, keep=(0.2, 0.5, 0.9), examples=1024, units=64, independent=True):
    """Puts ones through Keras' dropout layer twice, 1024 examples of 64 units, at the rate 1 - p.

    Each quantity is compared with what independent variables have, and may miss it by five standard errors. Rate: the
    share of units that are kept, p. Independence: the variance over examples of the number of kept units, n p (1 - p),
    relative; a correlation of two units of 0.0035 would miss it by as much. Steps: the share of units of which two
    calls agree, p^2 + (1 - p)^2. The control lets all units of an example share one variable, of the same rate.
    """
    rows = []
    for probability in keep:
        calls = _masks(seed, examples, units, probability, independent, calls=2)
        first, second = (call > 0 for call in calls)
        agreement = probability**2 + (1 - probability) ** 2
        variance = units * probability * (1 - probability)
        # of the sum of squares of nearly normal numbers; the kurtosis of the binomial law adds the second term
        of_variance = np.sqrt((2 + (1 - 6 * probability * (1 - probability)) / variance) / examples)
        found = {
            "share of kept units": (first.mean() - probability, _error(probability, first.size)),
            "variance of the number of kept units": (first.sum(axis=1).var() / variance - 1, of_variance),
            "agreement of two steps": ((first == second).mean() - agreement, _error(agreement, first.size)),
        }
        rival = {"share of kept units": abs(first.mean() - (1 - probability))}
        for name, (miss, error) in found.items():
            allowed = {"miss": abs(miss), "allowed": ERRORS * error, "rival_miss": rival.get(name, np.nan)}
            rows.append({"keep": probability, "quantity": name, **allowed})
    return pd.DataFrame(rows)


def _error(share, draws):
    """Standard error of a share of independent draws."""
    return np.sqrt(share * (1 - share) / draws)


def _counts(masks):
    """How often each distinct mask occurs."""
    return np.unique(np.packbits(masks, axis=1), axis=0, return_counts=True)[1]


def _shared(seed, units, examples=64, outputs=4):
    """Outputs of a Keras network in training, and those of the thinned networks that its masks choose."""

    def build():
        entry = keras.Input((units,))
        dropped = keras.layers.Dropout(0.5)(entry)
        return keras.Model(entry, [dropped, keras.layers.Dense(outputs)(dropped)])

    model = build_seeded(build, seed)
    x = np.random.default_rng(seed).normal(size=(examples, units)).astype(np.float32)
    dropped, output = (keras.ops.convert_to_numpy(values) for values in model(x, training=True))
    kernel, bias = model.get_weights()[:2]
    thinned = []
    for values, present in zip(x, dropped != 0, strict=True):
        thinned.append(2 * values[present] @ kernel[present] + bias)
    return pd.DataFrame({"network": "weights", "output": output.ravel(), "shared": np.ravel(thinned)})


def _masks(seed, examples, units, keep, independent, calls=1):
    """What Keras' dropout layer makes of ones, [examples, units]; of several calls, [calls, examples, units]."""
    noise_shape = None if independent else (examples, 1)

    def build():
        layer = keras.layers.Dropout(1 - keep, noise_shape=noise_shape)
        return keras.Sequential([keras.Input((units,)), layer])

    model, ones = build_seeded(build, seed), np.ones((examples, units), np.float32)
    drawn = [keras.ops.convert_to_numpy(model(ones, training=True)) for _ in range(calls)]
    return drawn[0] if calls == 1 else np.stack(drawn)
