"""Energy and Hebbian learning of a Hopfield network."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Identity, Reported, ReproError, Rival, cheatsheet, claim

with epy.lazy_imports():
    import keras


def energies(states, weights, biases):
    """Energies -1/2 sum over i and j, not equal, of w_ij X_i X_j, plus the sum of b_i X_i, by Keras.

    Args:
        states: States of -1 and 1, [states, n].
        weights: Interactions, [n, n]; the diagonal is left out.
        biases: Biases, [n].

    Raises:
        ReproError: the shapes do not fit.
    """
    if weights.shape != (states.shape[1],) * 2 or biases.shape != (states.shape[1],):
        raise ReproError(f"states of {states.shape[1]} units do not fit weights {weights.shape}, biases {biases.shape}")
    x = keras.ops.convert_to_tensor(np.asarray(states, dtype=float))
    coupling = weights * (1 - np.eye(len(weights)))
    fields = keras.ops.matmul(x, coupling.T)
    return keras.ops.convert_to_numpy(keras.ops.sum(x * (biases - fields / 2), axis=1))


def _updated(fields, states):
    """Signs of the fields; a unit without a field, up to rounding, keeps its state."""
    return np.where(np.abs(fields) < 1e-9, states, np.sign(fields))


def _course(generator, state, weights, biases, sweeps):
    """States [steps + 1, n] as units are updated one by one in random order, X_i to the sign of its field less b_i."""
    states = [state.copy()]
    for _ in range(sweeps):
        for unit in generator.permutation(len(state)):
            state[unit] = _updated(weights[unit] @ state - biases[unit], state[unit])
            states.append(state.copy())
    return np.array(states)


@claim(
    r"A Hopfield network has the energy $E(X) = -\frac{1}{2} \sum_{i \neq j} w_{ij} X_i X_j + \sum_i b_i X_i$ with "
    r"$X_i \in \{-1, 1\}$, $w_{ij} = w_{ji}$ and $w_{ii} = 0$.",
    source=cheatsheet("1.1.1"),
    kind="formula",
    scope="the definition of the model, whose update rule is not printed: what the energy is for is that it falls when "
    "units are updated one by one",
    literature="Hopfield 1982: the change is minus that of the state times the field, which has its sign",
    criterion=AllOf(
        change=Identity("change", "by_field", operations=10**4, where={"rule": "printed sign of b"}),
        falls=AtMost("change", bound=0.0, atol=1e-9, where={"rule": "printed sign of b"}),
        rests=AtMost("last_flips", bound=0.0, where={"rule": "at the end"}),
    ),
    full={"units": 200},
    control={"symmetric": False},
    rival=Rival(
        r"Biases enter the field with the other sign: $X_i$ becomes the sign of $\sum_j w_{ij} X_j + b_i$.",
        criterion=AtMost("change", bound=0.0, atol=1e-9, where={"rule": "other sign of b"}),
    ),
)
def energy_descends(seed, *, symmetric=True, units=30, networks=3, sweeps=30):
    """Updates units of random networks one by one, and follows the printed energy, by Keras, along the states.

    Three networks of 30 units with normal weights of deviation one, symmetric and without a diagonal, and biases of
    deviation two; the state starts at random, and each of 30 sweeps updates all units in random order to the sign of
    sum_j w_ij X_j - b_i. Each change of the energy is compared with minus the change of the state times that field
    before it, and must not be positive; no unit may flip in the last sweep. The rival's updates, with the other sign of
    the bias, follow the same networks. A third rule, not judged, shows what w_ii = 0 is for: units act on themselves
    too, with normal w_ii of deviation five, and where w_ii is negative they may flip against the field of the others.
    In the control weights are not symmetric: the energy, which sees the symmetric part alone, rises at some steps, and
    networks need not come to rest.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for _ in range(networks):
        weights = generator.normal(size=(units, units))
        weights = (weights + weights.T) / np.sqrt(2) if symmetric else weights
        np.fill_diagonal(weights, 0)
        biases, start = 2 * generator.normal(size=units), generator.choice([-1.0, 1.0], size=units)
        on_themselves = np.diag(5 * generator.normal(size=units))
        for rule, acting, b in (
            ("printed sign of b", weights, biases),
            ("other sign of b", weights, -biases),
            ("units act on themselves", weights + on_themselves, biases),
        ):
            states = _course(generator, start.copy(), acting, b, sweeps)
            change = np.diff(energies(states, weights, biases))
            flips = np.diff(states, axis=0)
            by_field = -np.sum(flips * (states[:-1] @ weights.T - biases), axis=1)
            tables.append(pd.DataFrame({"rule": rule, "change": change, "by_field": by_field}))
            if rule == "printed sign of b":
                last = float(np.abs(flips[-units:]).sum() / 2)
                tables.append(pd.DataFrame({"rule": "at the end", "last_flips": [last]}))
    return pd.concat(tables, ignore_index=True)


