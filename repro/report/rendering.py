"""Environment in which every page is rendered."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from repro.common import format_duration, format_effect, format_number, format_size
from repro.criteria import SCALES, heading
from repro.report import listings, pages, text
from repro.report.evidence import ROWS_AS_CSV

STATIC = Path(__file__).parent / "static"


def environment() -> Environment:
    """Return an environment that escapes whatever it is given, with the filters and functions of the templates."""
    made = Environment(
        loader=PackageLoader("repro.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: dict[str, Any] = {
        "cell": text.cell,
        "duration": format_duration,
        "file_name": pages.file_name,
        "number": format_number,
        "paragraphs": text.paragraphs,
        "prose": text.prose,
        "python": text.python,
        "settings": text.settings,
        "size": format_size,
    }
    script = (STATIC / "tables.js").read_text(encoding="utf-8")
    made.filters |= filters
    made.globals |= {
        "counterpart_statuses": listings.counterpart_statuses,
        "document_name": listings.document_name,
        "effect": format_effect,
        "heading": heading,
        "meaning_of_role": pages.MEANINGS,
        "module_of": listings.module_of,
        "places_by_document": listings.places_by_document,
        "rows_as_csv": ROWS_AS_CSV,
        "scales": SCALES,
        "script": Markup(script),  # noqa: S704  a file of the package
        # Pages may execute this script and no other, whatever statements and messages try to smuggle in.
        "script_hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "sections_by_document": listings.sections_by_document,
    }
    return made
