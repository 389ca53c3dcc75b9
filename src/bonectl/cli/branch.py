"""A second output beside the main one: slabs are pushed to it, and a thread writes them as they come."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from bonectl.cli import destination, streams
from bonectl.cli.options import Request

if TYPE_CHECKING:
    from bonectl.core.header import Fact, Header
    from bonectl.core.slabs import Array

# Slabs that wait while the writer is busy.
WAITING = 2
# How often a push looks whether the writer has failed [s].
PATIENCE = 0.1


class _GivenUpError(Exception):
    """The command failed elsewhere; nothing is to be left of this output."""


class _Writer:
    """A thread that writes what is pushed."""

    def __init__(self, header: "Header", request: Request, notes: "Mapping[str, Fact]") -> None:
        self.waiting: queue.Queue[Array | Exception | None] = queue.Queue(WAITING)
        self.failures: list[Exception] = []
        self.thread = threading.Thread(target=self._write, args=(header, request, notes), daemon=True)
        self.thread.start()

    def push(self, slab: "Array | Exception | None") -> None:
        """Hand over a slab, None for the end, or an error that ends the writer; raises what the writer failed of."""
        while not self.failures:
            try:
                self.waiting.put(slab, timeout=PATIENCE)
                return
            except queue.Full:
                continue
        raise self.failures[0]

    def _write(self, header: "Header", request: Request, notes: "Mapping[str, Fact]") -> None:
        from bonectl.core.stack import Stack

        try:
            streams.writing(Stack(header, self._arriving()), request, notes)
        except Exception as error:  # told to the thread that pushes
            self.failures.append(error)

    def _arriving(self) -> "Iterator[Array]":
        while (slab := self.waiting.get()) is not None:
            if isinstance(slab, Exception):
                raise slab
            yield slab


@contextlib.contextmanager
def branch(header: "Header", request: Request, notes: "Mapping[str, Fact]") -> "Iterator[Callable[[Array], None]]":
    """A function that takes the slabs of a stack, one after the other, and has them written where the request says.

    The output is there, whole, when the block ends; when the block fails, nothing of it is there.

    Parameters
    ----------
    header : Header
        Of the stack.
    request : Request
        Its output is a file or a pattern, not standard output.
    notes : mapping
        As `streams.writing`.

    Raises
    ------
    BonectlError
        As `streams.writing`, from the push that comes after the failure, or at the end of the block.
    """
    destination.check_output(request)
    writer = _Writer(header, request, notes)
    try:
        yield writer.push
        writer.push(None)
    except BaseException:
        with contextlib.suppress(Exception):
            writer.push(_GivenUpError())
        raise
    finally:
        writer.thread.join()
    if writer.failures:
        raise writer.failures[0]
