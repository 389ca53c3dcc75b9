"""Each preparation against a closed form, an independent version of its equations, or what must not change."""

from math import pi

import numpy as np
import pytest
from tests.preparations.made import PITCH, after, beam, scan

from bonectl.core.header import PROJECTIONS
from bonectl.errors import DataError, UsageError

RNG = np.random.default_rng(7)


# --- flats and bad pixels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["sinograms", "projections"])
@pytest.mark.parametrize("mode", ["mean", "linear", "nearest"])
def test_a_beam_that_fades_is_followed(mode, axes):
    """The beam falls by 20 % over the scan, on a straight line; flats were taken before and after."""
    views = 40
    truth = RNG.uniform(0.2, 1, (3, views, 8))
    white, dark = RNG.uniform(900, 1100, (3, 1, 8)), RNG.uniform(90, 110, (3, 1, 8))
    level = 1 - 0.2 * (np.arange(views) + 0.5)[:, None] / views
    counts = truth * white * level + dark
    flats = [white[:, 0] + dark[:, 0]] * 3 + [0.8 * white[:, 0] + dark[:, 0]] * 5
    given = beam(flats, [dark[:, 0]], at=(0.0,) * 3 + (float(views),) * 5)
    kwargs = {"given": given}
    if axes == "projections":
        counts, kwargs = counts.swapaxes(0, 1), kwargs | {"axes": PROJECTIONS, "order": "sinogram"}
    found, told = after(f"flats(mode={mode})", counts, "counts", **kwargs)
    assert told.unit == "transmission"
    right = {"mean": level / 0.875, "linear": 1.0, "nearest": level / np.where(np.arange(views) < 20, 1, 0.8)[:, None]}
    np.testing.assert_allclose(found, truth * right[mode], rtol=2e-6)


def test_how_many_flats_were_before_can_be_said():
    counts = np.full((1, 10, 4), 550.0)
    given = beam([np.full((1, 4), 500.0)] * 2 + [np.full((1, 4), 600.0)])
    found, _ = after("flats(mode=linear, before=2)", counts, "counts", given=given)
    np.testing.assert_allclose(found[0, :, 0], 550 / (500 + 100 * (np.arange(10) + 0.5) / 10), rtol=1e-6)
    with pytest.raises(UsageError, match="say how many before"):
        after("flats(mode=nearest)", counts, "counts", given=given)
    with pytest.raises(UsageError, match="there are 3 flats"):
        after("flats(mode=linear, before=3)", counts, "counts", given=given)


def test_one_zero_pixel_of_the_flat_refuses_no_scan():
    ramp = np.add.outer(np.arange(9.0), np.arange(12.0)) / 100 + 0.3
    white = np.full((9, 12), 1000.0)
    counts = np.repeat((ramp * white)[:, None], 3, axis=1)
    white[4, 5] = 0
    counts[4, :, 5] = 0
    for text in ("flats", "badpixels + flats", "badpixels(deviation=0) + flats"):
        found, _ = after(text, counts, "counts", given=beam([white]), order="sinogram")
        np.testing.assert_allclose(found, np.repeat(ramp[:, None], 3, axis=1), rtol=1e-5)


def test_a_dead_row_and_much_of_the_detector_are_filled_too():
    ramp = np.add.outer(np.arange(40.0), np.arange(30.0)) / 100 + 0.3
    white, dark = np.full((40, 30), 1000.0), np.full((40, 30), 100.0)
    counts = ramp * white + dark
    white[20] = 0
    white[5:8, 5:8] = -5
    white[11, 3] = 1700  # answers too much
    dark[30, 30 - 2] = 900  # hot
    flats = white + dark
    flats[0, 0] = np.nan
    spoilt = np.where((white <= 0) | (dark > 500) | ~np.isfinite(flats), 7.0, counts)
    spoilt[11, 3] = counts[11, 3] * 1.7
    text = "badpixels(deviation={}) + flats"
    found, _ = after(text.format(0.5), spoilt[:, None], "counts", given=beam([flats], [dark]), order="sinogram")
    np.testing.assert_allclose(found[:, 0], ramp, atol=0.0121)  # a corner has neighbours on one side only
    with pytest.raises(DataError, match="'badpixels \\+ flats'"):
        after("flats", spoilt[:, None], "counts", given=beam([flats], [dark]))
    with pytest.raises(DataError, match=r"are bad, more than badpixels\(most=0.01\) allows"):
        after("badpixels(most=0.01)", spoilt[:, None], "counts", given=beam([flats], [dark]))


