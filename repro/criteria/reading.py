"""How a statement is to be read: what kind of sentence it is, and how far the experiment is from what it means."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from repro.common import ClaimError

Kind = Literal["formula", "theorem", "law", "tendency", "advice", "possibility", "finding"]
Scale = Literal["exact", "same", "reduced", "toy"]

SCALES: Mapping[Scale, str] = {
    "exact": "mathematics, checked as it stands",
    "same": "the setting that the passage means",
    "reduced": "real data, smaller than the passage means",
    "toy": "small images or synthetic data, far from the setting that the passage means",
}


@dataclass(frozen=True, init=False)
class Boundary:
    """The conditions under which a statement is expected to hold, fixed before the result is known.

    Attributes:
        words: Where it holds, to follow "holds": ``"where the activation is linear"``.
        holds: Expression in Python over the names of the conditions, true where the statement is expected to hold. It
            may name other columns of the observations that are constant within a cell, such as a theory's prediction,
            and ``part``. A comparison with a condition that a part does not have is false.
        named: Cells that decide, at least one on each side, where there are too many to decide all of them; the others
            are drawn on the map. Each is given by some of its conditions, and by its ``part`` where there are several.
            Empty where all cells decide; so they do if other parameters leave a named cell out.
        assumption: Literature for the standard assumption that the boundary is, where the passage does not print it: a
            formula that holds under it is conditional, not refuted, if it fails without. Empty for none.

    Example:
        >>> kept = Boundary("at the critical variance", holds="scale == 2.0")
        >>> kept.predicts([{"scale": 1.0}, {"scale": 2.0}])
        [False, True]
    """

    words: str
    holds: str
    named: tuple[Mapping[str, object], ...]
    assumption: str

    def __init__(
        self, words: str, *, holds: str, named: Sequence[Mapping[str, object]] = (), assumption: str = ""
    ) -> None:
        try:
            ast.parse(holds, mode="eval")
        except (SyntaxError, TypeError) as error:
            raise ClaimError(f'boundary: {holds!r} is no expression over conditions, such as "depth <= 10"') from error
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "holds", holds)
        object.__setattr__(self, "named", tuple(dict(cell) for cell in named))
        object.__setattr__(self, "assumption", assumption)

    @property
    def names(self) -> set[str]:
        """Names of the conditions that the expression reads."""
        return {node.id for node in ast.walk(ast.parse(self.holds, mode="eval")) if isinstance(node, ast.Name)}

    def predicts(self, cells: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Tell for each cell, given by its conditions, whether the statement is expected to hold there.

        Raises:
            ClaimError: the expression reads something that is no condition.
        """
        table = pd.DataFrame(list(cells), index=range(len(cells)))
        unknown = self.names - set(table.columns)
        if unknown:
            known = ", ".join(name for name in map(str, table.columns) if name != "part") or "none"
            raise ClaimError(f"boundary: {min(unknown)!r} is no condition; conditions are {known}")
        try:
            expected = table.eval(self.holds, engine="python")
        except (TypeError, ValueError, NotImplementedError, SyntaxError, AttributeError) as error:
            raise ClaimError(f"boundary: {self.holds!r} cannot be evaluated over the conditions, {error}") from error
        if not isinstance(expected, pd.Series):  # an expression without names
            return [bool(expected)] * len(table)
        return [bool(value) for value in expected]


@dataclass(frozen=True)
class Reading:
    """What is to be known of a statement, besides its criterion, to judge it.

    Attributes:
        kind: Kind of sentence, which decides what follows from the outcomes of its cells.
        scale: Distance of the experiment from the setting that the passage means.
        boundary: Conditions under which the statement is expected to hold; None where it is expected everywhere.
    """

    kind: Kind = "tendency"
    scale: Scale = "toy"
    boundary: Boundary | None = None
