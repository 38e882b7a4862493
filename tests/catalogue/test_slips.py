"""Slips of an author: each ends in one line that names it, in a notebook and on the command line."""

import re
import subprocess
import sys
import textwrap

import pandas as pd
import pytest
from command_line import environment

import repro
from repro import AtMost, Boundary, Correction, Rival, Source, claim
from repro.common.errors import ReproError

HEAD = """
import numpy as np
import pandas as pd
from repro import AtMost, Correction, Source, claim
"""


def experiment(seed, *, points=10, shift=0.0):
    """Measures nothing."""
    return {"value": [shift + 0.0 * seed] * points}


def declare(function=experiment, statement="It is at most one.", **details):
    values = {"source": Source("My notes", "1"), "criterion": AtMost("value", bound=1.0), "control": {"shift": 2.0}}
    return claim(statement, **values | details)(function)


UNSTORABLE = object()


def positional(seeds, points=10):
    """Takes a parameter by position."""


def other_name(samples, *, points=10):
    """Takes seeds under another name."""


def required(seeds, *, points):
    """Has a parameter without a default."""


def keywords(seeds, **parameters):
    """Hides its parameters."""


def sized(seeds, *, sizes=(1, 2)):
    """Has a tuple for a parameter."""


def unstorable(seeds, *, shift=UNSTORABLE):
    """Has a default that cannot be stored."""


def two_first(observations, more, *, shift=0.0):
    """Takes more than observations."""


DECLARATIONS = {
    "source as text": (lambda: declare(source="book 1"), r"source takes Source\('document', 'section'\), not 'book 1'"),
    "no source": (lambda: declare(source=[]), "source names no place"),
    "criterion as class": (
        lambda: declare(criterion=AtMost),
        "criterion takes a criterion.*, not the class AtMost itself",
    ),
    "correction as dict": (
        lambda: declare(correction={"shift": 1.0}),
        r"correction takes Correction\('the right statement', parameter=value\), not \{'shift': 1.0\}",
    ),
    "control as text": (lambda: declare(control="shift"), "control takes the parameters that remove the mechanism"),
    "smoke as list": (lambda: declare(smoke=["points"]), "smoke takes the parameters of that profile"),
    "unknown parameter": (
        lambda: declare(smoke={"point": 5}),
        r"smoke=: no parameter 'point'; parameters are points, shift; did you mean points\?",
    ),
    "unknown parameter of a correction": (
        lambda: declare(correction=Correction("Right.", sift=0.0)),
        "correction=: no parameter 'sift'.* did you mean shift",
    ),
    "text for a number": (
        lambda: declare(full={"points": "1000"}),
        "full=: 'points' takes a number, like its default 10",
    ),
    "number for a tuple": (
        lambda: declare(sized, control={"sizes": 3}),
        "control=: 'sizes' takes a tuple",
    ),
    "unknown kind": (lambda: declare(kind="fact"), "kind takes formula, theorem, law, .*, not 'fact'"),
    "unknown scale": (lambda: declare(scale="tiny"), "scale takes exact, same, reduced, toy, not 'tiny'"),
    "rival as dict": (lambda: declare(rival={"shift": 1.0}), r"rival takes Rival\('another statement'"),
    "positive control as text": (
        lambda: declare(positive_control="shift"),
        r"positive_control takes PositiveControl\('an effect that is known'",
    ),
    "rival without a difference": (
        lambda: declare(rival=Rival("Another.")),
        "its rival has the claim's own parameters",
    ),
    "boundary as text": (lambda: declare(boundary="shift > 1"), r"boundary takes Boundary\('where it holds'"),
    "boundary that is no expression": (
        lambda: declare(boundary=Boundary("where it is small", holds="small shift")),
        "'small shift' is no expression over conditions",
    ),
    "reported as text": (lambda: declare(reported=["0.3 %"]), r"reported takes Reported\(value, .*\), not '0.3 %'"),
    "control without effect": (lambda: declare(control={"shift": 0.0}), "its control has the claim's own parameters"),
    "tags as text": (lambda: declare(tags="headline"), "tags takes a tuple of texts, not 'headline'"),
    "seeds as text": (lambda: declare(seeds="8"), "seeds takes a whole number, not '8'"),
    "no seeds": (lambda: declare(seeds=0), "seeds takes a number from 1, not 0"),
    "unknown requirement": (lambda: declare(requires=("tpu",)), "requires takes gpu or tensorflow, not 'tpu'"),
    "statement forgotten": (
        lambda: claim(experiment, source=1, criterion=2),
        "claim takes a statement first.*experiment",
    ),
    "parameter by position": (
        lambda: declare(positional),
        r"only seeds, or seed, comes before .*; write points after a \*",
    ),
    "seeds misnamed": (lambda: declare(other_name), r"only seeds, or seed, comes before .*; write samples after a \*"),
    "no default": (lambda: declare(required), "parameter 'points' has no default"),
    "keywords": (lambda: declare(keywords), r"\*args and \*\*kwargs hide the parameters"),
    "default of any object": (lambda: declare(unstorable), "the default of 'shift' is of type object; use numbers"),
    "reads a claim": (lambda: declare(two_first, reads=declare()), "reads takes the experiment, a function"),
    "reduction of two": (lambda: declare(two_first, reads=experiment), "only observations come before the parameters"),
}


