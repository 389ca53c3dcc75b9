"""Files beside a scan: what was read without a sample, and the angles of its views."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bonectl.cli import streams
from bonectl.cli.options import DASH, Request
from bonectl.core import kit, progress
from bonectl.core.counted import counted
from bonectl.core.spec import Spec
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.geometry import Angles, Geometry
    from bonectl.core.scan import Frames, Scan
    from bonectl.core.slabs import Array
    from bonectl.core.stack import Stack
    from bonectl.scanning.lines import Fields
    from bonectl.scanning.preparing import Beam


@dataclass(frozen=True, kw_only=True)
class ScanFiles:
    """What the options name beside the scan.

    Parameters
    ----------
    flats, darks : Path, optional
        Frames with and without beam: a file, a folder or a pattern.
    angles : str, optional
        An arc in degrees, or a file with one angle per view.
    fill : bool
        Whether dead pixels are taken from their neighbours.
    scan : Scan, optional
        What the scanner left, for all that no option gives.

    Raises
    ------
    UsageError
        When darks come without flats.
    """

    flats: Path | None
    darks: Path | None
    angles: str | None
    fill: bool = True
    scan: "Scan | None" = None

    def __post_init__(self) -> None:
        if self.darks is not None and self.flats is None and (self.scan is None or self.scan.flats is None):
            raise UsageError("--darks without --flats; give both, or none")

    @property
    def read(self) -> dict[str, Path | None]:
        """The files, by their name in the history."""
        return {"flats": self.flats, "darks": self.darks, "angles": self._file_of_angles}

    @property
    def _file_of_angles(self) -> Path | None:
        """The file that --angles names, where it is no arc."""
        return file_of_angles(self.angles)

    def told_angles(self) -> "Angles | float | None":
        """An arc, or the angles of a file; those of the scan where no option gives them."""
        if self.angles is None and self.scan is not None and self.scan.header.geometry is None:
            return self.scan.angles
        return told_angles(self.angles)

    def beam(self, request: Request, specs: Iterable[Spec] | None = None) -> "Beam":
        """Readings without the sample, and without beam: those of the options, or else those that came with the scan.

        Parameters
        ----------
        request : Request
        specs : sequence of Spec, optional
            The steps that they are for; readings that are named and that none of them looks at are refused.

        Raises
        ------
        UsageError
            When no step looks at them, or a file is the scan itself.
        """
        from bonectl.scanning.preparing import KIT, Beam

        unseen = specs is not None and not any(kit.fact(KIT, spec.name, "FRAMES") for spec in specs)
        if unseen and (self.flats or self.darks):
            raise UsageError("--flats and --darks are given, and no step looks at them; write flats where it belongs")
        return Beam(self._frames(request, "flats"), self._frames(request, "darks"))

    def fields(self, request: Request) -> "Fields | None":
        """What the detector reads without a sample, averaged over frames."""
        from bonectl.scanning.lines import Fields

        beam = self.beam(request)
        if beam.flats is None:
            return None
        darks = None if beam.darks is None else _collected(beam.darks)
        return Fields.averaged(_collected(beam.flats), darks, fill=self.fill)

    def _frames(self, request: Request, role: str) -> "Frames | None":
        """The frames of a role."""
        path: Path | None = getattr(self, role)
        if path is not None:
            return _named(request, f"--{role}", path)
        left: Frames | None = None if self.scan is None else getattr(self.scan, role)
        return left

    def tell_claims(self, request: Request, geometry: "Geometry", *, told: bool) -> None:
        """Say what is taken on trust: an arc, over which a scan that broke off would be spread; no light without beam.

        Parameters
        ----------
        request : Request
        geometry : Geometry
        told : bool
            Whether the geometry is the options', and not the scan's own.
        """
        if (self.angles or told) and self._file_of_angles is None:
            count, step = geometry.angles.count, geometry.angles.step
            progress.note(f"{counted(count, 'view')} over {count * step:g} degrees, one every {step:.4g}")
        if self.flats is not None and self.darks is None and self.scan is None:  # of a scan it is said already
            progress.note(f"no --darks: readings without beam are taken as 0{_left_lying(request, self.flats)}")


def told_angles(text: str | None) -> "Angles | float | None":
    """An arc in degrees, or the angles of a file."""
    path = file_of_angles(text)
    if path is None:
        return None if text is None else float(text)
    from bonectl.core.angles import listed

    return listed(path)


def file_of_angles(text: str | None) -> Path | None:
    """The file that --angles names, where it is no arc."""
    if text is None:
        return None
    try:
        float(text)
    except ValueError:
        return Path(text)
    return None


def _named(request: Request, option: str, path: Path) -> "Frames":
    """The frames that an option names, to be read as often as is wanted."""
    from bonectl.core.scan import Frames, Source
    from bonectl.core.stack import Stack

    with _opened(request, option, path) as stack:
        header = stack.header
        held = stack.collect() if streams.comes_once(path) else None

    @contextmanager
    def again() -> "Iterator[Stack]":
        if held is not None:
            yield Stack.of(held, header)
            return
        with progress.silence(), _opened(request, option, path) as stack:  # what is to be said of the files was said
            yield stack

    return Frames(Source(header, again))


def _collected(frames: "Frames") -> "Array":
    with frames.source.open() as stack:
        return stack.collect()


@contextmanager
def _opened(request: Request, option: str, path: Path) -> Iterator["Stack"]:
    """The frames that an option names: a file, the files of that role in a folder, or a pattern."""
    if path == DASH:
        raise UsageError("only the scan itself can come from standard input; give flats and darks as files")
    from bonectl.io.slices import files, series

    role = option.removeprefix("--").removesuffix("s")
    named = series.frames(path, role) if path.is_dir() else []
    if len(named) > 1:
        yield files.read(named, str(path))
        return
    path = named[0] if named else path
    if (
        request.source != DASH
        and path.exists()
        and _home(request.source).exists()
        and path.samefile(_home(request.source))
    ):
        raise UsageError(f"{option} {path}: is the scan itself; give its frames, such as {path}/{role}_%04d.tif")
    with streams.opened(path, nan=None) as stack:
        if stack.header.shape[0] == 1 and (others := _others(path)):
            progress.note(f"{option} {path}: one frame is taken, {others} more like it lie beside; give a pattern")
        yield stack


def _home(source: Path) -> Path:
    """What a scan lies in: itself, or the folder of a pattern such as ``proj_%04d.tif``."""
    from bonectl.io.slices.series import PATTERN

    return source.parent if PATTERN.search(source.name) else source


def _left_lying(request: Request, flats: Path) -> str:
    """A word on dark frames that lie beside the scan or its flats and were not named."""
    from bonectl.io.slices import series

    for place in (_home(request.source), _home(flats)):
        home = place if place.is_dir() else place.parent
        if place != DASH and home.is_dir() and (dark := series.frames(home, "dark")):
            return f"; {dark[0].name} lies beside: give --darks {home}"
    return ""


def _others(path: Path) -> int:
    """How many files of the same series lie beside one that was named alone."""
    from bonectl.io.slices import series

    return series.beside(path)
