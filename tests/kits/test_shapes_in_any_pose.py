"""Bounded shapes in any pose and at any place beside closed forms: volume, surface, SMI, Euler number, thickness."""

from math import pi

import numpy as np
import pytest

from bonectl.core import kit
from bonectl.core.spec import parse
from bonectl.morphology.cells import BONE, MARROW
from bonectl.morphology.specimen import Specimen
from bonectl.morphology.threshold import Threshold

POSES = 24


def specimen(side, seed, inside, points=1):
    """A shape in coordinates (u, v, w) along three axes of random directions, about a random place [voxel].

    The share of each voxel inside is that of points³ points, and cut at half: one is the centre.
    """
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    fine = ((np.arange(side * points) + 0.5) / points - side / 2).astype(np.float32)
    axes = np.meshgrid(*(fine - np.float32(c) for c in rng.uniform(-0.5, 0.5, 3)), indexing="ij", sparse=True)
    within = inside(*(sum(np.float32(a) * axis for a, axis in zip(row, axes, strict=True)) for row in turn))
    share = within.reshape(side, points, side, points, side, points).mean((1, 3, 5), dtype=np.float32)
    labels = np.where(share > 0.5, BONE, MARROW).astype(np.uint8)
    return Specimen(labels, (1.0,) * 3, "grey", Threshold(0.5, "grey", "test"), share)


def numbers(names, there):
    found = {}
    for name in names:
        part = kit.bind("metrics", parse(name))
        first = part.func.__code__.co_varnames[0]
        found |= {number.name: number.value for number in part(there.sums if first == "sums" else there)}
    return found


def ball(u, v, w, r):
    return u * u + v * v + w * w < r * r


def rod(u, v, w, r, length):
    """With a round end at both ends."""
    along = w - np.clip(w, -length / 2, length / 2)
    return u * u + v * v + along * along < r * r


def plate(u, v, w, r, radius):
    """A disc with a round rim."""
    beyond = np.maximum(np.hypot(u, v) - radius, 0)
    return beyond * beyond + w * w < r * r


def shell(u, v, w, r, wall):
    return ball(u, v, w, r) & ~ball(u, v, w, r - wall)


def torus(u, v, w, large, small):
    return (np.hypot(u, v) - large) ** 2 + w * w < small * small


# ---- volume, surface and integral of mean curvature [voxel], by Steiner's formula ---------------------------------


def of_ball(r):
    return 4 / 3 * pi * r**3, 4 * pi * r**2, 4 * pi * r


def of_rod(r, length):
    return pi * r**2 * length + of_ball(r)[0], 2 * pi * r * length + of_ball(r)[1], pi * length + 4 * pi * r


def of_plate(r, radius):
    volume = 2 * pi * radius**2 * r + pi**2 * radius * r**2 + of_ball(r)[0]
    return volume, 2 * pi * radius**2 + 2 * pi**2 * radius * r + of_ball(r)[1], pi**2 * radius + 4 * pi * r


def of_shell(r, wall):
    (v, s, m), (hole, inner, bent) = of_ball(r), of_ball(r - wall)
    return v - hole, s + inner, m - bent


def of_torus(large, small):
    return 2 * pi**2 * large * small**2, 4 * pi**2 * large * small, 2 * pi**2 * large


# Shape, closed forms, sizes [voxel], Euler number, side of the stack, and bars: error of the mean of the poses
# (relative) of volume and surface, and error of the mean SMI. Surface of a ball 20 across by other ways: marching
# cubes on the mask +8.6 %, on the mask smoothed by 0.5 voxel +3.9 %, by 1 voxel -1.9 %, voxel faces +50 %; 6 across
# +4.5, -3.5, -27 and +48 %; 13 directions -0.1 and -2.8 % where lone voxels count like others, within 2 % for a plate.
SHAPES = [
    (ball, of_ball, (3.0,), 1, 14, 0.002, 0.004, 0.06),
    (ball, of_ball, (6.0,), 1, 20, 0.001, 0.002, 0.02),
    (ball, of_ball, (10.0,), 1, 28, 0.001, 0.001, 0.01),
    (rod, of_rod, (2.0, 30.0), 1, 42, 0.001, 0.001, 0.02),
    (rod, of_rod, (4.0, 30.0), 1, 46, 0.0015, 0.001, 0.01),
    (plate, of_plate, (1.7, 16.0), 1, 42, 0.0015, 0.001, 0.003),
    (plate, of_plate, (3.0, 16.0), 1, 46, 0.001, 0.001, 0.002),
    (shell, of_shell, (12.0, 4.0), 2, 32, 0.0005, 0.001, 0.002),
    (shell, of_shell, (15.0, 7.3), 2, 38, 0.0005, 0.001, 0.002),
    (torus, of_torus, (10.0, 4.0), 0, 36, 0.001, 0.001, 0.002),
    (torus, of_torus, (14.0, 3.0), 0, 42, 0.001, 0.001, 0.003),
]


@pytest.mark.parametrize(("shape", "form", "sizes", "chi", "side", "close", "near", "index"), SHAPES)
def test_a_shape_has_its_volume_surface_index_and_topology(shape, form, sizes, chi, side, close, near, index):
    volume, surface, curvature = form(*sizes)
    smi = 12 * volume * curvature / surface**2
    found = []
    for seed in range(POSES):
        there = specimen(side, seed, lambda u, v, w: shape(u, v, w, *sizes))
        found.append(numbers(("bvtv", "surface", "euler", "smi"), there))
    mean = {name: np.mean([there[name] for there in found]) for name in ("bv", "bs", "smi")}
    assert {there["chi"] for there in found} == {chi}
    assert mean["bv"] == pytest.approx(volume, rel=close)
    assert mean["bs"] == pytest.approx(surface, rel=near)
    assert mean["smi"] == pytest.approx(smi, abs=index)


# The best measured elsewhere: 0.13 for plates, 0.18 for rods [voxel]; a shell is a bent plate, a torus a bent rod.
@pytest.mark.parametrize(
    ("shape", "sizes", "thickness", "side", "bar"),
    [
        (shell, (12.0, 4.0), 4.0, 32, 0.17),
        (shell, (15.0, 7.3), 7.3, 38, 0.17),
        (torus, (10.0, 4.0), 8.0, 36, 0.15),
        (torus, (14.0, 3.0), 6.0, 42, 0.15),
    ],
)
def test_a_bent_wall_and_a_bent_rod_have_their_thickness(shape, sizes, thickness, side, bar):
    off = []
    for seed in range(3):
        there = specimen(side, seed, lambda u, v, w: shape(u, v, w, *sizes), points=5)
        off.append(numbers(("tbth",), there)["tbth"] - thickness)
    assert np.sqrt(np.mean(np.square(off))) < bar
