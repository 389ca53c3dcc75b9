"""What a scanner left on disk: projections (or a volume), frames without sample, angles, and what is missing."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from bonectl.core.geometry import Angles
from bonectl.core.header import Fact, Header
from bonectl.core.stack import Stack


@dataclass(frozen=True, eq=False)
class Source:
    """A stack that can be opened, and as often as it is wanted.

    Parameters
    ----------
    header : Header
        What every opening announces.
    open : callable
        Gives a context in which the stack may be walked once.
    """

    header: Header
    open: Callable[[], AbstractContextManager[Stack]] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Frames:
    """Readings of the detector that are no view of the sample: flats or darks.

    Parameters
    ----------
    source : Source
        (frame, row, col), in the unit of the projections.
    at : tuple of float
        How many projections had been read when each frame was: 0 for those before the first, the number of views for
        those after the last. Empty where that is not known.
    """

    source: Source
    at: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.source.header.shape[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class Scan:
    """A scan, or a volume, as the scanner's own files tell it.

    Parameters
    ----------
    kind : str
        The part of the kit `scanners` that read it.
    name : str
        What messages call it.
    files : tuple of Path
        Everything that it is made of; whether one of them changed decides whether it is processed again.
    stack : Source
        Projections (view, row, col), counts where `flats` are still to be taken off; or a volume. Its header carries
        the geometry where the files say all of it, as for a cone beam.
    flats, darks : Frames, optional
        Readings with the beam and without the sample, and without beam.
    angles : Angles, optional
        Of the views [degree], where the header has no geometry yet; None where the files say none.
    centre : float, optional
        Detector column (0-based, fractional) of the rotation axis, where the files state it.
    problems : tuple of str
        What stands in the way of a reconstruction, each with what to do.
    notes : tuple of str
        What a person should know and may be right.
    facts : mapping
        Further facts for `bonectl info`, such as the scanner's name; no name of a person or a path.
    """

    kind: str
    name: str
    files: tuple[Path, ...]
    stack: Source
    flats: Frames | None = None
    darks: Frames | None = None
    angles: Angles | None = None
    centre: float | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @property
    def header(self) -> Header:
        """Of the projections or the volume."""
        return self.stack.header

    @property
    def is_volume(self) -> bool:
        """Whether it is reconstructed already."""
        return not self.header.is_scan

    def replace(self, **changes: Any) -> Self:
        """A copy with some facts changed: what an option overrides."""
        return replace(self, **changes)
