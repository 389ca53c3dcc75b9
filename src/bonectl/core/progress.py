"""How long work tells that it is alive, without knowing who listens.

The command line installs a reporter; in Python nothing is printed.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Advance = Callable[..., None]


class Reporter(Protocol):
    """Shows tasks and one-line notes."""

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Advance]:
        """Begin a task; the value is called with the work done since, and optional facts to show."""
        ...

    def note(self, message: str) -> None:
        """Say one line."""
        ...


class _Silent:
    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Advance]:
        return nullcontext(lambda done=1, **facts: None)

    def note(self, message: str) -> None:
        pass


class _About:
    def __init__(self, name: str, reporter: Reporter) -> None:
        self._name = name
        self._reporter = reporter

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Advance]:
        return self._reporter.task(name, total, unit)

    def note(self, message: str) -> None:
        self._reporter.note(message if self._name in message else f"{self._name}: {message}")


_SILENT = _Silent()
_reporter: ContextVar[Reporter] = ContextVar("reporter")


def task(name: str, total: int | None = None, unit: str = "slice") -> AbstractContextManager[Advance]:
    """A task of `total` units; use as ``with task("reconstruct", 64) as advance: advance(16, loss="0.1")``."""
    return _reporter.get(_SILENT).task(name, total, unit)


def note(message: str) -> None:
    """One line for the log, such as ``12 pixels without a photon were set to half a photon``."""
    _reporter.get(_SILENT).note(message)


@contextmanager
def reporting(reporter: Reporter) -> Iterator[None]:
    """Let `reporter` hear of everything that happens inside."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def about(name: str) -> AbstractContextManager[None]:
    """Let the notes of what happens inside say what they are about."""
    return reporting(_About(name, _reporter.get(_SILENT)))


def silence() -> AbstractContextManager[None]:
    """Let nobody hear of what happens inside."""
    return reporting(_Silent())
