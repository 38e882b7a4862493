"""Writes the report of a run into the folder ``site`` of a results folder."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from repro.catalogue import Claim, design, registry
from repro.common import StoreError
from repro.performance import History
from repro.report import comparisons, evidence, findings, listings, pages, summary
from repro.report.evidence import Evidence, Wanted
from repro.report.performance import write_performance
from repro.report.rendering import STATIC, environment
from repro.results import ClaimResult, Run, Store, multiplicity, past

FOLDERS = ("claims", "documents", "evidence", "figures", "modules", "observations")
REMEMBERED_RUNS = 20


@dataclass(frozen=True)
class Subject:
    """Run that a report is about.

    Attributes:
        run: Run of the report.
        results: Results of the run.
        claims: Claims by id, as far as they are known.
    """

    run: Run
    results: Sequence[ClaimResult]
    claims: Mapping[str, Claim]


def build(
    store: Store, run: str = "latest", claims: Mapping[str, Claim] | None = None, formats: Sequence[str] = ("svg",)
) -> Path:
    """Write the report of a run; it takes the place of the report that is there.

    Figures and tables that are there already, made from the same observations by the same code, are reused.

    Args:
        store: Store of the run.
        run: Id of the run, or ``latest``.
        claims: Claims that the results are of, by id; by default the registered ones. A result whose claim is not among
            them gets a page of what is stored.
        formats: Formats of the figures of claims: ``svg``, which pages show, and ``png`` and ``pdf`` for downloads.

    Returns:
        Path of the first page, ``site/index.html`` in the results folder.

    Raises:
        StoreError: there is no such run, or the folder cannot be written.
    """
    chosen = store.run(run)
    known = registry.registered() if claims is None else claims
    subject = Subject(chosen, listings.in_order(store.results(chosen.id), known), known)
    site = store.folder / "site"
    try:
        # Pages are written aside, so that a report that fails half-way leaves the one that is there. Runs that end
        # together write their reports one after the other.
        with (
            filelock.FileLock(store.folder / "site.lock"),
            tempfile.TemporaryDirectory(dir=store.folder, prefix="site-") as folder,
        ):
            draft = Path(folder) / "site"
            for name in FOLDERS:
                (draft / name).mkdir(parents=True)
            comparisons.keep(site, draft, chosen.id)
            shown = evidence.collect(store, _wanted(subject, tuple(formats)), draft, site)
            _write(draft, store, subject, shown)
            shutil.rmtree(site, ignore_errors=True)
            draft.replace(site)
    except OSError as error:
        raise StoreError(
            f"cannot write the report {site}: {error.strerror or error}; free the folder or use --results"
        ) from error
    return site / "index.html"


def _wanted(subject: Subject, formats: tuple[str, ...]) -> list[Wanted]:
    codes = evidence.digests(subject.claims[result.id] for result in subject.results if result.id in subject.claims)
    return [
        Wanted(
            pages.evidence_name(result, evaluation),
            evaluation,
            subject.claims.get(result.id),
            evidence.digest(evaluation, codes.get(result.id, "")),
            formats if evaluation.role == "claim" else ("svg",),
        )
        for result in subject.results
        for evaluation in (result.evaluation, *result.counterparts)
    ]


def _write(site: Path, store: Store, subject: Subject, shown: Mapping[str, Evidence]) -> None:
    run, results, claims = subject.run, subject.results, subject.claims
    shutil.copy(STATIC / "style.css", site)
    modules, documents = listings.modules(results, claims), listings.documents(results, claims)
    (site / "figures" / "summary.svg").write_bytes(listings.summary_picture(modules))
    table = io.StringIO()
    summary.verdicts(results).to_csv(table, index=False, float_format="%.6g")
    (site / "verdicts.csv").write_text(table.getvalue(), encoding="utf-8", errors="backslashreplace")
    made = environment()
    made.globals |= {"run": run, "claims": claims, "multiplicity": multiplicity(results)}

    def write(file: str, template: str, **shown_there: Any) -> None:
        page = made.get_template(template).render(root="../" * file.count("/"), **shown_there)
        (site / file).write_text(page, encoding="utf-8", errors="backslashreplace")

    overview = listings.overview(run, results, claims)
    found_lists = findings.lists(results, claims)
    write(
        "index.html",
        "overview.html",
        overview=overview,
        lists=found_lists,
        modules=modules,
        documents=documents,
        comparisons=(site / comparisons.LIST).exists(),
    )
    views = {
        result.id: pages.view(result, result.evaluation, shown[pages.evidence_name(result, result.evaluation)])
        for result in results
    }
    for found_list in found_lists:
        write(f"{found_list.name}.html", "findings.html", list=found_list, views=views)
    write("costs.html", "costs.html", results=results)
    for folder, found in (("modules", modules), ("documents", documents)):
        for listing in found:
            write(f"{folder}/{listing.name}.html", "listing.html", listing=listing)
    write_performance(site, History(store))
    history = past.history(store, REMEMBERED_RUNS)
    order = [None, *results, None]
    for previous, result, following in zip(order, results, order[2:], strict=False):
        claim = claims.get(result.id)
        kept = pages.kept_robustness(store.folder, result.id)
        robustness = kept if kept is not None and claim is not None and kept.design == design(claim) else None
        page = pages.claim_page(run, result, claim, shown, history.get(result.id, ()), robustness)
        file = f"claims/{pages.file_name(result.id)}.html"
        write(file, "claim.html", page=page, previous=previous, following=following)
