"""Experiments draw their data anew for each seed: a seed is a complete repetition, not new weights for the same images.

Each experiment is begun with one seed and then with another, up to the first networks that the engine would train or
probe. What it has drawn by then of images and labels, and what it gives the engine, must differ.
"""

import contextlib
import hashlib
import inspect
import re
import sys
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repro.catalogue import observe, registry
from repro.engine import ImageData, backend, classifier, corrupt_labels, load_data, mlp

HELPERS = re.compile(r"\b(subset|corrupt_labels|with_label_noise|load_data)\(")
SEEDS = (11, 12)


class Begun(BaseException):
    """The engine would train or probe now."""


def drawn(experiment, seed):
    """What an experiment draws of images and labels for a seed, and a digest of the first examples of the engine."""
    calls, used = [], []

    def record(original, *arguments, **options):
        bound = inspect.signature(original).bind(*arguments, **options)
        calls.append((original.__name__, *bound.args[1:]))
        return original(*arguments, **options)

    def begin(data, *_):
        examples = data(seed) if callable(data) else data
        arrays = (np.ascontiguousarray(array).tobytes() for array in (examples.x_train, examples.y_train))
        used.append(hashlib.sha256(b"".join(arrays)).hexdigest())
        raise Begun

    def subset(images, size, seed):
        return record(of_images["subset"], images, size, seed)

    def with_label_noise(images, share, seed):
        return record(of_images["with_label_noise"], images, share, seed)

    of_images = {name: getattr(ImageData, name) for name in ("subset", "with_label_noise")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageData, "subset", subset)
        patch.setattr(ImageData, "with_label_noise", with_label_noise)
        for module in (sys.modules["repro.engine.data"], sys.modules[_function(experiment).__module__]):
            patch.setattr(module, "corrupt_labels", partial(record, corrupt_labels), raising=False)
        for name in ("training", "probing"):
            patch.setattr(f"repro.engine.{name}.draw_examples", begin)
        with contextlib.suppress(Begun):
            observe(experiment, [seed])
    return calls, used


def fixed_data(experiment):
    """How the data of an experiment fail to differ between seeds; None where they do, or where it has none."""
    (calls, used), other = (drawn(experiment, seed) for seed in SEEDS)
    if not (calls or used) or (calls, used) != other:
        return None
    return "drawn_once" if calls else "whole_set"


@cache
def fixed_data_of(claim):
    """The same of a claim at smoke, for which its scope may give the reason: it is about one data set."""
    parameters = claim.experiment_parameters(claim.variants("smoke")[0].parameters)
    found = fixed_data(partial(claim.experiment, **parameters))
    return None if "this data set" in claim.scope else found


def reads_images(claim):
    """Whether the module of an experiment, or a helper that it imports, has images or draws some of them."""
    file = Path(inspect.getfile(claim.experiment))
    source = file.read_text(encoding="utf-8")
    helpers = [helper for helper in file.parent.glob("_[!_]*.py") if f".{helper.stem} import" in source]
    return any(HELPERS.search(text) for text in (source, *(helper.read_text(encoding="utf-8") for helper in helpers)))


CLAIMS = [claim for claim in registry.registered().values() if claim.takes_seeds and reads_images(claim)]


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.id for claim in CLAIMS])
def test_each_seed_has_data_of_its_own(claim):
    remedy = "draw them by its seed, or say in its scope that the statement is checked for this data set"
    assert fixed_data_of(claim) is None, f"every seed of {claim.id} has the same images or labels: {remedy}"


def trained_on(choose):
    """Make an experiment that trains on what a function of images and seed chooses."""

    def experiment(seeds):
        images = load_data("digits").flat()
        arm = classifier(mlp, choose(images, seeds[0]), steps=2, widths=(4,))
        return arm(seeds=seeds, learning_rate=0.1).records

    return experiment


@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        (lambda images, _: images, "whole_set"),
        (lambda images, _: images.subset(50, 0), "drawn_once"),
        (lambda images, _: images.with_label_noise(0.1, seed=0), "drawn_once"),
        (lambda images, _: lambda _: images.subset(size=50, seed=0), "drawn_once"),
        (lambda images, seed: images.subset(50, seed), None),
        (lambda images, seed: images.subset(50, 0).with_label_noise(0.1, seed), None),
        (lambda images, _: lambda seed: images.subset(50, seed), None),
    ],
)
def test_data_that_stay_the_same_are_noticed(choose, expected):
    backend.configure()
    assert fixed_data(trained_on(choose)) == expected


def test_an_experiment_without_images_has_nothing_to_draw():
    assert fixed_data(lambda seeds: pd.DataFrame({"seed": seeds})) is None


def _function(experiment):
    return experiment.func if isinstance(experiment, partial) else experiment
