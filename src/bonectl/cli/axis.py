"""Where a scan's rotation axis comes from: an option, the scan's header, the scan itself, or nowhere."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from bonectl.cli import streams
from bonectl.cli.options import Request
from bonectl.core import progress

if TYPE_CHECKING:
    from bonectl.core.geometry import Geometry
    from bonectl.core.header import Fact
    from bonectl.core.stack import Stack
    from bonectl.scanning.lines import Fields

Again = Callable[[], "AbstractContextManager[tuple[Stack, Geometry | None]]"]


def stated(header_states: bool, given: bool, geometry: "Geometry") -> "dict[str, Fact]":
    """What the history says of an axis that was not looked for; a note where nobody stated it."""
    if not (given or header_states):
        progress.note(
            f"the scan states no rotation axis: the middle of the detector, column {geometry.centre:g}, is taken; "
            "--centre auto finds it"
        )
    origin = "given" if given else "scan" if header_states else "middle"
    return {"centre": geometry.centre, "centre_from": origin}


def found(
    stack: "Stack", geometry: "Geometry", request: Request, fields: "Fields | None", limit: int | None, again: Again
) -> "tuple[Stack, Geometry, dict[str, Fact]]":
    """The axis looked for in rows over the whole height of the scan.

    Parameters
    ----------
    stack : Stack
        The scan; kept while it is looked at when it comes only once.
    geometry, fields, limit
        See `bonectl.scanning.overview.axis_of`.
    request : Request
    again : callable
        Opens the scan once more.

    Returns
    -------
    stack : Stack
        The scan, to be walked from its start.
    geometry : Geometry
        With the axis.
    notes : dict
        For the history.
    """
    from bonectl.scanning.axis import check
    from bonectl.scanning.lines import sinograms
    from bonectl.scanning.overview import axis_of
    from bonectl.stacks.replay import twice

    check(geometry)
    if request.dry_run:
        return stack, geometry, {}
    with ExitStack() as opened:
        if streams.comes_once(request.source):
            first, stack = twice(sinograms(stack, limit=limit), limit=limit)
        else:
            with progress.silence():  # what is to be said of the file was said
                first, _ = opened.enter_context(again())
        axis = axis_of(first, geometry, fields, limit=limit)
    column = round(axis.column, 3)
    notes: dict[str, Fact] = {"centre": column, "centre_from": "auto", "centre_sd": float(f"{axis.sd:.2g}")}
    return stack, geometry.replace(centre=column), notes
