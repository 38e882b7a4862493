import types

import pandas as pd
import pytest

from repro.catalogue import registry
from repro.catalogue.declaration import claim
from repro.catalogue.registry import by_id, find, get
from repro.catalogue.sources import Source, cheatsheet, lectures
from repro.catalogue.user_files import claims_of
from repro.common.errors import ClaimError, ReproError
from repro.criteria import AtMost


def stand_in(module, name, *sources, tags=()):
    def experiment(seeds, *, size=1):
        return pd.DataFrame({"seed": seeds, "value": size})

    experiment.__module__, experiment.__name__ = f"repro.claims.{module}", name
    declare = claim("x", source=sources, criterion=AtMost("value", bound=1), control={"size": 2}, tags=tags)
    return declare(experiment)


CLAIMS = (
    stand_in("dropout", "mixture", lectures("3.5"), tags=("headline",)),
    stand_in("dropout.scaling", "geometric_mean", lectures("3.5.5 Dropout"), lectures("4.1")),
    stand_in("perceptron", "novikoff", cheatsheet("1.1 Convergence"), tags=("headline", "timing")),
    stand_in("perceptron", "span", lectures("3.51")),
    stand_in("perceptron", "mine", Source("My Book", "3.5 Perceptrons")),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    claims = by_id(CLAIMS)
    monkeypatch.setattr(registry, "registered", lambda: claims)


def names(*patterns, **options):
    return [found.id for found in find(*patterns, **options)]


ALL = ["dropout.mixture", "dropout.geometric_mean", "perceptron.novikoff", "perceptron.span", "perceptron.mine"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], ALL),
        (["perceptron.novikoff"], ALL[2:3]),
        (["perceptron"], ALL[2:]),
        (["dropout.*"], ALL[:2]),
        (["*.m*"], [ALL[0], ALL[4]]),
        (["headline"], [ALL[0], ALL[2]]),
        (["perceptron.span", "dropout"], [*ALL[:2], ALL[3]]),  # in the order of the registry
        (["timing", "headline"], [ALL[0], ALL[2]]),
    ],
)
def test_patterns(patterns, expected):
    assert names(*patterns) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("lectures", [*ALL[:2], ALL[3]]),
        ("lectures 3", [*ALL[:2], ALL[3]]),
        ("lectures 3.5", ALL[:2]),
        ("lectures 3.5.5", ALL[1:2]),
        ("lectures 3.51", ALL[3:4]),
        ("lectures 4", ALL[1:2]),
        ("cheatsheet 1.1 Convergence", ALL[2:3]),
        ("My Book", ALL[4:]),
        ("My Book 3.5", ALL[4:]),
    ],
)
def test_sources(source, expected):
    assert names(source=source) == expected


def test_pattern_and_source_must_both_match():
    assert names("headline", source="lectures") == ["dropout.mixture"]
    with pytest.raises(ReproError, match=r"no claim matches perceptron\.span and comes from cheatsheet"):
        find("perceptron.span", source="cheatsheet")


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("perceptron.novikov", "perceptron.novikoff"),
        ("novikoff", "perceptron.novikoff"),
        ("dropuot", "dropout"),
        ("headlines", "headline"),
        ("zzzz", "`repro list` shows all claims"),
        ("", "`repro list` shows all claims"),
        ("dropout.[", "dropout"),
    ],
)
def test_unknown_patterns_get_the_nearest_names(pattern, nearest):
    with pytest.raises(ReproError) as error:
        find("perceptron", pattern)
    assert str(error.value).startswith(f"no claim, module or tag {pattern!r}; ")
    assert nearest in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("source", "nearest"), [("lecture 3.5", "lectures 3.5"), ("lectures 9", "lectures")])
def test_unknown_sources_get_the_nearest_ones(source, nearest):
    with pytest.raises(ReproError, match=f"no claim comes from '{source}'; did you mean .*{nearest}"):
        find(source=source)


def test_get_takes_ids_alone():
    assert get("perceptron.novikoff") is CLAIMS[2]
    with pytest.raises(ReproError, match=r"no claim 'perceptron'; did you mean perceptron\."):
        get("perceptron")


def test_no_claims_at_all_are_found_without_patterns(monkeypatch):
    monkeypatch.setattr(registry, "registered", dict)
    assert find() == []


def test_two_claims_with_one_id():
    with pytest.raises(ClaimError, match=r"two claims have the id dropout\.mixture"):
        by_id([*CLAIMS, stand_in("dropout.more", "mixture", lectures("1"))])


def test_claims_of_a_module_are_those_it_defines():
    module = types.ModuleType("repro.claims.perceptron")
    module.novikoff, module.span, module.imported, module.number = CLAIMS[2], CLAIMS[3], CLAIMS[0], 3
    assert claims_of(module) == [CLAIMS[2], CLAIMS[3]]


def test_the_suite_registers_its_claims(monkeypatch):
    monkeypatch.undo()
    found = registry.registered()
    assert all(name == claim.id for name, claim in found.items())
    assert "perceptron.novikoff" in found
