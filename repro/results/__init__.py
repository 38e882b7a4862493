"""Results of runs: records, the folder they are stored in, bundles to pass on, the published reference, comparisons."""

from repro.results import past
from repro.results.bundle import add, export_run, read_bundle
from repro.results.compaction import Freed, Waste, find_waste, remove_waste
from repro.results.comparison.differences import Comparison, Cost, Difference, Mismatch, compare_runs
from repro.results.comparison.loading import load_pair
from repro.results.comparison.samples import publishable, stored_samples
from repro.results.familywise import Multiplicity, multiplicity
from repro.results.past import PastVerdict
from repro.results.records import ClaimResult, Evaluation, Name, Outcome, Request, Run, Text
from repro.results.reference import PublishedClaim, publish, published
from repro.results.serialization import read, read_row, to_text
from repro.results.store import DATABASE, Store, to_parquet

__all__ = [
    "DATABASE",
    "ClaimResult",
    "Comparison",
    "Cost",
    "Difference",
    "Evaluation",
    "Freed",
    "Mismatch",
    "Multiplicity",
    "Name",
    "Outcome",
    "PastVerdict",
    "PublishedClaim",
    "Request",
    "Run",
    "Store",
    "Text",
    "Waste",
    "add",
    "compare_runs",
    "export_run",
    "find_waste",
    "load_pair",
    "multiplicity",
    "past",
    "publish",
    "publishable",
    "published",
    "read",
    "read_bundle",
    "read_row",
    "remove_waste",
    "stored_samples",
    "to_parquet",
    "to_text",
]
