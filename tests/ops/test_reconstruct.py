"""Scan in, volume out: units, refusals, streaming."""

import numpy as np
import pytest

from bonectl.core.calibration import Calibration
from bonectl.core.geometry import Angles
from bonectl.core.header import PROJECTIONS, SINOGRAMS, Header
from bonectl.core.stack import Stack, chain
from bonectl.errors import DataError, UsageError
from bonectl.geometries.parallel import parallel
from bonectl.ops.reconstruct import reconstruct
from bonectl.scanning.lines import Fields, geometry_of, line_integrals, sinograms

SIZE, ROWS, VIEWS, VOXEL = 48, 5, 90, 0.05
GEOMETRY = parallel(SIZE, ROWS, VOXEL, views=VIEWS, columns=SIZE)


def lines():
    """Exact line integrals of a cylinder of 3 1/cm, radius 15 voxels, off centre; rows differ by a factor."""
    t = GEOMETRY.angles.radians[:, None]
    s = np.arange(SIZE) - GEOMETRY.centre - 4 * np.cos(t) - 3 * np.sin(t)
    chord = 2 * np.sqrt(np.maximum(0, 15.0**2 - s**2)) * VOXEL / 10
    return (3 * chord[None] * np.linspace(0.5, 1, ROWS)[:, None, None]).astype(np.float32)


def header(unit="line integral", **changes):
    base = Header(
        shape=GEOMETRY.shape,
        axes=SINOGRAMS,
        spacing=(VOXEL, None, VOXEL),
        unit=unit,
        geometry=GEOMETRY,
        acquisition={"photons": 1e5},
    )
    return base.replace(**changes)


def inside(volume):
    row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return volume[-1][np.hypot(column - 4, row - 3) < 11].mean()


def test_header_is_complete_before_the_first_slab():
    def never():
        raise AssertionError("a slab was asked for")
        yield

    known = header(answers={"bvtv": 0.2}, calibration=Calibration(300.0, -70.0, "test"))
    done = reconstruct(chain(known, never())).header
    assert (done.shape, done.dtype, done.axes) == ((ROWS, SIZE, SIZE), "<f4", ("z", "y", "x"))
    assert (done.unit, done.spacing, done.geometry) == ("1/cm", (VOXEL, VOXEL, VOXEL), None)
    assert done.acquisition == {**known.acquisition, "views": VIEWS}
    assert done.answers == known.answers
    assert done.calibration == known.calibration


def test_attenuation_is_right_from_every_unit(heard):
    p = lines()
    white = np.random.default_rng(0).uniform(8e3, 1.2e4, (ROWS, SIZE)).astype(np.float32)
    dark = np.full((ROWS, SIZE), 100, np.float32)
    counts = np.exp(-p) * white[:, None] + dark[:, None]
    scans = {
        "line integral": (p, header(), None),
        "transmission": (np.exp(-p), header("transmission"), None),
        "counts": (
            np.exp(-p) * 1e4 + 100,
            header("counts", acquisition={"white": 1e4, "dark": 100.0}),
            None,
        ),
        "flats": (counts, header("counts"), Fields.averaged(np.stack([white + dark] * 3), np.stack([dark] * 2))),
        "integers": (np.rint(counts).astype("<u2"), header("counts", dtype="<u2"), Fields(white, dark)),
    }
    for name, (values, known, fields) in scans.items():
        volume = reconstruct(Stack.of(values, known), fields=fields).collect()
        assert inside(volume) == pytest.approx(3.0, rel=2e-3), name
    assert heard == []


def test_mineral_density():
    law = Calibration(300.0, -70.0, "test")
    known = header(calibration=law)
    volume = reconstruct(Stack.of(lines(), known), unit="mgHA/cm3")
    assert volume.header.unit == "mgHA/cm3"
    assert inside(volume.collect()) == pytest.approx(3 * 300 - 70, rel=3e-3)
    given = reconstruct(Stack.of(lines(), header()), unit="mgHA/cm3", calibration=law)
    assert given.header.calibration == law


