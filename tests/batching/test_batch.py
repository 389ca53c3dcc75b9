"""A batch over real processes: what single commands would make, once, and again only where something changed."""

import hashlib
import json
import os
import subprocess

import numpy as np
import pytest
import tifffile
from tests.batching.conftest import PIPELINE, leftovers, outputs, told, write_scan

MASKED = """
scans = "raw/**"
output = "out/{scan}"
[[step]]
run = "measure"
metrics = "bvtv"
mask = "masks/{name}.npy"
threshold = 0.5
voxel-size = 0.02
keep = "n.json"
"""

EIGHT = ("a", "b", "sub/c", "d", "e", "f", "g")


def records(folder):
    return {
        str(path.parents[1].relative_to(folder / "out")): json.loads(path.read_text())
        for path in (folder / "out").rglob("record.json")
    }


def starts(folder):
    """When each scan was last begun, which tells whether it was run again."""
    return {path.parents[1].name: path.stat().st_mtime_ns for path in (folder / "out").rglob("log.txt")}


def single(folder, name, place):
    """The lines that one would type for one scan."""
    source, made = f"raw/{name}.npy", f"{place}/{name}"
    (folder / made).mkdir(parents=True)
    lines = [
        f"bonectl convert {source} --bin 2 | bonectl convert --crop 0:2,:,: -o {made}/volume.npy",
        f"bonectl info {made}/volume.npy --json > {made}/told.json",
    ]
    for line in lines:
        subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, check=True, capture_output=True)


def test_eight_scans_of_which_one_is_bad(folder, run):
    there = folder(*EIGHT)
    (there / "raw" / "h.npy").write_bytes(b"junk, no array")
    done = run("batch", "p.toml", "-j", "2")
    assert done.status == 65
    assert told(done.out) == {**dict.fromkeys(EIGHT, "done"), "h": "failed"}
    assert "8 scans: 7 done, 1 failed" in done.err
    made = outputs(there)
    assert len(made) == 14
    for name in EIGHT[1:3]:  # byte for byte, in the names that a person would type
        (there / "out").rename(there / "batch")
        single(there, name, "out")
        for file in ("volume.npy", "told.json"):
            assert (there / "out" / name / file).read_bytes() == made[f"out/{name}/{file}"]
        subprocess.run(["rm", "-r", str(there / "out")], check=True)
        (there / "batch").rename(there / "out")
    assert not leftovers(there)

    record = records(there)["sub/c"]
    assert record["schema"] == "bonectl.batch/1"
    assert record["state"] == "done"
    assert [line["statuses"] for line in record["lines"]] == [[0, 0], [0]]
    volume = record["lines"][0]["outputs"][0]
    assert volume["sha256"] == hashlib.sha256(made["out/sub/c/volume.npy"]).hexdigest()
    raw = there / "raw" / "sub" / "c.npy"
    assert record["inputs"][0]["sha256"] == hashlib.sha256(raw.read_bytes()).hexdigest()
    assert record["inputs"][0]["modified_ns"] == raw.stat().st_mtime_ns
    assert all(line["peak_memory_bytes"] > 1 << 20 and line["seconds"] > 0 for line in record["lines"])
    failed = records(there)["h"]
    assert failed["status"] == 65
    assert failed["message"].startswith("raw/h.npy: ")
    words = str(there).encode()
    for path in (there / "out").rglob("*"):  # no absolute path of an input anywhere
        assert not path.is_file() or words not in path.read_bytes(), path

    before = starts(there)
    again = run("batch", "p.toml")
    assert again.status == 65
    assert told(again.out) == {**dict.fromkeys(EIGHT, "kept"), "h": "failed"}
    assert starts(there) == before
    assert outputs(there) == made

    # a file that is touched, an option that changes, an output that is gone: those scans alone
    os.utime(there / "raw" / "a.npy", ns=(1, 1))
    (there / "out" / "d" / "told.json").unlink()
    text = PIPELINE + '[scan."sub/*"]\n"2.crop" = "1:2,:,:"\n[report]\nwindow = "0:1"\n'
    (there / "p.toml").write_text(text)
    write_scan(there / "raw" / "h.npy", 9)
    planned = {
        line.split("\t")[0]: line.split("\t")[-1]
        for line in run("batch", "p.toml", "--dry-run").out.decode().splitlines()
    }
    assert planned["a"] == "run: its files changed"
    assert planned["d"] == "run: told.json is not there as it was written"
    assert planned["sub/c"] == "run: step 1 changed"
    assert planned["b"] == "kept: kept"
    done = run("batch", "p.toml")
    assert done.status == 0
    states = told(done.out)
    assert {name for name, state in states.items() if state == "done"} == {"a", "d", "sub/c", "h"}
    assert np.load(there / "out" / "sub" / "c" / "volume.npy").shape == (1, 4, 4)
    after = starts(there)
    assert {name for name in after if after[name] != before[name]} == {"a", "d", "c", "h"}


