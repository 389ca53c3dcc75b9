"""Structure model index."""

from math import nan

from bonectl.core.table import Number
from bonectl.morphology.minkowski import mean_curvature, surface_area
from bonectl.morphology.sums import Sums

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 9
BYTES = 5.0
KEEPS = ()
SYMBOLS = (("smi", "SMI"),)


def smi(sums: Sums) -> tuple[Number, ...]:
    """SMI = 12 BV M / BS², M the integral of mean curvature: 4 for balls, 3 for rods, 0 for plates.

    The same number as 6 BV S'/S² (Hildebrand & Rüegsegger, Comput. Methods Biomech. Biomed. Eng. 1:15, 1997), since
    a surface that is pushed out grows by twice M, but without a mesh. Concave surface counts negative: on dense
    bone the index is no longer one of rods and plates (Salmon et al., Front. Endocrinol. 6:162, 2015).

    Parameters
    ----------
    sums : Sums

    Returns
    -------
    smi : 1
    """
    area = surface_area(sums.lines, sums.spacing)
    curvature = mean_curvature(sums.cells, sums.rim, sums.spacing)
    value = 12 * sums.bone_volume * curvature / area**2 if area else nan
    return (Number("smi", value, "1", "structure model index 12 BV M / BS²: ball 4, rod 3, plate 0"),)