def test_a_mask_says_what_is_bad(tmp_path):
    mask = np.zeros((1, 6, 7), np.uint8)
    mask[0, 2, 3] = 1
    np.save(tmp_path / "mask.npy", mask)
    values = np.repeat(np.add.outer(np.arange(6.0), np.arange(7.0))[:, None], 2, axis=1) + 1
    spoilt = values.copy()
    spoilt[2, :, 3] = 1e6
    spoilt[4, :, 4] = 1e6
    found, _ = after(f"badpixels(mask='{tmp_path}/mask.npy')", spoilt, "counts", order="sinogram")
    np.testing.assert_allclose(found[2, :, 3], values[2, :, 3], rtol=1e-6)
    np.testing.assert_array_equal(found[4, :, 4], 1e6)
    with pytest.raises(DataError, match="has the shape"):
        after(f"badpixels(mask='{tmp_path}/mask.npy')", spoilt[:5], "counts")


# --- zingers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["counts", "transmission", "line integral"])
def test_zingers_go_and_nothing_else_does(unit):
    lines, there = scan(rows=2, views=60, noise=0.0)
    clean = np.exp(-lines) + np.random.default_rng(3).normal(0, 0.01, lines.shape)
    scale = 1000.0 if unit == "counts" else 1.0
    spoilt = clean.copy()
    spots = [(0, 0, 5), (0, 30, 40), (1, 59, 80), (1, 20, 41), (1, 20, 42), (1, 20, 43)]
    for row, view, column in spots:
        spoilt[row, view, column] += 1.0

    def in_unit(values):
        return -np.log(np.maximum(values, 1e-3)) if unit == "line integral" else scale * values

    untouched, _ = after("zingers", in_unit(clean), unit, geometry=there)
    assert (untouched != in_unit(clean).astype(np.float32)).mean() < 2e-4
    found, _ = after("zingers", in_unit(spoilt), unit, geometry=there)
    rows, views, columns = np.array(spots).T
    assert np.abs(found - in_unit(clean))[rows, views, columns].max() < 0.25 * scale
    changed = np.argwhere(found != in_unit(spoilt).astype(np.float32)).tolist()
    assert all(list(spot) in changed for spot in spots)
    assert len(changed) <= len(spots) + 4


def test_zingers_are_told_from_views_in_the_order_of_their_angles():
    """Golden angles: the view before was taken from another side."""
    lines, there = scan(rows=1, views=90)
    mixed = np.random.default_rng(5).permutation(90)
    from bonectl.core.geometry import Angles

    turned = there.replace(angles=Angles.of(there.angles.degrees[mixed]))
    noisy = np.exp(-lines) + np.random.default_rng(3).normal(0, 0.005, lines.shape)
    straight, _ = after("zingers", noisy, "transmission", geometry=there)
    found, _ = after("zingers", noisy[:, mixed], "transmission", geometry=turned)
    np.testing.assert_array_equal(found, straight[:, mixed])


# --- stripes ----------------------------------------------------------------------------------------------------------


def test_smoothing_solves_its_least_squares():
    """Titarenko's normal equations, dense."""
    from bonectl.preparations._smooth import regular

    lines = RNG.normal(1, 0.3, (20, 50))
    alpha = 4 * np.sin(pi / 21) ** 2
    difference = np.diff(np.eye(50), axis=0)
    rough = difference.T @ difference
    right = np.linalg.solve(rough + alpha * np.eye(50), rough @ lines.mean(axis=0))
    np.testing.assert_allclose(regular(lines, size=21)[0], right, atol=1e-6)


