"""`--max-memory` and `--dry-run` of `bonectl reconstruct`, and what a geometry that cannot be right says."""

import json
import shlex

import numpy as np
import pytest
from tests import made

from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.stack import Stack
from bonectl.geometries.parallel import parallel

SIZE, ROWS, VIEWS, VOXEL = 40, 20, 60, 0.05
GEOMETRY = parallel(SIZE, ROWS, VOXEL, views=VIEWS, columns=SIZE)


def lines(radius):
    """Exact line integrals of a cylinder of 3 1/cm, radius in voxels, on the axis."""
    s = np.arange(SIZE) - (SIZE - 1) / 2
    line = 3 * 2 * np.sqrt(np.maximum(0, radius**2 - s**2)) * VOXEL / 10
    return np.broadcast_to(line.astype(np.float32), (ROWS, VIEWS, SIZE)).copy()


@pytest.fixture
def save(tmp_path):
    return lambda lines: made.write(tmp_path / "scan.npy", made.scan(lines, GEOMETRY))


@pytest.fixture
def tell(run):
    """Run a command line that must end with a status; what it said on standard error, and printed."""

    def once(line, status=0):
        done = run(*shlex.split(line))
        assert done.status == status, done.err
        return done.err, done.out.decode()

    return once


def test_memory_changes_no_byte(tell, save, tmp_path):
    save(lines(12) + np.random.default_rng(0).normal(0, 0.01, GEOMETRY.shape).astype(np.float32))
    from bonectl.core import memory
    from bonectl.scanning import memory_need

    header = Header(shape=GEOMETRY.shape, axes=SINOGRAMS, unit="line integral", geometry=GEOMETRY)
    need = memory_need.needed(header, GEOMETRY, "fbp", memory_need.FEWEST).at_worst
    tell("reconstruct scan.npy --no-history -o a.npy")
    tight = (memory.resident() + need) / 2**20 + 20  # by now all is loaded that there is to load
    tell(f"reconstruct scan.npy --no-history --max-memory {tight:.0f}M -o b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_too_little(tell, save, tmp_path):
    save(lines(12))
    said, _ = tell("reconstruct scan.npy --max-memory 20M -o a.npy", 75)
    assert "8 slices at a time of 40 × 40 from 60 views would take about" in said
    assert "20 MiB may be taken" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "a.npy").exists()


@pytest.mark.parametrize("size", ["much", "-1G", "0", "6X", "1e9"])
def test_no_size(tell, save, size):
    save(lines(12))
    said, _ = tell(f"reconstruct scan.npy --max-memory={size} -o a.npy", 2)
    assert "such as 6G or 800M" in said


@pytest.mark.parametrize("size", ["6G", "6GiB", "6 GB", "6g", "6144M", "6442450944"])
def test_dry_run(tell, save, size, tmp_path):
    save(lines(12))
    _, out = tell(f"reconstruct scan.npy --dry-run --max-memory '{size}' -o a.npy")
    plan = dict(line.split("\t") for line in out.splitlines())
    assert plan["block"] == "16 rows at a time"
    assert "6.0 GiB may be taken" in plan["memory"]
    assert plan["time"].startswith("about 1 s on ")
    assert not (tmp_path / "a.npy").exists()


def test_a_region_of_interest_is_not_to_be_trusted(tell, save):
    save(lines(30))
    said, _ = tell("reconstruct scan.npy -o a.npy")
    assert "20 of 20 rows are cut off by the detector: their absolute values are not to be trusted" in said
    save(lines(12))
    said, _ = tell("reconstruct scan.npy -o b.npy")
    assert said == ""


def test_a_grid_beyond_the_field_of_view_is_air_and_no_reason_to_speak(tell, save, tmp_path):
    save(lines(12))
    said, _ = tell("reconstruct scan.npy --size 80 -o a.npy")
    assert said == ""
    volume = np.load(tmp_path / "a.npy")
    row, column = np.mgrid[:80, :80] - 39.5
    assert abs(volume[:, np.hypot(row, column) > 22].mean()) < 0.01 * volume.max()


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ("--voxel-size 0", 2, "0"),
        ("--voxel-size -0.01", 2, "-0.01"),
        ("--voxel-size nan", 2, "nan"),
        ("--centre nan", 2, "a column near the detector"),
        ("--centre -1", 2, "outside the 40 columns"),
        ("--size 0", 2, "greater than or equal to 1"),
        ("--angles inf", 2, "the arc that the views divide"),
    ],
)
def test_geometries_that_cannot_be(tell, save, options, status, words):
    save(lines(12))
    said, _ = tell(f"reconstruct scan.npy {options} -o a.npy", status)
    assert words in said
    assert said.count("\n") == 1


def test_a_header_with_a_pitch_of_zero_is_damaged(tell, save, tmp_path):
    save(lines(12))
    whole = (tmp_path / "scan.npy").read_bytes()
    assert b'"pitch":0.05' in whole.replace(b" ", b"")
    at = whole.index(b'"pitch"')
    broken = whole[:at] + whole[at:].replace(b"0.05", b"0.00", 1)
    (tmp_path / "scan.npy").write_bytes(broken)
    said, _ = tell("reconstruct scan.npy -o a.npy", 65)
    assert "geometry is damaged" in said
    assert "pitch" in said


@pytest.mark.parametrize("steps", ["", "--prepare 'normalise(air=2)'"])
def test_where_less_memory_suffices_more_does_too(run, monkeypatch, tmp_path, steps):
    """Projections are held only where the smallest block finds room beside them; else a temporary file takes them."""
    from bonectl.core import memory
    from bonectl.core.header import PROJECTIONS
    from bonectl.scanning import memory_need

    geometry = parallel(16, 64, VOXEL, views=400, columns=400)
    header = Header(
        shape=(400, 64, 400), axes=PROJECTIONS, unit="line integral", geometry=geometry, spacing=(None, VOXEL, VOXEL)
    )
    made.write(tmp_path / "scan.npy", Stack.of(np.zeros(header.shape, np.float32), header))
    monkeypatch.setattr(memory, "resident", lambda: 100 << 20)
    least = (100 << 20) + memory_need.needed(header, geometry, "fbp", memory_need.FEWEST, held=False).at_worst
    statuses, files = [], []
    for share in np.arange(-1, 5, 0.25):
        line = f"reconstruct scan.npy {steps} --max-memory {least + int(share * header.total_bytes)} --dry-run --json"
        done = run(*shlex.split(line))
        statuses.append(done.status)
        files += [json.loads(done.out).get("scratch_bytes")] if done.status == 0 else []
    assert statuses == sorted(statuses, reverse=True)
    assert {0, 75} == set(statuses)
    held = [each is None for each in files]
    assert held == sorted(held)
    assert set(held) == {False, True}
