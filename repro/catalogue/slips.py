"""What the author of a claim may get wrong: each slip is named in a line, when the claim is declared."""

from __future__ import annotations

import inspect
import json
import operator
from collections.abc import Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any, get_args

from repro.catalogue.counterparts import Correction, PositiveControl, Rival, Variant
from repro.catalogue.experiments import FOR_ALL_SEEDS, FOR_ONE_SEED, Experiment, positional_names
from repro.catalogue.sources import Reported, Source
from repro.common import ClaimError
from repro.criteria import AllOf, Boundary, Criterion, Kind, Scale

WANTED: Mapping[str, tuple[tuple[type, ...], str]] = {
    "criterion": ((Criterion,), "a criterion, such as AtMost('value', bound=1.0)"),
    "control": ((Mapping, type(None)), "the parameters that remove the mechanism, such as {'rate': 0.0}"),
    "rival": ((Rival, type(None)), "Rival('another statement', criterion=..., parameter=value)"),
    "positive_control": ((PositiveControl, type(None)), "PositiveControl('an effect that is known', parameter=value)"),
    "correction": ((Correction, type(None)), "Correction('the right statement', parameter=value)"),
    "boundary": ((Boundary, type(None)), "Boundary('where it holds', holds='depth <= 10')"),
    "smoke": ((Mapping,), "the parameters of that profile, such as {'points': 50}"),
    "full": ((Mapping,), "the parameters of that profile, such as {'points': 1000}"),
    "tags": ((tuple, list), "a tuple of texts"),
    "requires": ((tuple, list), "a tuple of texts"),
    "seeds": ((int, type(None)), "a whole number"),
    "reported": ((tuple,), "a tuple of Reported(value, measure=..., setting=..., place=...)"),
    "transcription": ((bool,), "True or False"),
    "reads": ((FunctionType, partial, type(None)), "the experiment, a function"),
    "figure": ((FunctionType, partial, type(None)), "a function"),
}
REQUIREMENTS = ("gpu", "tensorflow")
TYPES = {bool: "True or False", int: "a number", float: "a number", str: "a text", tuple: "a tuple"}


def check_details(culprit: str, details: Mapping[str, Any]) -> None:
    """Check the details with which a claim is declared.

    Args:
        culprit: Id of the claim.
        details: Attributes of the claim by name.

    Raises:
        ClaimError: one of them is of another type, or means nothing.
    """
    _check_sources(culprit, details["sources"], details["criterion"])
    for name, (types, wanted) in WANTED.items():
        if not isinstance(details[name], types):
            raise ClaimError(f"{culprit}: {name} takes {wanted}, not {shown(details[name])}")
    _check_choices(culprit, details)
    if details["seeds"] is not None and details["seeds"] < 1:
        raise ClaimError(f"{culprit}: seeds takes a number from 1, not {details['seeds']}")
    for text in _texts(details):
        if not isinstance(text, str):
            raise ClaimError(f"{culprit}: {text!r} is no text; statements, sources and tags are")
    for requirement in details["requires"]:
        if requirement not in REQUIREMENTS:
            raise ClaimError(f"{culprit}: requires takes {' or '.join(REQUIREMENTS)}, not {requirement!r}")


