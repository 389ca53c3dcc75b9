"""Full turns with the axis near an end of the detector, whose axis nobody says: found, said, and joined about."""

import json
import shlex

import numpy as np
import pytest
from tests.ops import ellipses
from tests.preparations.made import PITCH, after, header, scan

from bonectl.core.stack import Stack
from bonectl.errors import DataError
from bonectl.scanning.joining import axis_for
from bonectl.scanning.preparing import parts

PLAIN = f"--axes sinogram --input-unit 'line integral' --voxel-size {PITCH}"


def told(path):
    with path.open("rb") as file:
        return json.loads(file.readline().partition(b"# bonectl ")[2].strip())


def stack(lines, geometry):
    lines = np.asarray(lines, np.float32)
    return Stack.of(lines, header(lines.shape, "line integral", geometry=geometry))


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("centre", [8.3, 20.0, 30.7, 66.4, 87.8])
def test_the_overlap_is_found_and_half_a_turn_is_what_it_would_have_been(centre, noise):
    """Sinograms in closed form, 120 views; columns that both sides saw are 18 to 62 of 96."""
    lines, there = scan(views=120, arc=360.0, centre=centre, noise=noise)
    unknown = there.replace(centre=47.5)
    found = axis_for(stack(lines, unknown), parts("halfturn"), unknown)
    assert found.column == pytest.approx(centre, abs=0.1)
    joined, after_it = after(f"halfturn(centre={found.column})", lines, "line integral", geometry=unknown)
    right = ellipses.scan(after_it.geometry, ellipses.BONE)
    error = np.sqrt(((joined - right) ** 2).mean())
    bound = 0.025 * np.sqrt((right**2).mean()) + 1.02 * noise
    assert error < bound
    if not noise:
        wrong, after_it = after(f"halfturn(centre={centre + 2})", lines, "line integral", geometry=unknown)
        assert np.sqrt(((wrong - ellipses.scan(after_it.geometry, ellipses.BONE)) ** 2).mean()) > bound


def test_an_axis_that_is_not_known_is_not_joined_about():
    lines, there = scan(views=120, arc=360.0, centre=2.0, noise=0.02)
    with pytest.raises(DataError, match="too uncertain for that; give --centre COLUMN"):
        axis_for(stack(lines, there), parts("halfturn"), there)


@pytest.fixture
def half(tmp_path):
    lines, _ = scan(rows=4, views=120, arc=360.0, centre=14.3, noise=0.01)
    np.save(tmp_path / "half.npy", lines.astype(np.float32))
    return tmp_path


def test_it_is_found_where_nobody_says_it(half, good):
    said = good(f"prepare half.npy {PLAIN} --angles 360 --steps halfturn -o found.npy").err
    assert "the rotation axis was found at column 14.3" in said
    assert "halfturn: 30 columns saw both sides of the axis, and differ there by " in said
    assert "middle" not in said
    notes = told(half / "found.npy")["history"][-1]["notes"]
    column = notes["centre"]
    assert (notes["centre_from"], notes["steps"]) == ("auto", f"halfturn(centre={column})")
    assert column == pytest.approx(14.3, abs=0.05)
    assert 0 < notes["centre_sd"] < 0.1
    good(f"prepare half.npy {PLAIN} --angles 360 --steps 'zingers + halfturn' --centre auto -o auto.npy")
    good(f"prepare half.npy {PLAIN} --angles 360 --steps halfturn --centre {column} -o told.npy")
    first = np.load(half / "found.npy")
    assert first.shape == (4, 60, 162)
    assert np.load(half / "told.npy").tobytes() == first.tobytes()
    assert np.load(half / "auto.npy").shape == first.shape


def test_a_reconstruction_finds_it_from_files_and_pipes(half, good, shell):
    line = f"{PLAIN} --angles 360 --prepare 'stripes + halfturn + normalise(air=2)' --no-history"
    said = good(f"reconstruct half.npy {line} -o file.npy").err
    assert "found at column 14.3" in said
    done = shell(f"cat half.npy | bonectl reconstruct {line} --threads 1 -o pipe.npy", cwd=half)
    assert done.returncode == 0, done.stderr
    assert (half / "pipe.npy").read_bytes() == (half / "file.npy").read_bytes()
    good(f"reconstruct half.npy {PLAIN} --angles 360 --prepare halfturn -o v.npy")
    notes = told(half / "v.npy")["history"][-1]["notes"]
    assert "halfturn(centre=14." in notes["steps"]
    assert notes["centre_from"] == "auto"
    assert 0 < notes["centre_sd"] < 0.1
    assert not 13 < notes["centre"] < 16  # that of the joined scan


def test_the_axis_alone_is_found_and_written(half, good):
    good(f"prepare half.npy {PLAIN} --angles 360 --steps zingers --centre auto -o whole.npy")
    assert told(half / "whole.npy")["geometry"]["centre"] == pytest.approx(14.3, abs=0.05)


def test_columns_are_tried_by_eye(half, good):
    tried = "--steps halfturn --try 'halfturn(centre=13.3:15.3:0.5)'"
    out = good(f"prepare half.npy {PLAIN} --angles 360 {tried}").out.decode()
    assert [line.split()[0] for line in out.splitlines()] == ["value", "13.3", "13.8", "14.3", "14.8", "15.3"]


@pytest.mark.parametrize("line", ["prepare half.npy --steps halfturn", "reconstruct half.npy --prepare halfturn"])
def test_an_estimate_does_not_read_the_scan(half, run, good, line):
    """It is told for the widest result that a search may find."""
    values = np.load(half / "half.npy")
    np.save(half / "half.npy", np.full_like(values, np.nan))
    done = good(f"{line} {PLAIN} --angles 360 -o out.npy --dry-run --json")
    assert "the axis is not looked for now" in done.err
    shape = json.loads(done.out)["shape"]
    assert shape == ([4, 60, 181] if line.startswith("prepare") else [4, 182, 182])
    assert run(*shlex.split(f"{line} {PLAIN} --angles 360 -o out.npy")).status == 65


def test_flats_that_come_once_are_read_once(half, good, shell):
    """What a pipe gives is gone when it has been read."""
    good("phantom iliac --shape 4,24,24 -o b.npy")
    good("simulate b.npy --unit counts --flats f.npy --darks d.npy -o s.npy")
    for line in ("prepare s.npy --steps flats", "reconstruct s.npy", "reconstruct s.npy --prepare flats"):
        for name, flats in (("one", "f.npy"), ("other", "<(cat f.npy)")):
            done = shell(f"bonectl {line} --flats {flats} --darks d.npy --no-history -fo {name}.npy", cwd=half)
            assert done.returncode == 0, (line, done.stderr)
        assert (half / "one.npy").read_bytes() == (half / "other.npy").read_bytes()
