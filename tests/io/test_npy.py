"""The NPY reader and writer: round trips, numpy as the judge, damage, and what others write."""

import io
import json
import os
import struct
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests import made

from bonectl.core.calibration import Calibration
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import DTYPES, SINOGRAMS, Entry, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MissingInputError, UsageError
from bonectl.io import npy, read

FUZZ = max(300, settings().max_examples)  # more at night


def encoded(array, **fields):
    file = io.BytesIO()
    npy.write(Stack.of(array, Header(shape=array.shape, dtype=array.dtype.str, **fields)), file)
    return file.getvalue()


def saved(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def decoded(raw, name="x.npy"):
    return npy.read(io.BytesIO(raw), name)


SCAN = np.arange(3 * 4 * 5, dtype="<f4").reshape(3, 4, 5)


def scan_header(history=3):
    rng = np.random.default_rng(1)
    geometry = Geometry(
        kind="parallel",
        angles=Angles.of(np.sort(rng.uniform(0, 180, 4))),
        rows=3,
        columns=5,
        pitch=0.0123,
        row_pitch=0.0123,
        centre=2.03,
        size=5,
        voxel=0.0123,
    )
    return Header(
        shape=(3, 4, 5),
        axes=SINOGRAMS,
        spacing=(0.0123, None, 0.0123),
        unit="line integral",
        geometry=geometry,
        calibration=Calibration(400.0, -90.0, "energy(kev=25, matrix='water')"),
        acquisition={"photons": 1e4, "white": 10000.5, "detector": "it's µ"},
        answers={"bvtv": 0.21},
        history=tuple(
            Entry(f"bonectl simulate {i} 'a b'", "0.1", "2026-01-01T00:00:00Z", {"seed": i}) for i in range(history)
        ),
    )


@st.composite
def arrays(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    return draw(hnp.arrays(dtype, shape))


@given(arrays())
def test_what_is_written_is_read_by_us_and_by_numpy(array):
    raw = encoded(array, spacing=(0.1, 0.2, 0.3), unit="label")
    stack = decoded(raw)
    assert stack.header == Header(shape=array.shape, dtype=array.dtype.str, spacing=(0.1, 0.2, 0.3), unit="label")
    np.testing.assert_array_equal(stack.collect(), array)
    np.testing.assert_array_equal(np.load(io.BytesIO(raw)), array)


def test_the_form_is_the_documented_one():
    raw = encoded(SCAN)
    assert raw[:8] == b"\x93NUMPY\x01\x00"
    length = struct.unpack("<H", raw[8:10])[0]
    assert (10 + length) % 64 == 0
    text = raw[10 : 10 + length].decode("ascii")
    assert text.startswith(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), }  # bonectl {\"bonectl\":1,\"axes\":"
    )
    assert text.endswith("\n")
    assert raw[10 + length :] == SCAN.tobytes()


def test_a_header_with_everything_survives():
    header = scan_header()
    file = io.BytesIO()
    npy.write(Stack.of(SCAN, header), file)
    assert "'" not in file.getvalue().partition(b"# bonectl ")[2].partition(b"\n")[0].decode("ascii")
    assert decoded(file.getvalue()).header == header


