"""What a training run leaves behind: whole files, whatever happens to the disk or the process."""

import csv
import importlib.util
import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from tests.made import after, bar, noisy_and_clean, nudged, store, train_on

from bonectl.core.calibration import Calibration
from bonectl.errors import UnavailableError
from bonectl.learning.checkpoint import Checkpoint
from bonectl.training.log import columns
from bonectl.training.picture import POINTS, thinned
from bonectl.training.recipe import Recipe
from bonectl.training.saving import Saving

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"model": "unet2d(width=4, scales=2)", "steps": 6, "batch": 2, "run": 2, "patch": 16}
LINE = "bonectl train low.npy -t clean.npy --model 'unet2d(width=4, scales=2)' --steps 6 --batch 2 --run 2 --patch 16"
LINE += " --every 2 --threads 1 --device cpu --no-picture"


@pytest.fixture
def pair(tmp_path):
    return noisy_and_clean(tmp_path, bar(), 200)


def run(pair, output, *, stop=lambda: False, picture=False, tensorboard=None, resume=False, **recipe):
    low, clean = pair
    saving = Saving(output=output, every=2, picture=picture, tensorboard=tensorboard, resume=resume)
    return train_on([low], [clean], Recipe(**(SMALL | recipe)), saving, device_name="cpu", stop=stop)


def same(folder, one, other):
    return all(
        (folder / f"{one}{part}").read_bytes() == (folder / f"{other}{part}").read_bytes() for part in ("", ".csv")
    )


class Crash(BaseException):
    """As sudden as a power cut."""


def crash_at(step):
    asked = after(step)

    def stop():
        if asked():
            raise Crash
        return False

    return stop


def test_a_crash_loses_nothing_that_a_resumed_run_needs(pair, tmp_path):
    run(pair, tmp_path / "whole")
    with pytest.raises(Crash):
        run(pair, tmp_path / "parts", stop=crash_at(5))
    assert Checkpoint.load(tmp_path / "parts").steps == 4
    with (tmp_path / "parts.csv").open("a") as file:
        file.write("1,0.1")  # of a row that was being written
    run(pair, tmp_path / "parts", resume=True)
    assert same(tmp_path, "parts", "whole")


def test_the_log_is_on_disk_before_the_state(pair, tmp_path):
    seen = []

    def stop():
        if (tmp_path / "x.resume").exists():
            with (tmp_path / "x.csv").open() as file:
                seen.append([row["step"] for row in csv.DictReader(file)])
        return False

    run(pair, tmp_path / "x", stop=stop)
    assert seen[0][:2] == ["1", "2"]


def starved(shell, line):
    """Run with files limited to 4 KiB: a write beyond fails as on a full disk."""
    return shell(f"ulimit -f 4; {line}", timeout=300)


