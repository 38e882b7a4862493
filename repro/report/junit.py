"""Writes a run as JUnit XML, which continuous integration servers read: a test case for each claim."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from repro.catalogue import Claim
from repro.common import ReproError, paths, write_atomically
from repro.report.plain import explanation, tracebacks
from repro.results import ClaimResult, Run
from repro.runner import CompletedRun

# What XML 1.0 has no way to write, https://www.w3.org/TR/xml/#charsets
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_writable(file: Path) -> None:
    """Check before a run that its results can be written to a file, which is left as it is.

    Raises:
        ReproError: they cannot.
    """
    if paths.exists(file) and not paths.is_file(file):
        kind = "a folder" if paths.is_folder(file) else "a device"
        raise ReproError(f"cannot write {file}: it is {kind}; name a file with --junit")
    try:
        with tempfile.TemporaryFile(dir=file.resolve().parent):
            pass
        file.exists()  # not of a name that is too long
    except OSError as error:
        raise _unwritable(file, error) from error
    except RuntimeError as error:  # of Path.resolve, before Python 3.13
        raise ReproError(f"cannot write {file}: it is a link to itself; name another file with --junit") from error


def write_junit(file: Path, completed: CompletedRun, claims: Mapping[str, Claim]) -> None:
    """Write a run to a file, whole or not at all.

    A claim fails if it is unsound or contradicts what is published, as for the exit status of ``repro run``; whatever
    else its verdict is, it passes.

    Args:
        file: File of the report; replaced if it exists.
        completed: Run with its results.
        claims: Claims of the results, by id.

    Raises:
        ReproError: the file cannot be written.
    """
    kinds = Counter(_outcome(result)[0] for result in completed.results)
    suite = ElementTree.Element(
        "testsuite",
        name="repro",
        tests=str(len(completed.results)),
        errors=str(kinds["error"]),
        failures=str(kinds["failure"]),
        skipped=str(kinds["skipped"]),
        time=_seconds(sum(result.seconds for result in completed.results)),
        timestamp=completed.run.started.partition("+")[0],
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name in ("id", "profile", "backend"):
        ElementTree.SubElement(properties, "property", name=name, value=_legal(str(getattr(completed.run, name))))
    for result in completed.results:
        suite.append(_case(completed.run, result, claims[result.id]))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    content = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    try:
        write_atomically(file.resolve(), content + b"\n")
    except OSError as error:
        raise _unwritable(file, error) from error


def _case(run: Run, result: ClaimResult, claim: Claim) -> ElementTree.Element:
    module, _, name = result.id.rpartition(".")
    case = ElementTree.Element("testcase", classname=module, name=name, time=_seconds(result.seconds))
    kind, message = _outcome(result)
    detail = ElementTree.SubElement(case, kind, {} if message is None else {"message": _legal(message)})
    detail.text = _legal("\n".join(filter(None, (explanation(run, result, claim), tracebacks(result)))))
    return case


def _outcome(result: ClaimResult) -> tuple[str, str | None]:
    """Return the element that tells how a test case ended, and its message."""
    if result.failed:
        return "error" if result.in_error else "failure", "; ".join(result.complaints)
    return ("skipped", result.evaluation.message) if result.status == "skipped" else ("system-out", None)


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _legal(text: str) -> str:
    return ILLEGAL.sub(lambda match: f"#x{ord(match[0]):02X}", text)


def _unwritable(file: Path, error: OSError) -> ReproError:
    return ReproError(f"cannot write {file}: {error.strerror}; name another file with --junit")
