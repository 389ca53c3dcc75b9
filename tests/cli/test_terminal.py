"""What a person sees on a terminal of 80 columns (a real pseudo-terminal)."""

import fcntl
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios

import pytest
from rich.console import Console
from tests.made import nudged

from bonectl.cli import manual
from bonectl.cli.app import COMMANDS
from bonectl.cli.bars import Bars


def on_terminal(line, cwd, columns=80, *, errors_too=False):
    """Run a bash line with standard output on a terminal; gives status, what it showed, and standard error.

    With `errors_too`, standard error is on the terminal as well.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    environment.pop("COLUMNS", None)
    with subprocess.Popen(
        ["bash", "-c", line],
        cwd=cwd,
        stdout=theirs,
        stderr=theirs if errors_too else subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment,
    ) as running:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # Linux: the other side was closed
            pass
        errors = b"" if errors_too else running.stderr.read()
    os.close(ours)
    return running.returncode, shown.decode(), errors.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terminal")
    line = "bonectl phantom lattice --shape 32,32,32 --voxel-size 0.02 -o a.npy"
    subprocess.run(["bash", "-c", line], cwd=folder, check=True)
    return folder


def test_the_numbers_are_never_cut(folder):
    status, shown, _ = on_terminal("bonectl measure a.npy --reference a.npy --metrics 'bvtv + tmd'", folder)
    assert status == 0
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    assert float(rows["bvtv"][1]) == float(rows["bvtv"][2]) > 0
    assert rows["tmd"][2] == "mgHA/cm3"
    assert max(len(line) for line in shown.splitlines() if line.startswith("  ")) <= 80


def test_definitions_are_shown_where_there_is_room(folder):
    _, shown, _ = on_terminal("bonectl measure a.npy --metrics bvtv", folder, columns=140)
    assert "bone volume fraction" in shown


@pytest.mark.parametrize("more", ["--intervals 0.2", "a.npy a.npy a.npy a.npy"])
def test_what_does_not_fit_beside_follows_below(folder, more):
    """Neither the ends of intervals nor the fifth volume were to be seen."""
    line = "bonectl measure a.npy --reference a.npy --metrics 'bvtv + surface_distance + psnr' -q"
    status, shown, _ = on_terminal(f"{line} {more}", folder)
    assert status == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(map(len, lines)) <= 80
    values = [line.split() for line in lines if line.split()[:1] == ["bvtv"]]
    if "intervals" in more:
        assert values[-1][-4::2] == ["Δ", "to"]
    else:
        assert [cell for row in values for cell in row[1:]] == [values[0][1]] * 5


def test_binary_data_never_reach_a_terminal(folder):
    status, shown, errors = on_terminal("bonectl convert a.npy", folder)
    assert (status, shown, errors.count("\n")) == (2, "", 1)
    assert "not for a terminal" in errors


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits(name, folder):
    status, shown, _ = on_terminal(f"bonectl {name} --help", folder)
    assert status == 0
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    assert "\n    bonectl " in shown.replace("\r", "")


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_pages_fit(tmp_path):
    for name, text in manual.files().items():
        if name.startswith("man/"):
            run = subprocess.run(
                ["mandoc", "-T", "utf8", "-O", "width=80"], input=text.encode(), capture_output=True, check=True
            )
            shown = re.sub(".\b", "", run.stdout.decode())
            assert [line for line in shown.splitlines() if len(line) > 80] == [], name


def bar_lines(shown):
    """The states of a progress bar, without the codes that move the cursor and colour."""
    return [
        line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", shown).splitlines() if re.search(r"/\d+ steps", line)
    ]


FACTS = {"loss": "0.1592", "l1": "0.0981", "ssim": "0.611", "psnr": "15.52 dB", "speed": "485 patches/s"}


@pytest.mark.parametrize("columns", [60, 80, 140])
@pytest.mark.parametrize("name", ["train", "unpack femur_left_2026-11-29_second_scan_after_the_beam_was_back.tif"])
def test_a_bar_shows_count_percent_and_time_whole(columns, name):
    """Rich takes room from all columns alike: the count and the time were cut, or gone."""
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)
    with Bars("bonectl train", console).task(name, 12000, "step") as advance:
        advance(3000, **FACTS)
    last = bar_lines(console.file.getvalue())[-1]
    assert len(last) <= columns
    assert re.search(r" 3000/12000 steps  25% (-|\d):(--|\d\d):(--|\d\d) ", last)
    assert last.startswith(name[:2])
    assert ("…" in last) == (columns < 140 or name != "train")


def test_bars_that_end_in_any_order_leave_the_others():
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    bars = Bars("bonectl reconstruct", console)
    outer, inner = bars.task("prepare", 10, "step"), bars.task("tv", 20, "step")
    outer.__enter__()
    advance = inner.__enter__()
    outer.__exit__(None, None, None)
    console.file.truncate(0)
    advance(5)
    inner.__exit__(None, None, None)
    shown = bar_lines(console.file.getvalue())
    assert "tv" in shown[-1]
    assert " 5/20 steps" in shown[-1]
    assert "prepare" not in console.file.getvalue()
    with bars.task("again", 3, "step"):
        pass
    assert "again" in bar_lines(console.file.getvalue())[-1]


def test_a_bar_on_a_terminal_shows_count_percent_and_time_whole(folder):
    nudged(folder / "a.npy")
    line = "bonectl train a.npy --target nudged_a.npy --model 'unet2d(width=4)' --loss 'l1 + 0.1*ssim' --steps 4"
    status, shown, _ = on_terminal(f"{line} --patch 16 --batch 2 -o a.safetensors", folder, errors_too=True)
    assert status == 0, shown
    lines = bar_lines(shown)
    assert any(re.search(r"[1-4]/4 steps +\d+% (-|\d):(--|\d\d):(--|\d\d)", line) for line in lines), lines
    assert max(map(len, lines)) <= 80


def test_numbers_are_counted_while_they_are_made(folder):
    """Where kernels are not compiled yet, it took 20 s without a sign of life."""
    line = "bonectl measure a.npy --metrics 'bvtv + tbth + connd' --progress json"
    status, _, errors = on_terminal(line, folder)
    told = [json.loads(line) for line in errors.splitlines()]
    tasks = list(dict.fromkeys(one["task"] for one in told if "task" in one))
    assert tasks == ["read the volume", "cut the volume", "numbers"]
    counted = [one for one in told if one.get("task") == "numbers"]
    assert status == 0
    assert [(one["total"], one["unit"]) for one in counted] == [(3, "metric")] * len(counted)
    assert (counted[0]["done"], counted[0]["metric"]) == (0, "bvtv")
    assert counted[-1]["done"] == 3
