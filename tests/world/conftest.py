"""Ways through the tool with default settings, for every point of the sweep."""

import numpy as np
import pytest
from tests.world import closed_forms

from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.ops.reconstruct import reconstruct

VOXEL = 0.02  # mm


@pytest.fixture
def reconstructed():
    """The volume that default settings make of the closed-form scan of some balls."""

    def made(geometry, balls, **options):
        lines = closed_forms.scan(geometry, balls)
        spacing = (geometry.row_pitch, None, geometry.pitch)
        header = Header(
            shape=lines.shape, axes=SINOGRAMS, spacing=spacing, unit="line integral", geometry=geometry, dtype="<f4"
        )
        return reconstruct(Stack.of(np.ascontiguousarray(lines), header), **options).collect()

    return made
