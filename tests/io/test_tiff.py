"""The TIFF reader and writer: round trips, tifffile as the judge, truncation, voxel sizes, refusals, fuzz."""

import io
import os
import struct
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests import made

from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import DTYPES, SINOGRAMS, Entry, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, WriteError
from bonectl.io import _tiff_tags, read, tiff

FUZZ = max(300, settings().max_examples)  # more at night
STACK = (np.arange(6 * 7 * 9) % 251).astype("u1").reshape(6, 7, 9)


def encoded(array, **fields):
    file = io.BytesIO()
    tiff.write(Stack.of(array, Header(shape=array.shape, dtype=array.dtype.str, **fields)), file)
    return file.getvalue()


def theirs(array, **options):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(file, array, **options)
    return file.getvalue()


def decoded(raw):
    return tiff.read(io.BytesIO(raw), "x.tif")


@st.composite
def arrays(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    return draw(hnp.arrays(dtype, shape))


@given(arrays(), st.booleans())
def test_what_is_written_is_read_by_us_and_by_tifffile(array, big):
    with pytest.MonkeyPatch.context() as patch:
        if big:
            patch.setattr(_tiff_tags, "_CLASSIC_ENDS", 0)
        raw = encoded(array, spacing=(0.1, 0.2, 0.3), unit="label")
    kept = array.astype("u1") if array.dtype == bool else array
    stack = decoded(raw)
    assert stack.header == Header(shape=array.shape, dtype=kept.dtype.str, spacing=(0.1, 0.2, 0.3), unit="label")
    np.testing.assert_array_equal(stack.collect(), kept)
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        assert tif.is_bigtiff == big
        assert len(tif.pages) == len(array)
        np.testing.assert_array_equal(tif.asarray().reshape(array.shape), kept)
        assert tif.series[0].dataoffset % 64 == 0


def test_fiji_finds_the_voxel_size():
    raw = encoded(STACK, spacing=(0.02, 0.0195, 0.01), unit="mgHA/cm3")
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        meta = tif.imagej_metadata
        assert (meta["images"], meta["slices"], meta["unit"], meta["spacing"]) == (6, 6, "mm", 0.02)
        assert [tif.pages[0].tags[tag].value for tag in ("XResolution", "YResolution")] == [(100, 1), (2000, 39)]
        assert tif.pages[0].tags["ResolutionUnit"].value == 1
        assert meta["Info"].startswith('bonectl={"bonectl":1')
        assert tif.pages[0].description.isascii()


def test_resolution_in_a_bigtiff_is_per_centimetre(monkeypatch):
    monkeypatch.setattr(_tiff_tags, "_CLASSIC_ENDS", 0)
    with tifffile.TiffFile(io.BytesIO(encoded(STACK, spacing=(0.02, 0.0195, 0.01)))) as tif:
        assert [tif.pages[5].tags[tag].value for tag in ("XResolution", "YResolution")] == [(1000, 1), (20000, 39)]
        assert tif.pages[5].tags["ResolutionUnit"].value == 3
        assert tif.shaped_metadata[0]["shape"] == [6, 7, 9]


@pytest.mark.parametrize("spacing", [1e-9, 3.3e-7, 0.0195, 1 / 3, 12345.678, 1e6])
def test_resolution_tags_are_near_any_spacing(spacing):
    with tifffile.TiffFile(io.BytesIO(encoded(STACK, spacing=(spacing,) * 3))) as tif:
        over, under = tif.pages[0].tags["XResolution"].value
        assert under / over == pytest.approx(spacing, rel=1e-9) or (over, under) == (1, 1)
    assert decoded(encoded(STACK, spacing=(spacing,) * 3)).header.spacing == (spacing,) * 3


def test_a_scan_with_history_survives():
    angles = Angles.of([0.0, 1.0, 2.5, 4.0, 5.5, 6.0, 7.25])
    geometry = Geometry(
        kind="cone", angles=angles, rows=6, columns=9, pitch=0.05, row_pitch=0.06, centre=4.1, size=9, voxel=0.02,
        sod=20.0, sdd=50.0,
    )  # fmt: skip
    history = tuple(Entry(f"bonectl a 'b' \\{i}\n", "0.1", "2026-01-01T00:00:00Z", {"seed": i}) for i in range(40))
    fields = {
        "axes": SINOGRAMS,
        "spacing": (0.06, None, 0.05),
        "unit": "counts",
        "geometry": geometry,
        "history": history,
    }
    header = decoded(encoded(STACK, **fields)).header
    assert header == Header(shape=STACK.shape, dtype="|u1", **fields)


def test_a_save_by_fiji_keeps_the_header_unless_the_shape_changed():
    raw = encoded(STACK, spacing=(0.02, 0.0195, 0.01), unit="mgHA/cm3")
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        info = tif.imagej_metadata["Info"]
    options = {
        "imagej": True,
        "metadata": {"spacing": 0.02, "unit": "mm", "Info": info},
        "resolution": (100, 2000 / 39),
    }
    assert decoded(theirs(STACK, **options)).header == decoded(raw).header
    cropped = decoded(theirs(STACK[:4], **options)).header
    assert (cropped.unit, cropped.spacing) == ("grey", (0.02, pytest.approx(0.0195), 0.01))


def test_a_pipe_is_spooled():
    reader, writer = os.pipe()

    def feed():
        with open(writer, "wb") as file:
            file.write(encoded(STACK))

    thread = threading.Thread(target=feed)
    thread.start()
    with open(reader, "rb") as file:
        np.testing.assert_array_equal(read(file, "pipe").collect(), STACK)
    thread.join()


FORMS = {
    "ours": lambda: encoded(STACK, spacing=(0.1, 0.1, 0.1)),
    "imagej": lambda: theirs(STACK, imagej=True),
    "imagej deflate": lambda: theirs(STACK, imagej=True, compression="zlib"),
    "shaped": lambda: theirs(STACK),
    "shaped deflate": lambda: theirs(STACK, compression="zlib", predictor=True),
    "shaped one directory": lambda: theirs(STACK, metadata={"truncate": 1}, contiguous=True),
    "plain pages": lambda: theirs_pages(STACK),
    "ome": lambda: theirs(STACK, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 19.5, "PhysicalSizeXUnit": "µm"}),
    "big-endian": lambda: theirs(STACK.astype(">u2"), byteorder=">"),
    "bigtiff": lambda: theirs(STACK.astype("f4"), bigtiff=True),
    "tiles": lambda: theirs(STACK, tile=(16, 16), compression="zlib"),
    "strips": lambda: theirs(STACK, rowsperstrip=2),
    "lzw": lambda: coded("lzw"),
    "zstd": lambda: coded("zstd"),
    "inverted": lambda: theirs(STACK, photometric="miniswhite"),
}


