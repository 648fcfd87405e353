"""The command line, as the tests of the commands run it."""

from tests.cli.conftest import run_here

__all__ = ["run_here"]
