"""Networks made linear in their parameters: how near they are, what fits them, how outputs move in a step."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, ScalingLaw, cheatsheet, claim
from repro.claims.ntk._linearised import gradients, network, outputs
from repro.claims.ntk._wide import draw, forward, move, tangent_kernels, tilted, train
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.linalg

INPUTS = 3
# Of the central difference along the way of training, relative to its length.
STEP = 1e-5


def _quadratic(x, direction):
    return ScalingLaw(x, "error", expected=2, rivals=(1, 3), where={"of": direction})


@claim(
    r"The network is approximately $h(\beta)(x) = f(x) + \beta \cdot \nabla f(x)$, with $\beta \approx \theta - "
    r"\theta_0$ and $f = f(\theta_0)$: a Taylor approximation.",
    source=cheatsheet("1.9.1"),
    kind="formula",
    scope="theta near theta_0; how near depends on the curvature, which is left open; smooth activations; after "
    "training, wide networks",
    literature="Lee et al. 2019, theorem 2.1: trained networks differ from linearised ones by one over the root of the "
    "width at most",
    criterion=AllOf(
        random=_quadratic("size", "random"),
        gradient=_quadratic("size", "gradient"),
        trained=ScalingLaw(
            "width",
            "error",
            at_most=-0.25,
            because="halfway between none and the inverse root of the width, which theory has as a bound",
            where={"of": "trained"},
        ),
    ),
    smoke={"trained_widths": (32, 64, 128, 256)},
    control={"gradient": "of another network"},
)
def linearisation(
    seed, *, widths=(4, 32), exponents=(3, 4, 5, 6, 7), points=5, trained_widths=(64, 128, 256, 512), gradient="own"
):
    """What a first-order Taylor polynomial leaves: an error of second order in the length of beta.

    Keras networks of two hidden layers of 4 or 32 sigmoid units with three inputs; beta in a random direction, or in
    that of the gradient of the mean output, of length 2^-3 to 2^-7. The error is the root mean square at five normal
    inputs, averaged over both networks. After training beta is what the parameters have moved: networks of one
    layer of tanh units in the parametrisation of the tangent kernel descend on half the squared error at five inputs,
    targets plus or minus one, to a hundredth of its size at outputs of nought. The error is then a root mean square
    over eight networks and eight new inputs, relative to the change of the outputs. The control has the gradients of a
    network of other weights, which leave an error of first order, and of the size of the change.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(points, INPUTS))
    sizes, errors = 2.0 ** -np.array(exponents), {"random": 0.0, "gradient": 0.0}
    for width in widths:
        model = network(seed, width, INPUTS, hidden=2)
        before, own = outputs(model, x), gradients(model, x)
        used = own if gradient == "own" else gradients(network(seed + 2**31, width, INPUTS, hidden=2), x)
        for of, direction in (("random", generator.normal(size=own.shape[1])), ("gradient", own.mean(axis=0))):
            unit = direction / np.linalg.norm(direction)
            left = [outputs(model, x, size * unit) - before - size * used @ unit for size in sizes]
            errors[of] = errors[of] + np.sqrt(np.mean(np.square(left), axis=1)) / len(widths)
    tables = [pd.DataFrame({"of": of, "size": sizes, "error": error}) for of, error in errors.items()]
    return pd.concat([*tables, _after_training(generator, trained_widths, gradient)], ignore_index=True)


def _after_training(generator, widths, gradient, networks=8, inputs=5):
    """Errors of linearised networks where training has led, relative to the change of the outputs, by width."""
    x, y = tilted(generator, inputs), generator.choice([-1.0, 1.0], size=(1, inputs)).repeat(networks, axis=0)
    new, rows = generator.normal(size=(8, inputs)), []
    for width in widths:
        start, other = (draw(generator, networks, (inputs, width, 1)) for _ in range(2))
        rates = 1 / (3 * np.linalg.eigvalsh(tangent_kernels(start, x, "tanh")[1])[:, -1])
        trained, _ = train(start, x, y, "tanh", rates=rates, target=0.01 * inputs / 2, steps=200)
        beta, linearised = move(trained, -1.0, start), start if gradient == "own" else other
        ahead, behind = (forward(move(linearised, step, beta), new, "tanh")[0] for step in (STEP, -STEP))
        change = forward(trained, new, "tanh")[0] - forward(start, new, "tanh")[0]
        left = change - (ahead - behind) / (2 * STEP)
        rows.append({"of": "trained", "width": width, "error": np.linalg.norm(left) / np.linalg.norm(change)})
    return pd.DataFrame(rows)


