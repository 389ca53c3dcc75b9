"""Where each view's rays run: immutable values, equal by value, printed as the call that makes them."""

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bonectl.errors import DataError, UsageError

# An encoder's list of angles counts as uniform when no angle is further than this from the grid [degree]:
# 1e-7 degree moves the rim of a 4096-pixel slice by 4e-6 pixel.
UNIFORM_TOLERANCE = 1e-7
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
        if not (isfinite(self.start) and isfinite(self.step)):
            raise DataError(f"angles start at {self.start} and step by {self.step}; both must be finite")
        if self.listed is not None and len(self.listed) != self.count:
            raise DataError(f"{len(self.listed)} angles are listed for {self.count} views")

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
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DataError(f"angle {bad} of {values.size} is {values[bad]}; angles must be finite degrees")
        start = float(values[0])
        step = float(values[-1] - values[0]) / (values.size - 1) if values.size > 1 else 0.0
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
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, zlib.error) as error:
            raise DataError(f"the header's list of angles is damaged ({error})") from error


# Voxels that the source must keep from the circle around the grid.
NEAREST = 2

KINDS = ("parallel", "fan", "cone")


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

    Raises
    ------
    UsageError
        When a length or a count is not positive, sdd is shorter than sod, or the source could touch the grid.
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

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"no geometry {self.kind!r}; there are {', '.join(KINDS)}")
        for name in ("rows", "columns", "size"):
            if getattr(self, name) < 1:
                raise UsageError(f"geometry has {name} = {getattr(self, name)}; it must be at least 1")
        for name in ("pitch", "row_pitch", "voxel"):
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise UsageError(f"geometry has {name} = {value} mm; it must be a positive length")
        if not isfinite(self.centre):
            raise UsageError(f"the rotation axis is at column {self.centre}; it must be a finite column")
        self._check_beam()

    def _check_beam(self) -> None:
        if self.slices is not None and (self.kind != "cone" or self.slices < 1):
            raise UsageError(f"{self.slices} slices in a {self.kind} beam; a cone beam takes at least 1, others none")
        if self.kind == "parallel":
            return
        if self.sod is None or self.sdd is None or not 0 < self.sod <= self.sdd < float("inf"):
            raise UsageError(f"a {self.kind} beam needs 0 < sod <= sdd in mm, not {self.sod} and {self.sdd}")
        rim = (self.size / sqrt(2) + NEAREST) * self.voxel
        if rim >= self.sod:
            raise UsageError(
                f"the source is {self.sod:g} mm from the axis; the corners of this grid need more than {rim:g} mm"
            )

    @property
    def views(self) -> int:
        """Number of views."""
        return self.angles.count

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, views, columns) of the scan in sinogram order."""
        return self.rows, self.angles.count, self.columns

    @property
    def covers_grid(self) -> bool:
        """Whether every ray through the circle inscribed in the grid meets the detector in all views."""
        radius = self.size * self.voxel / 2
        if self.sod and self.sdd:  # where the tangents of the circle meet the detector
            radius *= self.sdd / sqrt(self.sod**2 - radius**2)
        near = min(self.centre + 0.5, self.columns - 0.5 - self.centre) * self.pitch
        return near >= radius * (1 - 1e-9)

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
        if self.slices is not None:
            value["slices"] = self.slices
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises DataError on anything else."""
        try:
            numbers: dict[str, Any] = {k: kind(value[k]) for k, kind in _NUMBERS.items()}
            numbers |= {k: float(value[k]) for k in ("sod", "sdd") if value.get(k) is not None}
            if value.get("slices") is not None:
                numbers["slices"] = int(value["slices"])
            return cls(kind=str(value["kind"]), angles=Angles.from_json(value["angles"]), **numbers)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, UsageError) as error:
            raise DataError(f"the header's geometry is damaged ({error})") from error


_NUMBERS: dict[str, Any] = {
    "rows": int, "columns": int, "pitch": float, "row_pitch": float, "centre": float, "size": int, "voxel": float,
}  # fmt: skip
