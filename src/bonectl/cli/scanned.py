"""A scan as its scanner left it, for commands that take one: what it tells, and which option overrides it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bonectl.cli import streams
from bonectl.cli.options import DASH, Request
from bonectl.core import progress
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.scan import Scan
    from bonectl.core.stack import Stack

Scanner = Annotated[
    str | None,
    typer.Option(
        "--scanner",
        metavar="SPEC",
        help="What kind of scan it is, such as \"nxtomo(entry='entry2')\"; see bonectl-scanners(7).",
        show_default="told by its files",
    ),
]


def scan_of(path: Path, scanner: str | None, given: Mapping[str, object]) -> "Scan | None":
    """What a scanner left at a path; None for a stack.

    Parameters
    ----------
    path : Path
    scanner : str, optional
        The part of the kit `scanners` with its knobs; the one that claims the path where it is not given.
    given : mapping
        Options that may stand in for what is missing, by name; None where not given.

    Raises
    ------
    UsageError
        When something that is needed is missing, and no option gives it.
    """
    from bonectl import scanners
    from bonectl.core.spec import parse

    if path == DASH or (scanner is None and scanners.claimed(path) is None):
        if scanner is not None:
            raise UsageError("--scanner is for files; standard input is a stack")
        return None
    scan = scanners.read(path, None if scanner is None else parse(scanner))
    if missing := _open(scan.problems, given):
        raise UsageError(f"{path}: {'; '.join(missing)}")
    for line in _open(scan.notes, given):
        progress.note(f"{path}: {line}")
    return scan


@contextmanager
def reading(request: Request, scan: "Scan | None") -> Iterator["Stack"]:
    """The input of a command as `bonectl.cli.streams.reading` gives it; of a scan its projections, with its axis."""
    if scan is None:
        with streams.reading(request) as stack:
            yield stack
        return
    with streams.reading(request, scan.stack.open) as stack:
        yield _completed(stack, scan)


def _completed(stack: "Stack", scan: "Scan") -> "Stack":
    """With a geometry in its header where the scan states its axis and all else that a parallel beam needs."""
    from bonectl.core.stack import Stack
    from bonectl.scanning.lines import geometry_of

    header = stack.header
    pitch = header.spacing[header.axes.index("col")] if header.is_scan else None
    if header.geometry is not None or scan.centre is None or scan.angles is None or pitch is None:
        return stack
    geometry = geometry_of(header, angles=scan.angles, centre=scan.centre)
    return Stack(header.replace(geometry=geometry), stack.slabs, stack.finite)


def _open(lines: Iterable[str], given: Mapping[str, object]) -> list[str]:
    """Lines for which no option that they name is given."""
    options = [f"--{name}" for name, value in given.items() if value is not None]
    return [line for line in lines if not any(option in line for option in options)]
