import pytest

from repro.criteria.verdict import Verdict
from repro.results.familywise import multiplicity
from repro.results.records import ClaimResult, Evaluation


def result(name, p, status="reproduced"):
    judged = status not in ("error", "skipped")
    verdict = Verdict(status, 1.0, 0.5, 2.0, 12, "ratio", p=p) if judged else None
    return ClaimResult(f"family.{name}", Evaluation("claim", "It holds.", {}, (0,), status, verdict), ())


def test_holm_keeps_what_stands_at_a_shared_level():
    # Holm's levels for 1 % and four verdicts are 0.0025, 0.00333, 0.005 and 0.01; the third level is missed.
    levels = {"a": 0.001, "b": 0.003, "c": 0.006, "d": 0.0062}
    seen = multiplicity([result(name, p) for name, p in levels.items()])
    assert seen.fragile == {"family.c", "family.d"}
    assert seen.decided == 4
    assert seen.expected == pytest.approx(0.04)


@pytest.mark.parametrize("status", ["reproduced", "conditional", "absent", "refuted"])
def test_one_verdict_alone_stands(status):
    alone = multiplicity([result("a", 0.0099, status)])
    assert (alone.decided, alone.fragile) == (1, set())


@pytest.mark.parametrize(
    ("p", "status"), [(None, "reproduced"), (0.3, "inconclusive"), (None, "error"), (None, "skipped")]
)
def test_what_is_exact_or_undecided_has_no_part(p, status):
    alone = multiplicity([result("a", p, status)])
    assert (alone.decided, alone.expected, alone.fragile) == (0, 0.0, set())
    # With it, 0.006 would be above a half of 1 %.
    assert multiplicity([result("a", p, status), result("b", 0.006)]).fragile == set()