@pytest.mark.parametrize("slip", DECLARATIONS)
def test_a_wrong_declaration_is_one_line(slip):
    declaring, message = DECLARATIONS[slip]
    with pytest.raises(ReproError, match=message) as error:
        declaring()
    assert "\n" not in str(error.value)


def listing(seed, *, shift=0.0):
    """Returns a list."""
    return [shift, seed]


def forgetting(seeds, *, shift=0.0):
    """Returns nothing."""


def without_seed(seeds, *, shift=0.0):
    """Leaves the seed out."""
    return pd.DataFrame({"value": [shift for _ in seeds]})


def with_seed(seed, *, shift=0.0):
    """Adds the seed itself."""
    return {"seed": seed, "value": shift}


def undefined(seed, *, shift=0.0):
    """Gives NaN."""
    return {"value": float("nan") * seed * shift}


CHECKS = {
    "a list": (lambda: repro.check(declare(listing)), "listing returned list, not a DataFrame, or a mapping"),
    "nothing": (lambda: repro.check(declare(forgetting)), "forgetting returned nothing, not a DataFrame"),
    "no seed": (lambda: repro.check(declare(without_seed)), "its observations have no column 'seed'"),
    "a seed of its own": (lambda: repro.check(declare(with_seed)), "leave the column 'seed' to what calls it"),
    "NaN": (lambda: repro.check(declare(undefined)), "reads value, which is NaN in rows 0"),
    "another column": (
        lambda: repro.check(declare(criterion=AtMost("values", bound=1.0))),
        "AtMost reads column 'values', the observations have seed, value",
    ),
    "unknown profile": (
        lambda: repro.check(declare(), profile="smok"),
        "no profile 'smok'; profiles are smoke, standard, full",
    ),
    "unknown parameter": (lambda: repro.check(declare(), shifd=1.0), "no parameter 'shifd'.* did you mean shift"),
}


@pytest.mark.parametrize("slip", CHECKS)
def test_a_wrong_experiment_is_one_line(slip):
    checking, message = CHECKS[slip]
    with pytest.raises(ReproError, match=message) as error:
        checking()
    assert "\n" not in str(error.value)


FILES = {
    "unknown keyword": (
        """
        @claim("x", source=Source("a", "1"), criterion=AtMost("value", bound=1.0), controll={"shift": 2.0})
        def bound(seed, *, shift=0.0):
            return {"value": shift}
        """,
        "unexpected keyword argument 'controll'",
    ),
    "no source": (
        """
        @claim("x", criterion=AtMost("value", bound=1.0), control={"shift": 2.0})
        def bound(seed, *, shift=0.0):
            return {"value": shift}
        """,
        "missing 1 required keyword-only argument: 'source'",
    ),
    "no parentheses": (
        """
        @claim
        def bound(seed, *, shift=0.0):
            return {"value": shift}
        """,
        "missing 2 required keyword-only arguments: 'source' and 'criterion'",
    ),
    "no claim": ("def bound(seed, *, shift=0.0): ...", "defines no claim; decorate a function"),
    "source as text": (
        """
        @claim("x", source="book 1", criterion=AtMost("value", bound=1.0), control={"shift": 2.0})
        def bound(seed, *, shift=0.0):
            return {"value": shift}
        """,
        r"mine\.py, line \d+: mine\.bound: source takes Source\('document', 'section'\), not 'book 1'",
    ),
}


@pytest.mark.parametrize("slip", FILES)
def test_a_wrong_file_is_one_line_on_the_command_line(slip, tmp_path):
    source, message = FILES[slip]
    (tmp_path / "mine.py").write_text(HEAD + textwrap.dedent(source))
    completed = subprocess.run(
        [sys.executable, "-m", "repro", "check", "mine.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 2
    assert completed.stdout == ""
    (line,) = completed.stderr.splitlines()
    assert re.search(message, line), line
