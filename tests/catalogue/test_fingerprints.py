"""Fingerprints of designs and of code: what changes them and what does not, and the seeds that follow."""

import re
from functools import partial

import pandas as pd
import pytest

from repro.catalogue import (
    FRESH,
    SEEDS,
    Correction,
    PositiveControl,
    Rival,
    Source,
    claim,
    code,
    design,
    first_seed,
    registry,
    user_files,
)
from repro.catalogue.fingerprints import BLOCK
from repro.criteria import AllOf, AtMost, Boundary, Equivalent, Greater, Preserved, Proportion, Ratio, ScalingLaw
from repro.runner import planning

SOURCE = Source("My notes", "1")


@pytest.fixture(autouse=True)
def without_the_catalogue(monkeypatch):
    """Its claims have no part in this, and take seconds to import."""
    monkeypatch.setattr(registry, "registered", dict)


def experiment(seeds, *, size=3, shift=0.0):
    """Sizes are written down."""
    return pd.DataFrame({"seed": seeds, "depth": 1, "size": size + shift})


near = partial(Equivalent, "size", 3.0, smallest_difference=0.1, source="Novikoff 1962", each=("depth",))
GOOD = {
    "source": SOURCE,
    "kind": "tendency",
    "criterion": near(),
    "left_open": ("depth",),
    "boundary": Boundary("in shallow nets", holds="depth <= 4"),
    "control": {"shift": 1.0},
    "smoke": {"size": 2},
    "full": {"size": 6},
    "correction": Correction("Sizes are near four.", size=4),
    "rival": Rival("Sizes are large.", size=9),
    "positive_control": PositiveControl("A shift is seen.", shift=0.5),
    "seeds": 16,
}


def declared(statement="Sizes are near three.", function=experiment, **details):
    return claim(statement, **GOOD | details)(function)


def other_default(seeds, *, size=7, shift=0.0):
    return experiment(seeds, size=size, shift=shift)


def another_parameter(seeds, *, size=3, shift=0.0, noise=0.0):
    return experiment(seeds, size=size, shift=shift + noise)