@pytest.mark.parametrize("cut", [1, 2, 3, ROWS])
def test_any_slab_gives_the_same_bytes(cut):
    p = lines()
    whole = reconstruct(Stack.of(p, header())).collect()
    slabs = (p[i : i + cut] for i in range(0, ROWS, cut))
    assert np.array_equal(reconstruct(chain(header(), slabs)).collect(), whole)


def test_projections_are_turned(heard):
    p = lines()
    turned = header(axes=PROJECTIONS, shape=(VIEWS, ROWS, SIZE), spacing=(None, VOXEL, VOXEL))
    scan = Stack.of(np.ascontiguousarray(p.transpose(1, 0, 2)), turned)
    assert np.array_equal(reconstruct(scan).collect(), reconstruct(Stack.of(p, header())).collect())
    assert heard == []  # some bytes are held without a word


def test_half_a_photon_at_least(heard):
    counts = np.full((ROWS, VIEWS, SIZE), 100.0, np.float32)
    counts[0, 0, :3] = (0.0, -5.0, 0.4)
    known = header("counts", acquisition={"white": 100.0})
    p = line_integrals(Stack.of(counts, known)).collect()
    assert p[0, 0, :3] == pytest.approx(np.full(3, np.log(200)))
    assert not p[0, 0, 3:].any()
    assert heard == ["3 readings were reached by no photon and set to the least one (0.00014 of all)"]


def test_dark_transmissions(heard):
    values = np.full((ROWS, VIEWS, SIZE), 0.5, np.float32)
    values[2, 1, :2] = (0.0, 0.01)
    photons = line_integrals(Stack.of(values, header("transmission"))).collect()
    assert photons[2, 1, 0] == pytest.approx(np.log(2e5))
    unknown = line_integrals(Stack.of(values, header("transmission", acquisition={}))).collect()
    assert unknown[2, 1, 0] == unknown[2, 1, 1] == pytest.approx(np.log(100))
    with pytest.raises(DataError, match="row 3 has no positive transmission"):
        values[3] = 0
        line_integrals(Stack.of(values, header("transmission", acquisition={}))).collect()


def test_nan_is_refused_with_its_place():
    p = lines()
    p[3, 7, 11] = np.nan
    p[4, 0, 0] = np.inf
    with pytest.raises(DataError, match=r"2 .*3, 7, 11"):
        reconstruct(Stack.of(p, header())).collect()


def test_a_given_centre_wins():
    p = lines()
    shifted = np.roll(p, 2, axis=2)
    g = geometry_of(header(), centre=GEOMETRY.centre + 2)
    a, b = reconstruct(Stack.of(p, header())), reconstruct(Stack.of(shifted, header()), geometry=g)
    np.testing.assert_allclose(a.collect(), b.collect(), atol=2e-4)


def test_geometry_from_options():
    plain = Header(shape=(VIEWS, ROWS, SIZE), axes=PROJECTIONS, spacing=(None, VOXEL, VOXEL), unit="transmission")
    g = geometry_of(plain, angles=Angles(0.0, 2.0, VIEWS))
    assert (g.rows, g.columns, g.size, g.centre, g.pitch) == (ROWS, SIZE, SIZE, (SIZE - 1) / 2, VOXEL)
    assert geometry_of(plain, angles=Angles(0.0, 2.0, VIEWS), size=20).size == 20
    high = geometry_of(plain.replace(spacing=(None, 2 * VOXEL, VOXEL)), angles=Angles(0.0, 2.0, VIEWS))
    assert (high.row_pitch, high.pitch, high.voxel) == (2 * VOXEL, VOXEL, VOXEL)
    with pytest.raises(UsageError, match="no angles; give --angles"):
        geometry_of(plain)
    with pytest.raises(UsageError, match="pitch is unknown; give --voxel-size"):
        geometry_of(plain.replace(spacing=(None, None, None)), angles=Angles(0.0, 2.0, VIEWS))
    with pytest.raises(DataError, match="89 angles for 90 views"):
        geometry_of(plain, angles=Angles(0.0, 2.0, 89))


