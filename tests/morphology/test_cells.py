"""One pass over 2 x 2 x 2 cells: counts, χ and Δχ against closed forms, scikit-image and BoneJ."""

import csv

import numpy as np
import pytest
import tifffile
from skimage.measure import euler_number
from tests.made import labelled

from bonectl.morphology import cells
from bonectl.morphology.cells import BONE

SIDE = 0.0195


def counted(mask, voi=None):
    return cells.count([labelled(mask, voi)])


def solid(shape, *boxes):
    mask = np.zeros(shape, bool)
    for box in boxes:
        mask[box] = True
    return mask


def ball(n, radius):
    z, y, x = np.mgrid[:n, :n, :n] - (n - 1) / 2
    return z * z + y * y + x * x < radius * radius


def torus(n, large, small):
    z, y, x = np.mgrid[:n, :n, :n] - (n - 1) / 2
    return (np.hypot(y, x) - large) ** 2 + z * z < small * small


def double_torus(n, large, small):
    """Two rings side by side that share a piece."""
    one = torus(n, large, small)
    mask = np.zeros((n, n, n + 22), bool)
    mask[:, :, :n] |= one
    mask[:, :, 22:] |= one
    return mask


def box_frame(n, first, last, thickness=1):
    """The twelve edges of a cube."""
    mask = np.zeros((n, n, n), bool)
    ends = [slice(first, first + thickness), slice(last - thickness + 1, last + 1)]
    whole = slice(first, last + 1)
    for a in ends:
        for b in ends:
            mask[a, b, whole] = mask[a, whole, b] = mask[whole, a, b] = True
    return mask


def crossed_circle(n):
    """A ring with a cross in it, in one plane: four holes."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    radius = np.hypot(y, x)
    plane = (np.abs(radius - n / 3) < 1.5) | ((radius < n / 3) & ((np.abs(y) < 1) | (np.abs(x) < 1)))
    mask = np.zeros((n, n, n), bool)
    mask[n // 2] = plane
    return mask


@pytest.mark.parametrize(
    ("mask", "euler"),
    [
        (ball(24, 9), 1),
        (ball(24, 9) & ~ball(24, 5), 2),
        (torus(32, 9, 3.5), 0),
        (double_torus(32, 9, 3.5), -1),
        (box_frame(20, 4, 14), -4),
        (crossed_circle(40), -3),
        (solid((5, 5, 5), np.s_[2, 2, 2]), 1),
        (solid((5, 5, 5), np.s_[1, 1, 1], np.s_[2, 2, 2]), 1),  # a corner joins bone
        (~solid((5, 5, 5), np.s_[1, 1, 1], np.s_[3, 3, 3]), 3),  # and parts marrow
    ],
)
def test_euler_number_of_closed_forms(mask, euler):
    assert counted(mask).euler == euler


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.8])
def test_euler_number_and_counts_of_noise_are_those_of_scikit_image(share):
    mask = np.random.default_rng(0).random((11, 9, 14)) < share
    there = counted(mask)
    assert there.euler == euler_number(mask, 3)
    assert there.bone_voxels == mask.sum()
    assert there.total_voxels == mask.size


@pytest.mark.parametrize("phase", [5, 7, 11])
def test_each_cell_of_a_rod_lattice_adds_minus_two_at_any_phase(phase):
    period, count = 12, 3
    grid = (np.arange(period * count) + phase) % period < 4
    z, y, x = np.meshgrid(grid, grid, grid, indexing="ij")
    assert counted((z & y) | (z & x) | (y & x)).euler_in_voi == -2 * count**3


def _odgaard_gundersen(mask):
    """χ - ½ Σχ(6 faces) + ¼ Σχ(12 edges) - ⅛ Σ(8 corners), each clipped set by itself."""
    ends = (0, -1)
    faces = [mask.take(end, axis) for axis in range(3) for end in ends]
    lines = [line for a in ends for b in ends for line in (mask[a, b], mask[a, :, b], mask[:, a, b])]
    runs = [np.count_nonzero(np.diff(np.concatenate([[0], line])) == 1) for line in lines]
    corners = sum(int(mask[a, b, c]) for a in ends for b in ends for c in ends)
    return euler_number(mask, 3) - sum(euler_number(face, 2) for face in faces) / 2 + sum(runs) / 4 - corners / 8


@pytest.mark.parametrize("seed", range(4))
def test_the_edge_correction_is_odgaard_and_gundersens(seed):
    mask = np.random.default_rng(seed).random((7, 8, 6)) < 0.4
    assert counted(mask).euler_in_voi == pytest.approx(_odgaard_gundersen(mask), abs=1e-9)


def test_volumes_that_tile_a_specimen_add_up_to_its_euler_number():
    """Overlapping by one plane, as faces, edges and corners of neighbours coincide on voxel planes."""
    rng = np.random.default_rng(3)
    mask = np.zeros((9, 9, 9), bool)
    mask[1:-1, 1:-1, 1:-1] = rng.random((7, 7, 7)) < 0.5
    voi = np.ones(mask.shape, bool)
    voi[:, :, 5:] = False
    whole, left, right = counted(mask), counted(mask & voi, voi), counted(mask & ~voi, ~voi)
    assert whole.euler_in_voi == whole.euler
    # Bone is seen only inside each volume, so the sum lacks the bonds across the cut: bounded by their number.
    bonds = 9 * np.count_nonzero(mask[:, :, 4] | mask[:, :, 5])
    assert abs(left.euler_in_voi + right.euler_in_voi - whole.euler) <= bonds
    assert left.total_voxels + right.total_voxels == whole.total_voxels
    assert left.bone_voxels + right.bone_voxels == whole.bone_voxels


def gyroid(n, period, phase):
    z, y, x = np.meshgrid(*(2 * np.pi * (np.arange(n) + p) / period for p in phase), indexing="ij", sparse=True)
    return np.sin(z) * np.cos(y) + np.sin(y) * np.cos(x) + np.sin(x) * np.cos(z)


def schwarz(n, period, phase):
    z, y, x = np.meshgrid(*(2 * np.pi * (np.arange(n) + p) / period for p in phase), indexing="ij", sparse=True)
    return np.cos(z) + np.cos(y) + np.cos(x)


# Euler number of one labyrinth per cubic cell: half that of the surface, whose genus in the cell is 5 and 3.
SURFACES = {"gyroid": (gyroid, -4), "schwarz p": (schwarz, -2)}


@pytest.mark.parametrize("name", list(SURFACES))
def test_the_cells_of_a_periodic_surface_have_its_euler_number(name):
    """The cells within a box of whole periods and one voxel are all there are on the torus."""
    function, euler = SURFACES[name]
    assert counted(function(2 * 24 + 1, 24, (0.3, 0.1, 0.7)) > 0.2).euler_in_voi == 8 * euler


def borders(n, seed):
    """A box, and regions whose borders are stairs, are moved from slice to slice, and are noisy."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*([np.arange(n) - (n - 1) / 2] * 3), indexing="ij", sparse=True)
    around, radius, whole = np.hypot(y, x), n / 2, np.ones((n, n, n), bool)
    return {
        "box": whole,
        "ball": z * z + around**2 <= radius**2,
        "cylinder": whole & (around <= radius),
        "ragged": whole & (around <= radius - 2 + rng.uniform(-2, 2, (n, 1, 1))),
        "noisy": whole & (around + rng.normal(0, 1.5, (n, n, n)) <= radius - 4),
    }


