"""The command line: ``clipact demo``."""

from clipact.cli._main import main

__all__ = ["main"]
