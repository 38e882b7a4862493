"""What the audits print; every table fits 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]


def calibration_table(rows: Sequence[Row]) -> Table:
    """Tabulate the shares of verdicts by criterion, noise, number of seeds and truth."""
    table = _table("criterion", "noise", "truth", numbers=("n", "reproduced", "refuted", "coverage"))
    for row in rows:
        shares = (f"{100 * row[name]:.2f} %" for name in ("reproduced", "refuted", "coverage"))
        table.add_row(row["criterion"], row["noise"], str(row["truth"]), str(row["n"]), *shares)
    return table


def stability_table(rows: Sequence[Row]) -> Table:
    """Tabulate how often each claim agreed with its published verdict."""
    table = _table("claim", "statuses", numbers=("agree", "of"))
    for row in rows:
        statuses = ", ".join(f"{count} {status}" for status, count in row["statuses"].items())
        agree = "unpublished" if row["agree"] is None else str(row["agree"])
        table.add_row(row["id"], statuses, agree, str(row["repeats"]))
    return table


def faults_table(rows: Sequence[Row]) -> Table:
    """Tabulate the faults with the evaluation that noticed; those that escaped come first."""
    table = _table("fault", "noticed by")
    for row in sorted(rows, key=lambda row: row["caught"]):
        escaped = Text.assemble(("escaped", "bold red"), f"; {row['would_be_caught_by'] or 'no claim'} would notice")
        table.add_row(row["name"], row["by"] if row["caught"] else escaped)
    return table


def determinism_table(rows: Sequence[Row]) -> Table:
    """Tabulate the claims with the key of their observations; those that differ come first."""
    table = _table("claim", "observations", "came out differently with")
    for row in sorted(rows, key=lambda row: not row["differing"]):
        differing = Text("; ".join(row["differing"]), "bold red")
        table.add_row(row["id"], row["key"][:12] or "none", differing if row["differing"] else row["message"])
    return table


def summary(name: str, rows: Sequence[Row]) -> Text:
    """Say in a line what an audit came to."""
    if name == "faults":
        caught = sum(row["caught"] for row in rows)
        return Text(f"{caught} of {len(rows)} faults caught ({caught / len(rows):.0%})")
    if name == "stability":
        compared = [row for row in rows if row["agree"] is not None]
        agree = sum(row["agree"] for row in compared)
        return Text(f"{agree} of {sum(row['repeats'] for row in compared)} verdicts agree with the published ones")
    if name == "determinism":
        compared = [row for row in rows if row["key"]]
        same = sum(not row["differing"] for row in compared)
        return Text(f"{same} of {len(compared)} claims have the same observations every time")
    worst = max(max(row["reproduced"], row["refuted"]) for row in rows if str(row["truth"]).startswith("boundary"))
    return Text(f"largest share of false verdicts at a boundary: {worst:.2%}")


def _table(*texts: str, numbers: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
