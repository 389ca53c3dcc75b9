"""Peak signal-to-noise ratio."""

from collections.abc import Mapping
from math import inf, log10, nan, sqrt

import numpy as np

from bonectl.core.table import Number
from bonectl.morphology.parted import Statistic, Weights
from bonectl.morphology.specimen import Specimen, data_range
from bonectl.morphology.tapers import SubVolumes

# What the register knows of it (core/kit.py).
USUAL = "against"
PLACE = 13
BYTES = 5.0
KEEPS = ()
SYMBOLS = ()


def psnr(specimen: Specimen, reference: Specimen, *, range: float | None = None) -> tuple[Number, ...]:
    """PSNR = 20 log10(range / RMSE) and RMSE over the volume of interest.

    Parameters
    ----------
    specimen, reference : Specimen
        With grey values in the same unit.
    range : float, optional
        Data range in the unit of the values; for mgHA/cm3 bone minus marrow, 1050. Never taken from an image.

    Returns
    -------
    psnr : dB
    rmse : unit of the values
    """
    peak = data_range(specimen.unit, range, "psnr")
    ours, theirs = specimen.values("psnr"), reference.values("psnr")
    total = 0.0
    for a, b, inside in zip(ours, theirs, specimen.voi, strict=True):
        total += float(np.square(a[inside].astype(np.float64) - b[inside]).sum())
    error = (total / specimen.sums.cells.total_voxels) ** 0.5
    value = inf if error == 0 else 20 * log10(peak / error)
    return (
        Number(
            "psnr", value, "dB", f"20 log10(range / RMSE) over the volume of interest, range {peak:g} {specimen.unit}"
        ),
        Number("rmse", error, specimen.unit, "root mean square difference over the volume of interest"),
    )


def resampled(specimen: Specimen, reference: Specimen, seen: SubVolumes, *, range: float | None = None) -> Statistic:
    """The numbers of drawn sub-volumes (`bonectl.morphology.parted`), about the PSNR of the whole."""
    whole = psnr(specimen, reference, range=range)[0].value
    difference = np.subtract(specimen.values("psnr"), reference.values("psnr"), dtype=np.float32)
    errors, voxels = seen.sums(np.square(np.where(specimen.voi, difference, 0))), seen.sums(specimen.voi)
    mean = errors.sum() / voxels.sum()

    def drawn(weights: Weights) -> Mapping[str, float]:
        there = float(weights @ errors) / float(weights @ voxels)
        return {"psnr": whole + 10 * log10(mean / there) if there else nan, "rmse": sqrt(there)}

    return drawn
