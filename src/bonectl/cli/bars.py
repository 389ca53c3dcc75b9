"""Progress bars on a terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from bonectl.core import ending
from bonectl.core.printable import one_line, printable
from bonectl.core.progress import Advance


class Bars:
    """A live bar, with the work done and the time left; gone when the task is done.

    Parameters
    ----------
    name : str
        The command, which notes begin with.
    console : Console, optional
        Where the bar is shown; standard error if not given.
    """

    def __init__(self, name: str, console: Console | None = None) -> None:
        self.name = name
        self.console = console or Console(stderr=True)
        self._lock = Lock()
        self._running = 0

    def note(self, message: str) -> None:
        """Say one line, above a running bar."""
        self.console.print(f"{self.name}: {one_line(message)}", markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Show a bar for as long as the block runs; several may run, and end in any order."""
        with ending.undoing(self._undo):
            bar = self._begun()
            row = bar.add_task(printable(name), total=total, facts="", units=f"{unit}s")

            def advance(count: int = 1, **facts: object) -> None:
                bar.update(row, advance=count, facts="  ".join(f"{k} {v}" for k, v in facts.items()))

            try:
                yield advance
            finally:
                self._ended(row)

    def _begun(self) -> Progress:
        """The bars, shown from the first task on."""
        with self._lock:
            if not self._running:
                self._bars = Progress(*_columns(self.console.width), console=self.console, transient=True)
                self._bars.start()
            self._running += 1
            return self._bars

    def _ended(self, row: TaskID) -> None:
        """Its line is gone; after the last task all are."""
        with self._lock:
            self._running -= 1
            if self._running:
                self._bars.remove_task(row)
            else:
                self._bars.stop()

    def _undo(self) -> None:
        """Leave the terminal as it was: the line of the bar empty, the cursor seen."""
        if self.console.is_terminal:
            os.write(2, b"\r\x1b[2K\x1b[?25h")


class _Shortened(ProgressColumn):
    """Text that ends in an ellipsis where there is no room for all of it."""

    def __init__(self, form: str) -> None:
        super().__init__(table_column=Column())  # rich takes room from columns that may wrap, and only then from others
        self._form = form

    def render(self, task: Task) -> Text:
        return Text(self._form.format(task=task), no_wrap=True, overflow="ellipsis")


def _columns(width: int) -> tuple[ProgressColumn, ...]:
    """The columns of a bar: count, percent and time are whole at 60 columns and more."""
    whole = Column(no_wrap=True)
    return (
        _Shortened("{task.description}"),
        BarColumn(min(40, max(1, (width - 40) // 4)), table_column=whole),
        MofNCompleteColumn(table_column=whole),
        TextColumn("{task.fields[units]}", table_column=whole),
        TaskProgressColumn(table_column=whole),
        TimeRemainingColumn(elapsed_when_finished=True, table_column=whole),
        _Shortened("{task.fields[facts]}"),
    )
