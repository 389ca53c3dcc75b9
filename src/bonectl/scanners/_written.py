"""What writers of scans share: views one by one, as counts or as shares of the open beam, and what a kind can tell."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.scan import Frames, Scan
from bonectl.core.slabs import Array
from bonectl.errors import UsageError

# Counts are whole numbers of 16 bits where the open beam reads this many times less than their largest [fraction].
HEADROOM = 1.5
LARGEST = 65535


def geometry_of(scan: Scan, kind: str, beams: Sequence[str]) -> Geometry:
    """The geometry of projections that are to be written.

    Raises
    ------
    UsageError
        When it is no scan in projection order with one, or of a beam that files of this kind do not tell.
    """
    header = scan.header
    if header.axes != PROJECTIONS or header.geometry is None:
        raise UsageError(f"{kind} files hold projections (view, row, col) with their geometry")
    if header.geometry.kind not in beams:
        raise UsageError(f"a {header.geometry.kind} beam cannot be told by {kind} files; {' or '.join(beams)} can")
    return header.geometry


def even_step(geometry: Geometry, kind: str) -> float:
    """The step of angles [degree]; raises UsageError where they are listed one by one."""
    if geometry.angles.listed is not None:
        many = counted(geometry.views, "uneven angle")
        raise UsageError(f"{many} cannot be told by {kind} files; take evenly spaced views")
    return geometry.angles.step


def open_beam(scan: Scan) -> tuple[Array | float, Array | float]:
    """White, dark already taken off, and dark: averages of the frames, or the levels that the header tells."""
    facts = scan.header.acquisition
    dark = _mean(scan.darks) if scan.darks else float(facts.get("dark", 0.0))
    white = _mean(scan.flats) - dark if scan.flats else facts.get("white")
    if white is None:
        raise UsageError("counts without a white level cannot be written as shares of the open beam; give flats")
    return (white if isinstance(white, np.ndarray) else float(white)), dark


def _mean(frames: Frames) -> Array:
    with frames.source.open() as stack:
        mean: Array = stack.collect().mean(axis=0, dtype=np.float64)
        return mean


def shares(scan: Scan, level: int) -> Iterator[Array]:
    """Views as 16-bit shares of the open beam, which reads `level`; what is brighter than 16 bits is cut there."""
    white, dark = open_beam(scan)
    with scan.stack.open() as stack:
        for slab in stack.slabs:
            for view in slab:
                share = (view - dark) / white
                yield np.clip(np.rint(share * level), 0, LARGEST).astype("<u2")


def counts_dtype(scan: Scan) -> str:
    """16-bit whole numbers where the open beam leaves room in them, float32 else."""
    white, dark = open_beam(scan)
    return "<u2" if float(np.max(white + dark)) * HEADROOM < LARGEST else "<f4"


def counts(stack_of: Scan | Frames, dtype: str) -> Iterator[Array]:
    """Readings one frame after another, rounded where the type is of whole numbers."""
    source = stack_of.stack if isinstance(stack_of, Scan) else stack_of.source
    with source.open() as stack:
        for slab in stack.slabs:
            for frame in slab:
                yield frame.astype(dtype) if dtype[1] == "f" else np.clip(np.rint(frame), 0, LARGEST).astype(dtype)


def picture(path: Path, frame: Array, header: Header) -> None:
    """One frame as a TIFF of nothing but its pixels and their size."""
    import tifffile

    row, column = header.spacing[1:]
    sized = {"resolution": (10 / column, 10 / row), "resolutionunit": "CENTIMETER"} if row and column else {}
    tifffile.imwrite(path, frame, metadata=None, **sized)


def lines(path: Path, told: Sequence[str]) -> None:
    """A text as Windows programs write it."""
    path.write_bytes("".join(f"{line}\r\n" for line in told).encode("latin-1", "replace"))
