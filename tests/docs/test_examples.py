"""The examples in docstrings do what they say."""

import doctest
import importlib

import numpy as np
import pandas as pd
import pytest

from repro import criteria, engine
from repro.engine import backend

MODULES = [
    "repro.catalogue.declaration",
    "repro.catalogue.experiments",
    "repro.catalogue.gates",
    "repro.cli.terminal",
    "repro.common.formatting",
    "repro.criteria.base",
    "repro.criteria.changes",
    "repro.criteria.comparisons",
    "repro.criteria.decision",
    "repro.criteria.exact",
    "repro.criteria.laws",
    "repro.criteria.proportions",
    "repro.criteria.reading",
    "repro.criteria.sentences",
    "repro.criteria.thresholds",
    "repro.criteria.trends",
    "repro.engine.arms",
    "repro.engine.baselines",
    "repro.engine.data",
    "repro.engine.probing",
    "repro.engine.training",
    "repro.engine.tuning",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    backend.configure()
    module = importlib.import_module(name)
    names = {"np": np, "pd": pd, **vars(criteria), **vars(module)}
    names |= {"load_data": engine.load_data, "mlp": engine.mlp}
    attempted = 0
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name, globs=names):
        failed, tried = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
        assert not failed, test.name
        attempted += tried
    assert attempted


@pytest.mark.parametrize("name", [name for name in criteria.__all__ if isinstance(getattr(criteria, name), type)])
def test_every_criterion_has_an_example(name):
    criterion = getattr(criteria, name)
    is_concrete = issubclass(criterion, criteria.Criterion) and not criterion.__abstractmethods__
    assert not is_concrete or "Example:" in criterion.__doc__
