"""Fan and cone beams with default settings against discs and balls in closed form."""

import numpy as np
import pytest
from tests.world.closed_forms import Ball, bodies, look
from tests.world.conftest import VOXEL

from bonectl.core.geometry import Angles
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan


def fan_of(size, **options):
    return fan(size, 1, VOXEL, **{"views": 360, "sod": 3 * size * VOXEL, "sdd": 5 * size * VOXEL, **options})


FANS = {
    "full turn": {},
    "backwards": {"arc": -360.0},
    "from 33.3": {"start": 33.3},
    "odd views": {"views": 361},
    "short scan": {"arc": 205.0, "views": 260},
    "short scan backwards": {"arc": -205.0, "views": 260, "start": 71.0},
    "overscan": {"arc": 270.0, "views": 320},
    "fine pixels": {"pitch": 0.6 * VOXEL},
    "magnified pixels": {"pitch": 3 * VOXEL},
    "wide, axis off": {"columns": 300, "centre": 131.7},
    "near source": {"sod": 1.2 * 128 * VOXEL, "sdd": 4 * 128 * VOXEL},
}


@pytest.mark.parametrize("size", [127, 128])
@pytest.mark.parametrize("name", FANS)
def test_a_fan_gives_values_and_places(name, size, reconstructed):
    volume = reconstructed(fan_of(size, **FANS[name]), bodies(size))
    for ball in bodies(size):
        seen = look(volume, ball)
        assert seen.value == pytest.approx(1, abs=0.02), (ball, seen)
        assert abs(seen.dx) < 0.1, (ball, seen)
        assert abs(seen.dy) < 0.1, (ball, seen)


@pytest.mark.parametrize("size", [64, 96, 100, 255, 256, 257, 511, 512, 513, 725])
def test_a_fan_of_every_size(size, reconstructed):
    volume = reconstructed(fan_of(size, views=min(size * 2, 720)), bodies(size))
    for ball in bodies(size):
        assert look(volume, ball).value == pytest.approx(1, abs=0.03 if size < 90 else 0.015), ball


def test_a_full_turn_with_both_ends_and_one_with_jitter(reconstructed):
    size = 128
    for degrees in (np.linspace(0, 360, 361), np.arange(360) + np.random.default_rng(0).normal(0, 0.02, 360)):
        geometry = fan_of(size).replace(angles=Angles.of(degrees))
        for ball in bodies(size):
            assert look(reconstructed(geometry, bodies(size)), ball).value == pytest.approx(1, abs=0.02), ball


BALLS = (Ball(0.0, 0.0, 7.0, 2.0, 0.0), Ball(15.0, -6.0, 6.0, 1.0, 4.0), Ball(-9.0, 14.0, 5.0, 3.0, -6.0))
CONES = {
    "full turn": {},
    "backwards": {"arc": -360.0},
    "short scan": {"arc": 215.0, "views": 150},
    "fine pixels": {"pitch": 0.7 * VOXEL},
    "axis off": {"columns": 160, "centre": 71.2},
    "orbit off": {"rows": 80, "row_centre": 33.6},
}


@pytest.mark.parametrize("size", [63, 64])
@pytest.mark.parametrize("name", CONES)
def test_a_cone_gives_values_and_places(name, size, reconstructed):
    options = {"views": 240, "sod": 4 * size * VOXEL, "sdd": 6 * size * VOXEL, **CONES[name]}
    geometry = cone(size, 33, VOXEL, **options)
    volume = reconstructed(geometry, BALLS)
    for ball in BALLS:
        seen = look(volume, ball)
        assert seen.value == pytest.approx(1, abs=0.03), (ball, seen)
        assert abs(seen.dx) < 0.15, (ball, seen)
        assert abs(seen.dy) < 0.15, (ball, seen)


def test_a_cone_is_not_upside_down(reconstructed):
    geometry = cone(64, 33, VOXEL, views=120, sod=6.0, sdd=9.0)
    volume = reconstructed(geometry, BALLS)
    assert look(volume[::-1], BALLS[1]).value < 0.6