@claim(
    r"Under gradient flow on the squared loss $\dot f = K(\theta)(y - f)$.",
    source=cheatsheet("1.9.1"),
    kind="formula",
    scope="E is half the squared error; any differentiable network of any width; the dots are lost in our copy",
    transcription=True,
    literature="Jacot et al. 2018",
    criterion=AllOf(narrow=_quadratic("eta", "narrow"), wide=_quadratic("eta", "wide")),
    control={"kernel": "of another network"},
)
def functional_flow(seed, *, widths=(3, 256), exponents=(3, 4, 5, 6, 7), points=5, kernel="own"):
    """Change of the outputs in one step of Keras' SGD of size eta, against eta K (y - f): the error is of second order.

    Networks of one hidden layer of 3 or 256 sigmoid units, five normal inputs in three dimensions and normal targets;
    K is the matrix of products of gradients. Eta goes from an eighth to 1/128 of the inverse of K's largest eigenvalue,
    in single precision as Keras keeps it. The control has the kernel of a network of other weights.
    """
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(points, INPUTS)), generator.normal(size=points)
    tables = []
    for of, width in zip(("narrow", "wide"), widths, strict=True):
        model = network(seed, width, INPUTS)
        start = model.get_weights()
        before, own = outputs(model, x), gradients(model, x)
        used = own if kernel == "own" else gradients(network(seed + 2**31, width, INPUTS), x)
        matrix, largest = used @ used.T, np.linalg.eigvalsh(own @ own.T)[-1]
        etas = (2.0 ** -np.array(exponents) / largest).astype(np.float32).astype(np.float64)
        errors = []
        for eta in etas:
            model.set_weights(start)
            values = [keras.ops.convert_to_tensor(variable.value) for variable in model.trainable_variables]
            _, _, slopes = value_and_gradient(_half_squared_error, values, model, x, y)
            keras.optimizers.SGD(float(eta)).apply(slopes, model.trainable_variables)
            errors.append(np.linalg.norm(outputs(model, x) - before - eta * matrix @ (y - before)))
        tables.append(pd.DataFrame({"of": of, "eta": etas, "error": errors}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The linearised network fitted to S has the form $h(\alpha)(x) = f(x) + \sum_i \alpha_i \nabla f(x_i) \cdot "
    r"\nabla f(x)$.",
    source=cheatsheet("1.9.1"),
    kind="theorem",
    scope="parameters beta of the linearised network in the span of the gradients at the training inputs; how it is "
    "fitted is left open",
    left_open=("fit",),
    literature="Schölkopf, Herbrich and Smola 2001: the representer theorem, for the least norm; gradient descent from "
    "nought stays in the span; Gunasekar et al. 2018: Adam's steps do not",
    criterion=Identity("outside", "none", atol=1e-6, each=("fit",)),
    boundary=Boundary(
        "for the least-squares solution of the least norm, and for gradient descent from beta = 0 with and without "
        "momentum; Adam scales each component by itself and leaves the span",
        holds="fit != 'Adam'",
        assumption="the fit is that of the least norm, as of gradient descent from nought; Schölkopf, Herbrich and "
        "Smola 2001",
    ),
    control={"start": "random"},
)
def dual_representation(seed, *, width=16, points=5, steps=20, start="nought"):
    """Share of beta that lies outside the span of the gradients at the training inputs.

    A linear model with the gradients of a Keras network of 81 parameters at five inputs as its features, fitted to
    normal targets less the outputs: by NumPy's least squares of the least norm, and by 20 steps of Keras' SGD, SGD with
    momentum 0.9 and Adam on half the squared error, from beta = 0. The share is one of lengths; up to 1e-6 counts as
    none, which rounding in single precision would stay below. In the control beta starts from normal numbers of unit
    length together, and keeps what of them is outside; least squares are then those nearest to the start.
    """
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(points, INPUTS)), generator.normal(size=points)
    model = network(seed, width, INPUTS)
    features, residual = gradients(model, x), y - outputs(model, x)
    basis = np.linalg.qr(features.T)[0]
    first = np.zeros(features.shape[1])
    if start == "random":
        first = generator.normal(size=len(first))
        first /= np.linalg.norm(first)
    rate = 0.5 / np.linalg.eigvalsh(features @ features.T)[-1]
    fitted = {"least squares": first + np.linalg.lstsq(features, residual - features @ first, rcond=None)[0]}
    optimizers = {
        "gradient descent": keras.optimizers.SGD(rate),
        "momentum": keras.optimizers.SGD(rate, momentum=0.9),
        "Adam": keras.optimizers.Adam(0.01),
    }
    for name, optimizer in optimizers.items():
        beta = keras.Variable(first, dtype="float64")
        for _ in range(steps):
            values = np.array(keras.ops.convert_to_numpy(beta.value))
            slope = features.T @ (features @ values - residual)
            optimizer.apply([keras.ops.convert_to_tensor(slope)], [beta])
        fitted[name] = np.array(keras.ops.convert_to_numpy(beta.value))
    rows = []
    for fit, beta in fitted.items():
        outside = np.linalg.norm(beta - basis @ (basis.T @ beta)) / np.linalg.norm(beta)
        rows.append({"fit": fit, "outside": outside, "none": 0.0})
    return pd.DataFrame(rows)


