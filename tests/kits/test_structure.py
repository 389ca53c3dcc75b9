"""Numbers of the structure and density of one bone, beside closed forms."""

from math import acos, pi, sin

import numpy as np
import pytest
from tests.made import measured, specimen

from bonectl.errors import UsageError
from bonectl.metrics.density_spread import peak, percentile

SIDE = 0.02


def grid(n, centre=0.3):
    return np.meshgrid(*([np.arange(n) - (n - 1) / 2 + centre] * 3), indexing="ij", sparse=True)


# ---- direct trabecular number -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("thickness", "period"), [(5, 20), (6, 20), (7, 18), (3, 12)])
def test_plates_have_one_over_their_period(thickness, period):
    """Whatever their thickness, which the plate model needs; only the gaps that have both sides are inside."""
    n = 4 * period + thickness
    mask = np.zeros((n, 40, 40), bool)
    for start in range(0, n, period):
        mask[start : start + thickness] = True
    there = measured("tbn_direct", specimen(mask))
    assert there["tbn_direct"] == pytest.approx(1 / (period * SIDE), rel=0.06)
    assert there["tbn_spacing_sd"] < 0.1 * period * SIDE


def to_nearest(position, period):
    return np.abs(position - period * np.rint(position / period))


def to_plates(u, v, w, period):
    return to_nearest(u, period)


def to_square(u, v, w, period):
    return np.hypot(to_nearest(u, period), to_nearest(v, period))


def to_triangles(u, v, w, period):
    high = period * 3**0.5
    between = np.hypot(to_nearest(u - period / 2, period), to_nearest(v - high / 2, high))
    return np.minimum(np.hypot(to_nearest(u, period), to_nearest(v, high)), between)


def to_lattice(u, v, w, period):
    a, b, c = (to_nearest(position, period) ** 2 for position in (u, v, w))
    return np.sqrt(np.minimum(np.minimum(a + b, b + c), a + c))


