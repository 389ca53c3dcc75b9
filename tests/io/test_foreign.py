"""Files of other programs in NRRD, MetaImage and NIfTI: values, voxel size, orientation, byte order, compression."""

import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from bonectl import io as formats
from bonectl.errors import DataError, MissingInputError, UsageError

FOLDER = Path(__file__).with_name("foreign")  # made by make_foreign.py
VALUES = np.arange(24).reshape(2, 3, 4)
SIDES = (0.03, 0.02, 0.01)


@pytest.fixture
def heard(monkeypatch):
    """Notes that were said."""
    found = []
    monkeypatch.setattr("bonectl.core.progress.note", found.append)
    return found


def opened(path, **changes):
    with formats.open(path, **changes) as stack:
        return stack.header, stack.collect()


def parsed(data):
    stack = formats.read(io.BytesIO(data), "x")
    return stack.header, stack.collect()


@pytest.mark.parametrize(
    ("name", "dtype", "orientation"),
    [
        ("itk.nrrd", "<i2", "LPS"),
        ("itk.mha", "<u2", "LPS"),
        ("itk_packed.mha", "<f4", "oblique"),
        ("itk.nii.gz", "<f4", "LPS"),
        ("detached/itk_meta.mhd", "<f8", "LPS"),
        ("detached/itk_nrrd.nhdr", "<i4", "PSR"),
        ("detached/pynrrd.nhdr", "<u4", "RAS"),
        ("pynrrd_big.nrrd", "<f4", None),
        ("pynrrd_units.nrrd", "|u1", None),
        ("pynrrd_no_unit.nrrd", "<i8", None),
        ("nibabel_two.nii", "<f8", "LAS"),
        ("nibabel_no_unit.nii", "|u1", "RAS"),
    ],
)
def test_files_of_itk_nibabel_and_pynrrd(heard, name, dtype, orientation):
    header, values = opened(FOLDER / name)
    assert (header.dtype, header.axes, header.unit) == (dtype, ("z", "y", "x"), "grey")
    assert header.spacing == SIDES
    assert header.acquisition.get("orientation") == orientation
    np.testing.assert_array_equal(values, VALUES)
    assert heard == ([f"{FOLDER / name}: its voxel size has no unit; mm is taken"] if "no_unit" in name else [])


def test_a_scale_of_nifti_gives_the_values():
    header, values = opened(FOLDER / "nibabel_big.nii")
    np.testing.assert_allclose(values, VALUES * 0.5 - 3, atol=2e-4)  # half a step of 11.5 / 65535
    assert (values.dtype, header.spacing, header.acquisition["orientation"]) == (np.dtype("<f4"), SIDES, "RAS")
    stored, _ = opened(FOLDER / "nibabel_big.nii", stored=True)
    assert stored.dtype == "<i2"
    assert stored.scaling[0] == pytest.approx(11.5 / 65535, rel=1e-3)


def test_real_files(shared_data):
    scans = shared_data / "scans"
    head, values = opened(scans / "mhd_mha" / "head.mha")
    assert (head.shape, head.dtype, head.spacing) == ((93, 64, 64), "<u2", (1.5, 3.20000004768, 3.20000004768))
    assert (values.max(), values.mean()) == (3926, pytest.approx(507.6873241))  # as SimpleITK 2.5.7 reads it
    bone, values = opened(scans / "nifti" / "xtremect_tibia_mini_material.nii.gz")
    assert (bone.shape, bone.dtype, bone.acquisition["orientation"]) == ((80, 99, 109), "<f4", "RAS")
    assert bone.spacing == pytest.approx((0.06069601, 0.06069899, 0.06069899))
    assert values.mean(dtype="f8") == pytest.approx(34.01748911)  # as nibabel 5.4.2 reads it
    roi, values = opened(scans / "nrrd" / "isodata_04216_roi_0.nrrd")
    assert (roi.shape, roi.spacing, set(np.unique(values))) == ((201, 201, 201), (None, None, None), {0, 255})


NRRD = "NRRD0004\ntype: {type}\ndimension: 3\nsizes: 4 3 2\nencoding: raw\nendian: {endian}\n{more}\n"


def nrrd(more="", *, dtype="<i2", **words):
    told = {"type": "short", "endian": "little", "more": more} | words
    return NRRD.format(**told).encode() + VALUES.astype(dtype).tobytes()


@pytest.mark.parametrize(
    ("more", "spacing"),
    [
        ("spacings: 10 20 30\nunits: \"um\" \"um\" \"um\"\n", SIDES),
        ("spacings: 0.001 0.002 0.003\nunits: \"cm\" \"cm\" \"cm\"\n", SIDES),
        ("spacings: 0.01 0.02 nan\n", (None, 0.02, 0.01)),
        ("spacings: 1 1 1\nunits: \"px\" \"px\" \"px\"\n", (None, None, None)),
        ("space: LPS\nspace directions: (0,0.01,0) (0.02,0,0) (0,0,-0.03)\n", SIDES),
        ("space directions: (0.008,0.006,0) (-0.012,0.016,0) (0,0,0.03)\nspace units: \"mm\"\n", SIDES),
        ("", (None, None, None)),
    ],
)  # fmt: skip
def test_the_voxel_size_of_nrrd_is_in_its_unit(more, spacing):
    header, values = parsed(nrrd(more))
    assert header.spacing == spacing
    np.testing.assert_array_equal(values, VALUES)


