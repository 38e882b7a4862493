"""Claims of the user's own, in Python files anywhere: how a file is named, loaded once, and loaded again by workers."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import traceback
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from repro.catalogue.declaration import Claim
from repro.common import ClaimError, ReproError, paths
from repro.engine import backend

PACKAGE = "repro_claim_files"


@dataclass(frozen=True)
class ClaimFile:
    """A Python file as it was when it was read: whoever edits it during a run does not change the run.

    Attributes:
        path: Absolute path of the file.
        source: Content of the file.
    """

    path: Path
    source: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the content in hexadecimal."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def module(self) -> str:
        """Name under which its module is imported: the same for the same file with the same content."""
        version = hashlib.sha256(os.fsencode(self.path) + b"\0" + self.source).hexdigest()[:16]
        return f"{PACKAGE}.{version}.{re.sub(r'[^0-9A-Za-z_]', '_', self.path.stem)}"


def names_file(text: str) -> bool:
    """Tell whether a text names a file or a claim in one, ``claims.py`` or ``claims.py::name``, and not an id."""
    return "::" in text or text.endswith(".py") or any(sign in text for sign in (os.sep, os.altsep) if sign)


def read(path: Path) -> ClaimFile:
    """Read a claim file.

    Raises:
        ReproError: there is no such file, it is not a Python file, or it cannot be read.
    """
    if paths.is_folder(path):
        raise ReproError(f"{path} is a folder; name a Python file in it")
    if paths.is_device(path):
        raise ReproError(f"{path} is a device; name a Python file")
    if path.suffix != ".py":
        raise ReproError(f"{path} is not a Python file; claims are defined in files that end in .py")
    try:
        source = path.read_bytes()
        return ClaimFile(path.resolve(), source)
    except FileNotFoundError as error:
        raise ReproError(f"there is no file {path}; check its name and the current folder") from error
    except OSError as error:
        raise ReproError(f"cannot read {path}: {error.strerror}") from error


def load_file(file: ClaimFile) -> list[Claim]:
    """Import a claim file, once in a process, and list its claims.

    Modules beside it can be imported, as from a script. What it prints goes to stderr.

    Raises:
        ClaimError: importing it raises an error, which is told with its line, or it defines no claim.
    """
    module = sys.modules.get(file.module) or _imported(file)
    claims = claims_of(module)
    if not claims:
        raise ClaimError(f"{file.path} defines no claim; decorate a function with @repro.claim(...)")
    return claims


def file_of(claim: Claim) -> ClaimFile | None:
    """Return the file of the user's own that defines a claim; None for a claim of an importable module."""
    module = sys.modules.get(claim.function.__module__)
    file: ClaimFile | None = getattr(module, "__claim_file__", None)
    return file


def path_of(claim: Claim) -> Path | None:
    """Return the file of the module that defines a claim; None where there is none."""
    file = getattr(sys.modules.get(claim.function.__module__), "__file__", None)
    return None if file is None else Path(file).resolve()


def address(claim: Claim) -> str:
    """Return the name of a claim on the command line: its id, or the file that defines it with its name."""
    file = file_of(claim)
    return claim.id if file is None else f"{file.path}::{claim.function.__name__}"


def claims_of(module: ModuleType) -> list[Claim]:
    """List the claims that a module defines, in the order of its source; not those it imports."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, Claim) and value.function.__module__ == module.__name__
    ]


def _imported(file: ClaimFile) -> ModuleType:
    backend.select(backend.name())  # the file may load Keras
    folder = str(file.path.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    module = ModuleType(file.module)
    vars(module).update(__file__=str(file.path), __claim_file__=file)
    sys.modules[file.module] = module  # as every import does; dataclasses look themselves up
    try:
        with redirect_stdout(sys.stderr):  # the output of a command may be one JSON object
            exec(compile(file.source, file.path, "exec"), vars(module))  # noqa: S102  the user's own code
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[file.module]
        raise ClaimError(_said(file, error)) from error
    return module


def _said(file: ClaimFile, error: BaseException) -> str:
    """Say in one line where and why a file cannot be imported."""
    if isinstance(error, SyntaxError) and error.filename == str(file.path):
        line, reason = error.lineno, f"{type(error).__name__}: {error.msg}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(file.path)), None)
        reason = str(error) if isinstance(error, ReproError) else f"{type(error).__name__}: {error}"
    return f"{file.path}{f', line {line}' if line else ''}: {' '.join(reason.split())}"
