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


def test_a_pipe_and_files_of_any_order_give_the_same(made, good, shell):
    steps = "badpixels + flats + zingers + log + stripes(size=9) + normalise(air=3)"
    line = f"prepare --steps '{steps}' --flats flats.npy --darks darks.npy -q --no-history"
    good(f"{line} scan.npy -o a.npy")
    good(f"{line} scan.npy --slab 1 --threads 1 -o b.npy")
    good("convert scan.npy --order projection --no-history -o proj.npy")
    good(f"{line} proj.npy -o c.npy")
    good(f"{line} proj.npy --order projection -o turned.npy")
    good("convert turned.npy --order sinogram --no-history -o d.npy")
    done = shell(f"bonectl convert scan.npy --slab 3 | bonectl {line} --threads 3 > e.npy", cwd=made)
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
        ("scan.npy --steps stripes", 2, "write flats or eigenflats before it"),
        ("bone.npy --steps log", 2, "a volume"),
        ("scan.npy --steps zingers --flats flats.npy", 2, "no step looks at them"),
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


# --- in a reconstruction ----------------------------------------------------------------------------------------------

BEAM = "--flats flats.npy --darks darks.npy"


def volumes(made, good, *lines):
    """What each line writes to out.npy."""
    for line in lines:
        good(f"{line} -fo out.npy")
        yield np.load(made / "out.npy")


def test_reconstruct_prepare_is_prepare_and_reconstruct(made, good):
    steps = "badpixels + flats + zingers + stripes(size=9) + normalise(air=3)"
    good(f"prepare scan.npy --steps '{steps}' {BEAM} -o clean.npy")
    one, other = volumes(made, good, "reconstruct clean.npy", f"reconstruct scan.npy --prepare '{steps}' {BEAM}")
    assert one.tobytes() == other.tobytes()
    assert header(made / "out.npy")["history"][-1]["notes"]["steps"].startswith("badpixels(mask=none, ")


def test_flats_as_a_step_and_as_an_option_are_the_same(made, good):
    one, other = volumes(made, good, f"reconstruct scan.npy {BEAM}", f"reconstruct scan.npy --prepare flats {BEAM}")
    assert one.tobytes() == other.tobytes()


def test_a_zero_pixel_of_the_flat_refuses_no_scan(made, good, run):
    flats = np.load(made / "flats.npy")
    flats[:, 2, 7:9] = 0
    flats[:, 4] = 0
    np.save(made / "holes.npy", flats)
    refused = run("reconstruct", "scan.npy", "--flats", "holes.npy", "-o", "no.npy")
    assert refused.status == 65
    one, other = volumes(
        made, good, f"reconstruct scan.npy {BEAM}", "reconstruct scan.npy --flats holes.npy --darks darks.npy "
        "--prepare 'badpixels + flats'",
    )  # fmt: skip
    inner = [0, 1, 5]
    np.testing.assert_allclose(other[inner], one[inner], atol=1e-4)
    assert np.abs(other - one).mean() < 0.05 * np.abs(one).mean()


def test_half_the_detector_is_reconstructed_as_a_whole_one(made, good):
    good(
        "simulate bone.npy --energy 25 --noise none --unit 'line integral' "
        "--geometry 'parallel(views=180, arc=360, columns=40, centre=8)' -o half.npy"
    )
    one, other = volumes(made, good, "reconstruct half.npy", "reconstruct half.npy --prepare halfturn")
    assert one.shape == other.shape
    assert np.sqrt(((one - other) ** 2).mean()) < 0.05 * np.sqrt((one**2).mean())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--prepare badpixels --flats flats.npy", "write flats where they belong"),
        ("--prepare 'flats + log + paganin'", "write it before log"),
        ("--prepare 'flats + halfturn' --centre auto", "over 360 degrees, each with one half a turn later"),
        ("--prepare 'flats + halfturn(centre=5)' --centre auto", "give one of them"),
        ("--prepare 'flats + sripes'", "did you mean 'stripes'"),
    ],
)
def test_refused_in_a_reconstruction(made, run, line, said):
    import shlex

    done = run("reconstruct", "scan.npy", *shlex.split(line), "-o", "out.npy")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert said in done.err


def test_a_try_and_an_estimate_take_steps_too(made, good):
    scores = good(f"reconstruct scan.npy --prepare 'flats + stripes(size=9)' {BEAM} --try 27:31:1 --json").out
    assert 28 <= json.loads(scores)["between"] <= 30
    plain, with_steps = (
        json.loads(good(f"reconstruct scan.npy {BEAM} {more} --dry-run --json").out)
        for more in ("", "--prepare 'flats + stripes(method=vo)'")
    )
    assert with_steps["seconds"] > plain["seconds"]
    good(f"reconstruct scan.npy --prepare 'flats + zingers' {BEAM} --centre auto -o auto.npy")


def test_a_folder_with_roles_is_prepared_and_reconstructed_as_it_lies(shared_data, run, tmp_path):
    """The tooth: flats, darks and angles are in the folder; its HDF5 file gives the same bytes."""
    tooth = shared_data / "scans" / "tiff_folder_roles" / "tooth"
    done = run("reconstruct", tooth, "--voxel-size", "0.01", "--no-history", "-o", "plain.npy")
    assert done.status == 0, done.err
    steps = "badpixels + flats + zingers + stripes"
    told = run("reconstruct", tooth, "--voxel-size", "0.01", "--centre", "295.5", "--prepare", steps, "-o", "clean.npy")
    assert told.status == 0, told.err
    assert "zingers: 9 readings" in told.err
    assert np.load(tmp_path / "clean.npy").shape == (2, 640, 640)
    pytest.importorskip("h5py")
    file = shared_data / "scans" / "dxchange_hdf5" / "tooth.h5"
    assert run("reconstruct", file, "--voxel-size", "0.01", "--no-history", "-o", "file.npy").status == 0
    assert np.load(tmp_path / "file.npy").tobytes() == np.load(tmp_path / "plain.npy").tobytes()