def test_a_changed_step_starts_from_what_was_kept_before_it(folder, run):
    there = folder("a")
    assert run("batch", "p.toml").status == 0
    volume = (there / "out" / "a" / "volume.npy").stat().st_mtime_ns
    (there / "p.toml").write_text(PIPELINE.replace('run = "info"', 'run = "info"\nstats = true'))
    assert told(run("batch", "p.toml").out) == {"a": "done"}
    assert "statistics" in json.loads((there / "out" / "a" / "told.json").read_text())
    assert (there / "out" / "a" / "volume.npy").stat().st_mtime_ns == volume


def test_what_failed_by_its_data_waits_for_a_change_and_what_is_skipped_counts_for_nothing(folder, run):
    there = folder("a", "b", pipeline=PIPELINE + '[scan."b"]\nskip = "only a test"\n')
    (there / "raw" / "a.npy").write_bytes(b"junk")
    assert run("batch", "p.toml").status == 65
    first = starts(there)
    assert "as before; --retry-failed" in run("batch", "p.toml").out.decode()
    assert starts(there) == first
    assert run("batch", "p.toml", "--retry-failed").status == 65
    assert starts(there) != first
    write_scan(there / "raw" / "a.npy", 0)
    done = run("batch", "p.toml")
    assert (done.status, told(done.out)) == (0, {"a": "done", "b": "skipped"})
    redone = run("batch", "p.toml", "--redo", "a")
    assert told(redone.out)["a"] == "done"


def test_a_mask_that_comes_later_is_noticed(folder, run):
    there = folder("a", pipeline=MASKED)
    done = run("batch", "p.toml")
    assert done.status == 66
    assert "masks/a.npy" in done.out.decode()
    (there / "masks").mkdir()
    np.save(there / "masks" / "a.npy", np.ones((4, 8, 8), np.uint8))
    assert told(run("batch", "p.toml").out) == {"a": "done"}


def test_a_file_of_somebody_else_is_not_replaced(folder, run):
    there = folder("a")
    (there / "out" / "a").mkdir(parents=True)
    (there / "out" / "a" / "volume.npy").write_bytes(b"mine")
    for _ in range(2):
        assert run("batch", "p.toml").status == 73
        assert (there / "out" / "a" / "volume.npy").read_bytes() == b"mine"
    (there / "out" / "a" / "volume.npy").unlink()
    (there / "out" / "a" / "told.json").write_bytes(b"mine")
    done = run("batch", "p.toml")
    assert done.status == 73
    assert "told.json: exists already" in done.out.decode()


def test_slices_are_one_output(folder, run):
    """One that is gone has all made anew; those of a longer stack before do not stay."""
    text = 'scans = "raw/**"\noutput = "out/{scan}"\n[[step]]\nrun = "convert"\nkeep = "s/%02d.tif"\n'
    there = folder("a", pipeline=text)
    assert run("batch", "p.toml").status == 0
    slices = there / "out" / "a" / "s"
    made = outputs(there)
    assert sorted(path.name for path in slices.iterdir()) == ["00.tif", "01.tif", "02.tif", "03.tif"]
    (slices / "01.tif").unlink()
    assert told(run("batch", "p.toml").out) == {"a": "done"}
    assert outputs(there) == made
    write_scan(there / "raw" / "a.npy", 0, (2, 8, 8))
    assert told(run("batch", "p.toml").out) == {"a": "done"}
    assert sorted(path.name for path in slices.iterdir()) == ["00.tif", "01.tif"]


