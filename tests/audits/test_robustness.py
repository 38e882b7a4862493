# ruff: noqa: ARG001  settings that do nothing are part of what is tested
import json
import math
from collections import Counter
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import stand_in

from repro import (
    AllOf,
    AtMost,
    Boundary,
    Equivalent,
    Greater,
    Identity,
    Peak,
    Proportion,
    Ratio,
    ScalingLaw,
    cheatsheet,
    claim,
    report,
)
from repro.audits.robustness import DESIGN, audit_robustness, halved_and_doubled
from repro.catalogue import design
from repro.catalogue.profiles import SEEDS
from repro.common.errors import ReproError
from repro.report.pages import kept_robustness
from repro.results.serialization import to_text
from repro.results.store import Store
from repro.runner.execution import execute
from repro.runner.planning import make_plan, seeds_of

DIFFERENCE = Greater("value", of="b", than="a", by="arm", smallest_difference=0.1, because="a tenth can be seen")
RATIO = Greater("value", of="b", than="a", by="arm", smallest_ratio=1.1, because="a tenth can be seen")


def declare(criterion, function, **details):
    return claim("A statement.", source=cheatsheet("1"), criterion=criterion, **details)(function)


def arms(seeds, a, b):
    return pd.concat([pd.DataFrame({"seed": seeds, "arm": arm, "value": value}) for arm, value in (("a", a), ("b", b))])


def octaves(value, own):
    """Minus one at half of a setting, none at its own value, one at twice of it."""
    return math.log2(value / own)


def audit(*claims):
    said = []
    return audit_robustness(claims, workers=0, listen=said.append), said


def main_effects(robustness):
    return {setting.name: setting.effect for setting in robustness.settings}


def test_settings_of_the_design_are_orthogonal():
    assert DESIGN.shape == (12, 11)
    for one, other in combinations(DESIGN.T, 2):
        assert set(Counter(zip(one.tolist(), other.tolist(), strict=True)).values()) == {3}
        assert len(set(zip(one.tolist(), other.tolist(), strict=True))) == 4


@pytest.mark.parametrize(
    ("value", "half", "twice"),
    [(8, 4, 16), (7, 4, 14), (5, 2, 10), (2, 1, 4), (1, 1, 2), (-1, -1, -2), (-8, -4, -16), (3.0, 1.5, 6.0)],
)
def test_halves_and_doubles_numbers(value, half, twice):
    assert halved_and_doubled(value) == (half, value, twice)
    assert all(type(each) is type(value) for each in halved_and_doubled(value))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_halves_and_doubles_the_odds_of_shares(share):
    half, own, twice = (each / (1 - each) for each in halved_and_doubled(share))
    assert (half, twice) == pytest.approx((own / 2, 2 * own))


def test_main_effects_of_a_sum():
    def total(seeds, *, width=8, depth=4, keep=0.5, unused=3.0):
        """The effect is ten, and each setting adds to it by octave."""
        odds = keep / (1 - keep)
        return arms(seeds, 0.0, 10 + 0.5 * octaves(width, 8) - 2 * octaves(depth, 4) + 0.25 * octaves(odds, 1))

    ((found,), said) = audit(declare(DIFFERENCE, total))
    assert found.base == pytest.approx(10)
    assert main_effects(found) == pytest.approx({"width": 1.0, "depth": -4.0, "keep": 0.5, "unused": 0.0})
    assert main_effects(found)["unused"] == 0.0
    assert (found.most, found.alone) == ("depth", pytest.approx((12, 10, 8)))
    assert (found.ran, found.held, found.compared, found.measure) == (12, 12, "sign", "value, b − a")
    assert found.sentence == "sign held in 12 of 12 rows; depth moves it most: 12, 10, 8 at half, one and two times"
    assert found.rows[-1].settings == {"width": 4, "depth": 2, "keep": pytest.approx(1 / 3), "unused": 1.5}
    assert found.rows[-1].effect == pytest.approx(10 - 0.5 + 2 - 0.25)
    # With four settings two of the twelve rows are the same; they run once.
    assert said[11:] == ["12/12 test_robustness.total", "1/2 test_robustness.total", "2/2 test_robustness.total"]