def test_facts_of_a_volume_are_those_of_what_was_reconstructed():
    known = header(acquisition={"views": 720, "photons": 1e5}, answers={"bvtv": 0.2})
    whole = reconstruct(Stack.of(lines(), known)).header
    assert (whole.acquisition["views"], whole.answers) == (VIEWS, {"bvtv": 0.2})
    assert not reconstruct(Stack.of(lines(), known), geometry=geometry_of(known, size=20)).header.answers
    high = known.replace(geometry=GEOMETRY.replace(row_pitch=2 * VOXEL))
    assert reconstruct(Stack.of(lines(), high)).header.spacing == (2 * VOXEL, VOXEL, VOXEL)


def refused(kind, message, scan=None, **options):
    with pytest.raises(kind, match=message):
        reconstruct(scan or Stack.of(lines(), header()), **options)


def test_refusals_come_before_the_work():
    volume = Header(shape=(2, 8, 8), unit="1/cm", spacing=(1.0, 1.0, 1.0))
    refused(UsageError, "volume in 1/cm.*bonectl simulate", Stack.of(np.zeros((2, 8, 8), "f4"), volume))
    refused(UsageError, "scan in grey", Stack.of(lines(), header("grey")))
    refused(UsageError, "white level; give --flats", Stack.of(lines(), header("counts")))
    refused(UsageError, "needs a calibration; give --energy", unit="mgHA/cm3")
    refused(UsageError, "no volume in 'HU'", unit="HU")
    refused(UsageError, "no method 'fpb'.*did you mean 'fbp'", method="fpb")
    refused(UsageError, "has no knob 'windows'", method="fbp(windows=hann)")
    refused(UsageError, "column 60, outside", geometry=GEOMETRY.replace(centre=60.0))
    refused(DataError, "45 angles for 90 views", geometry=GEOMETRY[::2])
    refused(DataError, "its geometry 5 × 40", geometry=GEOMETRY.replace(columns=40))
    fields = Fields(np.ones((ROWS, SIZE + 1), np.float32))
    refused(DataError, "flats are 5 × 49 pixels, the scan 5 × 48", Stack.of(lines(), header("counts")), fields=fields)
    refused(UsageError, "this scan is in line integral already", fields=fields)


def test_flats_that_are_not_bright():
    flat = np.full((4, 6), 100.0)
    flat[1, 2] = 10
    with pytest.raises(DataError, match="1 pixel is .* first in row 1, column 2; --dead-pixels fill"):
        Fields.averaged(flat, np.full((4, 6), 10.0), fill=False)
    with pytest.raises(DataError, match=r"24 pixels are .*100.0% of the detector are too many"):
        Fields.averaged(flat, flat)
    with pytest.raises(DataError, match="row 3 has no live one"):
        Fields.averaged(np.where(np.arange(200)[:, None] == 3, 0, np.ones((200, 6))))
    with pytest.raises(DataError, match="flats are 4 × 6 pixels and darks 4 × 5"):
        Fields.averaged(flat, np.zeros((4, 5)))
    with pytest.raises(DataError, match="1 pixel is .* first in row 0, column 0"):
        dark = np.zeros((2, 4, 6))
        dark[0, 0, 0] = np.nan
        Fields.averaged(np.full((4, 6), 100.0), dark, fill=False)