class TestDesign:
    def test_is_the_same_for_the_same_design(self):
        assert design(declared()) == design(declared())
        assert re.fullmatch("[0-9a-f]{12}", design(declared()))

    @pytest.mark.parametrize(
        "changed",
        [
            {"statement": "Sizes are near three, always."},
            {"kind": "law"},
            {"kind": None},
            {"scale": "reduced"},
            {"criterion": near(smallest_difference=0.2)},
            {"criterion": near(each=("size",))},
            {"criterion": near(where={"depth": 1})},
            {"criterion": AtMost("size", bound=3.0, each=("depth",))},
            {"criterion": AllOf(near=near(), bounded=AtMost("size", bound=4.0))},
            {"boundary": None},
            {"boundary": Boundary("in shallow nets", holds="depth <= 5")},
            {"boundary": Boundary("in shallow nets", holds="depth <= 4", named=[{"depth": 1}, {"depth": 9}])},
            {"left_open": ()},
            {"control": {"shift": 2.0}},
            {"control": {"size": 9}},
            {"control": None},
            {"smoke": {"size": 1}},
            {"full": {"size": 7}},
            {"correction": Correction("Sizes are near four.", size=5)},
            {"correction": Correction("Sizes are near five.", size=4)},
            {"correction": Correction("Sizes are near four.", criterion=AtMost("size", bound=9.0), size=4)},
            {"correction": None},
            {"rival": Rival("Sizes are large.", size=8)},
            {"rival": None},
            {"positive_control": PositiveControl("A shift is seen.", shift=0.6)},
            {"positive_control": None},
            {"seeds": 48},
            {"seeds": None},
            {"function": other_default},
            {"function": another_parameter},
        ],
    )
    def test_changes_with_all_that_decides(self, changed):
        assert design(declared(**changed)) != design(declared())

    @pytest.mark.parametrize(
        "changed",
        [
            {"source": Source("My notes", "2")},
            {"literature": "Novikoff 1962"},
            {"scope": "networks of any size"},
            {"tags": ("headline",)},
            {"root": "a sign"},
            {"decided_by": "--seeds 100"},
            {"criterion": near(source="Rosenblatt 1958")},
            {"criterion": near(source="", because="a tenth does not matter")},
        ],
    )
    def test_does_not_change_with_reasons_and_references(self, changed):
        assert design(declared(**changed)) == design(declared())

    @pytest.mark.parametrize(
        ("criterion", "threshold"),
        [
            (partial(Greater, "size", "a", "b", by="net", smallest_difference=0.1), {"smallest_difference": 0.2}),
            (partial(Ratio, "size", "a", "b", by="net", expected=2, within=1.5), {"within": 1.6}),
            (partial(Preserved, "size", along="depth", smallest_ratio=1.2), {"smallest_ratio": 1.3}),
            (partial(Proportion, "size", at_least=0.5), {"at_least": 0.6}),
            (partial(ScalingLaw, "depth", "size", at_least=0.5), {"at_least": 0.6}),
        ],
    )
    def test_reasons_of_every_criterion_do_not_count_and_thresholds_do(self, criterion, threshold):
        one, other = (design(declared(criterion=criterion(because=reason))) for reason in ("one reason", "another"))
        assert one == other
        assert design(declared(criterion=criterion(because="one reason", **threshold))) != one

    def test_the_order_of_parameters_does_not_matter(self):
        def reordered(seeds, *, shift=0.0, size=3):
            return experiment(seeds, size=size, shift=shift)

        assert design(declared(function=reordered)) == design(declared())
        assert design(declared(control={"shift": 1.0, "size": 9})) == design(
            declared(control={"size": 9, "shift": 1.0})
        )

    def test_other_defaults_of_a_shared_experiment_count(self):
        def reader(observations, *, factor=1):
            return observations.assign(size=observations["size"] * factor)

        plain = declared(function=reader, reads=experiment)
        assert design(declared(function=reader, reads=partial(experiment, size=7))) != design(plain)

    def test_docstring_does_not_count(self):
        def documented(seeds, *, size=3, shift=0.0):
            """Something else is written here."""
            return experiment(seeds, size=size, shift=shift)

        assert design(declared(function=documented)) == design(declared())


MODULE = '''
"""Claims of a user."""
import pandas as pd
from repro import AtMost, Source, claim
from _helper import doubled

LIMIT = 1.0


def shifted(value):
    """Shift a value."""
    return value + 0.5  # by a half


@claim("Sizes are small.", source=Source("My notes", "1"), criterion=AtMost("size", bound=LIMIT), control={"size": 2.0})
def first(seeds, *, size=0.25):
    """Sizes are shifted."""
    rows = pd.DataFrame({"seed": seeds})
    return rows.assign(size=doubled(shifted(size)))


@claim("Sizes are fair.", source=Source("My notes", "2"), criterion=AtMost("size", bound=2.0), control={"size": 3.0})
def second(seeds, *, size=0.75):
    """Sizes are written down."""
    return pd.DataFrame({"seed": seeds, "size": size})
'''
HELPER = '''
"""Helpers."""


def doubled(value):
    """Double a value."""
    return 2 * value / 2
'''


@pytest.fixture
def codes(tmp_path):
    """A function that writes a version of the module and returns the codes of its two claims, by name."""
    versions = []

    def of(module=MODULE, helper=HELPER, others=()):
        folder = tmp_path / str(len(versions))
        versions.append(folder)
        folder.mkdir()
        (folder / "_helper.py").write_text(helper)
        for name, text in others:
            (folder / name).write_text(text)
        path = folder / "claims.py"
        path.write_text(module)
        return {found.function.__name__: code(found) for found in user_files.load_file(user_files.read(path))}

    return of


def changed(text, old, new):
    assert text.count(old) == 1
    return text.replace(old, new)


