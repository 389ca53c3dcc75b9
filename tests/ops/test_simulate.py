import numpy as np
import pytest
from tests import made

from bonectl.core import physics
from bonectl.core.calibration import Calibration
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.ops.phantom import phantom
from bonectl.ops.reconstruct import reconstruct
from bonectl.ops.simulate import darks, flats, simulate
from bonectl.scanning.detector import Detector
from bonectl.scanning.exposure import refined

VOXEL = 0.02


def volume(values, unit="1/cm", voxel=VOXEL, **facts):
    return made.stack(np.asarray(values, np.float32), unit, spacing=(voxel,) * 3, **facts)


def disc(shape=(4, 96, 96), voxel=VOXEL, mineral=200.0):
    return phantom(parse(f"disc(mineral={mineral})"), shape, voxel)


def bone(shape=(20, 48, 48), voxel=0.04):
    return phantom(parse("iliac"), shape, voxel, 1)


# ---- attenuation and projection ----


def test_line_integrals_of_a_disc_are_its_chords():
    shape, mineral = (2, 96, 96), 500.0
    scan = simulate(
        disc(shape, mineral=mineral),
        geometry="parallel(views=45)",
        energy=25.0,
        detector=Detector(noise="none", blur=0.0, photons=1e9),
        unit="line integral",
    )
    p = scan.collect()
    slope, intercept = physics.mineral_law(25.0)
    radius, side = 0.4 * 96 * VOXEL / 10, 96 * VOXEL / 10  # cm
    t = (np.arange(p.shape[-1]) - scan.header.geometry.centre) * VOXEL / 10
    chord = 2 * np.sqrt(np.clip(radius**2 - t**2, 0, None))
    water = physics.matrix_attenuation(25.0)
    at_zero = np.where(np.abs(t) < side / 2, side, 0.0) * water + chord * mineral / slope
    inside = np.abs(t) < 0.95 * radius
    np.testing.assert_allclose(p[1, 0][inside], at_zero[inside], rtol=2e-3)
    assert intercept == pytest.approx(-slope * water)


def test_mineral_is_conserved_in_every_view():
    stack = bone((4, 48, 48))
    values = stack.collect()
    scan = simulate(
        Stack.of(values, stack.header),
        geometry="parallel(views=12)",
        energy=40.0,
        detector=Detector(noise="none", blur=0.0),
        unit="line integral",
    )
    slope, intercept = physics.mineral_law(40.0)
    mass = ((values - intercept) / slope).sum(axis=(1, 2)) * 0.004
    np.testing.assert_allclose(scan.collect().sum(axis=2), np.repeat(mass[:, None], 12, axis=1), rtol=2e-3)


def test_attenuation_and_mineral_of_the_same_object_give_the_same_scan():
    stack = bone((4, 32, 32))
    law = Calibration(*physics.mineral_law(30.0), "test")
    mineral = stack.collect()
    detector = Detector(noise="none")
    one = simulate(Stack.of(mineral, stack.header), energy=30.0, detector=detector, geometry="parallel(views=8)")
    two = simulate(volume(law.attenuation(mineral), voxel=0.04), detector=detector, geometry="parallel(views=8)")
    np.testing.assert_allclose(one.collect(), two.collect(), rtol=1e-5)


def test_a_volume_that_is_not_square_lies_in_the_middle_of_air():
    scan = simulate(
        volume(np.ones((1, 20, 40))),
        geometry="parallel(views=2, columns=60)",
        detector=Detector(noise="none", blur=0.0),
        unit="line integral",
    )
    p = scan.collect()[0]
    assert scan.header.geometry.size == 40
    np.testing.assert_allclose(p[0, 12:48], 20 * VOXEL / 10, rtol=0.02)
    np.testing.assert_allclose(p[1, 22:38], 40 * VOXEL / 10, rtol=0.02)