def test_orientation_is_told_and_values_are_not_turned():
    header, values = parsed(nrrd("space: LPS\nspace directions: (0,0.01,0) (0.02,0,0) (0,0,-0.03)\n"))
    assert header.acquisition == {"orientation": "PLI"}
    np.testing.assert_array_equal(values, VALUES)


@pytest.mark.parametrize(
    ("word", "dtype", "endian"),
    [
        ("signed char", "i1", ""),
        ("unsigned short int", ">u2", "big"),
        ("longlong", ">i8", "big"),
        ("double", ">f8", "big"),
    ],
)
def test_nrrd_types_in_either_byte_order(word, dtype, endian):
    header, values = parsed(nrrd(dtype=dtype, type=word, endian=endian))
    assert header.dtype == np.dtype(dtype).newbyteorder("<").str
    np.testing.assert_array_equal(values, VALUES)


def test_what_nrrd_skips(tmp_path):
    data = VALUES.astype("<i2").tobytes()
    (tmp_path / "v.raw").write_bytes(b"one\ntwo\nabc" + data)
    (tmp_path / "v.gz").write_bytes(b"one\n" + gzip.compress(b"abc" + data[:20]) + gzip.compress(data[20:]))
    head = "NRRD0001\ntype: int16\ndimension: 3\nsizes: 4 3 2\nendian: little\n"
    for name, more in {
        "lines": "encoding: raw\nlineskip: 2\nbyte skip: 3\ndata file: v.raw\n",
        "end": "encoding: raw\nbyte skip: -1\ndatafile: ./v.raw\n",
        "packed": "encoding: gz\nline skip: 1\nbyte skip: 3\ndata file: v.gz\n",
    }.items():
        (tmp_path / name).write_text(head + more)
        np.testing.assert_array_equal(opened(tmp_path / name)[1], VALUES)


