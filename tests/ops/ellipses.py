"""Scans of ellipses in closed form: line integrals that no projector of ours had a hand in.

Lengths in mm from the rotation axis, attenuation in 1/cm; an angle turns from x to y.
"""

import numpy as np

# x, y, half axes, tilt [degree], attenuation: nothing looks the same turned or mirrored.
BONE = (
    (1.0, 0.6, 0.5, 0.3, 20, 2.0),
    (-0.9, -0.7, 0.35, 0.6, -30, 3.0),
    (0.2, -1.1, 0.2, 0.2, 0, 4.0),
    (-0.6, 1.0, 0.3, 0.15, 60, 1.5),
    (1.3, -0.5, 0.15, 0.25, 10, 3.5),
)
WATER = ((0.1, -0.05, 1.9, 1.8, 0, 0.5),)
FINE = 4


def scan(geometry, shapes, noise=0.0, seed=0):
    """Line integrals (row, view, col), averaged over a pixel's width, all rows alike but for Gaussian noise."""
    g = geometry
    u = ((np.arange(g.columns)[:, None] + (np.arange(FINE) + 0.5) / FINE - 0.5) - g.centre) * g.pitch
    turn, place = g.angles.radians[:, None, None], u
    if g.kind != "parallel":  # the ray of a parallel beam that the fan's ray is, in the plane of the orbit
        angle = np.arctan(u / g.sdd)
        turn, place = turn - angle, g.sod * np.sin(angle)
    view = np.zeros((g.views, g.columns, FINE))
    for x, y, a, b, tilt, value in shapes:
        along = turn - np.deg2rad(tilt)
        width = (a * np.cos(along)) ** 2 + (b * np.sin(along)) ** 2
        off = place - (x * np.cos(turn) + y * np.sin(turn))
        view += value / 10 * 2 * a * b / width * np.sqrt(np.maximum(width - off**2, 0))
    rows = np.repeat(view.mean(axis=-1)[None], g.rows, axis=0)
    return (rows + np.random.default_rng(seed).normal(0, noise, rows.shape)).astype(np.float32)
