import json

import numpy as np
import pytest

PHANTOM = "bonectl phantom iliac --shape 12,32,32 --voxel-size 0.05 --seed 1"


@pytest.fixture
def bone(shell):
    assert shell(f"{PHANTOM} -o bone.npy").returncode == 0


def test_a_pipe_from_phantom_to_scan(shell, tmp_path):
    done = shell(f"{PHANTOM} | bonectl simulate --views 36 --photons 1e4 --energy 25 -o scan.npy")
    assert done.returncode == 0, done.stderr
    scan = np.load(tmp_path / "scan.npy")
    assert scan.shape[:2] == (12, 36)
    assert np.isfinite(scan).all()
    told = json.loads(shell("bonectl info --json scan.npy").stdout)
    assert told["unit"] == "counts"
    assert told["acquisition"]["photons"] == 1e4
    assert [entry["command"].split()[1] for entry in told["history"]] == ["phantom", "simulate"]


@pytest.mark.usefixtures("bone")
def test_pipe_file_and_slab_give_the_same_bytes(shell, tmp_path):
    options = "--views 20 --energy 25 --blur 0.8 --no-history"
    lines = (
        f"bonectl simulate bone.npy {options} -o a.npy",
        f"bonectl simulate {options} < bone.npy > b.npy",
        f"cat bone.npy | bonectl simulate {options} --slab 5 --threads 1 -o c.npy",
    )
    assert shell(" && ".join(lines)).returncode == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes() == (tmp_path / "c.npy").read_bytes()


@pytest.mark.usefixtures("bone")
def test_empty_pixels_are_counted_in_one_line(shell):
    done = shell("bonectl simulate bone.npy --views 9 --photons 1 --energy 20 --unit 'line integral' -o scan.npy")
    assert done.returncode == 0
    lines = [line for line in done.stderr.decode().splitlines() if "half a photon" in line]
    assert len(lines) == 1


@pytest.mark.usefixtures("bone")
def test_flats_and_darks_are_written_beside_the_scan(shell, tmp_path):
    done = shell(
        "bonectl simulate bone.npy --views 9 --energy 25 --gain 0.02 --dark 100 --frames 3 "
        "--flats flats.npy --darks darks.npy --order projection -o raw.npy"
    )
    assert done.returncode == 0, done.stderr
    raw, white, black = (np.load(tmp_path / f"{name}.npy") for name in ("raw", "flats", "darks"))
    assert white.shape == black.shape == (3, *raw.shape[1:])
    assert raw.shape[0] == 9
    assert (black == 100).all()
    assert white.mean() == pytest.approx(10100, rel=0.01)


@pytest.mark.usefixtures("bone")
def test_dry_run_says_what_would_be_and_writes_nothing(shell, tmp_path):
    done = shell("bonectl simulate bone.npy --views 9 --energy 25 --dry-run -o scan.npy --flats flats.npy")
    assert done.returncode == 0
    assert b"memory" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bone.npy"]


@pytest.mark.usefixtures("bone")
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--energy 3", 2, "8 to 150 keV"),
        ("--geometry 'parallel(views=4)' --views 5", 2, "contradicts"),
        ("--geometry 'parallel(sod=1)'", 2, "no knob 'sod'"),
        ("--gain 0.1", 2, "--flats"),
        ("--flats out.npy", 2, "another name"),
        ("--flats nowhere/flats.npy", 73, "nowhere"),
    ],
)
def test_bad_requests_are_one_line_and_leave_nothing(shell, tmp_path, arguments, status, words):
    done = shell(f"bonectl simulate bone.npy {arguments} -o out.npy")
    assert done.returncode == status, done.stderr
    assert words in done.stderr.decode()
    assert done.stderr.decode().count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bone.npy"]


def test_a_scan_or_grey_values_are_refused_with_the_tool_that_helps(shell, tmp_path):
    np.save(tmp_path / "grey.npy", np.zeros((4, 8, 8), np.uint8))
    done = shell("bonectl simulate grey.npy --voxel-size 0.02 -o scan.npy")
    assert done.returncode == 2
    assert "bonectl convert --calibrate" in done.stderr.decode()


@pytest.mark.usefixtures("bone")
def test_devices(shell, tmp_path):
    """The CPU by name is the default; what is not there is refused in one line, before anything is written."""
    options = "bone.npy --views 9 --no-history"
    done = shell(f"bonectl simulate {options} --device cpu -o a.npy && bonectl simulate {options} -o b.npy")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    done = shell(f"bonectl simulate {options} --device cuda:99 -o c.npy")
    assert (done.returncode, done.stderr.count(b"\n")) == (69, 1)
    assert b"device cuda:99 is not there" in done.stderr
    assert shell(f"bonectl simulate {options} --device tpu -o c.npy").returncode == 2
    assert not (tmp_path / "c.npy").exists()


def test_flats_are_there_only_once_the_scan_is(shell, tmp_path):
    """A volume with NaN in its last slice ends the scan; the flats, which need nothing of it, go with it."""
    volume = np.zeros((40, 8, 8), np.float32)
    volume[-1, 3, 3] = np.nan
    np.save(tmp_path / "volume.npy", volume)
    options = "--voxel-size 0.02 --input-unit 1/cm --views 4 --gain 0.1 --dark 5 --flats flats.npy --darks darks.npy"
    assert shell(f"bonectl simulate volume.npy {options} -o scan.npy").returncode == 65
    assert [path.name for path in tmp_path.iterdir()] == ["volume.npy"]


def test_a_volume_beyond_what_can_be_counted_is_one_line(run, tmp_path):
    options = ["--voxel-size", "0.1", "--input-unit", "mgHA/cm3", "--views", "4", "-o", "scan.npy"]
    for value, kind, said in (
        (-3e38, "f4", "row 0: attenuation is so large, or so negative"),
        (3e38, "f4", "row 0: attenuation is so large, or so negative"),
        (1e300, "f8", "128 values are beyond float32 (±3.403e+38), the first 1e+300 at (0, 0, 0)"),
    ):
        np.save(tmp_path / "volume.npy", np.full((2, 8, 8), value, kind))
        done = run("simulate", "volume.npy", *options)
        assert done.status == 65
        assert said in done.err
        assert not (tmp_path / "scan.npy").exists()
