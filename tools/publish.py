"""Makes a run the published reference of its profile: for the package, and for readers of the repository.

python tools/publish.py standard-results latest reports/cpu-2-cores
"""

from __future__ import annotations

from pathlib import Path

import typer

from repro.published import publish
from repro.registry import registered
from repro.report import summary
from repro.store import Store


def main(results: Path, runs: list[str], reports: Path) -> None:
    """Publish what runs of one profile found; a later one replaces what an earlier one found of the same claim.

    Args:
        results: the results folder.
        runs: their ids, or ``latest``.
        reports: folder of this kind of machine.
    """
    store = Store.open(results)
    chosen = [store.run(run) for run in runs]
    found = {result.id: result for run in chosen for result in store.results(run.id)}
    claims = registered()
    ordered = [found[name] for name in claims if name in found]
    for file in (publish(chosen[-1], ordered), *summary.write(reports, chosen[-1], ordered, claims)):
        typer.echo(file)


if __name__ == "__main__":
    typer.run(main)
