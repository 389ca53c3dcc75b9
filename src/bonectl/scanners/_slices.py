"""TIFF files of a scan, one frame each, as sources of frames."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bonectl import io
from bonectl.core import reading
from bonectl.core.scan import Source
from bonectl.core.stack import Stack
from bonectl.io.slices import files
from bonectl.scanners._projections import header

TIFF = re.compile(r"[^.].*\.tiff?", re.IGNORECASE)


def listed(path: Path) -> list[Path]:
    """What lies in a folder, in the order of the names; nothing where it is no folder.

    Raises
    ------
    PermissionDeniedError
        When it may not be looked at.
    """
    try:
        return sorted(path.iterdir()) if path.is_dir() else []
    except OSError as error:
        raise reading.failure(path, error) from error


def frames(paths: Sequence[Path], name: str, **told: object) -> Source:
    """Files of one frame each, in this order, as (frame, row, col); each is checked before the first is read.

    Parameters
    ----------
    paths : sequence of Path
    name : str
        What messages call them.
    told
        As for `bonectl.scanners._projections.header`; the pixel's size is the files' own where nothing is told.
    """
    checked: list[Stack] = []
    if len(paths) > 1:
        checked.append(files.read(paths, name))
        there = checked[0].header
    else:
        with io.open(paths[0]) as stack:
            there = stack.header
    told = {"pitch": there.spacing[1:]} | {key: value for key, value in told.items() if value is not None}
    whole = header(there.shape, there.dtype, name, **told)  # type: ignore[arg-type]

    @contextmanager
    def open_() -> Iterator[Stack]:
        if len(paths) > 1:
            yield Stack(whole, (checked.pop() if checked else files.read(paths, name)).slabs)
            return
        with io.open(paths[0]) as stack:
            yield Stack(whole, stack.slabs)

    return Source(whole, open_)