def check_experiment(culprit: str, experiment: Experiment) -> None:
    """Check what comes before the parameters of an experiment.

    Raises:
        ClaimError: anything but ``seeds`` or ``seed``.
    """
    kinds = {parameter.kind for parameter in inspect.signature(experiment).parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise ClaimError(f"{culprit}: *args and **kwargs hide the parameters; write each of them after a *")
    names = positional_names(experiment)
    if names not in ([], [FOR_ALL_SEEDS], [FOR_ONE_SEED]):
        extra = next((name for name in names if name not in (FOR_ALL_SEEDS, FOR_ONE_SEED)), names[-1])
        raise ClaimError(f"{culprit}: only seeds, or seed, comes before the parameters; write {extra} after a *")


def check_reduction(culprit: str, function: Experiment) -> None:
    """Check the function of a claim that reads the observations of a shared experiment.

    Raises:
        ClaimError: it does not take observations first, and nothing else without a keyword.
    """
    if len(positional_names(function)) != 1:
        raise ClaimError(f"{culprit}: only observations come before the parameters; write those after a *")


def check_parameters(culprit: str, defaults: Mapping[str, Any]) -> None:
    """Check the defaults of the parameters.

    Raises:
        ClaimError: one is missing, or cannot be stored.
    """
    for name, default in defaults.items():
        if default is inspect.Parameter.empty:
            raise ClaimError(f"{culprit}: parameter {name!r} has no default; give it the value of profile standard")
        try:
            json.dumps(default, default=operator.methodcaller("item"))  # NumPy scalars are numbers
        except (TypeError, ValueError, AttributeError) as error:
            kind = type(default).__name__
            raise ClaimError(
                f"{culprit}: the default of {name!r} is of type {kind}; use numbers, text or tuples"
            ) from error


def check_values(culprit: str, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check that parameters are given values like their defaults, so that no slip ends a run of hours.

    Args:
        culprit: Place where they are given.
        defaults: Parameters of the claim. A default that is None, or a configuration, says nothing about its type.
        values: Parameters that are given.

    Raises:
        ClaimError: a value is of another type than the default.
    """
    for name, value in values.items():
        wanted, given = (TYPES.get(type(each)) for each in (defaults[name], value))
        if wanted is not None and given is not None and wanted != given:
            raise ClaimError(f"{culprit}: {name!r} takes {wanted}, like its default {defaults[name]!r}, not {value!r}")


def check_counterparts(culprit: str, profile: str, variants: Sequence[Variant]) -> None:
    """Check that the counterparts of a claim run or ask something other than the claim.

    Args:
        culprit: Id of the claim.
        profile: Profile of the variants.
        variants: Claim first, then its counterparts.

    Raises:
        ClaimError: one has the claim's own parameters and criterion.
    """
    own, *counterparts = variants
    for counterpart in counterparts:
        same = counterpart.parameters == own.parameters and counterpart.criterion is own.criterion
        if same and counterpart.role != "repetition":
            raise ClaimError(f"{culprit}: its {counterpart.role} has the claim's own parameters in profile {profile}")


def shown(value: Any) -> str:
    """Describe a value that cannot be used here: a class or a function by its name."""
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    return f"the function {value.__name__}" if isinstance(value, FunctionType) else repr(value)


def _check_choices(culprit: str, details: Mapping[str, Any]) -> None:
    for name, allowed in (("kind", get_args(Kind)), ("scale", get_args(Scale))):
        if details[name] is not None and details[name] not in allowed:
            raise ClaimError(f"{culprit}: {name} takes {', '.join(allowed)}, not {shown(details[name])}")
    for number in details["reported"]:
        if not isinstance(number, Reported):
            raise ClaimError(f"{culprit}: reported takes Reported(value, measure=...), not {shown(number)}")


def _check_sources(culprit: str, sources: Sequence[Any], criterion: Any) -> None:
    if not sources:
        raise ClaimError(f"{culprit}: source names no place; give Source('document', 'section')")
    for source in sources:
        if not isinstance(source, Source):
            raise ClaimError(f"{culprit}: source takes Source('document', 'section'), not {shown(source)}")
        known = tuple(criterion.criteria) if isinstance(criterion, AllOf) else ()
        if not isinstance(source.parts, tuple) or not all(part in known for part in source.parts):
            parts = f"a tuple of {', '.join(known)}" if known else "nothing: the statement has one part"
            raise ClaimError(f"{culprit}: parts of a source takes {parts}, not {shown(source.parts)}")


def _texts(details: Mapping[str, Any]) -> list[Any]:
    counterparts = [details[name] for name in ("correction", "rival", "positive_control")]
    return [
        *(details[name] for name in ("statement", "literature", "decided_by", "scope", "root")),
        *details["tags"],
        *details["left_open"],
        *details["requires"],
        *(text for source in details["sources"] for text in (source.document, source.section)),
        *(counterpart.statement for counterpart in counterparts if counterpart is not None),
    ]