def test_daubechies_filters_are_the_published_ones():
    """Daubechies 1992, table 6.1, N = 2 and 5; orthogonal to its own shifts, and its moments vanish."""
    from bonectl.preparations._smooth import daubechies

    root = np.sqrt(3)
    np.testing.assert_allclose(daubechies(2), np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * np.sqrt(2)))
    five = daubechies(5)
    np.testing.assert_allclose(five[:3], [0.160102397974, 0.603829269797, 0.724308528438], atol=1e-10)
    for shift in range(1, 5):
        assert abs(five[2 * shift :] @ five[: -2 * shift]) < 1e-12
    high = five[::-1] * (-1.0) ** np.arange(10)
    assert max(abs(high @ np.arange(10.0) ** k) for k in range(5)) < 1e-6


def test_wavelets_take_what_is_fine_across_columns_and_slow_along_views():
    from bonectl.preparations._smooth import fine

    views, columns = 64, 128
    view, column = np.mgrid[:views, :columns]
    stripe = (-1.0) ** column
    inner = (slice(None), slice(40, -40))  # at the ends it is mirrored, and no longer alternates
    np.testing.assert_allclose(fine(stripe, size=8, sigma=1.0)[inner], stripe[inner], atol=2e-4)
    assert np.abs(fine(stripe * np.cos(2 * pi * 8 * view / views), size=16, sigma=1.0)).max() < 1e-6  # too fast
    slow = np.cos(2 * pi * view / views)
    np.testing.assert_allclose(
        fine(stripe * slow, size=8, sigma=1.0)[inner], (np.exp(-0.5) * stripe * slow)[inner], atol=2e-4
    )
    slope = fine(column / 100 + (column / 100) ** 2, size=4, sigma=1.0)
    assert np.abs(slope[inner]).max() < 1e-6
    one, other = RNG.normal(size=(2, views, columns))
    both = fine(one + 2 * other, size=16, sigma=1.0)
    np.testing.assert_allclose(both, fine(one, size=16, sigma=1.0) + 2 * fine(other, size=16, sigma=1.0), atol=1e-5)


def test_sorting_is_the_median_at_each_rank():
    """Vo's algorithm 3, column by column, in plain loops."""
    from bonectl.preparations._vo import sorted_out

    plane = RNG.normal(size=(12, 15)).astype(np.float32)
    right = np.empty_like(plane)
    ranked = np.sort(plane, axis=0)
    mirrored = np.concatenate([ranked[:, 1::-1], ranked, ranked[:, :-3:-1]], axis=1)
    for column in range(15):
        for rank, view in enumerate(np.argsort(plane[:, column])):
            right[view, column] = np.median(mirrored[rank, column : column + 5])
    np.testing.assert_array_equal(sorted_out(plane, size=5), right)


@pytest.fixture(scope="module")
def striped():
    """A scan in line integrals, clean, and with every kind of stripe."""
    lines, there = scan(rows=2, views=180, columns=160)
    rng = np.random.default_rng(11)
    clean = lines + rng.normal(0, 0.01, lines.shape).astype(np.float32)
    bad = clean + rng.normal(0, 0.02, (2, 1, 160)).astype(np.float32)
    bad[:, :, 50:55] -= 0.08
    bad[:, :, 90] = 0.7
    bad[:, :, 110] += rng.normal(0, 0.3, (2, 180)).astype(np.float32)
    return lines, clean, bad, there


def off(found, lines):
    """Error of the mean over views, which rings are made of."""
    return float(np.sqrt((np.mean(found - lines, axis=1)[:, 8:-8] ** 2).mean()))


