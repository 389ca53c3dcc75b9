"""Small inputs of every kind, made once; ways to run a line in this process and as one of its own."""

import contextlib
import os
import resource
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from tests.faults import contract, tally

HERE = Path(__file__).parent
PATIENCE = 90  # s that a process may take
CPU = 30  # s of the processor that a line in this process may take
ROOM = 2 << 30  # bytes that it may map beyond what is mapped already
NETWORK = "--model unet2d(width=4,scales=2) --batch 1 --patch 16 --threads 1 --no-picture"
MADE = f"""
bonectl phantom iliac --shape 8,32,32 --voxel-size 0.03 --seed 1 -o bone.npy
bonectl convert bone.npy -o bone.tif
bonectl convert bone.npy -o bone.ome.tif
bonectl convert bone.npy --bare -o bare.npy
bonectl convert bone.npy -o slices/b_%03d.tif
bonectl simulate bone.npy --views 24 --oversample 1 --energy 25 --flats flats.npy --darks darks.npy -o scan.npy
bonectl reconstruct scan.npy --flats flats.npy --darks darks.npy --unit mgHA/cm3 -o fbp.npy
bonectl train fbp.npy -t bone.npy --steps 4 --every 2 {NETWORK} -o net.safetensors
"""


class Hang(BaseException):
    """No end in sight; not an Exception, which the command line would translate."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.slow)


def surroundings(folder):
    """Environment of a process: nothing but what it needs, temporary files in the folder, no clock in its output."""
    kept = ("PATH", "HOME", "PYTHONPATH", "LANG", "LC_ALL")
    fixed = {"TMPDIR": str(folder / contract.TEMPORARY), "SOURCE_DATE_EPOCH": "1700000000", "OPENBLAS_NUM_THREADS": "1"}
    return {name: os.environ[name] for name in kept if name in os.environ} | fixed


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with a small input of every kind; not to be written to."""
    import tifffile

    folder = tmp_path_factory.mktemp("made")
    (folder / contract.TEMPORARY).mkdir()
    for line in filter(None, MADE.splitlines()):
        subprocess.run(
            [*shlex.split(line.replace("(", "'(").replace(")", ")'")), "-q"],
            cwd=folder, env=surroundings(folder), check=True, timeout=PATIENCE,
        )  # fmt: skip
    bone = np.load(folder / "bone.npy")
    np.save(folder / "mask.npy", (np.indices(bone.shape)[1:] > 4).all(axis=0).astype(np.uint8))
    tifffile.imwrite(folder / "deflated.tif", bone, compression="zlib", photometric="minisblack")
    tifffile.imwrite(folder / "big.tif", bone, bigtiff=True, photometric="minisblack")
    angles = np.arange(24) * 7.5
    np.save(folder / "angles.npy", angles)
    np.savetxt(folder / "angles.txt", angles)
    np.save(folder / "plain.npy", np.load(folder / "scan.npy"))
    return folder


@pytest.fixture(scope="session")
def large(made, tmp_path_factory):
    """A folder with inputs that keep a process busy for a while after it has begun; not to be written to."""
    folder = tmp_path_factory.mktemp("large")
    (folder / contract.TEMPORARY).mkdir()
    for line in (
        "bonectl phantom iliac --shape 32,128,128 --voxel-size 0.03 --seed 1 -o large.npy -q",
        "bonectl denoise large.npy -m 'gaussian(sigma=1)' -o smooth.npy -q",
        "bonectl simulate large.npy --views 90 --oversample 1 --energy 25 --unit transmission -o large.scan.npy -q",
    ):
        subprocess.run(shlex.split(line), cwd=folder, env=surroundings(folder), check=True, timeout=PATIENCE)
    shutil.copy(made / "net.safetensors", folder)
    return folder


@pytest.fixture
def copied(made, tmp_path, monkeypatch):
    """The small inputs in a folder of the test's own, with its temporary files in it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / contract.TEMPORARY))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return tmp_path


@pytest.fixture
def faults(request):
    """The tally of this test, which the table at the end of all tests counts."""
    kept = tally.Tally(request.node.name)
    request.node.user_properties.append(("faults", kept.counts))
    return kept


@pytest.fixture
def attempt(run):
    """Run a quiet line in this process, with bounds of time and memory; returns how it ended."""

    def hangs(signum, frame):
        raise Hang

    def once(line):
        before = signal.signal(signal.SIGVTALRM, hangs)
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU)
        try:
            with bounded():
                done = run(*shlex.split(line), "-q")
        except Hang:
            return contract.Ended(None, "")
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)
        return contract.Ended(done.status, done.err)

    return once


@contextlib.contextmanager
def bounded():
    """Let this process map no more than some room beyond what it has, so that greed is an error and no swapping."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture
def launch():
    """Start a line of bash as a process group; ``launch(line, folder).end()`` waits, and kills what hangs."""
    started = []

    def once(line, folder, **more):
        started.append(Running(line, folder, **more))
        return started[-1]

    yield once
    for running in started:
        running.close()


class Running:
    """A process group that runs a line in a folder."""

    def __init__(self, line, folder, env=None):
        self.folder = folder
        self.begun = time.monotonic()
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe would stay open while any child of it lives)
        self.process = subprocess.Popen(
            ["bash", "-c", line], cwd=folder, env=env or surroundings(folder), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.said, start_new_session=True,
        )  # fmt: skip

    def signal(self, signum):
        """Send a signal to the process, unless it has ended."""
        self.process.send_signal(signum)

    def end(self, patience=PATIENCE):
        """Wait for the end; returns it, with no status where it had to be killed."""
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            status = None
            self.kill()
        self.said.seek(0)
        with self.said:
            return contract.Ended(status, self.said.read().decode(errors="replace"))

    def kill(self):
        """End the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def close(self):
        """Leave nothing of it."""
        self.kill()
        self.said.close()
