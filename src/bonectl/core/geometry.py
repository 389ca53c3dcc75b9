"""Where each view's rays run: immutable values, equal by value, printed as the call that makes them."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, cos, radians, sin, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bonectl.core.counted import counted
from bonectl.core.lengths import MOST, SPOKEN, is_length
from bonectl.errors import DataError, UsageError

# No scan turns further [degree]: a degree of so many is still told to a millionth.
MOST_DEGREES = 1e9
# No axis is further away from the detector's first pixel [pixel].
FARTHEST = 1e7

# An encoder's list of angles counts as uniform when no angle is further than this from the grid [degree]: the half of
# the sixth decimal of a text file. It moves the rim of a 4096-pixel slice by 2e-5 pixel.
UNIFORM_TOLERANCE = 5.1e-7
# Arcs over which scans are spread evenly [degree]: a grid of one is taken for itself, not for its rounded ends.
ARCS = (180.0, 360.0)
# Irregular angles are kept to this step [degree] (2e-3 pixel at the rim of a 2048-pixel slice), so that a
# thousand of them fit into a stream header and survive the trip unchanged.
ANGLE_STEP = 1e-4


@dataclass(frozen=True)
class Angles:
    """View angles in degrees: a uniform grid, or an explicit list.

    Parameters
    ----------
    start, step : float
        First angle and increment [degree].
    count : int
        Number of views.
    listed : tuple of float, optional
        All angles [degree] when they lie on no uniform grid; `start` and `step` are then not used.
    """

    start: float
    step: float
    count: int
    listed: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"a scan of {self.count} views; at least 1 view is needed")
        if not (abs(self.start) <= MOST_DEGREES and abs(self.step) <= MOST_DEGREES):
            raise UsageError(f"angles start at {self.start} and step by {self.step} degrees; no scan turns so far")
        if self.listed is not None and len(self.listed) != self.count:
            raise DataError(
                f"{counted(len(self.listed), 'angle is', 'angles are')} listed for {counted(self.count, 'view')}"
            )

    @classmethod
    def of(cls, degrees: Sequence[float] | NDArray[np.floating[Any]]) -> Self:
        """Angles from a list [degree], recognised as uniform where they are.

        Raises
        ------
        DataError
            When the list is empty, or an angle is not finite.
        """
        values = np.asarray(degrees, dtype=np.float64).ravel()
        if values.size == 0:
            raise DataError("the list of angles is empty")
        if (wrong := ~(np.abs(values) <= MOST_DEGREES)).any():
            bad = int(np.flatnonzero(wrong)[0])
            raise DataError(f"angle {bad} of {values.size} is {values[bad]}; angles must be finite degrees")
        start = float(values[0])
        for step in _steps(values):
            if np.abs(start + step * np.arange(values.size) - values).max() <= UNIFORM_TOLERANCE:
                return cls(start, step, values.size)
        return cls(0.0, 0.0, values.size, tuple((np.rint(values / ANGLE_STEP) * ANGLE_STEP).tolist()))

    @cached_property
    def degrees(self) -> NDArray[np.float64]:
        """All angles, (views,) [degree]; read only."""
        listed = self.listed
        values: NDArray[np.float64] = np.asarray(
            self.start + self.step * np.arange(self.count) if listed is None else listed, dtype=np.float64
        )
        values.flags.writeable = False
        return values

    @cached_property
    def radians(self) -> NDArray[np.float64]:
        """All angles, (views,) [radian]; read only."""
        values: NDArray[np.float64] = np.asarray(np.deg2rad(self.degrees))
        values.flags.writeable = False
        return values

    @property
    def full_turn(self) -> bool:
        """Whether views go all around: no gap between directions is wider than two even ones, or 5 degrees."""
        turn = np.sort(np.mod(self.degrees, 360.0))
        widest = float(np.diff(turn, append=turn[0] + 360.0).max())
        return self.count > 2 and widest <= max(2 * 360.0 / self.count, 5.0)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, views: slice) -> "Angles":
        chosen = range(self.count)[views]
        if not chosen:
            raise UsageError(f"views {views} of {self.count} are none; choose at least one view")
        if self.listed is not None:
            return Angles.of([self.listed[i] for i in chosen])
        return Angles(self.start + self.step * chosen.start, self.step * chosen.step, len(chosen))

    def to_json(self) -> dict[str, Any]:
        """As JSON values: three numbers, or the packed list (`ANGLE_STEP` units, differences, deflate, base85)."""
        if self.listed is None:
            return {"start": self.start, "step": self.step, "count": self.count}
        ticks = np.rint(np.array(self.listed) / ANGLE_STEP).astype("<i4")
        packed = zlib.compress(np.diff(ticks, prepend=np.int32(0)).astype("<i4").tobytes(), 9)
        return {"count": self.count, "packed": base64.b85encode(packed).decode("ascii")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises DataError on anything else."""
        try:
            count = int(value["count"])
            if "packed" not in value:
                return cls(float(value["start"]), float(value["step"]), count)
            if not 1 <= count <= 1_000_000:
                raise ValueError(count)
            unpack = zlib.decompressobj()
            raw = unpack.decompress(base64.b85decode(value["packed"]), 4 * count + 1)
            ticks = np.cumsum(np.frombuffer(raw, dtype="<i4"), dtype=np.int64)
            return cls(0.0, 0.0, count, tuple((ticks * ANGLE_STEP).tolist()))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, UsageError, zlib.error) as error:
            raise DataError(f"the header's list of angles is damaged ({error})") from error


