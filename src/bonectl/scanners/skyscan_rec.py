"""Slices that NRecon made of a SkyScan scan: pictures and a log that ends on ``_rec.log``."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np

from bonectl.core.counted import counted
from bonectl.core.header import VOLUME, Fact, Header
from bonectl.core.scan import Scan, Source
from bonectl.core.slabs import Array, thickness
from bonectl.core.stack import Stack
from bonectl.errors import BonectlError, DataError
from bonectl.scanners import _pictures, _slices
from bonectl.scanners._keys import Keys

TITLE = "SkyScan slices (NRecon)"
PLACE = 7
EXTRA = ""

LOG = re.compile(r"[^.].*\.log", re.IGNORECASE)


def claims(path: Path) -> bool:
    """Whether it is NRecon's log, or a folder that holds one beside pictures."""
    if path.is_file():
        return bool(LOG.fullmatch(path.name)) and _is_log(path)
    return bool(_logs(path))


def skyscan_rec(path: Path) -> Scan:
    """Slices as NRecon leaves them: 8 or 16 bits (TIFF, BMP or PNG), from the bottom of the scan upwards.

    The voxel's side is the log's Pixel Size; between slices, times Section to Section Step. Values are grey: NRecon
    mapped attenuation from ``cs_minimum`` to ``cs_maximum`` onto all grey levels, in a unit that its log does not say.
    Files are those whose names the log gives, numbered from its First Section; the preview (rec_spr) is none of
    them. Slices that were taken away at the ends are noted, those that are missing between are named.

    Parameters
    ----------
    path : Path
        The folder, or the log.

    Raises
    ------
    DataError
        When there are several logs, no slices, or slices of different sizes; or the log lacks the pixel's size.
    """
    told = Keys.of(_only(path))
    step = told.count("Section to Section Step") if told.number("Section to Section Step") else 1
    files, notes, problems = _sections(told, step)
    first = _pictures.read(files[0])
    side = told.length("Pixel Size (um)", "Image Pixel Size (um)") / 1000
    header = Header(
        shape=(len(files), *first.shape),
        dtype=np.dtype(first.dtype).newbyteorder("<").str,
        axes=VOLUME,
        spacing=(side * step, side, side),
        unit="grey",
        acquisition=_facts(told),
    )
    return Scan(
        kind="skyscan_rec",
        name=path.name,
        files=(told.path, *files),
        stack=_source(files, header, problems),
        problems=problems,
        notes=notes,
        facts={"scanner": told.word("Scanner")[:40]} if told.word("Scanner") else {},
    )


def _is_log(path: Path) -> bool:
    try:
        return Keys.of(path).has("Result Image Width (pixels)", "First Section")
    except BonectlError:
        return False


def _logs(path: Path) -> list[Path]:
    return [one for one in _slices.listed(path) if LOG.fullmatch(one.name) and _is_log(one)]


def _only(path: Path) -> Path:
    if path.is_file():
        return path
    logs = _logs(path)
    if len(logs) != 1:
        names = ", ".join(one.name for one in logs) or "none"
        raise DataError(f"{path}: holds {counted(len(logs), 'log')} of NRecon ({names}); give one")
    return logs[0]


def _sections(told: Keys, step: int) -> tuple[list[Path], tuple[str, ...], tuple[str, ...]]:
    """Files of the slices in order, a word on what was taken away at the ends, and what is missing between."""
    folder = told.path.parent
    prefix = told.word("Filename Prefix", section="File name convention") or told.path.stem
    name = re.compile(rf"{re.escape(prefix)}(?P<number>\d+)\.(bmp|png|tiff?)", re.IGNORECASE)
    there = {int(match["number"]): one for one in _slices.listed(folder) if (match := name.fullmatch(one.name))}
    if not there:
        raise DataError(f"{folder}: holds no slice called {prefix} and a number; {told.path.name} says so")
    numbers = sorted(there)
    gaps = [one + step for one, other in pairwise(numbers) if other != one + step]
    problems: tuple[str, ...] = ()
    if gaps:
        like = there[numbers[0]]
        width = len(like.stem) - len(prefix)
        problems = (f"{prefix}{gaps[0]:0{width}d}{like.suffix} is missing between its neighbours: copy it again",)
    promised = told.number("Sections Count")
    notes: tuple[str, ...] = ()
    if promised and promised != len(numbers):
        notes = (f"{len(numbers)} of {promised:g} slices are here, {numbers[0]} to {numbers[-1]}",)
    return [there[number] for number in numbers], notes, problems


def _facts(told: Keys) -> dict[str, Fact]:
    keys = {
        "cs_minimum": "Minimum for CS to Image Conversion",
        "cs_maximum": "Maximum for CS to Image Conversion",
        "kvp": "Source Voltage (kV)",
        "first_section": "First Section",
        "beam_hardening_percent": "Beam Hardening Correction (%)",
        "ring_correction": "Ring Artifact Correction",
        "smoothing": "Smoothing",
    }
    facts: dict[str, Fact] = {fact: value for fact, key in keys.items() if (value := told.number(key)) is not None}
    return facts | ({"filter": told.word("Filter")[:40]} if told.word("Filter") else {})


def _source(files: list[Path], header: Header, problems: tuple[str, ...]) -> Source:
    @contextmanager
    def open_() -> Iterator[Stack]:
        if problems:
            raise DataError(f"{files[0].parent}: {problems[0]}")
        yield Stack(header, _slabs(files, header))

    return Source(header, open_)


def _slabs(files: list[Path], header: Header) -> Iterator[Array]:
    size = thickness(header.slice_bytes)
    for start in range(0, len(files), size):
        yield np.stack([_slice(path, header) for path in files[start : start + size]])


def _slice(path: Path, header: Header) -> Array:
    values = _pictures.read(path)
    if values.shape != header.shape[1:] or values.dtype != np.dtype(header.dtype):
        raise DataError(f"{path}: is {values.shape[0]} × {values.shape[1]} {values.dtype}; slices are alike")
    return np.ascontiguousarray(values, dtype=header.dtype)
