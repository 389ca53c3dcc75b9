"""Kills at any time: started again without a flag, a batch ends as if nothing had been."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.batching.conftest import alive, leftovers, outputs, told

from bonectl.batching import claims

NAMES = ("a", "b", "c")

SHORT = """
scans = "raw/**"
output = "out/{scan}"
[[step]]
run = "convert"
bin = 2
keep = "volume.npy"
[[step]]
run = "info"
keep = "told.json"
"""

REPORTED = f"""{SHORT}
[report]
table = "t.tsv"
sheet = "s.html"
"""


@pytest.fixture
def undisturbed(folder, run, tmp_path):
    """Scans in a folder, and the bytes that a batch makes of them."""
    there = folder(*NAMES, pipeline=SHORT)
    assert run("batch", "p.toml", "-j", "2").status == 0
    made = outputs(there)
    subprocess.run(["rm", "-r", str(there / "out")], check=True)
    return there, made


def children(pid):
    """Processes that a process started, and theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if entry.name.isdigit() and int(fields[1]) == pid and fields[0] != "Z":
            found += [int(entry.name), *children(int(entry.name))]
    return found


def calm(folder, patience=3.0):
    """Wait until nothing works in a folder; what still does then."""
    until = time.monotonic() + patience
    while (there := alive(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    return there


def hurt(folder, started, rng, victim):
    """One batch that is hit by SIGKILL at a random time: a child, or the driver."""
    process = started("p.toml", "-j", "2")
    time.sleep(rng.uniform(0.3, 3.0))
    while victim == "child" and process.poll() is None and not children(process.pid):
        time.sleep(0.005)
    targets = children(process.pid) if victim == "child" else [process.pid]
    if process.poll() is None and targets:
        os.kill(rng.choice(targets), signal.SIGKILL)
    if victim == "driver":
        process.wait()
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


@pytest.mark.parametrize("victim", ["child", "driver"])
@pytest.mark.parametrize("seed", [0, *[pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20)]])
def test_a_batch_that_was_killed_goes_on_by_itself(undisturbed, started, run, victim, seed):
    there, made = undisturbed
    rng = random.Random(f"{victim}{seed}")
    status, out = hurt(there, started, rng, victim)
    if victim == "child":  # begun again at once
        assert status == 0, out
    assert calm(there) == []
    done = run("batch", "p.toml", "-j", "2")
    assert done.status == 0, done.out
    finished = [line.split("\t")[0] for line in (out + done.out.decode()).splitlines() if "\tdone\t" in line]
    assert sorted(set(finished)) == sorted(finished)  # none was done twice
    assert outputs(there) == made
    assert leftovers(there) == []
    assert told(run("batch", "p.toml").out) == dict.fromkeys(NAMES, "kept")


def test_an_output_of_a_process_that_was_killed_after_it_was_there_is_ours(folder, run):
    """Between the output's name and the end of its process: it was taken for a file of somebody else."""
    there = folder("a", pipeline=SHORT)
    assert run("batch", "p.toml").status == 0
    made = outputs(there)
    file = there / "out" / "a" / ".bonectl" / "record.json"
    told = json.loads(file.read_text())
    told["state"], told["status"] = "failed", 75
    told["lines"] = [{**told["lines"][0], "statuses": [137], "outputs": [{"name": "volume.npy", "bytes": -1}]}]
    file.write_text(json.dumps(told))
    (there / "out" / "a" / "told.json").unlink()
    assert run("batch", "p.toml").status == 0
    assert outputs(there) == made


@pytest.mark.parametrize(
    "after", [0.3, *[pytest.param(after, marks=pytest.mark.slow) for after in (0.0, 0.1, 0.6, 1.0, 1.5)]]
)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_batch_that_is_asked_to_end_takes_its_processes_along(folder, started, run, number, status, after):
    """Also one that writes a report in the end: it waited for ever for leave to write it."""
    there = folder(*NAMES, pipeline=REPORTED)
    process = started("p.toml", "-j", "2")
    while not children(process.pid):
        time.sleep(0.01)
    time.sleep(after)
    begun = time.monotonic()
    process.send_signal(number)
    process.send_signal(number)  # of a hand that does not wait
    process.communicate(timeout=20)
    assert time.monotonic() - begun < 5  # two on a machine that has nothing else to do
    assert process.returncode in (status, -number)
    assert calm(there) == []
    assert leftovers(there) == []
    assert (there / "out" / "t.tsv").read_text().count("\n") == 1 + len(NAMES)
    states = told(run("batch", "p.toml", "--status").out)
    assert set(states.values()) <= {"done", "interrupted", "waiting"}
    assert "done" not in states.values() or len(set(states.values())) > 1


def test_two_batches_on_one_folder_share_the_work(folder, started):
    there = folder(*NAMES, pipeline=SHORT)
    two = [started("p.toml", "-j", "1"), started("p.toml", "-j", "1")]
    said = [process.communicate(timeout=120)[0] for process in two]
    assert [process.returncode for process in two] == [0, 0]
    states = [told(out) for out in said]
    for name in NAMES:
        assert sorted(state[name] for state in states) == ["done", "kept"]
    assert leftovers(there) == []


def test_a_claim_lasts_as_long_as_a_process_that_has_it(tmp_path):
    held = claims.claim(tmp_path, "sub/a")
    assert held is not None
    assert claims.claim(tmp_path, "sub/a") is None
    assert claims.is_claimed(tmp_path, "sub/a")
    assert not claims.is_claimed(tmp_path, "sub_a")
    child = subprocess.Popen(["sleep", "60"], pass_fds=[held.descriptor])
    os.close(held.descriptor)  # as when the driver is killed
    assert claims.claim(tmp_path, "sub/a") is None
    child.kill()
    child.wait()
    again = claims.claim(tmp_path, "sub/a")
    assert again is not None
    again.release()
    assert list(tmp_path.iterdir()) == []
