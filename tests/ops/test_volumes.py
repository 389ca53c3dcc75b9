"""Stacks on disk as arrays: read where they are, an error where they shrink, without a trace."""

import os
import tempfile

import numpy as np
import pytest
import tifffile

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.io import npy
from bonectl.training.volumes import opened

VALUES = np.random.default_rng(0).normal(0, 1, (6, 7, 9)).astype(np.float32)
PLACES = [
    slice(1, 4),
    np.array([3, 0, 0, 5]),
    (np.array([5, 1]), slice(2, 6), slice(3, 8)),
    (slice(0, 2), slice(0, 7), slice(0, 9)),
]


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """An empty folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def stored(path, kind):
    if kind == "ours":
        with path.open("wb") as file:
            npy.write(Stack.of(VALUES, Header(shape=VALUES.shape)), file)
    elif kind == "tiff":
        tifffile.imwrite(path, VALUES)
    else:
        np.save(path, {"big": VALUES.astype(">f4"), "fortran": np.asfortranarray(VALUES)}[kind])
    return path


@pytest.mark.parametrize("kind", ["ours", "big", "fortran", "tiff"])
@pytest.mark.parametrize("place", PLACES)
def test_any_part_of_any_format_is_that_of_the_array(tmp_path, scratch, kind, place):
    with opened([stored(tmp_path / "a.npy", kind)]) as (volume,):
        np.testing.assert_array_equal(volume.values[place], VALUES[place])
        assert os.listdir(scratch) == []  # what is unpacked has no name: kill -9 leaves nothing


def test_a_file_that_shrinks_is_an_error_and_no_bus_error(tmp_path):
    path = stored(tmp_path / "a.npy", "ours")
    with opened([path]) as (volume,):
        os.truncate(path, path.stat().st_size - 3 * VALUES[0].nbytes)
        np.testing.assert_array_equal(volume.values[slice(0, 3)], VALUES[:3])
        with pytest.raises(DataError, match=r"a.npy: ends before slice 3; it was cut short while it was read"):
            volume.values[slice(2, 5)]
