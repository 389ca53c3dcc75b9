"""`bonectl prepare`: what a person types, in real files and pipes."""

import json

import numpy as np
import pytest


@pytest.fixture
def made(good, tmp_path):
    good("phantom iliac --shape 6,40,40 --voxel-size 0.05 -o bone.npy")
    good(
        "simulate bone.npy --views 48 --unit counts --energy 25 --photons 5e4 --flats flats.npy --darks darks.npy "
        "-o scan.npy"
    )
    return tmp_path


def header(path):
    with path.open("rb") as file:
        return json.loads(file.readline().partition(b"# bonectl ")[2].strip())


def test_a_pipe_and_files_of_any_order_give_the_same(made, shell):
    steps = "badpixels + flats + zingers + log + stripes(size=9) + normalise(air=3)"
    beam = "--flats flats.npy --darks darks.npy"
    line = f"bonectl prepare --steps '{steps}' {beam} -q --no-history"
    done = shell(
        f"set -eo pipefail; {line} scan.npy -o a.npy; {line} --slab 1 --threads 1 scan.npy -o b.npy;"
        f"bonectl convert scan.npy --slab 3 | {line} --threads 3 > c.npy;"
        f"bonectl convert scan.npy --order projection --no-history -o proj.npy; {line} proj.npy -o d.npy;"
        f"{line} proj.npy --order projection | bonectl convert --order sinogram --no-history -o e.npy",
        cwd=made,
    )
    assert done.returncode == 0, done.stderr.decode()
    first = np.load(made / "a.npy")
    for other in "bcde":
        assert np.load(made / f"{other}.npy").tobytes() == first.tobytes(), other
    assert header(made / "a.npy")["unit"] == "line integral"


def test_the_history_says_steps_with_all_knobs_and_the_files(made, good):
    good("prepare scan.npy --steps 'flats + stripes(size=9)' --flats flats.npy -o out.npy")
    notes = header(made / "out.npy")["history"][-1]["notes"]
    assert notes["steps"].startswith("flats(mode=mean, before=0) + stripes(method=smoothing, size=9,")
    assert len(notes["flats_sha256"]) == 16


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("scan.npy --steps 'flats + log + paganin'", 2, "write it before log"),
        ("scan.npy --steps stripes", 2, "write flats before it"),
        ("bone.npy --steps log", 2, "a volume"),
        ("scan.npy --darks darks.npy", 2, "--darks without --flats"),
        ("scan.npy --flats nowhere.npy", 66, "nowhere.npy"),
        ("scan.npy --flats bone.npy", 65, "flats are 40 × 40 pixels, the scan 6"),
        ("scan.npy --steps 'flats + shift(table=no.txt)'", 66, "no.txt"),
        ("scan.npy --steps 'flats + stripes' --max-memory 1M", 75, "1 MiB may be taken"),
        ("scan.npy --centre 3000000000", 2, "column"),
    ],
)
def test_refusals_are_one_line_with_their_status(made, run, line, status, said):
    import shlex

    there = sorted(made.iterdir())
    done = run("prepare", *shlex.split(line), "-o", "out.npy")
    assert done.status == status, done.err
    assert said in done.err
    assert done.err.count("\n") == 1
    assert sorted(made.iterdir()) == there


def test_a_plain_file_is_told_what_it_is(made, good):
    lines = np.load(made / "scan.npy")
    np.save(made / "plain.npy", lines.swapaxes(0, 1))
    good(
        "prepare plain.npy --axes projection --input-unit counts --voxel-size 0.05 --angles 180 --centre 30.5 "
        "--flats flats.npy --steps flats -o out.npy"
    )
    told = header(made / "out.npy")
    assert told["geometry"]["centre"] == 30.5
    assert told["axes"] == ["view", "row", "col"]
