"""`bonectl measure`: intervals, pictures, rods, warnings and volumes with their own references."""

import csv
import io
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bonectl.cli.measure_numbers import Numbers
from bonectl.core.cost import Cost

PLAIN = "--voxel-size 0.02 --input-unit mgHA/cm3"


@pytest.fixture(scope="module")
def bone(tmp_path_factory):
    """Two balls, with noise, their references in a folder, and grey values with the rods that calibrate them."""
    folder = tmp_path_factory.mktemp("measure_output")
    z, y, x = np.mgrid[:20, :20, :20] - 9.5
    (folder / "truth").mkdir()
    for name, radius in (("a", 7), ("b", 5)):
        grey = np.where(z * z + y * y + x * x < radius**2, 1000, 0).astype(np.float32)
        np.save(folder / "truth" / f"{name}.npy", grey)
        np.save(folder / f"{name}.npy", grey + np.random.default_rng(0).normal(0, 100, grey.shape).astype(np.float32))
        np.save(folder / f"{name}_grey.npy", 50 + grey / 10)
    (folder / "rods.tsv").write_text("grey\tdensity_mgha_cm3\n50\t0\n100\t500\n150\t1000\n")
    return folder


def rows(output):
    return {row["name"]: row for row in csv.DictReader(io.StringIO(output.decode()), delimiter="\t")}


def test_a_reference_brings_intervals_and_their_source(shell, bone):
    run = shell(f"bonectl measure a.npy -r truth/a.npy {PLAIN} -m 'bvtv + dice' --intervals 0.16", cwd=bone)
    assert run.returncode == 0, run.stderr
    there = rows(run.stdout)
    bvtv, dice = there["bvtv"], there["dice"]
    assert float(bvtv["difference_low"]) <= float(bvtv["difference"]) <= float(bvtv["difference_high"])
    assert float(dice["value_low"]) <= float(dice["value"]) <= float(dice["value_high"])
    assert (bvtv["value_low"], dice["difference_low"]) == ("", "")
    assert there["intervals"]["value"].startswith("95 %, bootstrap of 8 sub-volumes 0.2 x 0.2 x 0.2 mm apart")
    again = json.loads(
        shell(f"bonectl measure a.npy -r truth/a.npy {PLAIN} -m bvtv --intervals 0.16 --json", cwd=bone).stdout
    )
    row = {row["name"]: row for row in again["rows"]}["bvtv"]
    assert float(bvtv["difference_low"]) == pytest.approx(row["difference_interval"]["low"], rel=1e-8)


def test_a_terminal_shows_intervals(shell, bone):
    run = shell(f"bonectl measure a.npy -r truth/a.npy {PLAIN} -m bvtv --intervals 0.16 --style table", cwd=bone)
    assert "95 % interval" in run.stdout.decode()
    assert "Δ" in run.stdout.decode()


def test_a_small_volume_has_none_and_says_so(shell, bone):
    run = shell(f"bonectl measure a.npy -r truth/a.npy {PLAIN} -m bvtv", cwd=bone)
    assert run.returncode == 0
    assert "no intervals: intervals need 8 sub-volumes" in run.stderr.decode()
    assert rows(run.stdout)["intervals"]["value"].startswith("none: intervals need 8 sub-volumes")


def test_streamed_runs_are_warned_of_too(shell, bone):
    line = f"cat a.npy | bonectl measure {PLAIN} -m 'bvtv + surface' -t 500"
    there = shell(line, cwd=bone)
    assert there.returncode == 0, there.stderr
    assert "plate-model Tb.Sp wide" in rows(there.stdout)["warnings"]["value"]
    assert "plate-model Tb.Sp wide" in there.stderr.decode()
    (warning,) = json.loads(shell(f"{line} --json", cwd=bone).stdout)["warnings"]
    assert warning == rows(there.stdout)["warnings"]["value"]


def test_each_volume_has_its_own_reference_and_picture(shell, bone):
    line = f"bonectl measure a.npy b.npy -r 'truth/{{name}}.npy' {PLAIN} -m 'bvtv + dice' --plot 'page_{{name}}.html'"
    run = shell(line, cwd=bone)
    assert run.returncode == 0, run.stderr
    a, b = csv.DictReader(io.StringIO(run.stdout.decode()), delimiter="\t")
    assert float(a["bvtv_reference"]) > 2 * float(b["bvtv_reference"])
    assert float(b["dice"]) > 0.95
    for name in "ab":
        page = (bone / f"page_{name}.html").read_text()
        assert f"<h1>{name}.npy</h1>" in page
        assert "bonectl measure a.npy b.npy" in page


def test_a_picture_is_written_beside_the_same_numbers(shell, bone):
    plain = shell(f"bonectl measure a.npy {PLAIN} -m 'bvtv + euler' -t 500", cwd=bone)
    drawn = shell(f"bonectl measure - {PLAIN} -m 'bvtv + euler' -t 500 --plot p.png --window=0:1000 < a.npy", cwd=bone)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout == plain.stdout
    assert (bone / "p.png").read_bytes()[:4] == b"\x89PNG"
    assert not list(bone.glob(".bonectl*"))


