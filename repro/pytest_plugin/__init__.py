"""Runs claims as tests of pytest: ``pytest --repro 'normalization.*'``.

pytest imports this module in every session on a machine that has the package. Everything else waits for the option.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("repro", "documented deep-learning claims")
    group.addoption(
        "--repro",
        action="append",
        default=[],
        metavar="PATTERN",
        help="run the claims of an id, a module, a shell pattern, a tag or a file as tests; may be repeated",
    )
    group.addoption(
        "--repro-profile",
        choices=("smoke", "standard", "full"),
        default="smoke",
        help="how much work each claim is: smoke (default), standard or full",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the claims that are chosen, if any."""
    config.addinivalue_line("markers", "repro: a documented claim, run because of --repro")
    patterns = config.getoption("repro")
    if patterns:
        from repro.pytest_plugin.claims import chosen_claims

        config.pluginmanager.register(chosen_claims(patterns, config.getoption("repro_profile")))
