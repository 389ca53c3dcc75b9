"""Cortical and trabecular compartment of a bone, from its mask.

After Buie et al. (Bone 41:505, 2007): one mask of all that the periosteal surface encloses, one of all that the
endocortical surface encloses, each from the bone by threshold, dilation, connectivity and erosion; the cortex lies
between. Dilations and erosions are by balls, through exact distances [mm], so voxels need not be cubic.
"""

from dataclasses import dataclass, replace
from math import ceil, hypot

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from bonectl.core import progress
from bonectl.core.lengths import Spacing
from bonectl.errors import DataError, UsageError
from bonectl.morphology.components import CROSS, FULL
from bonectl.morphology.distance import Weights, squared_distance
from bonectl.morphology.specimen import Specimen

Mask = NDArray[np.bool_]

# Marrow that is counted wrongly is said from this share of the cortex on, a second bone from this share of the first.
STRAY, SECOND = 0.005, 0.05

# Distances of voxel centres that differ by less than this share are the same.
SAME = 1e-5

# A frame in y and x: what lies beside the stack is outside the bone, what lies beyond its ends may be bone.
RIM, INNER = ((0, 0), (1, 1), (1, 1)), (slice(None), slice(1, -1), slice(1, -1))

# No bone is thicker [mm], nor has wider openings.
WIDEST = 100.0


@dataclass(frozen=True, eq=False)
class Compartments:
    """What the surfaces of a bone enclose.

    Parameters
    ----------
    total : (z, y, x) bool
        Inside the periosteal surface.
    medulla : (z, y, x) bool
        Inside the endocortical surface: marrow and trabeculae; part of `total`.
    doubts : tuple of str
        Where a diameter may not suit the bone, one line each.
    """

    total: Mask
    medulla: Mask
    doubts: tuple[str, ...] = ()

    @property
    def cortex(self) -> Mask:
        """Between the surfaces: cortical bone and its pores, (z, y, x)."""
        return self.total & ~self.medulla


def of(specimen: Specimen, *, gap: float, pore: float, strut: float) -> Compartments:
    """`compartments` of a specimen's bone, worked out once."""
    return specimen.once(
        ("compartments", gap, pore, strut),
        lambda: compartments(specimen.bone, specimen.spacing, gap=gap, pore=pore, strut=strut),
    )


def compartments(bone: Mask, spacing: Spacing, *, gap: float, pore: float, strut: float) -> Compartments:
    """Split the largest bone of a volume.

    The periosteal mask is the bone closed by balls of diameter `gap`, with all that this closes in across the
    slices. The medulla is the marrow inside it opened by balls of diameter `pore` (pores of the cortex go), closed by
    balls of diameter `strut` (trabeculae go), its largest piece, and what that encloses.

    Parameters
    ----------
    bone : (z, y, x) bool
        The bone's long axis lies along z, roughly; it may leave the stack at its ends in z, and nowhere else.
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    gap : float
        Widest opening of the cortex to the outside [mm].
    pore : float
        Widest pore of the cortex [mm]; wider ones next to the marrow belong to the medulla.
    strut : float
        Thickest trabecula [mm]; thicker ones that touch the cortex belong to it.

    Raises
    ------
    UsageError
        When a diameter is not positive, or larger than `WIDEST`.
    DataError
        When the bone encloses no marrow that is wider than a pore.
    """
    for name, value in (("gap", gap), ("pore", pore), ("strut", strut)):
        if not 0 < value <= WIDEST:
            raise UsageError(f"{name}={value:g} mm; it must be positive, and at most {WIDEST:g} mm")
    rim = [(0, 0), *((n, n) for n in (ceil(max(gap, strut) / 2 / side) + 2 for side in spacing[1:]))]
    weights = (spacing[0] ** 2, spacing[1] ** 2, spacing[2] ** 2)
    padded = np.pad(bone, rim)
    total = _periosteal(padded, weights, gap / 2)
    medulla = _endocortical(total, padded, weights, pore / 2, strut / 2)
    if not medulla.any():
        raise DataError(
            f"no marrow wider than {pore:g} mm lies inside the bone: there is no cortex to tell from it; give the "
            "widest pore of the cortex, pore=MM, or a volume that shows the whole cross-section"
        )
    inner = tuple(slice(before, n - after) for (before, after), n in zip(rim, padded.shape, strict=True))
    found = Compartments(np.ascontiguousarray(total[inner]), np.ascontiguousarray(medulla[inner]))
    doubt = _bones(found, bone, gap)
    if not doubt and len(bone) * spacing[0] >= pore:  # in thinner ones trabeculae part the marrow
        doubt = _canals(found, bone, pore)
    return replace(found, doubts=(doubt,) if doubt else ())


