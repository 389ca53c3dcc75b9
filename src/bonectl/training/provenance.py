"""What a checkpoint tells of the data it was trained on, and of the trials of its network, as plain values."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isclose, isfinite

from bonectl.core.header import Fact, Header
from bonectl.learning.agreement import TOLERANCE, scale
from bonectl.learning.checkpoint import Normalisation
from bonectl.training.validation import Trial


def exposure(headers: Sequence[Header]) -> dict[str, Fact]:
    """Return the facts on which all stacks agree, and the ranges of photons and views where they do not."""
    first = headers[0].acquisition
    agreed = {key: fact for key, fact in first.items() if all(h.acquisition.get(key) == fact for h in headers)}
    ranges: dict[str, Fact] = {}
    for fact in ("photons", "views"):
        of_each = [[h.acquisition.get(key) for key in (fact, f"{fact}_least", f"{fact}_most")] for h in headers]
        known = [[number for number in of_one if isinstance(number, float | int)] for of_one in of_each]
        if fact not in agreed and all(known):
            ranges |= {f"{fact}_least": min(map(min, known)), f"{fact}_most": max(map(max, known))}
    return agreed | ranges


def spacing(headers: Sequence[Header]) -> tuple[float | None, ...]:
    """Return the step along each axis [mm]; None where stacks differ in it."""
    return tuple(None if _differ(steps) else steps[0] for steps in zip(*(h.spacing for h in headers), strict=True))


def voxels(headers: Sequence[Header]) -> dict[str, list[float]]:
    """Return the least and the largest voxel size [mm], where stacks differ in it."""
    known = [step for header in headers for step in header.spacing if step is not None]
    return {"voxel_mm": [min(known), max(known)]} if None in spacing(headers) and _differ(known) else {}


def _differ(steps: Sequence[float | None]) -> bool:
    known = [step for step in steps if step is not None]
    return bool(known) and not isclose(min(known), max(known), rel_tol=TOLERANCE)


def calibrated(header: Header, normalisation: Normalisation) -> bool:
    """Return whether a normalisation is that of a header's calibration."""
    return header.calibration is not None and header.unit == "1/cm" and scale(header) == normalisation


def errors(trial: Trial) -> dict[str, float | None] | None:
    """Return errors of bone numbers for JSON (``bonectl.training.validation``: relative ones and those in scales)."""
    if trial.bone is None:
        return None
    return {name: plain(error) for name, error in asdict(trial.bone).items()} | {"composite": plain(trial.composite)}


def plain(number: float) -> float | None:
    """Return a number rounded for JSON, which has no infinity."""
    return round(number, 4) if isfinite(number) else None
