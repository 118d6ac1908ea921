"""The command line, ``drepm``: parse, call, print."""

from drepm_pyg.cli.main import main

__all__ = ["main"]