@pytest.mark.parametrize("shape", [(21, 40), (40, 21), (20, 40), (13, 36)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_oversampling_moves_nothing(shape, factor):
    """The centre of mass of every view, in closed form: half a voxel off the axis where the air is an odd number."""
    scan = simulate(
        volume(np.ones((1, *shape))),
        geometry="parallel(views=2)",
        detector=Detector(noise="none", blur=0.0, oversample=factor, photons=1e9),
        unit="line integral",
    )
    p = scan.collect()[0].astype(float)
    mass = (p * np.arange(p.shape[1])).sum(axis=1) / p.sum(axis=1) - scan.header.geometry.centre
    air = np.array([max(shape) - side for side in reversed(shape)])  # views look along y, then along x
    np.testing.assert_allclose(np.abs(mass), air % 2 / 2, atol=0.01)


def test_what_is_known_of_a_volume_is_not_said_of_a_larger_one():
    known = volume(np.ones((1, 8, 10)), answers={"bvtv": 1.0})
    assert not simulate(known).header.answers
    assert simulate(volume(np.ones((1, 8, 8)), answers={"bvtv": 1.0})).header.answers == {"bvtv": 1.0}


def test_refinement_conserves_every_voxel_and_never_overshoots():
    values = np.random.default_rng(0).random((3, 9, 7)).astype(np.float32)
    for factor in (2, 3, 4):
        fine = refined(values, factor)
        mean = fine.reshape(3, 9, factor, 7, factor).mean(axis=(2, 4))
        np.testing.assert_allclose(mean, values, atol=1e-6)
        assert fine.min() >= values.min() - 1e-6
        assert fine.max() <= values.max() + 1e-6
    assert refined(values, 1) is values


def test_refinement_follows_a_slope():
    ramp = np.broadcast_to(np.arange(6, dtype=np.float32), (1, 6, 6))
    np.testing.assert_allclose(refined(ramp, 2)[0, 5, 2:-2], np.arange(0.75, 4.5, 0.5), atol=1e-6)


def test_without_oversampling_the_crime_is_committed():
    # an object of voxels, seen by a detector of whole pixels: the two settings differ, and more so at fine detail
    rough = volume(np.random.default_rng(1).random((1, 32, 32)) * 20)
    smooth = volume(np.full((1, 32, 32), 10.0))
    kwargs = {"geometry": "parallel(views=30)", "unit": "line integral"}
    far = []
    for stack in (rough, smooth):
        values = stack.collect()
        pair = [
            simulate(
                Stack.of(values, stack.header), detector=Detector(noise="none", blur=0.0, oversample=k), **kwargs
            ).collect()
            for k in (1, 2)
        ]
        far.append(np.abs(pair[0] - pair[1])[..., 10:-10].max())
    assert far[0] > 10 * far[1]


# ---- the detector ----


def test_blur_spreads_over_columns_and_rows_by_its_sd():
    values = np.zeros((25, 33, 33))
    values[12, 16, 16] = 100.0
    sharp, soft = (
        1 - simulate(
            volume(values), geometry="parallel(views=1, columns=61)", unit="transmission",
            detector=Detector(blur=blur, noise="none", photons=1e6),
        ).collect()[:, 0].astype(float)
        for blur in (0.0, 1.5)
    )  # fmt: skip
    near = soft[3:22, 20:41]  # further out, rounding of 1 - T would weigh by the square of the distance
    # across columns the voxel and the pixel have a width too: two halves each, 1/4 pixel off the middle
    for axis, expected in ((0, 1.5**2), (1, 1.5**2 + 2 / 16)):
        profile = near.sum(axis=1 - axis)
        place = np.arange(len(profile))
        middle = (profile * place).sum() / profile.sum()
        assert (profile * (place - middle) ** 2).sum() / profile.sum() == pytest.approx(expected, rel=0.02)
    assert soft.sum() == pytest.approx(sharp.sum(), rel=1e-3)


def test_counts_are_whole_photons_around_the_expected_mean():
    empty = volume(np.zeros((8, 32, 32)))
    counts = simulate(empty, geometry="parallel(views=50)", detector=Detector(photons=400.0)).collect().astype(float)
    np.testing.assert_array_equal(counts, np.rint(counts))
    spread = 20 / np.sqrt(counts.size)
    assert abs(counts.mean() - 400) < 5 * spread
    assert counts.var() == pytest.approx(400, rel=0.05)


@pytest.mark.parametrize("factor", [4, 25])
def test_dose_multiplies_mean_counts_and_divides_the_variance_of_line_integrals(factor):
    values = np.full((8, 32, 32), 5.0)
    mean, variance = [], []
    for photons in (1e3, 1e3 * factor):
        for unit in ("counts", "line integral"):
            scan = simulate(
                volume(values), geometry="parallel(views=100)", unit=unit, seed=7, detector=Detector(photons=photons)
            ).collect()
            middle = scan[:, :, 20:26].astype(float)
            if unit == "counts":
                mean.append(middle.mean())
            else:
                variance.append((middle - middle.mean(axis=0)).var())
    assert mean[1] / mean[0] == pytest.approx(factor, rel=0.01)
    assert variance[0] / variance[1] == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("unit", ["counts", "transmission", "line integral"])
@pytest.mark.parametrize("noise", ["poisson", "poisson + electronic(sd=5)"])
def test_one_photon_gives_finite_readings_and_a_note(unit, noise):
    with made.heard() as said:
        scan = simulate(
            bone((4, 32, 32)), energy=20.0, geometry="parallel(views=20)", unit=unit,
            detector=Detector(photons=1.0, noise=noise),
        ).collect()  # fmt: skip
    assert np.isfinite(scan).all()
    assert len(said) == 1
    assert "below half a photon" in said[0]
    if unit == "line integral":
        assert scan.max() == pytest.approx(np.log(2.0))


def test_high_counts_are_unbiased():
    stack = bone((6, 40, 40))
    values = stack.collect()
    clean, noisy = (
        simulate(
            Stack.of(values, stack.header), energy=25.0, geometry="parallel(views=120)", unit="line integral",
            detector=Detector(photons=1e6, noise=noise),
        ).collect().astype(float)
        for noise in ("none", "poisson")
    )  # fmt: skip
    error = noisy - clean
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(error.size) + 1e-6  # bias of the logarithm: 1 / (2 counts)


def test_electronic_noise_adds_to_shot_noise():
    empty = np.zeros((8, 32, 32))
    counts = simulate(
        volume(empty),
        geometry="parallel(views=50)",
        detector=Detector(photons=100.0, noise="poisson + electronic(sd=20)"),
    ).collect()
    assert counts.astype(float).var() == pytest.approx(100 + 400, rel=0.05)


def test_flats_and_darks_remove_gain_and_offset():
    detector = Detector(photons=1e5, gain=0.05, dark=300.0, blur=0.0)
    values = np.full((3, 24, 24), 3.0)
    raw = simulate(volume(values), geometry="parallel(views=40)", detector=detector, seed=4)
    header = raw.header
    assert "white" not in header.acquisition  # no single number would be true
    white = flats(header, detector, frames=50, seed=4).collect().mean(axis=0)
    black = darks(header, detector, frames=50, seed=4).collect().mean(axis=0)
    np.testing.assert_allclose(black, 300.0)
    assert (white - black).std() / (white - black).mean() == pytest.approx(0.05, rel=0.15)
    corrected = (raw.collect() - black[:, None]) / (white - black)[:, None]
    even = simulate(
        volume(values), geometry="parallel(views=40)", unit="transmission", detector=Detector(blur=0.0, noise="none")
    ).collect()
    np.testing.assert_allclose(corrected.mean(axis=1), even.mean(axis=1), rtol=3e-3)


# ---- streams ----


@pytest.mark.parametrize("slab", [1, 7, 20])
def test_slabs_never_change_a_value(slab):
    detector = Detector(photons=500.0, blur=0.8, gain=0.02)
    stack = bone()
    values = stack.collect()
    whole = simulate(Stack.of(values, stack.header), energy=25.0, geometry="parallel(views=30)", detector=detector)
    pieces = Stack(stack.header, (values[i : i + slab] for i in range(0, len(values), slab)))
    cut = simulate(pieces, energy=25.0, geometry="parallel(views=30)", detector=detector)
    np.testing.assert_array_equal(cut.collect(), whole.collect())


def test_rows_come_before_the_whole_volume_was_read():
    read = []
    values = np.zeros((256, 16, 16), np.float32)

    def slabs():
        for start in range(0, len(values), 8):
            read.append(start)
            yield values[start : start + 8]

    header = Header(shape=values.shape, spacing=(VOXEL,) * 3, unit="1/cm")
    scan = simulate(Stack(header, slabs()), geometry="parallel(views=4)", detector=Detector(blur=1.0))
    assert not read
    next(iter(scan.slabs))
    assert len(read) <= 9


def test_seeds_make_noise_and_nothing_else():
    values = np.full((2, 16, 16), 2.0)

    def scan(seed, noise="poisson"):
        return simulate(
            volume(values), geometry="parallel(views=9)", seed=seed, detector=Detector(noise=noise)
        ).collect()

    np.testing.assert_array_equal(scan(1), scan(1))
    assert (scan(1) != scan(2)).any()
    np.testing.assert_array_equal(scan(1, "none"), scan(2, "none"))


def test_the_header_tells_how_the_scan_was_made():
    stack = bone((4, 32, 32))
    detector = Detector(photons=2000.0, blur=0.7)
    header = simulate(stack, energy=25.0, geometry="parallel(views=33)", detector=detector).header
    assert header.axes == ("row", "view", "col")
    assert header.shape == header.geometry.shape
    assert header.unit == "counts"
    facts = header.acquisition
    assert (facts["energy_kev"], facts["photons"], facts["views"], facts["white"]) == (25.0, 2000.0, 33, 2000.0)
    assert (facts["blur_px"], facts["oversample"], facts["noise"]) == (0.7, 2, "poisson")
    assert header.calibration.slope == pytest.approx(301.1, abs=0.1)
    assert header.answers == stack.header.answers


def test_pseudo_calibrated_bone_stays_labelled():
    pseudo = Calibration(6.0, -100.0, "pseudo-calibrated by peaks", pseudo=True)
    values = np.full((2, 16, 16), 500.0)
    stack = volume(values, "mgHA/cm3", calibration=pseudo, acquisition={"calibrated_from": "grey"})
    law = simulate(stack, energy=25.0, geometry="parallel(views=3)").header.calibration
    assert law.pseudo
    assert "pseudo-calibrated" in law.source
    assert law.slope == pytest.approx(301.1, abs=0.1)


def test_mineral_without_energy_takes_the_usual_one_and_says_so():
    with made.heard() as said:
        scan = simulate(bone((1, 16, 16)), geometry="parallel(views=2)")
        header = scan.header
        assert not said
        scan.collect()
    assert header.acquisition["energy_kev"] == 25.0
    assert "25 keV" in said[0]


def test_a_detector_too_narrow_for_the_object_is_told_of():
    with made.heard() as said:
        simulate(disc(), geometry="parallel(views=9)", energy=25.0).collect()
        assert not said
        alone = np.where(disc().collect() > 0, 2.0, 0.0)  # [1/cm]: in air, not in water to the corners
        for quiet in ("columns=128, centre=80", "columns=80, centre=5, arc=360"):
            simulate(volume(alone, "1/cm"), geometry=f"parallel(views=9, {quiet})").collect()
            assert not said
        scan = simulate(disc(), geometry="parallel(views=9, columns=40)", energy=25.0).collect()
    rows = len(scan)
    assert said == [f"{rows} of {rows} rows are cut off by the detector: their absolute values are not to be trusted"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": "grey"}, "grey"),
        ({"unit": "label"}, "label"),
        ({"voxel": None}, "voxel size"),
        ({"energy": 3.0}, "8 to 150"),
        ({"matrix": "air"}, "'air'"),
        ({"geometry": "paralel"}, "did you mean 'parallel'"),
        ({"geometry": "parallel(views=0)"}, "view"),
        ({"out": "grey"}, "no scan in 'grey'"),
    ],
)
def test_what_cannot_be_scanned_is_refused_before_a_voxel_is_read(change, words):
    voxel = change.get("voxel", VOXEL)
    header = Header(shape=(2, 8, 8), spacing=(voxel,) * 3, unit=change.get("unit", "mgHA/cm3"))
    with pytest.raises(UsageError, match=words):
        simulate(
            made.unread(header),
            geometry=change.get("geometry", "parallel"),
            energy=change.get("energy", 25.0),
            matrix=change.get("matrix", "water"),
            unit=change.get("out", "counts"),
        )


@pytest.mark.parametrize(
    "knobs",
    [
        {"photons": 0.0},
        {"photons": float("nan")},
        {"photons": 1e30},
        {"blur": -1.0},
        {"gain": 2.0},
        {"dark": -1.0},
        {"oversample": 0},
        {"noise": "poison"},
        {"noise": "electronic(std=3)"},
    ],
)
def test_a_detector_that_makes_no_sense_is_refused(knobs):
    with pytest.raises(UsageError):
        Detector(**knobs)


# ---- the noise that reconstruction meets ----


@pytest.mark.parametrize(("views", "photons"), [(360, 1e4), (180, 1e5), (720, 1e3)])
def test_noise_of_fbp_in_a_uniform_disc_follows_the_closed_formula(views, photons):
    shape = (6, 128, 128)
    stack = disc(shape)
    values = stack.collect()

    def reconstructed(noise):
        scan = simulate(
            Stack.of(values, stack.header), energy=25.0, geometry=f"parallel(views={views})",
            detector=Detector(photons=photons, noise=noise, blur=0.0),
        )  # fmt: skip
        return reconstruct(scan, method="fbp").collect()

    error = (reconstructed("poisson") - reconstructed("none"))[:, 56:72, 56:72].astype(float)
    # all rays through the middle: the box of matrix, its side longer along the diagonals, and the disc's diameter
    slope, _ = physics.mineral_law(25.0)
    angles = np.deg2rad(np.arange(views) * 180 / views)
    side = 128 * VOXEL / 10 / np.maximum(np.abs(np.cos(angles)), np.abs(np.sin(angles)))
    through = side * physics.matrix_attenuation(25.0) + 0.8 * 128 * VOXEL / 10 * 200 / slope
    # σ² = π² / (12 M D²) · e^p / N₀ for the ramp filter cut at the Nyquist frequency: the variance of −ln(counts) is
    # e^p / N₀, of the ramp Σ h² = 1 / (12 D⁴), and M views of weight π D / M add up
    expected = np.sqrt(np.pi**2 / (12 * views * (VOXEL / 10) ** 2) * np.exp(through).mean() / photons)
    assert error.std() == pytest.approx(expected, rel=0.2)
    assert abs(error.mean()) < 5 * error.std() / np.sqrt(error.size) + expected**2


def test_reconstruction_of_a_disc_returns_its_mineral():
    shape = (3, 128, 128)
    scan = simulate(disc(shape), energy=25.0, geometry="parallel(views=300)", detector=Detector(noise="none", blur=0.0))
    middle = reconstruct(scan, unit="mgHA/cm3").collect()[:, 48:80, 48:80]
    assert middle.mean() == pytest.approx(200, abs=2)


def test_a_beam_that_grows_is_refused():
    header = Header(shape=(2, 8, 8), spacing=(0.1, 0.1, 0.1), unit="1/cm")
    volume = Stack.of(np.full((2, 8, 8), -1e3, np.float32), header)
    with pytest.raises(DataError, match="so negative"):
        list(simulate(volume, geometry="parallel(views=4)").slabs)


@pytest.mark.parametrize("noise", ["electronic(sd=-1)", "poisson + electronic(sd=1e300)"])
def test_read_out_noise_has_a_possible_deviation(noise):
    header = Header(shape=(2, 8, 8), spacing=(0.1, 0.1, 0.1), unit="1/cm")
    volume = Stack.of(np.zeros((2, 8, 8), np.float32), header)
    with pytest.raises(UsageError, match="electronic"):
        list(simulate(volume, geometry="parallel(views=4)", detector=Detector(noise=noise)).slabs)
