"""NaN in what `measure` reads: looked for once, and refused with the name of the file."""

import numpy as np
import pytest
from tests import made

SHAPE = (40, 24, 26)


@pytest.fixture
def volumes(tmp_path):
    """good.npy, and bad.npy with one NaN."""
    values = np.zeros(SHAPE, np.float32)
    values[4:36, 6:18, 6:20] = 1000
    for name in ("good", "bad"):
        made.store(tmp_path / f"{name}.npy", values)
        values[21, 2, 3] = np.nan


@pytest.fixture
def looked(monkeypatch):
    """Sizes of the slabs that are looked through, by whoever screens or measures."""
    from bonectl.measuring import values as values_module
    from bonectl.stacks import screening

    sizes = []

    class Watched:
        def __getattr__(self, name):
            return getattr(np, name)

        def isfinite(self, values):
            sizes.append(values.size)
            return np.isfinite(values)

    for module in (screening, values_module):
        monkeypatch.setattr(module, "np", Watched())
    return sizes


@pytest.mark.parametrize("more", [(), ("--voxel-size", "0.03"), ("--nan", "zero")])
@pytest.mark.parametrize("metrics", ["bvtv", "components"])
def test_each_value_is_looked_at_once(run, volumes, looked, metrics, more):
    done = run("measure", "good.npy", "-m", metrics, "-t", "500", *more)
    assert done.status == 0, done.err
    assert sum(looked) == np.prod(SHAPE)


@pytest.mark.parametrize(
    "files", [("bad.npy",), ("bad.npy", "--voxel-size", "0.03"), ("good.npy", "--reference", "bad.npy")]
)
@pytest.mark.parametrize("metrics", ["bvtv", "components"])
def test_the_file_is_named_and_the_place_told(run, volumes, metrics, files):
    done = run("measure", *files, "-m", metrics, "-t", "500")
    assert done.status == 65
    assert "bad.npy: 1 value is NaN or infinite, the first at (21, 2, 3); --nan zero makes them 0" in done.err
