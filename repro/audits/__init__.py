"""Is the suite itself right: error rates, other seeds, other settings, faults that it must notice, determinism."""

from repro.audits.calibration import calibrate
from repro.audits.decisions import simulate_decisions
from repro.audits.determinism import audit_determinism
from repro.audits.hunting import audit_faults
from repro.audits.robustness import Robustness, audit_robustness
from repro.audits.stability import audit_stability

__all__ = [
    "Robustness",
    "audit_determinism",
    "audit_faults",
    "audit_robustness",
    "audit_stability",
    "calibrate",
    "simulate_decisions",
]