def test_a_plan_tells_what_would_fail(folder, run):
    folder("a", pipeline=PIPELINE.replace("bin = 2", 'crop = "7:9,:,:"'))
    done = run("batch", "p.toml", "--dry-run")
    assert "would fail: " in done.out.decode()
    assert "1 scan: 1 would fail" in done.err


def test_a_plan_tells_of_each_scan_that_cannot_be_read(folder, run):
    """Also where the first step has no plan of its own: it was said to run."""
    there = folder("a", pipeline='scans = "raw/**"\n[[step]]\nrun = "info"\nkeep = "told.json"\n')
    (there / "raw" / "b.npy").write_bytes(b"no numbers")
    done = run("batch", "p.toml", "--dry-run")
    last = [line.split("\t")[-1] for line in done.out.decode().splitlines()]
    assert last[0] == "run: new"
    assert last[1].startswith("would fail: raw/b.npy")
    assert "2 scans: 1 run, 1 would fail" in done.err


def test_a_root_that_is_no_folder_is_called_as_it_was_typed(folder, run):
    folder("a")
    done = run("batch", "p.toml", "/nonexist")
    assert done.status == 66
    assert done.err.startswith("bonectl batch: /nonexist: is no folder")


def test_what_looks_like_a_scan_and_cannot_be_read_is_counted(folder, run):
    """HDF5 that is cut short, empty files and links to what is gone were passed over, and the batch ended with 0."""
    h5py = pytest.importorskip("h5py")
    there = folder("good", pipeline=PIPELINE + '[report]\ntable = "t.tsv"\nsheet = "s.html"\n')
    with h5py.File(there / "whole.h5", "w") as file:
        file["exchange/data"] = np.ones((3, 4, 5), np.float32)
    (there / "raw" / "cut.h5").write_bytes((there / "whole.h5").read_bytes()[:1500])
    (there / "raw" / "empty.nxs").write_bytes(b"")
    (there / "raw" / "gone.h5").symlink_to("nowhere.h5")
    (there / "raw" / "unmounted").symlink_to("disk/unmounted")
    (there / "raw" / "latest.txt").symlink_to("nowhere.txt")  # no scan by its name
    frames = there / "raw" / "frames"
    frames.mkdir()
    for name in ("flat_0.tif", "flat_1.tif", "dark_0.tif"):
        tifffile.imwrite(frames / name, np.zeros((4, 5), np.uint16))
    flats = there / "raw" / "flats_alone"
    flats.mkdir()
    tifffile.imwrite(flats / "flat_0.tif", np.zeros((4, 5), np.uint16))
    (flats / "angles.txt").write_text("0\n90\n")
    wrong = {"cut": "65", "empty": "65", "flats_alone": "66", "frames": "66", "gone": "66", "unmounted": "66"}
    done = run("batch", "p.toml")
    assert done.status == 65
    assert told(done.out) == {"good": "done", **dict.fromkeys(wrong, "failed")}
    assert told(run("batch", "p.toml", "--status").out) == told(done.out)
    rows = [line.split("\t") for line in (there / "out" / "t.tsv").read_text().splitlines()[1:]]
    assert {row[0]: row[2] for row in rows} == {"good": "", **wrong}
    assert all(row[3].startswith(f"raw/{row[0]}") for row in rows if row[0] != "good")
    assert "7 scans: 6 failed, 1 done." in (there / "out" / "s.html").read_text()
    assert "# 7 scans (" in run("batch", "--init", "raw").out.decode()


def test_a_first_file_for_nothing_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run("batch", "--init", "empty")
    assert (done.status, done.out) == (66, b"")
    assert "no scan found below" in done.err


def test_an_override_that_fits_no_scan_is_told(folder, run):
    folder("hip_07", "b", pipeline=PIPELINE + '[scan."hip_7"]\nskip = true\n')
    done = run("batch", "p.toml", "--status")
    assert """[scan."hip_7"] fits no scan (did you mean 'hip_07'?)""" in done.err


