"""The threshold half-way between the mineral densities of marrow and bone."""

from bonectl.errors import UsageError
from bonectl.morphology.threshold import Threshold, blur


def midpoint(unit: str, *, marrow: float = 0.0, bone: float = 1050.0, sigma: float = 0.0) -> Threshold:
    """Cut half-way between the densities of marrow and bone.

    At a sharp surface blurred by a symmetric point spread the half-way value is where the surface was. The default
    densities are those of marrow and of mineralised human bone tissue at fine voxels (900-1100 mgHA/cm3).

    Parameters
    ----------
    unit : str
        In mgHA/cm3.
    marrow, bone : float
        [mgHA/cm3].
    sigma : float
        Standard deviation of a Gaussian filter before the cut [voxel].
    """
    if unit != "mgHA/cm3":
        raise UsageError(f"midpoint needs mineral density in mgHA/cm3, this is {unit!r}; use otsu or a fixed value")
    if not bone > marrow:
        raise UsageError(f"midpoint of marrow {marrow:g} and bone {bone:g} mgHA/cm3; bone must be the denser")
    return Threshold((marrow + bone) / 2, unit, f"midpoint(marrow={marrow:g}, bone={bone:g})", blur(sigma))
