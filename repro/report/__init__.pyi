from .checks import Check, check
from .comparison_text import conclusion, environment_texts, notable_costs, ratio_text, remarks
from .comparisons import write_comparison
from .growing import GrowingReport
from .junit import check_writable, write_junit
from .pages import file_name
from .performance import write_performance
from .plain import explanation, tracebacks
from .site import build
from .summary import write_summary

__all__ = [
    "Check",
    "GrowingReport",
    "build",
    "check",
    "check_writable",
    "conclusion",
    "environment_texts",
    "explanation",
    "file_name",
    "notable_costs",
    "ratio_text",
    "remarks",
    "tracebacks",
    "write_comparison",
    "write_junit",
    "write_performance",
    "write_summary",
]
