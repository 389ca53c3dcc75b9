"""Kill -9, one signal and two, at random times, to commands of every kind: outputs are whole or not there."""

import shutil
import signal
import time

import pytest
from tests.faults import contract

from bonectl.errors import BonectlError

NETWORK = "--model 'unet2d(width=4, scales=2)' --batch 1 --patch 16 --threads 1 --no-picture"
TRAINED = ("out.safetensors", "out.safetensors.resume", "out.safetensors.csv")
COMMANDS = {
    "convert": ("convert large.npy -o out/x_%03d.tif", ("out",)),
    "simulate": (
        "simulate large.npy --views 60 --energy 25 --flats f.npy --darks d.npy -o out.npy",
        ("out.npy", "f.npy", "d.npy"),
    ),
    "reconstruct": ("reconstruct large.scan.npy -o out.npy", ("out.npy",)),
    "prepare": ("prepare large.scan.npy --steps 'stripes + rotate(degrees=1)' -o out.npy", ("out.npy",)),
    "denoise": ("denoise large.npy -m 'gaussian(sigma=3)' -o out.tif", ("out.tif",)),
    "samples": (
        "denoise large.npy -m net.safetensors --samples 4 --sd sd.npy --each out --threads 1 -o mean.npy",
        ("mean.npy", "sd.npy", *(f"out/sample_{number:03d}.npy" for number in range(4))),
    ),
    "measure": ("measure large.npy --map tbth -o out.npy", ("out.npy",)),
    "train": (f"train large.npy -t smooth.npy --steps 100000 --every 5 {NETWORK} -o out.safetensors", TRAINED),
}
ENDLESS = ("train",)
WAYS = {"kill -9": (signal.SIGKILL,), "one signal": (None,), "two signals": (None, None)}
SLOWEST = 6.0  # s of work in which an endless command is struck


@pytest.fixture(scope="session")
def undisturbed(large, tmp_path_factory):
    """How long a command takes, and what it makes, when nothing happens; once for each."""
    known = {}

    def once(name, launch):
        if name not in known:
            folder = tmp_path_factory.mktemp("undisturbed") / "run"
            shutil.copytree(large, folder)
            line, made = COMMANDS[name]
            running = launch(f"exec bonectl {line} -q", folder)
            assert running.end() == contract.Ended(0, "")
            known[name] = time.monotonic() - running.begun, {name: content(folder / name) for name in made}
        return known[name]

    return once


def content(path):
    return contract.look(path) if path.is_dir() else path.read_bytes()


def is_state(path):
    """Whether a file beside a checkpoint, or the checkpoint, can be gone on from."""
    import torch

    from bonectl.training.resume_file import loaded

    if path.suffix != ".resume":
        return contract.is_whole(path)
    try:
        loaded(path, torch.device("cpu"))
    except BonectlError:
        return False
    return True


def strike(running, rng, longest, signals):
    """Send signals at a random time: of all that a run takes, or just after its first temporary file appears."""
    if rng.random() < 0.5:
        time.sleep(rng.uniform(0, longest))
    else:
        limit = time.monotonic() + longest
        while time.monotonic() < limit and not list(running.folder.glob(".bonectl-*")):
            time.sleep(0.003)
        time.sleep(rng.uniform(0, 0.2))
    at = time.monotonic() - running.begun
    sent = []
    for number, signum in enumerate(signals):
        time.sleep(rng.uniform(0, 0.03) if number else 0)
        sent.append(signum or rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
        running.signal(sent[-1])
    return f"{', '.join(signal.Signals(signum).name for signum in sent)} after {at:.2f} s"


def remove_hidden(folder, most):
    """Remove what nobody was there to remove: one hidden name for each output, and a folder that held only these."""
    for left in list(folder.rglob(".bonectl-*"))[:most]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()
        if left.parent != folder and not list(left.parent.iterdir()):
            left.parent.rmdir()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", COMMANDS)
def test_struck(large, faults, launch, undisturbed, tmp_path, name, way):
    line, made = COMMANDS[name]
    longest, right = (SLOWEST, {}) if name in ENDLESS else undisturbed(name, launch)

    folder = tmp_path / "run"

    def whole(path):
        return is_state(path) if name in ENDLESS else content(path) == right[str(path.relative_to(folder))]

    for rng in faults.of(f"{way}: {name}"):
        shutil.copytree(large, folder)
        before = contract.look(folder)
        running = launch(f"exec bonectl {line} -q", folder)
        what = strike(running, rng, longest * 1.05, WAYS[way])
        ended = running.end()
        if way == "kill -9":
            remove_hidden(folder, len(made))
        allowed = {0, -9} if way == "kill -9" else {0, -1, -2, -15}
        found = contract.wrong(ended, folder, before, made=made, allowed=allowed, whole=whole)
        faults.tell(what, ended.status, found, ended.said)
        shutil.rmtree(folder)