def test_status_and_only(folder, run):
    folder("a", "b")
    assert told(run("batch", "p.toml", "--status").out) == {"a": "waiting", "b": "waiting"}
    assert told(run("batch", "p.toml", "--only", "b").out) == {"b": "done"}
    lines = run("batch", "p.toml", "--status", "--json").out.decode().splitlines()
    assert [(json.loads(line)["scan"], json.loads(line)["state"]) for line in lines] == [
        ("a", "waiting"),
        ("b", "done"),
    ]
    assert run("batch", "p.toml", "--only", "c").status == 2
    assert run("batch").status == 2


def test_a_first_file_is_right_as_it_is(folder, run):
    there = folder("a", "b")
    text = run("batch", "--init", "raw").out.decode()
    (there / "first.toml").write_text(text)
    planned = run("batch", "first.toml", "--dry-run", "--json")
    assert planned.status == 0
    lines = [json.loads(line) for line in planned.out.decode().splitlines()]
    assert [line["action"] for line in lines] == ["run", "run"]
    assert lines[0]["what"].startswith("4 z × 8 y × 8 x")
    assert "bonectl measure raw/a.npy" in lines[0]["commands"][0]


@pytest.mark.parametrize(("count", "sizes"), [(3, [9, 8, 7, 6, 5, 4]), (2, [10, 1, 1, 1]), (4, [1, 1])])
def test_shards_are_disjoint_complete_and_even(count, sizes):
    from bonectl.batching.discovery import Found
    from bonectl.batching.shard import Shard

    found = [Found(f"s{i}", None, "npy") for i in range(len(sizes))]
    bytes_ = {f"s{i}": size for i, size in enumerate(sizes)}
    parts = [[each.scan for each in Shard(i + 1, count).of(found, bytes_)] for i in range(count)]
    assert sorted(name for part in parts for name in part) == sorted(bytes_)
    loads = [sum(bytes_[name] for name in part) for part in parts]
    assert max(loads) - min(loads) <= max(sizes)


@pytest.mark.parametrize(
    ("variables", "asked", "part"),
    [
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "9",
          "SLURM_ARRAY_TASK_STEP": "2"}, "auto", (3, 4)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, "auto", (1, 4)),
        ({"SGE_TASK_ID": "2", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "5", "SGE_TASK_STEPSIZE": "1"}, "auto", (2, 5)),
        ({"SGE_TASK_ID": "undefined", "LSB_JOBINDEX": "4", "LSB_JOBINDEX_END": "6"}, "auto", (4, 6)),
        ({"LSB_JOBINDEX": "0", "PBS_ARRAY_INDEX": "2"}, "auto/3", (2, 3)),
        ({"PBS_ARRAYID": "3"}, "auto/3", (3, 3)),
        ({}, "2/3", (2, 3)),
    ],
)  # fmt: skip
def test_parts_by_the_variables_of_schedulers(monkeypatch, variables, asked, part):
    from bonectl.batching.shard import Shard, parse
    from bonectl.cli.environment import VARIABLES

    for name in VARIABLES:
        if name.startswith(("SLURM", "SGE", "LSB", "PBS")):
            monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert parse(asked) == Shard(*part)


@pytest.mark.parametrize("asked", ["0/3", "4/3", "3", "a/b", "auto", "1/0"])
def test_parts_that_are_none(run, asked, folder, monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    folder("a")
    done = run("batch", "p.toml", "--shard", asked)
    assert done.status == 2
    assert "--shard" in done.err


def test_three_shards_do_what_one_batch_does(folder, run):
    there = folder("a", "b", "c", "d")
    seen = {}
    for part in ("1/3", "2/3", "3/3"):
        done = run("batch", "p.toml", "--shard", part)
        assert done.status == 0
        assert not set(told(done.out)) & set(seen)
        seen |= told(done.out)
    assert seen == dict.fromkeys("abcd", "done")
    assert told(run("batch", "p.toml").out) == dict.fromkeys("abcd", "kept")
    assert not leftovers(there)
