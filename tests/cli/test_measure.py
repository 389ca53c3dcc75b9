"""`bonectl measure` as a process: what it prints where, and how it refuses."""

import csv
import io
import json
import os
import signal
import subprocess

import numpy as np
import pytest

PLAIN = "--voxel-size 0.02 --input-unit mgHA/cm3"


@pytest.fixture(scope="module")
def bone(tmp_path_factory):
    """A small ball, and the same with noise."""
    folder = tmp_path_factory.mktemp("measure")
    z, y, x = np.mgrid[:20, :20, :20] - 9.5
    grey = np.where(z * z + y * y + x * x < 49, 1000, 0).astype(np.float32)
    np.save(folder / "ball.npy", grey)
    np.save(folder / "noisy.npy", grey + np.random.default_rng(0).normal(0, 100, grey.shape).astype(np.float32))
    np.save(folder / "mask.npy", np.ones((20, 20, 20), np.uint8))
    return folder


def rows(output):
    return {row["name"]: row for row in csv.DictReader(io.StringIO(output.decode()), delimiter="\t")}


def test_a_pipe_gets_tsv(shell, bone):
    run = shell(f"bonectl measure ball.npy {PLAIN} --metrics 'bvtv + euler' | cat", cwd=bone)
    assert run.returncode == 0, run.stderr
    there = rows(run.stdout)
    assert (there["chi"]["value"], there["threshold"]["value"], there["threshold_rule"]["value"][:8]) == (
        "1",
        "525",
        "midpoint",
    )
    assert run.stderr == b""


def test_json_has_a_versioned_schema_and_histograms(shell, bone):
    run = shell(f"bonectl measure {PLAIN} --json --metrics 'bvtv + tmd' --threshold 300 < ball.npy", cwd=bone)
    assert run.returncode == 0, run.stderr
    there = json.loads(run.stdout)
    assert there["schema"] == "bonectl.measure/1"
    assert there["conditions"]["threshold"] == 300
    assert there["histograms"][0]["name"] == "tmd"


def test_a_terminal_gets_a_table(shell, bone):
    """`script` gives the command a terminal."""
    line = f"script -qec \"bonectl measure ball.npy {PLAIN} --metrics 'bvtv'\" /dev/null"
    if shell("command -v script").returncode:
        pytest.skip("needs script(1) of util-linux")
    run = shell(line, cwd=bone, env={"TERM": "dumb"})
    assert run.returncode == 0
    assert "bone volume fraction" in run.stdout.decode()
    assert "\t" not in run.stdout.decode()


def test_everything_against_a_reference(shell, bone):
    run = shell(f"bonectl measure noisy.npy --reference ball.npy {PLAIN} --mask mask.npy", cwd=bone)
    assert run.returncode == 0, run.stderr
    there = rows(run.stdout)
    assert float(there["psnr"]["value"]) == pytest.approx(20 * np.log10(1050 / 100), abs=0.2)
    assert "range 1050 mgHA/cm3" in there["psnr"]["definition"]
    assert there["chi"]["reference"] == "1"
    assert float(there["bvtv"]["percent"]) == pytest.approx(0, abs=1)


def test_pipe_file_and_slab_print_the_same(shell, bone):
    names = "--metrics 'bvtv + euler + tmd + components'"
    file = shell(f"bonectl measure ball.npy {PLAIN} {names}", cwd=bone).stdout
    assert file
    assert shell(f"cat ball.npy | bonectl measure {PLAIN} {names}", cwd=bone).stdout == file
    assert shell(f"bonectl measure ball.npy {PLAIN} {names} --threads 1", cwd=bone).stdout == file


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        (f"bonectl measure ball.npy {PLAIN} --threshold 5000", 65, "holds no bone"),
        (f"bonectl measure ball.npy {PLAIN} --threshold=-1", 65, "nothing but bone"),
        (f"bonectl measure ball.npy {PLAIN} --metrics tbthh", 2, "did you mean 'tbth'"),
        (f"bonectl measure ball.npy {PLAIN} --metrics psnr", 2, "give --reference"),
        ("bonectl measure ball.npy --input-unit counts --voxel-size 0.02", 2, "counts"),
        ("bonectl measure ball.npy", 2, "--voxel-size"),
        (f"bonectl measure none.npy {PLAIN}", 66, "none.npy"),
        (f"bonectl measure ball.npy {PLAIN} --reference none.npy", 66, "none.npy"),
        (f"head -c 9000 ball.npy | bonectl measure {PLAIN}", 65, ""),
        (f"bonectl measure ball.npy {PLAIN} --json --style tsv", 2, "choose one"),
        (f"bonectl measure {PLAIN} --reference - < ball.npy", 2, "as files"),
        (f"bonectl measure nan.npy {PLAIN}", 65, "nan"),
    ],
)
def test_it_is_refused_in_one_line(shell, bone, line, status, message):
    wrong = np.load(bone / "ball.npy")
    wrong[3, 4, 5] = np.nan
    np.save(bone / "nan.npy", wrong)
    run = shell(line, cwd=bone)
    assert run.returncode == status, run.stderr
    assert run.stderr.count(b"\n") == 1
    assert message in run.stderr.decode().lower()
    assert run.stdout == b""


