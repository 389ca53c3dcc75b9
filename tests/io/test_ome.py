"""OME-TIFF: what its name promises, read back by tifffile and by ourselves."""

import io as buffers

import numpy as np
import pytest
import tifffile

from bonectl import io
from bonectl.core.calibration import Calibration
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.io import ome

VALUES = np.random.default_rng(0).normal(size=(5, 12, 17)).astype("<f4")


def header(**changes):
    known = {"shape": VALUES.shape, "dtype": "<f4", "spacing": (0.03, 0.02, 0.0195), "unit": "1/cm"}
    return Header(**{**known, "calibration": Calibration(300.0, -150.0, "energy <&> 'x'"), **changes})


def test_the_xml_says_what_the_stack_is(tmp_path):
    path = tmp_path / "x.ome.tif"
    with path.open("wb") as file:
        ome.write(Stack.of(VALUES, header()), file)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        assert (tif.series[0].axes, tif.series[0].shape) == ("ZYX", VALUES.shape)
        np.testing.assert_array_equal(tif.series[0].asarray(), VALUES)
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
        assert [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"] == [0.03, 0.02, 0.0195]
        assert {pixels[f"PhysicalSize{axis}Unit"] for axis in "ZYX"} == {"mm"}
        # what ITK reads: pixels per cm
        tags = tif.pages[0].tags
        assert tags["ResolutionUnit"].value == 3
        assert [10 * b / a for a, b in (tags["XResolution"].value, tags["YResolution"].value)] == [0.0195, 0.02]


@pytest.mark.parametrize("name", ["x.ome.tif", "X.OME.TIFF"])
def test_the_whole_header_comes_back(tmp_path, run, name):
    np.save(tmp_path / "a.npy", VALUES)
    assert (
        run("convert", "a.npy", "--voxel-size", "0.0195", "--calibrate", "linear(slope=2)", "-o", "b.npy").status == 0
    )
    assert run("convert", "b.npy", "-o", name, "--no-history").status == 0
    with io.open(tmp_path / "b.npy") as before, io.open(tmp_path / name) as after:
        assert after.header == before.header.replace(history=after.header.history)
        np.testing.assert_array_equal(after.collect(), before.collect())
    with tifffile.TiffFile(tmp_path / name) as tif:
        assert tif.is_ome


@pytest.mark.parametrize("dtype", ["|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<f4", "<f8"])
def test_every_type_that_ome_has(dtype):
    file = buffers.BytesIO()
    ome.write(Stack.of(VALUES.astype(dtype), header(dtype=dtype, unit="grey", calibration=None)), file)
    file.seek(0)
    np.testing.assert_array_equal(tifffile.imread(file), VALUES.astype(dtype))


def test_types_that_ome_has_not_are_refused():
    with pytest.raises(UsageError, match="OME-TIFF holds no int64; give --dtype"):
        ome.write(Stack.of(VALUES.astype("<i8"), header(dtype="<i8", unit="grey", calibration=None)), buffers.BytesIO())
