"""Names, headers and histories that hold more than words: nothing is obeyed by a terminal, no line is forged."""

import json

import numpy as np
import pytest
from tests import made

from bonectl.core.header import Entry, Header
from bonectl.core.printable import one_line, printable
from bonectl.core.stack import Stack

ESCAPE = "\x1b]0;owned\x07"
SOURCE = np.arange(8 * 8 * 8, dtype="<f4").reshape(8, 8, 8)


@pytest.fixture
def hostile(tmp_path):
    """A stack whose name, facts and history would like to be obeyed."""
    header = Header(
        shape=SOURCE.shape,
        spacing=(0.1, 0.1, 0.1),
        acquisition={f"a\nunit\tlabel{ESCAPE}": f"b\nspacing_mm\t9{ESCAPE}"},
        answers={f"c\td{ESCAPE}": 1.0},
        history=(Entry(f"bonectl {ESCAPE}\nunit\tlabel", "0.1", "2026\u202e", {f"k{ESCAPE}": "v\nunit\tmm"}),),
    )
    return made.write(tmp_path / f"x{ESCAPE}\n.npy", Stack.of(SOURCE, header))


def test_info_forges_no_lines_and_sends_no_escapes(run, hostile):
    plain = run("info", hostile)
    assert plain.status == 0
    lines = plain.out.decode().splitlines()
    assert [line.split("\t")[0] for line in lines].count("unit") == 1
    assert all(line.count("\t") == 1 for line in lines)
    assert b"\x1b" not in plain.out
    assert b"\x07" not in plain.out
    assert "\u202e" not in plain.out.decode()
    assert "\\x1b]0;owned\\x07" in plain.out.decode()
    assert json.loads(run("info", hostile, "--json").out)["name"] == str(hostile)


def test_messages_and_plans_send_no_escapes(run, hostile, tmp_path):
    for done in (
        run("info", tmp_path / f"no{ESCAPE}.npy"),
        run("convert", hostile, "-o", tmp_path / f"o{ESCAPE}.npy", "--dry-run"),
        run("convert", hostile, "-o", tmp_path / "o.npy", "--dtype", ESCAPE),
        run("measure", hostile, hostile, "-m", "bvtv", "-t", "3"),
        run("measure", hostile, hostile, "-m", "bvtv", "-t", "3", "--style", "table"),
        run("measure", hostile, "-m", "bvtv", "-t", "3", "--style", "table"),
        run("info", "--progress", ESCAPE),
    ):
        assert b"\x1b" not in done.out
        assert "\x1b" not in done.err
        assert done.err.count("\n") <= 1


def test_a_bar_sends_no_escapes_of_a_name(run, hostile):
    done = run("measure", hostile, "-m", "bvtv", "-t", "3", "--progress", "bar")
    assert "owned\x07" not in done.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("µm × 3", "µm × 3"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\x9bb", "a\\x9bb"),
        ("\ud800", "\\ud800"),
        ("a\tb", "a\\tb"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


def test_a_message_is_one_short_line():
    line = one_line("views is " + "1" * 5000 + "\nand no number")
    assert len(line) < 120
    assert line.endswith("[5000 characters] and no number")
    path = "/" + "/".join(["folder"] * 30)
    assert one_line(path) == path


def test_a_list_of_thousands_of_words_is_cut_to_its_ends():
    line = one_line(f"x.npy: the header is damaged (axes {('x',) * 3000} are no axes)")
    assert len(line) < 600
    assert line.startswith("x.npy: the header is damaged")
    assert line.endswith("are no axes)")
