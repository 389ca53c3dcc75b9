"""What is known about a stack before its first voxel arrives."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from bonectl.core.calibration import Calibration
from bonectl.core.geometry import Geometry
from bonectl.core.lengths import SPOKEN, PartialSpacing, is_cubic, is_length
from bonectl.errors import DataError, UsageError

VERSION = 1

VOLUME = ("z", "y", "x")
SINOGRAMS = ("row", "view", "col")
PROJECTIONS = ("view", "row", "col")
AXES = (VOLUME, SINOGRAMS, PROJECTIONS)

# What a value may mean, and the tool or option that makes such data.
UNITS = MappingProxyType(
    {
        "counts": "detector counts, as a detector or `bonectl simulate --unit counts` gives them",
        "transmission": "fraction of the beam that passes",
        "line integral": "-ln of the transmission, as `bonectl simulate` gives it",
        "1/cm": "linear attenuation, as `bonectl reconstruct` gives it",
        "mgHA/cm3": "mineral density, as `bonectl phantom` or a calibrated reconstruction gives it",
        "mm": "length, as `bonectl measure --map` gives it",
        "label": "a mask: 0 is background",
        "grey": "uncalibrated grey values",
    }
)

DTYPES = ("|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")

# Larger stacks than this are refused as damage: 2**48 voxels are a petabyte of float32.
MOST_VOXELS = 2**48

# Hexadecimal digits of a SHA-256 that a history keeps.
DIGITS = 16

Fact = float | int | str


@dataclass(frozen=True)
class Entry:
    """One command that touched the data.

    Parameters
    ----------
    command : str
        The command line, cut to `COMMAND_LENGTH` characters.
    version : str
        Version of bonectl.
    time : str
        When it ran, ISO 8601 in UTC.
    notes : mapping
        Seed, device, hash of model weights, and the like.
    """

    command: str
    version: str
    time: str
    notes: Mapping[str, Fact] = field(default_factory=dict)

    COMMAND_LENGTH = 400

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", MappingProxyType(dict(self.notes)))
        if len(self.command) > self.COMMAND_LENGTH:
            digest = hashlib.sha256(self.command.encode()).hexdigest()[:DIGITS]
            cut = self.command[: self.COMMAND_LENGTH - 30]
            object.__setattr__(self, "command", f"{cut}... [sha256 {digest}]")

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        value: dict[str, Any] = {"command": self.command, "version": self.version, "time": self.time}
        return value | ({"notes": dict(self.notes)} if self.notes else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; raises DataError on anything else."""
        try:
            notes = _facts(value.get("notes", {}))
            return cls(str(value["command"]), str(value["version"]), str(value["time"]), notes)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"the header's history is damaged ({error})") from error


