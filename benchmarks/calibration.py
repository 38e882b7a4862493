"""Writes docs/calibration.md, how often the criteria err by simulation: ``python benchmarks/calibration.py``."""

import math
from pathlib import Path

import pandas as pd
import scipy.stats

from repro.audits import calibrate, simulate_decisions
from repro.audits.calibration import SIMULATIONS
from repro.audits.decisions import DECIDED, SMOKE, WEAKER
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
        "false holds": boundary["holds"].max(),
        "false fails": boundary["fails"].max(),
        "coverage": cells.groupby(by, sort=False)["coverage"].min(),
    }
    for outcome in ("holds", "fails"):
        of_truth = cells[cells["truth"] == f"{outcome} by 1 sd"]
        summary[f"{outcome} by 1 sd, seen"] = of_truth.groupby(by, sort=False)[outcome].min()
    return pd.DataFrame(summary).map(percent)


def false_verdicts(decisions: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the largest share of each false status, over truths and dependence."""
    false = decisions.copy()
    for status in DECIDED:
        is_true = (false["true"] == status) | (false["true"].map(WEAKER) == status)
        false[status] = false[status].mask(is_true, 0.0)
    largest = false.groupby(["kind", "cells", "n"], sort=False)[[*DECIDED, "false"]].max()
    names = {status: f"false {status}" for status in DECIDED} | {"false": "any false"}
    return largest.rename(columns=names).map(percent)


def power(decisions: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the share of true verdicts where every cell is one deviation beyond its boundary."""
    beyond = decisions[decisions["truth"].str.endswith("by one deviation") & (decisions["dependence"] == "independent")]
    shares = beyond.assign(
        power=[row[row["true"]] if row["true"] in DECIDED else float("nan") for _, row in beyond.iterrows()]
    )
    one = shares[shares["kind"].isin(["tendency", "possibility", "formula"])].dropna(subset="power")
    table = one.pivot_table(index=["kind", "truth", "true"], columns=["cells", "n"], values="power", sort=False)
    pairs = zip(*map(table.columns.get_level_values, ["cells", "n"]), strict=True)
    table.columns = [f"{cells} cell{'s' if cells > 1 else ''}, n = {n}" for cells, n in pairs]
    return table.map(percent)


def least_seeds() -> pd.DataFrame:
    """Tabulate the fewest seeds with which a cell can be decided at all."""
    needed = {f"median of one of {cells} cells": math.log2(2 * cells / LEVEL) for cells in (2, 4, 8)}
    shares = (0.5, 0.8, 0.9, 0.95)
    needed |= {f"share of at least {share:.0%}, holds": math.log(LEVEL / 2, share) for share in shares}
    rows = {"median (of several cells: where all agree); bound without a violation": math.log2(2 / LEVEL), **needed}
    return pd.DataFrame({"least n": {name: str(math.ceil(seeds)) for name, seeds in rows.items()}}).rename_axis(
        "statement"
    )


def power_in_narrow_bands() -> pd.DataFrame:
    """Tabulate the power at the centre of a band, in normal noise: few seeds miss on either side."""
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


def document(cells: pd.DataFrame, decisions: pd.DataFrame) -> str:
    """Write the document."""
    bounds = cells["criterion"].isin(["AtMost", "AtLeast"])
    fixed = cells[~bounds]
    violations = cells[bounds].set_index(["criterion", "n", "truth"])[["holds", "fails", "coverage"]]
    confidence, error = f"{CONFIDENCE:.0%}".replace("%", " %"), math.sqrt(LEVEL / 2 / SIMULATIONS)
    coverage_error, power_error = math.sqrt(LEVEL / SIMULATIONS), math.sqrt(0.25 / SIMULATIONS)
    tendencies = decisions[(decisions["kind"] == "tendency") & (decisions["dependence"] == "independent")]
    seeds = tendencies[tendencies["n"] != SMOKE].pivot_table(index=["cells", "n"], values="seeds").map("{:.1f}".format)
    return f"""\
# Calibration

`python benchmarks/calibration.py` writes this page anew; `repro audit decisions` prints every row about verdicts and
`repro audit calibration` every row about cells. All rows are of {SIMULATIONS:,} simulated samples; one standard error
is {percent(error)} for errors, {percent(coverage_error)} for coverage and {percent(power_error)} for power.

## Verdicts

What follows from the outcomes of cells, by the kind of the statement. A cell is an ordering with a smallest effect s:
it holds above s, fails below it, and is the opposite below −s. Cells lie on a boundary, one of them or all, while the
others hold, fail or are the opposite beyond doubt; or all lie one standard deviation (sd) of the noise beyond theirs.
They are independent, or the same noise is in all of them. Seeds come in looks as in runs: up to {SMOKE} at smoke, and
up to 16, 24 or 48 for one, two, or more cells. A status is false if it is not the one that follows from the true
outcomes; a cell on the boundary s is open then, and one on −s fails. Absent, where the opposite is true, is weaker than
it could be, but not false.

The largest shares, over truths and dependence; the last column is of any false status in one truth:

{markdown(false_verdicts(decisions))}

Theorems are decided as formulas are, advice as tendencies.

Power where every cell, or each half of them, is one sd beyond its boundary, cells independent:

{markdown(power(decisions))}

Sixteen seeds suit one cell, 24 two and 48 three to eight, where this is the power to ask for. At smoke, {SMOKE} seeds
decide what is clear.

## Cells: the worst of all noises

Observations with known true effects were simulated for each criterion and judged at {confidence} confidence.

- Noise, between seeds: normal; skewed (lognormal, skewness 6.2); heavy-tailed (Student's t with 3 degrees of freedom);
  rounded (normal, in steps of half a standard deviation). A yes or no has binomial noise whatever is behind it.
- Truth: the median effect is on the boundary of the statement, or one or four sd of the noise inside ("holds") or
  outside ("fails"). Bands are 8 sd wide. A peak has the truth in its place while its prominence holds by 4 sd, and once
  the boundary in both.

On the boundary a cell neither holds nor fails, so both shares are errors there: each must be at most {percent(LEVEL)},
and the coverage of the intervals at least {confidence}.

{markdown(worst(fixed, ["criterion", "n"]))}

Observations that tie with a threshold count against both outcomes, which is why rounded noise errs least.

## Cells: the worst of all criteria

{markdown(worst(fixed, ["noise", "n"]))}

## Bounds

A bound has no boundary: one violation is a counterexample. Without any it holds from that number of seeds on that would
have shown a violation by half of all seeds. No number rules out rare violations; the interval says how frequent they
can be.

{markdown(violations.map(percent))}

## Looking while seeds come in

Profiles with 24 seeds or more look at a third, at two thirds and at all of their seeds, but not at fewer than 16, and
stop when every cell is settled. The first look has a third of the error probability, the second a ninth, and the last
the rest, so that by Bonferroni's inequality all looks together err no more often than one. The last look at 24 or 48
seeds decides on a median exactly as it would alone, since order statistics cannot use all of the error probability. At
{SMOKE} seeds (smoke) looking earlier could save few seeds and is not done. Identities and bounds are not sampled to a
precision and take all seeds at once.

Mean number of seeds that a tendency took, cells independent, over all truths:

{markdown(seeds)}

## Fewest seeds

With fewer seeds a cell is open, whatever the observations.

{markdown(least_seeds())}

Power to see that a statement holds whose truth is at the centre of its band, in normal noise:

{markdown(power_in_narrow_bands())}
"""


if __name__ == "__main__":
    DOCUMENT.write_text(document(calibrate(), simulate_decisions(SIMULATIONS)))
