"""Pieces of bone and enclosed marrow."""

from bonectl.core.table import Number
from bonectl.morphology.components import SPECK, SPECK_SHARE
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = "structure"
PLACE = 4
BYTES = 15.0
KEEPS = ("purified",)
SYMBOLS = ()


def components(specimen: Specimen) -> tuple[Number, ...]:
    """Bone components and marrow cavities: the specks and holes of which noise makes thousands.

    Parameters
    ----------
    specimen : Specimen

    Returns
    -------
    components, cavities, specks : 1
    bv_purified : mm3
    """
    pieces = specimen.pieces
    purified = specimen.purified.cells.bone_voxels
    return (
        Number("components", pieces.components, "1", "26-connected pieces of bone"),
        Number("cavities", pieces.cavities, "1", "6-connected pieces of marrow enclosed in bone"),
        Number(
            "specks",
            pieces.specks,
            "1",
            f"of the pieces, those under {SPECK} voxels or {SPECK_SHARE:.0%} of the largest",
        ),
        Number(
            "bv_purified",
            purified * specimen.purified.voxel_volume,
            "mm3",
            "volume of the largest piece, cavities filled",
        ),
    )
