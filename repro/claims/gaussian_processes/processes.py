"""What a Gaussian process is: its marginals, draws from it, stationary kernels, features of the Gaussian kernel."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Identity, Rival, cheatsheet, claim, notes
from repro.claims.gaussian_processes._processes import (
    PERIOD,
    covariance,
    distance_limit,
    draw_normal,
    error_limit,
    moment_errors,
)

with epy.lazy_imports():
    import keras
    import scipy.linalg
    import scipy.special
    import scipy.stats
    import sklearn.gaussian_process.kernels


@claim(
    "Every linear combination of values of a Gaussian process is Gaussian, and its mean and its kernel determine the "
    "process.",
    source=(cheatsheet("1.9.3"), notes("Definition 2.29")),
    kind="theorem",
    scope="any inputs; processes are compared by their joint distributions at finitely many inputs",
    criterion=AllOf(
        combinations=AtMost("distance", bound="rejected_from", where={"compared": "combination"}),
        determined=AtMost("distance", bound="rejected_from", where={"compared": "constructions"}),
    ),
    smoke={"draws": 10_000},
    control={"process": "student"},
)
def finite_marginals(seed, *, draws=20_000, inputs=20, process="normal"):
    """Two constructions of one process, at 20 uniform inputs, with mean sin(x) and the kernel exp(-|x - z|).

    One is the mean plus Keras' Cholesky factor of the kernel matrix times normal noise; the other goes from input to
    input, f(next) = r f + sqrt(1 - r^2) noise with r = exp(-distance): the Ornstein-Uhlenbeck process, which has this
    kernel. Combinations: five with normal coefficients, standardised by mean and kernel, against the normal
    distribution, for both constructions. Determined: largest value, range and product of neighbours, which depend on
    the joint distribution, compared between the two. All by Kolmogorov-Smirnov distances, each of which may be up to
    that which a test rejects at one in a million. The control, the first construction divided by the root of a variable
    of chi-squared distribution with three degrees of freedom, has the same mean and kernel, and is no Gaussian process.
    """
    generator = np.random.default_rng(seed)
    x = np.sort(generator.uniform(0, 5, size=(inputs, 1)), axis=0)
    mean, kernel = np.sin(x[:, 0]), covariance("laplace", x, x)
    factor = keras.ops.convert_to_numpy(keras.ops.linalg.cholesky(keras.ops.convert_to_tensor(kernel)))
    by_matrix = generator.normal(size=(draws, inputs)) @ factor.T
    if process == "student":
        by_matrix *= 1 / np.sqrt(generator.chisquare(3, size=(draws, 1)))  # variance 3 / (3 - 2) over 3: one
    steps = np.exp(-np.diff(x[:, 0]))
    values = [generator.normal(size=draws)]
    for step in steps:
        values.append(step * values[-1] + np.sqrt(1 - step**2) * generator.normal(size=draws))
    processes = {"matrix": mean + by_matrix, "steps": mean + np.array(values).T}
    rows = []
    weights = generator.normal(size=(5, inputs))
    for name, drawn in processes.items():
        standardised = (drawn - mean) @ weights.T / np.sqrt(np.einsum("ci,ij,cj->c", weights, kernel, weights))
        for number, values_of in enumerate(standardised.T):
            distance = scipy.stats.kstest(values_of, "norm", method="asymp").statistic
            rows.append({"compared": "combination", "what": f"{name} {number}", "distance": distance})
    functionals = {
        "largest": lambda f: f.max(axis=1),
        "range": lambda f: f.max(axis=1) - f.min(axis=1),
        "neighbours": lambda f: (f[:, 1:] * f[:, :-1]).mean(axis=1),
    }
    for name, functional in functionals.items():
        pair = [functional(drawn) for drawn in processes.values()]
        distance = scipy.stats.ks_2samp(*pair, method="asymp").statistic
        rows.append({"compared": "constructions", "what": name, "distance": distance})
    found = pd.DataFrame(rows)
    of_one = found["compared"] == "combination"
    return found.assign(rejected_from=np.where(of_one, distance_limit(draws), distance_limit(draws, draws)))


def _sampled(bound):
    return AllOf(
        inputs=Identity("inputs", "expected_inputs", where={"of": "inputs"}),
        mean=AtMost("error", bound="limit", where={"of": "mean"}),
        covariance=AtMost("error", bound="limit", where={"of": bound}),
    )


@claim(
    r"For inputs $x_i = \epsilon i$, $i = 0, \dots, 1/\epsilon$, a draw from $N(0, \Sigma)$ with the kernel matrix "
    r"$\Sigma$ of $k(x, x') = \exp(-(x - x')^2 / (2\gamma^2))$, of $11 \times 11$ for $\epsilon = 0.1$, is a sample of "
    "the process.",
    source=notes("Remark 2.15"),
    kind="formula",
    scope="1/epsilon whole; how a computer draws from a normal distribution whose covariance is nearly singular is "
    "left open",
    literature="Rasmussen and Williams 2006, section 2.2; appendix A.2: rounding makes the Cholesky factorisation fail "
    "unless a small multiple of the identity is added",
    criterion=_sampled("covariance"),
    smoke={"draws": 10_000},
    rival=Rival(
        r"The process has the kernel $\exp(-(x - x')^2 / \gamma^2)$, without the two.",
        criterion=_sampled("covariance without the two"),
    ),
)
def sampling(seed, *, draws=20_000, spacings=(0.5, 0.25, 0.1, 0.05)):
    """Draws on grids, by Keras, against mean zero and the kernel, entry by entry.

    Length scales are uniform from 0.1 to 0.5. Matrices come from scikit-learn's RBF kernel, the expected moments from
    the printed formula; draws use Keras' eigenvalues, of which those that rounding made negative count as nought. The
    largest error of 20,000 draws in standard errors may be up to that which a correct formula exceeds once in a
    million. The number of inputs is 1/epsilon + 1, for 0.1 the printed 11. Further columns have the smallest eigenvalue
    that SciPy finds, which falls to rounding as epsilon does, and whether Keras then finds a Cholesky factor in single
    and in double precision.
    """
    generator = np.random.default_rng(seed)
    length = generator.uniform(0.1, 0.5)
    rows = []
    for spacing in spacings:
        x = spacing * np.arange(round(1 / spacing) + 1)[:, None]
        kernel = sklearn.gaussian_process.kernels.RBF(length)(x)
        drawn = draw_normal(kernel, draws, generator)
        common = {"spacing": spacing, "smallest_eigenvalue": scipy.linalg.eigvalsh(kernel)[0]}
        common |= {f"cholesky_{dtype}": _has_factor(kernel, dtype) for dtype in ("float32", "float64")}
        rows.append({"of": "inputs", "inputs": drawn.shape[1], "expected_inputs": round(1 / spacing) + 1, **common})
        printed = np.exp(-((x - x.T) ** 2) / (2 * length**2))
        mean, second = moment_errors(drawn, printed)
        rows.append({"of": "mean", "error": mean, "limit": error_limit(len(x)), **common})
        of_second = {"covariance": second, "covariance without the two": moment_errors(drawn, printed**2)[1]}
        for of, error in of_second.items():
            rows.append({"of": of, "error": error, "limit": error_limit(len(x) * (len(x) + 1) / 2), **common})
    return pd.DataFrame(rows)


@claim(
    "The covariance of two points by the RBF or the periodic kernel depends on their relative position only and does "
    "not change under translations; the linear kernel depends on the absolute location.",
    source=notes("Remark 2.19"),
    kind="formula",
    scope="any inputs; the Laplace kernel of Remark 2.16 beside them",
    criterion=AllOf(
        stationary=Identity("shifted", "kernel", operations=10**4, where={"stationary": True}),
        absolute=AtLeast("relative_change", bound=0.05, where={"stationary": False}),
        change=Identity("shifted", "predicted", operations=10**4, where={"stationary": False}),
    ),
    control={"shift": "of one point"},
)
def stationary_kernels(seed, *, pairs=64, dimension=3, shift="of both points"):
    """Kernels of 64 random pairs of points before and after both are shifted by one random vector.

    Points are standard normal in three dimensions, shifts have components from -8 to 8, length scales are uniform from
    half to two. Kernels after the shift are scikit-learn's (RBF, ExpSineSquared, Matern of order 1/2, DotProduct),
    those before it are the printed formulas. The linear kernel must change by five per cent of the norm of its values
    at least, and by c(x + y) + c c for the shift c. The control shifts one point of every pair. A worked identity:
    what could make it fail are the kernels of a library.
    """
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(2, pairs, dimension))
    c, length = generator.uniform(-8, 8, size=dimension), generator.uniform(0.5, 2)
    of = sklearn.gaussian_process.kernels
    distance = np.linalg.norm(x - y, axis=1)
    kernels = {
        "rbf": (of.RBF(length), np.exp(-(distance**2) / (2 * length**2))),
        "laplace": (of.Matern(length, nu=0.5), np.exp(-distance / length)),
        "periodic": (
            of.ExpSineSquared(length, PERIOD),
            np.exp(-2 * np.sin(np.pi * distance / PERIOD) ** 2 / length**2),
        ),
        "linear": (of.DotProduct(sigma_0=0), (x * y).sum(axis=1)),
    }
    other = y + c if shift == "of both points" else y
    tables = []
    for name, (function, before) in kernels.items():
        after = np.diag(function(x + c, other))
        change = np.linalg.norm(after - before) / np.linalg.norm(before)
        predicted = before + (x + y) @ c + c @ c
        columns = {"shifted": after, "kernel": before, "predicted": predicted, "relative_change": change}
        tables.append(pd.DataFrame({"of": name, "stationary": name != "linear", **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"By its Taylor expansion the Gaussian kernel $\exp(-\gamma \|x - y\|^2)$ is an inner product of infinitely many "
    "features.",
    source=notes("Remark 2.18"),
    kind="theorem",
    scope="any positive gamma",
    literature="Steinwart, Hush and Scovel 2006: the features and the space of the Gaussian kernel; Micchelli 1986: "
    "its matrices are regular for distinct points",
    criterion=AllOf(
        features=Identity("inner_product", "kernel", operations=10**4, where={"of": "features"}),
        infinite=Identity("rank", "points", where={"of": "rank"}),
    ),
    control={"kernel": "polynomial"},
)
def rbf_infinite_features(seed, *, terms=80, sizes=(2, 4, 8, 12), kernel="gaussian"):
    r"""The inner product of as many features as rounding can tell, and the rank of kernel matrices, exactly.

    The expansion of $e^{2 \gamma xy}$ gives numbers the features $e^{-\gamma x^2} \sqrt{(2\gamma)^k / k!}\, x^k$; 80 of
    them against the kernel of scikit-learn at pairs of uniform numbers from -1.5 to 1.5, gamma from a half to two. That
    finitely many do not suffice: the Gram matrix of n features has a rank of n at most, and for gamma = -log q and
    whole x the kernel matrix has the rational entries $q^{(x - y)^2}$, whose rank for 2 to 12 distinct random x is
    found by elimination in fractions; it must be their number, each time. The control, $(1 + xy)^3$, is an inner
    product of four features.
    """
    generator = np.random.default_rng(seed)
    gamma, (x, y) = generator.uniform(0.5, 2), generator.uniform(-1.5, 1.5, size=(2, 64))
    order = np.arange(terms)
    logarithms = order * np.log(2 * gamma) - scipy.special.gammaln(order + 1.0)
    weights = keras.ops.convert_to_tensor(np.exp(logarithms / 2))

    def features(z):
        powers = keras.ops.convert_to_tensor(z[:, None] ** order)
        return weights * powers * keras.ops.exp(keras.ops.convert_to_tensor(-gamma * z[:, None] ** 2))

    products = keras.ops.convert_to_numpy(keras.ops.sum(features(x) * features(y), axis=1))
    of = sklearn.gaussian_process.kernels
    function = of.RBF((2 * gamma) ** -0.5) if kernel == "gaussian" else of.DotProduct(sigma_0=1) ** 3
    expected = np.diag(function(x[:, None], y[:, None]))
    tables = [pd.DataFrame({"of": "features", "inner_product": products, "kernel": expected})]
    q = Fraction(int(generator.integers(1, 9)), 10)
    for size in sizes:
        points = [int(point) for point in generator.choice(np.arange(-12, 13), size=size, replace=False)]
        matrix = [
            [q ** ((a - b) ** 2) if kernel == "gaussian" else Fraction(1 + a * b) ** 3 for a in points] for b in points
        ]
        tables.append(pd.DataFrame({"of": ["rank"], "rank": exact_rank(matrix), "points": size}))
    return pd.concat(tables, ignore_index=True)


def _has_factor(matrix, dtype):
    """Whether Keras finds a Cholesky factor of a matrix in a precision."""
    try:
        keras.ops.linalg.cholesky(keras.ops.convert_to_tensor(matrix, dtype))
    except Exception:  # noqa: BLE001  what is raised where there is none differs by the backend
        return False
    return True


def exact_rank(matrix):
    """Rank of a matrix of fractions, by Gaussian elimination without rounding."""
    rows, rank = [list(row) for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((place for place in range(rank, len(rows)) if rows[place][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for place in range(rank + 1, len(rows)):
            factor = rows[place][column] / rows[rank][column]
            rows[place] = [below - factor * above for below, above in zip(rows[place], rows[rank], strict=True)]
        rank += 1
    return rank
