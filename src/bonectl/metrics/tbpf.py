"""Trabecular bone pattern factor."""

from math import nan

from bonectl.core.table import Number
from bonectl.morphology.minkowski import mean_curvature, surface_area
from bonectl.morphology.sums import Sums

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 28
BYTES = 5.0
KEEPS = ()
SYMBOLS = ()


def tbpf(sums: Sums) -> tuple[Number, ...]:
    """Tb.Pf = dBS/dBV as the bone surface is pushed out: high for loose ends and rods, negative for concave bone.

    Hahn et al. (Bone 13:327, 1992) take the difference of perimeter over that of area before and after dilation by
    a pixel, CTAn of surface over volume in three dimensions. A surface that is pushed out by ε grows by 2 M ε (M the
    integral of mean curvature) and its volume by BS ε, so the limit is 2 M / BS, here from counts of cells and lines:
    ball of radius r 2/r, rod 1/r, plate 0. SMI = 6 BV Tb.Pf / BS.

    Parameters
    ----------
    sums : Sums

    Returns
    -------
    tbpf : 1/mm
    """
    area = surface_area(sums.lines, sums.spacing)
    value = 2 * mean_curvature(sums.cells, sums.rim, sums.spacing) / area if area else nan
    return (Number("tbpf", value, "1/mm", "trabecular bone pattern factor dBS/dBV = 2 M / BS: ball 2/r, rod 1/r"),)