class TestCode:
    def test_is_the_same_wherever_it_lies(self, codes):
        assert codes() == codes()
        assert all(re.fullmatch("[0-9a-f]{12}", value) for value in codes().values())

    def test_claims_of_one_file_have_codes_of_their_own(self, codes):
        assert len(set(codes().values())) == 2

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('rows = pd.DataFrame({"seed": seeds})', 'rows = pd.DataFrame({"seed": list(seeds)})'),
            ("return value + 0.5", "return value + 0.25"),
            ("LIMIT = 1.0", "LIMIT = 1.5"),
            ("from _helper import doubled", "from _helper import doubled as doubled"),
        ],
    )
    def test_changes_with_the_code_that_it_may_call(self, codes, old, new):
        assert codes(changed(MODULE, old, new))["first"] != codes()["first"]

    def test_changes_with_helpers_of_its_folder(self, codes):
        assert codes(helper=changed(HELPER, "2 * value / 2", "value"))["first"] != codes()["first"]
        assert codes(others=[("_other.py", "x = 1")])["first"] != codes()["first"]

    def test_other_files_beside_it_do_not_count(self, codes):
        assert codes(others=[("notes.py", "x = 1"), ("__main__.py", "x = 1"), ("_data.txt", "x")]) == codes()

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('"""Sizes are shifted."""', '"""Sizes are shifted by a half."""'),
            ('    """Sizes are shifted."""\n', ""),
            ('"""Shift a value."""', '"""Shift it."""'),
            ("  # by a half", "  # by 0.5"),
            ("LIMIT = 1.0", "# The limit.\nLIMIT = 1.0"),
            ("LIMIT = 1.0", "LIMIT   =   1.0"),
            ('"""Claims of a user."""', '"""Claims of mine."""'),
            ('"""Claims of a user."""\n', ""),
        ],
    )
    def test_does_not_change_with_words_about_it(self, codes, old, new):
        assert codes(changed(MODULE, old, new)) == codes()

    def test_does_not_change_with_words_about_helpers(self, codes):
        assert codes(helper=changed(HELPER, '"""Double a value."""', '"""Twice."""')) == codes()
        assert codes(helper=changed(HELPER, '"""Helpers."""', '"""Help."""')) == codes()

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('"size": size})\n', '"size": size / 2})\n'),  # its function
            ('"""Sizes are written down."""', '"""Written down."""'),
            ("bound=2.0", "bound=3.0"),  # its declaration
            ("*, size=0.75", "*, size=0.7"),
        ],
    )
    def test_does_not_change_with_another_claim_of_the_file(self, codes, old, new):
        found = codes(changed(MODULE, old, new))
        assert found["first"] == codes()["first"]

    def test_does_not_change_with_its_own_declaration_which_is_the_design(self, codes):
        assert codes(changed(MODULE, '"Sizes are small."', '"Sizes are quite small."')) == codes()
        assert codes(changed(MODULE, 'control={"size": 2.0}', 'control={"size": 2.5}')) == codes()

    def test_of_claims_that_are_declared_by_the_package(self, codes):
        """``@repro.claim(...)`` is ``@claim(...)``."""
        module = MODULE.replace("@claim(", "@repro.claim(").replace("import pandas", "import repro\nimport pandas")
        before = codes(module)
        assert codes(changed(module, '"size": size})\n', '"size": size / 2})\n'))["first"] == before["first"]
        assert codes(changed(module, '"Sizes are small."', '"Sizes are quite small."')) == before

    def test_of_a_reader_is_that_of_its_experiment_too(self, codes):
        module = MODULE.replace("def first(seeds, *, size=0.25):", "def first(observations):").replace(
            'control={"size": 2.0})', 'control={"large": 2.0}, reads=measured)'
        )
        module = changed(
            module,
            "LIMIT = 1.0",
            "LIMIT = 1.0\ndef measured(seeds, *, large=0.5):\n"
            '    return pd.DataFrame({"seed": seeds, "size": large})\n',
        )
        module = changed(module, 'rows = pd.DataFrame({"seed": seeds})', "rows = observations")
        module = changed(module, "return rows.assign(size=doubled(shifted(size)))", "return rows")
        assert codes(changed(module, '"size": large}', '"size": large / 2}'))["first"] != codes(module)["first"]