def test_measuring_imports_no_torch(shell, bone):
    code = (
        "import sys, numpy as np; from bonectl.core.header import Header; from bonectl.core.stack import Stack; "
        "from bonectl.ops.measure import measure; a = np.load('ball.npy'); "
        "measure(Stack.of(a, Header(shape=a.shape, spacing=(0.02,) * 3, unit='mgHA/cm3'))); "
        "sys.exit('torch' in sys.modules)"
    )
    assert shell(f'python -c "{code}"', cwd=bone).returncode == 0


def test_several_volumes_get_a_line_each(shell, bone):
    line = (
        f"bonectl measure ball.npy - {PLAIN} --reference ball.npy --mask mask.npy -m 'bvtv + euler + dice' < noisy.npy"
    )
    run = shell(line, cwd=bone)
    assert run.returncode == 0, run.stderr
    first, second = csv.DictReader(io.StringIO(run.stdout.decode()), delimiter="\t")
    assert (first["file"], second["file"]) == ("ball.npy", "-")
    assert (first["dice"], first["bvtv_difference"], first["threshold"]) == ("1", "0", "525")
    assert (second["dice"], second["chi_reference"]) == ("1", "1")
    single = rows(shell(f"bonectl measure noisy.npy {PLAIN} --mask mask.npy -m bvtv", cwd=bone).stdout)
    assert second["bvtv"] == single["bvtv"]["value"]


def test_several_volumes_are_a_list_in_json_with_a_line_for_each(shell, bone):
    run = shell(f"bonectl measure ball.npy noisy.npy {PLAIN} --json -m 'bvtv'", cwd=bone)
    assert [table["file"] for table in json.loads(run.stdout)] == ["ball.npy", "noisy.npy"]
    lines = run.stdout.decode().splitlines()
    assert [len(lines), lines[0], lines[-1]] == [4, "[", "]"]
    assert json.loads(lines[2].lstrip(","))["file"] == "noisy.npy"


def test_a_terminal_gets_a_column_for_each(shell, bone):
    run = shell(f"bonectl measure ball.npy noisy.npy {PLAIN} --style table -m 'bvtv'", cwd=bone)
    assert run.returncode == 0, run.stderr
    head = run.stdout.decode().splitlines()[1]
    assert head.split() == ["name", "unit", "ball.npy", "noisy.npy"]


def test_a_bad_volume_costs_no_other_its_line(shell, bone):
    """A missing one is told before the work, one without bone when its turn comes; the first decides the status."""
    np.save(bone / "marrow.npy", np.zeros((20, 20, 20), np.float32))
    line = f"bonectl measure ball.npy marrow.npy noisy.npy none.npy {PLAIN} -m bvtv"
    run = shell(line, cwd=bone)
    assert run.returncode == 65
    assert [row["file"] for row in csv.DictReader(io.StringIO(run.stdout.decode()), delimiter="\t")] == [
        "ball.npy", "noisy.npy",
    ]  # fmt: skip
    first, second = run.stderr.decode().splitlines()
    assert first.startswith("bonectl measure: none.npy: ")
    assert second.startswith("bonectl measure: marrow.npy: the volume holds no bone")
    other = shell(f"bonectl measure none.npy marrow.npy noisy.npy {PLAIN} -m bvtv --json", cwd=bone)
    assert other.returncode == 66
    assert [table["file"] for table in json.loads(other.stdout)] == ["noisy.npy"]
    assert shell(f"bonectl measure marrow.npy none.npy {PLAIN} -m bvtv --json", cwd=bone).stdout == b""