def test_memory_maps_agree_with_numpy(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(encoded(SCAN, spacing=(1.0, 1.0, 1.0)))
    header, values = npy.mapped(path)
    assert header.spacing == (1.0, 1.0, 1.0)
    assert isinstance(values, np.memmap)
    assert not values.flags.writeable
    np.testing.assert_array_equal(values, np.load(path, mmap_mode="r"))
    np.save(path, np.asfortranarray(SCAN))
    np.testing.assert_array_equal(npy.mapped(path)[1], SCAN)


def test_mapping_what_is_not_there_or_short(tmp_path):
    with pytest.raises(MissingInputError, match=r"none\.npy: no such file"):
        npy.mapped(tmp_path / "none.npy")
    (tmp_path / "short.npy").write_bytes(encoded(SCAN)[:-1])
    with pytest.raises(DataError, match="1 of 3 slices is missing"):
        npy.mapped(tmp_path / "short.npy")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", ["?", "i1", ">u2", "<i8", ">f2", "=f4", ">f8"])
def test_what_numpy_saves_is_read(version, order, dtype, tmp_path):
    array = np.array(np.random.default_rng(0).integers(0, 2, (3, 4, 5)), dtype=dtype, order=order)
    path = tmp_path / "a.npy"
    path.write_bytes(saved(array, version))
    with path.open("rb") as file:
        stack = npy.read(file, "a.npy")
        got = stack.collect()
    np.testing.assert_array_equal(got, array)
    assert got.flags.c_contiguous
    assert got.dtype.str == stack.header.dtype == array.dtype.newbyteorder("<").str
    assert (stack.header.unit, stack.header.spacing) == ("grey", (None, None, None))


def test_two_axes_are_one_slice():
    assert decoded(saved(SCAN[0])).header.shape == (1, 4, 5)
    np.testing.assert_array_equal(decoded(saved(np.asfortranarray(SCAN[0]))).collect()[0], SCAN[0])


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 2, 2), complex), "'<c16' cannot be used"),
        (np.zeros((2, 2, 2), [("a", "f4")]), "a plain array is needed"),
        (np.zeros((2, 2, 2), "S3"), "'|S3' cannot be used"),
        (np.zeros((2, 2, 2), "M8[s]"), "cannot be used"),
        (np.zeros((2,), "f4"), "has 1 axis;"),
        (np.zeros((2, 2, 2, 2), "f4"), "has 4 axes"),
        (np.zeros((2, 0, 2), "f4"), "cannot be"),
    ],
)
def test_arrays_that_are_no_stacks(array, said):
    with pytest.raises(DataError, match="^x.npy: ") as caught:
        decoded(saved(array))
    assert said in str(caught.value)


def test_pickled_objects_are_never_loaded():
    file = io.BytesIO()
    np.save(file, np.array([[[{}]]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be used"):
        decoded(file.getvalue())


def crafted(text, length=None):
    body = text.encode("latin-1")
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(body) if length is None else length) + body + bytes(240)


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), }"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        GOOD.replace("(3, 4, 5)", "(-3, 4, 5)"),
        GOOD.replace("(3, 4, 5)", "(3.0, 4, 5)"),
        GOOD.replace("(3, 4, 5)", "(99999999999, 99999999999, 99999999999)"),
        GOOD.replace("(3, 4, 5)", "(" + "9" * 5000 + ", 4, 5)"),
        GOOD.replace("(3, 4, 5)", "[3, 4, 5]"),
        GOOD.replace("(3, 4, 5)", "__import__('os').system('true')"),
        GOOD.replace("(3, 4, 5)", "(3, 4, 5), 'shape': (3, 4, 5)"),
        GOOD.replace("False", "0"),
        GOOD.replace("<f4", "<f3"),
        GOOD.replace("<f4", "O"),
        GOOD.replace("'shape'", "'extra': 1, 'shape'"),
        GOOD.replace("'descr': '<f4', ", ""),
        GOOD + "\0",
        GOOD + "  # bonectl",
        GOOD + "  # bonectl {",
        GOOD + "  # bonectl []",
        GOOD + "  # bonectl {}",
        GOOD + '  # bonectl {"bonectl":2}',
        GOOD + "  # bonectl " + "[" * 5000,
        GOOD + '  # bonectl {"bonectl":1,"axes":["z","y","x"],"spacing_mm":[NaN,1,1],"unit":"grey"}',
        GOOD + '  # bonectl {"bonectl":1,"axes":["z","y","x"],"spacing_mm":[-1,1,1],"unit":"grey"}',
        GOOD + '  # bonectl {"bonectl":1,"axes":["z","y","x"],"spacing_mm":[1,1,1],"unit":"\\ud800"}',
        GOOD + '  # bonectl {"bonectl":1,"axes":["z","y"],"spacing_mm":[1,1,1],"unit":"grey"}',
        "(" * 20000,
    ],
)
def test_headers_that_are_refused(text):
    if text.endswith("# bonectl"):  # without JSON it is a comment like any other
        assert decoded(crafted(text)).header.unit == "grey"
        return
    with pytest.raises(DataError, match=r"^x\.npy: "):
        decoded(crafted(text)).collect()


