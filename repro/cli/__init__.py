"""The command line. It calls the library, which does not know it."""

from repro.cli.app import main

__all__ = ["main"]
