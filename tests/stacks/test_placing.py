"""A mask is put on its volume by where both lie in their scan."""

import numpy as np
import pytest

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.stacks import binning, crop, placing

WHERE = np.arange(6 * 7 * 8).reshape(6, 7, 8)  # every voxel of the scan knows its place


def cut(z, y, x, **facts):
    """A part of the scan, as a scanner cuts it out."""
    values = np.ascontiguousarray(WHERE[z, y, x]).astype("<i4")
    at = {f"position_{axis}": part.start for axis, part in zip("zyx", (z, y, x), strict=True)}
    header = Header(shape=values.shape, dtype="<i4", spacing=(0.1, 0.1, 0.1), unit="label", acquisition=at | facts)
    return Stack.of(values, header)


VOLUME = cut(slice(1, 5), slice(2, 6), slice(1, 7)).header


@pytest.mark.parametrize(
    "part",
    [
        (slice(2, 4), slice(3, 5), slice(2, 5)),  # within
        (slice(0, 6), slice(0, 7), slice(0, 8)),  # around
        (slice(0, 3), slice(4, 7), slice(0, 3)),  # across an edge
        (slice(4, 6), slice(2, 6), slice(1, 7)),
    ],
)
def test_a_mask_lies_where_it_was_drawn(part):
    placed = placing.placed(cut(*part), VOLUME)
    truth = np.zeros_like(WHERE)
    truth[part] = WHERE[part]
    assert placed.header.shape == VOLUME.shape
    assert placing.position(placed.header) == (1, 2, 1)
    assert np.array_equal(placed.collect(), truth[1:5, 2:6, 1:7])


def test_what_says_no_place_or_fits_is_itself():
    whole = cut(slice(1, 5), slice(2, 6), slice(1, 7))
    assert placing.placed(whole, VOLUME) is whole
    plain = Stack.of(np.zeros((2, 2, 2), "<f4"), Header(shape=(2, 2, 2)))
    assert placing.placed(plain, VOLUME) is plain


def test_a_mask_beside_the_volume_or_of_other_voxels_is_refused():
    with pytest.raises(DataError, match=r"the mask lies at \(5, 0, 0\), beside the volume at \(1, 2, 1\)"):
        placing.placed(cut(slice(5, 6), slice(0, 7), slice(0, 8)), VOLUME)
    other = cut(slice(2, 4), slice(3, 5), slice(2, 5))
    other = Stack(other.header.replace(spacing=(0.1, 0.1, 0.2)), other.slabs)
    with pytest.raises(DataError, match="voxels of 0.2 mm, the volume of 0.1 mm"):
        placing.placed(other, VOLUME)


def test_a_crop_moves_the_place_and_a_bin_forgets_it():
    whole = cut(slice(1, 5), slice(2, 6), slice(1, 7))
    cropped = crop.cropped(whole, (slice(1, 3), slice(None), slice(2, None)))
    assert placing.position(cropped.header) == (2, 2, 3)
    grey = Stack(VOLUME.replace(unit="grey"), iter(()))
    assert placing.position(binning.binned(grey, 2).header) is None
    assert placing.position(crop.cropped(whole, (slice(None, None, 2), slice(None), slice(None))).header) is None


def test_a_scanners_mask_of_a_part_is_measured_in_its_place(shared_data, tmp_path):
    """The trabecular mask of the radius, cut smaller, gives the numbers of the cut volume."""
    from typer.testing import CliRunner

    import bonectl
    from bonectl.cli.app import app

    scans = shared_data / "scans" / "scanco"
    part = crop.cropped(bonectl.read(scans / "TRAB_1240_SEG.AIM"), (slice(20, 60), slice(30, 90), slice(10, 100)))
    bonectl.write(part, tmp_path / "mask.npy")
    run = CliRunner().invoke(
        app, ["measure", str(scans / "TRAB_1240.AIM"), "--mask", str(tmp_path / "mask.npy"), "-t", "320", "-m", "bvtv"]
    )
    assert run.exit_code == 0, run.output
    with_mask = dict(line.split("\t")[:2] for line in run.stdout.splitlines())
    grey = bonectl.read(scans / "TRAB_1240.AIM").collect()[20:60, 30:90, 10:100]
    mask = bonectl.read(tmp_path / "mask.npy").collect() != 0
    assert float(with_mask["bvtv"]) == pytest.approx((grey[mask] >= 320).mean(), rel=1e-6)