def test_other_comments_and_quotes_are_let_pass():
    text = GOOD.replace("'", '"') + "  # made by hand\n"
    assert decoded(crafted(text)).header.shape == (3, 4, 5)


@pytest.mark.parametrize("length", [1 << 21, (1 << 32) - 1])
def test_a_huge_header_is_refused_unread(length):
    with pytest.raises(DataError, match="claims a header of"):
        decoded(crafted(GOOD, length))


def test_memory_follows_what_arrives_not_what_is_claimed():
    raw = crafted(GOOD.replace("(3, 4, 5)", "(1, 1000000, 1000000)"))
    reader, writer = os.pipe()
    with open(writer, "wb") as file:
        file.write(raw)
    tracemalloc.start()
    with open(reader, "rb") as file, pytest.raises(DataError, match="1 of 1 slices is missing"):
        npy.read(file, "pipe").collect()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


@pytest.mark.parametrize("cut", [0, 1, 5, 6, 7, 8, 9, 11, 40, 100, 127])
def test_cut_before_the_data(cut):
    with pytest.raises(DataError, match=r"^x\.npy: "):
        decoded(encoded(SCAN)[:cut])


@pytest.mark.parametrize(("left", "missing"), [(0, 3), (1, 3), (80, 2), (81, 2), (160, 1), (239, 1)])
@pytest.mark.parametrize("piped", [False, True])
def test_cut_in_the_data_and_between_slices(left, missing, piped, tmp_path):
    raw = encoded(SCAN)[: -SCAN.nbytes or None][: len(encoded(SCAN)) - SCAN.nbytes] + SCAN.tobytes()[:left]
    if piped:
        with pytest.raises(DataError, match=f"x.npy: {missing} of 3 slices (is|are) missing; re-copy the file"):
            decoded(raw).collect()
        return
    (tmp_path / "x.npy").write_bytes(raw)
    with (tmp_path / "x.npy").open("rb") as file, pytest.raises(DataError, match=f"{missing} of 3 slices"):
        npy.read(file, "x.npy")  # a file's size tells before any slab


def test_bytes_after_the_data(tmp_path):
    with pytest.raises(DataError, match="bytes follow the last slice"):
        decoded(encoded(SCAN) + b"\0").collect()
    (tmp_path / "x.npy").write_bytes(encoded(SCAN) + b"12345")
    with (tmp_path / "x.npy").open("rb") as file, pytest.raises(DataError, match="5 bytes follow the last slice"):
        npy.read(file, "x.npy")


def test_the_last_slab_is_withheld_until_the_end_is_seen():
    slabs = decoded(encoded(SCAN) + b"\0").slabs
    with pytest.raises(DataError):
        next(slabs)


def test_the_writer_holds_the_last_slab_back_until_all_work_is_done():
    def slabs():
        yield SCAN[:1]
        yield SCAN[1:]
        raise DataError("upstream is short")

    file = io.BytesIO()
    with pytest.raises(DataError, match="upstream"):
        npy.write(Stack(Header(shape=(3, 4, 5)), slabs()), file)
    assert len(npy.frame(Header(shape=(3, 4, 5)))) + SCAN[:1].nbytes == len(file.getvalue())


@pytest.mark.parametrize("slabs", [[SCAN[:2]], [SCAN, SCAN[:1]], [SCAN.astype("f8")], [SCAN[:, :2]], []])
def test_a_promise_broken_by_our_own_tools_is_a_bug(slabs):
    with pytest.raises(AssertionError):
        npy.write(Stack(Header(shape=(3, 4, 5)), iter(slabs)), io.BytesIO())


