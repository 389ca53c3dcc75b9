"""Bone that the border of the volume of interest cuts, for what is counted about it."""

from math import pi

import numpy as np
import pytest


@pytest.fixture
def tilted_rod():
    """A rod through both ends of a stack of 48², at a random place, tilted by up to 30 degrees; and its tilt."""

    def made(seed, height, diameter):
        rng = np.random.default_rng(seed)
        middle = [(height - 1) / 2, 23.5, 23.5]
        z, y, x = (np.mgrid[:height, :48, :48].astype(np.float64).T - middle).T
        tilt, turn = rng.uniform(0, pi / 6), rng.uniform(0, 2 * pi)
        axis = np.array([np.cos(tilt), np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn)])
        where = rng.uniform(-1, 1, 2)
        points = np.stack([z, y - where[0], x - where[1]])
        along = np.tensordot(axis, points, 1)
        return (points**2).sum(0) - along**2 < diameter**2 / 4, tilt

    return made


@pytest.fixture(params=["stack", "cylinder"])
def share_in_pieces(request):
    """What 40³ pieces of a periodic mask of 160³, whole or cylinders, hold per volume, over what the whole holds."""
    y, x = np.mgrid[:40, :40] - 19.5
    section = y * y + x * x < 400 if request.param == "cylinder" else np.ones((40, 40), bool)
    voi = np.broadcast_to(section, (40,) * 3)

    def share(measured, bone, shifts=(0,)):
        grids = [np.roll(bone, by, (0, 1, 2)).reshape(4, 40, 4, 40, 4, 40) for by in shifts]
        pieces = np.concatenate([grid.transpose(0, 2, 4, 1, 3, 5) for grid in grids]).reshape(-1, 40, 40, 40)
        density = np.mean([measured(piece, voi) for piece in pieces]) / voi.sum()
        whole = np.pad(bone, 2, mode="wrap")
        inside = np.zeros(whole.shape, bool)
        inside[2:-2, 2:-2, 2:-2] = True
        return density / (measured(whole, inside) / bone.size)

    return share
