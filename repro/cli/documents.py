"""JSON that commands print with ``--json``: one object, without NaN and infinities."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from repro.catalogue import Claim, design, lacking
from repro.common import finite

if TYPE_CHECKING:
    from repro.performance import FigureComparison, Trend
    from repro.results import ClaimResult, Comparison, Evaluation
    from repro.runner import CompletedRun

ENVIRONMENT = ("python", "keras", "backend_version", "device", "cpu", "cores", "memory", "commit")


def json_text(value: Any) -> str:
    """Write plain data and NumPy scalars as JSON; NaN and infinities become null."""
    return json.dumps(finite(value), ensure_ascii=False, allow_nan=False, default=operator.methodcaller("item"))


def claim_json(claim: Claim) -> dict[str, Any]:
    """Return a claim in the form that ``repro list --json`` prints."""
    return {
        "id": claim.id,
        "statement": claim.statement,
        "kind": claim.kind,
        "scope": claim.scope,
        "scale": claim.scale_of(claim.defaults),
        "boundary": None if claim.boundary is None else {"words": claim.boundary.words, "holds": claim.boundary.holds},
        "sources": [asdict(source) for source in claim.sources],
        "literature": claim.literature,
        "tags": list(claim.tags),
        "requires": list(claim.requires),
        "criterion": claim.criterion.describe(),
        "counterparts": [*(["control"] if claim.control is not None else []), *claim.counterparts],
        "correction": claim.correction.statement if claim.correction else None,
        "design": design(claim),
        "lacking": lacking(claim),
    }


def run_json(completed: CompletedRun) -> dict[str, Any]:
    """Return a run in the form that ``repro run --json`` and ``repro check --json`` print."""
    run = completed.run
    return {
        "run": run.id,
        "profile": run.profile,
        "backend": run.backend,
        "environment": {name: run.environment.get(name) for name in ENVIRONMENT},
        "results": [result_json(result) for result in completed.results],
    }


def result_json(result: ClaimResult) -> dict[str, Any]:
    """Return a claim's result in the form that ``repro run --json`` prints."""
    evaluation = result.evaluation
    return {
        "id": result.id,
        "status": result.status,
        "sound": result.sound,
        "soundness": result.soundness,
        "marks": list(evaluation.marks),
        **_verdict_json(evaluation),
        "counterparts": [
            {
                "role": counterpart.role,
                "statement": counterpart.statement,
                **{name: _verdict_json(counterpart)[name] for name in ("status", "effect", "low", "high", "n")},
            }
            for counterpart in result.counterparts
        ],
        "published": result.published,
        "parameters": evaluation.parameters,
        "seconds": result.seconds,
        "memory": result.memory,
        "message": evaluation.message,
    }


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison of runs in the form that ``repro compare --json`` prints."""
    return {
        "base": comparison.base.id,
        "head": comparison.head.id,
        "verdicts": [{"id": change.id, "base": change.base, "head": change.head} for change in comparison.verdicts],
        "effects": [
            {"id": test.id, "base": test.base, "head": test.head, "p": test.p, "p_adjusted": test.p_adjusted}
            for test in comparison.moved
        ],
        "costs": [
            {"id": cost.id, "seconds_ratio": cost.seconds_ratio, "memory_ratio": cost.memory_ratio}
            for cost in comparison.costs
        ],
        "environment": [asdict(difference) for difference in comparison.environment],
        "worse": comparison.worse,
    }


def bench_json(
    trends: Sequence[Trend], compared: Sequence[FigureComparison] | None, *, failed: bool, page: str
) -> dict[str, Any]:
    """Return the trends and comparisons of benchmarks in the form that ``repro bench --json`` prints."""
    return {
        "series": [_trend_json(trend) for trend in trends],
        "compared": None if compared is None else [_figure_comparison_json(one) for one in compared],
        "failed": failed,
        "page": page,
    }


def _trend_json(trend: Trend) -> dict[str, Any]:
    return {
        **trend.series._asdict(),
        "better": trend.better,
        "value": trend.latest.value,
        "rounds": list(trend.latest.rounds),
        "commit": trend.latest.commit,
        "modified": trend.latest.modified,
        "measured": trend.latest.measured,
        "runs": len(trend.measurements),
        "regressed": trend.regressed,
        "steps": [
            {
                "since": turn.first.commit,
                "after": turn.last.commit,
                "measured": turn.first.measured,
                "noticed": turn.noticed.measured,
                "ratio": turn.change.ratio,
                "low": turn.change.low,
                "high": turn.change.high,
                "worse": turn.worse,
                "versions": turn.versions,
            }
            for turn in trend.turns
        ],
    }


def _figure_comparison_json(comparison: FigureComparison) -> dict[str, Any]:
    change = comparison.change
    return {
        **comparison.series._asdict(),
        "better": comparison.better,
        "before": comparison.before,
        "now": comparison.now,
        "ratio": change.ratio,
        "low": change.low,
        "high": change.high,
        "worse": comparison.worse,
    }


VERDICT = ("effect", "low", "high", "confidence", "p", "kind", "scale", "sentence", "threshold", "threshold_range")


def _verdict_json(evaluation: Evaluation) -> dict[str, Any]:
    if evaluation.verdict is None:
        return {"status": evaluation.status, **dict.fromkeys(VERDICT), "n": 0, "parts": [], "cells": []}
    plain = finite(asdict(evaluation.verdict))
    return {name: plain[name] for name in ("status", *VERDICT, "n", "parts", "cells")}
