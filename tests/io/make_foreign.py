"""Make the files of foreign/ with SimpleITK 2.5.7, nibabel 5.4.2 and pynrrd 1.1.3, in an environment that has them.

    python tests/io/make_foreign.py

Every file holds the numbers 0 to 23 (times 0.5, less 3, where a scale is told) as (z, y, x) = (2, 3, 4), with voxels of
0.03 × 0.02 × 0.01 mm. They are committed, so that no test needs these packages.
"""

from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import SimpleITK as sitk

VALUES = np.arange(24).reshape(2, 3, 4)
SIDES = (0.01, 0.02, 0.03)
TURN = [0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1]


def main(top: Path) -> None:
    """Write every file into a folder."""
    for name, dtype, packed, direction in [
        ("itk.nrrd", "i2", False, None),
        ("itk.mha", "u2", False, None),
        ("itk_packed.mha", "f4", True, TURN),
        ("itk.nii.gz", "f4", False, None),
        ("detached/itk_meta.mhd", "f8", False, None),
        ("detached/itk_nrrd.nhdr", "i4", False, [0, 0, -1, 1, 0, 0, 0, 1, 0]),
    ]:
        image = sitk.GetImageFromArray(VALUES.astype(dtype))
        image.SetSpacing(SIDES)
        if direction is not None:
            image.SetDirection(direction)
        sitk.WriteImage(image, str(top / name), packed)
    steps, micrometres = np.diag(SIDES), np.diag(SIDES) * 1000
    oriented = {"space dimension": 3, "space directions": micrometres, "space units": ["microns"] * 3}
    nrrd.write(str(top / "pynrrd_big.nrrd"), VALUES.T.astype(">f4"), {**oriented, "encoding": "gzip"})
    plain = {"spacings": SIDES, "encoding": "raw"}
    nrrd.write(str(top / "pynrrd_units.nrrd"), VALUES.T.astype("u1"), {**plain, "units": ["mm"] * 3})
    nrrd.write(str(top / "pynrrd_no_unit.nrrd"), VALUES.T.astype("<i8"), plain)
    detached = {"space": "right-anterior-superior", "space directions": steps, "encoding": "gzip"}
    nrrd.write(str(top / "detached/pynrrd.nhdr"), VALUES.T.astype("<u4"), detached, detached_header=True)
    nifti(
        top / "nibabel_big.nii", nib.Nifti1Header(endianness=">"), np.diag([*micrometres.diagonal(), 1]), "i2", "micron"
    )
    nifti(top / "nibabel_two.nii", nib.Nifti2Header(), np.diag([-0.01, 0.02, 0.03, 1]), "f8", "mm")
    nifti(top / "nibabel_no_unit.nii", nib.Nifti1Header(), np.diag([*SIDES, 1]), "u1", "unknown")


def nifti(path: Path, header: nib.Nifti1Header, affine: np.ndarray, dtype: str, unit: str) -> None:
    """Write one by nibabel; whole numbers of 16 bits with a scale."""
    header.set_data_dtype(np.dtype(dtype).newbyteorder(header.endianness))
    header.set_xyzt_units(unit)
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    values = VALUES.T * 0.5 - 3 if dtype == "i2" else VALUES.T.astype(dtype)
    image = kind(values, affine, header)
    if dtype == "i2":
        image.set_qform(affine, 1)
        image.set_sform(None, 0)
    nib.save(image, path)  # which chooses the scale of whole numbers


if __name__ == "__main__":
    main(Path(__file__).with_name("foreign"))
