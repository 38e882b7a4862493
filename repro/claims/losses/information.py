"""Entropy, cross-entropy and divergences of discrete distributions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Identity, claim, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.spatial
    import scipy.special
    import scipy.stats

# Keras clips probabilities at 1e-7: a class of probability zero counts as 1e-7 log(1e-7 / q), down to -1.6e-6, of which
# ten classes have up to nine
CLIPPED = 2e-5
BASES = {"2": 2.0, "e": np.e, "3": 3.0, "10": 10.0}


@claim(
    r"The entropy $H(p) = -\sum_x p(x) \log p(x)$ of a discrete distribution lies in $[0, 1]$; near one all classes "
    "are evenly distributed, near zero there is only one class.",
    source=(notes("Definition 3.68"), notes("Remark 3.49")),
    kind="formula",
    scope="discrete distributions; the number of classes and the base of the logarithm are left open",
    left_open=("classes", "base"),
    literature="Shannon 1948, section 6: the entropy of n classes is largest, log n, where all are equally likely; in "
    "bits that is one for two classes",
    criterion=AllOf(
        not_negative=AtLeast("nats", bound=0.0, atol=CLIPPED, where={"question": "formula"}),
        at_most_one=AtMost("entropy", bound=1.0, rtol=1e-6, each=("classes", "base"), where={"question": "range"}),
        even=Identity(
            "entropy", "one", operations=16, dtype="float32", each=("classes", "base"), where={"question": "even"}
        ),
        one_class=Identity("nats", "zero", atol=CLIPPED, where={"question": "one class"}),
        formula=Identity("nats", "scipy", operations=64, dtype="float32", where={"question": "formula"}),
    ),
    boundary=Boundary(
        "where the base of the logarithm is the number of classes, such as bits for two classes; in a larger base the "
        "bound holds and even classes stay below one",
        holds="part not in ['at_most_one', 'even'] or (classes == 2 and base == '2') or (classes == 3 and base == '3') "
        "or (classes == 10 and base == '10') or (part == 'at_most_one' and (classes == 2 or base == '10'))",
        named=(
            {"part": "not_negative"},
            {"part": "one_class"},
            {"part": "at_most_one", "classes": 2, "base": "2"},
            {"part": "at_most_one", "classes": 3, "base": "e"},
            {"part": "at_most_one", "classes": 10, "base": "10"},
            {"part": "even", "classes": 2, "base": "2"},
            {"part": "even", "classes": 2, "base": "e"},
            {"part": "even", "classes": 10, "base": "10"},
        ),
        assumption="Shannon 1948: two classes in bits; in general the entropy divided by log n, its efficiency",
    ),
)
def entropy_range(seed, *, sizes=(2, 3, 10), draws=50):
    """Takes entropies in several bases: of 50 random distributions, of even classes, and of one class alone.

    Distributions are drawn from Dirichlet's with parameters from 0.1 to 10, nearly single classes and nearly even ones;
    even classes, where the entropy is largest, are among the random ones. By Keras' cross-entropy of a distribution
    with itself, single precision, over the logarithm of the base, and by SciPy.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for size in sizes:
        concentrations = 10 ** generator.uniform(-1, 1, size=draws)
        random = np.stack([generator.dirichlet(np.full(size, of_draw)) for of_draw in concentrations])
        p = np.concatenate([np.full((1, size), 1 / size), random, np.eye(size)]).astype(np.float32)
        nats = keras.ops.convert_to_numpy(keras.losses.categorical_crossentropy(p, p))
        scipy_nats = scipy.stats.entropy(p.astype(float), axis=1)
        question = np.where(np.arange(len(p)) <= draws, "formula", "one class")
        tables.append(pd.DataFrame({"question": question, "nats": nats, "scipy": scipy_nats, "zero": 0.0}))
        for name, base in BASES.items():
            labels = {"classes": size, "base": name, "one": 1.0}
            entropies = nats[: draws + 1] / np.log(base)
            tables.append(pd.DataFrame({"question": "range", "entropy": entropies, **labels}))
            tables.append(pd.DataFrame({"question": "even", "entropy": entropies[:1], **labels}))
    return pd.concat(tables, ignore_index=True)


P, Q = np.array([[0.0, 0.0, 1.0]], np.float32), np.array([[0.1, 0.2, 0.7]], np.float32)
DECIMAL = (
    "the decimal logarithm, for which log stands in much of engineering; the notes do not say which base they take"
)


