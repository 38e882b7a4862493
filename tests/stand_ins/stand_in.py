"""Small claims for the tests of the runner and of the command line."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from repro import AtMost, Correction, DataUnavailableError, Equivalent, Identity, cheatsheet, claim, lectures


@claim(
    r"A uniform number times $s$ is at most $s$.",
    source=cheatsheet("1.1 Bounds"),
    kind="theorem",
    literature="Kolmogorov 1933",
    criterion=AtMost("value", bound="bound"),
    smoke={"points": 5},
    control={"shift": 2.0},
    tags=("good", "random"),
)
def bounded(seeds, *, points=10, shift=0.0, data="digits", sizes=(1, 2)):
    """Numbers are drawn and compared with their bound."""
    rows = [
        {"seed": seed, "value": value + shift, "bound": 1.0, "data": data, "size": sizes[0]}
        for seed in seeds
        for value in np.random.default_rng(seed).uniform(size=points)
    ]
    return pd.DataFrame(rows)


@claim(
    "Three plus three is seven.",
    source=lectures("3.5 Sums"),
    kind="formula",
    criterion=Identity("left", "right"),
    correction=Correction("Three plus three is six.", right=6.0),
    tags=("good",),
)
def addition(*, right=7.0):
    """Both sides are written down."""
    return pd.DataFrame({"left": [6.0], "right": [right]})


def measurement(seeds, *, size=3, log="", broken=False):
    """One line is written to ``log`` for each execution."""
    if log:
        with Path(log).open("a") as file:
            file.write(f"{size} {broken}\n")
    return pd.DataFrame({"seed": seeds, "size": size + 10 * broken})


@claim(
    "Sizes are at most five.",
    source=lectures("3.5.1 Sizes"),
    kind="theorem",
    criterion=AtMost("size", bound=5),
    reads=measurement,
    control={"broken": True},
    tags=("good", "shared"),
    seeds=8,
)
def first_reader(observations, *, factor=1):
    """Sizes are multiplied."""
    return observations.assign(size=observations["size"] * factor)


@claim(
    "Sizes are at most four.",
    source=lectures("3.51 Sizes"),
    kind="theorem",
    criterion=AtMost("size", bound=4),
    reads=measurement,
    control={"broken": True},
    tags=("good", "shared"),
    seeds=8,
)
def second_reader(observations):
    """Sizes are read."""
    return observations


@claim("It fails.", source=lectures("9"), kind="theorem", criterion=AtMost("value", bound=1), control={"depth": 2})
def failing(seeds, *, depth=1):
    """Divides by zero."""
    return pd.DataFrame({"seed": seeds, "value": depth / 0})


@claim("Unjudged.", source=lectures("9"), kind="theorem", criterion=AtMost("missing", bound=1), control={"depth": 2})
def unjudged(seeds, *, depth=1):
    """The criterion's column is missing."""
    return pd.DataFrame({"seed": seeds, "value": depth})


@claim("It needs data.", source=lectures("9"), kind="theorem", criterion=AtMost("value", bound=1), control={"value": 2})
def without_data(seeds, *, value=1, data="nowhere"):
    """There is no data."""
    raise DataUnavailableError(f"the data set {data} is missing for {len(seeds)} seeds of {value}; download it")


@claim(
    "It needs a GPU.",
    source=lectures("9"),
    kind="theorem",
    criterion=AtMost("value", bound=1),
    control={"value": 2},
    requires=("gpu",),
)
def on_gpu(seeds, *, value=1):
    """Runs on a GPU only."""
    return pd.DataFrame({"seed": seeds, "value": value})


@claim(
    "Control that changes nothing.",
    source=lectures("9"),
    kind="theorem",
    criterion=AtMost("value", bound=5),
    control={"value": 2},
)
def unsound(seeds, *, value=1):
    """Value and control are both below the bound."""
    return pd.DataFrame({"seed": seeds, "value": value})


@claim(
    "A timing is taken alone.",
    source=lectures("9"),
    kind="theorem",
    criterion=AtMost("value", bound=1),
    control={"value": 2},
    tags=("timing",),
)
def timed(seeds, *, value=1, pause=0.05):
    """Records when it began and ended."""
    began = time.time()
    time.sleep(pause)
    return pd.DataFrame({"seed": seeds, "value": value, "began": began, "ended": time.time()})


@claim(
    "Pauses are side by side.",
    source=lectures("9"),
    kind="theorem",
    criterion=AtMost("value", bound=1),
    control={"value": 2},
)
def pausing(seeds, *, value=1, pause=0.2):
    """Records when it began and ended, and in which process."""
    began = time.time()
    time.sleep(pause)
    return pd.DataFrame({"seed": seeds, "value": value, "began": began, "ended": time.time(), "process": os.getpid()})


def pausing_too(seeds, *, value=1, pause=0.2):
    """Records the same in an experiment of its own."""
    return pausing.function(seeds, value=value, pause=pause)


@claim(
    "A normal number is small.",
    source=lectures("9"),
    kind="law",
    criterion=Equivalent("value", 0.0, smallest_difference=0.1, source="a tenth of its standard deviation"),
    control={"shift": 10.0},
)
def spread(seeds, *, shift=0.0):
    """Most are not small, on either side: undecided at every look."""
    return pd.DataFrame({"seed": seeds, "value": [shift + np.random.default_rng(seed).normal() for seed in seeds]})


@claim(
    "The process dies.", source=lectures("9"), kind="theorem", criterion=AtMost("value", bound=1), control={"value": 2}
)
def dying(seeds, *, value=1):
    """Ends the worker process."""
    os.write(2, b"native noise\n")
    os._exit(len(seeds) + value)


@claim(
    "Waiting takes long.",
    source=lectures("9"),
    kind="theorem",
    criterion=AtMost("value", bound=1),
    control={"value": 2},
)
def waiting(seeds, *, value=1):
    """Waits for longer than any test."""
    time.sleep(600)
    return pd.DataFrame({"seed": seeds, "value": value})


@claim(
    "Memory is endless.", source=lectures("9"), kind="theorem", criterion=AtMost("value", bound=1), control={"value": 2}
)
def hoarding(seeds, *, value=1, gibibytes=1.0):
    """Fills memory and keeps it."""
    hoard = np.ones(int(gibibytes * 2**27))
    time.sleep(600)
    return pd.DataFrame({"seed": seeds, "value": value * hoard[0]})


@claim(
    "The first try fails.",
    source=lectures("9"),
    kind="theorem",
    criterion=AtMost("value", bound=1),
    control={"value": 2},
)
def dying_once(seeds, *, value=1, log=""):
    """Ends the worker process unless it did so before; ``log`` remembers that."""
    tried = Path(log).with_name(f"{value}.tried")
    if not tried.exists():
        tried.touch()
        os.abort()
    return pd.DataFrame({"seed": seeds, "value": value, "process": os.getpid()})
