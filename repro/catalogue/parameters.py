"""Reading and writing parameters of claims as text: ``points=50``, ``widths=8,20,56``."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterable
from typing import Any

from repro.catalogue.declaration import Claim
from repro.catalogue.experiments import Parameters
from repro.common import ReproError

TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_parameters(claim: Claim, texts: Iterable[str]) -> Parameters:
    """Read parameters of a claim by the types of their defaults.

    Args:
        claim: Claim that has the parameters.
        texts: Texts of the form ``name=value``; the values of a tuple are separated by commas.

    Raises:
        ReproError: not of that form, no such parameter, or a value of another type.
    """
    parameters = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ReproError(f"--set takes name=value, not {text!r}")
        if name not in claim.defaults:
            known = ", ".join(claim.defaults) or "none"
            raise ReproError(f"{claim.id} has no parameter {name!r}; its parameters are {known}")
        default = claim.defaults[name]
        try:
            parameters[name] = _value(value, default)
        except ValueError as error:
            raise ReproError(f"{claim.id}: {name} takes {_type_name(default)}, not {value!r}") from error
    return parameters


def parameter_text(value: object) -> str:
    """Write the value of a parameter so that ``parse_parameters`` reads it."""
    if isinstance(value, tuple | list):
        return ",".join(parameter_text(item) for item in value)
    return str(value)


def repeat_command(claim: str, profile: str, seeds: int | None, parameters: Parameters, backend: str) -> str:
    """Return the command that checks a claim again.

    Args:
        claim: Name of the claim on the command line, as ``address`` returns it.
        profile: Profile of the run.
        seeds: Number of seeds; None for that of the profile.
        parameters: Parameters that differ from those of the profile.
        backend: Backend of Keras.
    """
    command = ["repro", "check", claim, "--profile", profile, "--backend", backend]
    if seeds is not None:
        command += ["--seeds", str(seeds)]
    for name, value in parameters.items():
        command += ["--set", f"{name}={parameter_text(value)}"]
    return shlex.join(command)


def _value(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text.lower() not in TRUTH:
            raise ValueError(text)
        return TRUTH[text.lower()]
    if isinstance(default, tuple):
        items = [item for item in text.split(",") if item]
        return tuple(_value(item, default[0] if default else None) for item in items)
    if default is None:
        return _literal(text)
    return type(default)(text)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # the last three of {[]: 1} and of (((...
        return text


def _type_name(default: object) -> str:
    if isinstance(default, tuple) and default:
        return f"{type(default[0]).__name__} values separated by commas"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(type(default), type(default).__name__)
