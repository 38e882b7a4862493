"""How results are written in a database: evaluations as rows, everything nested as JSON text."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from repro.claim import Parameters
from repro.errors import StoreError
from repro.result import Evaluation, Request
from repro.verdict import Verdict


def to_text(value: Any) -> str:
    """Encode as Python's JSON, which has NaN and infinities and keeps every float exactly.

    Raises:
        TypeError: neither plain data nor a NumPy scalar.
    """
    return json.dumps(value, default=_plain)


def strict(value: Any) -> Any:
    """Return plain data as it comes back from strict JSON, which has lists only, text as keys and finite numbers.

    Infinities and NaN become text. Equal parameters are equal in this form, wherever they were stored.

    Raises:
        TypeError: neither plain data nor a NumPy scalar.
    """
    return _without_infinities(json.loads(to_text(value)))


def request_to_text(request: Request) -> str:
    """Encode what a run was asked for.

    Raises:
        StoreError: a parameter is no plain value.
    """
    for parameters in request.overrides.values():
        _parameters_text(parameters)
    return to_text(asdict(request))


def to_row(evaluation: Evaluation) -> tuple[Any, ...]:
    """Return the values of an evaluation's columns in the table ``evaluations``, from ``kind`` to ``traceback``.

    Raises:
        StoreError: a parameter is no plain value.
    """
    return (
        evaluation.kind,
        storable(evaluation.statement),
        _parameters_text(evaluation.parameters),
        to_text(evaluation.seeds),
        evaluation.status,
        None if evaluation.verdict is None else _verdict_text(evaluation.verdict),
        evaluation.observations,
        float(evaluation.seconds),
        int(evaluation.memory),
        storable(evaluation.message),
        storable(evaluation.traceback),
    )


def storable(text: str) -> str:
    """Make text valid Unicode, which SQLite demands: what people type and names of files need not be."""
    return text.encode(errors="backslashreplace").decode()


def with_tuples(value: Any) -> Any:
    """Turn the lists of plain data into tuples, as parameters have them."""
    if isinstance(value, list):
        return tuple(with_tuples(item) for item in value)
    if isinstance(value, dict):
        return {name: with_tuples(item) for name, item in value.items()}
    return value


def _parameters_text(parameters: Parameters) -> str:
    for name, value in parameters.items():
        try:
            to_text(value)
        except TypeError as error:
            raise StoreError(f"parameter {name}={value!r} cannot be stored; use numbers, text or tuples") from error
    return to_text(parameters)


def _verdict_text(verdict: Verdict) -> str:
    kept = [item.name for item in fields(verdict) if item.name not in ("statement", "levels", "observations", "draw")]
    plain = {name: getattr(verdict, name) for name in kept} | {"parts": [asdict(part) for part in verdict.parts]}
    return to_text(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is no plain value")


def _without_infinities(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_without_infinities(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_infinities(item) for name, item in value.items()}
    return value
