"""What a claim is: a plain function from seeds to observations, with the statement it checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from repro import backend
from repro.criteria import Criterion
from repro.errors import ClaimError, ObservationsError
from repro.sources import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from repro.verdict import Verdict

Profile = Literal["smoke", "standard", "full"]
Kind = Literal["claim", "control", "correction"]
Experiment = Callable[..., pd.DataFrame]
Parameters = dict[str, Any]

# What a claim file may get wrong unnoticed until something is made of it.
KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "criterion": ((Criterion,), "a criterion of repro"),
    "tags": ((tuple, list), "a tuple of texts"),
    "requires": ((tuple, list), "a tuple of texts"),
    "seeds": ((int, type(None)), "a whole number"),
    "reported": ((Mapping,), "numbers by reference"),
    "figure": ((FunctionType, partial, type(None)), "a function"),
}


@dataclass(frozen=True, init=False)
class Correction:
    """The right statement where a document's is wrong.

    Attributes:
        statement: the right statement in words.
        parameters: what makes the experiment check it, under the same criterion.
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


@dataclass(frozen=True, eq=False)
class Claim:
    """One statement of a document, with the experiment that checks it.

    Calling a claim runs its experiment: ``novikoff([0, 1, 2], points=50)`` gives the table of observations.

    Attributes:
        statement: what the document says, in our words with the document's formula.
        sources: where it says so.
        criterion: turns observations into a verdict.
        function: the decorated function.
        reads: the shared experiment whose observations ``function`` reduces, with other default parameters where it is
            a ``functools.partial``; None where ``function`` is the experiment.
        literature: where the statement comes from, or what is known of it.
        smoke, full: parameters of these profiles; the defaults are the standard profile.
        control: parameters that remove the mechanism the statement credits; the claim must come out refuted.
        correction: the right statement; must come out reproduced.
        tags: for selecting claims; ``timing`` marks those that measure time.
        reported: numbers that the literature reports, by reference.
        requires: ``tensorflow`` or ``gpu``.
        seeds: largest useful number of seeds; None for no limit.
        decided_by: the size that would decide the claim where profile ``standard`` leaves it inconclusive.
        figure: draws a picture better than the criterion's own, from observations and verdict.
    """

    statement: str
    sources: tuple[Source, ...]
    criterion: Criterion
    function: Experiment
    reads: Experiment | None = None
    literature: str = ""
    smoke: Parameters = field(default_factory=dict)
    full: Parameters = field(default_factory=dict)
    control: Parameters | None = None
    correction: Correction | None = None
    tags: tuple[str, ...] = ()
    reported: Mapping[str, float | str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    seeds: int | None = None
    decided_by: str = ""
    figure: Callable[[pd.DataFrame, Verdict], Figure] | None = None

    def __post_init__(self) -> None:
        # For help() and inspect a claim is its function; functools.update_wrapper cannot set what is frozen.
        vars(self).update(
            __module__=self.function.__module__,
            __name__=self.function.__name__,
            __qualname__=self.function.__qualname__,
            __doc__=self.method,
            __wrapped__=self.experiment,
        )
        self._check_types()
        self._check_signatures()
        self._check_counterparts()

    def __call__(self, *arguments: Any, **parameters: Any) -> pd.DataFrame:
        """Run the experiment: seeds first, where the claim takes seeds, then parameters by name.

        Raises:
            ClaimError: a parameter that the claim does not have.
        """
        self._reject_unknown(parameters, self.id)
        backend.configure()
        complete = self.defaults | parameters
        return self.read(self.experiment(*arguments, **self.experiment_parameters(complete)), complete)

    def read(self, observations: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
        """Reduce the observations of a shared experiment to those of this claim.

        Args:
            observations: what the experiment returned; not changed, and returned where the claim is the experiment.
            parameters: the claim's; those of its own function are used.

        Raises:
            ObservationsError: the experiment takes seeds, but there is no column ``seed``.
        """
        own = observations if self.reads is None else self._reduce(observations, parameters)
        if self.takes_seeds and "seed" not in own:
            raise ObservationsError(f"{self.id} takes seeds, but its observations have no column 'seed'")
        return own

    @property
    def id(self) -> str:
        """``module.function``; a claim in a package of ``repro.claims`` has the package's name.

        A script's claims have the name of its file in place of the module, and those of a notebook ``main``.
        """
        module = self.function.__module__
        if module.startswith("repro.claims."):
            family = module.split(".")[2]
        elif module == "__main__":
            file = Path(inspect.getfile(self.function))
            family = file.stem if file.exists() else "main"
        else:
            family = module.split(".")[-1]
        return f"{family}.{self.function.__name__}"

    @property
    def experiment(self) -> Experiment:
        """Function that makes the observations; claims with the same one share them."""
        if isinstance(self.reads, partial):
            return self.reads.func
        return self.reads or self.function

    @property
    def method(self) -> str:
        """How the claim is measured, from the docstrings."""
        docstrings = [inspect.getdoc(function) for function in dict.fromkeys((self.experiment, self.function))]
        return "\n\n".join(text for text in docstrings if text)

    @property
    def defaults(self) -> Parameters:
        """Parameters of the standard profile: those of the shared experiment, then the claim's own."""
        return (_defaults(self.reads) if self.reads else {}) | _defaults(self.function)

    @property
    def takes_seeds(self) -> bool:
        """Whether the experiment is random."""
        return "seeds" in inspect.signature(self.experiment).parameters

    def variants(self, profile: Profile, overrides: Mapping[str, Any] | None = None) -> list[Variant]:
        """List what is run: the claim, then its control and its correction.

        Args:
            profile: whose parameters to use.
            overrides: parameters that replace those of the profile.

        Raises:
            ClaimError: an override that the claim does not have.
        """
        self._reject_unknown(overrides or {}, self.id)
        of_profile = {"smoke": self.smoke, "standard": {}, "full": self.full}[profile]
        parameters = self.defaults | of_profile | dict(overrides or {})
        variants = [Variant("claim", self.statement, parameters)]
        if self.control is not None:
            variants.append(Variant("control", self.statement, parameters | self.control))
        if self.correction is not None:
            variants.append(Variant("correction", self.correction.statement, parameters | self.correction.parameters))
        return variants

    def experiment_parameters(self, parameters: Parameters) -> Parameters:
        """Select the parameters of the experiment from those of the claim."""
        return {name: parameters[name] for name in _defaults(self.experiment) if name in parameters}

    def _reduce(self, observations: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
        backend.configure()  # the function may use Keras, in a process that has executed no experiment
        own = {name: parameters[name] for name in _defaults(self.function) if name in parameters}
        reduced = self.function(observations.copy(), **own)
        reduced.attrs = observations.attrs | reduced.attrs
        return reduced

    def _check_types(self) -> None:
        for name, (kinds, wanted) in KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds):
                raise ClaimError(f"{self.id}: {name} takes {wanted}, not {value!r}")
        if self.seeds is not None and self.seeds < 1:
            raise ClaimError(f"{self.id}: seeds takes a number from 1, not {self.seeds}")
        texts = [self.statement, self.literature, self.decided_by, *self.tags, *self.requires]
        for source in self.sources:
            if not isinstance(source, Source):
                raise ClaimError(f"{self.id}: source takes Source('document', 'section'), not {source!r}")
            texts += [source.document, source.section]
        texts += [self.correction.statement] if self.correction else []
        for text in texts:
            if not isinstance(text, str):
                raise ClaimError(f"{self.id}: {text!r} is no text; statements, sources and tags are")

    def _check_signatures(self) -> None:
        if _positional(self.experiment) not in ([], ["seeds"]):
            raise ClaimError(f"{self.id}: only seeds come before the parameters; write those after a *")
        if self.reads is not None and len(_positional(self.function)) != 1:
            raise ClaimError(f"{self.id}: only observations come before the parameters; write those after a *")
        for name, default in self.defaults.items():
            if default is inspect.Parameter.empty:
                raise ClaimError(f"{self.id}: parameter {name!r} has no default; give it the value of profile standard")

    def _check_counterparts(self) -> None:
        if self.control is None and self.correction is None:
            raise ClaimError(f"{self.id} has neither a control nor a correction; give control= or correction=")
        given = {"smoke": self.smoke, "full": self.full, "control": self.control or {}}
        if self.correction is not None:
            given["correction"] = self.correction.parameters
        for name, parameters in given.items():
            self._reject_unknown(parameters, f"{self.id}, {name}=")
        for profile in get_args(Profile):
            own, *counterparts = self.variants(profile)
            for counterpart in counterparts:
                if counterpart.parameters == own.parameters:
                    raise ClaimError(
                        f"{self.id}: its {counterpart.kind} has the claim's own parameters in profile {profile}"
                    )

    def _reject_unknown(self, parameters: Mapping[str, Any], culprit: str) -> None:
        unknown = [name for name in parameters if name not in self.defaults]
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise ClaimError(f"{culprit}: no parameter {unknown[0]!r}; parameters are {known}")


def claim(
    statement: str, *, source: Source | Sequence[Source], criterion: Criterion, **details: Any
) -> Callable[[Experiment], Claim]:
    """Declare the decorated function to be a claim.

    Args:
        statement: what the document says; formulas between dollar signs.
        source: where, one or several.
        criterion: what the observations must satisfy.
        **details: the other attributes of ``Claim``.
    """
    sources = (source,) if isinstance(source, Source) else tuple(source)

    def declare(function: Experiment) -> Claim:
        return Claim(statement=statement, sources=sources, criterion=criterion, function=function, **details)

    return declare


def claims_of(module: ModuleType) -> list[Claim]:
    """List the claims that a module defines, in the order of its source; not those it imports."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, Claim) and value.function.__module__ == module.__name__
    ]


def _positional(function: Experiment) -> list[str]:
    parameters = inspect.signature(function).parameters
    return [name for name, parameter in parameters.items() if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]


def _defaults(function: Experiment) -> Parameters:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
