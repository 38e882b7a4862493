"""Command line of the suite. It calls the library, which does not depend on it."""

from repro.cli.app import main

__all__ = ["main"]
