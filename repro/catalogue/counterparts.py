"""What a claim is run with besides its own parameters, to show that its verdict could have come out otherwise.

A control removes the mechanism, a rival is another statement that the same observations must tell from this one, a
positive control is an effect that is known to be there, a correction is the right statement where this one is wrong,
and a repetition has fresh seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from repro.catalogue.experiments import Parameters
from repro.criteria import Criterion, Reading, Verdict
from repro.uncertainty import CONFIDENCE

Role = Literal["claim", "control", "rival", "positive control", "correction", "repetition"]


@dataclass(frozen=True, init=False)
class Counterpart:
    """A statement that is judged beside the claim, by the claim's experiment.

    Attributes:
        statement: Statement in words.
        criterion: Criterion of its own; None for the claim's.
        parameters: Parameters with which the experiment checks it, besides those of the claim.
    """

    statement: str
    criterion: Criterion | None
    parameters: Parameters

    def __init__(self, statement: str, *, criterion: Criterion | None = None, **parameters: Any) -> None:
        object.__setattr__(self, "statement", statement)
        object.__setattr__(self, "criterion", criterion)
        object.__setattr__(self, "parameters", parameters)


class Correction(Counterpart):
    """The right statement where a document's is wrong, from a derivation or the literature; must come out reproduced.

    It runs under conditions that the claim did not run, or predicts a number.
    """


class Rival(Counterpart):
    """A near rival of a formula or law: another factor, exponent or sign, which the same observations must refute."""


class PositiveControl(Counterpart):
    """An effect that is known to be there, of at least twice the smallest that matters; must come out reproduced.

    It shows that an effect could have been seen where the claim's was not.
    """


@dataclass(frozen=True)
class Variant:
    """What is run and judged: the claim itself or one of its counterparts.

    Attributes:
        role: Role of what is judged.
        statement: Statement in words.
        parameters: Parameters of the experiment.
        criterion: Criterion that judges the observations.
        reading: Kind and scale of the statement, and where it is expected to hold.
    """

    role: Role
    statement: str
    parameters: Parameters
    criterion: Criterion
    reading: Reading

    def judge(self, observations: pd.DataFrame, confidence: float = CONFIDENCE) -> Verdict:
        """Judge observations as the kind of the statement asks.

        Args:
            observations: Table as the claim reads it.
            confidence: Confidence of the verdict.

        Raises:
            ObservationsError: they are not what the criterion reads.
        """
        reading = self.reading
        return self.criterion(
            observations, confidence, kind=reading.kind, scale=reading.scale, boundary=reading.boundary
        )
