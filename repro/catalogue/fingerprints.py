"""Fingerprints of a claim's design and of its code, and the seeds that follow from the design.

A design is fixed before its result is known. Its fingerprint is published with the result, and its seeds follow from
it, so that no design is judged on seeds that an earlier design of the same experiment has used.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from repro.catalogue import registry
from repro.catalogue.declaration import Claim
from repro.catalogue.user_files import claims_of

# Blocks of seeds, of which each design has one and rarely two the same; a repetition on fresh seeds takes the second
# half of a block. Experiments multiply seeds, by up to 64, within 32 bits.
BLOCKS, BLOCK = 100_000, 200
FRESH = BLOCK // 2
SHOWN = 12  # hexadecimal digits: two designs of one claim share them once in 10^14


@cache
def design(claim: Claim) -> str:
    """Return the fingerprint of a claim's design, in hexadecimal.

    It covers the statement and its kind, the criterion with its thresholds, conditions and boundary, the parameters of
    all profiles, the counterparts and the number of seeds; not the reasons that are given for them.
    """
    counterparts = {
        role: (counterpart.statement, repr(counterpart.criterion), _items(counterpart.parameters))
        for role, counterpart in claim.counterparts.items()
    }
    made_of = (
        claim.statement,
        claim.kind,
        claim.scale,
        repr(claim.criterion),
        repr(claim.boundary),
        claim.left_open,
        _items(claim.defaults),
        _items(claim.smoke),
        _items(claim.full),
        None if claim.control is None else _items(claim.control),
        sorted(counterparts.items()),
        claim.seeds,
    )
    return _digest(repr(made_of))


@cache
def code(claim: Claim) -> str:
    """Return the fingerprint of a claim's code, in hexadecimal.

    It covers its functions and what they may call in their own module and in the helpers of its folder, without
    comments, docstrings and the declarations of claims; not the engine, whose changes all claims share.
    """
    functions = dict.fromkeys((claim.experiment, claim.function))
    files = {file: None for function in functions if (file := _file(function)) is not None}
    if not files:
        return _digest("".join(_code_of(function) for function in functions))
    helpers = {helper: None for file in files for helper in sorted(file.parent.glob("_[!_]*.py"))}
    names = {function.__name__ for function in functions}
    return _digest("\n".join(_source(file, names) for file in {**files, **helpers}))


def first_seed(claim: Claim) -> int:
    """Return the first seed of a claim's runs, which follows from the designs that read its experiment.

    Claims that share an experiment share its seeds, so that it is run once.
    """
    designs = "".join(sorted(design(other) for other in _sharing(claim)))
    return BLOCK * (int(_digest(designs), 16) % BLOCKS)


def _sharing(claim: Claim) -> Iterable[Claim]:
    """List the claims that read the same experiment."""
    module = sys.modules.get(claim.function.__module__)
    known = {claim, *registry.registered().values(), *([] if module is None else claims_of(module))}
    return [other for other in known if other.experiment is claim.experiment]


def _items(parameters: Any) -> list[Any]:
    return sorted(parameters.items())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:SHOWN]


def _file(function: Any) -> Path | None:
    try:
        path = Path(inspect.getfile(inspect.unwrap(function)))
    except (TypeError, OSError):
        return None
    return path if path.exists() else None


def _code_of(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except OSError:  # typed at a prompt
        return repr(function.__qualname__)


def _source(file: Path, names: set[str]) -> str:
    """Return the code of a module: the functions of these names, and all that no claim is made of."""
    body = []
    module = ast.parse(file.read_text(encoding="utf-8"))
    for node in module.body[1:] if ast.get_docstring(module) is not None else module.body:
        if isinstance(node, ast.FunctionDef):
            declared = any(_is_claim(decorator) for decorator in node.decorator_list)
            if declared and node.name not in names:
                continue
            node.decorator_list = [item for item in node.decorator_list if not _is_claim(item)]
        body.append(_without_docstring(node))
    return ast.unparse(ast.Module(body, type_ignores=[]))


def _is_claim(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call):
        return False
    called = decorator.func
    return "claim" in (getattr(called, "id", ""), getattr(called, "attr", ""))


def _without_docstring(node: ast.stmt) -> ast.stmt:
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(inner, clean=False) is not None:
            inner.body = inner.body[1:] or [ast.Pass()]
    return node
