"""Trabecular bone of any kind, from rods and plates on a Voronoi tessellation."""

from bonectl.core.stack import Stack
from bonectl.phantoms._grid import Grid
from bonectl.phantoms._voronoi import Architecture, Mineral, trabecular_stack


def trabecular(  # noqa: PLR0913 (its knobs are what it is)
    grid: Grid,
    *,
    spacing: float = 0.9,
    rod: float = 0.078,
    plate: float = 0.062,
    plates: float = 0.15,
    drop: float = 0.02,
    stretch: float = 1.3,
    warp: float = 0.03,
    variation: float = 0.15,
    mineral: float = 1100.0,
    packets: float = 80.0,
    drift: float = 30.0,
    marrow: float = 0.0,
    oversample: int = 2,
) -> Stack:
    """Trabecular bone with every knob of the recipe; `iliac`, `vertebra`, `femur` and `cancellous` are settings of it.

    Parameters
    ----------
    grid : Grid
        Its voxels, and which of all such bones.
    spacing : float
        Size of a cell of the network [mm]: sets Tb.Sp and Conn.D.
    rod : float
        Mean radius of rods [mm]: sets Tb.Th with `plate`.
    plate : float
        Mean half thickness of plates [mm].
    plates : float
        Share of the cells' faces that carry a plate, 0 to 1: each closes a tunnel; 0 rods alone.
    drop : float
        Share of the cells' edges without a rod, 0 to 1.
    stretch : float
        How much longer cells are along z than across: anisotropy.
    warp : float
        RMS of the smooth displacement that bends the bone [mm].
    variation : float
        SD of the logarithm of thickness along the bone.
    mineral : float
        Mean mineral density inside the bone [mgHA/cm³].
    packets : float
        SD of mineral between packets of about 80 µm [mgHA/cm³].
    drift : float
        SD of mineral over millimetres [mgHA/cm³].
    marrow : float
        SD of the texture of marrow, at a point, about 0 [mgHA/cm³].
    oversample : int
        Samples per voxel side where the surface runs.

    Notes
    -----
    Seeds on a jittered body-centred cubic lattice; rods on the edges of their Voronoi cells, plates on some of the
    faces, each element kept or dropped by a hash of its seeds' numbers, joined by a smooth minimum and bent by a
    smooth random field. Mineral: matrix-to-matrix SD of 80 to 120 mgHA/cm³ about 1100 follows the ranges of
    synchrotron micro-CT (Nuzzo et al., Med. Phys. 29:2672, 2002).
    The answers hold TV alone: the rest is a matter of chance, and to be measured.
    """
    bone = Architecture(
        spacing=spacing,
        rod=rod,
        plate=plate,
        plates=plates,
        drop=drop,
        stretch=stretch,
        warp=warp,
        variation=variation,
    )
    return trabecular_stack(grid, bone, Mineral(mean=mineral, packets=packets, drift=drift, marrow=marrow), oversample)
