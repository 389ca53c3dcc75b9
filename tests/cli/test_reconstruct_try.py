"""`bonectl reconstruct --try` and `--centre auto` as they are typed."""

import json
import shlex

import numpy as np
import pytest
import torch
from tests import made

from bonectl.core.header import PROJECTIONS, SINOGRAMS
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection.projector import Projector

SIZE, ROWS, VOXEL = 48, 3, 0.05
GEOMETRIES = {
    "parallel": parallel(SIZE, ROWS, VOXEL, views=90, columns=70, centre=33.0),
    "fan": fan(SIZE, ROWS, VOXEL, sod=20, sdd=40, views=120, columns=74, centre=38.0),
    "cone": cone(SIZE, ROWS, VOXEL, sod=20, sdd=40, views=120, rows=5, columns=74, centre=35.0),
}


def volume(slices):
    """Discs off the axis, 3 1/cm; the last slice is thinner."""
    row, column = np.mgrid[:SIZE, :SIZE]
    discs = np.zeros((SIZE, SIZE), np.float32)
    for x, y, r in ((15, 20, 6), (30, 33, 4), (28, 12, 5), (20, 36, 3)):
        discs[np.hypot(column - x, row - y) < r] = 3
    return np.stack([discs] * (slices - 1) + [discs / 2])


@pytest.fixture
def scan(tmp_path):
    """Write the scan of a beam, its header with the axis in the middle, and give its geometry."""

    def write(beam, axes=SINOGRAMS):
        g = GEOMETRIES[beam]
        lines = Projector(g)(torch.from_numpy(volume(ROWS))).numpy()
        made.write(tmp_path / "scan.npy", made.scan(lines, g.replace(centre=(g.columns - 1) / 2), axes=axes))
        return g

    return write


@pytest.fixture
def bad(run):
    def once(line, status, *words):
        done = run(*shlex.split(line))
        assert (done.status, done.err.count("\n")) == (status, 1), done.err
        for word in words:
            assert word in done.err

    return once


def table(out):
    lines = [line.split("\t") for line in out.decode().splitlines()]
    assert lines[0] == ["centre", "score", "best"]
    return {float(centre): (float(score), int(best)) for centre, score, best in lines[1:]}


@pytest.mark.parametrize("beam", GEOMETRIES)
def test_the_true_column_scores_best(good, scan, beam):
    g = scan(beam)
    low = g.centre - 2
    done = good(f"reconstruct scan.npy --try {low}:{low + 4}:0.5")
    tried = table(done.out)
    assert list(tried) == [low + 0.5 * i for i in range(9)]
    assert [column for column, (_, best) in tried.items() if best] == [g.centre]
    assert f"column {g.centre:g} scores best of 9" in done.err


@pytest.mark.parametrize("beam", GEOMETRIES)
def test_auto(good, scan, beam, tmp_path):
    g = scan(beam)
    found = good("reconstruct scan.npy --centre auto -o a.npy").err
    assert float(found.split("column ")[1].split(" ")[0]) == pytest.approx(g.centre, abs=0.25)
    tried = table(good("reconstruct scan.npy --try auto").out)
    assert len(tried) == 13
    assert tried[g.centre][1] == 1


@pytest.mark.parametrize("beam", GEOMETRIES)
@pytest.mark.parametrize("axes", [SINOGRAMS, PROJECTIONS])
def test_a_try_is_the_slice_of_the_volume(good, scan, beam, axes, tmp_path):
    g = scan(beam, axes)
    for index in range(ROWS):
        good(f"reconstruct scan.npy --try {g.centre}:{g.centre}:1 --slice {index} -o try.npy -f")
        good(f"reconstruct scan.npy --centre {g.centre} -o whole.npy -f")
        one, whole = np.load(tmp_path / "try.npy"), np.load(tmp_path / "whole.npy")
        assert one.shape == (1, SIZE, SIZE)
        np.testing.assert_allclose(one[0], whole[index], atol=1e-4)  # 3 1/cm, and slices are projected in pairs


