"""A simulated scan as the files that a scanner leaves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bonectl.cli import files, streams
from bonectl.cli.options import DASH, Request
from bonectl.core import atomic
from bonectl.errors import OutputError, UsageError

if TYPE_CHECKING:
    from bonectl.core.stack import Stack
    from bonectl.scanning.simulation import SimulatePlan


def check(request: Request, kind: str, contradicting: Mapping[str, object]) -> None:
    """Refuse before any work what such files do not hold, and what cannot be written.

    Parameters
    ----------
    request : Request
    kind : str
        One of `bonectl.scanners.writers`.
    contradicting : mapping
        Options that the files make needless, by name; whether they were given.

    Raises
    ------
    UsageError
        When there is no such kind, no output is named, or an option contradicts it.
    OutputError, PermissionDeniedError
        When the output exists, its folder does not, or may not be written to.
    """
    from bonectl import scanners

    output, there = request.output, scanners.writers()
    if kind not in there:
        raise UsageError(f"--as {kind}: there are {', '.join(there)}")
    if output == DASH:
        raise UsageError(f"--as {kind} writes files: give -o with the name of a new folder, or file")
    contradicting = {**contradicting, "--format": request.format, "--bare": request.bare}
    if given := [name for name, value in contradicting.items() if value]:
        raise UsageError(f"--as {kind} writes counts, flats and darks in its own way; leave out {given[0]}")
    files.apart([request.source], [output])
    if output.is_dir():
        raise OutputError(f"{output}: is a folder already; remove it first, or give another name")
    atomic.check(output, force=request.force)


def unwritten(request: Request) -> Request:
    """The request of the input alone."""
    return replace(request, output=DASH, format=None)


def write(plan: "SimulatePlan", volume: "Stack", request: Request, kind: str, *, frames: int) -> None:
    """Write the scan of a plan as a scanner leaves it, or say what would be written.

    Raises
    ------
    UsageError
        When such files cannot tell the scan's geometry.
    WriteError
        When the disk is full, or fails.
    """
    from bonectl import scanners
    from bonectl.ops.simulate import scanned

    if request.dry_run:
        streams.estimated(plan.header, request, plan.cost, kind)
        return
    with atomic.replacing(request.output, force=request.force) as temporary:
        scanners.write(scanned(plan, volume, frames=frames), temporary, kind)
