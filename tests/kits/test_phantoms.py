import importlib

import numpy as np
import pytest
import tifffile
from scipy.ndimage import label
from skimage.measure import euler_number

from bonectl.core import kit, threads
from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.metrics.tbth import thickness_map
from bonectl.morphology.cells import BONE, MARROW
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold
from bonectl.ops.phantom import phantom as make
from bonectl.phantoms._grid import Grid

SOLIDS = ("ball", "shell", "torus", "disc", "plates", "rods", "lattice")
PRESETS = ("vertebra", "iliac", "femur")


def made(name, shape=(64, 72, 80), voxel=0.05, seed=0, **knobs):
    part = getattr(importlib.import_module(f"bonectl.phantoms.{name}"), name)
    return part(Grid(shape, voxel, seed), **knobs)


def delta_chi(mask):
    """Euler number corrected for the faces of the volume (Odgaard & Gundersen 1993)."""
    chi = float(euler_number(mask, 3))
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        for end in (0, -1):
            face = mask.take(end, axis)
            chi -= euler_number(face, 2) / 2
            for far in (0, -1):
                edge = mask.take(end, others[1]).take(far, others[0])
                chi += (int(edge[0]) + int((edge[1:] & ~edge[:-1]).sum())) / 4
    return chi - mask[::-1, ::-1, ::-1][:: len(mask) - 1, :: mask.shape[1] - 1, :: mask.shape[2] - 1].sum() / 8


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_hold_their_known_volume_and_topology(name):
    stack = made(name)
    values = stack.collect()
    known = stack.header.answers
    mask = values > values.max() / 2
    assert values.max() == pytest.approx(known["tmd_mgha_cm3"])
    assert values.min() == 0
    assert values.sum(dtype=float) / values.max() * 0.05**3 == pytest.approx(known["bv_mm3"], rel=4e-3)
    assert known["bvtv"] * known["tv_mm3"] == pytest.approx(known["bv_mm3"])
    assert values.mean(dtype=float) == pytest.approx(known["bmd_mgha_cm3"], rel=4e-3)
    assert euler_number(mask, 3) == known["chi"]
    assert label(mask, np.ones((3, 3, 3)))[1] == known["components"]


def test_surface_of_solids_is_the_derivative_of_their_volume():
    # d(volume)/d(thickness of a coat) is the surface: an independent way to each formula
    coat = 1e-4
    for name, knobs, grown in (
        ("ball", {"diameter": 2.0}, {"diameter": 2.0 + coat}),
        ("torus", {"diameter": 2.0, "thickness": 0.6}, {"diameter": 2.0, "thickness": 0.6 + coat}),
        ("rods", {"diameter": 0.2}, {"diameter": 0.2 + coat}),
        ("lattice", {"diameter": 0.2}, {"diameter": 0.2 + coat}),
        ("plates", {"thickness": 0.2, "spacing": 0.6}, {"thickness": 0.2 + coat, "spacing": 0.6 - coat}),
        ("shell", {"diameter": 2.0, "wall": 0.3}, {"diameter": 2.0 + coat, "wall": 0.3 + coat}),
    ):
        before, after = made(name, **knobs).header.answers, made(name, **grown).header.answers
        growth = (after["bv_mm3"] - before["bv_mm3"]) / (coat / 2)
        assert growth == pytest.approx(before["bs_mm2"], rel=2e-3), name


def test_lattice_has_two_tunnels_per_node():
    stack = made("lattice", (64, 64, 64), 0.05, period=0.8, diameter=0.2)
    mask = stack.collect() > 550
    assert delta_chi(mask) == -2 * 4**3
    assert stack.header.answers["connd_per_mm3"] == pytest.approx((1 - delta_chi(mask)) / 3.2**3)


def test_finer_sampling_converges_to_the_known_volume():
    error = {}
    for oversample in (1, 4):
        stack = made("ball", (24, 24, 24), 0.1, diameter=1.2, oversample=oversample)
        share = stack.collect().sum(dtype=float) / 1100 * 0.1**3
        error[oversample] = abs(share / stack.header.answers["bv_mm3"] - 1)
    assert error[4] < 1e-3
    assert error[4] < error[1]


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("ball", {"diameter": 99.0}),
        ("ball", {"diameter": -1.0}),
        ("torus", {"thickness": 5.0}),
        ("rods", {"period": 0.1}),
        ("lattice", {"period": 0.1}),
        ("plates", {"spacing": 0.0}),
        ("ball", {"oversample": 0}),
        ("ball", {"mineral": 0.0}),
        ("trabecular", {"plates": 1.5}),
        ("trabecular", {"rod": 0.5}),
        ("trabecular", {"mineral": -5.0}),
        ("trabecular", {"warp": 1.0}),
        ("trabecular", {"marrow": -1.0}),
        ("cancellous", {"marrow": 300.0}),
    ],
)
def test_knobs_that_make_no_sense_are_refused(name, knobs):
    with pytest.raises(UsageError):
        made(name, **knobs)


