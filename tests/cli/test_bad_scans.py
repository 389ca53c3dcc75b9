"""Scans that cannot be reconstructed: one line, the documented status, no output (real processes)."""

import numpy as np
import pytest
import tifffile

VIEWS, ROWS, COLUMNS = 90, 4, 64
ANGLES = np.arange(VIEWS) * 2.0


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Raw frames of a detector, good and bad, and lists of angles."""
    folder = tmp_path_factory.mktemp("scans")
    counts = np.random.default_rng(0).uniform(500, 1000, (ROWS, VIEWS, COLUMNS)).astype(np.float32)
    flats = np.full((5, ROWS, COLUMNS), 1000, np.float32)
    hole = counts.copy()
    hole[1, 2, 3] = np.nan
    arrays = {
        "counts": counts,
        "nan": hole,
        "flats": flats,
        "zeroflats": flats * 0,
        "brightdarks": flats * 2,
        "narrowflats": flats[:, :, :50],
        "deadflats": np.where(np.isin(np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS), [7, 130]), np.nan, flats),
        "negative": counts / 1000 - 0.6,
        "constant": np.full_like(counts, 900),
        "degrees": ANGLES,
        "radians": np.deg2rad(ANGLES),
        "few": ANGLES[:80],
        "twelve": counts[:, :12],
        "twelveradians": np.arange(12) * np.pi / 12,
        "nanangles": np.where(np.arange(VIEWS) == 5, np.nan, ANGLES),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "words.txt").write_text("a b c\n")
    return folder


GOOD = "counts.npy --input-unit counts --flats flats.npy --angles degrees.npy"


def reconstruct(shell, scans, options):
    line = f"bonectl reconstruct --axes sinogram --voxel-size 0.01 --quiet -o out.npy {options}"
    (scans / "out.npy").unlink(missing_ok=True)
    return shell(line, cwd=scans)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (GOOD.replace("counts.npy", "nan.npy"), 65, "1 value is NaN or infinite, the first at (1, 2, 3)"),
        (GOOD.replace("flats.npy", "zeroflats.npy"), 65, "not brighter in the flats than in the darks"),
        (f"{GOOD} --darks brightdarks.npy", 65, "not brighter in the flats than in the darks"),
        (GOOD.replace("counts.npy", "nan.npy") + " --nan zero", 2, "full absorption; --nan fill takes neighbours"),
        (GOOD.replace("flats.npy", "deadflats.npy") + " --dead-pixels fail", 65, "2 pixels are not brighter"),
        (GOOD.replace("flats.npy", "counts.npy"), 2, "--flats counts.npy: is the scan itself"),
        (GOOD.replace("flats.npy", "narrowflats.npy"), 65, "they must match"),
        (GOOD.replace("flats.npy", "nothere.npy"), 66, "no such file"),
        ("counts.npy --input-unit counts --angles 180", 2, "give --flats"),
        ("counts.npy --input-unit counts --flats flats.npy", 2, "give --angles"),
        ("counts.npy --angles 180", 2, "say what its values are"),
        (GOOD.replace("degrees.npy", "few.npy"), 65, "80 angles for 90 views"),
        (GOOD.replace("degrees.npy", "radians.npy"), 65, "look like radians"),
        (GOOD.replace("degrees.npy", "nanangles.npy"), 65, "angle 5 of 90 is nan"),
        (GOOD.replace("degrees.npy", "words.txt"), 65, "no list of angles"),
        (GOOD.replace("degrees.npy", "0"), 2, "give the arc that the views divide"),
        (GOOD.replace("degrees.npy", "nan"), 2, "give the arc that the views divide"),
        (GOOD.replace("degrees.npy", "1e999"), 2, "give the arc that the views divide"),
        (GOOD.replace("degrees.npy", "6.2832"), 2, "looks like radians; give degrees, such as 180"),
        (
            "twelve.npy --input-unit counts --flats flats.npy --angles twelveradians.npy",
            65,
            "12 angles span 2.88: they look like radians",
        ),
        (f"{GOOD} --method fbpp", 2, "did you mean 'fbp'"),
        (f"{GOOD} --method 'fbp(window=hannn)'", 2, "no window 'hannn'"),
        (f"{GOOD} --method 'fbp(cutoff=half)'", 2, "cutoff is a number"),
        (f"{GOOD} --centre 1e9", 2, "rotation axis"),
    ],
)
def test_refused_with_one_line(shell, scans, options, status, said):
    run = reconstruct(shell, scans, options)
    message = run.stderr.decode()
    assert (run.returncode, message.count("\n")) == (status, 1), message
    assert said in message
    assert not (scans / "out.npy").exists()


@pytest.mark.parametrize(
    "options",
    [
        GOOD,
        GOOD.replace("counts.npy", "nan.npy") + " --nan fill",
        GOOD.replace("flats.npy", "deadflats.npy"),
        GOOD.replace("counts.npy", "constant.npy"),
        "negative.npy --input-unit transmission --angles 180",
    ],
)
def test_defined_and_finite(shell, scans, options):
    run = reconstruct(shell, scans, options)
    assert run.returncode == 0, run.stderr
    assert np.isfinite(np.load(scans / "out.npy")).all()


def test_one_flat_of_ten_is_told_of(run, tmp_path, scans):
    """A frame that was named alone is taken, and the nine beside it are told of; a pattern takes all."""
    raw = tmp_path / "raw"
    raw.mkdir()
    np.save(tmp_path / "scan.npy", np.load(scans / "counts.npy"))
    for index in range(10):
        tifffile.imwrite(raw / f"flat_{index:04d}.tif", np.full((ROWS, COLUMNS), 1000, "u2"))
    declared = ["--axes", "sinogram", "--voxel-size", "0.01", "--input-unit", "counts", "--angles", "180"]
    alone = run("reconstruct", "scan.npy", *declared, "--flats", raw / "flat_0001.tif", "-o", "a.npy")
    assert alone.status == 0
    assert "one frame is taken, 9 more like it lie beside; give a pattern" in alone.err
    for every in (raw, raw / "flat_%04d.tif"):
        assert "beside" not in run("reconstruct", "scan.npy", *declared, "--flats", every, "-fo", "a.npy").err