def test_what_a_run_takes_is_what_the_estimate_says(tmp_path, shell):
    """Peak of a process of its own, on a scan that is turned once; the estimate holds within a fifth."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "big.npy", rng.uniform(0.2, 1, (200, 100, 1200)).astype(np.float32))
    line = "bonectl prepare big.npy --axes projection --input-unit transmission --steps 'zingers + stripes' --threads 2"
    done = shell(f"{line} --dry-run --json -o out.npy")
    assert done.returncode == 0, done.stderr.decode()
    plan = json.loads(done.stdout)
    done = shell(f"/usr/bin/env python - {line.removeprefix('bonectl')} -q -o out.npy <<'END'\n{MEASURED}\nEND")
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) == pytest.approx(plan["memory_bytes"], rel=0.2)


MEASURED = """
import resource, sys
from bonectl.cli import boundary
status = boundary.run(sys.argv[1:])
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(status)
"""


# --- tries ------------------------------------------------------------------------------------------------------------


def test_tries_are_the_slices_that_reconstruct_makes(made, good, run):
    """Each try is the slice of the whole way with that value, and the sheet is a picture."""
    done = good(
        f"prepare scan.npy --steps 'badpixels + flats' {BEAM} --try 'stripes(size=5:13:4)' --slice 2 "
        "--sheet s.png -o t.npy"
    )
    lines = [line.split("\t") for line in done.out.decode().splitlines()]
    assert [line[0] for line in lines] == ["value", "5", "9", "13"]
    changed = [float(line[1]) for line in lines[1:]]
    assert changed == sorted(changed)  # the wider a stripe may be, the more is taken off
    assert changed[0] > 0
    tries = np.load(made / "t.npy")
    for number, size in enumerate((5, 9, 13)):
        steps = f"badpixels + flats + stripes(size={size})"
        [volume] = volumes(made, good, f"reconstruct scan.npy {BEAM} --prepare '{steps}'")
        np.testing.assert_allclose(
            tries[number], volume[2], rtol=1e-4, atol=1e-4
        )  # rows in pairs round otherwise than one alone
    assert (made / "s.png").read_bytes().startswith(b"\x89PNG")
    notes = header(made / "t.npy")["history"][-1]["notes"]
    assert notes["tried"] == "stripes.size = 5, 9, 13"
    assert notes["steps"].startswith("badpixels")
    assert {"flats_sha256", "darks_sha256"} <= set(notes)
    words = good(f"prepare scan.npy --steps 'flats + stripes(size=9)' {BEAM} --try 'stripes(method=smoothing|sorting)'")
    assert [line.split("\t")[0] for line in words.out.decode().splitlines()] == ["value", "smoothing", "sorting"]
    assert run("prepare", "scan.npy", "--try", "stripes(size=5:13:4)", "--sheet", "s.png").status == 73


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--try stripes", "give part(knob=FROM:TO:STEP)"),
        ("--try 'stripes(sise=5:9:2)'", "did you mean 'size'"),
        ("--try 'sripes(size=5:9:2)'", "did you mean 'stripes'"),
        ("--try 'stripes(size=5:9:2)' --dry-run", "give a file, and no --dry-run"),
        ("--try 'stripes(size=5:9:2)' --slice 6", "there is no slice 6; the scan has 6 rows"),
        ("--try 'stripes(size=5:9:2)' --sheet a.jpg", "name it FILE.png"),
        ("--slice 2", "are for --try"),
        ("--steps 'flats + stripes + stripes' --try 'stripes(size=5:9:2)'", "stands in the steps 2 times"),
        ("--try 'stripes(size=5:900:2)'", "at most 200"),
    ],
)
def test_refused_tries(made, run, line, said):
    import shlex

    done = run("prepare", "scan.npy", *shlex.split(line))
    assert (done.status, done.err.count("\n")) == (2, 1), done.err
    assert said in done.err


@pytest.mark.parametrize(("steps", "bytes_each"), [("flats", 2), ("flats + log", 2), ("badpixels + flats", 4)])
def test_projections_are_turned_while_they_are_small(made, good, monkeypatch, steps, bytes_each):
    """Before steps that take either order; the values are those of a scan that had been turned by hand."""
    from bonectl.stacks import view_order

    good("convert scan.npy --order projection --dtype uint16 -o proj.npy")
    good("convert proj.npy --order sinogram -o turned.npy")
    line = f"--prepare '{steps}' --flats flats.npy --darks darks.npy"
    good(f"reconstruct turned.npy {line} -o a.npy")
    monkeypatch.setattr(view_order, "SHARE", 0)  # nothing is held
    plan = json.loads(good(f"reconstruct proj.npy {line} --dry-run --json").out)
    assert plan["scratch_bytes"] == np.load(made / "proj.npy").size * bytes_each
    done = good(f"reconstruct proj.npy {line} -o b.npy")
    assert "by way of a temporary file" in done.err
    assert np.array_equal(np.load(made / "a.npy"), np.load(made / "b.npy"))
