"""Every way in which a sample is turned: one disc triple, closed-form views, default reconstruction."""

import numpy as np
import pytest
from tests.world.closed_forms import air, bodies, look
from tests.world.conftest import VOXEL

from bonectl.core.geometry import Angles
from bonectl.geometries.parallel import parallel

GOLDEN = 180 * (np.sqrt(5) - 1) / 2
STEP = 111.246117975  # 180 degrees over the golden ratio: the step of golden-angle scans


def turned(seed, count, arc):
    return np.sort(np.random.default_rng(seed).uniform(0, arc, count))


def jittered(degrees, seed=0, sd=0.005):
    return degrees + np.random.default_rng(seed).normal(0, sd, len(degrees))


EVEN = np.arange(240) * 0.75
TURNS = {
    "180": EVEN,
    "180 with both ends": np.linspace(0, 180, 241),
    "180 backwards": -EVEN,
    "180 from 17.3": EVEN + 17.3,
    "180 from -90": EVEN - 90,
    "last view first": EVEN[::-1],
    "shuffled": np.random.default_rng(1).permutation(EVEN),
    "360": np.arange(480) * 0.75,
    "360 of an odd count": np.arange(361) * 360 / 361,
    "360 with both ends": np.linspace(0, 360, 481),
    "360 with both ends and jitter": jittered(np.linspace(0, 360, 241), sd=0.01),
    "540": np.arange(540) * 1.0,
    "720 with jitter": jittered(np.arange(480) * 1.5),
    "three turns of 60 with jitter": jittered(np.arange(360) * 3.0, 5),
    "198": np.arange(264) * 0.75,
    "golden, modulo 180": np.mod(np.arange(250) * STEP, 180),
    "golden, modulo 360": np.mod(np.arange(250) * STEP, 360),
    "golden, cumulative": np.arange(250) * STEP,
    "random over 180": turned(2, 500, 180),
    "random over 360": turned(3, 500, 360),
    "every view twice": np.repeat(EVEN, 2),
    "jitter on every view": jittered(EVEN, sd=0.05),
    "coarse half, fine half": np.concatenate([np.arange(60) * 1.5, 90 + np.arange(180) * 0.5]),
}


def made(degrees, size=128, **options):
    return parallel(size, 1, VOXEL, **options).replace(angles=Angles.of(np.asarray(degrees, dtype=np.float64)))


@pytest.mark.parametrize("name", TURNS)
def test_a_turn_that_is_complete_gives_the_values(name, reconstructed):
    size = 128
    rough = "random" in name
    volume = reconstructed(made(TURNS[name]), bodies(size))
    for ball in bodies(size):
        seen = look(volume, ball)
        assert seen.value == pytest.approx(1, abs=0.02 if rough else 0.008), (ball, seen)
        assert abs(seen.dx) < 0.1, (ball, seen)
        assert abs(seen.dy) < 0.1, (ball, seen)
    assert abs(air(volume, bodies(size))) < 0.01


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("repeats", "count"), [(2, 36), (3, 30), (3, 60), (5, 40)])
def test_repeats_with_jitter_never_lose_the_value(seed, repeats, count, reconstructed):
    """Few views make streaks; the mean inside a disc stays."""
    degrees = jittered(np.tile(np.arange(count) * 180 / count, repeats) + 180 * np.repeat(range(repeats), count), seed)
    volume = reconstructed(made(degrees, 64), bodies(64)[:1])
    assert look(volume, bodies(64)[0]).value == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12])
def test_few_views_keep_what_a_slice_absorbs(count, reconstructed):
    size = 64
    volume = reconstructed(made(np.arange(count) * 180 / count, size, columns=3 * size), bodies(size)[:1])
    assert np.isfinite(volume).all()
    assert look(volume, bodies(size)[0]).value > 0.3


def test_a_short_arc_says_what_is_missing(reconstructed, capsys):
    from bonectl.methods._quadrature import missing_wedge

    degrees = np.arange(160) * 0.75  # 120 degrees
    assert missing_wedge(degrees) == pytest.approx(60, abs=1)
    volume = reconstructed(made(degrees), bodies(128))
    assert look(volume, bodies(128)[0]).value == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("sign", [1, -1])
def test_handedness(sign, reconstructed):
    """A turn taken for one the other way gives the mirror image, not the object."""
    size = 128
    geometry = made(sign * EVEN, size)
    right = reconstructed(geometry, bodies(size))
    mirrored = right[:, ::-1]
    assert look(right, bodies(size)[1]).value == pytest.approx(1, abs=0.01)
    assert look(mirrored, bodies(size)[1]).value < 0.5
