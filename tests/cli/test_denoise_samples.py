"""`bonectl denoise --samples` and `bonectl measure --samples` as one chain."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from bonectl.cli import boundary
from bonectl.core.stack import Stack
from bonectl.io import npy

TRAIN = "train low.npy -t bone.npy --steps 2 --model 'unet25d(width=4, scales=2)' --patch 16 --threads 1 -q"
METRICS = "--metrics 'bvtv + euler + bmd' --threshold 525 -q --json"


def ran(line):
    """Run a command line in this process, to a good end."""
    assert boundary.run(shlex.split(line)) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a bone, a noisy copy of it, and two checkpoints."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ran("phantom iliac --shape 10,32,32 --voxel-size 0.03 -o bone.npy -q")
        header, bone = npy.mapped(folder / "bone.npy")
        noisy = bone + np.random.default_rng(0).normal(0, 150, bone.shape).astype(np.float32)
        with (folder / "low.npy").open("wb") as file:
            npy.write(Stack.of(noisy, header.replace(answers={})), file)
        for seed in (0, 1):
            ran(f"{TRAIN} --seed {seed} -o {seed}.safetensors")
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch, capsys):
    """Run command lines beside a copy of the data; each must end as it should. Gives what was printed."""
    for name in ("low.npy", "0.safetensors", "1.safetensors"):
        shutil.copy(made / name, tmp_path)
    monkeypatch.chdir(tmp_path)

    def run(line, status=0):
        ended = boundary.run(shlex.split(line))
        printed = capsys.readouterr()
        assert ended == status, printed.err
        return printed.err if status else printed.out

    return run


def values(path):
    return np.array(npy.mapped(path)[1])


def test_mean_and_spread_are_those_of_the_samples_and_measure_makes_intervals(here, tmp_path):
    models = "--model 0.safetensors --model 1.safetensors"
    here(f"denoise low.npy {models} --samples 5 --sd sd.npy --each drawn -o mean.npy -q")
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == [f"sample_00{k}.npy" for k in range(5)]
    drawn = np.stack([values(tmp_path / "drawn" / name) for name in names])
    np.testing.assert_allclose(values(tmp_path / "mean.npy"), drawn.mean(axis=0), rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(values(tmp_path / "sd.npy"), drawn.std(axis=0, ddof=1), rtol=1e-3, atol=1e-3)
    notes = npy.mapped(tmp_path / "drawn" / "sample_003.npy")[0].history[-1].notes
    assert (notes["samples"], notes["sample"], len(notes["weights_sha256"].split())) == (5, 3, 2)

    table = json.loads(here(f"measure mean.npy --samples drawn {METRICS}"))
    singles = [json.loads(here(f"measure drawn/{name} {METRICS}")) for name in names]
    for number, row in enumerate(table["rows"]):
        each = np.array([single["rows"][number]["value"] for single in singles], dtype=float)
        interval = row["interval"]
        assert interval["source"] == "95 %, 5 samples, t interval for one more"
        assert (interval["low"] + interval["high"]) / 2 == pytest.approx(each.mean(), rel=1e-5, abs=1e-9)
        assert interval["low"] <= each.min()
        assert interval["high"] >= each.max()


def test_several_checkpoints_are_an_ensemble_and_pipes_work(here, shell, tmp_path):
    here("denoise low.npy -m 0.safetensors -m 1.safetensors --no-history -o mean.npy -q")
    for seed in (0, 1):
        here(f"denoise low.npy -m {seed}.safetensors -o {seed}.npy -q")
    both = (values(tmp_path / "0.npy").astype(float) + values(tmp_path / "1.npy")) / 2
    np.testing.assert_allclose(values(tmp_path / "mean.npy"), both, rtol=1e-6)
    piped = shell(
        "bonectl denoise -m 0.safetensors -m 1.safetensors --sd sd.tif --no-history --threads 1 < low.npy > out.npy"
    )
    assert piped.returncode == 0, piped.stderr
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "mean.npy").read_bytes()
    assert (tmp_path / "sd.tif").stat().st_size > 10 * 32 * 32 * 4 / 2


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("denoise low.npy -m 0.safetensors --sd sd.npy -o a.npy", 2, "--samples N"),
        ("denoise low.npy -m 0.safetensors --samples 9 -o a.npy", 2, "2 to 8"),
        ("denoise low.npy -m 0.safetensors --samples 2 --sd a.npy -o a.npy", 2, "another output"),
        ("denoise low.npy -m 0.safetensors --samples 2 --each low.npy -o a.npy", 73, "wants a folder"),
        ("denoise low.npy -m 0.safetensors --samples 2 --sd nowhere/sd.npy -o a.npy", 73, "nowhere"),
        ("denoise low.npy -m 'gaussian(sigma=1)' --samples 2 -o a.npy", 2, "filter and has one answer"),
        ("denoise low.npy -m 0.safetensors -m 'gauss(sigma=1)' -o a.npy", 2, "gaussian"),
        ("measure low.npy --samples nowhere", 66, "no such folder"),
        ("measure low.npy low.npy --samples drawn", 2, "one at a time"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(here, tmp_path, line, status, message):
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert message in here(line, status)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_failure_on_the_way_leaves_no_output(here, tmp_path):
    whole = (tmp_path / "low.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[: len(whole) // 2])
    before = sorted(path.name for path in tmp_path.iterdir())
    here("denoise short.npy -m 0.safetensors --samples 2 --sd sd.npy -o a.npy", 65)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_samples_of_before_are_not_mixed_in(here):
    here("denoise low.npy -m 0.safetensors --samples 3 --each drawn -o a.npy -q")
    assert "exists" in here("denoise low.npy -m 0.safetensors --samples 3 --each drawn -o b.npy", 73)
    assert "would not be replaced" in here("denoise low.npy -m 0.safetensors --samples 2 --each drawn -o b.npy -f", 73)
    here("denoise low.npy -m 0.safetensors --samples 3 --each drawn -o b.npy --force -q")


STRUCK = """
import os, signal, sys, threading

enter, entered = threading.Condition.__enter__, 0

def struck(self):
    '''The main thread is struck by a signal while it holds the lock of a queue.'''
    global entered
    got = enter(self)
    if threading.get_ident() == threading.main_thread().ident and os.listdir("drawn"):
        entered += 1
        if entered == 12:
            os.kill(os.getpid(), signal.SIGTERM)
    return got

threading.Condition.__enter__ = struck
from bonectl.cli.boundary import main
main()
"""


def test_a_signal_inside_the_lock_of_a_queue_does_not_hang(here, tmp_path):
    (tmp_path / "drawn").mkdir()
    line = "denoise low.npy -m 0.safetensors --samples 3 --sd sd.npy --each drawn -o mean.npy"
    process = subprocess.run(
        [sys.executable, "-c", STRUCK, *line.split()], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert (process.returncode, process.stderr) == (-signal.SIGTERM, b"")
    assert sorted(os.listdir(tmp_path)) == ["0.safetensors", "1.safetensors", "drawn", "low.npy"]
    assert os.listdir(tmp_path / "drawn") == []