@claim(
    r"The least-squares optimum of the linearised network $h(\alpha)(x) = f(x) + \sum_i \alpha_i \nabla f(x_i) \cdot "
    r"\nabla f(x)$ is $\alpha^* = K^+ (y - f)$, $h^*(x) = k(x) K^+ (y - f)$.",
    source=cheatsheet("1.9.1"),
    kind="formula",
    scope="squared loss on the training set, f the initial outputs; whether the initial function is nought is left "
    "open",
    left_open=("initial_output",),
    root="initial_output",
    literature="Lee et al. 2019, equations 10 and 11; Arora et al. 2019 make the initial outputs small to leave them "
    "out",
    criterion=AllOf(
        coefficients=Identity(
            "fitted", "by_least_squares", operations=10**7, each=("initial_output",), where={"of": "training"}
        ),
        prediction=Identity(
            "predicted", "by_least_squares", operations=10**7, each=("initial_output",), where={"of": "new"}
        ),
    ),
    boundary=Boundary(
        "for the coefficients; for the prediction where the initial function is nought, since f(x) is not added to it",
        holds="part == 'coefficients' or initial_output == 'nought'",
        assumption="an initial function of nought; Arora et al. 2019, section 3",
    ),
    correction=Correction(r"$h^*(x) = f(x) + k(x) K^+ (y - f)$.", adding="f(x)"),
)
def linearised_solution(seed, *, width=8, points=6, adding="nothing"):
    """The printed solution, with Keras' singular values for the pseudo-inverse, against SciPy's least squares in beta.

    Gradients of a Keras network with one hidden layer of eight sigmoid units at six normal inputs, once all distinct
    and once with the first repeated, with another target, so that K has no inverse; eight new inputs. The initial
    function is that of the network, or nought, when a copy of it is subtracted. Coefficients: the fitted values on the
    training inputs. At new inputs the printed function differs from h(alpha*) by f(x), by which it does not fit its own
    training data either.
    """
    generator = np.random.default_rng(seed)
    model, tables = network(seed, width, INPUTS), []
    for repeated in (False, True):
        x, y, new = (generator.normal(size=shape) for shape in ((points, INPUTS), points, (8, INPUTS)))
        if repeated:
            x = np.concatenate([x, x[:1]])
            y = np.append(y, generator.normal())
        of_training, of_new = gradients(model, x), gradients(model, new)
        for initial_output in ("nought", "random"):
            factor = 0.0 if initial_output == "nought" else 1.0
            f, f_new = factor * outputs(model, x), factor * outputs(model, new)
            alpha = _pseudo_inverse(of_training @ of_training.T) @ (y - f)
            beta = scipy.linalg.lstsq(of_training, y - f)[0]
            added = f_new if adding == "f(x)" else 0.0
            predictions = {"predicted": of_new @ of_training.T @ alpha + added}
            by_beta = f_new + of_new @ beta
            place = {"initial_output": initial_output}
            tables.append(pd.DataFrame({"of": "new", **place, **predictions, "by_least_squares": by_beta}))
            fitted = {"fitted": of_training @ of_training.T @ alpha, "by_least_squares": of_training @ beta}
            tables.append(pd.DataFrame({"of": "training", **place, **fitted}))
    return pd.concat(tables, ignore_index=True)


def _half_squared_error(values, model, x, y):
    found, _ = model.stateless_call(values, [], keras.ops.convert_to_tensor(x))
    return keras.ops.sum(keras.ops.square(found[:, 0] - keras.ops.convert_to_tensor(y))) / 2, ()


def _pseudo_inverse(matrix):
    left, values, right = (
        keras.ops.convert_to_numpy(part) for part in keras.ops.linalg.svd(keras.ops.convert_to_tensor(matrix))
    )
    kept = values > 1e-11 * values[0]
    return (right[kept].T / values[kept]) @ left[:, kept].T
