"""The door for notebooks: what the page shows runs and is right, and importing it is cheap."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bonectl

PAGE = Path(__file__).resolve().parents[1] / "examples" / "python" / "README.md"


def test_the_page_runs_and_its_numbers_are_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) == 4
    told, seen = {}, []
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), told)
        seen.append(dict(told))
    plates = seen[0]["table"]
    assert plates["bvtv"] == np.mean(seen[0]["array"])
    assert plates["tbth"] == pytest.approx(4 * 0.02, abs=0.2 * 0.02)
    against = seen[1]["table"]
    assert abs(against.row("bmd").percent) < 1.5
    assert against["psnr"] > 15
    assert seen[2]["residual"] < 0.05
    rows = seen[3]["rows"]
    assert [row["file"] for row in rows] == ["bone.npy", "fbp.npy"]
    assert rows[0].keys() == rows[1].keys() >= {"bvtv", "tbth", "bmd"}
    assert rows[1]["bmd"] == pytest.approx(rows[0]["bmd"], rel=0.02)


def test_every_public_name_is_there_and_no_other():
    for name in bonectl.__all__:
        assert getattr(bonectl, name).__doc__
    assert set(bonectl.__all__) <= set(dir(bonectl))
    with pytest.raises(AttributeError, match="no attribute 'meassure'"):
        bonectl.meassure  # noqa: B018
    typed = ast.parse(Path(bonectl.__file__).read_text())
    hinted = {a.name for n in ast.walk(typed) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(bonectl.__all__) <= hinted


def test_importing_it_loads_nothing_heavy():
    line = "import sys, bonectl; print([m for m in ('torch', 'numpy', 'numba', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_written_is_what_the_command_writes(tmp_path, run):
    bonectl.write(bonectl.phantom("ball(diameter=0.3)", shape=(8, 16, 16), voxel_size=0.05), tmp_path / "a.npy")
    size = ("--shape", "8,16,16", "--voxel-size", "0.05")
    assert run("phantom", "ball(diameter=0.3)", *size, "--no-history", "-o", tmp_path / "b.npy").status == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    with pytest.raises(bonectl.BonectlError, match="exists already"):
        bonectl.write(bonectl.read(tmp_path / "b.npy"), tmp_path / "a.npy")
    with pytest.raises(bonectl.BonectlError, match="no format has that suffix; name it .*npy"):
        bonectl.write(bonectl.read(tmp_path / "b.npy"), tmp_path / "a.raw")
    assert not list(tmp_path.glob(".*"))


def test_training_by_names(tmp_path):
    for name, seed in (("noisy", 1), ("clean", 2)):
        made = bonectl.phantom("iliac", shape=(16, 24, 24), voxel_size=0.05, seed=seed)
        bonectl.write(made, tmp_path / f"{name}.npy")
    bonectl.train(
        [tmp_path / "noisy.npy"],
        [tmp_path / "clean.npy"],
        output=tmp_path / "x.safetensors",
        model="unet2d(width=4, scales=2)",
        steps=2,
        patch=16,
        picture=False,
        device_name="cpu",
    )
    made = bonectl.denoise(bonectl.read(tmp_path / "noisy.npy"), tmp_path / "x.safetensors", device_name="cpu")
    assert made.collect().shape == (16, 24, 24)
    with pytest.raises(TypeError, match="stepz"):
        bonectl.train([], output=tmp_path / "y.safetensors", stepz=1)
