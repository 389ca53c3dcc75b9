"""Every size that people use, and its neighbours: values, places and air of the default reconstruction and chain."""

import numpy as np
import pytest
from tests.world.closed_forms import Ball, air, bodies, look, rasterised, scan
from tests.world.conftest import VOXEL

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.geometries.parallel import parallel
from bonectl.ops.reconstruct import reconstruct
from bonectl.ops.simulate import simulate
from bonectl.scanning.detector import Detector

TINY = range(3, 24)
SMALL = range(24, 65)
USUAL = (96, 100, 127, 128, 129, 255, 256, 257, 500, 511, 512, 513, 600)
LARGE = (*range(719, 731), 1000, 1023, 1024, 1025)
HUGE = (*range(1440, 1461), 2047, 2048, 2049)


def views(size):
    return max(48, min(size, 400))


def bound(size):
    """What the pixels' coarseness may do to the mean of a disc of 6 % of the grid: measured, and doubled."""
    return 0.003 if size > 200 else 0.006 if size > 90 else 0.03 if size > 44 else 0.15


def check(volume, balls, size):
    for ball in balls:
        seen = look(volume, ball)
        assert seen.value == pytest.approx(1, abs=bound(size)), (size, ball, seen)
        assert abs(seen.dx) < 0.1, (size, ball, seen)
        assert abs(seen.dy) < 0.1, (size, ball, seen)
    assert abs(air(volume, balls)) < 0.01, size


def swept(sizes, columns, reconstructed):
    for size in sizes:
        geometry = parallel(size, 1, VOXEL, views=views(size), columns=columns(size))
        check(reconstructed(geometry, bodies(size)), bodies(size), size)


@pytest.mark.parametrize("sizes", [SMALL, USUAL, LARGE], ids=["small", "usual", "large"])
def test_a_detector_as_wide_as_the_grid(sizes, reconstructed):
    swept(sizes, lambda size: size, reconstructed)


@pytest.mark.parametrize("sizes", [SMALL, USUAL, LARGE], ids=["small", "usual", "large"])
def test_a_detector_that_covers_the_corners(sizes, reconstructed):
    swept(sizes, lambda size: 0, reconstructed)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [0, 1], ids=["corners", "as wide as the grid"])
def test_huge_grids(columns, reconstructed):
    swept(HUGE, lambda size: columns * size, reconstructed)


def test_one_of_each_huge_detector(reconstructed):
    """The lengths of transforms for 1440 to 2916 columns, on a small grid in the middle of the detector."""
    for columns in (1440, 1441, 1449, 1458, 1459, 2047, 2048, 2049, 2881, 2897, 2916, 4096):
        geometry = parallel(128, 1, VOXEL, views=120, columns=columns)
        check(reconstructed(geometry, bodies(128)), bodies(128), 128)


@pytest.mark.parametrize("columns", [1.0, 1.5, 2.0, 3.0])
def test_a_disc_that_nearly_fills_a_tiny_grid_keeps_what_it_absorbs(columns, reconstructed):
    for size in TINY[5 if columns == 1 else 0 :]:  # a disc that reaches into the last of so few columns counts as cut
        disc = Ball(0.0, 0.0, 0.4 * size, 2.0)
        geometry = parallel(size, 1, VOXEL, views=64, columns=round(columns * size))
        volume = reconstructed(geometry, [disc])
        truth = rasterised(size, [disc])
        assert volume.sum() == pytest.approx(truth.sum(), rel=0.12 if size < 10 else 0.02), (size, columns)
        assert np.abs(volume - truth).max() < (0.8 if size < 4 else 0.5), (size, columns)


def chain(size, balls, **options):
    """Simulate and reconstruct by default, but without noise and blur."""
    volume = rasterised(size, balls, 8 if size < 600 else 4)
    header = Header(shape=volume.shape, spacing=(VOXEL,) * 3, unit="1/cm", dtype="<f4")
    beam = f"parallel(views={views(size)})"
    still = Detector(noise="none", blur=0.0)
    return reconstruct(simulate(Stack.of(volume, header), geometry=beam, detector=still), **options).collect()


@pytest.mark.parametrize("sizes", [SMALL, USUAL, LARGE[3:9:4] + LARGE[-3:]], ids=["small", "usual", "large"])
def test_the_chain_from_simulate_to_reconstruct(sizes):
    for size in sizes:
        check(chain(size, bodies(size)), bodies(size), size)


@pytest.mark.slow
def test_the_chain_at_huge_sizes():
    for size in HUGE[::5] + HUGE[-3:]:
        check(chain(size, bodies(size)), bodies(size), size)


def test_the_chain_at_every_tiny_size():
    for size in range(3, 24):
        disc = Ball(0.0, 0.0, 0.4 * size, 2.0)
        volume = chain(size, [disc])
        assert volume.sum() == pytest.approx(rasterised(size, [disc]).sum(), rel=0.08 if size < 5 else 0.03), size


def test_one_voxel_and_two_pass(reconstructed):
    for size in (1, 2):
        volume = chain(size, [Ball(0.0, 0.0, 0.4 * size, 2.0)])
        assert volume.shape == (1, size, size)
        assert 0 < volume.mean() < 2


@pytest.mark.parametrize("pitch", [0.5, 1.0, 2.0, 2.7])
@pytest.mark.parametrize("size", [127, 128, 257])
def test_pixels_that_are_not_as_wide_as_voxels(size, pitch, reconstructed):
    geometry = parallel(size, 1, VOXEL, views=views(size), pitch=pitch * VOXEL)
    check(reconstructed(geometry, bodies(size)), bodies(size), size / max(pitch, 1) / 1.5)


@pytest.mark.parametrize("size", [127, 128, 256])
def test_a_detector_that_sees_only_the_middle(size, reconstructed, capsys):
    """A region of interest: an offset that the middle of the object cannot show, small where little is missing."""
    geometry = parallel(size, 1, VOXEL, views=views(size), columns=size * 5 // 8)
    volume = reconstructed(geometry, bodies(size))
    assert look(volume, bodies(size)[0]).value == pytest.approx(1, abs=0.05)


def test_the_control_fails():
    """The check itself: a volume of half the density, and one that is shifted by a fifth of a voxel, do not pass."""
    size, balls = 128, bodies(128)
    check(rasterised(size, balls), balls, size)
    with pytest.raises(AssertionError):
        check(rasterised(size, balls) * np.float32(0.5), balls, size)
    moved = [Ball(ball.x + 0.2, ball.y, ball.radius, ball.value) for ball in balls]
    with pytest.raises(AssertionError):
        check(rasterised(size, moved), balls, size)
    with pytest.raises(AssertionError):
        check(rasterised(size, balls)[:, ::-1], balls, size)
    with pytest.raises(AssertionError):
        check(np.ascontiguousarray(rasterised(size, balls).transpose(0, 2, 1)), balls, size)
    geometry = parallel(size, 1, VOXEL, views=120)
    other = scan(geometry.replace(centre=geometry.centre + 0.3), balls)
    assert not np.allclose(other, scan(geometry, balls), atol=1e-3)