META = """ObjectType = Image
NDims = 3
DimSize = 4 3 2
{more}ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


STORED = VALUES.astype("<i2").tobytes()


def meta(more="", data=STORED):
    return META.format(more=more).encode() + data


@pytest.mark.parametrize(
    ("more", "spacing"),
    [
        ("ElementSpacing = 0.01 0.02 0.03\n", SIDES),
        ("ElementSize = 0.01 0.02 0.03\n", SIDES),
        ("ElementSpacing = 10 20 30\nDistanceUnits = um\n", SIDES),
        ("ElementSpacing = 1 2 3\nDistanceUnits = px\n", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_the_voxel_size_of_metaimage_is_in_its_unit(more, spacing):
    header, values = parsed(meta(more))
    assert header.spacing == spacing
    np.testing.assert_array_equal(values, VALUES)


def test_metaimage_of_another_byte_order_packed_and_scaled():
    big = VALUES.astype(">i2").tobytes()
    np.testing.assert_array_equal(parsed(meta("BinaryDataByteOrderMSB = True\n", big))[1], VALUES)
    packed = meta("ElementByteOrderMSB = True\nCompressedData = True\n", zlib.compress(big))
    np.testing.assert_array_equal(parsed(packed)[1], VALUES)
    line = "ElementToIntensityFunctionSlope = 2\nElementToIntensityFunctionOffset = -1000\n"
    np.testing.assert_array_equal(parsed(meta(line))[1], 2 * VALUES - 1000.0)
    line = "ElementToIntensityFunctionSlope = -2\n"
    np.testing.assert_array_equal(parsed(meta(line))[1], -2.0 * VALUES)
    np.testing.assert_array_equal(
        parsed(meta("HeaderSize = 5\n", b"12345" + VALUES.astype("<i2").tobytes()))[1], VALUES
    )


def test_the_last_bytes_of_a_file_and_two_axes(tmp_path):
    (tmp_path / "v.raw").write_bytes(b"any header" + VALUES.astype("<i2").tobytes())
    text = META.format(more="HeaderSize = -1\n").replace("LOCAL", "v.raw")
    (tmp_path / "v.mhd").write_text(text)
    np.testing.assert_array_equal(opened(tmp_path / "v.mhd")[1], VALUES)
    flat = meta().replace(b"NDims = 3", b"NDims = 2").replace(b"4 3 2", b"4 6")
    assert parsed(flat)[0].shape == (1, 6, 4)


def nifti(**changes):
    data = bytearray((FOLDER / "nibabel_no_unit.nii").read_bytes())
    places = {"dim": (40, "8h"), "datatype": (70, "h"), "units": (123, "B"), "offset": (108, "f"), "magic": (344, "4s")}
    for name, value in changes.items():
        at, form = places[name]
        struct.pack_into("<" + form, data, at, *(value if isinstance(value, tuple) else (value,)))
    return bytes(data)


def test_units_of_nifti():
    for code, factor in ((1, 1e3), (2, 1.0), (3, 1e-3)):
        assert parsed(nifti(units=code))[0].spacing == pytest.approx([side * factor for side in SIDES])
    assert parsed(nifti(dim=(4, 4, 3, 2, 1, 1, 1, 1)))[0].shape == (2, 3, 4)
    assert parsed(nifti(offset=0.0))[0].shape == (2, 3, 4)  # as some write it


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (nrrd(type="block"), "values of type 'block' cannot be used"),
        (nrrd(endian="middle"), "does not tell the byte order"),
        (nrrd().replace(b"raw", b"hex"), "encoding 'hex' cannot be read; save it as raw or gzip"),
        (nrrd().replace(b"sizes: 4 3 2", b"sizes: 4 3"), "2 sizes for a dimension of '3'"),
        (nrrd().replace(b"sizes: 4 3 2\n", b""), "its header has no sizes"),
        (nrrd().replace(b"dimension: 3\nsizes: 4 3 2", b"dimension: 4\nsizes: 3 4 3 2"), "has 4 axes; a stack has 3"),
        (nrrd().replace(b"sizes: 4 3 2", b"sizes: 4 3 -2"), "4 × 3 × -2 voxels cannot be"),
        (nrrd("data file: LIST\n"), "its values lie in several files"),
        (nrrd("nonsense\n"), "line 7 of its header is no field"),
        (nrrd() + b"\0", "more bytes follow the last slice"),
        (nrrd("bonectl:={\n"), "the bonectl header is no valid JSON"),
        (meta("BinaryData = False\n"), "its values are text"),
        (meta("ElementNumberOfChannels = 3\n"), "has '3' channels"),
        (meta().replace(b"MET_SHORT", b"MET_SHORT_ARRAY"), "values of type 'MET_SHORT_ARRAY' cannot be used"),
        (meta().replace(b"= Image", b"= Tube"), "holds a MetaIO 'Tube'"),
        (meta().replace(b"LOCAL", b"LIST"), "its values lie in several files"),
        (meta("CompressedData = True\n"), "is damaged after 0 bytes of its compressed part"),
        (nifti(datatype=128), "values of type 128 cannot be used"),
        (nifti(magic=b"ni1\0"), "values are in another file (.img)"),
        (nifti(magic=b"abc\0"), "is no NIfTI file"),
        (nifti(dim=(4, 4, 3, 2, 5, 1, 1, 1)), "has 4 axes"),
        (nifti(dim=(9, 4, 3, 2, 5, 1, 1, 1)), "claims 9 axes"),
        (nifti(offset=100.0), "its values begin at byte 100"),
        (gzip.compress(b"not a NIfTI file, but something else", mtime=0), "is no NIfTI file"),
    ],
)
def test_what_cannot_be_read_is_said(data, said):
    with pytest.raises(DataError, match="^x: ") as caught:
        parsed(data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_in_another_file_need_a_path(tmp_path):
    data = (FOLDER / "detached" / "pynrrd.nhdr").read_bytes()
    with pytest.raises(UsageError, match=r"x: its values are in 'pynrrd.raw.gz', to which a pipe does not lead"):
        parsed(data)
    (tmp_path / "a.nhdr").write_bytes(data)
    with pytest.raises(MissingInputError, match=r"pynrrd\.raw\.gz: no such file"):
        opened(tmp_path / "a.nhdr")
    (tmp_path / "pynrrd.raw.gz").write_bytes((FOLDER / "detached" / "pynrrd.raw.gz").read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.nhdr: pynrrd\.raw\.gz: ends after .* bytes of its compressed part"):
        opened(tmp_path / "a.nhdr")


def test_what_another_program_changed_leaves_our_header_out(heard, tmp_path):
    from bonectl.core.header import Header
    from bonectl.core.stack import Stack

    header = Header(shape=(2, 3, 4), dtype="<i2", spacing=SIDES, unit="mgHA/cm3")
    file = io.BytesIO()
    formats.module("nrrd").write(Stack.of(VALUES.astype("<i2"), header), file)
    for old, new, what in [
        (b"sizes: 4 3 2", b"sizes: 3 4 2", "shape"),
        (b"type: int16", b"type: uint16", "type"),
        (b"directions: (0.01,", b"directions: (0.02,", "voxel size"),
    ]:
        assert file.getvalue().count(old) == 1
        assert parsed(file.getvalue().replace(old, new))[0].unit == "grey"
        assert heard.pop() == f"x: another program changed its {what}, so its bonectl header is left out"
    assert parsed(file.getvalue())[0] == header
