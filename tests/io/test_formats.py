"""What holds for every format that the register finds: a new one is tested here without a word."""

import io
import random
from pathlib import Path

import numpy as np
import pytest

import bonectl
from bonectl import io as formats
from bonectl.core import kit
from bonectl.core.calibration import Calibration
from bonectl.core.header import AXES, DTYPES, PROJECTIONS, SINOGRAMS, UNITS, Entry, Header
from bonectl.core.stack import Stack, chain
from bonectl.errors import BonectlError, DataError, UsageError

FOREIGN = sorted(Path(__file__).with_name("foreign").glob("*.*"))
SHAPE = (3, 4, 5)
ENTRY = Entry("bonectl phantom ball 'a\\b' -o b.npy", "0.0", "2026-01-01T00:00:00Z", {"seed": 1})
FULL = {
    "spacing": (0.03, 0.02, 0.0123456789),
    "unit": "1/cm",
    "calibration": Calibration(1234.5, -6.25, "rods"),
    "acquisition": {"energy_kev": 60.0, "note": "ü : = {}"},
    "answers": {"bvtv": 0.25},
    "region_of_interest": True,
    "history": (ENTRY,),
}


class Pipe(io.RawIOBase):
    """Bytes that come once, some at a time."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(memoryview(buffer)[:1000])


def values(dtype, shape=SHAPE):
    """Numbers that look different in every byte order, to both ends of a type."""
    made = np.random.default_rng(1).integers(0, 256, np.prod(shape) * np.dtype(dtype).itemsize, "u1")
    if dtype == "|b1":
        return (made > 127).reshape(shape)
    if dtype[1] == "f":
        return np.random.default_rng(1).normal(0, 100, shape).astype(dtype)
    return made.view(dtype).reshape(shape)


def written(name, header, array=None):
    """Bytes of a stack in a format; None where the format says that it cannot hold it."""
    file = io.BytesIO()
    array = values(header.dtype, header.shape) if array is None else array
    try:
        formats.module(name).write(Stack.of(array, header), file)
    except UsageError as error:
        assert "\n" not in str(error)
        assert file.getvalue() == b""
        return None
    return file.getvalue()


def whole(name):
    """A sample in a format, with all that a header tells."""
    data = written(name, Header(shape=SHAPE, dtype="<f4", **FULL))
    assert data is not None
    return data


SAMPLES = [*formats.writers(), *FOREIGN]


def sample(what):
    return what.read_bytes() if isinstance(what, Path) else whole(what)


def ids(what):
    return what.name if isinstance(what, Path) else what


def collected(file, name="x"):
    stack = formats.read(file, name, stored=True)
    return stack.header, stack.collect()


def test_every_format_that_is_read_and_not_written_has_a_sample():
    read = {formats.claimant(path.read_bytes()) for path in FOREIGN}
    assert {*formats.readers()} - {*formats.writers()} <= read


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", formats.writers())
def test_values_of_every_type_come_back(name, dtype):
    header = Header(shape=SHAPE, dtype=dtype)
    data = written(name, header)
    if data is None:
        assert dtype != "<f4"
        return
    got, back = collected(io.BytesIO(data))
    np.testing.assert_array_equal(back, values(dtype))
    assert got == header.replace(dtype=back.dtype.str)
    assert back.dtype.str == dtype or (dtype, back.dtype.str) == ("|b1", "|u1")


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("name", formats.writers())
def test_all_that_a_header_tells_comes_back(name, axes):
    plain = Header(shape=SHAPE, dtype="<f4", axes=axes, spacing=tuple(None if a == "view" else 0.1 for a in axes))
    for header in [
        plain,
        plain.replace(spacing=(None, None, None)),
        *(plain.replace(unit=unit) for unit in UNITS),
        plain.replace(dtype="<u2", scaling=(0.25, -1024.0), unit="mgHA/cm3"),
        *([plain.replace(**FULL)] if axes not in (SINOGRAMS, PROJECTIONS) else []),
    ]:
        data = written(name, header)
        if data is None:
            assert header.dtype != "<f4"
            continue
        got, back = collected(io.BytesIO(data))
        assert got == header
        np.testing.assert_array_equal(back, values(header.dtype))


@pytest.mark.parametrize("name", formats.writers())
def test_a_scan_keeps_its_geometry(name):
    geometry = bonectl.geometry("cone(sod=20, sdd=40, views=6)", size=5, rows=4, voxel_size=0.1).replace(centre=4.9)
    header = Header(
        shape=(geometry.rows, 6, geometry.columns),
        dtype="<f4",
        axes=SINOGRAMS,
        spacing=(0.2, None, 0.2),
        geometry=geometry,
    )
    got, _ = collected(io.BytesIO(written(name, header)))
    assert got == header


@pytest.mark.parametrize("name", formats.writers())
def test_the_name_tells_the_format(name, tmp_path):
    for suffix in kit.fact("io", name, "SUFFIXES"):
        path = tmp_path / f"x.y{suffix.upper()}"
        assert formats.to_write(path) == name
        path.write_bytes(whole(name))
        with formats.open(path, stored=True) as stack:
            np.testing.assert_array_equal(stack.collect(), values("<f4"))


@pytest.mark.parametrize("name", formats.writers())
def test_any_slab_the_same_bytes(name):
    header = Header(shape=(5, 3, 4), dtype="<f4", **FULL)
    array = values("<f4", header.shape)
    for cuts in ([5], [1, 1, 1, 1, 1], [2, 3]):
        ends = np.cumsum(cuts)
        file = io.BytesIO()
        slabs = [array[end - cut : end] for end, cut in zip(ends, cuts, strict=True)]
        formats.module(name).write(chain(header, slabs), file)
        assert file.getvalue() == written(name, header, array)


@pytest.mark.parametrize("name", formats.writers())
def test_what_fails_at_its_end_is_not_whole(name):
    header = Header(shape=SHAPE, dtype="<f4")

    def failing():
        for plane in values("<f4"):
            yield plane[None]
        raise DataError("the input ends too early")

    file = io.BytesIO()
    with pytest.raises(DataError, match="too early"):
        formats.module(name).write(chain(header, failing()), file)
    with pytest.raises(DataError):
        collected(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("what", SAMPLES, ids=ids)
def test_a_pipe_is_as_a_file(what):
    data = sample(what)
    header, right = collected(io.BytesIO(data))
    got, back = collected(Pipe(data))
    assert got == header
    np.testing.assert_array_equal(back, right)


@pytest.mark.parametrize("what", SAMPLES, ids=ids)
@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_what_is_cut_short_is_refused_with_its_name(what, kind):
    data = sample(what)
    draw = random.Random(3)
    for end in {0, 1, 7, len(data) - 1, *(draw.randrange(len(data)) for _ in range(60))}:
        with pytest.raises(DataError, match="^cut: ") as caught:
            collected(kind(data[:end]), "cut")
        assert "\n" not in str(caught.value), end
        assert len(str(caught.value)) < 250, end


@pytest.mark.parametrize("what", SAMPLES, ids=ids)
def test_a_flipped_bit_is_read_or_refused_in_words(what):
    data = sample(what)
    draw = random.Random(5)
    for _ in range(200):
        place = draw.randrange(draw.choice([len(data), min(len(data), 600)]))
        bit = 1 << draw.randrange(8)
        damaged = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        try:
            stack = formats.read(io.BytesIO(damaged), "flipped")
            stack.collect()
        except (BonectlError, MemoryError) as error:
            assert "flipped" in str(error), (place, bit)
            assert "\n" not in str(error), (place, bit)


@pytest.mark.parametrize("name", formats.writers())
def test_the_same_stack_is_written_to_the_same_bytes(name):
    assert whole(name) == whole(name)


def test_no_bytes_and_foreign_bytes_are_named():
    with pytest.raises(DataError, match="x: is empty"):
        formats.read(io.BytesIO(), "x")
    with pytest.raises(
        DataError, match=r"x: is a GIF picture; slices are .* in none of the formats .*MetaImage, .*NPY"
    ):
        formats.read(io.BytesIO(b"GIF89a"), "x")
    with pytest.raises(DataError, match=r"x: begins with b'abcdefgh'; it is in none of the formats"):
        formats.read(io.BytesIO(b"abcdefghij"), "x")


@pytest.fixture
def grown(tmp_path, monkeypatch):
    """The register over a folder with one more format of each kind."""
    for path in Path(formats.__file__).parent.glob("[!_]*.py"):
        (tmp_path / path.name).symlink_to(path)
    text = 'TITLE = "{0}"\nSUFFIXES = (".{0}",)\nBEGINS = (b"{0}!",)\n\n\ndef {1}(a, b):\n    """Do it."""\n'
    (tmp_path / "ronly.py").write_text(text.format("ronly", "read"))
    (tmp_path / "wonly.py").write_text(text.format("wonly", "write"))
    monkeypatch.setattr(kit, "_folder", lambda name: tmp_path)
    kit.describe.cache_clear(), kit.defining.cache_clear()
    yield
    kit.describe.cache_clear(), kit.defining.cache_clear()


def test_what_is_only_read_or_only_written_says_so(grown):
    with pytest.raises(UsageError, match=r"b\.ronly: bonectl reads ronly, but does not write it; give --format .*npy"):
        formats.to_write(Path("b.ronly"))
    with pytest.raises(UsageError, match=r"-: bonectl reads ronly, but does not write it"):
        formats.to_write(Path("-"), "ronly")
    assert formats.to_write(Path("b.wonly")) == "wonly"
    with pytest.raises(DataError, match=r"x: is wonly, which bonectl does not read; it reads .*NPY"):
        formats.read(io.BytesIO(b"wonly!"), "x")
    with pytest.raises(UsageError, match=r"b\.gif: no format has that suffix; name it .*\.npy.*\.tif"):
        formats.to_write(Path("b.gif"))
    with pytest.raises(UsageError, match=r"no format 'wonyl' \(did you mean 'wonly'\?\)"):
        formats.to_write(Path("b"), "wonyl")
