"""Folders of slices: order, gaps, doubles, roles, and what each slice's own header promises."""

import shutil

import numpy as np
import pytest
import tifffile
from tests import made

from bonectl import io
from bonectl.core.header import Entry, Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, MissingInputError
from bonectl.io.slices import files, series

STACK = (np.arange(12 * 4 * 5) % 251).astype("u2").reshape(12, 4, 5)


def scatter(path, names, array=STACK):
    path.mkdir(exist_ok=True)
    for name, page in zip(names, array, strict=False):
        tifffile.imwrite(path / name, page)


def collected(path):
    with io.open(path) as stack:
        return stack.collect()


@pytest.mark.parametrize("first", [0, 1, 7])
@pytest.mark.parametrize("name", ["p_{}.tif", "p_{:05d}.tif", "P{:03d}.TIFF", "scan 2024-01_{}.tif"])
def test_numeric_order_by_one_prefix(tmp_path, name, first):
    scatter(tmp_path / "s", [name.format(k + first) for k in range(12)])
    np.testing.assert_array_equal(collected(tmp_path / "s"), STACK)


def test_ours_round_trip_with_header(tmp_path):
    header = Header(
        shape=STACK.shape, dtype="<u2", spacing=(0.02, 0.01, 0.01), unit="mgHA/cm3", history=(Entry("a", "1", "t"),)
    )
    files.write(Stack.of(STACK, header), tmp_path, "x_%04d.tif")
    for path in (tmp_path, tmp_path / "x_%04d.tif", tmp_path / "x_%d.tif"):
        with io.open(path) as stack:
            assert stack.header == header
            np.testing.assert_array_equal(stack.collect(), STACK)
    with tifffile.TiffFile(tmp_path / "x_0003.tif") as tif:
        assert tif.imagej_metadata["spacing"] == 0.02
        np.testing.assert_array_equal(tif.asarray(), STACK[3])


def test_a_set_that_lost_its_end_is_noticed_by_the_slices_own_headers(tmp_path):
    files.write(Stack.of(STACK, Header(shape=STACK.shape, dtype="<u2")), tmp_path, "x_%04d.tif")
    (tmp_path / "x_0011.tif").unlink()
    with pytest.raises(DataError, match="holds 11 × 4 × 5 voxels of a stack of 12 × 4 × 5"):
        collected(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["p_0.tif", "p_1.tif", "p_3.tif"], "1 slice is missing between p_1.tif and p_3.tif"),
        (["p_1.tif", "p_01.tif", "p_2.tif"], "p_01.tif and p_1.tif have the same number"),
        (["p_0.tif", "p_1.tif", "q_0.tif"], "two series (p_0.tif and q_0.tif)"),
        (["p_0.tif", "p_1.tif", "overview.tif"], "overview.tif has no number"),
        (["p_1.tif", "P_1.tif"], "have the same number"),
    ],
)
def test_sets_that_are_refused(tmp_path, names, said):
    scatter(tmp_path / "s", names)
    with pytest.raises(DataError) as caught:
        collected(tmp_path / "s")
    assert said in str(caught.value)


def test_mixed_sizes_and_types_name_the_file(tmp_path):
    scatter(tmp_path / "s", [f"p_{k}.tif" for k in range(3)])
    tifffile.imwrite(tmp_path / "s" / "p_3.tif", STACK[0, :3])
    with pytest.raises(DataError, match=r"p_3\.tif is 3 × 5 u2, p_0\.tif is 4 × 5 u2"):
        collected(tmp_path / "s")
    tifffile.imwrite(tmp_path / "s" / "p_3.tif", STACK[0].astype("u1"))
    with pytest.raises(DataError, match=r"p_3\.tif is 4 × 5 u1"):
        collected(tmp_path / "s")
    tifffile.imwrite(tmp_path / "s" / "p_3.tif", STACK[:2])
    with pytest.raises(DataError, match=r"p_3\.tif: holds 2 pages"):
        collected(tmp_path / "s")
    (tmp_path / "s" / "p_3.tif").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"p_3\.tif: "):
        collected(tmp_path / "s")


def test_other_roles_are_not_slices(tmp_path):
    where = tmp_path / "s"
    scatter(where, [f"p_{k}.tif" for k in range(12)])
    scatter(where, ["flat_000.tif", "Dark1.tif", "p_180deg.tif", "flats.tif", "._p_3.tif"])
    (where / "scan.log").write_text("x")
    with made.heard() as heard:
        np.testing.assert_array_equal(collected(where), STACK)
    assert heard == [f"{where}: 4 files have another role in a scan, no slice of it (Dark1.tif ...)"]


def test_a_folder_of_flats_alone_is_a_stack(tmp_path):
    scatter(tmp_path / "s", [f"flat_{k}.tif" for k in range(12)])
    np.testing.assert_array_equal(collected(tmp_path / "s"), STACK)


def test_names_that_only_begin_like_a_role_are_slices(tmp_path):
    scatter(tmp_path / "s", [f"darkroom_{k}.tif" for k in range(12)])
    np.testing.assert_array_equal(collected(tmp_path / "s"), STACK)


def test_a_pattern_picks_one_of_two_series(tmp_path):
    scatter(tmp_path / "s", [f"p_{k:02d}.tif" for k in range(12)])
    scatter(tmp_path / "s", [f"q_{k:02d}.tif" for k in range(12)], STACK + 1)
    np.testing.assert_array_equal(collected(tmp_path / "s" / "q_%02d.tif"), STACK + 1)


def test_one_file_in_a_folder_is_read_as_it_is(tmp_path):
    (tmp_path / "s").mkdir()
    tifffile.imwrite(tmp_path / "s" / "all.tif", STACK)
    np.testing.assert_array_equal(collected(tmp_path / "s"), STACK)


def test_nothing_there(tmp_path):
    (tmp_path / "s").mkdir()
    for path in (
        tmp_path / "s",
        tmp_path / "s" / "p_%03d.tif",
        tmp_path / "none" / "p_%03d.tif",
        tmp_path / "none.npy",
    ):
        with pytest.raises(MissingInputError):
            collected(path)


def test_a_slice_that_changes_while_it_is_read(tmp_path):
    files.write(Stack.of(STACK, Header(shape=STACK.shape, dtype="<u2")), tmp_path, "x_%04d.tif")
    stack = files.read(series.slices(tmp_path), str(tmp_path))
    tifffile.imwrite(tmp_path / "x_0005.tif", STACK[0, :3])
    with pytest.raises(DataError, match="changed while it was read"):
        stack.collect()
    shutil.rmtree(tmp_path)


def test_a_slice_that_changes_between_the_two_looks_is_looked_at_again(tmp_path):
    for k in range(3):
        tifffile.imwrite(tmp_path / f"s_{k}.tif", np.full((8, 9), k, np.uint16))
    stack = files.read(series.slices(tmp_path), "x")
    tifffile.imwrite(tmp_path / "s_1.tif", np.full((8, 8), 7, np.uint16))
    with pytest.raises(DataError, match="was changed while it was read"):
        stack.collect()


@pytest.mark.parametrize("kind", [{"byteorder": ">"}, {"compression": "zlib"}, {"rowsperstrip": 2}, {"tile": (16, 16)}])
def test_slices_come_out_the_same_however_they_lie(tmp_path, kind):
    values = np.random.default_rng(0).integers(0, 60000, (4, 33, 21)).astype(np.uint16)
    for k, one in enumerate(values):
        tifffile.imwrite(tmp_path / f"s_{k}.tif", one, **kind)
    np.testing.assert_array_equal(files.read(series.slices(tmp_path), "x").collect(), values)