def test_main_effects_of_a_product_are_logarithms():
    def product(seeds, *, width=8, depth=6.0):
        """The ratio is the square root of the width, over the depth."""
        return arms(seeds, 2.0, 2.0 * math.sqrt(width) / depth)

    ((found,), _) = audit(declare(RATIO, product))
    assert found.base == pytest.approx(0.5 * math.log(8) - math.log(6))
    assert main_effects(found) == pytest.approx({"width": math.log(2), "depth": -2 * math.log(2)})
    assert found.most == "depth"
    assert found.alone == pytest.approx((found.base + math.log(2), found.base, found.base - math.log(2)))
    # The ratio is below one; with the width at twice and the depth at half it is 4/3: three rows.
    assert (found.held, found.compared, found.measure) == (9, "sign", "log of value, b / a")


def test_a_ratio_of_stated_size_has_a_sign():
    def fraction(seeds, *, width=8, depth=4):
        """The ratio is that of the settings."""
        return arms(seeds, depth, width)

    ((sized,), _) = audit(declare(Ratio("value", of="b", than="a", by="arm", expected=6), fraction))
    # The ratios are 4/8, which is on the other side of one, 4/2, 16/8 and 16/2.
    assert (sized.held, sized.compared, sized.base) == (9, "sign", pytest.approx(math.log(2)))
    within = Ratio("value", of="b", than="a", by="arm", expected=2, within=2.5, source="chosen")
    ((near,), _) = audit(declare(within, fraction))  # from 0.8 to 5
    assert (near.held, near.compared) == (6, "side of the band")


def test_counts_rows_in_which_the_sign_flips():
    def flipping(seeds, *, width=8, other=4):
        """Positive where the width is at twice."""
        return arms(seeds, 0.0, octaves(width, 8) - 0.5)

    ((found,), _) = audit(declare(DIFFERENCE, flipping))
    assert [row.held for row in found.rows] == [row.settings["width"] == 4 for row in found.rows]
    assert (found.ran, found.held) == (12, 6)


def test_two_sided_bands_compare_the_side():
    def near(seeds, *, width=8, depth=4):
        """Beyond the tolerance where both are at half or both at twice."""
        return pd.DataFrame({"seed": seeds, "value": (octaves(width, 8) + octaves(depth, 4)) / 16})

    criterion = Equivalent("value", 0.0, smallest_difference=0.1, because="a tenth can be seen")
    ((found,), _) = audit(declare(criterion, near))
    assert (found.held, found.compared, found.base) == (6, "side of the band", 0.0)
    assert main_effects(found) == pytest.approx({"width": 0.125, "depth": 0.125})


def test_what_may_be_none_compares_the_side():
    def worse(seeds, *, width=8):
        """A little less at half, a little more at twice: neither is worse by a tenth."""
        return arms(seeds, 0.0, octaves(width, 8) / 16)

    allowed = Greater("value", of="b", than="a", by="arm", smallest_difference=-0.1, because="a tenth can be seen")
    ((found,), _) = audit(declare(allowed, worse))
    assert (found.held, found.compared) == (12, "side of the band")


def test_slopes_and_shares_compare_the_side():
    def law(seeds, *, power=2.0):
        """A power law."""
        rows = [{"seed": seed, "n": n, "error": n**-power} for seed in seeds for n in (1, 2, 4)]
        return pd.DataFrame(rows)

    def successes(seeds, *, width=8):
        """All succeed but at half of the width."""
        return pd.DataFrame({"seed": seeds, "trained": width > 4})

    steep = ScalingLaw("n", "error", at_most=-1.5, because="the rival has one")
    most = Proportion("trained", at_least=0.5, because="more often than not")
    ((slope, share), _) = audit(declare(steep, law), declare(most, successes))
    assert (slope.held, slope.compared, slope.alone) == (6, "side of the band", pytest.approx((-1, -2, -4)))
    assert (share.held, share.compared, share.alone) == (6, "side of the band", (0.0, 1.0, 1.0))


