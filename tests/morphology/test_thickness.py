"""Local thickness: the definition to the letter, and closed forms in any pose."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bonectl.errors import DataError
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.thickness import mask_radius, radius, squared_radius

SAMPLES = 4  # per voxel side, in the supersampled shapes


def by_definition(mask, tolerance=0.0):
    """Every ball painted over every voxel."""
    squared = squared_distance(mask)
    out = np.zeros(mask.shape, np.float32)
    places = np.stack(np.indices(mask.shape), -1)
    for centre in np.argwhere(mask):
        ball = ((places - centre) ** 2).sum(-1) < (np.sqrt(float(squared[tuple(centre)])) + tolerance) ** 2 - 1e-9
        out[ball & mask] = np.maximum(out[ball & mask], squared[tuple(centre)])
    return out


def blobs(shape, seed, sigma=2.0):
    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma) > 0


def tilted(kind, size, side, rng):
    """Share of each voxel inside a plate, rod or ball of any direction and place."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    fine = (np.arange(side * SAMPLES) + 0.5) / SAMPLES - side / 2
    z, y, x = np.meshgrid(*(fine - shift for shift in rng.uniform(-1, 1, 3)), indexing="ij", sparse=True)
    along = axis[0] * z + axis[1] * y + axis[2] * x
    square = z * z + y * y + x * x
    inside = {
        "plate": lambda: np.abs(along) < size / 2,
        "rod": lambda: square - along**2 < size**2 / 4,
        "ball": lambda: square < size**2 / 4,
    }[kind]()
    return inside.reshape(side, SAMPLES, side, SAMPLES, side, SAMPLES).mean((1, 3, 5), dtype=np.float32)


def errors(kind, sizes, measure, poses=3, side=44, rim=12):
    """Mean local diameter less the true one, away from the border, where plates and rods are cut [voxel]."""
    rng = np.random.default_rng(7)
    inner = (slice(rim, side - rim),) * 3 if kind != "ball" else (slice(None),) * 3
    found = []
    for size in sizes:
        for _ in range(poses):
            share = tilted(kind, size, side, rng)
            diameters = measure(share)[inner]
            found.append(diameters[share[inner] > 0.5].mean(dtype=float) - size)
    return np.array(found)


def subvoxel(share):
    return 2 * radius(share > 0.5, share, 0.5)


@pytest.mark.parametrize("tolerance", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(2))
def test_it_is_the_definition_to_the_letter(seed, tolerance):
    mask = blobs((15, 17, 16), seed)
    assert np.array_equal(squared_radius(mask, tolerance=tolerance), by_definition(mask, tolerance))


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads):
    mask = blobs((19, 18, 20), 3)
    grey = mask.astype(np.float32)
    assert np.array_equal(squared_radius(mask, threads=threads), squared_radius(mask))
    assert np.array_equal(radius(mask, grey, 0.5, threads=threads), radius(mask, grey, 0.5))


