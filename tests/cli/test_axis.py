"""Where the axis of a reconstruction comes from is said, and kept in the history."""

import hashlib
import io
import json
import shlex

import numpy as np
import pytest
from tests.ops.ellipses import BONE, WATER, scan

from bonectl.geometries.parallel import parallel

PLAIN = "--axes sinogram --input-unit 'line integral' --voxel-size 0.05"
AXIS = 75.2


@pytest.fixture
def notes(good):
    """Notes of the last history entry of a file."""

    def read(name):
        line = good(f"info {name} --json").out
        return json.loads(line)["history"][-1]["notes"]

    return read


@pytest.fixture
def lines(tmp_path):
    """A foreign scan, of which the first 12 of 24 rows show a faint holder; and its angles."""
    g = parallel(160, 24, 0.05, views=90, columns=160, centre=AXIS)
    rows = scan(g, BONE + WATER, 0.003)
    rows[:12] = scan(g, ((0.3, 0.2, 1.5, 1.5, 0, 0.02),), 0.003)[:12]
    np.save(tmp_path / "scan.npy", rows)
    np.savetxt(tmp_path / "angles.txt", g.angles.degrees)
    return rows


def column(err):
    return float(err.split("found at column ")[1].split(" ")[0])


def test_rows_over_the_whole_height_of_a_file_and_of_a_pipe(good, shell, lines, tmp_path):
    done = good(f"reconstruct scan.npy {PLAIN} --angles 180 --size 32 --centre auto -o file.npy --no-history")
    assert column(done.err) == pytest.approx(AXIS, abs=0.05)
    piped = shell(
        f"cat scan.npy | bonectl reconstruct {PLAIN} --angles 180 --size 32 --centre auto -o pipe.npy --no-history"
    )
    assert piped.returncode == 0
    assert column(piped.stderr.decode()) == column(done.err)
    assert (tmp_path / "file.npy").read_bytes() == (tmp_path / "pipe.npy").read_bytes()


def test_what_can_be_refused_is_refused_before_the_scan_is_looked_at(run, lines):
    done = run(*shlex.split(f"reconstruct scan.npy {PLAIN} --angles 180 --centre auto --unit mgHA/cm3 -o a.npy"))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "mineral density needs a calibration" in done.err


def test_a_middle_that_nobody_stated_is_said(good, lines):
    plain = f"reconstruct scan.npy {PLAIN} --angles 180 --size 32 -o a.npy -f"
    said = good(plain).err
    assert "states no rotation axis: the middle of the detector, column 79.5, is taken; --centre auto finds it" in said
    assert "rotation axis" not in good(f"{plain} --centre 75.2").err
    assert "rotation axis" not in good(f"{plain} -q").err


def test_a_scan_that_states_its_axis_is_taken_at_its_word(good, notes):
    good("phantom disc --shape 1,32,32 --voxel-size 0.05 -o d.npy")
    good("simulate d.npy --views 40 -o s.npy")
    assert "rotation axis" not in good("reconstruct s.npy -o v.npy").err
    said = notes("v.npy")
    assert said["centre_from"] == "scan"
    assert said["method"] == "fbp(window=ram-lak, cutoff=1.0, pixels=bandlimited)"
    assert (said["device"], said["projector"]) == ("cpu", "numba")


@pytest.mark.parametrize(
    ("options", "origin"), [("", "middle"), ("--centre 75.25", "given"), ("--centre auto", "auto")]
)
def test_the_history_tells_the_axis(good, notes, lines, options, origin):
    good(f"reconstruct scan.npy {PLAIN} --angles angles.txt --size 32 {options} -o v.npy")
    said = notes("v.npy")
    assert said["centre_from"] == origin
    assert said["centre"] == pytest.approx({"middle": 79.5, "given": 75.25, "auto": AXIS}[origin], abs=0.05)
    assert (0 < said["centre_sd"] < 0.1) if origin == "auto" else "centre_sd" not in said


def test_the_history_tells_flats_darks_and_angles_by_hash(good, notes, lines, tmp_path):
    """As sha256sum says it; a folder counts as its files one after another."""
    white = np.full((3, 24, 160), 1e4, np.float32)
    np.save(tmp_path / "counts.npy", np.exp(-lines) * 1e4 + 100)
    np.save(tmp_path / "darks.npy", np.full((2, 24, 160), 100, np.float32))
    np.save(tmp_path / "flats.npy", white + 100)
    good("convert flats.npy -o flats/f_%03d.tif")
    raw = "reconstruct counts.npy --axes sinogram --input-unit counts --voxel-size 0.05 --angles angles.txt --size 32"
    good(f"{raw} --centre 75.2 --flats flats/f_%03d.tif --darks darks.npy -o v.npy")
    said = notes("v.npy")
    files = {
        "flats": b"".join(path.read_bytes() for path in sorted((tmp_path / "flats").iterdir())),
        "darks": (tmp_path / "darks.npy").read_bytes(),
        "angles": (tmp_path / "angles.txt").read_bytes(),
    }
    for name, content in files.items():
        assert said[f"{name}_sha256"] == hashlib.sha256(content).hexdigest()[:16]
    good(f"{raw} --try 75:75:1 --flats flats/f_%03d.tif --darks darks.npy -o tries.npy")
    tried = notes("tries.npy")
    assert {key: tried[key] for key in tried if key.endswith("sha256")} == {
        key: said[key] for key in said if key.endswith("sha256")
    }
    assert tried["method"] == said["method"]


@pytest.mark.parametrize(("centre", "kept"), [("75.2", False), ("auto", True)])
def test_a_dry_run_tells_what_a_pipe_keeps(shell, centre, kept):
    """24,000 rows are 1.3 GiB, of which nothing needs to arrive: a temporary file where they do not fit."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (24000, 90, 160)})
    options = f"{PLAIN} --angles 180 --size 32 -o v.npy --dry-run --json --max-memory 900M --centre {centre}"
    done = shell(f"bonectl reconstruct {options}", stdin=head.getvalue())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout).get("scratch_bytes") == (24000 * 90 * 160 * 4 if kept else None)
