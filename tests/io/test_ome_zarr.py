"""Volumes as OME-Zarr: what was written comes back, and an independent reader sees the same."""

import json

import numpy as np
import pytest

import bonectl
from bonectl import io
from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.errors import DataError, OutputError, UsageError

SIDES = (0.03, 0.02, 0.0125)


def stack(values, **told):
    return Stack.of(values, Header(shape=values.shape, dtype=values.dtype.str, spacing=SIDES, **told))


@pytest.fixture
def grey():
    return np.random.default_rng(4).normal(0, 300, (21, 300, 270)).astype("<f4")


@pytest.fixture
def folder(grey, tmp_path):
    bonectl.write(stack(grey, unit="mgHA/cm3", acquisition={"kvp": 68.0}), tmp_path / "a.ome.zarr")
    return tmp_path / "a.ome.zarr"


def test_what_was_written_comes_back(folder, grey):
    back = bonectl.read(folder)
    assert back.header == Header(shape=grey.shape, spacing=SIDES, unit="mgHA/cm3", acquisition={"kvp": 68.0})
    assert np.array_equal(back.collect(), grey)


@pytest.mark.parametrize("dtype", ["|u1", "|i1", "<u2", "<i2", "<i4", "<f8", "|b1"])
def test_every_type_comes_back(dtype, tmp_path):
    values = (np.random.default_rng(0).random((17, 5, 6)) * 100).astype(dtype)
    bonectl.write(stack(values, unit="label"), tmp_path / "a.zarr")
    back = bonectl.read(tmp_path / "a.zarr")
    assert np.array_equal(back.collect(), values)
    assert back.header.dtype == dtype


def test_any_slabs_give_the_same_folder(grey, tmp_path):
    for name, cuts in (("a", [21]), ("b", [1] * 21), ("c", [16, 5]), ("d", [7, 9, 5])):
        parts = iter(np.split(grey, np.cumsum(cuts)[:-1]))
        (tmp_path / name).mkdir()
        io.module("ome_zarr").write_folder(Stack(stack(grey).header, parts), tmp_path / name)
    files = [
        {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in "abcd"
    ]
    assert files[0] == files[1] == files[2] == files[3]


def test_smaller_sizes_are_means_in_their_place(folder, grey):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(folder, mode="r")
    image = group.attrs["multiscales"][0]
    assert [axis["unit"] for axis in image["axes"]] == ["millimeter"] * 3
    assert np.array_equal(group["0"][:], grey)
    half = grey[:20].reshape(10, 2, 150, 2, 135, 2).mean((1, 3, 5))
    np.testing.assert_allclose(group["1"][:], half, atol=1e-3)
    moves = {move["type"]: move for move in image["datasets"][1]["coordinateTransformations"]}
    assert moves["scale"]["scale"] == pytest.approx([0.06, 0.04, 0.025])
    assert moves["translation"]["translation"] == pytest.approx([0.015, 0.01, 0.00625])


def test_a_mask_stays_a_mask_at_every_size(tmp_path):
    mask = np.random.default_rng(0).random((4, 600, 300)) < 0.3
    bonectl.write(stack(mask, unit="label"), tmp_path / "m.zarr")
    small = np.frombuffer((tmp_path / "m.zarr" / "1" / "0" / "0" / "0").read_bytes(), bool).reshape(16, 256, 256)
    assert np.array_equal(small[:2, :256, :150], mask[::2, ::2, ::2][:, :256])


def test_foreign_ones_are_read_in_their_unit(tmp_path):
    zarr = pytest.importorskip("zarr")
    values = np.arange(2 * 30 * 40, dtype=">u2").reshape(2, 30, 40)
    group = zarr.open_group(tmp_path / "f.zarr", mode="w", zarr_format=2)
    group.create_array("s0", data=values, chunks=(1, 16, 16), compressors=None)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    moves = [{"type": "scale", "scale": [19.5, 6.5, 6.5]}]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [{"path": "s0", "coordinateTransformations": moves}]}
    ]
    back = bonectl.read(tmp_path / "f.zarr")
    assert back.header.spacing == pytest.approx((0.0195, 0.0065, 0.0065))
    assert np.array_equal(back.collect(), values)


def test_damage_is_named(folder):
    chunk = folder / "0" / "1" / "0" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"the chunk .*0/1/0/1 has 4194303 of 4194304 bytes"):
        bonectl.read(folder).collect()
    chunk.unlink()
    with pytest.raises(DataError, match=r"the chunk .*0/1/0/1 is missing; copy it again"):
        bonectl.read(folder).collect()
    for text in ("", "[]", "{}", '{"multiscales": [{}]}', '{"multiscales": 3}'):
        (folder / ".zattrs").write_text(text)
        with pytest.raises(DataError, match=str(folder)):
            bonectl.read(folder)
    (folder / ".zattrs").write_text(json.dumps({"multiscales": []}))
    with pytest.raises(DataError):
        bonectl.read(folder)


def test_commands_write_and_read_it_whole_or_not_at_all(folder, tmp_path):
    from typer.testing import CliRunner

    from bonectl.cli.app import app

    def run(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    run("convert", folder, "-o", tmp_path / "b.npy", "--no-history")
    run("convert", tmp_path / "b.npy", "-o", tmp_path / "c.zarr", "--no-history")
    assert np.array_equal(bonectl.read(tmp_path / "c.zarr").collect(), bonectl.read(folder).collect())
    with pytest.raises(OutputError, match=r"c\.zarr: exists already"):
        run("convert", tmp_path / "b.npy", "-o", tmp_path / "c.zarr")
    with pytest.raises(UsageError, match="OME-Zarr is a folder; name it with -o"):
        run("convert", tmp_path / "b.npy", "--format", "ome_zarr")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".bonectl")]
