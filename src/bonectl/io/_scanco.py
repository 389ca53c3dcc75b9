"""What the two formats of Scanco scanners share: numbers as VAX wrote them, and densities from native values."""

import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, BinaryIO

from bonectl.core import arrival
from bonectl.core.calibration import Calibration
from bonectl.core.header import Header
from bonectl.core.lengths import is_length
from bonectl.core.slabs import Array, thickness
from bonectl.errors import DataError


def vax_float(raw: bytes) -> float:
    """A number of 4 bytes: words swapped, and an exponent 2 higher than that of IEEE 754 (VAX F_floating)."""
    low, high = struct.unpack("<HH", raw)
    return float(struct.unpack("<f", struct.pack("<I", low << 16 | high))[0]) / 4


def vax_double(raw: bytes) -> float:
    """A number of 8 bytes (VAX G_floating)."""
    words = struct.unpack("<4H", raw)
    joined = words[0] << 48 | words[1] << 32 | words[2] << 16 | words[3]
    return float(struct.unpack("<d", struct.pack("<Q", joined))[0]) / 4


@dataclass(frozen=True)
class Constants:
    """What a header says of its native values.

    Parameters
    ----------
    mu_scaling : float
        Native value per attenuation of 1/cm.
    mu_water : float
        Attenuation of water [1/cm].
    slope, intercept : float
        Mineral density from attenuation: [mgHA/cm³ per 1/cm], and [mgHA/cm³].
    """

    mu_scaling: float
    mu_water: float
    slope: float
    intercept: float

    @property
    def are_known(self) -> bool:
        """Whether they make density of native values."""
        return (
            self.mu_scaling > 0 and self.slope > 0 and all(map(isfinite, (self.mu_scaling, self.slope, self.intercept)))
        )

    def told(self) -> dict[str, Any]:
        """Unit, scaling and calibration of a header: mineral density where the constants are known, else grey."""
        if not self.are_known:
            return {"unit": "grey"}
        source = f"scanco({', '.join(f'{key}={value!r}' for key, value in asdict(self).items())})"
        return {
            "unit": "mgHA/cm3",
            "scaling": (self.slope / self.mu_scaling, self.intercept),
            "calibration": Calibration(self.slope, self.intercept, source),
        }


def side(length: float) -> float | None:
    """Side of a voxel [mm]; None where a header says no length."""
    return length if is_length(length) else None


def received(file: BinaryIO, size: int, name: str, what: str) -> bytes:
    """Bytes of a header.

    Raises
    ------
    DataError
        When the file ends before.
    """
    raw = bytes(arrival.receive(file, size))
    if len(raw) < size:
        raise DataError(f"{name}: ends in its {what}, after {len(raw)} of {size} bytes; copy it again")
    return raw


def slabs(file: BinaryIO, header: Header, name: str) -> Iterator[Array]:
    """Voxels that lie one after the other, x fastest."""
    size = thickness(header.slice_bytes)
    for start in range(0, header.shape[0], size):
        count = min(size, header.shape[0] - start)
        raw = arrival.receive_values(file, count * header.slice_bytes)
        whole = len(raw) // header.slice_bytes
        if whole:
            part: Array = raw[: whole * header.slice_bytes].view(header.dtype)
            yield part.reshape(whole, *header.shape[1:])
        if whole < count:
            raise arrival.promised(name, start + whole, header.shape[0])
