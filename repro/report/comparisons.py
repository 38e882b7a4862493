"""Pages that compare two runs, beside the report of a run in the folder ``site``."""

from __future__ import annotations

import shutil
from pathlib import Path

from repro.common import StoreError, write_atomically
from repro.report.comparison_text import conclusion, environment_texts, mismatch_text, ratio_text, remarks
from repro.report.rendering import STATIC, environment
from repro.results import Comparison

PATTERN = "compare-*.html"
LIST = "comparisons.html"


def write_comparison(results: Path, comparison: Comparison) -> Path:
    """Write the page of a comparison and list it with the others.

    Args:
        results: Folder whose ``site`` receives the page; both are made if missing.
        comparison: Comparison to be shown.

    Returns:
        Path of the page.

    Raises:
        StoreError: the folder cannot be written.
    """
    site = results.absolute() / "site"
    page = site / f"compare-{comparison.base.id}-{comparison.head.id}.html"
    template = environment().get_template("comparison.html")
    content = template.render(
        comparison=comparison,
        remarks=remarks(comparison),
        conclusion=conclusion(comparison),
        mismatch_text=mismatch_text,
        ratio_text=ratio_text,
        environment_texts=environment_texts,
        home=_home(site),
        run=comparison.head,
        root="",
    )
    try:
        site.mkdir(parents=True, exist_ok=True)
        shutil.copy(STATIC / "style.css", site)
        write_atomically(page, content.encode(errors="backslashreplace"))
        _write_list(site, comparison.head.id, _home(site))
    except OSError as error:
        raise StoreError(f"cannot write {page}: {error.strerror}; choose another folder with --results") from error
    return page


def keep(old: Path, new: Path, run: str) -> None:
    """Copy the comparisons of a site to the one that takes its place, and list them there if there are any.

    Args:
        old: Folder of a site; may be missing.
        new: Folder of the other site.
        run: Id of the run that the new site is of.
    """
    pages = list(old.glob(PATTERN))
    for page in pages:
        shutil.copy(page, new)
    if pages:
        _write_list(new, run, home="index.html")


def _write_list(site: Path, run: str, home: str) -> None:
    pages = sorted(page.stem.removeprefix("compare-") for page in site.glob(PATTERN))
    content = environment().get_template(LIST).render(pages=pages, home=home, run={"id": run}, root="")
    write_atomically(site / LIST, content.encode())


def _home(site: Path) -> str:
    """Return the name of the page that others link to at the top: a site without a report has no first page."""
    return "index.html" if (site / "index.html").exists() else LIST
