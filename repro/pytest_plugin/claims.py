"""Claims as test items of pytest. Loaded by ``repro.pytest_plugin`` once claims are chosen."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from repro import runner
from repro.catalogue import Claim, Profile, address, registry
from repro.common import ReproError, format_effect, redirect_output
from repro.report import explanation, tracebacks
from repro.results import ClaimResult, Run, Store


class ClaimProcess:
    """Process that runs claims one after the other, started when first needed.

    There Keras is configured as claims need it, whatever the tests in pytest's own process do with it, and they are not
    disturbed either.

    Attributes:
        folder: Folder that receives results and what the process prints.
        profile: Profile of the runs, which sets how much work each claim does.
    """

    def __init__(self, folder: Path, profile: Profile) -> None:
        self.folder = folder
        self.profile: Profile = profile
        self._pool: ProcessPoolExecutor | None = None

    def run(self, claim: Claim) -> tuple[Run, ClaimResult]:
        """Run a claim with its counterparts.

        Raises:
            ReproError: it cannot be run, or its process died.
        """
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, redirect_output, (self.folder / "workers.log",))
        try:
            run = self._pool.submit(_run, address(claim), self.profile, self.folder).result()
        except BrokenProcessPool as error:
            self.close()
            raise ReproError(f"{claim.id}: its process died, perhaps for lack of memory") from error
        store = Store.existing(self.folder)
        (result,) = store.results(run)
        return store.run(run), result

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = None


class ChosenClaims:
    """Plugin for a session that runs claims.

    Attributes:
        claims: Claims to be run.
        process: Process that runs them.
    """

    def __init__(self, claims: Sequence[Claim], profile: Profile) -> None:
        self.claims = claims
        self._folder = tempfile.TemporaryDirectory(prefix="repro-")
        self.process = ClaimProcess(Path(self._folder.name), profile)

    @pytest.hookimpl(tryfirst=True)  # before what deselects items
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add an item for each claim."""
        chosen = [
            ClaimItem.from_parent(
                session, name=claim.id, nodeid=f"repro::{claim.id}", claim=claim, process=self.process
            )
            for claim in self.claims
        ]
        items += chosen
        report = pytest.CollectReport("repro", "passed", None, [*chosen])
        session.config.hook.pytest_collectreport(report=report)  # by which pytest counts them

    def pytest_sessionfinish(self) -> None:
        """End the process and remove its folder."""
        self.process.close()
        self._folder.cleanup()


class ClaimItem(pytest.Item):
    """A claim as a test: it fails on an error, if it is unsound, or if it contradicts what is published."""

    def __init__(self, *, claim: Claim, process: ClaimProcess, **options: Any) -> None:
        super().__init__(**options)
        self.claim = claim
        self.process = process
        self.add_marker("repro")

    def runtest(self) -> None:
        """Run the claim with its counterparts."""
        run, result = self.process.run(self.claim)
        verdict = result.evaluation.verdict
        self.user_properties.append(("verdict", result.status))
        if verdict is not None:
            self.user_properties.append(("effect", format_effect(verdict.effect, verdict.low, verdict.high)))
        if result.failed:
            self.add_report_section("call", "traceback", tracebacks(result))
            raise ReproError("\n".join([*result.complaints, explanation(run, result, self.claim)]))
        if result.status == "skipped":
            pytest.skip(result.evaluation.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Explain a failure in the words of the suite, without a traceback of its code."""
        if isinstance(excinfo.value, ReproError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the place that pytest reports for the item, with a name instead of a line."""
        return self.path, None, f"claim {self.name}"


def chosen_claims(patterns: Sequence[str], profile: Profile) -> ChosenClaims:
    """Find the claims of a session.

    Raises:
        pytest.UsageError: a pattern that no claim matches, or a file that cannot be used.
    """
    try:
        return ChosenClaims(registry.find(*patterns), profile)
    except ReproError as error:
        raise pytest.UsageError(str(error)) from error


def _run(claim: str, profile: Profile, folder: Path) -> str:
    return runner.run(claim, profile=profile, results=folder, workers=0).run.id
