"""A scan as facilities leave it: projections, flats and darks in one folder, or only some of them, or too few."""

import re

import numpy as np
import pytest
import tifffile

VALUE, DARK, WHITE = 2.0, 500.0, 20000.0
PLAIN = "--axes projection --input-unit counts --angles 180 --voxel-size 0.1 --centre 17.5"


@pytest.fixture
def folder(tmp_path, good):
    """A folder of 90 projections of a cylinder of 2.0 1/cm, ten flats and ten darks of 500 counts."""
    y, x = np.mgrid[:24, :24] - 11.5
    np.save(tmp_path / "z.npy", np.repeat((np.hypot(x, y) < 7)[None] * VALUE, 4, 0).astype("f4"))
    good(
        f"simulate {tmp_path}/z.npy --input-unit 1/cm --voxel-size 0.1 --views 90 --noise none --unit transmission "
        f"--order projection -q -o {tmp_path}/t.npy"
    )
    scan = tmp_path / "scan"
    scan.mkdir()
    passed = np.load(tmp_path / "t.npy")
    assert passed.shape[1:] == (4, 36)
    for name, frames in (
        ("proj", DARK + WHITE * passed),
        ("flat", np.full((10, *passed.shape[1:]), DARK + WHITE)),
        ("dark", np.full((10, *passed.shape[1:]), DARK)),
    ):
        for number, frame in enumerate(frames):
            tifffile.imwrite(scan / f"{name}_{number:04d}.tif", np.rint(frame).astype("u2"))
    return scan


@pytest.fixture
def middle(run, tmp_path):
    """A function that reconstructs by some options: what the middle of the cylinder reads, and what was said."""

    def once(scan, *options):
        done = run("reconstruct", scan, *PLAIN.split(), *options, "-f", "-o", tmp_path / "r.npy")
        assert done.status == 0, done.err
        y, x = np.mgrid[:36, :36] - 17.5
        return np.load(tmp_path / "r.npy")[:, np.hypot(x, y) < 4].mean(), done.err

    return once


@pytest.mark.parametrize("scan", ["scan", "scan/proj_%04d.tif"])
@pytest.mark.parametrize(("flats", "darks"), [("scan", "scan"), ("scan/flat_%04d.tif", "scan/dark_%04d.tif")])
def test_a_folder_of_all_roles_gives_each_its_own(folder, middle, scan, flats, darks):
    top = folder.parent
    value, said = middle(top / scan, "--flats", top / flats, "--darks", top / darks)
    assert value == pytest.approx(VALUE, rel=0.01)
    assert "no --darks" not in said
    assert "cut off" not in said


@pytest.mark.parametrize("scan", ["scan", "scan/proj_%04d.tif"])
def test_projections_are_not_taken_for_flats(folder, run, tmp_path, scan):
    for flat in folder.glob("flat*"):
        flat.unlink()
    done = run("reconstruct", folder.parent / scan, *PLAIN.split(), "--flats", folder, "-o", tmp_path / "r.npy")
    assert done.status == 2
    assert f"is the scan itself; give its frames, such as {folder}/flat_%04d.tif" in done.err


def test_a_folder_brings_its_darks_and_missing_ones_are_told(folder, middle, tmp_path):
    value, said = middle(folder, "--flats", folder)
    assert value == pytest.approx(VALUE, rel=0.02)
    assert "no darks" not in said
    assert "--darks" not in said
    value, said = middle(folder / "proj_%04d.tif", "--flats", folder)
    assert value < 0.98 * VALUE  # what the line is for
    assert f"no --darks: readings without beam are taken as 0; dark_0000.tif lies beside: give --darks {folder}" in said
    for dark in folder.glob("dark*"):
        dark.unlink()
    value, said = middle(folder, "--flats", folder)
    assert value < 0.98 * VALUE
    assert re.search(r"no darks: readings without beam are taken as 0$", said, re.M)


def test_an_arc_says_its_step(folder, middle):
    for number in range(60, 90):  # the scan broke off
        (folder / f"proj_{number:04d}.tif").unlink()
    _, said = middle(folder, "--flats", folder, "--darks", folder)
    assert "60 views over 180 degrees, one every 3" in said