def _steps(degrees: NDArray[np.float64]) -> list[float]:
    """Increments that a list of angles may have [degree]: those of whole arcs, with their end as a view or not."""
    span, gaps = float(degrees[-1] - degrees[0]), degrees.size - 1
    if not gaps:
        return [0.0]
    arcs = [float(np.copysign(arc, span)) / count for arc in ARCS for count in (gaps + 1, gaps)]
    return [*arcs, span / gaps]


# Voxels that the source must keep from the circle around the grid.
NEAREST = 2

KINDS = ("parallel", "fan", "cone")

# A detector that goes all around sees a circle this much wider than itself when its axis is meant to be off the middle.
HALF_ACQUISITION = 1.1

# Largest angle by which a detector may be turned out of its upright position [degree].
LEANING = 45.0


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How a scan was taken: angles, detector, rotation axis, and the grid it is reconstructed on.

    Parameters
    ----------
    kind : {"parallel", "fan", "cone"}
        Shape of the beam.
    angles : Angles
        One angle per view.
    rows, columns : int
        Detector pixels along the rotation axis, and across it.
    pitch, row_pitch : float
        Distance between detector columns, and between rows [mm].
    centre : float
        Detector column (0-based, fractional) on which the rotation axis projects.
    size : int
        Side of the square (y, x) grid of voxels that is scanned or reconstructed.
    voxel : float
        Side of a voxel of that grid [mm].
    sod, sdd : float, optional
        Source to rotation axis, and source to detector [mm]; None for a parallel beam.
    slices : int, optional
        Slices of the grid, `voxel` apart, in a cone beam; None: as many as detector rows, which is the only
        possibility for other beams.
    row_centre : float, optional
        Detector row (0-based, fractional) that lies in the plane of a cone beam's orbit, at column `centre`; None:
        the middle of the rows.
    roll, tilt, slant : float
        How the detector is turned out of its upright position [degree], below 45 either way: `detector_axes` says
        how. A cone beam takes all three, a fan slant, a parallel beam none.

    Raises
    ------
    UsageError
        When a length or a count is not positive, sdd is shorter than sod, the source could touch the grid, or the
        detector is turned or shifted in a way that the beam does not take.
    """

    kind: str
    angles: Angles
    rows: int
    columns: int
    pitch: float
    row_pitch: float
    centre: float
    size: int
    voxel: float
    sod: float | None = None
    sdd: float | None = None
    slices: int | None = None
    row_centre: float | None = None
    roll: float = 0.0
    tilt: float = 0.0
    slant: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"no geometry {self.kind!r}; there are {', '.join(KINDS)}")
        for name in ("pitch", "row_pitch", "voxel"):  # lengths first: counts are derived from them
            value = getattr(self, name)
            if not is_length(value):
                raise UsageError(f"geometry has {name} = {value} mm; it must be {SPOKEN}")
        for name in ("rows", "columns", "size"):
            if getattr(self, name) < 1:
                raise UsageError(f"geometry has {name} = {getattr(self, name)}; it must be at least 1")
        if not abs(self.centre) <= FARTHEST:
            raise UsageError(f"the rotation axis is at column {self.centre}; it must be a column near the detector")
        self._check_detector()
        self._check_beam()

    def _check_detector(self) -> None:
        if self.row_centre is not None and not abs(self.row_centre) <= FARTHEST:
            raise UsageError(
                f"the orbit's plane meets the detector at row {self.row_centre}; it must be near the detector"
            )
        for name in ("roll", "tilt", "slant"):
            value = getattr(self, name)
            if not abs(value) < LEANING:
                raise UsageError(f"the detector has {name} = {value} degrees; it must be below {LEANING:g} either way")
        given = {"row_centre": self.row_centre is not None, "roll": self.roll, "tilt": self.tilt, "slant": self.slant}
        taken = {"parallel": (), "fan": ("slant",), "cone": tuple(given)}[self.kind]
        for name in (name for name, value in given.items() if value and name not in taken):
            raise UsageError(f"{name} = {getattr(self, name):g}: a {self.kind} beam takes no {name}; a cone beam does")

    def _check_beam(self) -> None:
        if self.slices is not None and (self.kind != "cone" or self.slices < 1):
            raise UsageError(
                f"{counted(self.slices, 'slice')} in a {self.kind} beam; a cone beam takes at least 1, others none"
            )
        if self.kind == "parallel":
            return
        if self.sod is None or self.sdd is None or not 0 < self.sod <= self.sdd <= MOST:
            raise UsageError(f"a {self.kind} beam needs 0 < sod <= sdd in mm, not {self.sod} and {self.sdd}")
        self._check_front(self.sdd)
        rim = (self.size / sqrt(2) + NEAREST) * self.voxel
        if rim >= self.sod:
            raise UsageError(
                f"the source is {self.sod:g} mm from the axis; the corners of this grid need more than {rim:g} mm"
            )

    def _check_front(self, sdd: float) -> None:
        (_, columns_lean, _), (_, rows_lean, _) = self.detector_axes.tolist()
        across = [(column - self.centre) * self.pitch * columns_lean for column in (0, self.columns - 1)]
        down = [(row - self.principal_row) * self.row_pitch * rows_lean for row in (0, self.rows - 1)]
        if sdd + min(across) + min(down) <= 0:
            raise UsageError(f"a corner of the turned detector lies behind the source, {sdd:g} mm from its middle")

    @property
    def views(self) -> int:
        """Number of views."""
        return self.angles.count

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, views, columns) of the scan in sinogram order."""
        return self.rows, self.angles.count, self.columns

    @property
    def principal_row(self) -> float:
        """Detector row (0-based, fractional) in the plane of the orbit, at column `centre`."""
        return (self.rows - 1) / 2 if self.row_centre is None else self.row_centre

    @property
    def detector_axes(self) -> NDArray[np.float64]:
        """Unit vectors along which columns and rows count, (2, 3), in the frame (e_u, e_n, e_v) of a view.

        At angle t, e_u = (cos t, sin t, 0) is the way columns of an upright detector count, e_n = (-sin t, cos t, 0)
        runs from the source through the axis, and e_v = (0, 0, 1) along the axis. The detector's plane is turned by
        `slant` about e_v (columns from e_u towards e_n), then by `tilt` about the columns' new direction (rows from
        e_v towards the new normal), then the detector by `roll` in its plane (columns towards rows). It turns about
        the point (`principal_row`, `centre`), which stays at distance sdd from the source.
        """
        slant, tilt, roll = radians(self.slant), radians(self.tilt), radians(self.roll)
        across = np.array([cos(slant), sin(slant), 0.0])
        down = np.array([-sin(slant) * sin(tilt), cos(slant) * sin(tilt), cos(tilt)])
        return np.stack([cos(roll) * across + sin(roll) * down, cos(roll) * down - sin(roll) * across])

    @property
    def is_upright(self) -> bool:
        """Whether the detector faces the source, with its columns along the axis."""
        return self.roll == self.tilt == self.slant == 0.0

    @property
    def covers_grid(self) -> bool:
        """Whether every ray through the circle inscribed in the grid is measured.

        By the detector's columns in all views; where these go all around, by one side of it at least. Judged in the
        plane of the orbit.
        """
        radius = self.size * self.voxel / 2
        needed = [radius, radius]
        if self.sod and self.sdd:  # where the tangents of the circle meet the detector
            slope = radius / sqrt(self.sod**2 - radius**2)
            slant = radians(self.slant)
            needed = [self.sdd * slope / max(cos(slant) - side * slope * sin(slant), 1e-12) for side in (-1, 1)]
            needed = [length * cos(radians(self.roll)) for length in needed]
        found = ((self.centre + 0.5) * self.pitch, (self.columns - 0.5 - self.centre) * self.pitch)
        enough = any if self.angles.full_turn else all
        return enough(have >= need * (1 - 1e-9) for have, need in zip(found, needed, strict=True))

    @property
    def seen(self) -> int:
        """Side of a grid of as many voxels as there are columns, or of what a longer side sees that goes all around.

        The latter where it is a tenth more: half acquisition.
        """
        longer = ceil(2 * max(self.centre + 0.5, self.columns - 0.5 - self.centre))
        return longer if self.angles.full_turn and longer > HALF_ACQUISITION * self.columns else self.columns

    @property
    def volume_shape(self) -> tuple[int, int, int]:
        """(z, y, x) of the grid."""
        return self.slices or self.rows, self.size, self.size

    def __getitem__(self, views: slice) -> Self:
        """The same scan with a subset of its views, as `geometry[::2]`."""
        return replace(self, angles=self.angles[views])

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked like a new one."""
        return replace(self, **changes)

    def __str__(self) -> str:
        angles = self.angles
        listed = ", angles=..." if angles.listed is not None else ""
        arc = angles.step * angles.count
        beam = "" if self.sod is None else f", sod={self.sod!r}, sdd={self.sdd!r}"
        beam += f", rows={self.rows}" if self.kind == "cone" else ""
        beam += "" if self.row_centre is None else f", row_centre={self.row_centre!r}"
        beam += "".join(f", {name}={getattr(self, name)!r}" for name in _TURNS if getattr(self, name))
        return (
            f"{self.kind}(views={angles.count}, arc={arc:.12g}, start={angles.start!r}, columns={self.columns}, "
            f"centre={self.centre!r}, pitch={self.pitch!r}{beam}{listed})"
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        value: dict[str, Any] = {
            "kind": self.kind,
            "angles": self.angles.to_json(),
            **{k: getattr(self, k) for k in _NUMBERS},
        }
        if self.sod is not None:
            value |= {"sod": self.sod, "sdd": self.sdd}
        value |= {name: getattr(self, name) for name in ("slices", "row_centre") if getattr(self, name) is not None}
        value |= {name: getattr(self, name) for name in _TURNS if getattr(self, name)}
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises DataError on anything else."""
        try:
            numbers: dict[str, Any] = {k: kind(value[k]) for k, kind in _NUMBERS.items()}
            optional = ("sod", "sdd", "row_centre", *_TURNS)
            numbers |= {k: float(value[k]) for k in optional if value.get(k) is not None}
            if value.get("slices") is not None:
                numbers["slices"] = int(value["slices"])
            return cls(kind=str(value["kind"]), angles=Angles.from_json(value["angles"]), **numbers)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, UsageError) as error:
            raise DataError(f"the header's geometry is damaged ({error})") from error


_NUMBERS: dict[str, Any] = {
    "rows": int, "columns": int, "pitch": float, "row_pitch": float, "centre": float, "size": int, "voxel": float,
}  # fmt: skip
_TURNS = ("roll", "tilt", "slant")
