"""One claim, checked: what a notebook shows of it, what the terminal prints, and the figure.

Formulas are MathML, which browsers, JupyterLab, VS Code and the pages of nbconvert show without a script; from a
notebook that was run elsewhere and is not trusted yet JupyterLab removes its tags. The figure is an image of its own,
so that neither its styles nor its ids meet those of other outputs.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup, escape

from repro.catalogue import Claim, Profile, Source, parameter_text, registry
from repro.common import ClaimError, ReproError, format_effect, one_line
from repro.criteria import Verdict, render
from repro.report.text import prose
from repro.results import ClaimResult, Evaluation, Run
from repro.runner import ThisProcess, evaluate, make_plan, new_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Check:
    """A claim with its result: evaluations of the claim itself and of its counterparts.

    Attributes:
        claim: Claim that was checked.
        run: Run that the result is of.
        result: Result of the claim.
        read: Function that returns stored observations by their key.
    """

    claim: Claim
    run: Run
    result: ClaimResult
    read: Callable[[str], pd.DataFrame]

    @property
    def verdict(self) -> Verdict:
        """Verdict on the claim itself.

        Raises:
            ReproError: it was skipped, or ended in error.
        """
        verdict = self.result.evaluation.verdict
        if verdict is None:
            raise ReproError(f"{self.claim.id} has no verdict: {self.result.evaluation.message}")
        return verdict

    @property
    def observations(self) -> pd.DataFrame:
        """Table that was judged.

        Raises:
            ReproError: there is none.
        """
        return self.observations_of(self.result.evaluation)

    def observations_of(self, evaluation: Evaluation) -> pd.DataFrame:
        """Return the table behind one of the evaluations.

        Raises:
            ReproError: there is none.
        """
        if evaluation.observations is None:
            raise ReproError(f"{self.claim.id} has no observations: {evaluation.message}")
        return self.claim.read(self.read(evaluation.observations), evaluation.parameters)

    def figure(self) -> Figure:
        """Draw the observations with what the claim asks of them.

        Raises:
            ReproError: there is no verdict. The claim's own figure may raise anything.
        """
        return self.claim.draw(self.observations, self.verdict)

    def sections(self) -> dict[str, str]:
        """Present the claim in words: statement, source, method, verdict with its scope, counterparts, soundness."""
        claim, evaluation = self.claim, self.result.evaluation
        known = {
            "Statement": claim.statement,
            "Source": "\n".join(map(_place, claim.sources)),
            "Literature": claim.literature,
            "Method": _filled(claim.method),
            "Criterion": claim.criterion.describe(),
            "Verdict": _conclusion(evaluation),
            "Scope": self._scope(),
            **{item.role.capitalize(): self._counterpart(item) for item in self.result.counterparts},
            "Soundness": self.result.soundness,
        }
        return {title: text for title, text in known.items() if text}

    def __str__(self) -> str:
        blocks = [f"{title}\n{textwrap.indent(text, '  ')}" for title, text in self.sections().items()]
        return "\n".join([self.claim.id, *blocks])

    def _repr_html_(self) -> str:
        return Markup("").join([self._statement(), self._evaluations(), self._cells(), self._image()])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  the interface of IPython
        printer.text(str(self))

    def _scope(self) -> str:
        evaluation = self.result.evaluation
        count = len(evaluation.seeds)
        seeds = ("1 seed" if count == 1 else f"{count} seeds") if count else "no randomness"
        parameters = _settings(evaluation.parameters)
        verdict = evaluation.verdict
        judged = f"{verdict.kind} at scale {verdict.scale}; " if verdict is not None and verdict.kind else ""
        where = f"{judged}{self.run.profile} profile on {self.run.backend}, {seeds}"
        return f"{where}; {parameters}" if parameters else where

    def _counterpart(self, evaluation: Evaluation) -> str:
        own_words = {"control": "with the mechanism removed", "repetition": "on fresh seeds"}
        said = own_words.get(evaluation.role, evaluation.statement)
        own = self.result.evaluation.parameters
        changed = {name: value for name, value in evaluation.parameters.items() if own.get(name) != value}
        settings = f"with {_settings(changed)}\n" if changed else ""
        return f"{said}\n{settings}{_conclusion(evaluation)}"

    def _statement(self) -> Markup:
        return Markup("<p>{}</p>").format(prose(self.claim.statement))

    def _evaluations(self) -> Markup:
        evaluations = (self.result.evaluation, *self.result.counterparts)
        lines = Markup("<br>").join(
            Markup("{}<b>{}</b>: {}").format(
                "" if item.role == "claim" else f"{item.role} ", item.status, _measured(item)
            )
            for item in evaluations
        )
        return Markup("<p>{}<br>{}</p>").format(lines, self.result.soundness)

    def _cells(self) -> Markup:
        verdict = self.result.evaluation.verdict
        if verdict is None or len(verdict.cells) < 2:
            return Markup("")
        head = Markup("<tr><th>condition</th><th>outcome</th><th>effect</th><th>n</th></tr>")
        rows = Markup("").join(
            Markup("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
                cell.name, cell.outcome, format_effect(cell.effect, cell.low, cell.high), cell.n
            )
            for cell in verdict.cells
        )
        return Markup("<table>{}{}</table>").format(head, rows)

    def _image(self) -> Markup:
        verdict = self.result.evaluation.verdict
        if verdict is None:
            return Markup("")
        try:
            content = base64.b64encode(render(self.figure(), ["svg"])["svg"]).decode()
        except Exception as error:  # noqa: BLE001  a claim's own figure may raise anything, the verdict is shown all the same
            return Markup("<p>No figure could be drawn: {}</p>").format(one_line(error))
        style = "background: white; max-width: 100%"  # notebooks may be dark, and the ink of figures is
        return Markup('<img alt="{}" style="{}" src="data:image/svg+xml;base64,{}">').format(
            escape(str(verdict)), style, content
        )


def check(
    claim: str | Claim, *, profile: Profile = "standard", seeds: int | None = None, **parameters: object
) -> Check:
    """Check one claim with its control and its correction, in this process; nothing is stored.

    Args:
        claim: Id of a claim, file that defines one (see ``repro.catalogue.registry.get``), or claim itself.
        profile: Profile whose parameters and number of seeds are used.
        seeds: Exact number of seeds.
        **parameters: Parameters of the claim that replace those of the profile.

    Returns:
        The outcome: ``verdict``, ``observations`` and ``figure()``; a notebook shows it, ``print`` explains it.

    Raises:
        ReproError: there is no such claim or parameter, or the experiment failed; then its traceback is a note.
    """
    chosen = registry.get(claim) if isinstance(claim, str) else claim
    overrides = {chosen.id: dict(parameters)} if parameters else {}
    plan = make_plan([chosen], profile, seeds=seeds, overrides=overrides)
    tables: dict[str, pd.DataFrame] = {}

    def keep(observations: pd.DataFrame) -> str:
        key = str(len(tables))
        tables[key] = observations
        return key

    pool = ThisProcess()
    (result,) = evaluate(plan, keep, pool)
    if result.status == "error":
        error = ClaimError(f"{chosen.id} ended in error, {result.evaluation.message}")
        error.add_note(result.evaluation.traceback)
        raise error
    return Check(chosen, new_run(plan, pool.environment()), result, tables.__getitem__)


def _place(source: Source) -> str:
    parts = f" ({', '.join(source.parts)})" if source.parts else ""
    return f"{source.title}, {source.section}{parts}"


def _conclusion(evaluation: Evaluation) -> str:
    verdict = evaluation.verdict
    return f"{evaluation.status}: {evaluation.message}" if verdict is None else str(verdict)


def _measured(evaluation: Evaluation) -> str:
    verdict = evaluation.verdict
    if verdict is None:
        return evaluation.message
    if verdict.sentence:
        return verdict.sentence
    return f"{verdict.measure} {format_effect(verdict.effect, verdict.low, verdict.high)}, n = {verdict.n}"


def _settings(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={parameter_text(value)}" for name, value in parameters.items())


def _filled(docstring: str) -> str:
    paragraphs = docstring.split("\n\n")
    return "\n".join(textwrap.dedent(paragraph).replace("\n", " ") for paragraph in paragraphs)
