"""The laws of `convert`: geometry follows, nothing is rescaled, and the cut into slabs never shows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import made
from tests.made import bare

from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import DTYPES, PROJECTIONS, SINOGRAMS, Header
from bonectl.core.slabs import recut
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.stacks import binning, crop, meaning, number_type, screening, view_order

VOLUME = np.random.default_rng(0).normal(size=(7, 8, 9)).astype("<f4")


def volume(array=VOLUME, **fields):
    return bare(array, **fields)


def sliced(stack, size):
    return Stack(stack.header, recut(stack.slabs, size))


def scan(kind="parallel", axes=SINOGRAMS, unit="line integral", dtype="<f4", **facts):
    beam = {} if kind == "parallel" else {"sod": 100.0, "sdd": 200.0}
    geometry = Geometry(
        kind=kind, angles=Angles(0.0, 1.5, 8), rows=7, columns=9, pitch=0.1, row_pitch=0.2, centre=4.25, size=9,
        voxel=0.1, **beam,
    )  # fmt: skip
    lengths = {"row": (7, 0.2), "view": (8, None), "col": (9, 0.1)}
    shape = tuple(lengths[axis][0] for axis in axes)
    header = Header(
        shape=shape,
        dtype=dtype,
        axes=axes,
        spacing=tuple(lengths[axis][1] for axis in axes),
        unit=unit,
        geometry=geometry,
        acquisition=facts,
    )
    array = np.random.default_rng(1).uniform(0, 200, shape).astype(dtype)
    return Stack.of(array, header), array


slices = st.builds(
    slice, st.none() | st.integers(-10, 10), st.none() | st.integers(-10, 10), st.none() | st.integers(1, 3)
)


@given(st.tuples(slices, slices, slices), st.integers(1, 8))
def test_crop_is_numpys_slicing_for_any_slab(cut, size):
    expected = VOLUME[cut]
    stack = sliced(volume(spacing=(0.1, 0.2, 0.3), answers={"bvtv": 0.2}), size)
    if not expected.size:
        with pytest.raises(UsageError, match="leaves nothing"):
            crop.cropped(stack, cut)
        return
    result = crop.cropped(stack, cut)
    np.testing.assert_array_equal(result.collect(), expected)
    assert result.header.shape == expected.shape
    steps = [part.step or 1 for part in cut]
    assert result.header.spacing == pytest.approx([s * n for s, n in zip((0.1, 0.2, 0.3), steps, strict=True)])
    assert not result.header.answers


@pytest.mark.parametrize("axes", [SINOGRAMS, PROJECTIONS])
def test_crop_of_a_scan_moves_the_axis_and_picks_the_angles(axes):
    stack, array = scan(axes=axes)
    parts = {"row": slice(1, 6), "view": slice(2, None, 3), "col": slice(3, -1)}
    cut = tuple(parts[axis] for axis in axes)
    result = crop.cropped(stack, cut)
    geometry = result.header.geometry
    assert (geometry.rows, geometry.columns, geometry.centre) == (5, 5, 1.25)
    assert list(geometry.angles.degrees) == [3.0, 7.5]
    np.testing.assert_array_equal(result.collect(), array[cut])


def test_crops_that_are_refused():
    full = slice(None)
    with pytest.raises(UsageError, match="use --bin"):
        crop.cropped(scan()[0], (full, full, slice(None, None, 2)))
    with pytest.raises(UsageError, match="leaves nothing"):
        crop.cropped(volume(), (slice(None, None, -1), full, full))


def test_the_orbits_plane_stays_where_it_was():
    """Rows of a cone beam: cropped on one side, or binned with a rest, they are no longer centred on its plane."""
    full = slice(None)
    geometry = scan("cone")[0].header.geometry
    cropped = crop.cropped(scan("cone")[0], (slice(2, geometry.rows), full, full)).header.geometry
    assert cropped.rows == geometry.rows - 2
    assert cropped.principal_row == geometry.principal_row - 2
    assert cropped.volume_shape == geometry.volume_shape
    assert geometry.rows % 2 == 1
    binned = binning.binned(scan("cone")[0], 2).header.geometry
    assert binned.principal_row == (geometry.principal_row + 0.5) / 2 - 0.5
    assert binned.row_centre is not None


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_bin_is_the_mean_for_any_slab(size):
    with made.heard() as heard:
        result = binning.binned(sliced(volume(spacing=(0.1, 0.1, 0.1)), size), 3)
    cells = VOLUME[:6, :6, :].astype("f8").reshape(2, 3, 2, 3, 3, 3)
    np.testing.assert_array_equal(result.collect(), cells.mean(axis=(1, 3, 5)).astype("f4"))
    assert result.header.spacing == pytest.approx((0.3, 0.3, 0.3))
    assert heard == ["the last voxels (1 along z, 2 along y) fill no bin and are left out"]


def test_bin_rounds_integers_half_to_even():
    array = np.array([0, 1, 1, 2], "u1").repeat(4).reshape(4, 2, 2)  # means 0.5 and 1.5
    np.testing.assert_array_equal(binning.binned(volume(array), 2).collect().ravel(), [0, 2])


@pytest.mark.parametrize("axes", [SINOGRAMS, PROJECTIONS])
def test_bin_of_a_scan_keeps_views_and_the_place_of_the_axis(axes):
    stack, array = scan(axes=axes, blur_px=1.0, white=100.0)
    result = binning.binned(stack, 3)
    geometry = result.header.geometry
    assert (geometry.rows, geometry.views, geometry.columns) == (2, 8, 3)
    assert (geometry.pitch, geometry.row_pitch, geometry.voxel, geometry.size) == pytest.approx((0.3, 0.6, 0.3, 3))
    # the axis is 4.25 + 0.5 old columns from the detector's left edge
    assert (geometry.centre + 0.5) * geometry.pitch == pytest.approx(4.75 * 0.1)
    assert result.header.acquisition == {"blur_px": 1 / 3, "white": 900.0}  # of the nine pixels together
    first = {SINOGRAMS: array[:3, 0, :3], PROJECTIONS: array[0, :3, :3]}[axes]
    assert result.collect()[0, 0, 0] == pytest.approx(first.mean(), rel=1e-6)


def test_binned_counts_add_up_and_keep_the_transmission():
    stack, array = scan(unit="counts", dtype="<u2", white=50000.0, photons=1e4, gain_sd=0.03)
    result = binning.binned(stack, 3)
    assert result.header.dtype == "<u4"
    assert result.header.acquisition == {"white": 450000.0, "photons": 9e4, "gain_sd": 0.01}
    assert result.collect()[1, 2, 1] == array[3:6, 2, 3:6].sum()


@pytest.mark.parametrize(
    ("source", "sums"),
    [("|u1", "<u2"), ("|i1", "<i2"), ("<u2", "<u4"), ("<i2", "<i4"), ("<u4", "<u8"), ("<f2", "<f4"), ("<f4", "<f4")],
)
def test_sums_of_counts_take_the_shortest_type_that_holds_them(source, sums):
    """The brightest pixels of their type, which no sum may wrap; the mean of other values keeps its type."""
    info = np.iinfo(source) if source[1] in "iu" else np.finfo(source)
    brightest = info.max if source != "<f4" else 1e30
    array = np.full((4, 4, 4), brightest, source)
    result = binning.binned(volume(array, unit="counts"), 2)
    assert result.header.dtype == sums
    np.testing.assert_array_equal(result.collect().astype(float), 8.0 * array[:2, :2, :2].astype(float))
    mean = binning.binned(volume(array), 2)
    np.testing.assert_array_equal(mean.collect(), array[:2, :2, :2])


def test_sums_that_float64_cannot_count_are_refused():
    array = np.full((2, 2, 2), 2**60, "<u8")
    with pytest.raises(DataError, match="8 values beyond .*first 1152921504606846976 at"):
        binning.binned(volume(array, unit="counts"), 2).collect()


def test_views_are_counted_in_what_is_there():
    stack, _ = scan(views=8, photons=1e4)
    few = crop.cropped(stack, (slice(None), slice(0, 3), slice(None))).header
    assert few.acquisition == {"views": 3, "photons": 1e4}
    assert few.replace(geometry=None).acquisition["views"] == 3


def test_unequal_pixels_keep_their_height():
    """As the resolution tags of a TIFF say it: 0.2 mm high, 0.1 mm wide; views have no step."""
    known = volume(spacing=(None, 0.2, 0.1))
    assert meaning.with_axes(known, "projection").header.spacing == (None, 0.2, 0.1)
    assert meaning.with_axes(known, "sinogram").header.spacing == (0.1, None, 0.1)
    assert meaning.with_axes(volume(spacing=(0.3, 0.2, 0.1)), "sinogram").header.spacing == (0.3, None, 0.1)
    high, _ = scan()
    assert meaning.with_voxel_size(high, 0.1).header.spacing == (0.2, None, 0.1)


@pytest.mark.parametrize("k", [0, 1, 8, 99])
def test_bins_that_do_not_fit(k):
    with pytest.raises(UsageError, match="does not fit"):
        binning.binned(volume(), k)


def test_a_mask_is_not_averaged():
    with pytest.raises(UsageError, match="mask"):
        binning.binned(volume(np.ones((4, 4, 4), "u1"), unit="label"), 2)


def test_order_turns_and_turns_back():
    stack, array = scan()
    turned = view_order.ordered(stack, "projection")
    assert turned.header.axes == PROJECTIONS
    assert turned.header.spacing == (None, 0.2, 0.1)
    values = turned.collect()
    np.testing.assert_array_equal(values, array.swapaxes(0, 1))
    back = view_order.ordered(Stack.of(values, turned.header), "sinogram")
    assert back.header == scan()[0].header
    np.testing.assert_array_equal(back.collect(), array)
    with pytest.raises(UsageError, match="only scans"):
        view_order.ordered(volume(), "sinogram")


@given(
    st.sampled_from(DTYPES),
    st.sampled_from(DTYPES),
    st.lists(st.floats(-300, 300, width=32) | st.sampled_from([0.5, 1.5, 2.5, -0.5, 127.5, 255.49, 1e30]), min_size=1),
)
def test_cast_gives_the_nearest_value_or_refuses(source, target, numbers):
    with np.errstate(all="ignore"):
        array = np.array(numbers, "f4").astype(source).reshape(1, 1, -1)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return  # `finite` has refused those already
    try:
        result = number_type.cast(volume(array), target)
        values = result.collect()
    except UsageError as error:
        assert "not fit" in str(error)
        low, high = number_type.limits(np.dtype(target))
        exact = [float(v) for v in array.ravel()]
        assert any(not low <= round(v) <= high for v in exact) or target == "|b1" or target[1] == "f"
        return
    assert result.header.dtype == values.dtype.str == target
    for old, new in zip(array.ravel().tolist(), values.ravel().tolist(), strict=True):
        if np.dtype(target).kind in "iu":
            assert new == round(old)  # Python rounds half to even, too
        elif target == "|b1":
            assert float(old) == float(new)
        else:
            assert new == np.dtype(target).type(old)


def test_cast_counts_what_does_not_fit():
    array = np.array([[[0, 300, -1, 255]], [[1, 2, 3, 999]]], "i4")
    with pytest.raises(UsageError, match=r"^1 value does not fit uint8"):
        number_type.cast(volume(np.array([[[7, 300]]])), "uint8").collect()
    with pytest.raises(UsageError, match=r"3 values do not fit uint8 \(0 to 255\), the first is 300 at \(0, 0, 1\)"):
        number_type.cast(sliced(volume(array), 1), "uint8").collect()
    with pytest.raises(UsageError, match="no type 'complex64'"):
        number_type.cast(volume(), "complex64")
    with pytest.raises(UsageError, match="no type 'nonsense'"):
        number_type.cast(volume(), "nonsense")


@pytest.mark.parametrize("dtype", ["1:2:3", "f4,f4", "i4,(2,3)f8", "(2,)f4", "O", "V8", "", "{", "f" * 300, "9" * 5000])
def test_types_in_numpys_own_language_are_refused(dtype):
    with pytest.raises(UsageError, match="no type"):
        number_type.cast(Stack.of(np.zeros((1, 2, 2), np.float32), Header(shape=(1, 2, 2))), dtype)


@pytest.mark.parametrize("size", [1, 4, 7])
def test_values_that_are_not_finite(size):
    array = VOLUME.copy()
    array[2, 3, 4], array[5, 0, 0] = np.nan, np.inf
    with pytest.raises(DataError, match=r"^x: 2 values are NaN or infinite, the first at \(2, 3, 4\)"):
        screening.finite(sliced(volume(array), size), "x").collect()
    with made.heard() as heard:
        filled = screening.zero_filled(sliced(volume(array), size), "x").collect()
    assert filled[2, 3, 4] == filled[5, 0, 0] == 0
    assert np.count_nonzero(filled != array) == 2
    assert heard == ["x: 2 values that are NaN or infinite were set to 0"]
    np.testing.assert_array_equal(screening.finite(volume(), "x").collect(), VOLUME)


def test_declarations():
    assert meaning.with_unit(volume(), "1/cm").header.unit == "1/cm"
    with pytest.raises(UsageError, match="in label already"):
        meaning.with_unit(volume(unit="label"), "1/cm")
    with pytest.raises(UsageError, match="unit 'furlong'"):
        meaning.with_unit(volume(), "furlong")
    assert meaning.with_voxel_size(volume(), 0.02).header.spacing == (0.02, 0.02, 0.02)
    with made.heard() as heard:
        assert meaning.with_voxel_size(volume(spacing=(0.1, 0.1, 0.1)), 0.02).header.voxel == 0.02
    assert heard == ["the input says 0.1 × 0.1 × 0.1 mm; 0.02 mm is taken, as given"]
    with pytest.raises(UsageError, match="pitch of 0.1 mm"):
        meaning.with_voxel_size(scan()[0], 0.02)
    with pytest.raises(UsageError, match="a length from"):
        meaning.with_voxel_size(volume(), -1.0)
    declared = meaning.with_axes(volume(spacing=(None, 0.1, 0.1)), "projection").header
    assert (declared.axes, declared.spacing) == (PROJECTIONS, (None, 0.1, 0.1))
    with pytest.raises(UsageError, match="--order turns them"):
        meaning.with_axes(scan()[0], "projection")


@pytest.mark.parametrize(
    ("dtype", "least", "most"), [("uint16", 0, 65535), ("uint8", 0, 255), ("int16", -32768, 32767)]
)
@pytest.mark.parametrize("size", [1, 3])
def test_a_window_keeps_values_to_half_a_step(dtype, least, most, size):
    values = np.random.default_rng(2).uniform(-190, 1790, (5, 6, 7)).astype("f4")
    values[0, 0, :4] = -200, 1800, -201, 1e6
    with made.heard() as heard:
        stored = number_type.windowed(sliced(volume(values, unit="mgHA/cm3"), size), dtype, -200, 1800)
        numbers = stored.collect()
    slope, intercept = stored.header.scaling
    assert (numbers.dtype, stored.header.unit) == (np.dtype(dtype), "mgHA/cm3")
    assert slope == pytest.approx(2000 / (most - least))
    assert [slope * end + intercept for end in (least, most)] == pytest.approx([-200, 1800])
    assert numbers[0, 0, :4].tolist() == [least, most, least, most]
    assert heard == ["2 voxels (0.0095 of all) outside -200 to 1800: 1 below, 1 above; clipped"]
    back = Stack.of(numbers, stored.header).restored()
    assert (back.header.dtype, back.header.scaling, back.header.unit) == ("<f4", None, "mgHA/cm3")
    assert np.abs(back.collect() - values.clip(-200, 1800)).max() <= slope / 2 * 1.001
    again = number_type.windowed(volume(slope * numbers + intercept), dtype, -200, 1800)
    np.testing.assert_array_equal(again.collect(), numbers)


@pytest.mark.parametrize(
    ("dtype", "low", "high", "unit", "said"),
    [
        ("uint32", 0, 1, "grey", "for uint8, uint16"),
        ("float32", 0, 1, "grey", "for uint8, uint16"),
        ("uint61", 0, 1, "grey", "no type"),
        ("uint8", 1, 1, "grey", "lower value first"),
        ("uint8", np.nan, 1, "grey", "lower value first"),
        ("uint8", -1.7e308, 1.7e308, "grey", "lower value first"),
        ("uint8", 0, 1, "label", "a mask has no window"),
    ],
)
def test_windows_that_are_none(dtype, low, high, unit, said):
    with pytest.raises(UsageError, match=said):
        number_type.windowed(volume(np.zeros((2, 2, 2), "f4"), unit=unit), dtype, low, high)