def test_dead_pixels_lie_between_their_neighbours(heard):
    """Against the very scan without any: a cylinder is smooth, so a line over one pixel or two is near to it."""
    raw = header("counts", acquisition={})
    counts = np.exp(-lines()) * 1000
    flat = np.full((ROWS, SIZE), 1000.0, np.float32)
    whole = reconstruct(Stack.of(counts, raw), fields=Fields(flat)).collect()
    broken, dimmed = counts.copy(), flat.copy()
    for row, column, reading in ((4, 20, 0.0), (4, 26, 3e4)):  # a dead one and a hot one
        broken[row, :, column], dimmed[row, column] = reading, 0.0
    fields = Fields.averaged(dimmed)
    assert heard == [
        "2 pixels are not brighter in the flats than in the darks, the first in row 4, column 20: taken from their "
        "neighbours in the row"
    ]
    assert fields.level == 1000
    done = line_integrals(Stack.of(broken, raw), fields)
    assert done.header.acquisition == {"dead_pixels": 2}
    p = done.collect()
    np.testing.assert_allclose(p[4, :, 20], (p[4, :, 19] + p[4, :, 21]) / 2, atol=1e-6)
    mended = reconstruct(Stack.of(broken, raw), fields=fields).collect()
    np.testing.assert_array_equal(mended[:4], whole[:4])
    assert inside(mended) == pytest.approx(inside(whole), rel=0.005)
    assert np.abs(mended[4] - whole[4]).max() < 0.15 * whole[4].max()


def test_rows_keep_their_own_flats_in_any_thread(monkeypatch):
    """A slab is shared between threads by pieces: here of a row each."""
    monkeypatch.setattr("bonectl.scanning.lines.PIECE", 1)
    white, dark = np.random.default_rng(0).uniform(500, 1500, (2, 6, 8)).astype(np.float32)
    counts = (dark + white / 2)[:, None].repeat(5, axis=1)
    scan = Stack.of(counts, Header(shape=counts.shape, axes=SINOGRAMS, unit="counts"))
    np.testing.assert_allclose(line_integrals(scan, Fields(white, dark)).collect(), np.log(2), rtol=1e-5)


@pytest.mark.parametrize("level", [0.01, 1.0, 3.0, 1e4])
def test_exposures_are_a_share_of_the_open_beam(level, heard):
    """Whatever the open beam reads, a cylinder of 3 1/cm is one; near 1, a note asks whether these are counts.

    Half a count was half of the open beam there, and all that absorbed more was cut off.
    """
    dense = 20 * lines()  # up to exp(-5.4)
    raw = header("counts", acquisition={})
    p = line_integrals(Stack.of(np.exp(-dense) * np.float32(level), raw), Fields(level)).collect()
    np.testing.assert_allclose(p, dense, atol=2e-5)
    assert [line for line in heard if "--input-unit transmission" in line] == heard
    assert len(heard) == (level < 10)
    dark = np.zeros_like(dense)
    darkest = line_integrals(Stack.of(dark, raw), Fields(level)).collect()
    np.testing.assert_allclose(darkest, np.log(2 * level if level > 10 else 2 * 65535), rtol=1e-5)


def test_a_known_dose_says_what_half_a_photon_is(heard):
    """5 photons a pixel are counts of order 1, and normalised to 1 they are the same scan."""
    counts = np.zeros((ROWS, VIEWS, SIZE), np.float32)
    for level in (5.0, 1.0):
        known = header("counts", acquisition={"photons": 5.0})
        p = line_integrals(Stack.of(counts * level, known), Fields(level)).collect()
        np.testing.assert_allclose(p, np.log(10), rtol=1e-6)
    whole = line_integrals(Stack.of(counts.astype("u1"), header("counts", dtype="|u1", acquisition={})), Fields(4.0))
    np.testing.assert_allclose(whole.collect(), np.log(8), rtol=1e-6)
    assert not [line for line in heard if "--input-unit" in line]


