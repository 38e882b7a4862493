"""What observations tell of a Gaussian process: its posterior at the observed points, near them and far away."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Greater, Identity, Monotone, Rival, cheatsheet, claim, notes
from repro.claims.gaussian_processes._processes import (
    PERIOD,
    condition,
    covariance,
    draw_normal,
    error_limit,
    pseudo_inverse,
)

with epy.lazy_imports():
    import sklearn.gaussian_process
    import sklearn.gaussian_process.kernels

KERNELS = ("rbf", "laplace", "periodic")


@claim(
    "Before any training point is seen the mean prediction is 0, and the standard deviation is the same at each test "
    "point.",
    source=notes("Figure 8"),
    kind="theorem",
    scope="the process of the figure: mean zero, stationary kernel",
    criterion=AllOf(
        mean=Identity("mean", "none", atol=1e-12),
        deviation=Identity("deviation", "at_the_origin", operations=100, atol=1e-9),
    ),
    control={"kernels": ("linear",)},
)
def equal_prior_deviation(seed, *, kernels=KERNELS, points=9):
    """Means and deviations that scikit-learn predicts before it has data, at nine test points, uniform from -6 to 6.

    A deviation is compared with the root of the printed kernel at the origin. The control has the linear kernel, which
    is not stationary: its deviation grows as |x|. A worked number: what could make it fail is the library.
    """
    generator = np.random.default_rng(seed)
    x, origin = generator.uniform(-6, 6, size=(points, 1)), np.zeros((1, 1))
    of, tables = sklearn.gaussian_process.kernels, []
    for kernel in kernels:
        function = {
            "rbf": of.RBF(),
            "laplace": of.Matern(nu=0.5),
            "periodic": of.ExpSineSquared(2 * np.pi / PERIOD, PERIOD),
            "linear": of.DotProduct(sigma_0=0),
        }[kernel]
        process = sklearn.gaussian_process.GaussianProcessRegressor(function, optimizer=None)
        mean, deviation = process.predict(x, return_std=True)
        here = covariance(kernel, origin, origin)[0, 0] ** 0.5
        columns = {"mean": mean.ravel(), "none": 0.0, "deviation": deviation, "at_the_origin": here}
        tables.append(pd.DataFrame({"of": kernel, "x": x[:, 0], **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "The prediction passes directly through the training points; its uncertainty is small in regions close to them and "
    "grows with the distance from them.",
    source=notes("Figure 8"),
    kind="theorem",
    scope="the process of the figure: mean zero, stationary kernel, observations without noise; growth up to the "
    "deviation of the prior; which stationary kernel is left open",
    left_open=("kernel",),
    root="noise_free_points",
    literature="Görtler, Kehlbeck and Deussen 2019, the origin of the figure, with RBF, periodic and linear kernels; "
    "Rasmussen and Williams 2006, section 2.2",
    criterion=AllOf(
        through=Identity("prediction", "observation", operations=10**6, each=("kernel",), where={"at": "a point"}),
        certain=Identity("variance", "none", atol=1e-9, each=("kernel",), where={"at": "a point"}),
        near=Greater(
            "deviation", of="away", than="close", by="place", each=("kernel",), where={"at": "beside a point"}
        ),
        between=Greater(
            "deviation", of="halfway", than="close", by="place", each=("kernel",), where={"at": "between points"}
        ),
        growth=Monotone("distance", "deviation", smallest_difference=0.01, each=("kernel",), where={"at": "beyond"}),
    ),
    boundary=Boundary(
        "for kernels that fall with the distance; under a periodic one the uncertainty falls again, and is gone a "
        "period away from a training point",
        holds="part != 'growth' or kernel != 'periodic'",
        named=(
            {"part": "through", "kernel": "rbf"},
            {"part": "certain", "kernel": "rbf"},
            {"part": "near", "kernel": "laplace"},
            {"part": "between", "kernel": "laplace"},
            {"part": "growth", "kernel": "rbf"},
            {"part": "growth", "kernel": "periodic"},
        ),
        assumption="a covariance that falls with the distance, as that of the figure does; Rasmussen and Williams "
        "2006, section 4.2.1",
    ),
    control={"noise": 0.3},
)
def interpolates(seed, *, noise=0.0, kernels=KERNELS, places=25):
    """Posterior at five training points, between and beyond them, by Keras.

    Inputs are 1.5 apart up to 0.3 either way, in length scales; the periodic kernel has a period of 12 and the same
    curvature at the origin as the Gaussian one. Observations are drawn from the process. Variances at training points
    must be nought up to 1e-9 of the prior's. Small near them: the deviation close to the last point, 0.05 to 0.15
    lengths to the right of it, is below that 0.8 to 1.2 away, and that as close to the third below that halfway to the
    fourth, by five per cent at least; how small is a matter of the kernel, under Laplace's it rises as the root of the
    distance. Growth: the deviation at 25 places up to six lengths to the right of all points, in deviations of the
    prior, with no reversal of more than 0.01; by then the periodic kernel is on its way back to the first point. The
    control observes with noise of deviation 0.3, which the prediction takes into account: it passes the points by.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for kernel in kernels:
        x = _spread_points(generator, 5)
        y = draw_normal(covariance(kernel, x, x), 1, generator)[0] + noise * generator.normal(size=len(x))
        prediction, variance = condition(kernel, x, y, x, noise)
        at_points = {"prediction": prediction, "observation": y, "variance": np.diag(variance), "none": 0.0}
        tables.append(pd.DataFrame({"kernel": kernel, "at": "a point", **at_points}))
        distance = np.linspace(0, 6, places)
        third, fourth, last = x[2:, 0]
        close, away = generator.uniform(0.05, 0.15), generator.uniform(0.8, 1.2)
        elsewhere = {
            "beside a point": {"close": last + close, "away": last + away},
            "between points": {"close": third + close, "halfway": (third + fourth) / 2},
            "beyond": dict(zip(distance, last + distance, strict=True)),
        }
        for at, inputs in elsewhere.items():
            _, variance = condition(kernel, x, y, np.array([*inputs.values()])[:, None], noise)
            deviation = np.sqrt(np.maximum(np.diag(variance), 0.0))
            places_of = "distance" if at == "beyond" else "place"
            tables.append(pd.DataFrame({"kernel": kernel, "at": at, places_of: [*inputs], "deviation": deviation}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "A predicted point that lies in the training data has no correlation with other points.",
    source=notes("Figure 8"),
    kind="theorem",
    scope="the process of the figure, observations without noise; correlation as the covariance given the data, since "
    "such a point has no variance left",
    root="noise_free_points",
    criterion=Identity("covariance", "none", atol=1e-9),
    control={"noise": 0.3},
)
def training_point_decorrelates(seed, *, noise=0.0, kernels=KERNELS, others=8):
    """Covariances, given the data, of each of five training points with eight other points, by Keras.

    Points as in ``interpolates``, others uniform over their range and a length beyond. Covariances are in variances of
    the prior; without noise they must be nought up to 1e-9, with the noise of the control, of deviation 0.3, they are
    some hundredths.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for kernel in kernels:
        x = _spread_points(generator, 5)
        elsewhere = generator.uniform(-1, x[-1, 0] + 1, size=(others, 1))
        _, left = condition(kernel, x, generator.normal(size=len(x)), np.concatenate([x, elsewhere]), noise)
        covariances = left[: len(x), len(x) :].ravel()
        tables.append(pd.DataFrame({"of": kernel, "covariance": covariances, "none": 0.0}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Predicted values further away are affected by the training data as well, depending on their distance.",
    source=notes("Figure 8"),
    kind="tendency",
    scale="exact",
    scope="the process of the figure; printed as proportional to the distance, taken in the loose sense, less further "
    "away; which stationary kernel is left open",
    left_open=("kernel",),
    literature="Rasmussen and Williams 2006, equation 2.19",
    criterion=AllOf(
        affected=AtLeast("influence", bound=0.05, where={"place": "near"}, each=("kernel",)),
        distance=Greater("influence", of="near", than="far", by="place", each=("kernel",)),
        beyond=Greater("influence", of="far", than="a period away", by="place", each=("kernel",)),
    ),
    boundary=Boundary(
        "for kernels that fall with the distance; under a periodic one it returns in full after a period",
        holds="part != 'beyond' or kernel != 'periodic'",
        named=(
            {"part": "affected", "kernel": "rbf"},
            {"part": "distance", "kernel": "rbf"},
            {"part": "beyond", "kernel": "rbf"},
            {"part": "beyond", "kernel": "periodic"},
        ),
    ),
    rival=Rival(
        "The influence is proportional to the distance in the literal sense: it is larger further away.",
        criterion=Greater("influence", of="far", than="near", by="place", each=("kernel",)),
    ),
    control={"kernels": ("white",)},
    seeds=48,
)
def influence_with_distance(seed, *, kernels=KERNELS):
    """How far one more training point moves the prediction elsewhere, relative to how far it moves it where it lies.

    Four training points, 1.5 length scales apart up to 0.3 either way, and one more to their right; the prediction by
    Keras with and without it, 0.8 to 1.2, 2.5 to 3.5 and twelve lengths further to the right. The influence depends on
    the inputs alone. It must be five per cent at the nearest place, in the project's table the least that matters, and
    less at each place that is further away; were it independent of the distance, that would fail. The literal reading,
    that it grows as the distance, is the rival. The periodic kernel has a period of 12 lengths. In the control the
    values of the process are independent, and nothing else moves.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for kernel in kernels:
        x = _spread_points(generator, 5)
        y = draw_normal(covariance(kernel, x, x), 1, generator)[0]
        at = x[-1] + np.array([0.0, generator.uniform(0.8, 1.2), generator.uniform(2.5, 3.5), PERIOD])[:, None]
        moved = np.abs(condition(kernel, x, y, at)[0] - condition(kernel, x[:-1], y[:-1], at)[0])
        for place, change in zip(("near", "far", "a period away"), moved[1:], strict=True):
            rows.append({"kernel": kernel, "place": place, "influence": change / moved[0]})
    return pd.DataFrame(rows)


@claim(
    r"The predictive mean is $k(x)^\top K^+ y$, its mean squared error $K(x, x) - k(x)^\top K^+ k(x)$.",
    source=cheatsheet("1.9.3"),
    kind="formula",
    scope="a process of mean zero and known kernel, observed without noise",
    literature="Rasmussen and Williams 2006, equation 2.19",
    criterion=AllOf(
        mean=Identity("prediction", "by_scikit_learn", operations=10**6, where={"of": "prediction"}),
        unbiased=AtMost("deviation", bound="limit", where={"of": "product"}),
        error=AtMost("deviation", bound="limit", where={"of": "error"}),
    ),
    smoke={"draws": 10_000},
    control={"assumed_length": 2.0},
)
def regression(seed, *, draws=20_000, points=(1, 3, 6), assumed_length=1.0):
    """Regression on functions drawn from the process, one to six training points and five test points.

    Training inputs are 1.5 length scales apart up to 0.3 either way, the first of them observed twice, so that K has no
    inverse; test inputs lie 0.3 to 2 lengths to the right of one of them. Mean: by Keras' pseudo-inverse against
    scikit-learn without the repeated point. That it is the mean of the value given the data: over 20,000 functions
    its error has no correlation with any observation (orthogonality). Error: its mean square against the formula. Both
    in standard errors, which a correct formula exceeds once in a million. The control regresses with twice the length
    scale of the process.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for number in points:
        distinct = _spread_points(generator, number)
        x = np.concatenate([distinct, distinct[:1]])
        chosen = generator.integers(number, size=5)
        at = distinct[chosen] + np.array([0.3, 0.5, 0.8, 1.2, 2.0])[:, None]
        everything = np.concatenate([distinct, at])
        values = draw_normal(covariance("rbf", everything, everything), draws, generator)
        observed, true = np.hstack([values[:, :number], values[:, :1]]), values[:, number:]
        between = covariance("rbf", x, at, assumed_length)
        weights = pseudo_inverse(covariance("rbf", x, x, assumed_length)) @ between
        predicted, error = observed @ weights, 1 - (between * weights).sum(axis=0)
        process = sklearn.gaussian_process.GaussianProcessRegressor(
            sklearn.gaussian_process.kernels.RBF(assumed_length), optimizer=None, alpha=0.0
        )
        by_library = process.fit(distinct, observed[0, :number]).predict(at)
        columns = {"prediction": predicted[0], "by_scikit_learn": by_library}
        tables.append(pd.DataFrame({"of": "prediction", **columns}))
        left = true - predicted
        product = np.abs(left.T @ observed / draws) / np.sqrt(error / draws)[:, None]
        square = np.abs((left**2).mean(axis=0) / error - 1) / np.sqrt(2 / draws)
        for of, deviations in {"product": product.ravel(), "error": square}.items():
            limits = error_limit(len(points) * len(deviations))
            tables.append(pd.DataFrame({"of": of, "deviation": deviations, "limit": limits}))
    return pd.concat(tables, ignore_index=True)


def _spread_points(generator, number):
    """Inputs from left to right, 1.5 apart up to 0.3 either way, [number, 1]."""
    return (1.5 * np.arange(number) + generator.uniform(-0.3, 0.3, size=number))[:, None]
