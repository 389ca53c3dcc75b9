"""A file of view angles, one per view."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonectl.core import reading
from bonectl.core.geometry import Angles
from bonectl.errors import DataError, MissingInputError

# More than any list of angles has [byte].
# Views closer to one direction than this [degree] give no slice.
SAME_DIRECTION = 1e-3
# Angles of several views within so little were written in radians (2 pi, and a little).
FULL_TURN_IN_RADIANS = 6.4

MOST_BYTES = 64 << 20

_NPY = b"\x93NUMPY"


def listed(path: Path) -> Angles:
    """The angles of a text with one number per line, or of an NPY file with one axis [degree].

    Parameters
    ----------
    path : Path
        Recognised by its bytes. In a text, what follows ``#`` is no number.

    Raises
    ------
    MissingInputError, PermissionDeniedError, WriteError
        When it is not there, may not be read, or reading fails.
    DataError
        When it holds no such list, or one that looks like radians.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise MissingInputError(f"{path}: no such file; angles are an arc in degrees, or a file of them") from None
    except OSError as error:
        raise reading.failure(path, error) from error
    if len(raw) > MOST_BYTES:
        raise DataError(f"{path}: is no list of angles: it has more than {MOST_BYTES >> 20} MiB")
    degrees = _array(raw, path) if raw.startswith(_NPY) else _numbers(raw, path)
    if looks_like_radians(degrees):
        raise DataError(
            f"{path}: {degrees.size} angles span {np.ptp(degrees):.4g}: they look like radians; give degrees"
        )
    try:
        return Angles.of(degrees)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _array(raw: bytes, path: Path) -> NDArray[np.float64]:
    try:
        values: NDArray[np.generic] = np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)
    except Exception as error:  # numpy raises nearly everything on a damaged header
        raise DataError(f"{path}: is no list of angles: a damaged NPY file, or one of objects") from error
    if values.ndim != 1 or values.dtype.kind not in "fiu" or not values.size:
        raise DataError(f"{path}: {values.dtype} of shape {values.shape}; one angle per view is needed, along one axis")
    return values.astype(np.float64)


def _numbers(raw: bytes, path: Path) -> NDArray[np.float64]:
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no list of angles: neither NPY nor a text in UTF-8") from error
    words = [(number, line.partition("#")[0].split()) for number, line in enumerate(lines, 1)]
    words = [(number, row) for number, row in words if row]
    if not words:
        raise DataError(f"{path}: is no list of angles: it is empty; give one per line [degree]")
    if len(words) > 1 and (wide := [number for number, row in words if len(row) > 1]):
        raise DataError(f"{path}: is no list of angles: line {wide[0]} holds several words; give one per line [degree]")
    return np.array([_number(word, number, path) for number, row in words for word in row])


def _number(word: str, line: int, path: Path) -> float:
    try:
        return float(word)
    except ValueError:
        raise DataError(
            f"{path}: is no list of angles: line {line} is {word[:20]!r}; give a number per line [degree]"
        ) from None


def looks_like_radians(degrees: NDArray[np.floating[Any]]) -> bool:
    """Whether several views lie within so few degrees that no scan was meant so."""
    return degrees.size > 2 and SAME_DIRECTION < float(np.ptp(degrees)) <= FULL_TURN_IN_RADIANS