def coded(compression):
    pytest.importorskip("imagecodecs", reason="needs bonectl[codecs]")
    return theirs(STACK, compression=compression)


def theirs_pages(array):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tif:
        for page in array:
            tif.write(page, metadata=None, contiguous=False)
    return file.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_what_others_write_is_read_as_tifffile_reads_it(form):
    raw = FORMS[form]()
    stack = decoded(raw)
    expected = tifffile.imread(io.BytesIO(raw))
    assert stack.header.dtype == expected.dtype.newbyteorder("<").str
    np.testing.assert_array_equal(stack.collect(), expected)


@pytest.mark.parametrize("form", FORMS)
def test_a_cut_anywhere_is_noticed(form):
    raw = FORMS[form]()
    whole = decoded(raw)
    values = whole.collect()
    cuts = [len(raw) * k // 10 for k in range(10)]
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        cuts += [page.offset + 5 for page in tif.pages]
        cuts += [max(page.dataoffsets[-1] + page.databytecounts[-1] for page in tif.pages) - 1]
    for cut in cuts:
        with pytest.raises(DataError, match=r"^x\.tif: "):
            decoded(raw[:cut]).collect()
    for cut in range(len(raw) - 40, len(raw)):  # padding may go: then nothing may have changed
        try:
            stack = decoded(raw[:cut])
            np.testing.assert_array_equal(stack.collect(), values)
            assert stack.header == whole.header
        except DataError:
            pass


def test_the_missing_pages_are_counted():
    raw = encoded(STACK)
    with pytest.raises(DataError, match="page 3: its data lie beyond the end of the file, which is cut short"):
        decoded(raw[: len(raw) - 3 * 63 + 1])
    chain = theirs(STACK, imagej=True, compression="zlib")
    with tifffile.TiffFile(io.BytesIO(chain)) as tif:
        last = tif.pages[4]
        end = last.offset + 2 + 12 * len(last.tags)
    forged = chain[:end] + bytes(4) + chain[end + 4 :]  # the chain ends after page 4, as if it had been whole
    assert tifffile.TiffFile(io.BytesIO(forged)).pages.__len__() == 5
    with pytest.raises(DataError, match=r"^x\.tif: 1 of 6 pages is missing; re-copy the file"):
        decoded(forged)


def test_a_damaged_page_is_noticed():
    raw = bytearray(theirs(STACK, compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        offset, size = tif.pages[3].dataoffsets[0], tif.pages[3].databytecounts[0]
    raw[offset + 8 : offset + size - 8] = bytes(size - 16)
    with pytest.raises(DataError, match="page 3"):
        decoded(bytes(raw)).collect()


def imagej_one_directory(array, count=None):
    """The form in which ImageJ writes large stacks: one directory, all pixels after it."""
    count = len(array) if count is None else count
    text = f"ImageJ=1.53t\nimages={count}\nslices={count}\nunit=micron\nspacing=20.0\n".encode() + b"\0"
    first = theirs(array[0], metadata=None, description=text[:-1].decode(), resolution=(0.05, 0.05), resolutionunit=1)
    with tifffile.TiffFile(io.BytesIO(first)) as tif:
        assert tif.pages[0].dataoffsets[0] + array[0].nbytes <= len(first)
        start = tif.pages[0].dataoffsets[0]
    return first[:start] + array.tobytes()


@pytest.mark.parametrize(
    ("form", "code", "value"),
    [({"rowsperstrip": 8}, code, value) for code, value in ((278, 1), (278, 4), (257, 36))]
    + [({"tile": (16, 16)}, code, value) for code, value in ((257, 16), (257, 36), (256, 48))],
)
def test_a_page_whose_pieces_do_not_make_its_rows(form, code, value):
    """With one bit of its rows damaged, of the image or of a strip, tifffile returns zeros for what is not there."""
    values = 1 + np.arange(32 * 32, dtype="<u2").reshape(1, 32, 32)
    raw = bytearray(theirs(values, compression="zlib", photometric="minisblack", metadata=None, **form))
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        tag = tif.pages[0].tags[code]
    raw[tag.valueoffset : tag.valueoffset + 2] = value.to_bytes(2, "little")
    with pytest.raises(DataError, match=r"of \d+ piece"):
        decoded(bytes(raw)).collect()


def test_imagejs_one_directory_form():
    stack = decoded(imagej_one_directory(STACK))
    assert stack.header.spacing == (0.02, 0.02, 0.02)
    np.testing.assert_array_equal(stack.collect(), STACK)
    with pytest.raises(DataError, match="1 of 7 pages is missing"):
        decoded(imagej_one_directory(STACK, 7))


@pytest.mark.parametrize(
    ("unit", "millimetres"),
    [("mm", 1.0), ("um", 1e-3), ("micron", 1e-3), ("\\u00B5m", 1e-3), ("cm", 10.0), ("inch", 25.4), ("nm", 1e-6)],
)
def test_imagej_units(unit, millimetres):
    raw = theirs(STACK, imagej=True, resolution=(1 / 2.5, 1 / 4), metadata={"spacing": 5.0, "unit": unit})
    expected = (5.0 * millimetres, 4 * millimetres, 2.5 * millimetres)
    assert decoded(raw).header.spacing == pytest.approx(expected)


def test_imagej_without_a_length():
    assert decoded(theirs(STACK, imagej=True, resolution=(2, 2))).header.spacing == (None, None, None)
    raw = theirs(STACK, imagej=True, resolution=(2, 2), metadata={"unit": "pixel", "spacing": 1.0})
    assert decoded(raw).header.spacing == (None, None, None)
    raw = theirs(STACK, imagej=True, resolution=(100, 100), metadata={"unit": "mm"})
    assert decoded(raw).header.spacing == (None, 0.01, 0.01)


def by_imagej(array, lines, **options):
    """A stack as ImageJ saves it, with lines of its own in the description."""
    text = f"ImageJ=1.54f\nimages={len(array)}\nslices={len(array)}\n{lines}"
    return theirs(array, metadata=None, description=text, photometric="minisblack", **options)


def line(c0, c1, unit="Gray Value", kind=0):
    return f"cf={kind}\nc0={c0}\nc1={c1}\nvunit={unit}\n"


@pytest.mark.parametrize("byteorder", "<>")
def test_imagejs_signed_numbers_are_signed(byteorder):
    """It stores them without sign, and c0 = -32768."""
    signed = (STACK.astype("<i2") - 100) * 200
    raw = by_imagej((signed.astype(int) + 32768).astype("<u2"), line(-32768.0, 1.0), byteorder=byteorder)
    stack = decoded(raw)
    assert (stack.header.dtype, stack.header.unit) == ("<i2", "grey")
    np.testing.assert_array_equal(stack.collect(), signed)
    assert stack.header.acquisition == {"imagej_calibration": "-32768 + 1 * stored value [Gray Value]"}


@pytest.mark.parametrize(
    ("stored", "c0", "c1", "dtype"),
    [
        ("u2", -1024, 1, "<i4"), ("u1", -100, 1, "<i2"), ("u1", 255, -1, "|u1"), ("u2", 0.5, 0.25, "<f4"),
        ("u2", 10, 65536, "<u4"),
    ],
)  # fmt: skip
def test_values_are_those_that_imagej_shows(stored, c0, c1, dtype):
    array = STACK.astype(stored)
    stack = decoded(by_imagej(array, line(c0, c1, "HU")))
    assert stack.header.dtype == dtype
    assert stack.header.acquisition["imagej_calibration"].endswith("* stored value [HU]")
    values = stack.collect()
    assert values.dtype == dtype
    np.testing.assert_allclose(values, c0 + c1 * array.astype(float), rtol=1e-6)


@pytest.mark.parametrize(
    ("array", "lines"),
    [
        (STACK, line(1, 2, kind=8)),
        (STACK, line("x", 2)),
        (STACK, line("nan", 1)),
        (STACK, line(1, 0)),
        (STACK, line(0, 1e300)),
        (STACK, "cf=0\nc0=1\n"),
        (STACK.astype("<f4"), line(1, 2)),
        (STACK.astype("<i2"), line(1, 2)),
    ],
)
def test_other_functions_are_told_and_not_applied(array, lines):
    with made.heard() as said:
        stack = decoded(by_imagej(array, lines))
    assert stack.header == Header(shape=array.shape, dtype=array.dtype.str)
    np.testing.assert_array_equal(stack.collect(), array)
    assert len(said) == 1
    assert "is not applied; the stored values are read" in said[0]


@pytest.mark.parametrize("lines", ["", line(0, 1), "cf=20\nvunit=Gray Value\n"])
def test_no_calibration_changes_nothing(lines):
    with made.heard() as said:
        stack = decoded(by_imagej(STACK, lines))
    assert (stack.header, said) == (Header(shape=STACK.shape, dtype="|u1"), [])


def test_our_signed_stack_comes_back_from_imagej_as_it_was():
    """ImageJ adds 32768 when it opens one, and saves that."""
    signed = STACK.astype("<i2") - 100
    raw = encoded(signed, spacing=(0.02, 0.02, 0.02), unit="label")
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        info = tif.imagej_metadata["Info"]
    keys = {"spacing": 0.02, "unit": "mm", "Info": info, "cf": 0, "c0": -32768, "c1": 1, "vunit": "Gray Value"}
    saved = theirs((signed.astype(int) + 32768).astype("<u2"), imagej=True, metadata=keys, resolution=(50, 50))
    stack = decoded(saved)
    assert stack.header == decoded(raw).header
    np.testing.assert_array_equal(stack.collect(), signed)


def test_ome_sizes():
    sizes = {"PhysicalSizeX": 19.5, "PhysicalSizeY": 0.02, "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 20}
    raw = theirs(STACK, ome=True, metadata={"axes": "ZYX", **sizes})
    assert decoded(raw).header.spacing == (0.02, 0.02, 0.0195)


@pytest.mark.parametrize(
    ("resolution", "unit", "spacing"),
    [
        ((1000, 500), "CENTIMETER", (None, 0.02, 0.01)),
        ((2540, 2540), "INCH", (None, 0.01, 0.01)),
        ((72, 72), "INCH", (None, None, None)),
        ((300, 300), "INCH", (None, None, None)),
        ((1, 1), "INCH", (None, None, None)),
        ((50, 50), "NONE", (None, None, None)),
    ],
)
def test_plain_resolution_tags(resolution, unit, spacing):
    assert decoded(theirs(STACK, resolution=resolution, resolutionunit=unit)).header.spacing == spacing


def several_series():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tif:
        tif.write(STACK)
        tif.write(STACK[:2])
    return file.getvalue()


def mixed_pages(*pages):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tif:
        for page in pages:
            tif.write(page, metadata=None)
    return file.getvalue()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (lambda: theirs(np.zeros((4, 5, 3), "u1"), photometric="rgb"), "colour"),
        (lambda: theirs(np.zeros((2, 4, 5, 3), "u1"), photometric="rgb", planarconfig="contig"), "colour"),
        (lambda: theirs(np.zeros((4, 5), "c8")), "complex64"),
        (lambda: theirs(np.zeros((2, 3, 4, 5), "u1"), imagej=True, metadata={"axes": "ZCYX"}), "3 channels"),
        (lambda: theirs(np.zeros((2, 3, 4, 5), "u1"), imagej=True, metadata={"axes": "TZYX"}), "3 slices, 2 frames"),
        (lambda: theirs(np.zeros((2, 3, 4, 5), "u1"), ome=True, metadata={"axes": "CZYX"}), "one such axis"),
        (several_series, "several series"),
        (lambda: mixed_pages(STACK[0], STACK[0, :3]), "page 1 is 3 × 9 u1, page 0 is 7 × 9 u1"),
        (lambda: mixed_pages(STACK[0], STACK[0].astype("u2")), "page 1 is 7 × 9 u2"),
        (lambda: b"II*\0" + bytes(100), "holds no page"),
        (lambda: b"II*\0\xff\xff\xff\xff", "not whole"),
        (lambda: b"II*\0\x08\0\0\0" + bytes(100), "not whole"),
        (lambda: b"II+\0\x10\0\0\0" + bytes(100), "known form"),
        (lambda: b"II", "in none of the formats"),
        (lambda: b"GIF89a", "in none of the formats"),
    ],
)
def test_refusals(raw, said):
    with pytest.raises(DataError, match=r"^x\.tif: ") as caught:
        read(io.BytesIO(raw()), "x.tif").collect()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pages_that_return_on_themselves():
    raw = bytearray(mixed_pages(STACK[0], STACK[1]))
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        first, second = tif.pages[0].offset, tif.pages[1]
        end = second.offset + 2 + 12 * len(second.tags)
    raw[end : end + 4] = struct.pack("<I", first)
    with pytest.raises(DataError, match="returns on itself"):
        decoded(bytes(raw))


def test_a_page_that_claims_more_than_its_bytes_can_hold():
    raw = bytearray(theirs(STACK[0], compression="zlib", rowsperstrip=1 << 20, metadata=None))
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        for tag in ("ImageWidth", "ImageLength"):
            offset = tif.pages[0].tags[tag].valueoffset
            raw[offset : offset + 4] = struct.pack("<I", 1 << 20)
    with pytest.raises(DataError, match="more than its"):
        decoded(bytes(raw))


def test_one_bit_pages_become_zero_and_one():
    mask = STACK % 2 == 0
    stack = decoded(theirs(mask))
    assert stack.header.dtype == "|u1"
    np.testing.assert_array_equal(stack.collect(), mask)


# LZW, PNG, zstd; Python's own zstd module, or its absence, is met at the first page only
@pytest.mark.parametrize(("compression", "use"), [(5, ""), (34933, ""), (50000, ".collect()")])
def test_a_missing_codec_names_the_package(tmp_path, compression, use):
    raw = bytearray(theirs(STACK))
    with tifffile.TiffFile(io.BytesIO(raw)) as tif:
        for page in tif.pages:
            offset = page.tags["Compression"].valueoffset
            raw[offset : offset + 2] = struct.pack("<H", compression)
    (tmp_path / "a.tif").write_bytes(raw)
    program = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from bonectl.io import tiff\n"
        "from bonectl.errors import UnavailableError\n"
        f"try: tiff.read(open('a.tif', 'rb'), 'a.tif'){use}\n"
        "except UnavailableError as error: print(error, error.status)\n"
    )
    if compression == 50000 and sys.version_info >= (3, 14):
        pytest.skip("this Python reads zstd by itself")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert "its compression needs the package imagecodecs (" in done.stdout
    assert done.stdout.endswith("pip install 'bonectl[codecs]' 69\n")


@pytest.mark.parametrize(
    "name",
    [
        "lhdl3155_trabecular_19p5um_u8.tif",
        "lhdl3155_mask_gauss1_otsu.tif",
        "lhdl2923_cylinder_z000-256_19p5um_u8.tif",
        "lhdl2923_cylinder_z000-256_mask_gauss1_otsu.tif",
        "tooth_projections/projections.tif",
        "tooth_projections/flats.tif",
        "tooth_projections/darks.tif",
    ],
)
def test_real_files(shared_data, name):
    with (shared_data / name).open("rb") as file:
        stack = tiff.read(file, name)
        assert stack.header.spacing == ((0.0195,) * 3 if name.startswith("lhdl") else (None, None, None))
        np.testing.assert_array_equal(stack.collect(), tifffile.imread(shared_data / name))


SEEDS = [FORMS[form]() for form in ("ours", "imagej", "shaped deflate", "plain pages", "ome", "tiles", "bigtiff")]


@settings(max_examples=FUZZ, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    st.one_of(st.none(), st.floats(0, 1)),
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_a_stack_or_a_data_error(raw, changes, cut):
    bytes_ = bytearray(raw)
    for place, value in changes:
        bytes_[int(place**3 * (len(bytes_) - 1))] = value
    if cut is not None:
        bytes_ = bytes_[: int(cut * len(bytes_))]
    try:
        stack = read(io.BytesIO(bytes_), "fuzz")
        values = stack.collect()
        assert values.shape == stack.header.shape
        assert values.dtype.str == stack.header.dtype
    except DataError as error:
        assert "\n" not in str(error)


@settings(max_examples=FUZZ)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10" + bytes(7)]),
)
def test_junk_gives_a_data_error(junk, start):
    with pytest.raises(DataError):
        read(io.BytesIO(start + junk), "fuzz").collect()


@pytest.mark.slow
def test_more_than_four_gigabytes(tmp_path):
    """Sparse on disk; every 500th slice carries its number."""
    count, shape = 4300, (1000, 1000)
    header = Header(shape=(count, *shape), dtype="|u1", spacing=(0.01, 0.01, 0.01))

    def slabs():
        for k in range(count):
            slab = np.zeros((1, *shape), "u1")
            slab[0, 0, 0] = k % 251
            yield slab

    path = tmp_path / "big.tif"
    with path.open("wb") as file:
        tiff.write(Stack(header, slabs()), file)
    assert path.stat().st_size > 1 << 32
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff
        assert tif.series[0].shape == (count, *shape)
    with path.open("rb") as file:
        stack = tiff.read(file, "big.tif")
        assert stack.header == header
        first = np.concatenate([slab[:, 0, 0] for slab in stack.slabs])
    np.testing.assert_array_equal(first, np.arange(count) % 251)


def test_a_disk_that_cannot_be_read_is_not_called_damaged(monkeypatch):
    def fail(self, *args, **options):
        raise OSError(5, "Input/output error")

    stack = decoded(encoded(STACK))
    monkeypatch.setattr(tifffile.TiffPage, "asarray", fail)
    with pytest.raises(WriteError, match="read failed: input/output error"):
        stack.collect()