@claim(
    r"The cross-entropy $H(p, q) = -\langle p, \log q \rangle$ of $p = (0, 0, 1)$ and $q = (0.1, 0.2, 0.7)$ is 0.15.",
    source=notes("Example 40"),
    kind="formula",
    scope="two digits; the base of the logarithm is left open",
    left_open=("base",),
    literature="the natural logarithm, in which the notes' own Remark 3.46 takes log(exp(x)) to be x, gives 0.36",
    criterion=Identity("cross_entropy", "printed", digits=2, each=("base",)),
    boundary=Boundary("in base ten", holds="base == '10'", assumption=DECIMAL),
    root="decimal_log",
)
def cross_entropy_example(*, bases=("2", "e", "10")):
    """Takes Keras' cross-entropy of the two distributions, in nats, and expresses it in other bases.

    A worked number: -log 0.7 is 0.155 in base ten, 0.357 in nats, which is what Keras and other libraries give, and
    0.515 in bits.
    """
    nats = float(keras.losses.categorical_crossentropy(P, Q)[0])
    values = [nats / np.log(BASES[base]) for base in bases]
    return pd.DataFrame({"base": bases, "cross_entropy": values, "printed": 0.15})


@claim(
    r"For $p = (0, 0, 1)$ the divergence $D_\mathrm{KL}(p, q_1)$ from $q_1 = (0.1, 0.2, 0.7)$ is 0.15, and "
    r"$D_\mathrm{KL}(p, q_2)$ from $q_2 = (1 - 1^{-\infty}, 0, 1^{-\infty})$ is infinite.",
    source=notes("Example 41"),
    kind="formula",
    scope="two digits; the base of the logarithm is left open, and whether the printed one in the third entry is a ten",
    left_open=("base", "third_entry"),
    literature="Kullback and Leibler 1951: infinite where q is zero and p is not",
    criterion=AllOf(
        near=Identity("divergence", "printed", digits=2, each=("base",), where={"compared": "q1"}),
        far=Identity("divergence", "printed", atol=1e-9, each=("third_entry",), where={"compared": "q2"}),
    ),
    boundary=Boundary(
        "in base ten, for a third entry that vanishes",
        holds="base == '10' or third_entry == '10^-inf'",
        assumption=f"{DECIMAL}; and a third entry of ten to the power of minus infinity, as the example calls the two "
        "distributions very far from each other",
    ),
    root="decimal_log",
    transcription=True,
)
def kl_example(*, bases=("2", "e", "10")):
    """Takes the divergence of the first pair by Keras in several bases, and that of the second with both third entries.

    A worked number. As printed, the third entry is a power of one, q_2 is p itself and the divergence is zero; with a
    ten in its place it is p log(p / 0). The second pair is evaluated by SciPy's relative entropy: Keras clips
    probabilities at 1e-7 and gives 16.1.
    """
    nats = float(keras.losses.kl_divergence(P, Q)[0])
    near = pd.DataFrame({"compared": "q1", "base": bases, "printed": 0.15})
    near["divergence"] = [nats / np.log(BASES[base]) for base in bases]
    rows = []
    for name, base in (("1^-inf", 1.0), ("10^-inf", 10.0)):
        third = base**-np.inf
        divergence = scipy.special.rel_entr(P[0].astype(float), [1 - third, 0.0, third]).sum()
        rows.append({"compared": "q2", "third_entry": name, "divergence": divergence, "printed": np.inf})
    return pd.concat([near, pd.DataFrame(rows)], ignore_index=True)


@claim(
    r"$D_\mathrm{KL}(p, q) = H(p, q) - H(p) \geq 0$; for fixed $p$, minimising the divergence and the cross-entropy is "
    "the same.",
    source=(notes("Definition 3.72"), notes("Remark 3.54")),
    kind="formula",
    scope="discrete distributions, q positive where p is",
    literature="Kullback and Leibler 1951; Gibbs' inequality",
    criterion=AllOf(
        difference=Identity("divergence", "difference", operations=128, dtype="float32", where={"quantity": "value"}),
        not_negative=AtLeast("divergence", bound=0.0, atol=CLIPPED, where={"quantity": "value"}),
        gradients=Identity(
            "divergence", "difference", operations=128, dtype="float32", where={"quantity": "gradient by scores"}
        ),
    ),
    control={"fixed": False},
)
def kl_is_ce_minus_entropy(seed, *, fixed=True, pairs=64, classes=10):
    """Compares Keras' divergence with its cross-entropy less SciPy's entropy, and their gradients by the scores of q.

    64 pairs over 10 classes, single precision: q is a softmax of normal scores; a third of the targets p each is drawn
    from Dirichlet's distribution, has a single class, and is q itself, where the divergence attains zero. Gradients are
    by automatic differentiation, and compared entry by entry. In the control p depends on the scores too, as a
    sharpened q, and is differentiated with them: the entropy is then no constant, and the minimisers differ. On
    TensorFlow Keras takes the scores of a softmax from before it for the cross-entropy, which is then not clipped.
    """
    generator = np.random.default_rng(seed)
    scores = generator.normal(scale=1.5, size=(pairs, classes)).astype(np.float32)
    kinds = np.arange(pairs) % 3
    p = generator.dirichlet(np.ones(classes), size=pairs)
    p[kinds == 1] = np.eye(classes)[generator.integers(classes, size=(kinds == 1).sum())]
    p[kinds == 2] = scipy.special.softmax(scores[kinds == 2], axis=1)
    p = p.astype(np.float32)

    def summed(loss):
        def of_scores(variables):
            q = keras.ops.softmax(variables[0])
            target = keras.ops.convert_to_tensor(p) if fixed else keras.ops.softmax(2 * variables[0])
            losses = loss(target, q)
            return keras.ops.sum(losses), (losses, target)

        _, (losses, target), (gradient,) = value_and_gradient(of_scores, [keras.ops.convert_to_tensor(scores)])
        return (keras.ops.convert_to_numpy(values) for values in (losses, target, gradient))

    divergence, targets, of_divergence = summed(keras.losses.kl_divergence)
    cross_entropy, _, of_cross_entropy = summed(keras.losses.categorical_crossentropy)
    entropy = scipy.special.entr(targets.astype(float)).sum(axis=1)
    value = {"quantity": "value", "divergence": divergence, "difference": cross_entropy - entropy}
    gradient = {
        "quantity": "gradient by scores",
        "divergence": of_divergence.ravel(),
        "difference": of_cross_entropy.ravel(),
    }
    return pd.concat([pd.DataFrame(value), pd.DataFrame(gradient)], ignore_index=True)


