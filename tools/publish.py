"""Makes a run the published reference of its profile: for the package, and for readers of the repository.

python tools/publish.py standard-results latest reports/cpu-2-cores
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import changes
import typer

from repro.catalogue.registry import registered
from repro.common import ReproError, write_atomically
from repro.report import summary
from repro.results.comparison.samples import publishable, stored_samples
from repro.results.reference import publish, published
from repro.results.store import Store


def main(
    results: Annotated[Path, typer.Argument(help="the results folder")],
    runs: Annotated[list[str], typer.Argument(help="runs of one profile; later ones replace what earlier ones found")],
    reports: Annotated[Path, typer.Argument(help="the folder of this kind of machine")],
    leave_out: Annotated[list[str], typer.Option(help="a claim that is not to be published")] = [],  # noqa: B006
) -> None:
    """Publish what runs of one profile found, but for claims that ended in error, and complete docs/changes.md."""
    store = Store.open(results)
    chosen = [store.run(run) for run in runs]
    found = {result.id: result for run in chosen for result in store.results(run.id)}
    claims = registered()
    ordered = [found[name] for name in claims if name in found and name not in leave_out]
    failed = [result.id for result in ordered if result.status == "error"]
    kept = [result for result in ordered if result.id not in failed]
    profile, text = chosen[-1].profile, changes.FILE.read_text(encoding="utf-8")
    before = published(profile)
    new = {result.id: before[result.id] for result in kept if result.id in before}
    if missing := changes.unrecorded(changes.read(text), claims, new):
        raise ReproError(f"{', '.join(missing)}: the design changed; say why in {changes.FILE} before it is published")
    samples = {result.id: publishable(result, stored_samples(result, store.read_observations)) for result in kept}
    known = {name: sample for name, sample in samples.items() if sample is not None}
    typer.echo(publish(chosen[-1], kept, samples=known, claims=claims))
    for file in summary.write_summary(reports, chosen[-1], kept, claims):
        typer.echo(file)
    completed = changes.complete(text, profile, kept, claims, before)
    write_atomically(changes.FILE, completed.encode())
    if len(known) < len(kept):
        typer.echo(f"published without a sample: {', '.join(name for name in samples if name not in known)}")
    if failed:
        typer.echo(f"in error and not published: {', '.join(failed)}")


if __name__ == "__main__":
    typer.run(main)
