"""Writes the report of a run into the folder ``site`` of a results folder."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from repro import registry
from repro.claim import Claim
from repro.errors import StoreError
from repro.multiplicity import multiplicity
from repro.report import evidence, listings, pages, summary, text
from repro.report.evidence import Evidence, Wanted
from repro.result import ClaimResult, Run
from repro.store import Store
from repro.verdict import format_effect, format_number

STATIC = Path(__file__).parent / "static"
FOLDERS = ("claims", "documents", "evidence", "figures", "modules", "observations")
REMEMBERED_RUNS = 20


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes:
        run: whose report it is.
        results: of the run.
        claims: by id, those that are known.
    """

    run: Run
    results: Sequence[ClaimResult]
    claims: Mapping[str, Claim]


def build(store: Store, run: str = "latest", claims: Mapping[str, Claim] | None = None) -> Path:
    """Write the report of a run; it takes the place of the report that is there.

    Figures and tables that are there already, made from the same observations by the same code, are taken over.

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
    chosen = store.run(run)
    known = registry.registered() if claims is None else claims
    subject = Subject(chosen, store.results(chosen.id), known)
    site = store.folder / "site"
    try:
        # Pages are written aside, so that a report that fails half-way leaves the one that is there.
        with tempfile.TemporaryDirectory(dir=store.folder, prefix="site-") as folder:
            draft = Path(folder) / "site"
            for name in FOLDERS:
                (draft / name).mkdir(parents=True)
            shown = evidence.collect(store, _wanted(subject), draft, site)
            _write(draft, store, subject, shown)
            shutil.rmtree(site, ignore_errors=True)
            draft.replace(site)
    except OSError as error:
        raise StoreError(
            f"cannot write the report {site}: {error.strerror or error}; free the folder or use --results"
        ) from error
    return site / "index.html"


def environment() -> Environment:
    """Return the environment of the templates, in which pages of other modules are rendered too."""
    made = Environment(
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
        "sortable": text.sortable,
    }
    script = (STATIC / "tables.js").read_text(encoding="utf-8")
    made.filters |= filters
    made.globals |= {
        "counterpart_statuses": listings.counterpart_statuses,
        "effect": format_effect,
        "module_of": listings.module_of,
        "script": Markup(script),  # noqa: S704  a file of the package
        # Pages may execute this script and no other, whatever statements and messages try to smuggle in.
        "script_hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "sections_by_document": listings.sections_by_document,
    }
    return made


def _wanted(subject: Subject) -> list[Wanted]:
    codes = evidence.digests(subject.claims[result.id] for result in subject.results if result.id in subject.claims)
    return [
        Wanted(
            pages.evidence_name(result, evaluation),
            evaluation,
            subject.claims.get(result.id),
            evidence.digest(evaluation, codes.get(result.id, "")),
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
    (site / "verdicts.csv").write_text(table.getvalue(), encoding="utf-8")
    made = environment()
    made.globals |= {"run": run, "claims": claims, "multiplicity": multiplicity(results)}

    def write(file: str, template: str, **shown_there: Any) -> None:
        page = made.get_template(template).render(root="../" * file.count("/"), **shown_there)
        (site / file).write_text(page, encoding="utf-8")

    overview = listings.overview(run, results, claims)
    write("index.html", "overview.html", overview=overview, modules=modules, documents=documents)
    write("mistakes.html", "mistakes.html", mistakes=listings.mistakes(results, claims))
    write("costs.html", "costs.html", results=results)
    for folder, found in (("modules", modules), ("documents", documents)):
        for listing in found:
            write(f"{folder}/{listing.name}.html", "listing.html", listing=listing)
    history = store.history(REMEMBERED_RUNS)
    order = [None, *results, None]
    for previous, result, following in zip(order, results, order[2:], strict=False):
        page = pages.claim_page(run, result, claims.get(result.id), shown, history.get(result.id, ()))
        file = f"claims/{pages.file_name(result.id)}.html"
        write(file, "claim.html", page=page, previous=previous, following=following)