def test_warnings(heard):
    for quiet in (geometry_of(header(), size=2 * SIZE), GEOMETRY.replace(centre=GEOMETRY.centre + 3)):
        reconstruct(Stack.of(lines(), header()), geometry=quiet).collect()
        assert heard == []
    limited = GEOMETRY.replace(angles=Angles(0.0, 1.0, VIEWS))
    reconstruct(Stack.of(lines(), header(geometry=limited))).collect()
    assert "no view within 90 of 180 degrees" in heard[0]
    heard.clear()
    still = GEOMETRY.replace(angles=Angles(0.0, 180.0, VIEWS))
    reconstruct(Stack.of(lines(), header(geometry=still))).collect()
    assert "from one direction" in heard[0]
    heard.clear()
    reconstruct(Stack.of(lines() + 1, header())).collect()
    assert heard == ["5 of 5 rows are cut off by the detector: their absolute values are not to be trusted"]


def half_acquisition(radius, views=180, arc=360.0, columns=34):
    """Line integrals of a cylinder of 3 1/cm off the middle, with the axis near the first column of the detector."""
    g = parallel(SIZE, ROWS, VOXEL, views=views, arc=arc, columns=columns, centre=6.3)
    t = g.angles.radians[:, None]
    s = np.arange(g.columns) - g.centre - 4 * np.cos(t) - 3 * np.sin(t)
    chord = 2 * np.sqrt(np.maximum(0, radius**2 - s**2)) * VOXEL / 10
    p = np.repeat(3 * chord[None], ROWS, axis=0).astype(np.float32)
    return Stack.of(p, header(shape=g.shape, geometry=g))


def test_half_acquisition_is_complete_over_a_full_turn(heard):
    volume = reconstruct(half_acquisition(15.0), look=True)
    assert not volume.header.region_of_interest
    assert inside(volume.collect()) == pytest.approx(3.0, rel=2e-3)
    assert heard == []


def test_half_acquisition_says_what_is_missing(heard):
    volume = reconstruct(half_acquisition(15.0, views=90, arc=180.0), look=True)
    assert volume.header.region_of_interest
    volume.collect()
    assert len(heard) == 1
    assert "5 of 5 rows are cut off at an end, with the axis at column 6.3 of 34" in heard[0]
    assert "half acquisition needs views over 360 degrees, 180 are missing" in heard[0]
    heard.clear()
    reconstruct(half_acquisition(25.0)).collect()
    assert heard == ["5 of 5 rows are cut off by the detector: their absolute values are not to be trusted"]


@pytest.mark.parametrize("level", [0.1, -0.05])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_air_that_does_not_read_0_is_no_detector_that_is_too_small(level, noise, heard):
    """The beam changed between flats and projections: another cause, another cure."""
    p = lines() + level + np.random.default_rng(0).normal(0, noise, GEOMETRY.shape)
    volume = reconstruct(Stack.of(p.astype(np.float32), header()), look=True)
    assert not volume.header.region_of_interest
    volume.collect()
    assert len(heard) == 1
    assert f"reads {level:.2g} instead of 0 in 5 of 5 rows: the beam changed" in heard[0]


@pytest.mark.parametrize("noise", [1e-4, 0.05])
def test_rows_of_noisy_air_are_nothing_to_speak_of(noise, heard):
    p = lines()
    p[:3] = 0
    p += np.random.default_rng(0).normal(0, noise, GEOMETRY.shape).astype(np.float32)
    reconstruct(Stack.of(p, header())).collect()
    assert heard == []


def test_air_is_taken_off(heard):
    """A level that differs from view to view and from end to end; in half acquisition, that of the longer side."""
    drift = 0.1 + 0.05 * np.sin(np.arange(VIEWS))[:, None] + 0.005 * np.linspace(-1, 1, SIZE)
    scan = Stack.of((lines() + drift).astype(np.float32), header())
    assert inside(reconstruct(scan, air=3).collect()) == pytest.approx(3.0, rel=3e-3)
    half = half_acquisition(15.0)
    moved = Stack.of(half.collect() - np.float32(0.2), half.header)
    assert inside(reconstruct(moved, air=3).collect()) == pytest.approx(3.0, rel=3e-3)
    assert heard == []
    reconstruct(half_acquisition(25.0), air=3).collect()
    assert "5 of 5 rows show an object at an end of the detector, not air: --air took a part of it off" in heard[0]
    refused(UsageError, "--air 30: give 1 to 24 of the 48 columns", air=30)