def test_lines_are_there_before_the_next_volume_is_read(bone):
    """The second volume is a pipe that nobody has written to yet."""
    os.mkfifo(bone / "late.npy")
    line = ["bonectl", "measure", "ball.npy", "late.npy", *PLAIN.split(), "-m", "bvtv", "--style", "csv"]
    with subprocess.Popen(line, cwd=bone, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith(b"file,")
        assert run.stdout.readline().startswith(b"ball.npy,20 20 20,")
        (bone / "late.npy").write_bytes((bone / "noisy.npy").read_bytes())
        assert run.stdout.readline().startswith(b"late.npy,20 20 20,")
    assert run.returncode == 0


@pytest.mark.parametrize("style", ["json", "table"])
def test_an_interrupted_run_keeps_what_was_measured(bone, style):
    """As a whole document; the second volume is a pipe that nobody writes to."""
    os.mkfifo(bone / f"never_{style}.npy")
    line = ["bonectl", "measure", "ball.npy", f"never_{style}.npy", *PLAIN.split(), "-m", "bvtv", "--style", style]
    with subprocess.Popen(line, cwd=bone, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        out = run.stdout.readline() if style == "json" else b""
        if style == "table":  # its drawing comes with the end: wait until the pipe is waited for
            writer = os.open(bone / f"never_{style}.npy", os.O_WRONLY)
        run.send_signal(signal.SIGINT)
        out += run.stdout.read()
    if style == "json":
        assert [table["file"] for table in json.loads(out)] == ["ball.npy"]
    else:
        os.close(writer)
        assert b"1472" in out
    assert run.returncode == -signal.SIGINT


def test_what_is_wrong_with_all_volumes_is_said_once(shell, bone):
    run = shell(f"bonectl measure ball.npy noisy.npy {PLAIN} -m psnr", cwd=bone)
    assert (run.returncode, run.stdout) == (2, b"")
    assert run.stderr.decode() == "bonectl measure: psnr compares with a reference; give --reference\n"


def test_notes_name_their_volume(shell, bone):
    run = shell(f"bonectl measure ball.npy noisy.npy {PLAIN} -m 'bvtv + surface' -t 500", cwd=bone)
    starts = [line.split(": do not trust")[0] for line in run.stderr.decode().splitlines()]
    assert starts == ["bonectl measure: ball.npy", "bonectl measure: noisy.npy"]


def test_a_pipe_that_all_volumes_would_read_is_refused(shell, bone):
    run = shell(f"bonectl measure ball.npy noisy.npy {PLAIN} -m bvtv --mask <(cat mask.npy)", cwd=bone)
    assert run.returncode == 2
    assert "is a pipe, which can be read once, for 2 volumes" in run.stderr.decode()


def test_columns_are_those_of_the_request_for_phantoms_and_data(shell, bone):
    """Twenty specimens of any kind go into one table; CSV has the line of one volume too."""
    assert shell("bonectl phantom iliac --shape 24,24,24 -o phantom.npy --force", cwd=bone).returncode == 0
    np.save(bone / "grey.npy", np.load(bone / "noisy.npy").astype(np.int16))
    lines = [
        shell(f"bonectl measure {line} --style csv", cwd=bone).stdout.decode().splitlines()
        for line in ("phantom.npy", "grey.npy --voxel-size 0.02", f"ball.npy {PLAIN}")
    ]
    assert len({head for head, _ in lines}) == 1
    phantom, grey, ball = csv.DictReader([lines[0][0], *(line for _, line in lines)])
    assert float(phantom["tbth_mm"]) > 0
    assert (grey["bmd_mgha_cm3"], ball["bmd_mgha_cm3"]) == ("", "184")
    assert ball["threshold_rule"] == "midpoint(marrow=0, bone=1050), two levels: a mask"


def test_one_label_of_the_volume_or_of_the_mask(shell, bone):
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[2:5, 2:6, 2:7], labels[12:14, 12:14, 12:14] = 1, 2
    np.save(bone / "labels.npy", labels)
    one = shell("bonectl measure labels.npy --voxel-size 0.02 --label 2 -m bvtv", cwd=bone)
    assert rows(one.stdout)["bv_voxels"]["value"] == "8"
    assert b"labels" not in one.stderr
    inside = shell(f"bonectl measure noisy.npy {PLAIN} --mask labels.npy --mask-label 1 -m bvtv -t 0", cwd=bone)
    assert float(rows(inside.stdout)["tv"]["value"]) == pytest.approx(60 * 0.02**3)
    for line in ("ball.npy --label 1", "ball.npy --mask-label 1", "ball.npy --mask cylinder --mask-label 1"):
        assert shell(f"bonectl measure {line} {PLAIN}", cwd=bone).returncode == 2
    none = shell("bonectl measure labels.npy --voxel-size 0.02 --label 3 -m bvtv", cwd=bone)
    assert (none.returncode, none.stdout) == (65, b"")
    assert none.stderr.decode() == ("bonectl measure: labels.npy: the volume has no voxel of label 3; it has 1, 2\n")


def test_each_label_has_the_line_that_it_has_alone(shell, bone):
    labels = np.zeros((20, 20, 20), np.uint16)
    labels[2:5, 2:6, 2:7], labels[12:14, 12:14, 12:14], labels[8:11, 8:11, 8:11] = 900, 3, 41
    np.save(bone / "three.npy", labels)
    np.save(bone / "none.npy", np.zeros_like(labels))
    options = "--voxel-size 0.02 --input-unit label -m 'bvtv + tbth + connd' -q"
    each = shell(f"bonectl measure three.npy --label each {options} --style csv", cwd=bone)
    assert (each.returncode, each.stderr) == (0, b"")
    head, *lines = each.stdout.splitlines()
    assert head.startswith(b"file,label,shape,")
    for label, line in zip((3, 41, 900), lines, strict=True):
        assert line.startswith(b"three.npy,%d," % label)
        alone = shell(f"bonectl measure three.npy --label {label} {options} --style csv", cwd=bone)
        assert alone.stdout.splitlines() == [head, line]
    both = shell(f"bonectl measure three.npy none.npy mask.npy --label each {options} --style tsv", cwd=bone)
    # a label that fills the stack is no bone, and costs no other its line
    assert (both.returncode, len(both.stdout.splitlines())) == (65, 4)
    none, full = both.stderr.decode().splitlines()
    assert none == "bonectl measure: none.npy: the volume has no label: all voxels are 0"
    assert full.startswith("bonectl measure: mask.npy: label 1: the volume is nothing but bone")
    listed = json.loads(shell(f"bonectl measure three.npy --label each {options} --json", cwd=bone).stdout)
    assert [(one["file"], one["conditions"]["label"]) for one in listed] == [("three.npy", n) for n in (3, 41, 900)]
    drawn = shell(f"bonectl measure three.npy --label each {options} --style table", cwd=bone).stdout.decode()
    assert "name unit 3 41 900" in " ".join(drawn.split())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- --label each < labels.npy", "can be read once, and --label each reads for each label; give a file"),
        ("labels.npy --label each --plot x.png", "--plot is of one bone"),
        ("labels.npy --label each --map tbth", "--map is of one bone"),
        ("labels.npy --label 0", "--label '0'; give a whole number from 1 on, or each"),
        ("labels.npy --label all", "--label 'all'; give a whole number"),
        ("ball.npy --label each", "no label image"),
    ],
)
def test_each_label_is_of_files_that_have_labels(shell, bone, line, said):
    np.save(bone / "labels.npy", np.eye(20, dtype=np.uint8)[None].repeat(20, 0))
    run = shell(f"bonectl measure {line} --voxel-size 0.02 -q", cwd=bone)
    assert (run.returncode, run.stdout) == (2, b"")
    assert said in run.stderr.decode()