def test_json_and_sheet(good, scan, tmp_path):
    from PIL import Image

    g = scan("parallel")
    done = good("reconstruct scan.npy --try 31:35:1 --json --sheet tries.png --method 'fbp(window=hann)' --slice 0")
    value = json.loads(done.out)
    assert (value["schema"], value["slice"], value["best"]) == ("bonectl.try/1", 0, g.centre)
    assert value["method"].startswith("fbp(window=hann")
    assert value["between"] == pytest.approx(g.centre, abs=0.3)
    assert [one["centre"] for one in value["tries"]] == [31, 32, 33, 34, 35]
    picture = np.asarray(Image.open(tmp_path / "tries.png").convert("L"))
    assert picture.shape[1] > 1000
    assert np.ptp(picture) == 255


def test_the_window_is_common_to_all_tries():
    from bonectl.scanning.sheet import detail, window

    slice_ = np.zeros((300, 300), np.float32)
    slice_[40:60, 200:220] = 2.97
    low, high = window(slice_)
    assert low <= 0 < 2.97 <= high < 3.2
    rows, columns = detail(slice_)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (160, 160)
    assert rows.start <= 40 < 60 <= rows.stop
    assert columns.start <= 200 < 220 <= columns.stop


def test_flats_of_the_one_row(good, scan, tmp_path):
    """Fields that differ by row: the slice's own are taken."""
    g = GEOMETRIES["parallel"]
    lines = Projector(g)(torch.from_numpy(volume(ROWS))).numpy()
    white = np.linspace(5e3, 2e4, ROWS * g.columns).reshape(ROWS, g.columns)
    np.save(tmp_path / "counts.npy", (np.exp(-lines) * white[:, None] + 100).astype(np.float32))
    np.save(tmp_path / "flats.npy", np.stack([white + 100] * 2).astype(np.float32))
    np.save(tmp_path / "darks.npy", np.full((2, ROWS, g.columns), 100, np.float32))
    raw = "reconstruct counts.npy --axes sinogram --input-unit counts --voxel-size 0.05 --angles 180 --flats flats.npy"
    good(f"{raw} --darks darks.npy --try 33:33:1 --slice 2 --size {SIZE} -o one.npy")
    assert np.load(tmp_path / "one.npy")[0, 17:23, 13:18].mean() == pytest.approx(1.5, rel=0.02)


def test_the_best_at_an_end_says_so(good, scan):
    scan("parallel")
    assert "at the end of what was tried" in good("reconstruct scan.npy --try 28:31:1").err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--try 30", ("'30'", "FROM:TO:STEP")),
        ("--try 30:20:1", ("FROM <= TO",)),
        ("--try 30:31:0", ("STEP above 0",)),
        ("--try 30:31:0.001", ("1001 columns", "larger step")),
        ("--try 60:80:5", ("column 70", "outside the 70 columns")),
        ("--try 30:nan:1", ("give FROM <= TO",)),
        ("--try auto --slice 3", ("no slice 3", "has 3")),
        ("--try auto --centre 33", ("--centre and --try",)),
        ("--try auto --dry-run", ("--dry-run is for a volume",)),
        ("--try auto --sheet tries.jpg", ("FILE.png",)),
        ("--try auto --method fdk", ("fdk is not for a parallel beam",)),
        ("--sheet tries.png", ("for --try",)),
    ],
)
def test_refusals(bad, scan, options, words):
    scan("parallel")
    bad(f"reconstruct scan.npy {options}", 2, *words)


def test_the_sheet_is_not_replaced_unasked(bad, scan, tmp_path):
    scan("parallel")
    (tmp_path / "tries.png").write_bytes(b"mine")
    bad("reconstruct scan.npy --try 31:35:1 --sheet tries.png", 73, "exists already")
    assert (tmp_path / "tries.png").read_bytes() == b"mine"


def test_short_scans_do_not_tell(bad, tmp_path):
    g = fan(SIZE, ROWS, VOXEL, sod=20, sdd=40, views=60, arc=180)
    made.write(tmp_path / "scan.npy", made.scan(np.ones(g.shape, np.float32), g))
    bad("reconstruct scan.npy --centre auto -o a.npy", 2, "180 degrees of a fan beam", "--try FROM:TO:STEP")
    bad("reconstruct scan.npy --try auto", 2, "180 degrees of a fan beam")
