"""Rotation axes off the middle of the detector: shifted detectors, and half acquisition over a full turn."""

import numpy as np
import pytest
from tests.world.closed_forms import Ball, air, bodies, look
from tests.world.conftest import VOXEL

from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel

SIZE = 128


def check(volume, balls, bound):
    for ball in balls:
        seen = look(volume, ball)
        assert seen.value == pytest.approx(1, abs=bound), (ball, seen)
        assert abs(seen.dx) < 0.15, (ball, seen)
        assert abs(seen.dy) < 0.15, (ball, seen)


@pytest.mark.parametrize("centre", [70.0, 88.25, 110.5, 121.4])
def test_a_wide_detector_with_its_axis_anywhere(centre, reconstructed):
    geometry = parallel(SIZE, 1, VOXEL, views=240, columns=192, centre=centre)
    volume = reconstructed(geometry, bodies(SIZE))
    check(volume, bodies(SIZE), 0.008)
    assert abs(air(volume, bodies(SIZE))) < 0.01


@pytest.mark.parametrize("arc", [360.0, -360.0])
@pytest.mark.parametrize("centre", [12.3, 8.0, 20.5, 33.0, 87.7 - 1, 60.0])
def test_half_acquisition_in_a_parallel_beam(arc, centre, reconstructed):
    """The detector of 100 columns sees one side of an object of 128: a full turn measures every ray at least once."""
    geometry = parallel(SIZE, 1, VOXEL, views=480, arc=arc, columns=100, centre=centre)
    far = max(centre, 99 - centre)
    seen = [ball for ball in bodies(SIZE) if np.hypot(ball.x, ball.y) + ball.radius < far - 1]
    volume = reconstructed(geometry, seen)
    assert seen
    check(volume, seen, 0.02)


def test_the_issues_half_acquisition(reconstructed):
    """An axis at 12.3 of 100 columns over 0...360 degrees; discs of 0.5, 1.5 and 2 1/cm."""
    balls = [Ball(0.0, 0.0, 60.0, 0.5), Ball(30.0, 10.0, 10.0, 1.0), Ball(-25.0, -30.0, 8.0, 1.5)]
    geometry = parallel(140, 1, VOXEL, views=400, arc=360.0, columns=100, centre=12.3)
    volume = reconstructed(geometry, balls)
    y, x = np.mgrid[:140, :140] - 69.5
    for ball, value in zip(balls[1:], (1.5, 2.0), strict=True):
        inside = np.hypot(x - ball.x, y - ball.y) < 0.6 * ball.radius
        assert volume[0][inside].mean() == pytest.approx(value, rel=0.02)
    for turn in range(0, 360, 30):  # the ground, where rays were measured once and where twice
        for radius in (5, 20, 50):
            at = np.hypot(x - radius * np.cos(np.deg2rad(turn)), y - radius * np.sin(np.deg2rad(turn))) < 3
            away = min(
                np.hypot(radius * np.cos(np.deg2rad(turn)) - b.x, radius * np.sin(np.deg2rad(turn)) - b.y) - b.radius
                for b in balls[1:]
            )
            if away > 5:
                assert volume[0][at].mean() == pytest.approx(0.5, abs=0.02), (turn, radius)


@pytest.mark.parametrize("centre", [25.0, 40.0, 114.0])
def test_half_acquisition_in_a_fan_beam(centre, reconstructed):
    geometry = fan(SIZE, 1, VOXEL, views=480, columns=140, centre=centre, sod=12.0, sdd=18.0, pitch=VOXEL * 1.5)
    far = max(centre, 139 - centre)
    seen = [ball for ball in bodies(SIZE) if np.hypot(ball.x, ball.y) + ball.radius < 0.95 * far - 1]
    check(reconstructed(geometry, seen), seen, 0.025)