@pytest.mark.parametrize("border", ["box", "ball", "cylinder", "ragged", "noisy"])
def test_the_border_of_the_region_does_not_make_the_euler_number(border):
    """Per volume it is the surface's, times the factor ((n - 1) / n)³ of a box or one between that and 1."""
    n, period, runs = 60, 19.7, 6
    found = []
    for seed in range(runs):
        voi = borders(n, seed)[border]
        bone = gyroid(n, period, np.random.default_rng(seed).uniform(0, period, 3)) > 0.4
        found.append(counted(bone & voi, voi).euler_in_voi / (-4 * voi.sum() / period**3))
    assert 0.93 < np.mean(found) < 1.02


def test_bone_that_ends_within_a_region_keeps_its_euler_number():
    voi = ball(34, 17)
    for mask in (ball(34, 9), ball(34, 9) & ~ball(34, 5), torus(34, 9, 3.5)):
        there = counted(mask, voi)
        assert there.euler_in_voi == there.euler


def test_a_region_without_a_whole_cell_has_no_euler_number():
    voi = np.zeros((5, 9, 9), bool)
    voi[2] = True
    assert counted(voi, voi).euler_in_voi == 0


@pytest.mark.parametrize("size", [1, 2, 5, 30])
@pytest.mark.parametrize("parts", [1, 3])
def test_the_cut_into_slabs_and_threads_is_nobodys_business(size, parts):
    labels = labelled(np.random.default_rng(1).random((13, 10, 9)) < 0.3)
    pieces = cells.count((labels[i : i + size] for i in range(0, 13, size)), parts=parts)
    whole = counted(labels == BONE)
    assert np.array_equal(pieces.number, whole.number)
    assert np.array_equal(pieces.bone, whole.bone)


@pytest.mark.parametrize("turn", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_axis_swap_and_mirror_change_nothing(turn):
    mask = np.random.default_rng(4).random((8, 9, 10)) < 0.3
    there, turned = counted(mask), counted(np.ascontiguousarray(mask.transpose(turn)[::-1, :, ::-1]))
    assert (there.euler, there.euler_in_voi) == (turned.euler, turned.euler_in_voi)


def test_padding_with_marrow_leaves_the_euler_number():
    mask = np.random.default_rng(5).random((8, 9, 10)) < 0.3
    padded = counted(np.pad(mask, 3))
    assert padded.euler == padded.euler_in_voi == counted(mask).euler


@pytest.mark.parametrize("name", ["lhdl3155_mask_gauss1_otsu.tif", "lhdl2923_cylinder_z000-256_mask_gauss1_otsu.tif"])
def test_real_bone_is_exactly_bonejs(shared_data, name):
    with (shared_data / "reference_metrics.csv").open() as file:
        wanted = {row["metric"]: float(row["value"]) for row in csv.DictReader(file) if row["file"] == name}
    mask = tifffile.imread(shared_data / name) > 0
    there = counted(mask)
    values = {key.split()[0].lower(): value for key, value in wanted.items() if key != "BV"}
    assert there.euler == values["euler"]
    assert there.euler_in_voi == values["delta"]
    assert there.bone_voxels == mask.sum()
    density = (1 - there.euler_in_voi) / (mask.size * SIDE**3)
    assert round(density, 6) == values["conn.d"]
