"""The same batch on the workers of dask; one that is killed costs nothing, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.batching.conftest import leftovers, outputs, told
from tests.batching.test_kills import SHORT, calm, children

NAMES = tuple("abcd")


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers of one thread each: the scheduler's file and the workers."""
    pytest.importorskip("distributed", reason="dask.distributed is an extra: pip install 'bonectl[dask]'")
    place = tmp_path / "scheduler.json"
    there = []

    def start(module, *words):
        line = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(place), *words]
        there.append(subprocess.Popen(line, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return there[-1]

    start("dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
    local = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path / "dask"))
    yield place, [start("dask_worker", *local, "--host", "127.0.0.1") for _ in range(2)]
    for process in reversed(there):
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed(cluster, folder, run, started):
    there = folder(*NAMES, pipeline=SHORT)
    place, workers = cluster
    assert run("batch", "p.toml").status == 0
    made = outputs(there)
    subprocess.run(["rm", "-r", str(there / "out")], check=True)
    (there / "raw" / "bad.npy").write_bytes(b"junk")
    process = started("p.toml", "--scheduler", str(place))
    until = time.monotonic() + 90
    while not children(workers[0].pid) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)
    workers[0].send_signal(signal.SIGKILL)
    out, said = process.communicate(timeout=180)
    assert process.returncode == 65, said
    states = told(out)
    assert states.pop("bad") == "failed"
    assert set(states) == set(NAMES)
    assert set(states.values()) <= {"done", "kept"}
    assert outputs(there) == made
    assert leftovers(there) == []
    assert calm(there) == []
    again = started("p.toml", "--scheduler", str(place))
    assert told(again.communicate(timeout=180)[0]) == {**dict.fromkeys(NAMES, "kept"), "bad": "failed"}


def test_a_scheduler_that_is_not_there(folder, run, monkeypatch):
    folder("a", pipeline=SHORT)
    monkeypatch.setattr("bonectl.batching.dask.PATIENCE", 1)
    done = run("batch", "p.toml", "--scheduler", f"127.0.0.1:{os.getpid() % 1000 + 1}")
    assert done.status == 69
    assert "dask" in done.err
