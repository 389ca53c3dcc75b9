"""Bad input and bad days, with real processes: the documented status, one line on stderr, no output left."""

import errno
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

STACK = (np.arange(16 * 32 * 32) % 251).astype("u1").reshape(16, 32, 32)
CONVERT = "bonectl convert"


@pytest.fixture
def stacks(tmp_path):
    """A folder with good.npy, good.tif and cut versions of both."""
    np.save(tmp_path / "good.npy", STACK)
    tifffile.imwrite(tmp_path / "good.tif", STACK, imagej=True, metadata={"axes": "ZYX"})
    raw = (tmp_path / "good.npy").read_bytes()
    for name, size in {"magic": 4, "head": 60, "data": 9999, "slab": 128 + 8 * 1024}.items():
        (tmp_path / f"{name}.npy").write_bytes(raw[:size])
    (tmp_path / "long.npy").write_bytes(raw + b"x")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "junk.npy").write_bytes(b"hello world " * 20)
    tif = (tmp_path / "good.tif").read_bytes()
    (tmp_path / "half.tif").write_bytes(tif[: len(tif) // 2])
    (tmp_path / "dir.tif").write_bytes(tif[:20])
    return tmp_path


def one_line(run, status, said=""):
    """Check the status, and that stderr is one line that says it."""
    text = run.stderr.decode()
    assert run.returncode == status, text
    assert text.count("\n") == 1, text
    assert text.startswith("bonectl")
    assert "Traceback" not in text
    assert said in text


def nothing_left(folder, *names):
    assert not [path.name for path in folder.iterdir() if path.name.startswith((".bonectl", *(names or ("out",))))]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("magic.npy", "is in none of the formats"),
        ("head.npy", "ends inside its header"),
        ("data.npy", "7 of 16 slices are missing; re-copy the file"),
        ("slab.npy", "8 of 16 slices are missing; re-copy the file"),
        ("long.npy", "the last slice"),
        ("empty.npy", "is empty"),
        ("junk.npy", "is in none of the formats"),
        ("half.tif", "re-copy the file"),
        ("dir.tif", "re-copy the file"),
    ],
)
def test_damaged_files_and_streams(shell, stacks, name, said):
    file = shell(f"{CONVERT} {name} -o out.npy")
    one_line(file, 65, f"bonectl convert: {name}: ")
    assert said in file.stderr.decode()
    pipe = shell(f"cat {name} | {CONVERT} -o out.npy")
    one_line(pipe, 65, "bonectl convert: standard input: ")
    assert said.replace("re-copy the file", "did the command before it fail?") in pipe.stderr.decode()
    nothing_left(stacks)


def test_a_truncated_stream_is_noticed_at_each_stage_of_a_pipe(shell, stacks):
    run = shell(f"cat slab.npy | {CONVERT} | {CONVERT} -o out.npy; echo ${{PIPESTATUS[@]}}")
    assert run.stdout == b"0 65 65\n"
    assert run.stderr.count(b"\n") == 2
    nothing_left(stacks)


CRAFTED = {
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4, 4), }",
    "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 100000, 100000), }",
    "overflow": "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }",
    "code": "{'descr': __import__('os').system('touch out'), 'fortran_order': False, 'shape': (1, 4, 4), }",
    "object": "{'descr': '|O', 'fortran_order': False, 'shape': (1, 4, 4), }",
    "complex": "{'descr': '<c8', 'fortran_order': False, 'shape': (1, 4, 4), }",
    "long": "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4, 4), }" + " " * 12000,
}


@pytest.mark.parametrize("name", CRAFTED)
def test_hostile_headers(shell, tmp_path, name):
    text = CRAFTED[name].encode()
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 63)
    one_line(shell(f"ulimit -v 4000000; {CONVERT} x.npy -o out.npy", env={"OPENBLAS_NUM_THREADS": "1"}), 65, "x.npy: ")
    nothing_left(tmp_path)


def test_colour_and_series_are_refused(shell, tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((8, 8, 3), "u1"), photometric="rgb")
    one_line(shell(f"{CONVERT} rgb.tif -o out.npy"), 65, "one grey channel is needed")
    nothing_left(tmp_path)


def test_other_byte_and_memory_orders_are_read(shell, tmp_path):
    np.save(tmp_path / "f.npy", np.asfortranarray(STACK.astype(">i2")))
    run = shell(f"{CONVERT} f.npy -o out.npy && cat f.npy | {CONVERT} -q | {CONVERT} -o out.tif")
    assert (run.returncode, run.stderr) == (0, b"")
    for got in (np.load(tmp_path / "out.npy"), tifffile.imread(tmp_path / "out.tif")):
        assert got.dtype == "<i2"
        np.testing.assert_array_equal(got, STACK)


