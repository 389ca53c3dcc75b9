"""Trabecular bone like that of the human femoral head."""

from bonectl.core.stack import Stack
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._voronoi import Architecture, Mineral, trabecular_stack


def femur(grid: Grid, *, mineral: float = 1100.0, oversample: int = 2) -> Stack:
    """Dense, many plates: trabecular bone like that of the human femoral head.

    Parameters
    ----------
    grid : Grid
        Its voxels, and which of all such bones.
    mineral : float
        Mean mineral density inside the bone [mgHA/cm³].
    oversample : int
        Samples per voxel side where the surface runs.

    Notes
    -----
    `trabecular` with other knobs. Aim: BV/TV 0.2 to 0.3, Tb.Th 0.18 to 0.22 mm, Tb.Sp 0.6 to 0.7 mm, Conn.D 3
    to 8 /mm³ (literature, not traced to one table). Found, mean and SD over five seeds of 3.84 mm at 0.03 mm,
    cut at half the mineral: BV/TV 0.256 ± 0.007, Tb.Th 0.193 ± 0.002 mm, Tb.Sp 0.63 ± 0.01 mm, Conn.D 5.9 ± 0.3
    /mm³. The answers hold TV alone: the rest is a matter of chance, and to be measured.
    """
    bone = Architecture(spacing=0.81, rod=0.075, plate=0.076, plates=0.3, drop=0.02, stretch=1.4)
    return trabecular_stack(grid, bone, Mineral(mean=mineral), oversample)
