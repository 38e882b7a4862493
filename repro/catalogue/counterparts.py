"""What a claim is run with besides its own parameters: a control that must fail, a correction that must hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from repro.catalogue.experiments import Parameters

Kind = Literal["claim", "control", "correction"]


@dataclass(frozen=True, init=False)
class Correction:
    """The right statement where a document's is wrong.

    Attributes:
        statement: Right statement in words.
        parameters: Parameters with which the experiment checks it, under the same criterion.
    """

    statement: str
    parameters: Parameters

    def __init__(self, statement: str, **parameters: Any) -> None:
        object.__setattr__(self, "statement", statement)
        object.__setattr__(self, "parameters", parameters)


@dataclass(frozen=True)
class Variant:
    """A claim's experiment with the parameters of the claim itself, of its control or of its correction."""

    kind: Kind
    statement: str
    parameters: Parameters
