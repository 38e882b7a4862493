"""What becomes of the tangent kernel of wide networks: at the start, in training, and in what they predict."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from repro import Boundary, Correction, Reported, Rival, ScalingLaw, cheatsheet, claim
from repro.claims.ntk._wide import draw, forward, gradient, infinite_kernels, move, tangent_kernels, tilted, train

INPUTS = 5
# Of the central differences of gradients, along a unit vector.
STEP = 1e-5
BETWEEN_ROOT_AND_NONE = "halfway between none and the inverse root of the width, the slowest rate that theory has"


def _converge(distance, cells=("initial_output",), **where):
    return ScalingLaw("width", distance, at_most=-0.25, because=BETWEEN_ROOT_AND_NONE, each=cells, where=where)


@claim(
    r"With $w_{ij} = \frac{\sigma_w}{\sqrt m} \varepsilon_{ij}$, $b_i = \frac{\sigma_b}{\sqrt m} \beta_i$ and standard "
    r"normal $\varepsilon$, $\beta$ the initial tangent kernel converges to a deterministic limit as the widths grow.",
    source=cheatsheet("1.9.1"),
    kind="theorem",
    scope="fully connected networks of fixed depth, gradients with respect to epsilon and beta; the index of m is "
    "taken to be that of the layer before; activation and depth are left open",
    left_open=("activation", "hidden"),
    transcription=True,
    literature="Jacot et al. 2018, theorem 1; Hanin and Nica 2020: with depth in proportion to width the kernel stays "
    "random",
    criterion=_converge("distance", ("activation", "hidden")),
    rival=Rival(
        "The same holds for gradients with respect to w and b.",
        criterion=_converge("distance_of_weights", ("activation", "hidden")),
    ),
    smoke={"networks": 16, "widths": (16, 32, 64, 128)},
    control={"depth": "growing", "widths": (16, 32, 64)},
    seeds=48,
)
def kernel_limit(
    seed, *, widths=(32, 64, 128, 256), networks=32, depths=(1, 3), activations=("tanh", "relu"), depth="fixed"
):
    """Distance of random kernels from the analytic limit, which falls as the inverse root of the width.

    Four inputs of normal components in five dimensions; kernels of 32 networks of one and of three hidden layers, the
    limit by the recursion over layers with closed forms (ReLU) or quadrature (tanh). The distance is the root mean
    square over networks of the Frobenius norm, relative to that of the limit; it holds both what varies between draws
    and what their mean is off. Sigma_w is root two for ReLU and one for tanh, sigma_b a half. The rival has gradients
    with respect to w and b, for which each layer counts m times. In the control the depth grows as an eighth, or three
    eighths, of the width.
    """
    generator = np.random.default_rng(seed)
    x, rows = generator.normal(size=(4, INPUTS)), []
    for activation, hidden, width in itertools.product(activations, depths, widths):
        layers = hidden if depth == "fixed" else hidden * width // 8
        _, limit = infinite_kernels(x, activation, layers)
        sizes = (INPUTS, *[width] * layers, 1)
        squares = {"distance": [], "distance_of_weights": []}
        for few in _groups(networks, layers * width**2):
            drawn = draw(generator, few, sizes)
            for name, found in squares.items():
                _, kernels = tangent_kernels(drawn, x, activation, of_weights=name == "distance_of_weights")
                found.extend(np.sum((kernels - limit) ** 2, axis=(1, 2)))
        distances = {name: np.sqrt(np.mean(found)) / np.linalg.norm(limit) for name, found in squares.items()}
        rows.append({"activation": activation, "hidden": hidden, "width": width, **distances})
    return pd.DataFrame(rows)


# Activations, numbers of hidden layers, and factors of the widths: the rate of ReLU shows late.
ARCHITECTURES = (("tanh", 1, 1), ("tanh", 2, 1), ("relu", 1, 4))


def trained_kernels(
    seed, *, widths=(64, 128, 256, 512, 1024), networks=8, architectures=ARCHITECTURES, mean_field=False
):
    """Kernels before and after training of networks of one or two hidden layers to a hundredth of the squared target.

    Five inputs of length root five in five dimensions, in directions that are orthogonal up to a tilt, with targets of
    either sign, of absolute value one; plain gradient descent on half the squared error, all examples in each step, at
    a third of the inverse of the largest eigenvalue of the kernel at the start, until half the squared error is 0.025.
    Networks with ReLU are four times as wide. Columns: the change of the kernel in its Frobenius norm, as a root mean
    square over eight networks, relative to the kernel, and how far the slowest network got.
    """
    generator = np.random.default_rng(seed)
    x, y = tilted(generator, INPUTS), generator.choice([-1.0, 1.0], size=INPUTS)
    rows = []
    for (activation, hidden, factor), narrow in itertools.product(architectures, widths):
        width = factor * narrow
        parameters = draw(generator, networks, (INPUTS, *[width] * hidden, 1))
        _, before = tangent_kernels(parameters, x, activation, mean_field)
        rates = 1 / (3 * np.linalg.eigvalsh(before)[:, -1])
        trained, errors = train(
            parameters,
            x,
            np.broadcast_to(y, (networks, INPUTS)),
            activation,
            rates=rates,
            target=0.01 * INPUTS / 2,
            steps=200,
            mean_field=mean_field,
        )
        _, after = tangent_kernels(trained, x, activation, mean_field)
        change = np.linalg.norm(after - before, axis=(1, 2)) / np.linalg.norm(before, axis=(1, 2))
        place = {"activation": activation, "hidden": hidden, "width": width}
        rows.append({**place, "change": np.sqrt(np.mean(change**2)), "largest_error": errors.max()})
    return pd.DataFrame(rows)


@claim(
    "In the limit of infinite width the tangent kernel stays constant during training.",
    source=cheatsheet("1.9.1"),
    kind="theorem",
    scope="the parametrisation with normal epsilon and beta, gradient flow on the squared loss, fixed data; "
    "activation and depth are left open",
    left_open=("activation", "hidden"),
    literature="Jacot et al. 2018, theorem 2; Lee et al. 2019; Mei, Montanari and Nguyen 2018: features move where "
    "outputs are divided by the width",
    reads=trained_kernels,
    criterion=ScalingLaw(
        "width", "change", at_most=-0.25, because=BETWEEN_ROOT_AND_NONE, each=("activation", "hidden")
    ),
    smoke={"widths": (64, 128, 256, 512)},
    control={"mean_field": True},
    seeds=48,
)
def constancy(observations):
    """The change of the kernel from the start to an equal, small training error vanishes as a power of the width.

    The control divides the output by the width in place of its root, so that hidden units have to move.
    """
    return observations


@claim(
    r"$\|k(\theta_0) - k(\theta_t)\|_F$ is $O(1/m)$.",
    source=cheatsheet("1.9.1"),
    kind="law",
    scope="equal widths, the same parametrisation, squared loss, fixed data; an upper bound; the activation is left "
    "open",
    left_open=("activation", "hidden"),
    scale="same",
    literature="Huang and Yau 2020 for smooth activations, Dyer and Gur-Ari 2020 by diagrams: 1/m; Lee et al. 2019 "
    "prove one over the root; for ReLU derived in the docstring",
    reads=trained_kernels,
    criterion=ScalingLaw(
        "width",
        "change",
        at_most=-0.75,
        because="halfway between -1 and -1/2, that of units which pass their kink: some root of m of m units do",
        each=("activation", "hidden"),
    ),
    boundary=Boundary(
        "for smooth activations; with ReLU some root of m of the m units switch sides, more of them one way than the "
        "other, which leaves one over the root of m",
        holds="activation == 'tanh'",
    ),
    smoke={"widths": (64, 128, 256, 512)},
    control={"mean_field": True},
    seeds=48,
    reported=(
        Reported(
            "O(1/sqrt(n)) proved, closer to 1/n measured",
            measure="change of the tangent kernel with the width n",
            setting="fully connected networks, squared loss",
            place="Lee et al. 2019, theorem 2.1 and figure 1",
        ),
    ),
)
def near_constancy_rate(observations):
    r"""The exponent of the change of the kernel in the width, at equal training error, as an upper bound.

    The change is a root mean square over networks, of a kernel of order one. In training what enters a unit i moves by
    some $a_i / \sqrt m$, with a of random sign, its weight of the output. For smooth activations the m changes of the
    kernel, of size $m^{-3/2}$ each, have random signs to that order. A ReLU unit on one side of its kink at an input is
    pushed by that example, on the other side not, so that those that switch on and off, some $\sqrt m$ of either,
    differ by as many; each changes the kernel by 1/m. Over 200 and more draws with the same data the mean change fell
    from width 256 to 1024 by factors of 2.1 with ReLU and 4.0 with tanh.
    """
    return observations


@claim(
    r"The trained network of infinite width predicts $f_\infty(x) = k(x) K^+ (y - f)$, $k = k_\infty$.",
    source=cheatsheet("1.9.1"),
    kind="theorem",
    scope="trained to the end on the squared loss, f the initial outputs at the training inputs; whether the initial "
    "function is nought is left open",
    left_open=("initial_output",),
    root="initial_output",
    literature="Lee et al. 2019, equation 11; Arora et al. 2019, theorem 3.2",
    criterion=_converge("distance"),
    boundary=Boundary(
        "where the initial function is nought; else the initial f(x) - k(x) K^+ f does not vanish with the width",
        holds="initial_output == 'nought'",
        assumption="an initial function of nought; Arora et al. 2019, section 3",
    ),
    rival=Rival(
        "It predicts by regression with the kernel of the last layer alone.",
        criterion=_converge("last_layer", (), initial_output="nought"),
    ),
    correction=Correction(r"$f_\infty(x) = f(x) + k(x) K^+ (y - f)$, $k = k_\infty$.", adding="f(x)"),
    smoke={"widths": (32, 64, 128, 256, 512)},
)
def kernel_regression(seed, *, widths=(64, 128, 256, 512, 1024, 2048), networks=8, activation="tanh", adding="nothing"):
    """Distance of trained networks from the formula with the analytic kernel, at eight new inputs.

    One hidden layer of tanh units, training inputs and targets as for ``constancy``, new ones of the same length in
    random directions; gradient descent until half the squared error is 1e-6. The distance is a root mean square over
    networks and inputs. The initial function is that of the network, or nought: then a copy of the untrained network is
    subtracted. The rival has the moments of the last layer's inputs for the tangent kernel.
    """
    generator = np.random.default_rng(seed)
    x, y = tilted(generator, INPUTS), generator.choice([-1.0, 1.0], size=INPUTS)
    new = generator.normal(size=(8, INPUTS))
    new *= INPUTS**0.5 / np.linalg.norm(new, axis=1, keepdims=True)
    moments, tangent = infinite_kernels(np.concatenate([x, new]), activation, 1)
    rows = []
    for width in widths:
        parameters = draw(generator, networks, (INPUTS, width, 1))
        of_training, kernels = tangent_kernels(parameters, x, activation)
        rates = 1 / (1.5 * np.linalg.eigvalsh(kernels)[:, -1])
        before = forward(parameters, new, activation)[0]
        for initial_output in ("nought", "random"):
            factor = 0.0 if initial_output == "nought" else 1.0
            # With a copy subtracted the network has to reach y + f, and what it predicts is less by f(x).
            targets = y + (1 - factor) * of_training
            trained, _ = train(parameters, x, targets, activation, rates=rates, target=1e-6, steps=400)
            after = forward(trained, new, activation)[0]
            predicted = after - (1 - factor) * before
            left = y - factor * of_training
            added = factor * before if adding == "f(x)" else 0.0
            distances = {
                name: np.sqrt(np.mean((predicted - added - left @ _solved(kernel, INPUTS)) ** 2))
                for name, kernel in (("distance", tangent), ("last_layer", moments))
            }
            rows.append({"initial_output": initial_output, "width": width, **distances})
    return pd.DataFrame(rows)


NETWORKS = ("linear output", "softplus output", "bottleneck")


@claim(
    r"$\|\nabla^2 f(\theta_0)\|_2 / \|\nabla f(\theta_0)\|_2^2 \ll 1$ for wide networks.",
    source=cheatsheet("1.9.1"),
    kind="tendency",
    scope="fully connected networks at their start, all hidden layers wide; activation, and whether the output is "
    "linear and no layer is narrow, are left open",
    left_open=("network", "activation"),
    literature="Liu, Zhu and Belkin 2020: the curvature vanishes as the inverse root of the width for a linear "
    "output, and does not for a non-linear one or with a narrow layer",
    criterion=ScalingLaw(
        "width", "ratio", at_most=-0.25, because=BETWEEN_ROOT_AND_NONE, each=("network", "activation")
    ),
    boundary=Boundary("for a linear output and no narrow layer", holds="network == 'linear output'"),
    smoke={"widths": (16, 64, 128)},
    seeds=48,
)
def vanishing_curvature(
    seeds, *, widths=(16, 32, 64, 128, 256), networks=NETWORKS, activations=("tanh", "relu"), copies=8, iterations=15
):
    """The largest curvature, by 15 power iterations, over the squared norm of the gradient.

    Parameters are epsilon and beta, the input is one of length root five in five dimensions; the ratio is the geometric
    mean of eight networks. Networks have two hidden layers and a linear output; the same with a softplus of it as
    output; or a layer of four units between the two. The second derivatives times a unit vector are central differences
    of gradients over 2e-5. The ratio does not change if all parameters are scaled alike, as by the root of the width in
    other parametrisations.
    """
    generators, tables = [np.random.default_rng(seed) for seed in seeds], []
    for network, activation, width in itertools.product(networks, activations, widths):
        sizes = (INPUTS, *((width, 4, width) if network == "bottleneck" else (width, width)), 1)
        drawn = [
            (generator.normal(size=(1, INPUTS)), *_pair(generator, sizes))
            for generator in generators
            for _ in range(copies)
        ]
        x = np.array([of_seed[0] for of_seed in drawn])
        x *= INPUTS**0.5 / np.linalg.norm(x, axis=2, keepdims=True)
        parameters, direction = (_stack([of_seed[place] for of_seed in drawn]) for place in (1, 2))
        # The derivative of softplus, the sigmoid, at the output of a network is a factor on its gradient.
        weights = _sigmoid if network == "softplus output" else np.ones_like

        def slope(at, x=x, activation=activation, weights=weights):
            return gradient(at, x, activation, weights)

        for _ in range(iterations):
            direction = move(_zeros(direction), 1 / np.sqrt(_squares(direction))[:, None, None], direction)
            ahead, behind = slope(move(parameters, STEP, direction)), slope(move(parameters, -STEP, direction))
            direction = move(_zeros(direction), 1 / (2 * STEP), move(ahead, -1.0, behind))
        ratios = np.sqrt(_squares(direction)) / _squares(slope(parameters))
        ratio = np.exp(np.log(ratios).reshape(len(seeds), copies).mean(axis=1))
        place = {"network": network, "activation": activation, "width": width}
        tables.append(pd.DataFrame({"seed": seeds, **place, "ratio": ratio}))
    return pd.concat(tables, ignore_index=True)


def _pair(generator, sizes):
    """Parameters of one network, and a direction."""
    return draw(generator, 1, sizes), draw(generator, 1, sizes)


def _stack(networks):
    """Join networks of one each."""
    return [
        tuple(np.concatenate(parts) for parts in zip(*layers, strict=True)) for layers in zip(*networks, strict=True)
    ]


def _zeros(parameters):
    return [tuple(np.zeros_like(part) for part in layer) for layer in parameters]


def _squares(parameters):
    """Squared norm of the parameters of each network."""
    return sum((part**2).sum(axis=(1, 2)) for layer in parameters for part in layer)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _solved(kernel, training):
    """Matrix K^+ k(x) of predictions from training targets, [training, new]."""
    return np.linalg.pinv(kernel[:training, :training]) @ kernel[:training, training:]


def _groups(networks, parameters):
    """Numbers of networks that are looked at together, so that some 50 million parameters are held at most."""
    few = max(1, min(networks, 50_000_000 // parameters))
    return [min(few, networks - start) for start in range(0, networks, few)]