@claim(
    r"Though the Kullback-Leibler divergence looks like a distance, $D_\mathrm{KL}(p, q) \neq D_\mathrm{KL}(q, p)$: it "
    "is asymmetric; hence the Jensen-Shannon divergence.",
    source=notes("Remark 3.56"),
    kind="formula",
    scope="in general, not for every pair of distributions",
    literature="Lin 1991",
    criterion=AllOf(
        asymmetric=AtLeast("difference", bound="rounding", where={"quantity": "KL"}),
        symmetric=Identity("forward", "backward", operations=64, dtype="float32", where={"quantity": "JS"}),
        kl=Identity("forward", "scipy", operations=64, dtype="float32", where={"quantity": "KL"}),
        js=Identity("forward", "scipy", operations=64, dtype="float32", where={"quantity": "JS"}),
    ),
    control={"mirrored": True},
)
def kl_asymmetric(seed, *, mirrored=False, pairs=64, classes=10):
    """Compares both directions on pairs of random distributions of full support, by Keras, and with SciPy.

    Even mixtures of 64 pairs from Dirichlet's distribution with the uniform one, 10 classes, single precision; the
    Jensen-Shannon divergence is the mean of Keras' divergences from the mean distribution, and the square of SciPy's
    distance. The two directions differ if they do so by more than a thousand roundings. The control has pairs that
    mirror each other, q_i = p_{n-i}, for which both directions are the same sum in another order: the exceptions that
    the general statement has.
    """
    generator = np.random.default_rng(seed)
    p, q = (generator.dirichlet(np.ones(classes), size=(2, pairs)) + 1 / classes) / 2
    p, q = p.astype(np.float32), (p[:, ::-1] if mirrored else q).astype(np.float32)
    middle = (p + q) / 2

    def js(left, right):
        return (_divergence(left, middle) + _divergence(right, middle)) / 2

    kl = {"forward": _divergence(p, q), "backward": _divergence(q, p)}
    difference = np.abs(kl["forward"] - kl["backward"])
    rounding = 1000 * np.finfo(np.float32).eps * kl["forward"]
    kl |= {"scipy": scipy.special.rel_entr(p.astype(float), q).sum(axis=1)}
    jensen = {"forward": js(p, q), "backward": js(q, p)}
    jensen |= {"scipy": scipy.spatial.distance.jensenshannon(p.astype(float), q.astype(float), axis=1) ** 2}
    tables = [
        pd.DataFrame({"quantity": "KL", **kl, "difference": difference, "rounding": rounding}),
        pd.DataFrame({"quantity": "JS", **jensen}),
    ]
    return pd.concat(tables, ignore_index=True)


def _divergence(p, q):
    return keras.ops.convert_to_numpy(keras.losses.kl_divergence(p, q))


