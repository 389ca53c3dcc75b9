"""`bonectl info`: a table for people, lines for pipes, JSON for programs; status 0 means a whole stack."""

import json
import os
import pty
import re
import subprocess

import numpy as np
import pytest
import tifffile
from tests.made import write

from bonectl.core.calibration import Calibration
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import SINOGRAMS, Entry, Header
from bonectl.core.stack import Stack

VALUES = np.arange(6 * 8 * 10, dtype="<f4").reshape(6, 8, 10)


@pytest.fixture
def scan(tmp_path):
    geometry = Geometry(
        kind="parallel", angles=Angles(0.0, 22.5, 8), rows=6, columns=10, pitch=0.02, row_pitch=0.02, centre=4.5,
        size=10, voxel=0.02,
    )  # fmt: skip
    header = Header(
        shape=VALUES.shape,
        axes=SINOGRAMS,
        spacing=(0.02, None, 0.02),
        unit="line integral",
        geometry=geometry,
        calibration=Calibration(400.0, -3.5, "scanco(...)", pseudo=True),
        acquisition={"photons": 1e4, "detector": "x"},
        answers={"bvtv": 0.25},
        history=(Entry("bonectl a\nb", "0.1", "2026-01-01T00:00:00Z", {"seed": 7}),),
        forgotten=(3, "abc"),
    )
    write(tmp_path / "scan.npy", Stack.of(VALUES, header))
    return header


def test_lines_of_key_tab_value(run, scan):
    made = run("info", "scan.npy")
    assert (made.status, made.err) == (0, "")
    lines = [line.split("\t") for line in made.out.decode().splitlines()]
    assert all(len(line) == 2 for line in lines)
    told = dict(lines)
    assert told["shape"] == "6 row × 8 view × 10 col"
    assert told["spacing_mm"] == "0.02 × - × 0.02"
    assert told["geometry"].startswith("parallel(views=8, arc=180")
    assert told["calibration"] == "400 × value + -3.5 mgHA/cm3 (scanco(...), pseudo)"
    assert (told["photons"], told["answer bvtv"]) == ("10000", "0.25")
    assert [value for key, value in lines if key == "history"] == [
        "3 older entries (sha256 abc)",
        "2026-01-01T00:00:00Z 0.1 bonectl a\\nb seed=7",
    ]


def test_json_holds_the_whole_header(run, scan):
    told = json.loads(run("info", "scan.npy", "--json", "--stats").out)
    assert told["schema"] == "bonectl.info/1"
    assert told["bytes"] == VALUES.nbytes
    assert Header.from_json(told | {"bonectl": 1}, told["shape"], "<f4") == scan
    assert told["statistics"] == {
        "minimum": 0, "maximum": 479, "mean": 239.5, "sd": pytest.approx(VALUES.astype("f8").std()),
        "finite": 480, "not_finite": 0, "zeros": 1,
    }  # fmt: skip


def test_values_are_not_read_without_stats(run, tmp_path):
    values = VALUES.copy()
    values[0, 0, 0] = np.nan
    np.save(tmp_path / "nan.npy", values)
    assert run("info", "nan.npy").status == 0
    made = run("info", "nan.npy", "--stats")
    assert (made.status, b"not_finite\t1\n" in made.out) == (0, True)


def test_options_declare_what_the_file_does_not_tell(run, tmp_path):
    np.save(tmp_path / "plain.npy", VALUES)
    assert b"spacing_mm\tunknown \xc3\x97 unknown \xc3\x97 unknown\nunit" not in run("info", "plain.npy").out
    made = run("info", "plain.npy", "--voxel-size", "0.01", "--input-unit", "1/cm")
    assert b"unit\t1/cm\nspacing_mm\t0.01 \xc3\x97 0.01 \xc3\x97 0.01\n" in made.out


def test_a_pipe_is_read_to_its_end(shell, scan):
    assert shell("cat scan.npy | bonectl info --json | head -c 1").stdout == b"{"
    cut = shell("head -c -1 scan.npy | bonectl info")
    assert (cut.returncode, cut.stdout, cut.stderr.count(b"\n")) == (65, b"", 1)


def test_a_table_on_a_terminal(tmp_path, scan):
    ours, theirs = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "60", "NO_COLOR": "1"}
    done = subprocess.run(["bonectl", "info", "scan.npy"], cwd=tmp_path, stdout=theirs, env=env, check=True)
    os.close(theirs)
    text = b""
    while True:
        try:
            text += (more := os.read(ours, 65536))
        except OSError:
            break
        if not more:
            break
    os.close(ours)
    assert done.returncode == 0
    assert b"\t" not in text
    assert "6 row × 8 view × 10 col".encode() in text
    shown = re.sub(r"\x1b\[[0-9;]*m", "", text.decode())
    assert max(len(line) for line in shown.splitlines()) <= 60


@pytest.mark.slow
def test_statistics_of_a_large_page_hold_it_once(shell, tmp_path):
    """A quarter of a megabyte that unpacks to 256: 17 bytes a pixel before."""
    values = np.zeros((16000, 16000), np.uint8)
    values[5000:6000, 5000:9000] = 200
    tifffile.imwrite(tmp_path / "big.tif", values, compression="zlib")
    done = shell("ulimit -v 2000000; OPENBLAS_NUM_THREADS=1 bonectl info --stats big.tif")
    assert done.returncode == 0, done.stderr
    assert b"mean\t3.125\n" in done.stdout