@pytest.mark.parametrize("name", kit.names("phantoms"))
def test_every_phantom_is_a_volume_that_knows_its_size(name):
    stack = made(name, (20, 40, 44), 0.05)
    assert stack.header.unit == "mgHA/cm3"
    assert stack.header.spacing == (0.05, 0.05, 0.05)
    assert stack.header.answers["tv_mm3"] == pytest.approx(20 * 40 * 44 * 0.05**3)
    values = stack.collect()
    assert values.dtype == np.float32
    assert values.shape == stack.header.shape
    assert np.isfinite(values).all()
    assert values.min() >= (-87 if name == "cancellous" else 0)  # marrow of SD 25, at most 3.46 SD


def test_bone_is_the_same_for_the_same_seed_and_another_for_another():
    one, again, other = (made("iliac", (16, 48, 48), 0.05, seed).collect() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_bone_does_not_depend_on_the_number_of_threads():
    whole = made("femur", (16, 40, 40), 0.05).collect()
    threads.choose(1)
    try:
        np.testing.assert_array_equal(made("femur", (16, 40, 40), 0.05).collect(), whole)
    finally:
        threads.choose(0)


def test_finer_voxels_show_the_same_bone():
    # the bone is defined in space, so averaging fine voxels gives the coarse ones but for sampling
    coarse = made("iliac", (16, 24, 24), 0.08, 5, oversample=4).collect()
    fine = made("iliac", (32, 48, 48), 0.04, 5, oversample=2).collect()
    average = fine.reshape(16, 2, 24, 2, 24, 2).mean(axis=(1, 3, 5))
    assert np.corrcoef(coarse.ravel(), average.ravel())[0, 1] > 0.995
    assert average.mean() == pytest.approx(coarse.mean(), rel=0.02)


def marrow_of(voxel, shape, marrow=40.0):
    """Marrow alone: what a phantom with hardly any bone reads, less the same without a texture."""
    knobs = {"rod": 1e-3, "plate": 1e-3, "plates": 0.0, "drop": 1.0, "variation": 0.0, "warp": 0.0}
    return made("trabecular", shape, voxel, 4, marrow=marrow, **knobs).collect().astype(float)


def test_marrow_has_the_spread_that_is_asked_for_and_no_mean():
    values = marrow_of(0.01, (64, 96, 96))
    assert values.std() == pytest.approx(40.0, rel=0.06)
    assert abs(values.mean()) < 4  # some 1,500 grains of their own
    near, far = (np.corrcoef(values[:, :, :-n].ravel(), values[:, :, n:].ravel())[0, 1] for n in (5, 25))
    assert near == pytest.approx(1191 / 2416, abs=0.05)  # splines of order 7 at 1 and at 0: grains are 0.05 mm apart
    assert abs(far) < 0.05


@pytest.mark.parametrize("times", [2, 3, 5])
def test_marrow_of_large_voxels_is_the_mean_of_small_ones(times):
    n = 12
    fine, coarse = marrow_of(0.02, (n * times,) * 3), marrow_of(0.02 * times, (n,) * 3)
    mean = fine.reshape(n, times, n, times, n, times).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(coarse, mean, atol=0.02 * 40)
    assert coarse.std() < fine.std()


def test_marrow_is_where_bone_is_not():
    """A voxel reads bone by its share, and the texture that marrow alone would have by the rest."""
    shape, voxel, even = (24, 48, 48), 0.04, {"packets": 0.0, "drift": 0.0}
    plain, textured = (
        made("trabecular", shape, voxel, 4, marrow=m, **even).collect().astype(float) for m in (0.0, 40.0)
    )
    share = plain / 1100
    assert (share.min(), share.max()) == (0.0, pytest.approx(1.0, rel=1e-6))
    np.testing.assert_allclose(textured - plain, (1 - share) * marrow_of(voxel, shape), atol=1e-3)
    usual, none = (made("cancellous", shape, voxel, 2, **knobs).collect() for knobs in ({}, {"marrow": 0.0}))
    assert usual[none == 0].std() == pytest.approx(25, rel=0.15)


def spread(mask, voxel):
    """Local thickness over its mean, of every voxel of bone, in order."""
    cells = np.where(mask, BONE, MARROW).astype(np.uint8)
    thick = thickness_map(Specimen(cells, (voxel,) * 3, "label", Threshold(0.5, "label", "t")))
    there = np.sort(thick[thick > 0])
    return there / there.mean()


def test_cancellous_bone_is_as_uneven_as_a_specimen_and_iliac_is_not(shared_data):
    """Largest difference between the distributions of local thickness, over its mean, to a real mask binned by 2."""
    real = tifffile.imread(shared_data / "lhdl3155_mask_gauss1_otsu.tif")[:160, :160, :160] > 0
    real = real.reshape(80, 2, 80, 2, 80, 2).mean(axis=(1, 3, 5)) > 0.5
    theirs = spread(real, 0.039)
    at = np.linspace(0.3, 2.5, 100)
    away = {}
    for name in ("cancellous", "iliac"):
        ours = spread(made(name, (80, 80, 80), 0.039, 3).collect() > 550, 0.039)
        away[name] = np.abs(np.searchsorted(ours, at) / ours.size - np.searchsorted(theirs, at) / theirs.size).max()
    assert away["cancellous"] < 0.1 < away["iliac"]


def test_mineral_varies_by_packets_about_its_mean():
    values = made("femur", (48, 64, 64), 0.03, 3, mineral=1000.0).collect()
    inner = values[values > 700]
    assert np.median(inner) == pytest.approx(1000, abs=25)
    even = made("trabecular", (48, 64, 64), 0.03, 3, mineral=1000.0, packets=0.0, drift=0.0).collect()
    assert even.max() == pytest.approx(1000, rel=1e-6)
    assert values.max() > 1100


# field data: mean and SD of human bone, see the docstrings of the presets; femur: ranges of the literature
HUMAN = {
    "vertebra": {"bvtv": (0.0675, 0.0245), "connd": (4.84, 2.26)},
    "iliac": {"bvtv": (0.1539, 0.04), "connd": (8.39, 5.8)},
    "femur": {"bvtv": (0.25, 0.05), "connd": (5.5, 2.5)},
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_lie_within_one_sd_of_human_bone(name):
    values = made(name, (96, 96, 96), 0.04, 2).collect()
    mask = values > 550
    parts, _ = label(mask, np.ones((3, 3, 3)))
    assert np.bincount(parts.ravel())[1:].max() > 0.98 * mask.sum()
    found = {"bvtv": mask.mean(), "connd": (1 - delta_chi(mask)) / 3.84**3}
    for number, (mean, sd) in HUMAN[name].items():
        assert abs(found[number] - mean) < sd, (number, found)


@pytest.mark.parametrize("name", kit.names("phantoms"))
@pytest.mark.parametrize("value", ["big", "nan", "1e300", "1e-308", "1e999", "1" * 5000, "-1", "[1, 2]", "true"])
def test_knobs_of_nonsense_are_refused(name, value):
    for knob in kit.describe("phantoms", name).knobs:
        harmless = {"spacing", "period", "plates", "drop", "warp", "variation", "packets", "drift", "stretch", "marrow"}
        if knob in harmless and value in ("1e300", "1e-308"):
            continue  # a period larger than the volume, or no drift at all
        with pytest.raises(UsageError):
            list(make(parse(f"{name}({knob}={value})"), (8, 8, 8), 0.02).slabs)


@pytest.mark.parametrize("voxel", [1e300, 1e-308, 1e-320, float("nan"), float("inf"), 0.0, -1.0])
def test_a_voxel_size_is_a_length(voxel):
    for name in kit.names("phantoms"):
        with pytest.raises(UsageError):
            make(parse(name), (8, 8, 8), voxel)


def test_number_of_plates_is_by_the_plate_model():
    """BV/TV / Tb.Th, as the row that it stands beside is defined."""
    from bonectl.ops.phantom import phantom

    answers = phantom(parse("plates"), (64, 64, 64), 0.02).header.answers
    assert answers["tbn_per_mm"] == pytest.approx(answers["bv_mm3"] / 1.28**3 / answers["tbth_mm"])
