"""Writes docs/calibration.md, how often the criteria err by simulation: ``python benchmarks/calibration.py``."""

import math
from pathlib import Path

import pandas as pd
import scipy.stats

from repro.audits.calibration import BUDGETS, SIMULATIONS, simulate
from repro.uncertainty.intervals import CONFIDENCE

DOCUMENT = Path(__file__).parents[1] / "docs" / "calibration.md"
LEVEL = 1 - CONFIDENCE


def markdown(table: pd.DataFrame) -> str:
    """Write a table with its index; missing cells are empty."""
    rows = [
        [*map(str, index if isinstance(index, tuple) else (index,)), *cells] for index, *cells in table.itertuples()
    ]
    lines = [[*table.index.names, *table.columns], ["---"] * (table.index.nlevels + table.shape[1]), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float) -> str:
    """Write a share; one that was never seen as zero."""
    return "" if math.isnan(share) else f"{share:.2%}".replace("%", " %")


def worst(cells: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Summarise cells: the largest errors, the smallest coverage and power."""
    boundary = cells[cells["truth"].str.startswith("boundary")].groupby(by, sort=False)
    summary = {
        "false reproduced": boundary["reproduced"].max(),
        "false refuted": boundary["refuted"].max(),
        "coverage": cells.groupby(by, sort=False)["coverage"].min(),
    }
    for verdict, truth in {"reproduced": "holds by 1 sd", "refuted": "fails by 1 sd"}.items():
        summary[f"{verdict} at 1 sd"] = cells[cells["truth"] == truth].groupby(by, sort=False)[verdict].min()
    return pd.DataFrame(summary).map(percent)


def least_seeds() -> pd.DataFrame:
    """Tabulate the fewest seeds with which statements can be decided at all."""
    needed = {f"median of one of {parts} parts, refuted": math.log2(2 * parts / LEVEL) for parts in (2, 4, 8)}
    shares = (0.5, 0.8, 0.9, 0.95)
    needed |= {f"share of at least {share:.0%}, reproduced": math.log(LEVEL / 2, share) for share in shares}
    rows = {"median (of several parts: reproduced); bound without a violation": math.log2(2 / LEVEL), **needed}
    return pd.DataFrame({"least n": {name: str(math.ceil(seeds)) for name, seeds in rows.items()}}).rename_axis(
        "statement"
    )


def power_in_narrow_bands() -> pd.DataFrame:
    """Tabulate the power to reproduce at the centre of a band, in normal noise: few seeds miss on either side."""
    power: dict[str, dict[str, str]] = {}
    for half_width in (1.0, 1.5, 2.0):
        tail = scipy.stats.norm.sf(half_width)
        for n in (16, 24, 48):
            allowed = [k for k in range(n // 2) if 2 * scipy.stats.binom.cdf(k, n, 0.5) <= LEVEL]
            pairs = [(below, above) for below in allowed for above in allowed]
            counts = [(below, above, n - below - above) for below, above in pairs]
            reproduced = scipy.stats.multinomial.pmf(counts, n, [tail, tail, 1 - 2 * tail]).sum()
            power.setdefault(f"n = {n}", {})[f"± {half_width:g} sd"] = percent(reproduced)
    return pd.DataFrame(power).rename_axis("band")


def document(cells: pd.DataFrame) -> str:
    """Write the document."""
    bounds = cells["criterion"].isin(["AtMost", "AtLeast"])
    sequential = cells["criterion"].str.endswith("(sequential)")
    fixed = cells[~bounds & ~sequential]
    violations = cells[bounds].set_index(["criterion", "n", "truth"])[["reproduced", "refuted", "coverage"]]
    looked = cells[sequential & (cells["noise"] != "binary")].rename(columns={"n": "budget"})
    confidence, error = f"{CONFIDENCE:.0%}".replace("%", " %"), math.sqrt(LEVEL / 2 / SIMULATIONS)
    coverage_error, power_error = math.sqrt(LEVEL / SIMULATIONS), math.sqrt(0.25 / SIMULATIONS)
    seeds = looked.pivot_table(index="budget", columns="truth", values="seeds", sort=False).map("{:.1f}".format)
    return f"""\
# Calibration of the criteria

`python benchmarks/calibration.py` writes this page anew; `repro audit calibration` prints every cell.

Observations with known true effects were simulated, {SIMULATIONS:,} samples for each criterion, noise, number of seeds
and truth, and judged at {confidence} confidence.

- Noise, between seeds: normal; skewed (lognormal, skewness 6.2); heavy-tailed (Student's t with 3 degrees of freedom);
  rounded (normal, in steps of half a standard deviation). A yes or no has binomial noise whatever is behind it.
- Truth: the median effect is on the boundary of the statement, or one or four standard deviations (sd) of the noise
  inside ("holds") or outside ("fails"). Bands are 8 sd wide. Statements of several parts have the truth in one part
  while the others hold by 4 sd, and once the boundary in every part.

On the boundary neither verdict is right, so both shares are errors there: each must be at most {percent(LEVEL)}, and
the coverage of the intervals at least {confidence}. One standard error of the simulation is {percent(error)} for the
errors, {percent(coverage_error)} for the coverage and {percent(power_error)} for the power.

## By criterion: the worst of all noises

{markdown(worst(fixed, ["criterion", "n"]))}

A statement of several parts is refuted by one of them, at a level that all share: with four parts the power to refute
at 1 sd and 16 seeds is half of what one part alone has, below one half; 24 seeds bring it back. Reproducing takes every
part at the full level and loses nothing. Observations that tie with a threshold count against both verdicts, which is
why rounded noise errs least. A bound on 80 % of seeds takes 24 seeds to reproduce, see below.

## By noise: the worst of all criteria

{markdown(worst(fixed, ["noise", "n"]))}

## Bounds

A bound has no boundary: one violation refutes it. Without any it is reproduced from that number of seeds on that would
have shown a violation by half of all seeds. No number rules out rare violations; the interval says how frequent they
can be.

{markdown(violations.map(percent))}

## Looking while seeds come in

Profiles with {BUDGETS[0]} seeds or more look at a third, at two thirds and at all of their seeds, but not at fewer than
16, and stop when the verdict is decided. The first look has a third of the error probability, the second a ninth, and
the last the rest, so that by Bonferroni's inequality all looks together err no more often than one. The last look at
{BUDGETS[0]} or {BUDGETS[1]} seeds decides on a median exactly as it would alone, since order statistics cannot use all
of the error probability. At 13 seeds (smoke) looking earlier could save few seeds and is not done. Identities and
bounds are not sampled to a precision and take all seeds at once.

Here `n` is the budget.

{markdown(worst(cells[sequential], ["criterion", "n"]))}

Mean number of seeds that the verdicts took, over criteria and noises:

{markdown(seeds)}

## Fewest seeds

With fewer seeds the verdict is inconclusive, whatever the observations.

{markdown(least_seeds())}

Power to reproduce a statement whose truth is at the centre of its band, in normal noise:

{markdown(power_in_narrow_bands())}
"""


if __name__ == "__main__":
    DOCUMENT.write_text(document(simulate()))