@pytest.mark.parametrize(
    ("method", "harm"), [("smoothing", 1.03), ("wavelet", 1.2), ("sorting", 1.25), ("vo", 4.0)]
)  # fmt: skip
@pytest.mark.parametrize("unit", ["line integral", "transmission"])
def test_stripes_go_and_a_clean_scan_stays(striped, method, harm, unit):
    """The usual method adds 3 % to the noise of a scan without stripes; vo takes narrow bodies for wide stripes."""
    lines, clean, bad, there = striped

    def through(values):
        given = values if unit == "line integral" else np.exp(-values)
        found, _ = after(f"stripes(method={method}, size=9)", given, unit, geometry=there)
        return found if unit == "line integral" else -np.log(found)

    assert off(through(bad), lines) < 0.3 * off(bad, lines)
    noise = float(np.sqrt(((clean - lines) ** 2).mean()))
    assert np.sqrt(((through(clean) - lines) ** 2).mean()) < harm * noise


# --- phase, air, hardening --------------------------------------------------------------------------------------------


def filtered(image, strength):
    found, told = after(
        f"paganin(delta_beta={strength}, distance=100, energy=20)", image, "transmission", axes=PROJECTIONS
    )
    assert told.unit == "line integral"
    return found


def reach_squared(strength, distance=100.0, energy=20.0):
    """π λ z (δ/β) / 4π² = z δ / μ [mm²]."""
    wave = 1.239841984e-6 / energy
    return pi * wave * distance * strength / (4 * pi**2)


def test_paganin_damps_a_wave_by_its_closed_form():
    rows, columns, k = 16, 40, 6
    wave = np.cos(pi * k * (np.arange(columns) + 0.5) / columns)
    image = np.broadcast_to(0.5 + 0.1 * wave, (1, rows, columns))
    lost = 1 + reach_squared(1000) * (pi * k / (columns * PITCH)) ** 2
    np.testing.assert_allclose(
        filtered(image, 1000), -np.log(0.5 + 0.1 * wave / lost)[None, None].repeat(rows, 1), rtol=1e-5
    )
    np.testing.assert_allclose(filtered(image, 0), -np.log(image), rtol=1e-5)


def test_paganin_makes_an_edge_exponential():
    """u - L² u'' = step has the solution 1 - exp(-x/L)/2 beside it."""
    columns, strength = 400, 200000
    step = np.where(np.arange(columns) < 200, 0.5, 1.0)
    reach = np.sqrt(reach_squared(strength)) / PITCH
    away = np.abs(np.arange(columns) - 199.5)
    right = np.where(step > 0.7, 1 - 0.25 * np.exp(-away / reach), 0.5 + 0.25 * np.exp(-away / reach))
    found = np.exp(-filtered(np.broadcast_to(step, (1, 8, columns)), strength)[0, 4])
    assert 4 < reach < 20
    np.testing.assert_allclose(found[40:-40], right[40:-40], atol=0.25 / (8 * reach**2))


def test_paganin_gives_a_ball_back_from_its_fringes():
    """A homogeneous ball in the near field: I = (1 - z δ/μ ∇²) exp(-μT), with the derivatives of its closed form."""
    size, radius, strength = 128, 2.0, 100
    place = (np.arange(size) - (size - 1) / 2) * PITCH
    squared = np.add.outer(place**2, place**2)
    reach = reach_squared(strength)
    mu = 0.4  # per mm
    # a ball with soft rim, T = T0 (1 - r²/R²)³ inside, whose Laplacian is known
    inner = np.maximum(0, 1 - squared / radius**2)
    thick = 2 * radius * inner**3
    slope = 2 * radius * (24 * inner * squared / radius**4 - 12 * inner**2 / radius**2)  # ∇²T
    steep = (2 * radius * 6 * inner**2 / radius**2) ** 2 * squared  # |∇T|²
    contact = np.exp(-mu * thick)
    image = contact - reach * contact * (mu**2 * steep - mu * slope)
    found = filtered(image[None], strength)[0]
    np.testing.assert_allclose(found, mu * thick, atol=1e-3 * mu * thick.max())
    assert np.abs(-np.log(image) - mu * thick).max() > 5 * np.abs(found - mu * thick).max()


