"""Reads and completes docs/changes.md: every design that was changed after its first verdict had been seen.

A row belongs to a published claim by the fingerprint of the new design. ``publish.py`` fills in the verdict that the
new design came to, and adds a row by itself where the code changed alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from repro.catalogue import Claim, Profile, code, design
from repro.results import ClaimResult
from repro.results.reference import PublishedClaim

FILE = Path(__file__).parents[1] / "docs" / "changes.md"
NOTHING_YET = "–"
EARLIER = "–"  # designs that were published before they had fingerprints
CODE_ALONE = "The code changed, the design did not; run again on the same seeds."
ROW = re.compile(r"^\| (\d{4}-\d\d-\d\d) \| (.+?) \| (.+?) \| (.+) \| (.+?) \| (.+?) \|$")


@dataclass(frozen=True)
class Change:
    """A row of the table.

    Attributes:
        date: Day of the change, in ISO 8601.
        claim: Id of the claim, or ``all claims``.
        design: Fingerprint of the new design, ``–`` for one that was published without.
        reason: What changed, and why.
        before, after: Verdicts that are published of the old and of the new design.
    """

    date: str
    claim: str
    design: str
    reason: str
    before: str
    after: str

    def __str__(self) -> str:
        claim = self.claim if " " in self.claim else f"`{self.claim}`"
        mark = self.design if self.design == EARLIER else f"`{self.design}`"
        return f"| {self.date} | {claim} | {mark} | {self.reason} | {self.before} | {self.after} |"


def read(text: str) -> list[Change]:
    """Read the rows of the table, in their order."""
    rows = (ROW.match(line) for line in text.splitlines())
    return [
        Change(row[1], row[2].strip("`"), row[3].strip("`"), *(row[column] for column in (4, 5, 6)))
        for row in rows
        if row
    ]


def unrecorded(
    changes: Iterable[Change], claims: Mapping[str, Claim], published: Mapping[str, PublishedClaim]
) -> list[str]:
    """Name the claims whose design is not the published one, though no row says why."""
    known = {(change.claim, change.design) for change in changes}
    return [
        name
        for name, reference in published.items()
        if name in claims
        and reference.design not in ("", design(claims[name]))
        and (name, design(claims[name])) not in known
    ]


def complete(
    text: str,
    profile: Profile,
    results: Iterable[ClaimResult],
    claims: Mapping[str, Claim],
    before: Mapping[str, PublishedClaim],
) -> str:
    """Enter the verdicts of a run: in the rows of its designs, and in new ones where code changed alone.

    Args:
        text: The document.
        profile: Profile of the run.
        results: Results that are published.
        claims: Claims by id.
        before: What was published of the profile.
    """
    rows = read(text)
    for result in results:
        claim, old = claims[result.id], before.get(result.id)
        mark = design(claim)
        for place, row in enumerate(rows):
            if (row.claim, row.design) == (result.id, mark) and not row.reason.startswith(CODE_ALONE):
                rows[place] = replace(row, after=_with(row.after, profile, result.status))
        if old is not None and old.design == mark and old.code != code(claim):
            today = datetime.now(UTC).date().isoformat()
            after = _with(NOTHING_YET, profile, result.status)
            rows.append(Change(today, result.id, mark, CODE_ALONE, f"{profile} {old.status}", after))
    head = [line for line in text.splitlines() if not ROW.match(line)]
    return "\n".join([*head, *map(str, rows)]) + "\n"


def _with(after: str, profile: Profile, status: str) -> str:
    """Add the verdict of a profile to those that a row has."""
    found = dict(entry.split(" ", 1) for entry in after.split("; ") if " " in entry)
    return "; ".join(f"{name} {verdict}" for name, verdict in sorted((found | {profile: status}).items()))
