"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from repro.catalogue import Profile


class FigureFormat(StrEnum):
    """Formats of figures beside SVG."""

    PNG = "png"
    PDF = "pdf"


PatternsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Ids, modules, shell patterns ('dropout.*'), tags (headline) or files of your own (my_claims.py); "
        "all claims by default."
    ),
]
ClaimArgument = Annotated[
    str,
    typer.Argument(
        help="Id of the claim, such as perceptron.novikoff, or file with it: my_claims.py, my_claims.py::my_claim."
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Parameter of the claim; may be repeated.")
]
SourceOption = Annotated[str | None, typer.Option(help="Only claims from this document or section: 'lectures 3.5'.")]
ProfileOption = Annotated[Profile, typer.Option(help="How much work: tests, a laptop, a GPU with real data sets.")]
SeedsOption = Annotated[int | None, typer.Option(help="Exactly this many seeds; by default those of the profile.")]
DataOption = Annotated[str | None, typer.Option(help="Data set for the claims that can choose: digits, mnist, ...")]
DataDirOption = Annotated[Path | None, typer.Option(help="Where TensorFlow Datasets keeps its data sets.")]
BackendOption = Annotated[
    str | None, typer.Option(help="tensorflow or jax; by default KERAS_BACKEND or the one installed.")
]
ResultsOption = Annotated[Path, typer.Option(help="Folder of the results.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(help="Worker processes; 0 runs everything in this one; by default one for each core.", min=0),
]
SchedulerOption = Annotated[
    str | None, typer.Option(help="Use the workers of the Dask cluster whose scheduler is here: tcp://host:8786.")
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Do only what an unfinished run lacks: the latest, or the one named instead of claims. Name files of your "
        "own again.",
    ),
]
FiguresOption = Annotated[
    list[FigureFormat] | None,
    typer.Option(help="Draw the figures of claims in this format, too; may be repeated. Pages show them as SVG."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
JunitOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the results as JUnit XML, too, for a CI server.")
]
RunArgument = Annotated[str, typer.Argument(help="Id of a run.")]
