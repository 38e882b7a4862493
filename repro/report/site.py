"""Writes the report of a run into the folder ``site`` of a results folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from repro import registry
from repro.claim import Claim
from repro.errors import StoreError
from repro.report import pages, text
from repro.report.pages import ClaimPage, EvaluationView
from repro.result import ClaimResult, Run
from repro.store import Store
from repro.verdict import format_effect, format_number

STATIC = Path(__file__).parent / "static"


def build(store: Store, run: str = "latest", claims: Mapping[str, Claim] | None = None) -> Path:
    """Write the report of a run; it takes the place of the report that is there.

    Args:
        store: results folder.
        run: id of the run, or ``latest``.
        claims: by id, those that the results are of; by default the registered ones. A result whose claim is not among
            them gets a page of what is stored.

    Returns:
        Path of the first page, ``site/index.html`` in the results folder.

    Raises:
        StoreError: there is no such run, or the folder cannot be written.
    """
    known = registry.registered() if claims is None else claims
    chosen = store.run(run)
    results = store.results(chosen.id)
    site = store.folder / "site"
    try:
        # Pages are written aside, so that a report that fails half-way leaves the one that is there.
        with tempfile.TemporaryDirectory(dir=store.folder, prefix="site-") as folder:
            draft = Path(folder) / "site"
            _write(draft, store, chosen, results, known)
            shutil.rmtree(site, ignore_errors=True)
            draft.replace(site)
    except OSError as error:
        raise StoreError(
            f"cannot write the report {site}: {error.strerror or error}; free the folder or use --results"
        ) from error
    return site / "index.html"


def _write(site: Path, store: Store, run: Run, results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> None:
    for name in ("claims", "figures", "observations"):
        (site / name).mkdir(parents=True)
    shutil.copy(STATIC / "style.css", site)
    environment = _environment()
    index = environment.get_template("overview.html").render(
        run=run, claims=claims, overview=pages.overview(run, results, claims), root=""
    )
    (site / "index.html").write_text(index, encoding="utf-8")
    wrong = environment.get_template("mistakes.html").render(run=run, mistakes=pages.mistakes(results, claims), root="")
    (site / "mistakes.html").write_text(wrong, encoding="utf-8")
    template = environment.get_template("claim.html")
    order = [None, *results, None]
    for previous, result, following in zip(order, results, order[2:], strict=False):
        page = pages.claim_page(store, run, result, claims.get(result.id))
        content = template.render(run=run, page=page, previous=previous, following=following, root="../")
        (site / "claims" / f"{pages.file_name(result.id)}.html").write_text(content, encoding="utf-8")
        _write_evidence(site, page)


def _write_evidence(site: Path, page: ClaimPage) -> None:
    views: list[EvaluationView] = [page.own, *page.counterparts]
    for view in views:
        if view.figure is not None:
            (site / "figures" / f"{view.name}.svg").write_text(view.figure, encoding="utf-8")
        if view.observations is not None:
            view.observations.to_csv(site / "observations" / f"{view.name}.csv", index=False)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("repro.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "cell": text.cell,
        "duration": text.duration,
        "file_name": pages.file_name,
        "number": format_number,
        "paragraphs": text.paragraphs,
        "prose": text.prose,
        "python": text.python,
        "settings": text.settings,
        "size": text.size,
    }
    environment.filters |= filters
    environment.globals |= {
        "counterpart_statuses": pages.counterpart_statuses,
        "effect": format_effect,
        "sections_by_document": pages.sections_by_document,
    }
    return environment