def test_criteria_without_sampling_error_compare_the_outcome():
    def equal(seeds, *, width=8, depth=4):
        """Sides differ where the width is at twice."""
        return pd.DataFrame({"seed": seeds, "left": 1.0 + (width > 8), "right": 1.0})

    ((found,), _) = audit(declare(Identity("left", "right"), equal))
    assert (found.held, found.compared, found.alone) == (6, "outcome", (0.0, 0.0, 1.0))
    assert main_effects(found) == pytest.approx({"width": 1.0, "depth": 0.0})


def test_peaks_are_compared_by_what_decides_without_changes():
    def peak(seeds, *, height=8):
        """The peak stays where it is; at half it does not stand out."""
        rows = [{"seed": seed, "x": 2.0**n, "y": height if n == 2 else 1.0} for seed in seeds for n in range(5)]
        return pd.DataFrame(rows)

    criterion = Peak("x", "y", at=4, within=1.5, prominence=5, because="chosen")
    ((found,), _) = audit(declare(criterion, peak))
    assert found.measure == "log of place of the maximum / expected place"
    assert [row.effect for row in found.rows] == [0.0] * 12
    assert found.sentence == "side of the band held in 12 of 12 rows; no setting moves it"
    assert found.alone == ()


def test_the_cell_that_decides_without_changes_is_compared():
    def cells(seeds, *, width=8):
        """One condition moves with the width, the other does not, and decides."""
        tables = [
            arms(seeds, 0.0, value).assign(at=at)
            for at, value in (("moving", 5.0 + octaves(width, 8)), ("still", -1.0))
        ]
        return pd.concat(tables)

    criterion = Greater("value", "b", "a", "arm", smallest_difference=0.1, because="chosen", each=("at",))
    ((found,), _) = audit(declare(AllOf(only=criterion), cells))
    assert {row.effect for row in found.rows} == {found.base} == {-1.0}


