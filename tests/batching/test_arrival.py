"""Scans that arrive are taken once, when they are whole; many small ones share a process."""

import json
import os
import select
import signal
import subprocess
import time

import numpy as np
import pytest
from tests.batching.conftest import outputs, told, write_scan
from tests.batching.test_kills import SHORT, calm
from tests.batching.test_report import MEASURED

from bonectl.batching.servant import Servant
from bonectl.batching.stages import Room


def lines_of(process, count, patience=90):
    """Lines of a batch as they come."""
    found, until = b"", time.monotonic() + patience
    while found.count(b"\n") < count and time.monotonic() < until:
        if select.select([process.stdout], [], [], 0.2)[0]:
            found += os.read(process.stdout.fileno(), 1 << 16)
    return found


def test_a_scan_that_is_copied_slowly_is_taken_once_when_whole(folder, started):
    there = folder("a", pipeline=SHORT)
    process = started("p.toml", "--watch", "--settle", "1")
    assert told(lines_of(process, 1)) == {"a": "done"}
    write_scan(there / "slow.npy", 5, (64, 32, 32))
    data = (there / "slow.npy").read_bytes()
    with (there / "raw" / "slow.npy").open("wb") as file:
        for i in range(4):  # it rests longer than --settle while it is open, and once while it is not
            file.write(data[i * len(data) // 8 : (i + 1) * len(data) // 8])
            file.flush()
            time.sleep(0.3 if i < 3 else 1.6)
    time.sleep(2.5)
    assert not (there / "out" / "slow").exists()
    with (there / "raw" / "slow.npy").open("ab") as file:
        file.write(data[len(data) // 2 :])
    assert told(lines_of(process, 1)) == {"slow": "done"}
    assert np.load(there / "out" / "slow" / "volume.npy").shape == (32, 16, 16)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT)
    assert calm(there) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--watch", "--until", "soon"], "such as 18:00"),
        (["--until", "18:00"], "give both"),
        (["--watch", "--scheduler", "localhost:1"], "leave out --scheduler"),
    ],
)
def test_what_makes_no_sense_of_watching_is_refused(folder, run, words, message):
    folder("a", pipeline=SHORT)
    done = run("batch", "p.toml", *words)
    assert done.status == 2
    assert message in done.err


def test_many_small_jobs_are_done_by_one_process_and_as_single_commands(folder, run, good, monkeypatch):
    begun = []
    start = Servant._started
    monkeypatch.setattr(Servant, "_started", lambda servant: begun.append(servant) or start(servant))
    names = [f"bone_{i}" for i in range(12)]
    text = MEASURED.replace('columns = "facts.csv"', "")
    there = folder(*names, pipeline=text)
    (there / "raw" / "bone_3.npy").write_bytes(b"junk")
    done = run("batch", "p.toml", "-j", "1")
    assert done.status == 65
    assert told(done.out) == {**dict.fromkeys(names, "done"), "bone_3": "failed"}
    record = json.loads((there / "out" / "bone_7" / ".bonectl" / "record.json").read_text())
    assert len(begun) == 1
    assert record["lines"][0]["peak_memory_bytes"] > 1 << 24
    line = "measure raw/bone_7.npy --metrics 'bvtv + tbth' --threshold 0.5 --voxel-size 0.02 --json"
    assert good(line).out == outputs(there)["out/bone_7/numbers.json"]


def test_a_crash_costs_one_job(tmp_path, monkeypatch):
    """A process that is killed while it works on one item: the next is done by another."""
    write_scan(tmp_path / "a.npy", 0)
    os.mkfifo(tmp_path / "stuck.npy")
    servant = Servant(tmp_path, Room())
    try:
        stuck = servant.begin(["info", "stuck.npy"], tmp_path / "log", None)
        time.sleep(0.5)
        assert stuck.poll() is None
        os.killpg(stuck._process.pid, signal.SIGKILL)
        while (ended := stuck.poll()) is None:
            time.sleep(0.02)
        assert ended.statuses == (137,)
        printed, _ = servant.ask(["info", "a.npy", "--json"])
        assert json.loads(printed)["shape"] == [4, 8, 8]
        printed, said = servant.ask(["info", "b.npy", "--json"])
        assert printed == ""
        assert "b.npy" in said
    finally:
        servant.end()


def test_a_full_disk_fails_some_and_harms_none(tmp_path, run, small_disk):
    there = small_disk(256 << 10)
    for name in ("a", "b", "c"):
        write_scan(tmp_path / "raw" / f"{name}.npy", 1, (4, 32, 32))
    write_scan(tmp_path / "raw" / "big.npy", 1, (64, 64, 64))
    text = SHORT.replace("bin = 2", "bin = 1").replace('"out/', f'"{there.name}/')
    (tmp_path / "p.toml").write_text(text)
    done = run("batch", "p.toml")
    states = told(done.out)
    assert states["big"] == "failed"
    assert done.status in (73, 74)
    assert "no space left" in done.out.decode()
    assert states["a"] == "done"
    assert not list(there.rglob(".bonectl-*"))
    (tmp_path / "raw" / "big.npy").unlink()
    assert run("batch", "p.toml").status == 0


def test_a_target_that_is_read_only_is_told_before_the_work(tmp_path, run, small_disk):
    there = small_disk(256 << 10)
    write_scan(tmp_path / "raw" / "a.npy", 1)
    (tmp_path / "p.toml").write_text(SHORT.replace('"out/', f'"{there.name}/'))
    subprocess.run(["mount", "-o", "remount,ro", str(there)], check=True)
    done = run("batch", "p.toml")
    assert done.status in (74, 77)
    assert f"{there.name}: read-only file system" in done.err


def test_more_disk_than_there_is_is_refused_with_both_numbers(tmp_path, run, small_disk, monkeypatch):
    from bonectl.batching import estimates

    monkeypatch.setattr(estimates, "SMALL", 1)  # as if the scans were large
    there = small_disk(256 << 10)
    for name in ("a", "b"):
        write_scan(tmp_path / "raw" / f"{name}.npy", 1, (40, 32, 32))
    (tmp_path / "p.toml").write_text(SHORT.replace("bin = 2", "bin = 1").replace('"out/', f'"{there.name}/'))
    done = run("batch", "p.toml")
    assert done.status == 73
    assert "disk: 0 MiB of disk are needed, 0 MiB are free" in done.err
    assert not (there / "a").exists()
