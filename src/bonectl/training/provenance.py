"""What a checkpoint tells of the data it was trained on, and of the trials of its network, as plain values."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite

from bonectl.core.header import Fact, Header
from bonectl.learning.agreement import scale
from bonectl.learning.checkpoint import Normalisation
from bonectl.training.validation import Trial


def exposure(headers: Sequence[Header]) -> dict[str, Fact]:
    """Return the facts on which all stacks agree, and the range of the photons where they do not."""
    first = headers[0].acquisition
    agreed = {key: fact for key, fact in first.items() if all(h.acquisition.get(key) == fact for h in headers)}
    doses = [[h.acquisition.get(key) for key in ("photons", "photons_least", "photons_most")] for h in headers]
    known = [[dose for dose in of_one if isinstance(dose, float | int)] for of_one in doses]
    if "photons" in agreed or not all(known):
        return agreed
    return agreed | {"photons_least": min(map(min, known)), "photons_most": max(map(max, known))}


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
