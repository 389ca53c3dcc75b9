"""Steps in the order they are written: what does not fit is refused by the header, and nothing depends on the cut."""

import numpy as np
import pytest
from tests.preparations.made import after, beam, header, scan

from bonectl.core import kit, memory, threads
from bonectl.core.header import PROJECTIONS, SINOGRAMS
from bonectl.core.stack import Stack
from bonectl.errors import BonectlError, UsageError
from bonectl.scanning.preparing import check_units, layouts, parts, prepared, written

ALL = "badpixels + flats + zingers + stripes + paganin(distance=5, energy=25) + normalise(air=5)"


def unread(shape, unit, axes=SINOGRAMS):
    """A stack of which nothing may be read."""

    def slabs():
        raise AssertionError("a voxel was read")
        yield

    return Stack(header(shape, unit, axes), slabs())


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("flats + log + paganin(distance=5, energy=25)", "counts", "paganin reads transmission, after log the scan is "
         "in line integral: write it before log"),
        ("stripes", "counts", "the scan is in counts: write flats or eigenflats before it"),
        ("flats + beamhardening", "counts", "after flats the scan is in transmission: write log or paganin before it"),
        ("flats", "line integral", "flats reads counts, the scan is in line integral"),
        ("flats", "grey", "--input-unit counts"),
        ("0.5*log", "transmission", "a preparation has no weight"),
        ("stripe", "transmission", "did you mean 'stripes'"),
        ("log(least=2)", "transmission", "log has no knob 'least'"),
        ("halfturn", "transmission", "halfturn needs to know the angles and the axis"),
        ("paganin(energy=25)", "transmission", "the scan does not say its distance; give paganin(distance=...) in mm"),
        ("paganin(distance=25)", "transmission", "the scan does not say its energy; give paganin(energy=...) in kev"),
        ("badpixels", "transmission", "badpixels finds bad pixels in flats, or takes a mask"),
        ("shift", "transmission", "a line for each view"),
        ("zingers(size=4)", "transmission", "an odd size"),
        ("stripes(method=fourier)", "transmission", "there are smoothing, wavelet, sorting, vo"),
        ("normalise(air=50)", "transmission", "give 1 to 48 of the 96 columns"),
        ("rotate(degrees=50)", "transmission", "less than 45"),
        ("flats", "counts", "counts without a white level; give --flats"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_a_voxel_is_read(text, unit, said):
    with pytest.raises(BonectlError) as refused:
        prepared(unread((4, 30, 96), unit), parts(text))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_volume_is_no_scan():
    with pytest.raises(UsageError, match="a volume"):
        prepared(Stack.of(np.zeros((2, 3, 4), np.float32), header((2, 3, 4), "counts", ("z", "y", "x"))), parts("log"))


def test_units_follow_the_order_and_every_part_says_its_own():
    assert check_units(parts(ALL), "counts") == "line integral"
    assert check_units(parts("log"), "transmission") == "line integral"
    for name in kit.names("preparations"):
        assert kit.fact("preparations", name, "WORKS") in ("projections", "sinograms", "either")
        assert kit.fact("preparations", name, "READS")
        assert kit.fact("preparations", name, "BYTES") > 0 < kit.fact("preparations", name, "PACE")


@pytest.mark.parametrize(
    ("text", "axes", "where"),
    [
        ("flats + normalise", SINOGRAMS, "ss"),
        ("flats + normalise", PROJECTIONS, "pp"),
        ("flats + zingers + log", PROJECTIONS, "sss"),  # turned at once, while it is small
        ("badpixels + flats + zingers", PROJECTIONS, "pss"),
        ("badpixels + flats + zingers", SINOGRAMS, "pss"),
        ("flats + paganin + normalise + stripes", SINOGRAMS, "ppss"),
        ("stripes + normalise", PROJECTIONS, "ss"),
    ],
)
def test_a_scan_is_turned_as_rarely_as_the_order_allows(text, axes, where):
    found = layouts(parts(text), header((4, 5, 6), "counts", axes))
    assert "".join(layout[0] for layout in found) == where


def test_a_history_names_every_knob():
    text = written(parts("flats + stripes(size=9)"))
    assert parts(text) == parts(text.replace("  ", " "))
    assert "flats(mode=mean, before=0) + stripes(method=smoothing, size=9, large=51" in text


@pytest.fixture(scope="module")
def counts():
    lines, there = scan(rows=6, views=30)
    rng = np.random.default_rng(1)
    dark = rng.uniform(90, 110, (6, 96))
    white = rng.uniform(900, 1100, (6, 96))
    white[2, 40] = 0
    readings = np.exp(-lines) * white[:, None] + dark[:, None]
    readings[1, 7, 30] += 5000
    flats = np.stack([white + dark, 1.1 * white + dark])
    return readings.astype(np.float32), there, beam(flats, dark[None], at=(0.0, 30.0))


def test_any_slab_any_threads_any_memory_and_either_order_give_the_same_bytes(counts):
    readings, there, given = counts
    text = ALL.replace("flats", "flats(mode=linear)")
    first, told = after(text, readings, "counts", given=given, geometry=there, order="sinogram")
    assert first.shape == readings.shape
    assert (told.unit, told.axes, told.geometry) == ("line integral", SINOGRAMS, there)
    specs = parts(text)
    turned = np.ascontiguousarray(readings.swapaxes(0, 1))
    for array, axes in ((readings, SINOGRAMS), (turned, PROJECTIONS)):
        for count, size, limit in ((1, 1, None), (2, 3, 1 << 40), (3, 5, memory.resident() + (64 << 20))):
            threads.choose(count)
            try:
                stack = Stack.of(array, header(array.shape, "counts", axes, geometry=there))
                stack = Stack(stack.header, stack.blocks(size))
                done = prepared(stack, specs, beam=given, order="sinogram", limit=limit).collect()
            finally:
                threads.choose(0)
            assert done.tobytes() == first.tobytes()


def test_a_scan_that_does_not_fit_in_memory_passes_through_a_file(counts, monkeypatch):
    from bonectl.stacks import view_order

    readings, _there, given = counts
    first, _ = after("flats(mode=linear) + paganin(distance=5, energy=25)", readings, "counts", given=given)
    monkeypatch.setattr(view_order, "is_held", lambda header, limit=None: False)
    again, _ = after("flats(mode=linear) + paganin(distance=5, energy=25)", readings, "counts", given=given)
    assert again.tobytes() == first.tobytes()


def test_memory_is_refused_where_no_plane_fits(counts):
    from bonectl.errors import MemoryShortageError

    with pytest.raises(MemoryShortageError, match="fewer --threads"):
        after("stripes", np.ones((2, 9, 20)), "transmission", limit=1 << 20)


def test_notebooks_prepare_too(counts, tmp_path):
    import bonectl

    readings, there, given = counts
    flats, darks = (np.stack(list(_arrays(one))) for one in (given.flats, given.darks))
    np.save(tmp_path / "flats.npy", flats)
    first, _ = after("flats + stripes", readings, "counts", given=given, geometry=there)
    for one in (given.flats, flats, tmp_path / "flats.npy"):
        scan_ = Stack.of(readings, header(readings.shape, "counts", geometry=there))
        done = bonectl.prepare(scan_, "flats + stripes", flats=one, darks=darks[0])
        assert done.collect().tobytes() == first.tobytes()


def _arrays(frames):
    with frames.source.open() as stack:
        yield from stack.collect()