@dataclass(frozen=True, kw_only=True)
class Header:
    """Shape, meaning and provenance of a stack.

    Parameters
    ----------
    shape : tuple of int
        Length along each of the three axes.
    dtype : str
        One of `DTYPES` (numpy's array-interface string, little-endian).
    axes : tuple of str
        `VOLUME`, `SINOGRAMS` or `PROJECTIONS`.
    spacing : tuple
        Step along each axis [mm]; None where unknown, and for the view axis.
    unit : str
        One of `UNITS`.
    geometry : Geometry, optional
        How the scan was taken; for scans only.
    calibration : Calibration, optional
        Attenuation to mineral density.
    acquisition : mapping
        Facts of the exposure: ``energy_kev``, ``photons``, ``views``, ``white``, ``blur_px`` ... A scan's ``views``
        are counted, not believed.
    answers : mapping
        Known answers of a phantom, by metric name with its unit.
    region_of_interest : bool
        Whether what was scanned reaches beyond the detector (local tomography): the absolute values of a volume are
        not to be trusted then.
    scaling : tuple of (float, float), optional
        Slope and intercept where whole numbers are stored for values: value = slope · stored + intercept. Readers give
        the values (`bonectl.core.stack.Stack.restored`).
    history : tuple of Entry
        The commands that made this, oldest first.
    forgotten : tuple of (int, str), optional
        How many oldest entries were dropped to keep the header short, and their hash.

    Raises
    ------
    UsageError
        When the values contradict each other.
    """

    shape: tuple[int, int, int]
    dtype: str = "<f4"
    axes: tuple[str, str, str] = VOLUME
    spacing: PartialSpacing = (None, None, None)
    unit: str = "grey"
    geometry: Geometry | None = None
    calibration: Calibration | None = None
    acquisition: Mapping[str, Fact] = field(default_factory=dict)
    answers: Mapping[str, float] = field(default_factory=dict)
    region_of_interest: bool = False
    scaling: tuple[float, float] | None = None
    history: tuple[Entry, ...] = ()
    forgotten: tuple[int, str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "acquisition", MappingProxyType(self._exposure()))
        object.__setattr__(self, "answers", MappingProxyType(dict(self.answers)))
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise UsageError(f"a stack of shape {self.shape}; three positive lengths are needed")
        if prod(self.shape) > MOST_VOXELS:
            raise UsageError(f"a stack of shape {self.shape} is larger than any scan")
        if self.dtype not in DTYPES:
            raise UsageError(f"values of type {self.dtype!r}; there are {', '.join(DTYPES)}")
        if self.axes not in AXES:
            raise UsageError(f"axes {self.axes}; there are {', '.join('(' + ', '.join(a) + ')' for a in AXES)}")
        if self.unit not in UNITS:
            raise UsageError(f"unit {self.unit!r}; there are {', '.join(UNITS)}")
        for axis, step in zip(self.axes, self.spacing, strict=True):
            if step is not None and not is_length(step):
                raise UsageError(f"the spacing along {axis} is {step} mm; it must be {SPOKEN}")
        if self.scaling is not None:
            self._check_scaling(*self.scaling)
        if self.geometry is not None:
            self._check_scan(self.geometry)

    def _check_scaling(self, slope: float, intercept: float) -> None:
        if self.dtype[1] not in "iu" or not (isfinite(slope) and slope > 0 and isfinite(intercept)):
            raise UsageError(f"{self.dtype} values of slope {slope} and intercept {intercept} stand for no others")

    def _exposure(self) -> dict[str, Fact]:
        """The facts of the exposure; a scan has as many views as are there, whatever it had once."""
        facts = dict(self.acquisition)
        if "views" in facts and "view" in self.axes:
            facts["views"] = dict(zip(self.axes, self.shape, strict=False))["view"]
        return facts

    def _check_scan(self, geometry: Geometry) -> None:
        if self.axes == VOLUME:
            raise UsageError("a volume carries no scan geometry")
        lengths = dict(zip(self.axes, self.shape, strict=True))
        for axis, there in (("row", geometry.rows), ("view", geometry.views), ("col", geometry.columns)):
            if lengths[axis] != there:
                raise DataError(
                    f"the scan has {lengths[axis]} {axis}s, but its geometry {there}; give matching angles or shape"
                )

    @property
    def is_scan(self) -> bool:
        """Whether this is a scan (sinograms or projections) and not a volume."""
        return self.axes != VOLUME

    @property
    def item_bytes(self) -> int:
        """Bytes of one value."""
        return np.dtype(self.dtype).itemsize

    @property
    def slice_bytes(self) -> int:
        """Bytes of one slice along the first axis."""
        return self.shape[1] * self.shape[2] * self.item_bytes

    @property
    def total_bytes(self) -> int:
        """Bytes of all values."""
        return self.shape[0] * self.slice_bytes

    @property
    def voxel(self) -> float:
        """Side of the isotropic voxel of a volume [mm].

        Raises
        ------
        UsageError
            When the spacing is unknown or not isotropic within 0.1 %.
        """
        sides = [s for s in self.spacing if s is not None]
        if self.is_scan or len(sides) < 3:
            raise UsageError("the voxel size is unknown; give --voxel-size in mm")
        if not is_cubic(sides):
            raise UsageError(f"voxels of {' × '.join(f'{s:g}' for s in sides)} mm; cubic voxels are needed")
        return sides[2]

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked like a new one."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """As JSON values: everything but shape and dtype, which the array format itself carries."""
        value: dict[str, Any] = {
            "bonectl": VERSION,
            "axes": list(self.axes),
            "spacing_mm": list(self.spacing),
            "unit": self.unit,
        }
        if self.geometry is not None:
            value["geometry"] = self.geometry.to_json()
        if self.calibration is not None:
            value["calibration"] = self.calibration.to_json()
        if self.acquisition:
            value["acquisition"] = dict(self.acquisition)
        if self.answers:
            value["answers"] = dict(self.answers)
        if self.region_of_interest:
            value["region_of_interest"] = True
        if self.scaling:
            value["scaling"] = {"dtype": self.dtype, "slope": self.scaling[0], "intercept": self.scaling[1]}
        if self.history:
            value["history"] = [entry.to_json() for entry in self.history]
        if self.forgotten:
            value["forgotten"] = list(self.forgotten)
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any], shape: Iterable[int], dtype: str) -> Self:
        """The inverse of `to_json`; raises DataError on anything else."""
        try:
            if value["bonectl"] != VERSION:
                raise DataError(f"header version {value['bonectl']!r} is not {VERSION}; a newer bonectl may read it")
            geometry, calibration = value.get("geometry"), value.get("calibration")
            forgotten = value.get("forgotten")
            return cls(
                shape=tuple(int(n) for n in shape),  # type: ignore[arg-type]
                dtype=dtype,
                axes=tuple(str(a) for a in value["axes"]),  # type: ignore[arg-type]
                spacing=tuple(None if s is None else float(s) for s in value["spacing_mm"]),  # type: ignore[arg-type]
                unit=str(value["unit"]),
                geometry=None if geometry is None else Geometry.from_json(geometry),
                calibration=None if calibration is None else Calibration.from_json(calibration),
                acquisition=_facts(value.get("acquisition", {})),
                answers={str(k): float(v) for k, v in value.get("answers", {}).items()},
                region_of_interest=_truth(value.get("region_of_interest", False)),
                scaling=_scaling(value.get("scaling"), dtype),
                history=tuple(Entry.from_json(entry) for entry in value.get("history", ())),
                forgotten=None if forgotten is None else (int(forgotten[0]), str(forgotten[1])),
            )
        except (
            KeyError,
            TypeError,
            ValueError,
            IndexError,
            OverflowError,
            AttributeError,
            UsageError,
        ) as error:
            raise DataError(f"the bonectl header is damaged ({error})") from error

    def forget(self, count: int) -> Self:
        """A copy without its `count` oldest history entries; their number and hash stay."""
        before, digest = self.forgotten or (0, "")
        text = digest + json.dumps([entry.to_json() for entry in self.history[:count]])
        digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
        return replace(self, history=self.history[count:], forgotten=(before + count, digest))


def _facts(value: Mapping[str, Any]) -> dict[str, Fact]:
    """Check that a mapping holds plain numbers and words."""
    for key, fact in value.items():
        if not isinstance(fact, float | int | str):
            raise TypeError(f"{key} is {fact!r}")
    return {str(key): fact for key, fact in value.items()}


def _scaling(value: Mapping[str, Any] | None, dtype: str) -> tuple[float, float] | None:
    """Slope and intercept of values that are still stored in the type that they are of."""
    if value is None:
        return None
    if value["dtype"] != dtype:
        raise UsageError(f"its scaling is of {value['dtype']}, its values are {dtype}: another program changed them")
    return float(value["slope"]), float(value["intercept"])


def _truth(value: object) -> bool:
    """Check that a value is true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"region_of_interest is {value!r}")
    return value
