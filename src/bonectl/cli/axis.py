"""Where a scan's rotation axis comes from: an option, the scan's header, the scan itself, or nowhere."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Literal, TypeVar

from bonectl.cli import streams
from bonectl.cli.options import Request
from bonectl.core import progress
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.stack import Stack
    from bonectl.scanning.reconstruction import Plan

T = TypeVar("T")
Again = Callable[[], "AbstractContextManager[Stack]"]


def column(text: str | None) -> float | Literal["auto"] | None:
    """The column that --centre names, or auto.

    Raises
    ------
    UsageError
        When it is neither.
    """
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--centre {text!r}; give a column such as 295.5, or auto") from None


def tell(plan: "Plan") -> None:
    """Say that nobody stated an axis, where that is so."""
    if plan.centre_from == "middle":
        progress.note(
            f"the scan states no rotation axis: the middle of the detector, column {plan.geometry.centre:g}, is taken; "
            "--centre auto finds it"
        )


def found(scan: "Stack", plan: "Plan", request: Request, again: Again) -> "tuple[Stack, Plan]":
    """The axis looked for in rows over the whole height of the scan.

    Parameters
    ----------
    scan : Stack
        Kept while it is looked at when it comes only once.
    plan : Plan
    request : Request
    again : callable
        Opens the scan once more.

    Returns
    -------
    scan : Stack
        To be walked from its start.
    plan : Plan
        With the axis.
    """
    from bonectl.scanning.lines import sinograms

    if streams.comes_once(request.source):
        scan = sinograms(scan, limit=plan.limit)
    return looked(scan, plan.looked, request, again, plan.limit)


def looked(
    scan: "Stack", look: "Callable[[Stack], T]", request: Request, again: Again, limit: int | None
) -> "tuple[Stack, T]":
    """The scan, to be walked from its start, and what a look finds that walks over it first.

    Parameters
    ----------
    scan : Stack
        Kept while it is looked at when it comes only once.
    look : callable
    request : Request
    again : callable
        Opens the scan once more.
    limit : int, optional
        Bytes that the process may hold.
    """
    from bonectl.stacks.replay import twice

    with ExitStack() as opened:
        if streams.comes_once(request.source):
            first, scan = twice(scan, limit=limit)
        else:
            with progress.silence():  # what is to be said of the file was said
                first = opened.enter_context(again())
        return scan, look(first)