LOW_LOAD = 0.05
# Halfway between the overlap just below the capacity, 0.967, and the residual one above it, about 0.35 (Amit et al.).
RECALLED = 0.66
# Share of ones of a correlated pattern: two of them have the overlap (2 x 0.75 - 1)^2 = 1/4, so that the other patterns
# add (s - 1) / 8 to a field in the mean, which outweighs the unit's own pattern, one, from ten patterns on.
ONES = 0.75
RECALL = {"found": "recall", "load": LOW_LOAD}


@claim(
    r"Hebbian learning of a Hopfield network sets $w_{ij} = \frac{1}{n} \sum_{t=1}^s x_i^t x_j^t$, that is $W = "
    r"\frac{1}{n} \sum_t x^t (x^t)^T$, for patterns $x^t \in \{1, -1\}^n$.",
    source=cheatsheet("1.1.1"),
    kind="formula",
    scope="the definition of the rule, of which recall is not printed: what it is for is that patterns far fewer than "
    "units are found again",
    literature="Hopfield 1982; Amit, Gutfreund and Sompolinsky 1985 on the capacity",
    criterion=AllOf(
        forms=Identity("entry", "of_matrix", operations=1000, where={"found": "forms"}),
        recall=AtLeast("overlap", bound=RECALLED, where=RECALL | {"patterns": "independent"}),
    ),
    reported=[
        Reported(
            "0.138",
            "patterns per unit up to which they are recalled",
            "n to infinity, random patterns",
            "Amit, Gutfreund and Sompolinsky 1985",
        )
    ],
    smoke={"sizes": (100, 200)},
    full={"sizes": (250, 500, 1000)},
    control={"weights": "random"},
    rival=Rival(
        "The rule finds patterns again that are correlated with each other.",
        criterion=AtLeast("overlap", bound=RECALLED, where=RECALL | {"patterns": "correlated"}),
    ),
)
def hebbian_recall(seed, *, weights="Hebbian", sizes=(100, 200, 400), loads=(LOW_LOAD, 0.1, 0.2, 0.3), corrupted=0.1):
    """Adds up the rule entry by entry, compares with Keras' product of patterns, and recalls corrupted patterns.

    Random patterns of 100, 200 and 400 units, from 5 to 30 per hundred units. The diagonal is left out for recall, as
    the model asks for: a tenth of the units of each pattern is turned round, and all units are updated one by one in
    random order, ten times, all patterns side by side; overlap is the mean of x X / n over the patterns. At 5 patterns
    per hundred units it must be above 0.66 for all sizes, halfway between what Amit, Gutfreund and Sompolinsky find on
    both sides of the capacity, 0.138; other loads stand beside. The rival's patterns, at the largest size and the
    lowest load, have ones at three quarters of their units: networks fall into the state of ones alone, whose overlap
    with each is a half. Weights of the control are symmetric normal ones with the same deviation.
    """
    generator = np.random.default_rng(seed)
    cases = [("independent", units, load) for units in sizes for load in loads]
    tables = []
    for kind, units, load in [*cases, ("correlated", sizes[-1], loads[0])]:
        ones = generator.uniform(size=(round(load * units), units)) < (ONES if kind == "correlated" else 0.5)
        patterns = np.where(ones, 1.0, -1.0)
        matrix = keras.ops.convert_to_numpy(keras.ops.matmul(patterns.T, patterns)) / units
        chosen = generator.integers(units, size=(50, 2))
        entries = [sum(pattern[i] * pattern[j] for pattern in patterns) / units for i, j in chosen]
        of_matrix = matrix[chosen[:, 0], chosen[:, 1]]
        tables.append(pd.DataFrame({"found": "forms", "entry": entries, "of_matrix": of_matrix}))
        if weights == "random":
            matrix = generator.normal(scale=np.sqrt(load / units), size=matrix.shape)
            matrix = (matrix + matrix.T) / np.sqrt(2)
        np.fill_diagonal(matrix, 0)
        turned = generator.uniform(size=patterns.shape) < corrupted
        recalled = _recall(generator, np.where(turned, -patterns, patterns), matrix)
        columns = {"patterns": kind, "units": units, "load": load, "overlap": float(np.mean(recalled * patterns))}
        tables.append(pd.DataFrame({"found": "recall", **columns}, index=[0]))
    return pd.concat(tables, ignore_index=True)


