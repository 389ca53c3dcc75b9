"""Paths that begin with ``~``."""

from pathlib import Path


def expanded(named: str | Path) -> Path:
    """The path that a word names, with ``~`` for the home; as it is where there is no home, as in some containers."""
    try:
        return Path(named).expanduser()
    except RuntimeError:
        return Path(named)