def test_a_format_is_known_by_its_bytes(shell, stacks):
    (stacks / "good.tif").rename(stacks / "really.npy")
    assert shell(f"{CONVERT} really.npy -o out.npy").returncode == 0
    np.testing.assert_array_equal(np.load(stacks / "out.npy"), STACK)


def test_nan_fails_by_default_and_is_located(shell, tmp_path):
    values = STACK.astype("f4")
    values[3, 4, 5] = values[9, 0, 0] = np.nan
    np.save(tmp_path / "nan.npy", values)
    said = "nan.npy: 2 values are NaN or infinite, the first at (3, 4, 5)"
    one_line(shell(f"{CONVERT} nan.npy -o out.npy"), 65, said)
    nothing_left(tmp_path)
    run = shell(f"{CONVERT} nan.npy --nan zero -o out.npy")
    one_line(run, 0, "2 values that are NaN or infinite were set to 0")
    assert np.load(tmp_path / "out.npy")[3, 4, 5] == 0


def test_folders_with_gaps_name_the_files(shell, tmp_path):
    (tmp_path / "s").mkdir()
    for k in (0, 1, 3, 10):
        tifffile.imwrite(tmp_path / "s" / f"p_{k}.tif", STACK[k])
    one_line(shell(f"{CONVERT} s -o out.npy"), 65, "s: 1 slice is missing between p_1.tif and p_3.tif")
    nothing_left(tmp_path)


def test_inputs_that_are_not_there(shell, stacks):
    one_line(shell(f"{CONVERT} none.npy -o out.npy"), 66, "none.npy: no such file")
    one_line(shell(f"{CONVERT} none/none.npy -o out.npy"), 66, "no such file")
    one_line(shell(f"{CONVERT} good.npy/none.npy -o out.npy"), 66, "not a directory")
    (stacks / "folder").mkdir()
    one_line(shell(f"{CONVERT} folder -o out.npy"), 66, "folder: holds no .tif file")
    one_line(shell(f"{CONVERT} -o out.npy <&-"), 66, "standard input is closed")
    nothing_left(stacks)


def test_outputs_that_cannot_be(shell, stacks):
    (stacks / "folder").mkdir()
    (stacks / "old.npy").write_bytes(b"old")
    for output, status, said in (
        ("none/out.npy", 73, "there is no folder none"),
        ("folder", 2, "no format has that suffix"),
        ("good.npy/out.npy", 73, "no folder"),
        ("old.npy", 73, "exists already; give --force"),
        ("out.dat", 2, "no format has that suffix"),
        ("out_%03d.npy", 2, "a file per slice is TIFF; name it slice_%05d.tif"),
        ("out_%03d.nrrd", 2, "a file per slice is TIFF; name it slice_%05d.tif"),
        ("out_%d_%d.tif", 2, "two places for a number"),
    ):
        one_line(shell(f"{CONVERT} good.npy -o {output}"), status, said)
    assert (stacks / "old.npy").read_bytes() == b"old"
    nothing_left(stacks)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything: permissions do not bind it")
def test_permissions(shell, stacks):
    (stacks / "good.npy").chmod(0)
    one_line(shell(f"{CONVERT} good.npy -o out.npy"), 77, "good.npy: permission denied")
    (stacks / "locked").mkdir(mode=0o500)
    one_line(shell(f"{CONVERT} good.tif -o locked/out.npy"), 77, "may not be written to")


def test_the_output_is_never_the_input(shell, stacks):
    before = (stacks / "good.npy").read_bytes()
    (stacks / "link.npy").symlink_to("good.npy")
    for line in (
        f"{CONVERT} good.npy --force -o good.npy",
        f"{CONVERT} good.npy --force -o ./link.npy",
        f"{CONVERT} --force -o good.npy < good.npy",
        f"{CONVERT} good.npy >> good.npy",
    ):
        one_line(shell(line), 2, "is the input itself")
    assert (stacks / "good.npy").read_bytes() == before


def test_full_disks_and_limits(shell, stacks):
    np.save(stacks / "large.npy", np.zeros((64, 128, 128), "f4"))
    reason = os.strerror(errno.ENOSPC).lower()
    one_line(shell(f"{CONVERT} large.npy > /dev/full"), 74, reason)
    one_line(shell(f"{CONVERT} good.npy > /dev/full"), 74, reason)
    one_line(shell(f"{CONVERT} good.npy -o /dev/full"), 74, reason)
    one_line(shell("bonectl info good.npy > /dev/full"), 74, reason)
    one_line(shell(f"ulimit -f 1000; {CONVERT} large.npy -o out.npy"), 74, os.strerror(errno.EFBIG).lower())
    one_line(shell(f"ulimit -f 40; {CONVERT} large.npy -o out/x_%03d.tif"), 74, os.strerror(errno.EFBIG).lower())
    nothing_left(stacks)
    assert Path("/dev/full").is_char_device()


