"""What a header says after each command, against what the data themselves say."""

import json

import numpy as np
import pytest

SHAPE = (12, 64, 60)


@pytest.fixture
def ok(run):
    """Run a line of bonectl; its standard output."""

    def once(line):
        done = run(*line.split(), "-q")
        assert done.status == 0, (line, done.err)
        return done.out

    return once


@pytest.fixture
def facts(ok):
    """What `info` says of a file."""
    return lambda name: json.loads(ok(f"info --json {name}"))


@pytest.fixture
def scan(ok):
    """A scan of bone with a wide margin of air, 60 views, counts on a dark level."""
    ok(f"phantom iliac --shape {','.join(map(str, SHAPE))} --seed 1 -o bone.npy")
    ok(
        "simulate bone.npy --geometry parallel(columns=120,centre=61.5) --views 60 --photons 1e5 --dark 50 "
        "--energy 25 -o scan.npy"
    )
    return "scan.npy"


def open_beam(name):
    """The mean reading [counts] of the outermost columns, where there is air."""
    values = np.load(name)
    return float(np.concatenate([values[..., :3].ravel(), values[..., -3:].ravel()]).mean())


def consistent(said, values):
    """What must agree with the array, whatever was done."""
    assert tuple(said["shape"]) == values.shape
    assert np.dtype(said["dtype"]) == values.dtype
    geometry = said["geometry"]
    if geometry is None:
        return
    lengths = dict(zip(said["axes"], said["shape"], strict=True))
    spacing = dict(zip(said["axes"], said["spacing_mm"], strict=True))
    assert geometry["rows"] == lengths["row"]
    assert geometry["columns"] == lengths["col"]
    assert geometry["angles"]["count"] == lengths["view"]
    assert geometry["pitch"] == pytest.approx(spacing["col"])
    assert geometry["row_pitch"] == pytest.approx(spacing["row"])
    assert said["acquisition"].get("views", lengths["view"]) == lengths["view"]


CHANGES = {
    "crop of views": "--crop :,0::6,:",
    "crop of rows": "--crop 3:9,:,:",
    "crop of columns": "--crop :,:,13:",
    "every fourth view of some rows and columns": "--crop 1:,2::4,5:-6",
    "bin 2": "--bin 2",
    "bin 3": "--bin 3",
    "crop and bin": "--crop 2:8,::2,9: --bin 2",
    "order": "--order projection",
    "order and bin": "--order projection --bin 2",
    "float64": "--dtype float64",
    "counts as integers": "--dtype uint32",
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_scan_that_was_changed_knows_what_it_is(name, scan, ok, facts):
    ok(f"convert {scan} {CHANGES[name]} -o changed.npy")
    said, values = facts("changed.npy"), np.load("changed.npy")
    consistent(said, values)
    acquisition = said["acquisition"]
    if "13:" not in CHANGES[name]:
        assert acquisition["white"] + acquisition["dark"] == pytest.approx(open_beam("changed.npy"), rel=0.003)
    assert acquisition["photons"] == acquisition["white"]
    assert acquisition["energy_kev"] == 25


@pytest.mark.parametrize("name", CHANGES)
def test_a_scan_that_was_changed_gives_the_same_bone(name, scan, ok, facts):
    """The mean density of the middle, wherever the change has put it."""
    ok(f"convert {scan} {CHANGES[name]} -o changed.npy")
    ok(f"reconstruct {scan} --unit mgHA/cm3 -o whole.npy")
    ok("reconstruct changed.npy --unit mgHA/cm3 -o part.npy")
    said, part, whole = facts("part.npy"), np.load("part.npy"), np.load("whole.npy")
    consistent(said, part)
    side = said["spacing_mm"][1]
    assert said["unit"] == "mgHA/cm3"

    def middle(volume, voxel):
        y, x = (np.mgrid[: volume.shape[1], : volume.shape[2]] - (volume.shape[1] - 1) / 2) * voxel
        return float(volume[:, np.hypot(y, x) < 0.5].mean())

    rows = {"crop of rows": slice(3, 9), "every fourth view of some rows and columns": slice(1, None)}
    rows |= {"crop and bin": slice(2, 8)}
    assert middle(part, side) == pytest.approx(middle(whole[rows.get(name, slice(None))], 0.02), rel=0.04)


def test_both_units_are_one_volume(scan, ok, facts):
    ok(f"reconstruct {scan} -o mu.npy")
    ok(f"reconstruct {scan} --unit mgHA/cm3 -o mg.npy")
    law = facts("mu.npy")["calibration"]
    assert law == facts("mg.npy")["calibration"]
    np.testing.assert_allclose(law["slope"] * np.load("mu.npy") + law["intercept"], np.load("mg.npy"), atol=0.01)
    rows = [json.loads(ok(f"measure {name} -m bvtv+bmd --json"))["rows"] for name in ("mu.npy", "mg.npy")]
    for one, other in zip(*rows, strict=True):
        assert one["value"] == pytest.approx(other["value"], rel=1e-5)


VOLUMES = {
    "denoise": "denoise VOLUME --model gaussian(sigma=1)",
    "tv": "denoise VOLUME --model tv",
    "convert": "convert VOLUME --dtype float64",
    "tiff": "convert VOLUME --format tiff",
    "crop": "convert VOLUME --crop 2:10,8:-8,8:-8",
    "bin": "convert VOLUME --bin 2",
}


@pytest.mark.parametrize("unit", ["1/cm", "mgHA/cm3"])
@pytest.mark.parametrize("name", VOLUMES)
def test_a_volume_that_was_changed_keeps_its_facts(name, unit, scan, ok, facts):
    ok(f"reconstruct {scan} --unit {unit} -o volume.npy")
    suffix = "tif" if name == "tiff" else "npy"
    ok(f"{VOLUMES[name].replace('VOLUME', 'volume.npy')} -o done.{suffix}")
    if suffix == "tif":
        ok("convert done.tif -o done.npy")
    before, after = facts("volume.npy"), facts("done.npy")
    consistent(after, np.load("done.npy"))
    factor = 2 if name == "bin" else 1
    before["acquisition"]["blur_px"] /= factor
    for key in ("unit", "calibration", "acquisition", "axes"):
        assert after[key] == before[key], key
    assert after["spacing_mm"] == pytest.approx([factor * side for side in before["spacing_mm"]])
    if name != "crop":
        assert np.load("done.npy").mean() == pytest.approx(np.load("volume.npy").mean(), rel=2e-3)


def test_what_is_known_of_a_phantom_holds_for_what_is_left_of_it(ok, facts):
    """Answers of the whole are no answers of a part."""
    ok("phantom ball(diameter=0.8) --shape 64 -o ball.npy")
    whole = facts("ball.npy")["answers"]
    ok("convert ball.npy --crop :32,:,: -o half.npy")
    assert whole["bvtv"] == pytest.approx(np.pi / 6 * 0.8**3 / (64 * 0.02) ** 3, rel=1e-6)
    assert "bvtv" not in facts("half.npy")["answers"]
    ok("convert ball.npy --dtype float64 -o same.npy")
    assert facts("same.npy")["answers"] == whole
