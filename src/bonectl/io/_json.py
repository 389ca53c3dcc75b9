"""The bonectl header as one line of ASCII JSON, short enough for where it has to go."""

import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NoReturn

from bonectl.core import progress
from bonectl.core.header import Header
from bonectl.core.lengths import PartialSpacing
from bonectl.errors import DataError, UsageError

_MOST_DIGITS = 40
"""Digits of a whole number in a header; every such number is a float, too."""


def dumped(value: Mapping[str, Any]) -> str:
    """One line of ASCII without an apostrophe, which some readers of NPY headers take for a quote."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("'", "\\u0027")


def loaded(text: str, name: str) -> dict[str, Any]:
    """Parse a header's JSON.

    Raises
    ------
    DataError
        When it is no JSON object, or holds numbers or words that no header can hold.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_float, parse_int=_int)
        # a lone surrogate would parse, and break the first print of it
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: the bonectl header is no valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise DataError(f"{name}: the bonectl header is no JSON object")
    return value


def fitted(header: Header, room: int) -> tuple[Header, str]:
    """The header's JSON in at most `room` characters, its oldest history forgotten as far as needed.

    Returns
    -------
    header, text
        The header that the text stands for, and the text.

    Raises
    ------
    UsageError
        When it does not fit even without history (thousands of irregular angles).
    """
    text = dumped(header.to_json())
    while len(text) > room and header.history:
        header = header.forget(1)
        text = dumped(header.to_json())
    if len(text) > room:
        raise UsageError(
            f"the header needs {len(text)} characters and a stream has room for {room} (a long list of "
            "irregular angles); write a TIFF file, or give --bare to put the header beside the array"
        )
    return header, text


def header(own: Mapping[str, Any], shape: tuple[int, int, int], dtype: str, name: str) -> Header:
    """Our header from its JSON values; raises DataError on anything else."""
    try:
        return Header.from_json(own, shape, dtype)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def whole(header: Header, stored: str) -> str:
    """Our header with shape and stored type, for formats that other programs may edit and write again (`kept`)."""
    return dumped(header.to_json() | {"shape": header.shape, "dtype": stored})


def kept(
    own: Mapping[str, Any],
    shape: tuple[int, int, int],
    dtype: str,
    name: str,
    spacing: Callable[[], PartialSpacing] | None = None,
) -> Header | None:
    """Our header in a file that may have passed through another program; None, and a note, where that changed it.

    Parameters
    ----------
    own : mapping
        Its JSON values, with shape and type.
    shape, dtype
        Of the values that are there.
    name : str
        How messages call the file.
    spacing : callable, optional
        Gives the voxel size that the format itself tells, to be compared where ours is known.
    """
    if own.get("shape") != list(shape):
        changed = "shape"
    elif own.get("dtype", dtype) != dtype:
        changed = "type"
    else:
        found = header(own, shape, dtype, name)
        if spacing is None or None in found.spacing or _alike(found.spacing, spacing()):
            return found
        changed = "voxel size"
    progress.note(f"{name}: another program changed its {changed}, so its bonectl header is left out")
    return None


def _alike(ours: PartialSpacing, theirs: PartialSpacing) -> bool:
    """Whether two voxel sizes are one, to what single precision holds."""
    return all(b is not None and abs(a - b) <= 1e-6 * a for a, b in zip(ours, theirs, strict=True) if a is not None)


def _float(word: str) -> float:
    value = float(word)
    if not isfinite(value):
        raise ValueError(f"{word[:20]} is larger than any number")
    return value


def _int(word: str) -> int:
    if len(word) > _MOST_DIGITS:
        raise ValueError(f"{word[:20]}... has {len(word)} digits")
    return int(word)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")