def test_rows_without_the_cell_that_decides_count_as_neither():
    def cells(seeds, *, width=8):
        """The condition that decides has another name where the width is at half."""
        tables = [arms(seeds, 0.0, value).assign(at=at) for at, value in (("wide"[: width // 2], -1.0), ("still", 5.0))]
        return pd.concat(tables)

    criterion = Greater("value", "b", "a", "arm", smallest_difference=0.1, because="chosen", each=("at",))
    ((found,), _) = audit(declare(criterion, cells))
    assert (found.ran, found.held, found.most) == (6, 6, "")
    assert {row.message for row in found.rows} == {"", "there is no cell at wide with these settings"}


def failing_where(fails):
    def total(seeds, *, width=8, depth=4):
        """The effect is a sum, where there is one."""
        if fails(width, depth):
            raise ValueError(f"no batches of {width} in {depth}")
        return arms(seeds, 0.0, 10 + octaves(width, 8) - 2 * octaves(depth, 4))

    return declare(DIFFERENCE, total)


def test_rows_that_fail_count_as_neither():
    ((found,), _) = audit(failing_where(lambda width, depth: (width, depth) == (16, 8)))
    assert (found.ran, found.held) == (9, 9)
    failed = [row for row in found.rows if row.held is None]
    assert [(row.effect, row.message) for row in failed] == [(None, "ValueError: no batches of 16 in 8")] * 3
    # Differences of means would be those of rows in which the other setting is not balanced.
    assert main_effects(found) == pytest.approx({"width": 2.0, "depth": -4.0})
    assert found.sentence.startswith("sign held in 9 of the 9 rows that ran; depth moves it most: 12, 10, 8 at half")


def test_a_setting_that_never_runs_at_twice_has_no_main_effect():
    ((found,), _) = audit(failing_where(lambda width, _: width == 16))
    assert found.ran == 6
    assert math.isnan(main_effects(found)["width"])
    assert main_effects(found)["depth"] == pytest.approx(-4.0)
    ((alone,), _) = audit(failing_where(lambda _, depth: depth == 8))
    assert (alone.most, alone.alone) == ("width", pytest.approx((9, 10, 11)))


def test_a_setting_may_fail_alone():
    ((found,), _) = audit(failing_where(lambda width, depth: (width, depth) == (8, 8)))
    assert (found.ran, found.most, found.alone) == (12, "depth", (12.0, 10.0, None))
    assert found.sentence.endswith("depth moves it most: 12, 10, error at half, one and two times")


def test_too_few_rows_are_an_error():
    broken = failing_where(lambda width, depth: width == 16 or depth == 8)
    message = r"test_robustness.total ran in 3 of 12 rows only, 6 are needed \(ValueError: no batches of 16 in 8\)"
    with pytest.raises(ReproError, match=message):
        audit(broken)
    with pytest.raises(ReproError, match=r"does not run with its own settings \(ValueError: no batches of 8 in 4\)"):
        audit(failing_where(lambda *_: True))


def test_infinite_effects_have_a_sign_and_no_size():
    def steps(seeds, *, width=8, depth=4):
        """One arm never arrives where the width is at half."""
        return arms(seeds, 100.0, math.inf if width == 4 else 200.0)

    ((found,), _) = audit(declare(RATIO, steps))
    assert (found.ran, found.held, found.most) == (12, 12, "")
    assert math.isnan(main_effects(found)["width"])
    said = "sign held in 12 of 12 rows, 6 of them with an infinite effect; too few effects are finite to say what moves"
    assert found.sentence.startswith(said)


def test_varies_numbers_that_are_settings():
    def many(
        seeds,
        *,
        flag=True,
        text="a",
        several=(1, 2),
        nothing=0,
        none=0.0,
        learning_rate=0.1,
        trials=4,
        depth=3,
        limit=5.0,
        place=1,
        generated=7,
        share=0.5,
    ):
        """All is one number."""
        frame = pd.DataFrame({"seed": seeds, "value": generated, "limit": limit, "depth": depth, "place": place})
        return frame.assign(flag=flag)

    bounded = AtMost("value", bound="limit", each=("depth",))
    chosen = declare(AllOf(part=bounded), many, boundary=Boundary("everywhere", holds="place > 0"))
    ((found,), _) = audit(chosen)
    assert [setting.name for setting in found.settings] == ["generated", "share"]
    assert found.left_out == ()


def test_at_most_eleven_settings_are_varied():
    names = [f"setting_{letter}" for letter in "abcdefghijklm"]
    source = (
        f"def crowded(seeds, *, {', '.join(f'{name}=2.0' for name in names)}):\n    'A sum.'\n    return made(seeds)\n"
    )
    scope = {"made": lambda seeds: arms(seeds, 0.0, 1.0), "__name__": __name__}
    exec(source, scope)
    ((found,), _) = audit(declare(DIFFERENCE, scope["crowded"]))
    assert [setting.name for setting in found.settings] == names[:11]
    assert found.left_out == ("setting_l", "setting_m")


def test_parameters_are_those_of_smoke():
    def sized(seeds, *, width=64):
        """The effect is the width."""
        return arms(seeds, 0.0, float(width))

    ((found,), _) = audit(declare(DIFFERENCE, sized, smoke={"width": 8}))
    assert found.alone == (4.0, 8.0, 16.0)


def test_seeds_are_four_that_no_run_uses():
    used = []

    def recorded(seeds, *, width=8):
        """Notes its seeds."""
        used.append(tuple(seeds))
        return arms(seeds, 0.0, float(width))

    noting = declare(DIFFERENCE, recorded)
    audit(noting)
    (seeds,) = set(used)
    assert len(seeds) == len(set(seeds)) == 4
    roles, profiles = ("claim", "repetition"), SEEDS
    for role in roles:
        for profile in profiles:
            assert not set(seeds) & set(seeds_of(noting, profile, None, role))


def test_equal_experiments_are_performed_once():
    ((found,), said) = audit(stand_in.first_reader)
    # Three sizes in the rows and without changes; the other setting only matters to the reading.
    assert said[0].startswith("1/3 ")
    assert (found.held, found.compared, found.most, found.alone) == (6, "outcome", "size", (0.0, 0.0, 1.0))


def test_claims_that_cannot_be_varied():
    with pytest.raises(ReproError, match=r"stand_in\.addition takes no seeds"):
        audit(stand_in.addition)
    with pytest.raises(ReproError, match=r"stand_in\.spread has no setting to vary"):
        audit(stand_in.spread)
    broken = failing_where(lambda width, depth: width == 16 or depth == 8)
    (rows, said) = audit(stand_in.addition, stand_in.first_reader, stand_in.spread, broken)
    assert [row.id for row in rows] == ["stand_in.first_reader"]
    skipped = [line.split(" ")[1] for line in said if line.startswith("skipped: ")]
    assert skipped == ["stand_in.addition", "stand_in.spread", "test_robustness.total"]
    assert audit(stand_in.addition, stand_in.spread)[0] == []


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A run of a claim whose robustness was audited."""

    def total(seeds, *, width=8, depth=4):
        """The effect is a sum."""
        return arms(seeds, 0.0, 10 + octaves(width, 8) - 2 * octaves(depth, 4) + 0.01 * np.arange(len(seeds)))

    varied = declare(DIFFERENCE, total, control={"width": 1})
    folder = tmp_path_factory.mktemp("results")
    execute(make_plan([varied], "smoke"), folder, workers=0)
    return folder, varied


def page_of(results):
    folder, varied = results
    index = report.build(Store.existing(folder), claims={varied.id: varied})
    return (index.parent / "claims" / "test_robustness.total.html").read_text()


def test_page_shows_what_was_kept(results):
    folder, varied = results
    assert "How robust it is" not in page_of(results)
    ((found,), _) = audit(varied)
    file = folder / "robustness" / f"{varied.id}.json"
    file.parent.mkdir()
    file.write_text(to_text(asdict(found)))
    assert kept_robustness(folder, varied.id) == found
    shown = page_of(results)
    assert "How robust it is" in shown
    assert found.sentence in shown
    assert "<td>depth</td><td>2</td><td>4</td><td>8</td><td>−4</td>" in shown
    damaged = asdict(found) | {"rows": [{"settings": {}}]}
    for content in ("", "[]", "[" * 10_000, json.dumps(damaged), json.dumps({"id": varied.id})):
        file.write_text(content)
        assert kept_robustness(folder, varied.id) is None
    assert "How robust it is" not in page_of(results)


def test_page_escapes_what_was_kept_and_says_what_is_missing(results):
    folder, varied = results
    ((found,), _) = audit(failing_where(lambda width, depth: (width, depth) == (16, 8)))
    kept = asdict(found) | {"left_out": ["<script>x</script>"], "design": design(varied)}
    (folder / "robustness").mkdir(exist_ok=True)
    (folder / "robustness" / f"{varied.id}.json").write_text(to_text(kept))
    shown = page_of(results)
    assert "Rows without an effect: 3, the first for this reason: ValueError: no batches of 16 in 8." in shown
    assert "Not varied: &lt;script&gt;" in shown


def test_an_audit_of_another_design_is_not_shown(results):
    folder, varied = results
    ((found,), _) = audit(varied)
    (folder / "robustness").mkdir(exist_ok=True)
    (folder / "robustness" / f"{varied.id}.json").write_text(to_text(asdict(found) | {"design": "0" * 12}))
    assert "How robust it is" not in page_of(results)