TWO_EXPERIMENTS = """
import pandas as pd
from repro import AtMost, Source, claim

def shared(seeds, *, size=0.5):
    return pd.DataFrame({"seed": seeds, "size": size})

given = {"source": Source("My notes", "1"), "criterion": AtMost("size", bound=LIMIT), "control": {"size": 9.0}}

@claim("One.", **given)
def one(seeds, *, size=0.5):
    return pd.DataFrame({"seed": seeds, "size": size})

@claim("Two.", **given)
def two(seeds, *, size=0.5):
    return pd.DataFrame({"seed": seeds, "size": size})

@claim("First reader.", reads=shared, **given)
def first_reader(observations):
    return observations

@claim("Second reader.", reads=shared, **given)
def second_reader(observations):
    return observations
"""


@pytest.fixture
def claims(tmp_path):
    """A function that returns the claims of a file by name, whose bound is a number."""

    def of(limit=1.0):
        path = tmp_path / f"claims_{limit}.py"
        path.write_text(TWO_EXPERIMENTS.replace("LIMIT", str(limit)))
        return {found.function.__name__: found for found in user_files.load_file(user_files.read(path))}

    return of


class TestSeeds:
    def test_follow_from_the_design(self, claims):
        assert first_seed(claims()["one"]) == first_seed(claims()["one"])
        for name in ("one", "two", "first_reader"):
            assert first_seed(claims(1.0)[name]) != first_seed(claims(2.0)[name])

    def test_of_different_designs_are_disjoint_blocks(self, claims):
        found = [
            planning.seeds_of(claims(limit)[name], "full", None) for limit in (1.0, 2.0, 3.0) for name in ("one", "two")
        ]
        assert len({seed for seeds in found for seed in seeds}) == sum(map(len, found)) == 6 * SEEDS["full"]
        assert all(seeds[0] % BLOCK == 0 for seeds in found)

    def test_claims_that_share_an_experiment_share_seeds(self, claims):
        found = claims()
        first, second = (planning.seeds_of(found[name], "standard", None) for name in ("first_reader", "second_reader"))
        assert first == second
        assert not set(first) & set(planning.seeds_of(found["one"], "standard", None))

    def test_another_design_of_one_reader_is_other_seeds_for_both(self, claims, tmp_path):
        path = tmp_path / "changed.py"
        path.write_text(TWO_EXPERIMENTS.replace("Second reader.", "The second reader.").replace("LIMIT", "1.0"))
        after = {found.function.__name__: found for found in user_files.load_file(user_files.read(path))}
        before = claims()
        for name in ("first_reader", "second_reader"):
            assert first_seed(after[name]) != first_seed(before[name])
        assert first_seed(after["one"]) == first_seed(before["one"])

    @pytest.mark.parametrize("count", [None, 1, 48, FRESH, FRESH + 100])
    def test_a_repetition_has_fresh_ones(self, claims, count):
        own = planning.seeds_of(claims()["one"], "standard", count)
        again = planning.seeds_of(claims()["one"], "standard", count, "repetition")
        assert len(own) == len(again) == (count or SEEDS["standard"])
        assert not set(own) & set(again)

    @pytest.mark.parametrize("role", ["control", "rival", "positive control", "correction"])
    def test_counterparts_are_paired_with_the_claim(self, claims, role):
        found = claims()["one"]
        assert planning.seeds_of(found, "standard", None, role) == planning.seeds_of(found, "standard", None)

    def test_profiles_begin_with_the_same(self, claims):
        smoke, full = (planning.seeds_of(claims()["one"], profile, None) for profile in ("smoke", "full"))
        assert full[: len(smoke)] == smoke

    def test_without_randomness_there_are_none(self):
        def exact(*, size=3):
            return pd.DataFrame({"size": [size]})

        plain = claim("It is three.", source=SOURCE, criterion=AtMost("size", bound=3), control={"size": 4})(exact)
        assert planning.seeds_of(plain, "full", None) == ()
