"""Several processes under torchrun: together they train as one does, stop as one, and do not wait for the dead."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.made import bar, noisy_and_clean, train_on

from bonectl.learning.checkpoint import Checkpoint
from bonectl.learning.ranks import ALONE, Ranks
from bonectl.training.recipe import Recipe
from bonectl.training.saving import Saving

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(
        not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
        reason="torch was built without gloo",
    ),
]

TWO_LINE = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TWO_LINE += ["-m", "--", "bonectl", "train"]  # without -- torchrun would take our --run for an option of its own
QUICK = ["low.npy", "-t", "clean.npy", "--model", "unet2d(width=4, scales=2)", "--patch", "16", "--run", "2"]
QUICK += ["--threads", "1", "--no-picture", "--device", "cpu"]


@pytest.fixture
def pair(tmp_path):
    return noisy_and_clean(tmp_path, bar((20, 32, 32)), 300)


def run(line, cwd):
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def log(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_two_processes_train_as_one_with_twice_the_batch(pair, tmp_path):
    """Every logged number, critic included, agrees within rounding of the order in a batch; so do the weights."""
    loss = "l1 + 0.5*ssim + 0.1*wgan(width=4, layers=1)"
    line = [*QUICK, "--steps", "4", "--every", "2", "--balance", "--patience", "5", "--loss", loss]
    two = run([*TWO_LINE, *line, "--batch", "2", "-o", "two"], tmp_path)
    assert two.returncode == 0, two.stderr
    recipe = Recipe(
        model="unet2d(width=4, scales=2)", patch=16, run=2, batch=4, steps=4, balance=True, patience=5, loss=loss
    )

    def alone(name, *, resume):
        saving = Saving(output=tmp_path / name, every=2, picture=False, resume=resume)
        return train_on([tmp_path / "low.npy"], [tmp_path / "clean.npy"], recipe, saving, device_name="cpu")

    alone("one", resume=False)
    ours, theirs = log(tmp_path / "two.csv"), log(tmp_path / "one.csv")
    assert [row["step"] for row in ours] == [str(step) for step in range(1, 5)]  # only one process writes
    assert two.stderr.count("steps; held-out PSNR") == 1
    for a, b in zip(ours, theirs, strict=True):
        assert [name for name in a if a[name]] == [name for name in b if b[name]]
        for name in a:
            if a[name]:
                assert float(a[name]) == pytest.approx(float(b[name]), rel=1e-3, abs=1e-5), (name, a["step"])
    a, b = Checkpoint.load(tmp_path / "two"), Checkpoint.load(tmp_path / "one")
    assert (a.training["batch"], a.training["processes"]) == (4, 2)
    for name, weight in a.weights.items():
        torch.testing.assert_close(weight, b.weights[name], rtol=1e-3, atol=1e-4)
    # What one of them saved, the other continues: the whole batch is the same.
    assert alone("two", resume=True).finished


def children(parent):
    """Process numbers of the ranks, by rank."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or int((entry / "stat").read_text().rpartition(")")[2].split()[1]) != parent:
                continue
            facts = dict(item.partition("=")[::2] for item in (entry / "environ").read_text().split("\0"))
        except (OSError, ValueError, UnicodeDecodeError):
            continue
        if "LOCAL_RANK" in facts:
            found[int(facts["LOCAL_RANK"])] = int(entry.name)
    return found


@pytest.fixture
def running(pair, tmp_path):
    """Two processes in the midst of a long run."""
    line = [*TWO_LINE, *QUICK, "--batch", "1", "--steps", "100000", "--every", "5", "-o", "x"]
    with subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            for _ in range(1200):
                if (tmp_path / "x.resume").exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            assert process.poll() is None, process.stderr.read()
            yield process
        finally:
            ours = {process.pid, *children(process.pid).values()}
            for number in ours:
                if process.poll() is None:
                    os.kill(number, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for the processes in /proc")
def test_a_dead_process_ends_the_run(running, tmp_path):
    os.kill(children(running.pid)[1], signal.SIGKILL)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "bonectl train: process 0 of 2 lost the others" in said
    assert "--resume" in said
    assert "Traceback" not in said.partition("lost the others")[0]
    assert Checkpoint.load(tmp_path / "x").steps % 5 == 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for the processes in /proc")
def test_a_signal_to_one_process_stops_all_and_the_state_is_whole(running, tmp_path):
    os.kill(children(running.pid)[1], signal.SIGTERM)
    running.communicate(timeout=120)
    steps = Checkpoint.load(tmp_path / "x").steps
    line = [*TWO_LINE, *QUICK, "--batch", "1", "--steps", "100000", "--every", "5", "-o", "x", "--resume"]
    with subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True) as process:
        time.sleep(30)
        process.send_signal(signal.SIGTERM)  # torchrun hands it on
        process.communicate(timeout=120)
    assert Checkpoint.load(tmp_path / "x").steps > steps > 0


def test_one_process_alone_exchanges_nothing():
    assert ALONE.leads
    assert ALONE.mean([1.0, 2.5]) == ALONE.told([1.0, 2.5]) == [1.0, 2.5]
    assert ALONE.any(True)
    assert not ALONE.any(False)
    layer = torch.nn.Linear(1, 1)
    assert ALONE.shared(layer) is layer


def test_parts_of_a_batch_are_the_whole():
    whole = torch.arange(6.0)
    assert torch.equal(torch.cat([Ranks(rank=rank, world=3).part(whole) for rank in range(3)]), whole)
