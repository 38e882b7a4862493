"""What every package may use: errors, paths that users name, where output goes, how values are written."""

from repro.common import paths
from repro.common.errors import (
    BenchmarkError,
    BundleError,
    ClaimError,
    ClusterError,
    DataUnavailableError,
    ObservationsError,
    ReproError,
    StoreError,
    TrainingError,
)
from repro.common.files import write_atomically
from repro.common.formatting import (
    finite,
    first_line,
    format_duration,
    format_effect,
    format_number,
    format_size,
    one_line,
    printable,
)
from repro.common.output import output_to_nowhere, redirect_output

__all__ = [
    "BenchmarkError",
    "BundleError",
    "ClaimError",
    "ClusterError",
    "DataUnavailableError",
    "ObservationsError",
    "ReproError",
    "StoreError",
    "TrainingError",
    "finite",
    "first_line",
    "format_duration",
    "format_effect",
    "format_number",
    "format_size",
    "one_line",
    "output_to_nowhere",
    "paths",
    "printable",
    "redirect_output",
    "write_atomically",
]