def test_rods_turn_grey_values_into_density(shell, bone):
    law = "--calibrate 'rods(table=rods.tsv)'"
    grey = "--voxel-size 0.02 --input-unit grey"
    run = shell(f"bonectl measure a_grey.npy {grey} {law} -m 'bvtv + tmd'", cwd=bone)
    assert run.returncode == 0, run.stderr
    there = rows(run.stdout)
    assert float(there["tmd"]["value"]) == pytest.approx(1000)
    assert "3 rods, R² 1.000000" in there["calibration"]["value"]
    piped = shell(
        f"bonectl convert a_grey.npy {grey} {law} | bonectl measure --metrics 'bvtv + tmd' | grep ^tmd", cwd=bone
    )
    assert piped.stdout.decode().splitlines()[0].split("\t")[1] == there["tmd"]["value"]


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        (f"a.npy {PLAIN} --intervals often", 2, "give auto, none, or the least side"),
        (f"a.npy {PLAIN} --intervals 5 -m bvtv", 2, "intervals need 8 sub-volumes, 5 mm apart there are 1"),
        (f"a.npy {PLAIN} --plot p.jpg", 2, "a picture is named .png, a page .html"),
        (f"a.npy {PLAIN} --plot none/p.png", 73, "there is no folder none"),
        (f"a.npy {PLAIN} --plot rods.tsv.png --window 5", 2, "write low:high"),
        (f"a.npy {PLAIN} --plot x.png --window 5:5", 2, "black must lie below white"),
        (f"a.npy {PLAIN} --window 0:5", 2, "--window is of the picture"),
        (f"a.npy b.npy {PLAIN} --plot one.png", 2, "write {name} in it"),
        ("a_grey.npy --voxel-size 0.02 --input-unit grey -m bmd", 2, "calibrate it to mgha/cm3 first"),
        (
            "a_grey.npy --voxel-size 0.02 --input-unit grey --calibrate 'rods(table=no.tsv)'",
            66,
            "no such table of rods",
        ),
        (
            "a_grey.npy --voxel-size 0.02 --input-unit 1/cm --calibrate 'rods(table=rods.tsv)'",
            2,
            "the rods are in grey",
        ),
    ],
)
def test_it_is_refused_in_one_line(shell, bone, line, status, message):
    run = shell(f"bonectl measure {line}", cwd=bone)
    assert run.returncode == status, run.stderr
    assert message in run.stderr.decode().lower()
    assert run.stderr.count(b"\n") == 1
    assert run.stdout == b""


def test_an_existing_picture_is_kept_unless_forced(shell, bone):
    (bone / "old.png").write_bytes(b"mine")
    line = f"bonectl measure a.npy {PLAIN} -m bvtv -t 500 --plot old.png"
    refused = shell(line, cwd=bone)
    assert refused.returncode == 73
    assert (bone / "old.png").read_bytes() == b"mine"
    assert shell(f"{line} --force", cwd=bone).returncode == 0
    assert (bone / "old.png").read_bytes()[:4] == b"\x89PNG"


