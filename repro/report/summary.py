"""Writes a run as Markdown and CSV, small enough to be kept in a repository."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from repro.catalogue import Claim
from repro.common import format_effect, format_size, write_atomically
from repro.criteria import heading
from repro.report import findings
from repro.results import ClaimResult, Evaluation, Run


def write_summary(folder: Path, run: Run, results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> list[Path]:
    """Write ``<profile>.md``, an overview for readers, and ``<profile>.csv``, every verdict for programs.

    Args:
        folder: Folder of the files, made if missing; what it holds of another profile stays.
        run: Run whose profile names the files.
        results: Results of the run.
        claims: Claims by id; for a result whose claim is not among them no source is given.

    Returns:
        Paths of the two files.

    Raises:
        OSError: they cannot be written.
    """
    environment = Environment(  # noqa: S701  Markdown escapes nothing the way HTML does
        loader=PackageLoader("repro.report"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"cell": _cell, "line": _line, "measured": _measured, "size": format_size}
    overview = environment.get_template("summary.md").render(
        run=run,
        results=results,
        claims=claims,
        counts=Counter(result.status for result in results),
        sound=sum(result.sound is True for result in results),
        lists=findings.lists(results, claims),
        heading=heading,
    )
    table = io.StringIO()
    verdicts(results).to_csv(table, index=False, float_format="%.6g")
    contents = {"md": overview, "csv": table.getvalue()}
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in contents.items():
        write_atomically(folder / f"{run.profile}.{suffix}", content.encode())
    return [folder / f"{run.profile}.{suffix}" for suffix in contents]


def verdicts(results: Sequence[ClaimResult]) -> pd.DataFrame:
    """Tabulate the evaluations of all claims, one row each; no numbers where there is no verdict."""
    return pd.DataFrame(
        {"id": result.id, "sound": result.sound, **_row(evaluation)}
        for result in results
        for evaluation in (result.evaluation, *result.counterparts)
    )


def _row(evaluation: Evaluation) -> dict[str, Any]:
    verdict = evaluation.verdict
    found = {} if verdict is None else {name: getattr(verdict, name) for name in NUMBERS}
    return {"role": evaluation.role, "status": evaluation.status, **found, "seconds": round(evaluation.seconds, 1)}


NUMBERS = ("kind", "scale", "measure", "deciding", "effect", "low", "high", "confidence", "p", "n", "sentence")


def _line(prose: str) -> str:
    return re.sub(r"\s+", " ", prose)


def _cell(prose: str) -> str:
    """Make a cell of a Markdown table, in which bars are escaped."""
    return _line(prose).replace("|", r"\|")


def _measured(evaluation: Evaluation) -> str:
    verdict = evaluation.verdict
    if verdict is None:
        return evaluation.message
    if verdict.sentence:
        return verdict.sentence
    part = f" ({verdict.deciding})" if verdict.deciding else ""
    return f"{format_effect(verdict.effect, verdict.low, verdict.high)} {verdict.measure}{part}"
