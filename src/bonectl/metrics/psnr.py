"""Peak signal-to-noise ratio."""

from math import inf, log10

import numpy as np

from bonectl.core.table import Number
from bonectl.morphology.specimen import Specimen, data_range


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
    error = (total / specimen.tally.cells.total_voxels) ** 0.5
    value = inf if error == 0 else 20 * log10(peak / error)
    return (
        Number(
            "psnr", value, "dB", f"20 log10(range / RMSE) over the volume of interest, range {peak:g} {specimen.unit}"
        ),
        Number("rmse", error, specimen.unit, "root mean square difference over the volume of interest"),
    )