def test_a_write_that_fails_keeps_the_old_checkpoint(pair, tmp_path, shell):
    run(pair, tmp_path / "whole")
    run(pair, tmp_path / "x", stop=after(2))
    before = {name: (tmp_path / name).read_bytes() for name in ("x", "x.resume")}
    assert min(map(len, before.values())) > 4096
    failed = starved(shell, f"{LINE} -o x --resume")
    assert failed.returncode == 74, failed.stderr
    assert failed.stderr.startswith(b"bonectl train: x.resume: ")
    assert failed.stderr.endswith(b"; step 2 is saved, and --resume goes on from there\n")
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert not list(tmp_path.glob(".bonectl-*"))
    run(pair, tmp_path / "x", resume=True)
    assert same(tmp_path, "x", "whole")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True, check=False
    ) if sys.platform == "linux" else None  # fmt: skip
    if mount is None or mount.returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder):
    """Leave no room at all."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            pass


def test_a_full_disk_keeps_the_old_checkpoint(pair, small_disk, shell):
    run(pair, small_disk / "whole")
    run(pair, small_disk / "x", stop=after(2))
    before = {name: (small_disk / name).read_bytes() for name in ("x", "x.resume", "x.csv")}
    fill(small_disk)
    failed = shell(f"{LINE} -o disk/x --resume", timeout=300)
    assert failed.returncode == 74, failed.stderr
    assert b"no space left on device" in failed.stderr
    assert failed.stderr.count(b"\n") == 1
    assert {name: (small_disk / name).read_bytes() for name in before} == before
    (small_disk / "filler").unlink()
    run(pair, small_disk / "x", resume=True)
    assert same(small_disk, "x", "whole")


def test_a_disk_that_is_full_at_the_first_checkpoint_leaves_no_half_of_it(pair, small_disk, shell):
    """A checkpoint without its state was left, with which neither a rerun nor --resume could do anything."""
    run(pair, small_disk / "whole")
    room = (small_disk / "whole").stat().st_size + 12_000  # for the checkpoint and the log, and not for the state
    for path in small_disk.iterdir():
        path.unlink()
    fill(small_disk)
    os.truncate(small_disk / "filler", (small_disk / "filler").stat().st_size - room)
    failed = shell(f"{LINE} -o disk/x", timeout=300)
    assert failed.returncode == 74, failed.stderr
    assert failed.stderr.count(b"\n") == 1
    assert failed.stderr.endswith(b"no space left on device; nothing was saved\n")
    assert {path.name for path in small_disk.iterdir()} <= {"filler", "x.csv"}
    (small_disk / "filler").unlink()
    again = shell(f"{LINE} -o disk/x", timeout=300)
    assert again.returncode == 0, again.stderr


def test_the_picture_is_drawn_and_depends_on_the_run_alone(pair, tmp_path):
    run(pair, tmp_path / "a", picture=True)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > image.height > 500
    (tmp_path / "again").mkdir()
    run(pair, tmp_path / "again" / "a", picture=True)
    assert (tmp_path / "again" / "a.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    run(pair, tmp_path / "without")
    assert not (tmp_path / "without.png").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"spacing": (None, None, None)},
        {"unit": "1/cm", "calibration": Calibration(250.0, -100.0, "test", pseudo=True)},
    ],
)
def test_a_picture_of_data_that_know_less(tmp_path, changes):
    path = store(tmp_path / "same.npy", np.ones((8, 16, 16)), **changes)
    run((path, nudged(path)), tmp_path / "x", steps=2, picture=True)
    assert (tmp_path / "x.png").exists()


def test_long_curves_are_thinned_by_means():
    curve = [(step, step % 2) for step in range(1, 10 * POINTS + 1)]
    assert len(thinned(curve)) == POINTS
    assert {value for _, value in thinned(curve)} == {0.5}
    assert thinned(curve[:3]) == [(1, 1), (2, 0), (3, 1)]


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="TensorBoard is installed")
def test_tensorboard_that_is_not_there_is_said_before_the_work(pair, tmp_path):
    with pytest.raises(UnavailableError, match=r"bonectl\[tensorboard\]"):
        run(pair, tmp_path / "x", tensorboard=tmp_path / "events")
    assert not (tmp_path / "x.csv").exists()


def test_tensorboard_gets_the_numbers_of_the_log(pair, tmp_path, monkeypatch):
    """The writer is replaced by one that remembers: TensorBoard itself is optional."""
    told, closed = {}, []

    class Writer:
        def __init__(self, folder, purge_step):
            self.begin = (folder, purge_step)

        def add_scalar(self, name, value, step):
            told.setdefault(name, []).append((step, value))

        def close(self):
            closed.append(self.begin)

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    run(pair, tmp_path / "x", tensorboard=tmp_path / "events", loss="l1 + l2@50%")
    assert closed == [(str(tmp_path / "events"), 1)]
    assert told == columns(tmp_path / "x.csv")
    assert len(told["loss"]) == 6


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of torch's compiler, about itself
def test_a_compiled_network_trains_to_the_loss_of_the_plain_one(pair, tmp_path):
    low, clean = pair
    for name, compiled in (("plain", False), ("compiled", True)):
        saving = Saving(output=tmp_path / name, picture=False)
        train_on([low], [clean], Recipe(**SMALL), saving, device_name="cpu", compiled=compiled)
    plain, compiled = (columns(tmp_path / f"{name}.csv")["loss"] for name in ("plain", "compiled"))
    np.testing.assert_allclose(compiled, plain, rtol=1e-4)
    assert Checkpoint.load(tmp_path / "compiled").weights.keys() == Checkpoint.load(tmp_path / "plain").weights.keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_without_a_compiler_compile_is_unavailable(pair, tmp_path, monkeypatch):
    from torch._inductor import config as inductor

    torch.compiler.reset()
    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(inductor, "force_disable_caches", True)  # what was compiled before would do
    low, clean = pair
    with pytest.raises(UnavailableError, match="install a C"):
        train_on([low], [clean], Recipe(**SMALL), Saving(output=tmp_path / "x"), device_name="cpu", compiled=True)