@pytest.mark.parametrize("turn", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_axis_swap_and_mirror_turn_the_map(turn):
    mask = blobs((14, 18, 16), 4)
    turned = np.ascontiguousarray(mask.transpose(turn)[:, ::-1])
    assert np.array_equal(squared_radius(turned), squared_radius(mask).transpose(turn)[:, ::-1])


def test_padding_with_background_changes_nothing_inside():
    mask = np.pad(blobs((14, 18, 16), 5), 1)
    assert np.array_equal(squared_radius(np.pad(mask, 4))[4:-4, 4:-4, 4:-4], squared_radius(mask))


@pytest.mark.parametrize("thickness", [3, 4, 7, 8])
def test_the_letter_gives_an_upright_plate_of_odd_thickness_one_more(thickness):
    """BoneJ's own test expects t + 1 for odd t."""
    mask = np.zeros((24, 24, 24), bool)
    mask[:, 8 : 8 + thickness] = True
    diameters = 2 * np.sqrt(squared_radius(mask)[mask])
    assert set(diameters.tolist()) == {thickness + thickness % 2}


@pytest.mark.parametrize("thickness", [3, 4, 7, 8])
@pytest.mark.parametrize("axis", range(3))
def test_subvoxel_gives_an_upright_plate_its_thickness(thickness, axis):
    mask = np.zeros((24, 24, 24), bool)
    mask[(slice(None),) * axis + (slice(8, 8 + thickness),)] = True
    diameters = 2 * radius(mask, mask.astype(np.float32), 0.5)[mask]
    assert diameters == pytest.approx(thickness, abs=0.05)


# The best of all tools and methods measured for these shapes: 0.13 (plate), 0.18 (rod), 0.51 (ball); asked for: 0.2.
@pytest.mark.parametrize(
    ("kind", "sizes", "bar"), [("plate", (3, 5.3, 8), 0.2), ("rod", (3, 5.3, 8), 0.15), ("ball", (6, 13), 0.35)]
)
def test_subvoxel_is_right_in_any_pose(kind, sizes, bar):
    off = errors(kind, sizes, subvoxel)
    assert np.sqrt((off**2).mean()) < bar


def test_every_voxel_of_the_structure_gets_a_value():
    grey = gaussian_filter(np.random.default_rng(6).normal(size=(20, 20, 20)), 1).astype(np.float32)
    mask = grey > 0.05
    assert (radius(mask, grey, 0.05)[mask] > 0).all()
    assert not radius(mask, grey, 0.05)[~mask].any()


def test_nothing_inside_is_nothing():
    empty = np.zeros((5, 5, 5), bool)
    assert not squared_radius(empty).any()
    assert not radius(empty, empty.astype(np.float32), 0.5).any()


def test_a_structure_without_end_is_refused():
    with pytest.raises(DataError, match="fills the whole volume"):
        squared_radius(np.ones((5, 5, 5), bool))


@pytest.mark.parametrize(("kind", "bar"), [("plate", 0.2), ("rod", 0.2), ("ball", 0.5)])
def test_a_mask_has_the_thickness_of_what_it_is_a_mask_of(kind, bar):
    """Voxels whose centre lies inside; the mean over pose and place, which a mask alone cannot tell.

    By their faces rods of 4, 6 and 10 voxels read 0.40, 0.54 and 0.62 too little, balls 0.9.
    """
    sizes = (3.0, 3.7, 6.0, 9.0) if kind != "ball" else (6.0, 10.0)
    off = errors(kind, sizes, lambda share: 2 * mask_radius(share > 0.5), poses=10, side=36).reshape(len(sizes), -1)
    assert np.abs(off.mean(1)).max() < bar


def test_the_smoothed_surface_stays_where_it_curves():
    """Along the middle of plates and rods without noise of the grid: the smoothing itself moves nothing."""
    for size in (4.0, 6.0, 10.0):
        plate = np.zeros((24, 24, 24), bool)
        plate[:, 12 - int(size / 2) : 12 + int(size / 2)] = True
        assert 2 * mask_radius(plate)[plate].mean() == pytest.approx(size, abs=0.15)


def test_balls_reach_beyond_a_region_and_what_is_unknown_is_as_if_cut_off():
    """A slab through plates: the same at every voxel as in the whole; a blanked rest as a crop."""
    mask = np.zeros((30, 30, 30), bool)
    mask[:, 5:11] = mask[:, 19:24] = True
    region = np.zeros_like(mask)
    region[8:20, 8:22, 4:26] = True
    whole = squared_radius(mask)
    assert np.array_equal(squared_radius(mask, region=region), np.where(region, whole, 0))
    cut = (slice(8, 20), slice(8, 22), slice(4, 26))
    blanked = squared_radius(mask & region, region=region, unknown=~region)
    assert np.array_equal(blanked[cut], squared_radius(mask[cut].copy()))
    assert np.allclose(mask_radius(mask, region=region)[region & mask], mask_radius(mask)[region & mask], atol=0.06)