def test_standard_input_is_read_once(shell, bone):
    run = shell("bonectl measure - - < ball.npy", cwd=bone)
    assert run.returncode == 2
    assert "standard input is given twice" in run.stderr.decode()


def test_the_map_is_a_stack_whose_mean_is_the_number(shell, bone):
    run = shell(f"bonectl measure ball.npy {PLAIN} --map 'tbth(convention=bonej)' -o map.npy --force", cwd=bone)
    assert run.returncode == 0, run.stderr
    thickness = np.load(bone / "map.npy")
    assert ((thickness > 0) == (np.load(bone / "ball.npy") > 525)).all()
    table = rows(shell(f"bonectl measure ball.npy {PLAIN} -m 'tbth(convention=bonej)'", cwd=bone).stdout)
    assert thickness[thickness > 0].mean() == pytest.approx(float(table["tbth"]["value"]), rel=1e-5)
    piped = shell(f"bonectl measure ball.npy {PLAIN} --map tbth | bonectl info", cwd=bone)
    assert piped.returncode == 0, piped.stderr
    assert "20" in piped.stdout.decode()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ball.npy noisy.npy --map tbth -o m.npy", "--map writes one stack"),
        ("ball.npy --map tbth --json -o m.npy", "--map writes one stack"),
        ("ball.npy --map chi -o m.npy", "no map of 'chi'"),
        ("ball.npy -o m.npy", "--output is for the stack of --map"),
    ],
)
def test_a_map_that_cannot_be_is_refused(shell, bone, line, message):
    run = shell(f"bonectl measure {line} {PLAIN}", cwd=bone)
    assert run.returncode == 2
    assert message in run.stderr.decode()
    assert not (bone / "m.npy").exists()
