"""What a claim is, and how claims are found.

``claim`` declares one, ``registry`` finds those of this package, of installed packages and of files of the user's own.
"""

from repro.catalogue import registry, user_files
from repro.catalogue.counterparts import Correction, Counterpart, PositiveControl, Rival, Role, Variant
from repro.catalogue.declaration import Claim, claim
from repro.catalogue.experiments import Experiment, Parameters, observe
from repro.catalogue.fingerprints import FRESH, code, design, first_seed
from repro.catalogue.gates import lacking
from repro.catalogue.parameters import parameter_text, parse_parameters, repeat_command
from repro.catalogue.profiles import GIB, LIMITS, SEEDS, Limits, Profile, check_profile
from repro.catalogue.sources import DOCUMENTS, Reported, Source, cheatsheet, lectures, notes
from repro.catalogue.user_files import ClaimFile, address, claims_of, file_of, path_of

__all__ = [
    "DOCUMENTS",
    "FRESH",
    "GIB",
    "LIMITS",
    "SEEDS",
    "Claim",
    "ClaimFile",
    "Correction",
    "Counterpart",
    "Experiment",
    "Limits",
    "Parameters",
    "PositiveControl",
    "Profile",
    "Reported",
    "Rival",
    "Role",
    "Source",
    "Variant",
    "address",
    "cheatsheet",
    "check_profile",
    "claim",
    "claims_of",
    "code",
    "design",
    "file_of",
    "first_seed",
    "lacking",
    "lectures",
    "notes",
    "observe",
    "parameter_text",
    "parse_parameters",
    "path_of",
    "registry",
    "repeat_command",
    "user_files",
]
