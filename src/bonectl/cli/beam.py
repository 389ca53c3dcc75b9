"""Readings without the sample, as the options name them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bonectl.cli.options import Request
from bonectl.cli.scan_files import frames
from bonectl.core import kit, progress
from bonectl.core.spec import Spec
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.scan import Frames
    from bonectl.core.stack import Stack
    from bonectl.scanning.preparing import Beam


def told(
    request: Request, flats: Path | None, darks: Path | None, known: "Beam | None", specs: Iterable[Spec]
) -> "Beam":
    """Flats and darks from files, or else those that come with the scan.

    Raises
    ------
    UsageError
        When darks are given without flats, no step looks at them, or a file is the scan itself.
    """
    from bonectl.scanning.preparing import KIT, Beam

    if (flats or darks) and not any(kit.fact(KIT, spec.name, "FRAMES") for spec in specs):
        raise UsageError("--flats and --darks are given, and no step looks at them; write flats where it belongs")

    if darks is not None and flats is None and (known is None or known.flats is None):
        raise UsageError("--darks without --flats; give both, or none")
    known = known or Beam()
    return Beam(
        known.flats if flats is None else _frames(request, "--flats", flats),
        known.darks if darks is None else _frames(request, "--darks", darks),
    )


def _frames(request: Request, option: str, path: Path) -> "Frames":
    from bonectl.core.scan import Frames, Source

    @contextmanager
    def opened() -> "Iterator[Stack]":
        with frames(request, option, path) as stack:
            yield stack

    with opened() as stack:
        header = stack.header

    @contextmanager
    def again() -> "Iterator[Stack]":
        with progress.silence(), opened() as stack:  # what is to be said of the files was said
            yield stack

    return Frames(Source(header, again))
