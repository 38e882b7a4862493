"""What a claim is: a plain function from seeds to observations, with the statement it checks."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd

from repro.catalogue import slips
from repro.catalogue.counterparts import Correction, Counterpart, PositiveControl, Rival, Role, Variant
from repro.catalogue.experiments import Experiment, Parameters, defaults, observe, takes_seeds
from repro.catalogue.profiles import Profile, check_profile
from repro.catalogue.sources import Reported, Source
from repro.common import ClaimError, ObservationsError
from repro.criteria import Boundary, Criterion, Kind, Reading, Scale, Verdict
from repro.engine import backend
from repro.uncertainty import CONFIDENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing = Callable[[pd.DataFrame, Verdict], "Figure"]

UNDECLARED: Kind = "tendency"
SMALL_IMAGES = "digits"


@dataclass(frozen=True, eq=False)
class Claim:
    """One statement of a document, with the experiment that checks it.

    Calling a claim runs its experiment: ``novikoff([0, 1, 2], points=50)`` gives the table of observations.

    Attributes:
        statement: Statement of the document, in our words with the document's formula and hedges.
        sources: Places where the document says so.
        criterion: Criterion that turns observations into a verdict.
        function: Decorated function.
        kind: Kind of sentence that the statement is; None where that is not declared.
        scope: Setting that the passage means.
        left_open: Conditions, by the names of their columns, that the passage leaves open.
        scale: Distance of the experiment from that setting; None for what follows from the kind and the data.
        boundary: Conditions under which the statement is expected to hold, fixed beforehand.
        reads: Shared experiment whose observations ``function`` reduces, with other default parameters where it is
            a ``functools.partial``; None where ``function`` is the experiment.
        literature: Origin of the statement, or what is known of it.
        smoke, full: Parameters of these profiles; the defaults are those of the standard profile.
        control: Parameters that remove the mechanism the statement credits; must not come out reproduced.
        correction: Right statement, where this one is wrong; must come out reproduced.
        rival: Near rival of a formula or law; must come out refuted.
        positive_control: Effect that is known to be there; must come out reproduced.
        tags: Labels for selecting claims; ``timing`` marks those that measure time.
        reported: Numbers that the literature reports.
        requires: Requirements without which the claim is skipped: ``tensorflow`` or ``gpu``.
        seeds: Number of seeds at standard, where that is not the profile's.
        decided_by: Size that would decide the claim where profile ``standard`` leaves it inconclusive.
        root: Name of the mistake that several claims share, if their statements are wrong for one reason.
        transcription: Whether what is odd in the formula may come from the conversion of the document.
        figure: Function of observations and verdict that draws a picture better than the criterion's own.
    """

    statement: str
    sources: tuple[Source, ...]
    criterion: Criterion
    function: Experiment
    kind: Kind | None = None
    scope: str = ""
    left_open: tuple[str, ...] = ()
    scale: Scale | None = None
    boundary: Boundary | None = None
    reads: Experiment | None = None
    literature: str = ""
    smoke: Parameters = field(default_factory=dict)
    full: Parameters = field(default_factory=dict)
    control: Parameters | None = None
    correction: Correction | None = None
    rival: Rival | None = None
    positive_control: PositiveControl | None = None
    tags: tuple[str, ...] = ()
    reported: tuple[Reported, ...] = ()
    requires: tuple[str, ...] = ()
    seeds: int | None = None
    decided_by: str = ""
    root: str = ""
    transcription: bool = False
    figure: Drawing | None = None

    def __post_init__(self) -> None:
        # For help() and inspect a claim is its function; functools.update_wrapper cannot set what is frozen.
        vars(self).update(
            __module__=self.function.__module__,
            __name__=self.function.__name__,
            __qualname__=self.function.__qualname__,
            __doc__=self.method,
            __wrapped__=self.experiment,
        )
        slips.check_details(self.id, vars(self))
        slips.check_experiment(self.id, self.experiment)
        slips.check_parameters(self.id, self.defaults)
        if self.reads is not None:
            slips.check_reduction(self.id, self.function)
        self._check_counterparts()

    def __call__(self, seeds: int | Iterable[int] = (), **parameters: Any) -> pd.DataFrame:
        """Run the experiment and return the observations of the claim.

        Seeds come first, where the claim takes seeds, then parameters by name.

        Raises:
            ClaimError: the claim does not have a parameter.
        """
        self._reject_unknown(parameters, self.id)
        complete = self.defaults | parameters
        return self.read(observe(self.experiment, seeds, **self.experiment_parameters(complete)), complete)

    def read(self, observations: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
        """Reduce the observations of a shared experiment to those of this claim.

        Args:
            observations: Table that the experiment returned; not changed, and returned as it is where the claim is the
                experiment.
            parameters: Parameters of the claim; those of its own function are used.

        Raises:
            ObservationsError: the experiment takes seeds, but there is no column ``seed``.
        """
        own = observations if self.reads is None else self._reduce(observations, parameters)
        if self.takes_seeds and "seed" not in own:
            raise ObservationsError(f"{self.id} takes seeds, but its observations have no column 'seed'")
        return own

    def draw(self, observations: pd.DataFrame, verdict: Verdict, role: Role = "claim") -> Figure:
        """Draw observations with their verdict, in the claim's own figure where it has one."""
        counterpart = self.counterparts.get(role)
        if counterpart is not None and counterpart.criterion is not None:
            return counterpart.criterion.figure(observations, verdict)
        return (self.criterion.figure if self.figure is None else self.figure)(observations, verdict)

    @property
    def id(self) -> str:
        """Id ``module.function``; a claim of ``repro.claims`` has the name of the module or package directly below it.

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
        """Description of how the claim is measured, from the docstrings."""
        docstrings = [inspect.getdoc(function) for function in dict.fromkeys((self.experiment, self.function))]
        return "\n\n".join(text for text in docstrings if text)

    @property
    def defaults(self) -> Parameters:
        """Parameters of the standard profile: those of the shared experiment, then the claim's own."""
        return (defaults(self.reads) if self.reads else {}) | defaults(self.function)

    @property
    def judged_as(self) -> Kind:
        """Kind that the statement is judged as: its own, or a tendency where it has none."""
        return self.kind or UNDECLARED

    def scale_of(self, parameters: Parameters) -> Scale:
        """Return how far the experiment is from the setting that the passage means.

        Formulas and theorems are exact, all else is a toy unless the claim says more, or reads larger images.

        Args:
            parameters: Parameters of the experiment.
        """
        if self.scale is not None:
            return self.scale
        if self.judged_as in ("formula", "theorem"):
            return "exact"
        return "reduced" if parameters.get("data", SMALL_IMAGES) != SMALL_IMAGES else "toy"

    @property
    def takes_seeds(self) -> bool:
        """Whether the experiment is random."""
        return takes_seeds(self.experiment)

    def variants(self, profile: Profile, overrides: Mapping[str, Any] | None = None) -> list[Variant]:
        """List what is run: the claim, then its counterparts.

        A possibility is repeated: its best cell was chosen among several.

        Args:
            profile: Profile whose parameters are used.
            overrides: Parameters that replace those of the profile.

        Raises:
            ReproError: there is no such profile, or the claim does not have an override.
        """
        check_profile(profile)
        self._reject_unknown(overrides or {}, self.id)
        of_profile = {"smoke": self.smoke, "standard": {}, "full": self.full}[profile]
        parameters = self.defaults | dict(of_profile) | dict(overrides or {})
        variants = [self.variant("claim", parameters)]
        if self.control is not None:
            variants.append(self.variant("control", parameters | dict(self.control)))
        for role, counterpart in self.counterparts.items():
            variants.append(self.variant(role, parameters | counterpart.parameters))
        if self.judged_as == "possibility" and self.takes_seeds:
            variants.append(self.variant("repetition", parameters))
        return variants

    def variant(self, role: Role, parameters: Parameters) -> Variant:
        """Return the claim or one of its counterparts, with all its parameters."""
        counterpart = self.counterparts.get(role)
        boundary = self.boundary if role == "claim" else None
        return Variant(
            role,
            self.statement if counterpart is None else counterpart.statement,
            parameters,
            self.criterion if counterpart is None else counterpart.criterion or self.criterion,
            Reading(self.judged_as, self.scale_of(parameters), boundary),
        )

    @property
    def counterparts(self) -> dict[Role, Counterpart]:
        """Counterparts with statements of their own, by role."""
        given: dict[Role, Counterpart | None] = {
            "rival": self.rival,
            "positive control": self.positive_control,
            "correction": self.correction,
        }
        return {role: counterpart for role, counterpart in given.items() if counterpart is not None}

    def judge(self, observations: pd.DataFrame, confidence: float = CONFIDENCE) -> Verdict:
        """Judge observations of the claim, as its kind of statement is judged.

        Raises:
            ObservationsError: they are not what the criterion reads.
        """
        return self.variant("claim", self.defaults).judge(observations, confidence)

    def experiment_parameters(self, parameters: Parameters) -> Parameters:
        """Select the parameters of the experiment from those of the claim."""
        return {name: parameters[name] for name in defaults(self.experiment) if name in parameters}

    def _reduce(self, observations: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
        backend.configure()  # the function may use Keras, in a process that has executed no experiment
        own = {name: parameters[name] for name in defaults(self.function) if name in parameters}
        reduced = self.function(observations.copy(), **own)
        if not isinstance(reduced, pd.DataFrame):
            raise ClaimError(f"{self.id} returned {type(reduced).__name__}, not a DataFrame")
        reduced.attrs = observations.attrs | reduced.attrs
        return reduced

    def _check_counterparts(self) -> None:
        given = {"smoke": self.smoke, "full": self.full, "control": self.control or {}}
        given |= {role: counterpart.parameters for role, counterpart in self.counterparts.items()}
        for name, parameters in given.items():
            self._reject_unknown(parameters, f"{self.id}, {name}=")
            slips.check_values(f"{self.id}, {name}=", self.defaults, parameters)
        for profile in get_args(Profile):
            slips.check_counterparts(self.id, profile, self.variants(profile))

    def _reject_unknown(self, parameters: Mapping[str, Any], culprit: str) -> None:
        unknown = [name for name in parameters if name not in self.defaults]
        if unknown:
            nearest = difflib.get_close_matches(unknown[0], self.defaults, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            known = ", ".join(self.defaults) or "none"
            raise ClaimError(f"{culprit}: no parameter {unknown[0]!r}; parameters are {known}{hint}")


def claim(
    statement: str,
    *,
    source: Source | Sequence[Source],
    criterion: Criterion,
    kind: Kind | None = None,
    scope: str = "",
    left_open: Sequence[str] = (),
    scale: Scale | None = None,
    boundary: Boundary | None = None,
    control: Mapping[str, Any] | None = None,
    rival: Rival | None = None,
    positive_control: PositiveControl | None = None,
    correction: Correction | None = None,
    smoke: Mapping[str, Any] | None = None,
    full: Mapping[str, Any] | None = None,
    literature: str = "",
    reported: Sequence[Reported] = (),
    tags: Sequence[str] = (),
    seeds: int | None = None,
    reads: Experiment | None = None,
    requires: Sequence[str] = (),
    decided_by: str = "",
    root: str = "",
    transcription: bool = False,
    figure: Drawing | None = None,
) -> Callable[[Experiment], Claim]:
    """Declare the decorated function to be a claim.

    The function takes ``seeds``, a list, and returns a DataFrame with a column ``seed``; or it takes ``seed``, one of
    them, and returns the rows of that seed; or neither, where nothing is random. Whatever varies is a parameter by
    keyword, whose default is the value of the standard profile.

    Args:
        statement: Statement of the document, in your words; formulas between dollar signs.
        source: Place where the document says so, or several: ``Source("My notes", "2.3")``.
        criterion: Criterion that the observations must satisfy.
        kind: Kind of sentence: ``"formula"``, ``"theorem"``, ``"law"``, ``"tendency"``, ``"advice"``, ``"possibility"``
            or ``"finding"``. It decides what follows where the statement holds under some conditions and not under
            others; what is not declared is judged as a tendency.
        scope: Setting that the passage means, in words.
        left_open: Names of the conditions that the passage leaves open: columns that the criterion has in ``each``.
        scale: Distance of the experiment from that setting: ``"exact"``, ``"same"``, ``"reduced"`` or ``"toy"``.
        boundary: Conditions under which the statement is expected to hold, fixed before the result is known.
        control: Parameters that remove the mechanism the statement credits; must not come out reproduced.
        rival: Near rival of a formula or law, which the same observations must refute.
        positive_control: Effect that is known to be there, where the claim's may not be seen.
        correction: Right statement, where the document's is wrong, with what checks it.
        smoke: Parameters that make the experiment small, for tests.
        full: Parameters that make the experiment large, for a GPU and real data sets.
        literature: Origin of the statement, or what is known of it.
        reported: Numbers that the literature reports.
        tags: Labels by which claims are selected.
        seeds: Number of seeds at standard, where that is not 24: 48 suit three to eight conditions, 16 one.
        reads: Experiment that several claims share; the decorated function then takes its observations.
        requires: Requirements without which the claim is skipped: ``"gpu"`` or ``"tensorflow"``.
        decided_by: Size that would decide what the standard profile leaves open.
        root: Name of the mistake that several claims share, if their statements are wrong for one reason.
        transcription: Whether what is odd in the formula may come from the conversion of the document.
        figure: Function of observations and verdict that draws a picture better than the criterion's own.

    Raises:
        ClaimError: the declaration or the function is not as described; the message names the culprit.

    Example:
        >>> from repro import AtMost, Source, claim
        >>> @claim(
        ...     "A uniform number is at most one.",
        ...     source=Source("My notes", "1"),
        ...     kind="theorem",
        ...     criterion=AtMost("number", bound=1.0),
        ...     control={"shift": 2.0},
        ... )
        ... def uniform(seed, *, shift=0.0):
        ...     return {"number": np.random.default_rng(seed).uniform() + shift}
        >>> uniform([0, 1])["number"].round(3).tolist()
        [0.637, 0.512]
    """
    if not isinstance(statement, str):
        raise ClaimError(f"claim takes a statement first, @claim('...', source=...), not {slips.shown(statement)}")

    def declare(function: Experiment) -> Claim:
        return Claim(
            statement=statement,
            sources=(source,) if isinstance(source, Source | str) else tuple(source),
            criterion=criterion,
            function=function,
            kind=kind,
            scope=scope,
            left_open=tuple(left_open),
            scale=scale,
            boundary=boundary,
            reads=reads,
            literature=literature,
            smoke={} if smoke is None else smoke,  # type: ignore[arg-type]
            full={} if full is None else full,  # type: ignore[arg-type]
            control=control,  # type: ignore[arg-type]
            correction=correction,
            rival=rival,
            positive_control=positive_control,
            tags=tags,  # type: ignore[arg-type]
            reported=tuple(reported) if isinstance(reported, Sequence) else reported,
            requires=requires,  # type: ignore[arg-type]
            seeds=seeds,
            decided_by=decided_by,
            root=root,
            transcription=transcription,
            figure=figure,
        )

    return declare