def test_closed_streams(shell, stacks):
    one_line(shell(f"{CONVERT} good.npy >&-"), 74, "standard output is closed")
    one_line(shell("bonectl info good.npy >&-"), 74, "standard output is closed")
    assert shell(f"{CONVERT} good.npy -o out.npy 2>&-").returncode == 0
    np.testing.assert_array_equal(np.load(stacks / "out.npy"), STACK)
    run = shell(f"{CONVERT} none.npy -o out2.npy 2>&-")
    assert (run.returncode, run.stdout, run.stderr) == (66, b"", b"")


def test_a_reader_that_goes_away_is_silent(shell, tmp_path):
    np.save(tmp_path / "large.npy", np.zeros((256, 256, 256), "f4"))
    run = shell(f"{CONVERT} large.npy | {CONVERT} | head -c 1 | wc -c; echo ${{PIPESTATUS[@]}}")
    assert run.stdout == b"1\n141 141 0 0\n"
    assert run.stderr == b""


def test_a_killed_writer_never_makes_a_plausible_file(stacks):
    middle, feed = start(stacks, "-")
    end = subprocess.Popen(
        ["bonectl", "convert", "-o", "out.npy"], stdin=middle.stdout, stderr=subprocess.PIPE, cwd=stacks
    )
    middle.stdout.close()
    waiting_for_temporary(stacks)
    middle.kill()
    middle.communicate(timeout=20)
    os.close(feed)
    _, said = end.communicate(timeout=20)
    assert (end.returncode, said.count(b"\n")) == (65, 1)
    assert b"16 of 16 slices are missing" in said
    nothing_left(stacks)