def _recall(generator, states, weights, sweeps=10):
    """States [patterns, n] after all units were updated one by one, several times."""
    for _ in range(sweeps):
        for unit in generator.permutation(len(weights)):
            states[:, unit] = _updated(states @ weights[unit], states[:, unit])
    return states


@claim(
    r"A Hopfield network has $w_{ij} = w_{ji}$ and $w_{ii} = 0$; Hebbian learning sets $W = \frac{1}{n} \sum_t x^t "
    r"(x^t)^T$.",
    source=cheatsheet("1.1.1"),
    kind="formula",
    scope="two definitions of one section beside each other; whether the rule is meant for i and j that are not equal "
    "is left open",
    left_open=("pairs",),
    literature="Hopfield 1982 sets the diagonal to zero; by the rule it is s / n",
    criterion=AllOf(
        symmetric=Identity("entry", "transposed", operations=10, each=("pairs",), where={"found": "entries"}),
        diagonal=Identity("diagonal", "zero", atol=1e-12, each=("pairs",), where={"found": "diagonal"}),
        energy=Identity("energy", "without_diagonal", operations=1000, each=("pairs",), where={"found": "energy"}),
    ),
    boundary=Boundary(
        "for symmetry and energy with all pairs, for the diagonal with pairs of different units alone",
        holds="part != 'diagonal' or pairs == 'different units'",
        assumption="the rule is meant for i and j that are not equal, as in Hopfield 1982",
    ),
)
def hebbian_self_coupling(seed, *, units=60, patterns=12, states=20):
    """Looks at the weights by the rule for all pairs, and for pairs of different units, and at the printed energy.

    Twelve random patterns of 60 units; the product is Keras'. These are worked numbers: the diagonal is s / n for all
    pairs, whatever the patterns, since every square is one, and zero where it is left out; the printed energy sums over
    i and j that are not equal, hence does not see it, and if it did, it would change by a constant. Updates do see it:
    column "updates_that_differ" has the share of units, over 20 random states, whose new value the diagonal changes.
    """
    generator = np.random.default_rng(seed)
    x = generator.choice([-1.0, 1.0], size=(patterns, units))
    rule = keras.ops.convert_to_numpy(keras.ops.matmul(x.T, x)) / units
    without = rule - np.diag(np.diag(rule))
    places, biases = generator.choice([-1.0, 1.0], size=(states, units)), generator.normal(size=units)
    reference = -np.array([np.sum(np.triu(np.outer(state, state) * rule, 1)) for state in places]) + places @ biases
    tables = []
    for pairs, matrix in (("all units", rule), ("different units", without)):
        differ = float(np.mean(_updated(places @ matrix, places) != _updated(places @ without, places)))
        labels = {"pairs": pairs, "updates_that_differ": differ}
        sides = {
            "entries": {"entry": matrix.ravel(), "transposed": matrix.T.ravel()},
            "diagonal": {"diagonal": np.diag(matrix), "zero": 0.0},
            "energy": {"energy": energies(places, matrix, biases), "without_diagonal": reference},
        }
        tables += [pd.DataFrame({"found": found, **labels, **columns}) for found, columns in sides.items()]
    return pd.concat(tables, ignore_index=True)
