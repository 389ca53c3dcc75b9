"""Scans of balls and discs in closed form: the truth that no projector of ours had a hand in.

Lengths are in voxels from the middle of the grid, attenuation in 1/cm. Orientation is that of
`bonectl.projection.projector`: x and y count with the columns and rows of a slice, an angle turns from x to y.
"""

from dataclasses import dataclass

import numpy as np

# Rays per detector pixel and side: a pixel averages over its width.
FINE = 4


@dataclass(frozen=True)
class Ball:
    """A ball, or where the beam is not a cone a cylinder along z.

    Parameters
    ----------
    x, y, radius : float
        [voxel]
    value : float
        Attenuation [1/cm].
    z : float
        [voxel]; of a ball.
    """

    x: float
    y: float
    radius: float
    value: float
    z: float = 0.0


def bodies(size):
    """A disc in the middle and two off it, of different size and density: nothing looks the same turned or mirrored."""
    return (
        Ball(0.0, 0.0, 0.10 * size, 2.0),
        Ball(0.27 * size, -0.09 * size, 0.08 * size, 1.0),
        Ball(-0.13 * size, 0.25 * size, 0.06 * size, 3.0),
    )


def scan(g, balls):
    """Line integrals (row, view, col) of balls by the rays of a geometry, averaged over the width of a pixel."""
    return sum(_of_one(g, ball) for ball in balls).astype(np.float32)


def _of_one(g, ball):
    u, v, t = _pixels(g)
    x, y, z, radius = (value * g.voxel for value in (ball.x, ball.y, ball.z, ball.radius))
    along, toward = x * np.cos(t) + y * np.sin(t), -x * np.sin(t) + y * np.cos(t)
    if g.kind == "parallel":
        squared = np.broadcast_to((u - along) ** 2, np.broadcast_shapes(u.shape, v.shape, t.shape))
    else:
        # from the source at (0, -sod, 0) in the frame of a view, towards the pixel at (u, sdd - sod, v)
        v, z = (v, z) if g.kind == "cone" else (0 * v, 0.0)
        ray = np.stack(np.broadcast_arrays(u, np.float64(g.sdd), v))
        ray = ray / np.sqrt((ray**2).sum(axis=0))
        to = np.stack(np.broadcast_arrays(along, toward + g.sod, np.float64(z), u, v)[:3])
        squared = (to**2).sum(axis=0) - (to * ray).sum(axis=0) ** 2
    chord = 2 * np.sqrt(np.maximum(0, radius**2 - squared))
    return np.broadcast_to((ball.value / 10 * chord).mean(axis=(-2, -1)), g.shape)


def _pixels(g):
    """Columns and rows [mm from where the axis, and the orbit, meet the detector] and angles, for five axes."""
    fine = (np.arange(FINE) + 0.5) / FINE - 0.5
    u = ((np.arange(g.columns)[:, None] + fine) - g.centre) * g.pitch
    fine = fine if g.kind == "cone" else np.zeros(1)
    v = ((np.arange(g.rows)[:, None] + fine) - g.principal_row) * g.row_pitch
    return u[None, None, :, :, None], v[:, None, None, None, :], g.angles.radians[None, :, None, None, None]


def rasterised(size, balls, subsamples=8):
    """A slice (1, size, size) of discs: each voxel the mean over its square."""
    n = size * subsamples
    place = (np.arange(n) + 0.5) / subsamples - size / 2
    fine = np.zeros((n, n), np.float32)
    for ball in balls:
        inside = (place[:, None] - ball.y) ** 2 + (place - ball.x) ** 2 < ball.radius**2
        fine += np.float32(ball.value) * inside
    return fine.reshape(size, subsamples, size, subsamples).mean(axis=(1, 3))[None]


@dataclass(frozen=True)
class Seen:
    """What a slice shows of a ball: its value, as a share of what is right, and where it lies [voxel]."""

    value: float
    dx: float
    dy: float


def look(volume, ball):
    """The mean of the inner half of a ball over its value, and the distance of its centre of mass from its place."""
    k = round(ball.z + (len(volume) - 1) / 2)
    y, x = (np.mgrid[: volume.shape[1], : volume.shape[2]] - (volume.shape[1] - 1) / 2).astype(np.float64)
    away = np.hypot(x - ball.x, y - ball.y)
    level = float(volume[k][away < max(0.6 * ball.radius, 0.8)].mean()) / ball.value
    # weights that fall to 0 smoothly outside, so that the ragged edge of the window does not pull
    weight = np.clip(1.5 - away / (1.3 * ball.radius), 0, 1) * volume[k]
    return Seen(
        level, float((weight * (x - ball.x)).sum() / weight.sum()), float((weight * (y - ball.y)).sum() / weight.sum())
    )


def air(volume, balls):
    """The mean outside of all balls, within the circle that the grid holds."""
    y, x = np.mgrid[: volume.shape[1], : volume.shape[2]] - (volume.shape[1] - 1) / 2
    empty = np.hypot(x, y) < 0.48 * volume.shape[1]
    for ball in balls:
        empty &= np.hypot(x - ball.x, y - ball.y) > ball.radius + 2
    return float(volume[len(volume) // 2][empty].mean()) if empty.any() else 0.0