def test_a_fortran_order_pipe_is_spooled():
    raw = saved(np.asfortranarray(SCAN))
    reader, writer = os.pipe()

    def feed():
        with open(writer, "wb") as file:
            file.write(raw)

    thread = threading.Thread(target=feed)
    thread.start()
    with open(reader, "rb") as file:
        np.testing.assert_array_equal(read(file, "pipe").collect(), SCAN)
    thread.join()


def test_a_pipe_that_comes_byte_by_byte():
    raw = encoded(SCAN)
    reader, writer = os.pipe()

    def feed():
        with open(writer, "wb", buffering=0) as file:
            for k in range(len(raw)):
                file.write(raw[k : k + 1])

    thread = threading.Thread(target=feed)
    thread.start()
    with open(reader, "rb") as file:
        np.testing.assert_array_equal(read(file, "pipe").collect(), SCAN)
    thread.join()


def test_the_sidecar_of_a_bare_file(tmp_path):
    header, path = scan_header(), tmp_path / "a.npy"
    with path.open("wb") as file:
        text = npy.write_bare(Stack.of(SCAN, header), file)
    assert b"#" not in path.read_bytes()[:200]
    assert json.loads(text)["unit"] == "line integral"
    (tmp_path / "a.npy.json").write_text(text)
    with path.open("rb") as file:
        assert npy.read(file, "a").header == header
    assert npy.mapped(path)[0] == header
    (tmp_path / "a.npy.json").write_text('{"made": "by another program"}')
    assert npy.mapped(path)[0] == Header(shape=(3, 4, 5))
    (tmp_path / "a.npy.json").write_text(text[:40])
    with path.open("rb") as file, pytest.raises(DataError, match="no valid JSON"):
        npy.read(file, "a")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 41, "9" * 400, "9" * 5000, "NaN", "1" + "0" * 350])
def test_numbers_of_a_header_that_no_float_holds(tmp_path, number):
    path = tmp_path / "a.npy"
    np.save(path, SCAN)
    for told in (
        {"answers": {"bvtv": "X"}},
        {"acquisition": {"n": "X"}},
        {"spacing_mm": ["X", None, 1]},
        {"calibration": {"slope": 1, "intercept": "X", "source": ""}},
        {"history": [{"command": "", "version": "", "time": "", "notes": {"seed": "X"}}]},
        {"forgotten": ["X", "0"]},
        {"geometry": {"kind": "parallel", "angles": {"count": "X"}}},
    ):
        header = {"bonectl": 1, "axes": ["row", "view", "col"], "spacing_mm": [1, 1, 1], "unit": "grey"} | told
        (tmp_path / "a.npy.json").write_text(json.dumps(header).replace('"X"', number))
        with path.open("rb") as file, pytest.raises(DataError) as caught:
            npy.read(file, "a")
        assert len(str(caught.value)) < 200, told


@pytest.mark.parametrize("others", ["{", "", "plain text", "[1, 2]", '{"made": 1e999}', '{"tool": {"bonectl": 1}}'])
def test_a_strangers_sidecar_is_left_out_and_told(tmp_path, others):
    np.save(tmp_path / "a.npy", SCAN)
    (tmp_path / "a.npy.json").write_text(others)
    with made.heard() as notes:
        assert npy.mapped(tmp_path / "a.npy")[0] == Header(shape=(3, 4, 5))
    assert len(notes) == 1
    assert "left out" in notes[0]


def test_a_named_pipe_or_a_folder_is_no_sidecar(tmp_path):
    np.save(tmp_path / "a.npy", SCAN)
    os.mkfifo(tmp_path / "a.npy.json")
    assert npy.mapped(tmp_path / "a.npy")[0] == Header(shape=(3, 4, 5))
    (tmp_path / "a.npy.json").unlink()
    (tmp_path / "a.npy.json").mkdir()
    assert npy.mapped(tmp_path / "a.npy")[0] == Header(shape=(3, 4, 5))