def test_air_reads_nothing_wherever_the_beam_drifts():
    lines, there = scan(rows=2, views=30)
    drift = np.linspace(0, 0.2, 30)[:, None] + np.linspace(0, 0.1, 96)
    found, _ = after("normalise(air=4)", lines + drift, "line integral", geometry=there)
    np.testing.assert_allclose(found, lines, atol=2e-6)
    passed, _ = after("normalise(air=4)", np.exp(-lines - drift), "transmission", geometry=there)
    np.testing.assert_allclose(-np.log(passed), lines, atol=1e-4)


def test_hardening_is_the_polynomial():
    values = RNG.uniform(0, 4, (2, 5, 6))
    for coefficients in ((1.0,), (1, 0.1), (0.9, 0.05, 0.01)):
        text = f"beamhardening(coefficients={list(coefficients)})"
        found, _ = after(text, values, "line integral")
        np.testing.assert_allclose(found, sum(a * values ** (k + 1) for k, a in enumerate(coefficients)), rtol=1e-5)
    with pytest.raises(UsageError, match="takes numbers"):
        after("beamhardening(coefficients=[x])", values, "line integral")


# --- where things lie -------------------------------------------------------------------------------------------------


def smooth(rows, columns, down=0.0, across=0.0):
    row, column = np.mgrid[:rows, :columns]
    return 1.5 + np.cos(0.3 * (column - across)) * np.sin(0.25 * (row - down) + 0.4)


def test_views_are_moved_back_by_the_table(tmp_path):
    moves = [(0.0, 0.0), (3.0, -2.0), (0.4, 0.7), (-1.25, 0.0)]
    views = np.stack([smooth(24, 32, down, across) for across, down in moves])
    table = tmp_path / "moves.txt"
    table.write_text("# columns rows\n" + "".join(f"{across}, {down}\n" for across, down in moves))
    found, _ = after(f"shift(table='{table}')", views, "transmission", axes=PROJECTIONS)
    np.testing.assert_allclose(found[:, 8:-8, 8:-8], smooth(24, 32)[None, 8:-8, 8:-8].repeat(4, 0), atol=2e-3)
    np.testing.assert_array_equal(found[1, 4:-4, 4:-4], smooth(24, 32).astype(np.float32)[4:-4, 4:-4])
    with pytest.raises(DataError, match="moves 4 views, the scan has 3"):
        after(f"shift(table='{table}')", views[:3], "transmission", axes=PROJECTIONS)
    table.write_text("1 2 3\n")
    with pytest.raises(DataError, match="line 1 holds no one or two numbers"):
        after(f"shift(table='{table}')", views, "transmission", axes=PROJECTIONS)


def test_a_turned_detector_is_set_upright():
    turn, rows, columns = np.deg2rad(3.0), 40, 48
    row, column = np.mgrid[:rows, :columns] - np.array([19.5, 23.5])[:, None, None]

    def bars(row, column):
        return 1.5 + np.cos(0.35 * column) + 0.2 * np.sin(0.2 * row)

    # the picture of an upright scene on a detector that is turned from columns towards rows
    seen = bars(np.cos(turn) * row + np.sin(turn) * column, np.cos(turn) * column - np.sin(turn) * row)
    found, _ = after("rotate(degrees=3)", seen[None], "transmission", axes=PROJECTIONS)
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(found[0][inner], bars(row, column)[inner], atol=3e-3)


@pytest.mark.parametrize("centre", [20.0, 20.3, 74.8, 47.5])
def test_a_full_turn_off_the_middle_becomes_half_a_turn(centre):
    lines, there = scan(views=120, arc=360.0, centre=centre)
    found, told = after("halfturn", lines, "line integral", geometry=there)
    new = told.geometry
    assert (new.views, new.columns) == (60, found.shape[2])
    assert new.columns >= 2 * max(centre, 95 - centre)
    assert abs(new.centre - (new.columns - 1) / 2) < 1
    from tests.ops import ellipses

    right = ellipses.scan(new, ellipses.BONE)
    assert np.sqrt(((found - right) ** 2).mean()) < 2e-3 * np.sqrt((right**2).mean()) + (0.004 if centre % 0.5 else 0)