def test_air_in_half_acquisition_is_judged_by_the_longer_side(heard):
    half = half_acquisition(15.0)
    reconstruct(Stack.of(half.collect() + np.float32(0.1), half.header)).collect()
    assert len(heard) == 1
    assert "reads 0.1 instead of 0 in 5 of 5 rows: the beam changed" in heard[0]


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize(("x", "radius"), [(0.0, 30.0), (0.0, 26.0), (10.0, 20.0), (15.0, 30.0)])
def test_an_object_that_is_cut_off_is_not_taken_for_air(x, radius, noise, heard):
    t = GEOMETRY.angles.radians[:, None]
    s = np.arange(SIZE) - GEOMETRY.centre - x * np.cos(t)
    p = np.repeat(0.6 * np.sqrt(np.maximum(0, radius**2 - s**2))[None] * VOXEL / 10, ROWS, axis=0)
    p += np.random.default_rng(0).normal(0, noise * p.max(), GEOMETRY.shape)
    reconstruct(Stack.of(p.astype(np.float32), header())).collect()
    assert heard == ["5 of 5 rows are cut off by the detector: their absolute values are not to be trusted"]


def test_angles_in_radians_are_asked_about(heard):
    few = np.linspace(0, np.pi, 12, endpoint=False)
    g = parallel(SIZE, ROWS, VOXEL, views=12, columns=SIZE).replace(angles=Angles.of(few))
    scan = Stack.of(np.ones(g.shape, np.float32), header(geometry=g, shape=g.shape))
    refused(UsageError, "the views cover 3.14 of 180 degrees.*check the angles", scan)
    reconstruct(scan, method="sirt(iterations=1)").collect()
    assert heard[0] == "12 angles span 2.88 degrees: if these are radians, multiply them by 57.29578"


@pytest.mark.parametrize("size", [1, 3, ROWS])
def test_a_look_at_the_first_rows_puts_a_region_of_interest_into_the_header(size, monkeypatch):
    """By the rows that are looked at, however they arrive; no value changes."""
    monkeypatch.setattr("bonectl.scanning.memory_need.FEWEST", 2)
    for cut_row, told in ((1, True), (2, False)):
        p = lines().copy()
        p[cut_row] += 1
        slabs = (p[start : start + size] for start in range(0, ROWS, size))
        volume = reconstruct(chain(header(), slabs), look=True)
        assert volume.header.region_of_interest == told
        assert np.array_equal(volume.collect(), reconstruct(Stack.of(p, header())).collect())


def test_sinograms_pass_through():
    scan = Stack.of(lines(), header())
    assert sinograms(scan) is scan


def test_real_tooth(shared_data):
    """Enamel and dentine of a real scan: sharp at the axis' column, air at 0."""
    import tifffile

    folder = shared_data / "tooth_projections"
    frames, flats, darks = (tifffile.imread(folder / f"{name}.tif") for name in ("projections", "flats", "darks"))
    known = Header(shape=frames.shape, axes=PROJECTIONS, spacing=(None, 0.01, 0.01), unit="counts")
    g = geometry_of(known, angles=Angles.of(np.load(folder / "theta_deg.npy")), centre=295.5)
    volume = reconstruct(Stack.of(frames, known), geometry=g, fields=Fields.averaged(flats, darks)).collect()
    row, column = np.mgrid[:640, :640] - 319.5
    radius = np.hypot(row, column)
    assert abs(np.median(volume[0][(radius > 200) & (radius < 280)])) < 0.3
    tooth = volume[0][radius < 130]
    assert np.percentile(tooth, 90) > 6  # enamel, for a pixel taken as 10 µm
