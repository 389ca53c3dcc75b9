"""Small scans with known answers, and what preparations make of them."""

from contextlib import contextmanager

import numpy as np
from tests.ops import ellipses

from bonectl.core.geometry import Angles
from bonectl.core.header import PROJECTIONS, SINOGRAMS, Header
from bonectl.core.scan import Frames, Source
from bonectl.core.stack import Stack
from bonectl.geometries.parallel import parallel
from bonectl.scanning.preparing import Beam, parts, prepared

PITCH = 0.05


def header(shape, unit, axes=SINOGRAMS, **facts):
    pitch = [None if axis == "view" else PITCH for axis in axes]
    return Header(shape=shape, axes=axes, unit=unit, spacing=tuple(pitch), **facts)


def frames(array, at=()):
    array = np.asarray(array, dtype=np.float32)
    there = header(array.shape, "counts", PROJECTIONS)

    @contextmanager
    def opened():
        yield Stack.of(array, there)

    return Frames(Source(there, opened), at)


def beam(flats=None, darks=None, at=()):
    return Beam(None if flats is None else frames(flats, at), None if darks is None else frames(darks))


def after(text, array, unit, *, axes=SINOGRAMS, given=None, order=None, limit=None, **facts):
    """The array after some steps, and its header."""
    array = np.asarray(array, dtype=np.float32)
    stack = Stack.of(array, header(array.shape, unit, axes, **facts))
    done = prepared(stack, parts(text), beam=given, order=order, limit=limit)
    return done.collect(), done.header


def scan(rows=2, views=60, columns=96, centre=None, arc=180.0, noise=0.0):
    """Line integrals (row, view, col) of ellipses in closed form, and their geometry."""
    there = parallel(columns, rows, PITCH, columns=columns, views=views, arc=arc)
    there = there.replace(angles=Angles(0.0, arc / views, views))
    there = there if centre is None else there.replace(centre=centre)
    return ellipses.scan(there, ellipses.BONE, noise=noise), there
