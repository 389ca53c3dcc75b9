"""Ways through the tool with default settings, for every point of the sweep."""

import pytest
from tests import made
from tests.world import closed_forms

from bonectl.ops.reconstruct import reconstruct

VOXEL = 0.02  # mm


@pytest.fixture
def reconstructed():
    """The volume that default settings make of the closed-form scan of some balls."""

    def volume(geometry, balls, **options):
        return reconstruct(made.scan(closed_forms.scan(geometry, balls), geometry), **options).collect()

    return volume