def said(parts: Compartments) -> Compartments:
    """The same compartments, their doubts told to the user."""
    for text in parts.doubts:
        progress.note(f"do not trust: the region: {text}")
    return parts


def _canals(parts: Compartments, bone: Mask, pore: float) -> str:
    """Canals that bone parts from the marrow, and which are in the medulla for they are wide and near it."""
    marrow = parts.total & ~bone
    stray = marrow & parts.medulla & ~_largest(marrow)
    share = int(np.count_nonzero(stray)) / max(1, int(np.count_nonzero(parts.cortex | stray)))
    if share <= STRAY:
        return ""
    return (
        f"canals wider than pore={pore:g} mm that bone parts from the marrow, {100 * share:.2g} % of the cortex, are "
        "counted as medulla; if they are its pores, give their width, pore=MM"
    )


def _bones(parts: Compartments, bone: Mask, gap: float) -> str:
    """Bones that were closed into one: more than one large piece that reaches the outer surface."""
    numbered, count = label(bone & parts.total, FULL)
    outer = np.unique(numbered[binary_dilation(~np.pad(parts.total, RIM), CROSS)[INNER]])
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[outer[outer > 0]]
    large = int((sizes >= SECOND * sizes.max(initial=1)).sum())
    if large < 2:
        return ""
    return (
        f"{large} pieces of bone less than gap={gap:g} mm apart are taken as one bone; if they are several, give a "
        "gap=MM narrower than the space between them"
    )


def _periosteal(bone: Mask, weights: Weights, radius: float) -> Mask:
    """The largest bone, closed and filled; the rim of the array in y and x is empty and wider than `radius`."""
    numbered = label(~_grown(bone, weights, radius), CROSS)[0]
    inside = _largest(_shrunk(numbered != numbered[0, 0, 0], weights, radius))
    # Closing levels the staircase of the surface: voxels of marrow that it adds there are no pores.
    return np.asarray(inside & (bone | ~binary_dilation(~inside, FULL)))


def _endocortical(total: Mask, bone: Mask, weights: Weights, pore: float, strut: float) -> Mask:
    """Marrow and trabeculae inside the cortex."""
    marrow = total & ~bone
    # A voxel more than was taken away: what opening cuts off the staircase of the surface are no pores.
    opened = marrow & _grown(_shrunk(marrow, weights, pore), weights, pore + hypot(*(w**0.5 for w in weights)))
    medulla = total & _shrunk(_grown(opened, weights, strut), weights, strut)
    if not medulla.any():
        return medulla
    cortex = total & ~_largest(medulla)
    # Thick trabeculae that touch no cortex stay behind as islands.
    numbered = label(cortex, CROSS)[0]
    shell = np.zeros(int(numbered.max()) + 1, bool)
    shell[np.unique(numbered[binary_dilation(~total, CROSS)])] = True
    shell[0] = False
    return np.asarray(total & ~shell[numbered])


def _grown(mask: Mask, weights: Weights, radius: float) -> Mask:
    """Voxels whose centre lies within `radius` of one in the mask."""
    return np.asarray(squared_distance(~mask, weights) <= radius**2 * (1 + SAME))


def _shrunk(mask: Mask, weights: Weights, radius: float) -> Mask:
    """Voxels of the mask whose centre lies farther than `radius` from any that is not in it."""
    return np.asarray(squared_distance(mask, weights) > radius**2 * (1 + SAME))


def _largest(mask: Mask) -> Mask:
    """The largest 6-connected piece; of equals, the first."""
    numbered, count = label(mask, CROSS)
    return np.asarray(numbered == 1 + int(np.bincount(numbered.ravel())[1:].argmax())) if count else mask