@pytest.mark.parametrize("how", ["bonectl info < a.npy", "cat a.npy | bonectl info", "bonectl info <(cat a.npy)"])
def test_what_is_redirected_has_no_sidecar_by_the_name_of_its_stream(shell, tmp_path, how):
    np.save(tmp_path / "a.npy", SCAN)
    text = npy.write_bare(Stack.of(SCAN, Header(shape=SCAN.shape, unit="mgHA/cm3", spacing=(9, 9, 9))), io.BytesIO())
    for name in ("<stdin>.json", ".json", "0.json"):
        (tmp_path / name).write_text(text)
    run = shell(how)
    assert run.returncode == 0, run.stderr
    assert b"unit\tgrey" in run.stdout


@pytest.mark.parametrize("entries", [0, 10, 30, 500])
def test_the_header_never_exceeds_what_numpy_loads(entries):
    history = tuple(Entry(f"bonectl convert {i} " + "x'" * 180, "0.1", "2026-01-01T00:00:00Z") for i in range(entries))
    raw = encoded(SCAN, history=history)
    assert len(raw) - SCAN.nbytes <= npy.LONGEST
    np.testing.assert_array_equal(np.load(io.BytesIO(raw)), SCAN)
    header = decoded(raw).header
    count = header.forgotten[0] if header.forgotten else 0
    assert count + len(header.history) == entries
    assert header.history == history[count:]  # the newest stay, whole
    assert encoded(SCAN, history=header.history, forgotten=header.forgotten) == raw  # and then nothing more is lost


def test_irregular_angles_fit_packed_and_refuse_early_beyond():
    rng = np.random.default_rng(2)

    def header(views):
        angles = Angles.of(np.linspace(0, 180, views) + rng.uniform(-0.025, 0.025, views))
        geometry = Geometry(
            kind="parallel", angles=angles, rows=1, columns=2, pitch=1.0, row_pitch=1.0, centre=0.5, size=2, voxel=1.0
        )
        return Header(shape=(1, views, 2), axes=SINOGRAMS, geometry=geometry)

    long = header(3600)
    assert len(npy.frame(long)) <= npy.LONGEST

    def never():
        raise AssertionError("a slab was pulled")
        yield

    with pytest.raises(UsageError, match="--bare"):
        npy.write(Stack(header(20000), never()), io.BytesIO())


def outcome(raw):
    """A stack that was read whole, or None for a DataError; anything else is a failed test."""
    try:
        stack = read(io.BytesIO(raw), "fuzz")
        return stack.header, stack.collect()
    except DataError as error:
        assert "\n" not in str(error)
        return None


VALID = [
    encoded(SCAN, spacing=(0.1, 0.1, 0.1)),
    saved(np.asfortranarray(SCAN)),
    saved(SCAN.astype(">u2"), (3, 0)),
]


@settings(max_examples=FUZZ, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_damaged_files_give_a_stack_or_a_data_error(raw, changes, cut):
    bytes_ = bytearray(raw)
    for place, value in changes:
        bytes_[int(place**3 * (len(bytes_) - 1))] = value  # the header comes first, and is hit more often
    if cut is not None:
        bytes_ = bytes_[: int(cut * len(bytes_))]
    found = outcome(bytes(bytes_))
    if found is not None:  # then numpy, which is more lenient, must see the same numbers
        theirs = np.load(io.BytesIO(bytes_), max_header_size=1 << 20)
        np.testing.assert_array_equal(found[1], theirs.reshape(found[0].shape))


@settings(max_examples=FUZZ)
@given(st.binary(max_size=300))
def test_junk_gives_a_data_error(junk):
    for start in (b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x40\x00{'descr': "):
        assert outcome(start + junk) is None


@settings(max_examples=FUZZ)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(["axes", "spacing_mm", "unit", "geometry", "calibration", "acquisition", "answers", "history"]),
)
def test_any_json_in_the_comment_gives_a_stack_or_a_data_error(value, key):
    told = Header(shape=(3, 4, 5)).to_json() | {key: value}
    outcome(crafted(f"{GOOD}  # bonectl {json.dumps(told)}"))
