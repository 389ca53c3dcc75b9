"""`bonectl reconstruct` as it is typed."""

import re
import shlex

import numpy as np
import pytest
import torch
from tests import made

from bonectl.geometries.parallel import parallel
from bonectl.projection.projector import Projector

SIZE, ROWS, VIEWS, VOXEL = 32, 3, 60, 0.05


@pytest.fixture
def scan():
    """Exact transmissions of a disc of 3 1/cm, radius 10 voxels: (row, view, col)."""
    s = np.arange(SIZE) - (SIZE - 1) / 2
    line = 3 * 2 * np.sqrt(np.maximum(0, 100 - s**2)) * VOXEL / 10
    return np.broadcast_to(np.exp(-line).astype(np.float32), (ROWS, VIEWS, SIZE)).copy()


def save(path, array):
    made.write(path, made.scan(array, parallel(SIZE, ROWS, VOXEL, views=VIEWS, columns=SIZE), "transmission"))


def middle(volume):
    return float(volume[:, 12:20, 12:20].mean())


@pytest.fixture
def bad(run):
    """Run a command line that must fail with a status and, as its last line, a message with these words."""

    def once(line, status, *words):
        done = run(*shlex.split(line))
        assert done.status == status, done.err
        message = done.err.strip().splitlines()[-1]
        assert message.startswith("bonectl reconstruct: ")
        for word in words:
            assert word in message

    return once


def test_file_and_pipe_give_the_same_bytes(good, shell, tmp_path, scan):
    save(tmp_path / "scan.npy", scan)
    good("reconstruct scan.npy --no-history -o a.npy")
    piped = shell("cat scan.npy | bonectl reconstruct --no-history --slab 1 --threads 1 > b.npy")
    assert piped.returncode == 0, piped.stderr.decode()
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    volume = np.load(tmp_path / "a.npy")
    assert volume.shape == (ROWS, SIZE, SIZE)
    assert middle(volume) == pytest.approx(3.0, rel=5e-3)


def test_mineral_density(good, bad, tmp_path, scan):
    save(tmp_path / "scan.npy", scan)
    good("reconstruct scan.npy --unit mgHA/cm3 --energy 25 -o bone.npy")
    from bonectl.core.physics import mineral_law

    slope, intercept = mineral_law(25.0)
    assert middle(np.load(tmp_path / "bone.npy")) == pytest.approx(3 * slope + intercept, rel=5e-3)
    bad("reconstruct scan.npy --unit mgHA/cm3 -o c.npy", 2, "calibration", "--energy")


def test_raw_frames(good, bad, tmp_path, scan):
    """Plain projections with flats, darks, and angles as a list and as an arc."""
    np.save(tmp_path / "frames.npy", (scan.transpose(1, 0, 2) * 9e3 + 100).astype("<u2"))
    np.save(tmp_path / "flats.npy", np.full((4, ROWS, SIZE), 9100, "<u2"))
    np.save(tmp_path / "darks.npy", np.full((2, ROWS, SIZE), 100, "<u2"))
    np.savetxt(tmp_path / "angles.txt", np.arange(VIEWS) * 3.0)
    raw = "reconstruct frames.npy --axes projection --input-unit counts --voxel-size 0.05"
    good(f"{raw} --flats flats.npy --darks darks.npy --angles angles.txt -o a.npy")
    good(f"{raw} --flats flats.npy --darks darks.npy --angles 180 -o b.npy")
    assert middle(np.load(tmp_path / "a.npy")) == pytest.approx(3.0, rel=5e-3)
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
    bad(f"{raw} --angles 180", 2, "white level", "--flats")
    bad(f"{raw} --flats flats.npy", 2, "--angles")
    bad(f"{raw} --darks darks.npy --angles 180", 2, "--darks without --flats")
    np.savetxt(tmp_path / "few.txt", np.arange(VIEWS - 1))
    bad(f"{raw} --flats flats.npy --angles few.txt", 65, "59 angles for 60 views")
    (tmp_path / "words.txt").write_text("zero\none\n")
    bad(f"{raw} --flats flats.npy --angles words.txt", 65, "words.txt: is no list of angles")
    bad(f"{raw} --flats flats.npy --angles none.txt", 66, "none.txt: no such file")


def test_refusals(good, bad, tmp_path, scan):
    save(tmp_path / "scan.npy", scan)
    bad("reconstruct scan.npy --method fpb", 2, "did you mean 'fbp'")
    bad("reconstruct scan.npy --centre 99", 2, "column 99", "32 columns")
    np.save(tmp_path / "plain.npy", scan)
    bad("reconstruct plain.npy", 2, "--axes")
    scan[1, 2, 3] = np.nan
    save(tmp_path / "nan.npy", scan)
    bad("reconstruct nan.npy -o d.npy", 65, "1, 2, 3")
    assert not (tmp_path / "d.npy").exists()


def test_dry_run_says_what_it_would_hold(good, bad, tmp_path, scan):
    save(tmp_path / "scan.npy", scan)
    done = good("reconstruct scan.npy --dry-run -o a.npy")
    assert re.search(rb"memory\tabout [\d.]+ [MG]iB", done.out)
    assert not (tmp_path / "a.npy").exists()


def test_the_axis_is_found(good, bad, tmp_path):
    """A square off the axis, projected about column 13.25 of 32."""
    g = parallel(SIZE, 1, VOXEL, views=VIEWS, columns=SIZE, centre=13.25)
    slice_ = np.zeros((1, SIZE, SIZE), np.float32)
    slice_[:, 12:20, 16:22] = 3
    lines = Projector(g)(torch.from_numpy(slice_)).numpy()
    made.write(tmp_path / "scan.npy", made.scan(lines, g.replace(centre=15.5)))
    done = good("reconstruct scan.npy --centre auto -o a.npy")
    assert float(done.err.split("column ")[1].split(" ")[0]) == pytest.approx(13.25, abs=0.5)
    bad("reconstruct scan.npy --centre middle", 2, "'middle'", "or auto")