def between_lattice_axes(steps=24, points=300):
    """Mean diameter of the largest ball around random points that touches no axis of a lattice of period 1."""
    w = (np.arange(3 * steps) + 0.5) / steps - 1
    z, y, x = np.meshgrid(w, w, w, indexing="ij", sparse=True)
    reach = to_lattice(z, y, x, 1.0)
    places = np.random.default_rng(0).uniform(0, 1, (points, 3))
    around = (reach[(z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2 < reach**2].max() for a, b, c in places)
    return 2 * float(np.mean(list(around)))


# Spacing of the mid-axes in periods, and how near its mean over four poses is read. Balls between rods touch four axes
# at the corners of a square, or three of a triangle, and fill the space; those of a lattice do not, and its mean is
# sampled. Mid-axes are about a voxel wide and thicker at nodes, so that rods and lattices read a little close.
SPACINGS = {
    "plates": (to_plates, 1.0, 0.03),
    "rods on squares": (to_square, 2**0.5, 0.05),
    "rods on triangles": (to_triangles, 2 / 3**0.5, 0.05),
    "lattice": (to_lattice, None, 0.11),
}


@pytest.mark.parametrize(("period", "size"), [(20, 6), (24, 9)])
@pytest.mark.parametrize("name", list(SPACINGS))
def test_tilted_structures_have_the_number_of_their_axes(name, period, size):
    """In any pose and at any place, whatever the thickness; a pose is off by what the border cuts, too."""
    distance, factor, close = SPACINGS[name]
    wanted = (factor or between_lattice_axes()) * period * SIDE
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        places = (sum(a * g for a, g in zip(row, grid(72), strict=True)) + rng.uniform(0, period) for row in turn)
        there = measured("tbn_direct", specimen(distance(*places, period) < size / 2))
        assert there["tbn_direct"] == 1 / there["tbn_spacing"]
        found.append(there["tbn_spacing"])
    assert np.mean(found) == pytest.approx(wanted, rel=close)
    assert found == pytest.approx([wanted] * len(found), rel=close + 0.05)


def test_direct_number_does_not_change_with_an_axis_swap():
    z, y, x = grid(40)
    mask = (np.sin(z / 3.1) + np.sin(y / 2.7) + np.sin(x / 3.7)) > 0.6
    one, other = (measured("tbn_direct", specimen(m)) for m in (mask, mask.transpose(2, 0, 1)))
    assert one == pytest.approx(other, rel=1e-6)


# ---- concave share ------------------------------------------------------------------------------------------------


def torus_share(ratio):
    """Concave share of a torus of radii R = ratio r: the mean curvature is (R + 2 r cos t) dt dp."""
    turn = acos(-ratio / 2)
    convex = ratio * turn + 2 * sin(turn)
    concave = 2 * sin(turn) - ratio * (pi - turn)
    return concave / (convex + concave)


def test_a_ball_is_convex_and_a_cavity_concave():
    z, y, x = grid(44)
    ball = z * z + y * y + x * x < 15**2
    assert measured("concavity", specimen(ball))["smi_concave"] < 0.01
    assert measured("concavity", specimen(~ball))["smi_concave"] > 0.99


def test_a_shell_is_concave_by_the_share_of_its_inner_radius():
    z, y, x = grid(56)
    distance = np.sqrt(z * z + y * y + x * x)
    there = measured("concavity", specimen((distance < 22) & (distance > 11)))
    assert there["smi_concave"] == pytest.approx(11 / 33, abs=0.02)


@pytest.mark.parametrize("ratio", [1.3, 1.6])
def test_a_torus_is_concave_around_its_hole(ratio):
    z, y, x = grid(76)
    small = 13.0
    torus = (np.sqrt(y * y + x * x) - ratio * small) ** 2 + z * z < small**2
    assert measured("concavity", specimen(torus))["smi_concave"] == pytest.approx(torus_share(ratio), abs=0.02)


# ---- fractal dimension --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("planes", "dimension"), [(96, 3), (1, 2)])
def test_a_block_has_three_dimensions_and_a_sheet_two(planes, dimension):
    mask = np.zeros((96, 96, 96), bool)
    mask[:planes] = True
    assert measured("fractal(smallest=3)", specimen(mask))["fd"] == pytest.approx(dimension, abs=0.12)


def test_a_menger_sponge_has_its_dimension():
    """Boxes of powers of three: log 20 / log 3 to the last digit."""
    cell = np.ones((3, 3, 3), bool)
    cell[1, 1, :] = cell[1, :, 1] = cell[:, 1, 1] = False
    sponge = cell
    for _ in range(3):
        sponge = np.kron(sponge, cell)
    padded = np.zeros((4 * 27,) * 3, bool)
    padded[:81, :81, :81] = sponge
    found = measured("fractal(smallest=1, factor=3.0)", specimen(padded))["fd"]
    assert found == pytest.approx(np.log(20) / np.log(3), abs=1e-9)


# ---- pores --------------------------------------------------------------------------------------------------------


def test_pores_are_counted_open_and_closed():
    mask = np.zeros((20, 20, 20), bool)
    mask[2:18, 2:18, 2:18] = True
    mask[5:8, 5:8, 5:8] = False  # closed
    mask[10:12, 10:12, :] = False  # open
    closed, solid, through = 27, 16**3, 2 * 2 * 16
    there = measured("porosity", specimen(mask))
    assert there["po_closed"] == pytest.approx(closed / (solid - through))
    assert there["po_total"] == pytest.approx(1 - (solid - closed - through) / 8000)
    assert there["po_open"] == pytest.approx((8000 - (solid - through)) / 8000)


def test_a_pore_at_the_border_of_the_volume_of_interest_is_open():
    mask, voi = np.ones((12, 12, 12), bool), np.ones((12, 12, 12), bool)
    mask[5:7, 5:7, 5:7] = False
    assert measured("porosity", specimen(mask, voi=voi))["po_closed"] == pytest.approx(8 / 1728)
    voi[7:] = False
    assert measured("porosity", specimen(mask, voi=voi))["po_closed"] == 0


# ---- density ------------------------------------------------------------------------------------------------------


def normal(mean, deviation, shape=(50, 60, 60)):
    return np.random.default_rng(0).normal(mean, deviation, shape).astype(np.float32)


def test_the_spread_of_a_normal_density_is_that_of_the_normal_law():
    grey = normal(1036.0, 78.0)
    there = measured("density_spread", specimen(np.ones(grey.shape, bool), grey=grey, unit="mgHA/cm3"))
    assert there["tmd_p50"] == pytest.approx(1036, abs=1.5)
    assert there["tmd_p5"] == pytest.approx(1036 - 1.6449 * 78, abs=3)
    assert there["tmd_p95"] == pytest.approx(1036 + 1.6449 * 78, abs=3)
    assert there["tmd_mode"] == pytest.approx(1036, abs=12)
    assert there["tmd_fwhm"] == pytest.approx(2.3548 * 78, rel=0.05)


def test_percentiles_are_numpys_within_a_bin():
    grey = np.random.default_rng(1).gamma(3.0, 200.0, (30, 30, 30)).astype(np.float32)
    there = measured("density_spread", specimen(np.ones(grey.shape, bool), grey=grey, unit="mgHA/cm3"))
    for share in (5, 25, 50, 75, 95):
        assert there[f"tmd_p{share}"] == pytest.approx(np.percentile(grey, share), abs=5)


def test_nothing_has_no_percentile_and_no_peak():
    assert np.isnan(percentile(np.zeros(600), 50))
    assert np.isnan(peak(np.zeros(600))).all()


@pytest.mark.parametrize(("erode", "radius"), [(1.0, 1), (2.0, 2)])
def test_eroded_density_leaves_out_the_surface(erode, radius):
    mask = np.zeros((24, 24, 24), bool)
    mask[4:20, 4:20, 4:20] = True
    core = np.zeros(mask.shape, bool)
    core[4 + radius : 20 - radius, 4 + radius : 20 - radius, 4 + radius : 20 - radius] = True
    grey = np.where(core, 1000.0, np.where(mask, 600.0, 0.0)).astype(np.float32)
    there = measured(f"tmd_eroded(erode={erode})", specimen(mask, grey=grey, unit="mgHA/cm3"))
    assert there["tmd_eroded"] == 1000
    assert there["tmd_eroded_sd"] == 0
    assert there["tmd_eroded_share"] == pytest.approx(core.sum() / mask.sum())


def test_the_face_of_a_volume_of_interest_is_no_surface():
    grey = np.full((12, 12, 12), 900, np.float32)
    grey[:, :4] = 0
    there = measured("tmd_eroded", specimen(grey > 0, grey=grey, unit="mgHA/cm3"))
    assert there["tmd_eroded_share"] == pytest.approx(7 / 8)


def test_bone_that_erodes_away_has_no_density():
    grey = np.zeros((9, 9, 9), np.float32)
    grey[4] = 900
    there = measured("tmd_eroded", specimen(grey > 0, grey=grey, unit="mgHA/cm3"))
    assert np.isnan(there["tmd_eroded"])
    assert there["tmd_eroded_share"] == 0


@pytest.mark.parametrize("text", ["tbn_direct", "fractal", "concavity"])
def test_cubic_voxels_are_needed(text):
    mask = np.zeros((32, 32, 32), bool)
    mask[8:16] = True
    with pytest.raises(UsageError, match="cubic voxels"):
        measured(text, specimen(mask, spacing=(0.04, 0.02, 0.02)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tbn_direct(slope=1.5)", "between 0 and 1"),
        ("fractal(factor=1.0)", "factor above 1"),
        ("fractal", "3 are needed"),
        ("concavity(sigma=0.0)", "positive"),
        ("tmd_eroded(erode=0.0)", "positive"),
        ("tmd_eroded", "mgHA/cm3"),
        ("density_spread", "mgHA/cm3"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message):
    mask = np.zeros((12, 12, 12), bool)
    mask[3:7] = True
    with pytest.raises(UsageError, match=message):
        measured(text, specimen(mask))


@pytest.mark.parametrize(("spacing", "doubted"), [((0.02, 0.02, 0.02), False), ((0.04, 0.02, 0.02), True)])
def test_surface_of_voxels_that_are_not_cubic_is_doubted(spacing, doubted):
    from bonectl.core.table import Doubt
    from bonectl.metrics.surface import surface
    from bonectl.morphology import cells
    from bonectl.morphology.sums import sums_of

    labels = np.full((8, 12, 12), cells.MARROW, np.uint8)
    labels[:, 4:8] = cells.BONE
    found = surface(sums_of([(labels, labels)], spacing, "label"))
    assert any(isinstance(one, Doubt) and "resample to cubic" in one.text for one in found) == doubted
