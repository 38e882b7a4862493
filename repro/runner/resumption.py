"""Resumes runs that were interrupted: only the claims without a result are executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from repro.catalogue import Claim, file_of, registry
from repro.common import ReproError
from repro.results import Request, Run, Store, past
from repro.runner import environment, planning
from repro.runner.planning import Plan

# What observations depend on; the number of cores and the memory of the machine may differ.
BINDING = ("python", "keras", "backend_version", "device", "cpu", "commit", "packages")


def find_unfinished(store: Store, id: str = "latest") -> Run:  # noqa: A002  the name of the attribute
    """Return a run that lacks results.

    Args:
        store: Store of the run and its results.
        id: Id of the run, or ``latest`` for the latest that is not complete.

    Raises:
        ReproError: there is no such run, it is complete, or it does not say what it was asked for.
    """
    if id == "latest":
        counts = past.result_counts(store)
        lacking = (run for run in reversed(store.runs()) if run.lacks_results(counts.get(run.id, 0)))
        latest = next(lacking, None)
        if latest is None:
            raise ReproError(f"{store.folder} has no unfinished run; `repro run` starts one")
        return latest
    run = store.run(id)
    if run.request is None:
        raise ReproError(f"run {id} was made by a version that could not resume; start a new run")
    if not missing_claims(run.request, run, store):
        raise ReproError(f"run {id} is complete; `repro report {id}` shows it")
    return run


def missing_claims(request: Request, run: Run, store: Store) -> list[str]:
    """List the claims that a run was asked for and has no results of; those that ended in error have one."""
    done = past.recorded(store, run.id)
    return [name for name in request.claims if name not in done]


def plan_rest(run: Run, store: Store, own: Sequence[Claim] = ()) -> Plan:
    """Plan what a run lacks.

    Results may come from others, so the code of a file is executed only where the user names the file again.

    Args:
        run: Run that ``find_unfinished`` returned.
        store: Store of the run's results.
        own: Claims from files of the user's own that the run may need.

    Raises:
        ReproError: one of its claims no longer exists, or was in a file that is not named or has changed.
    """
    request = run.request or Request(())
    names = missing_claims(request, run, store)
    by_id = registry.by_id(own)
    return planning.make_plan(
        [
            _from_file(name, run, request.files[name], by_id) if name in request.files else registry.get(name)
            for name in names
        ],
        run.profile,
        seeds=request.seeds,
        overrides={name: request.overrides[name] for name in names if name in request.overrides},
    )


def check_environment(run: Run, found: Mapping[str, Any]) -> None:
    """Make sure that the rest of a run is done under the conditions of its beginning.

    Args:
        run: Run to be resumed.
        found: Environment that ``environment.describe`` returns now.

    Raises:
        ReproError: something differs that observations may depend on.
    """
    expected = {name: run.environment[name] for name in BINDING if name in run.environment}
    differing = environment.differences(expected, found)
    if differing:
        raise ReproError(
            f"run {run.id} cannot be resumed with {differing[0]}; resume it where it began, or start a new run"
        )


def _from_file(name: str, run: Run, digest: str, own: Mapping[str, Claim]) -> Claim:
    file = file_of(own[name]) if name in own else None
    if file is None:
        raise ReproError(f"{name} was in a file of your own; name the file, `repro run --resume {run.id} my_claims.py`")
    if file.digest != digest:
        raise ReproError(f"{file.path} is not as it was when run {run.id} began; restore it, or start a new run")
    return own[name]