@claim(
    "For one-hot targets only the predicted probability of the true class contributes to the cross-entropy, and the "
    "others are wiped out; the closer it is to one, the lower is the loss.",
    source=(notes("Remark 3.53"), notes("Remark 3.52", parts=("others", "value"))),
    kind="formula",
    scope="one-hot targets; the loss as a function of probabilities, not of scores, of which softmax passes on each",
    criterion=AllOf(
        others=Identity("keras", "redistributed", operations=64, dtype="float32"),
        value=Identity("keras", "logarithm", operations=64, dtype="float32"),
        falls=AtMost("nearer", bound="keras"),
    ),
    control={"smoothing": 0.1},
)
def only_true_class_counts(seed, *, smoothing=0.0, examples=128, classes=10):
    """Compares Keras' loss before and after the other classes share the rest anew, and with SciPy's logarithm.

    128 predictions from Dirichlet's distribution, the true class between 0.05 and 0.9, single precision, by the loss of
    one-hot and by that of sparse targets. Predictions sum to one: Keras divides by the sum, so that otherwise the other
    classes would count. Nearer: the probability of the true class goes half the way to one. The
    control smooths the labels by Keras' own option, whereby every class has a share in the loss.
    """
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=examples)
    true = generator.uniform(0.05, 0.9, size=examples)
    predicted, other = (_with_true(generator, labels, true, classes) for _ in range(2))
    nearer = _with_true(generator, labels, (1 + true) / 2, classes)
    one_hot = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing, reduction=None)
    sparse = keras.losses.SparseCategoricalCrossentropy(reduction=None)
    losses = {"one-hot": (one_hot, np.eye(classes, dtype=np.float32)[labels])}
    if not smoothing:
        losses["sparse"] = (sparse, labels)
    tables = []
    for name, (loss, targets) in losses.items():
        values = {
            column: keras.ops.convert_to_numpy(loss(targets, probabilities))
            for column, probabilities in (("keras", predicted), ("redistributed", other), ("nearer", nearer))
        }
        tables.append(pd.DataFrame({"targets": name, **values, "logarithm": -scipy.special.log1p(true - 1)}))
    return pd.concat(tables, ignore_index=True)


def _with_true(generator, labels, true, classes):
    """Predictions [examples, classes] with given probabilities of the true classes, others drawn at random."""
    others = generator.dirichlet(np.ones(classes - 1), size=len(labels)) * (1 - true)[:, None]
    predicted = np.empty((len(labels), classes), np.float32)
    places = np.arange(classes) != labels[:, None]
    predicted[places] = others.ravel()
    predicted[~places] = true
    return predicted


@claim(
    r"KLDivLoss is pointwise $y (\log y - x)$, with $x$ the logarithms of the predicted probabilities, reduced by the "
    "mean (default) or the sum.",
    source=(notes("Function 3.8"), notes("Example 70")),
    kind="formula",
    scope="x logarithms of probabilities, y probabilities; what the reduced value is in terms of the distributions is "
    "not said; it stands in the observations beside their divergence",
    literature="PyTorch's documentation of KLDivLoss: reduction 'batchmean' gives the mathematical definition",
    criterion=AllOf(
        pointwise=Identity("formula", "scipy", operations=16, where={"quantity": "terms"}),
        keras=Identity("keras", "scipy", operations=64, dtype="float32", where={"quantity": "keras"}),
    ),
    control={"of_target": "itself"},
)
def kl_div_pointwise(seed, *, of_target="its logarithm", batches=(1, 8), classes=10):
    """Compares the formula with SciPy's relative entropy, term by term and reduced, and Keras' divergence with it.

    Targets from Dirichlet's distribution, with one class of probability zero, whose term is zero; predictions a softmax
    of normal scores; 10 classes, batches of one and of eight, double precision; Keras' loss in single precision. The
    mean is over classes too, and less than the divergence of the distributions, averaged over the batch, by their
    number; the sum is more by that of examples. The control has y in the place of its logarithm, y (y - x).
    """
    generator = np.random.default_rng(seed)
    tables = []
    for batch in batches:
        y = generator.dirichlet(np.ones(classes), size=batch)
        y[np.arange(batch), generator.integers(classes, size=batch)] = 0
        y /= y.sum(axis=1, keepdims=True)
        x = scipy.special.log_softmax(generator.normal(size=(batch, classes)), axis=1)
        of_y = np.log(np.where(y > 0, y, 1.0)) if of_target == "its logarithm" else y
        terms = y * (of_y - x)
        relative = scipy.special.rel_entr(y, np.exp(x))
        divergence = relative.sum(axis=1).mean()
        by_keras = float(keras.losses.KLDivergence()(y.astype(np.float32), np.exp(x).astype(np.float32)))
        tables += [
            pd.DataFrame({"quantity": "terms", "formula": terms.ravel(), "scipy": relative.ravel()}),
            pd.DataFrame({"quantity": "keras", "keras": [by_keras], "scipy": divergence}),
            pd.DataFrame(
                {
                    "quantity": "reduced",
                    "batch": batch,
                    "reduction": ["mean", "sum"],
                    "formula": [terms.mean(), terms.sum()],
                    "scipy": divergence,
                }
            ),
        ]
    return pd.concat(tables, ignore_index=True)