def test_numbers_alone_import_no_drawing(shell, bone):
    code = (
        "import sys; from bonectl.measuring import bootstrap; from bonectl.ops import measure; "
        "sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    )
    assert shell(f'python -c "{code}"', cwd=bone).returncode == 0


def test_purification_stands_beside_threshold_and_rule(shell, bone):
    """The noise of a ball is gone from its topology, and of the map."""
    line = f"bonectl measure a.npy {PLAIN} -t 250 --purify"
    there = rows(shell(f"{line} -m 'bvtv + euler' --style tsv", cwd=bone).stdout)
    assert there["chi"]["value"] == "1"
    assert there["purification"]["value"].startswith("largest 26-connected piece")
    names = list(there)
    assert names.index("purification") == names.index("threshold_filter") + 1
    told = json.loads(shell(f"{line} -m bvtv --json", cwd=bone).stdout)["conditions"]
    assert told["purification"] == there["purification"]["value"]
    assert shell(f"{line} --map tbth -o map.npy --force", cwd=bone).returncode == 0


def test_a_table_of_several_shows_what_each_was_cut_at_and_how_often_it_is_doubted(run, good):
    for seed in (1, 2):
        good(f"phantom iliac --shape 12,32,32 --voxel-size 0.05 --seed {seed} -q -o b{seed}.npy")
        good(f"denoise b{seed}.npy --model 'gaussian(sigma=1)' -q -o g{seed}.npy")
    told = json.loads(run("measure", "g1.npy", "g2.npy", "-t", "otsu", "-m", "bvtv + tbsp", "--json").out)
    drawn = run("measure", "g1.npy", "g2.npy", "-t", "otsu", "-m", "bvtv + tbsp", "--style", "table").out.decode()
    lines = {line.split()[0]: line.split()[1:] for line in drawn.splitlines() if line.split()}
    cuts = [one["conditions"]["threshold"] for one in told]
    assert cuts[0] != cuts[1]
    assert lines["threshold"] == ["mgHA/cm3", *(f"{cut:.6g}" for cut in cuts)]
    assert lines["warnings"] == [str(len(one["warnings"])) for one in told]


def test_a_dry_run_says_what_would_be_measured_and_reads_no_voxel(shell, tmp_path):
    """A file of 27 GB that holds a header and no voxel: nothing is read, and numbers that stream would fit."""
    from bonectl.core.header import Header
    from bonectl.io import npy

    with (tmp_path / "huge.npy").open("wb") as file:
        file.write(npy.frame(Header(shape=(3000, 3000, 3000), dtype="|u1", unit="grey", spacing=(0.001,) * 3)))
        file.truncate(file.tell() + 3000**3)
    line = "bonectl measure huge.npy -m bvtv+euler --dry-run"
    plan = json.loads(shell(f"{line} -t 100 --json").stdout)
    assert plan["schema"] == "bonectl.plan/1"
    assert (plan["metrics"], plan["threshold"], plan["streams"]) == (["bvtv", "euler"], "fixed(value=100.0)", True)
    assert plan["memory_bytes"] < 3000**3 / 10
    held = shell(f"{line} --max-memory 20G")  # Otsu's threshold needs every voxel
    assert (held.returncode, "take about" in held.stderr.decode()) == (75, True)


def test_a_dry_run_is_of_each_volume_and_ends_as_the_first_that_fails(shell, bone):
    done = shell(f"bonectl measure a.npy b.npy none.npy {PLAIN} -m bvtv --dry-run", cwd=bone)
    blocks = [dict(line.split("\t") for line in block.splitlines()) for block in done.stdout.decode().split("\n\n")]
    assert [block["file"] for block in blocks] == ["a.npy", "b.npy"]
    assert {block["threshold"] for block in blocks} == {"midpoint"}
    assert done.returncode == 66
    done = shell(f"bonectl measure a.npy {PLAIN} --map tbth --dry-run --json -o new.npy", cwd=bone)
    plan = json.loads(done.stdout)
    assert (plan["unit"], plan["dtype"]) == ("mm", "<f4")
    assert not (bone / "new.npy").exists()


def test_a_map_names_what_it_has_no_use_for(shell, bone):
    done = shell(f"bonectl measure a.npy {PLAIN} --map tbth --window 0:1 -m bvtv -o new.npy", cwd=bone)
    assert done.returncode == 2
    assert "leave out --metrics and --window" in done.stderr.decode()


def test_volumes_measured_side_by_side_are_told_as_one_after_another(tmp_path):
    """The same bytes, errors and notes in the same places, whatever the threads."""
    line = "bonectl phantom lattice --shape 12,16,16 --voxel-size 0.02 -o a.npy -q && cp a.npy b.npy && cp a.npy d.npy"
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
    empty = np.zeros((12, 16, 16), np.uint8)
    np.save(tmp_path / "c.npy", empty)
    words = ["a.npy", "b.npy", "c.npy", "d.npy", "--voxel-size", "0.02", "--style", "csv", "-m", "bvtv + tbth + euler"]
    code = (
        "import sys\nfrom bonectl.core import threads\nthreads.available = lambda: 3\n"
        "from bonectl.cli.boundary import run\nsys.exit(run(sys.argv[1:]))"
    )
    done = [
        subprocess.run(
            [sys.executable, "-c", code, "measure", *words, "--threads", count],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )
        for count in ("1", "3")
    ]  # fmt: skip
    assert done[0].stdout == done[1].stdout
    assert done[0].stderr == done[1].stderr
    assert [run.returncode for run in done] == [65, 65]
    assert [row.partition(",")[0] for row in done[1].stdout.splitlines()[1:]] == ["a.npy", "b.npy", "d.npy"]


@pytest.mark.parametrize(
    ("needs", "workers"), [((1, 1, 1, 1), 3), ((1, 3, 1, 1), 1), ((2, 1, 1, 1), 2), ((9, 9, 9, 9), 1)]
)
def test_the_largest_volume_says_how_many_fit_at_a_time(monkeypatch, needs, workers):
    """Of a process that holds 1 GB before, may hold 5, and has 3 threads."""
    monkeypatch.setattr("bonectl.core.memory.resident", lambda: 10**9)
    for name, value in (("count", 3), ("kernels_may_meet", True)):
        monkeypatch.setattr(f"bonectl.core.threads.{name}", lambda value=value: value)
    plans = {
        number: SimpleNamespace(
            cost=lambda need=need: Cost(memory_bytes=(1 + need) * 10**9, memory_limit_bytes=5 * 10**9)
        )
        for number, need in enumerate(needs)
    }
    assert Numbers._workers(SimpleNamespace(picture=None), plans, len(plans)) == workers