@pytest.mark.parametrize("centre", [20.0, 61.5])
def test_half_a_turn_is_the_same_from_either_side(centre):
    """Begun half a turn later it is mirrored, noise and all: both sides weigh the same at the same distance."""
    lines, there = scan(views=60, arc=360.0, centre=centre, noise=0.1)
    later, told = after("halfturn", np.roll(lines, 30, axis=1), "line integral", geometry=there)
    found, _ = after("halfturn", lines, "line integral", geometry=there)
    np.testing.assert_allclose(later, found[..., ::-1], atol=1e-6)
    assert told.geometry.centre == (found.shape[2] - 1) / 2


def test_halfturn_needs_a_full_turn_of_pairs():
    lines, there = scan(views=120, arc=180.0, centre=20.0)
    with pytest.raises(UsageError, match="an even number of views over 360 degrees"):
        after("halfturn", lines, "line integral", geometry=there)
    lines, there = scan(views=61, arc=360.0, centre=20.0)
    with pytest.raises(UsageError, match="an even number of views over 360 degrees"):
        after("halfturn", lines, "line integral", geometry=there)


@pytest.mark.parametrize("centre", [47.5, 48.4, 48.6, 30.0, 70.0])
def test_air_of_a_reconstruction_is_the_same_part(centre):
    """`reconstruct --air` and normalise: one implementation, and which end counts is what the weights of rays say."""
    from tests.preparations.made import header

    from bonectl.core.stack import Stack
    from bonectl.methods._quadrature import longer_side
    from bonectl.scanning.air import levelled

    lines, there = scan(rows=3, views=20, centre=centre)
    lines = (lines + RNG.normal(0.1, 0.01, lines.shape)).astype(np.float32)
    found, _ = after("normalise(air=5)", lines, "line integral", geometry=there)
    again = levelled(Stack.of(lines, header(lines.shape, "line integral", geometry=there)), there, 5).collect()
    assert found.tobytes() == again.tobytes()
    side = longer_side(there)
    if side.any():
        end = lines[..., :5] if side[0] > 0 else lines[..., -5:]
        np.testing.assert_array_equal(found, lines - end.mean(axis=-1, keepdims=True))


def trembling(*, stands_still):
    """Transmissions of ellipses, views of them by a beam whose profile moves as no mean of flats does, and flats."""
    lines, there = scan(rows=40, views=30)
    rng = np.random.default_rng(2)
    row, column = np.mgrid[:40, :96] / 40
    profiles = np.stack([np.sin(3 * row), np.cos(5 * row + 2 * column), column - 1.2])
    white = 5e4 * (1 + 0.05 * rng.standard_normal((40, 96)))

    def beam_at(count):
        moves = np.zeros((count, 3)) if stands_still else 0.05 * rng.standard_normal((count, 3))
        return white * (1 + np.einsum("nk,krc->nrc", moves, profiles))

    truth = np.exp(-lines).swapaxes(0, 1)
    views = rng.poisson(truth * beam_at(30))
    return truth, views, rng.poisson(beam_at(20)), there


def error_of(steps, stands_still):
    truth, views, flats, _ = trembling(stands_still=stands_still)
    found, told = after(
        steps, views + 100.0, "counts", axes=PROJECTIONS, given=beam(flats + 100.0, np.full((1, 40, 96), 100.0))
    )
    assert told.unit == "transmission"
    return float(np.sqrt(((found - truth) ** 2).mean()))


def test_principal_components_follow_a_beam_that_trembles():
    """A fifth of what the mean flat leaves, and near the noise of a beam that stands still, which they keep."""
    mean, own, still = error_of("flats", False), error_of("eigenflats", False), error_of("flats", True)
    assert own < 0.2 * mean
    assert own < 2 * still
    assert error_of("eigenflats", True) < 1.1 * still
    assert error_of("eigenflats(components=1)", False) > 0.5 * mean  # the control: one component is too few
    with pytest.raises(UsageError, match="there must be more flats than that"):
        error_of("eigenflats(components=20)", False)