def start(tmp_path, output="out.npy", source=None):
    """A command that has read part of its input and waits for the rest."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        ["bonectl", "convert", "-o", output],
        stdin=reader,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        start_new_session=True,
    )
    os.close(reader)
    raw = (tmp_path / "good.npy").read_bytes()
    os.write(writer, raw[: len(raw) - 2048])
    return process, writer


def hidden(tmp_path):
    return [path for path in tmp_path.iterdir() if path.name.startswith(".bonectl")]


def waiting_for_temporary(tmp_path):
    limit = time.monotonic() + 30
    while not hidden(tmp_path) and time.monotonic() < limit:
        time.sleep(0.02)
    assert hidden(tmp_path)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("output", ["out.npy", "out/x_%03d.tif"])
def test_signals_leave_nothing(stacks, signum, output):
    process, writer = start(stacks, output)
    waiting_for_temporary(stacks)
    process.send_signal(signum)
    _, said = process.communicate(timeout=20)
    os.close(writer)
    assert process.returncode == -signum
    assert said == b""
    nothing_left(stacks)


def test_signals_at_any_time_leave_all_or_nothing(stacks):
    rng = np.random.default_rng(5)
    for delay in rng.uniform(0.02, 0.9, 6):
        process = subprocess.Popen(
            ["bonectl", "convert", "good.npy", "-o", "out.npy"], cwd=stacks, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        if (stacks / "out.npy").exists():
            np.testing.assert_array_equal(np.load(stacks / "out.npy"), STACK)
            (stacks / "out.npy").unlink()
        nothing_left(stacks)


def test_kill_minus_nine_keeps_the_old_file(stacks):
    (stacks / "out.npy").write_bytes(b"old")
    reader, writer = os.pipe()
    process = subprocess.Popen(["bonectl", "convert", "--force", "-o", "out.npy"], stdin=reader, cwd=stacks)
    os.close(reader)
    os.write(writer, (stacks / "good.npy").read_bytes()[:-10])
    waiting_for_temporary(stacks)
    process.kill()
    process.wait(timeout=20)
    os.close(writer)
    assert (stacks / "out.npy").read_bytes() == b"old"
    assert len(hidden(stacks)) == 1


def test_two_runs_to_one_name_never_mix(shell, stacks):
    np.save(stacks / "other.npy", STACK + 1)
    line = f"{CONVERT} good.npy --force -o out.npy & {CONVERT} other.npy --force -o out.npy & wait"
    assert shell(line).returncode == 0
    got = np.load(stacks / "out.npy")
    assert (got == STACK).all() or (got == STACK + 1).all()
    nothing_left(stacks, ".bonectl")


@pytest.mark.parametrize(
    "name", ["a b.npy", "a\nb.npy", "-x.npy", "ä€🦴.npy", "n" * 251 + ".npy", "'q\".npy", "%s.npy"]
)
def test_odd_names(stacks, name):
    (stacks / "good.npy").rename(stacks / name)
    run = subprocess.run(["bonectl", "convert", "--", f"./{name}"], cwd=stacks, capture_output=True, check=True)
    assert run.stderr == b""
    run = subprocess.run(
        ["bonectl", "convert", "-o", f"./{name}", "--force"],
        cwd=stacks,
        input=run.stdout,
        capture_output=True,
        check=True,
    )
    np.testing.assert_array_equal(np.load(stacks / name), STACK)
    run = subprocess.run(["bonectl", "info", "--", f"./{name}"], cwd=stacks, capture_output=True, check=True)
    assert run.stdout.count(b"history\t") == 2


def test_a_name_that_is_no_utf8(stacks):
    name = os.fsencode(stacks) + b"/a\xff.npy"
    (stacks / "good.npy").rename(os.fsdecode(name))
    run = subprocess.run([b"bonectl", b"convert", name], capture_output=True, check=True)
    run = subprocess.run([b"bonectl", b"info"], input=run.stdout, capture_output=True, check=True)
    assert b"a\\xff.npy" in run.stdout
    one_line(subprocess.run([b"bonectl", b"info", name + b"x"], capture_output=True, check=False), 66, "\\udcff")


def test_the_bytes_do_not_depend_on_the_surroundings(stacks):
    (stacks / "µ.npy").write_bytes((stacks / "good.npy").read_bytes())
    path = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1700000000"}
    seen = set()
    for surroundings in (
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
        {"NO_COLOR": "1", "COLUMNS": "20", "TERM": "dumb"},
        {"FORCE_COLOR": "1", "PYTHONIOENCODING": "latin-1"},
    ):
        run = subprocess.run(
            ["bash", "-c", "bonectl convert µ.npy | tee >(md5sum >&2) | bonectl info | cat"],
            env=path | surroundings, cwd=stacks, capture_output=True, check=True, start_new_session=True,
        )  # fmt: skip
        seen.add((run.stdout, run.stderr))
    assert len(seen) == 1, seen
    assert b"16 z \xc3\x97 32 y" in seen.pop()[0]


def test_memory_is_flat(shell, tmp_path):
    """A stream of 400 MB passes three stages that may not hold half of it."""
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (400, 500, 500), }"
    text = text.ljust(117) + b"\n"
    (tmp_path / "head").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
    capped = "ulimit -v 450000; exec bonectl convert"
    line = (
        f"(cat head; head -c 400000000 /dev/zero) | ({capped}) | ({capped} --crop :,::2,::2) | ({capped} -o out.npy);"
        " echo ${PIPESTATUS[@]}"
    )
    run = shell(line, env={"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"})
    assert run.stdout == b"0 0 0 0\n", run.stderr
    assert np.load(tmp_path / "out.npy", mmap_mode="r").shape == (400, 250, 250)


@pytest.mark.slow
def test_more_than_four_gigabytes(shell, tmp_path):
    """Sparse on disk; the last slice is marked."""
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4400, 1000, 1000), }".ljust(117) + b"\n"
    with (tmp_path / "big.npy").open("wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
        file.truncate(128 + 4_400_000_000)
        file.seek(-1, os.SEEK_END)
        file.write(b"\x07")
    run = shell(
        "bonectl convert big.npy -o big.tif && bonectl convert big.tif --crop -1:,-1:,: -o out.npy", timeout=600
    )
    assert run.returncode == 0, run.stderr
    with tifffile.TiffFile(tmp_path / "big.tif") as tif:
        assert tif.is_bigtiff
    assert np.load(tmp_path / "out.npy").ravel()[-1] == 7


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mesure a.npy", "bonectl: no such command 'mesure'. Did you mean 'measure'?; see 'bonectl --help'\n"),
        ("reconstruct a.npy --methd fbp", "no such option: --methd (Possible options: --method"),
        ("reconstruct a.npy --unit HU", "invalid value for '--unit': 'HU' is not one of '1/cm', 'mgHA/cm3'; see"),
        ("simulate a.npy --views many", "invalid value for '--views': "),
    ],
)
def test_a_misspelt_line_is_told_in_one_line(run, line, said):
    made = run(*line.split())
    assert made.status == 2
    assert made.err.count("\n") == 1
    assert said in made.err
