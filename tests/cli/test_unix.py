"""Files as Unix has them: links, pipes, permissions and limits, each with the status that says what happened."""

import errno
import os
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

import bonectl

STACK = (np.arange(8 * 16 * 16) % 251).astype("u1").reshape(8, 16, 16)


@pytest.fixture
def stack(tmp_path):
    np.save(tmp_path / "a.npy", STACK)
    return tmp_path


@pytest.mark.parametrize(
    "how", ["bonectl info <(cat {})", "mkfifo p; cat {} > p & bonectl info p", "cat {} | bonectl info"]
)
@pytest.mark.parametrize("ending", ["npy", "tif"])
def test_info_reads_a_pipe_to_its_end(shell, tmp_path, how, ending):
    big = np.zeros((40, 128, 128), "f4")  # more than a pipe holds, so that a writer would see it close
    np.save(tmp_path / "a.npy", big)
    tifffile.imwrite(tmp_path / "a.tif", big, imagej=True, metadata={"axes": "ZYX"})
    whole = (tmp_path / f"a.{ending}").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-70_000])
    source = f"a.{ending}"
    good = shell(how.format(f"{source}; echo $? > status") if "<(" in how else how.format(source))
    assert good.returncode == 0, good.stderr
    assert b"40 z" in good.stdout
    if "<(" in how:
        assert (tmp_path / "status").read_text() == "0\n"
    (tmp_path / "p").unlink(missing_ok=True)
    bad = shell(how.format("cut"))
    assert bad.returncode == 65, bad.stderr


@pytest.mark.parametrize("name", ["/proc/self/fd/1", "link"])  # not /dev/stdout: root could lose it
def test_a_link_to_standard_output_stays(shell, stack, name):
    (stack / "link").symlink_to("/dev/stdout")
    for line in ("bonectl convert a.npy -o {} > out.npy", "bonectl convert a.npy -o {} | cat > out.npy"):
        run = shell(line.format(name))
        assert run.returncode == 0, run.stderr
        np.testing.assert_array_equal(np.load(stack / "out.npy"), STACK)
        assert (stack / "link").readlink() == Path("/dev/stdout")


def test_force_follows_links_and_keeps_the_mode(run, stack):
    (stack / "real.npy").write_bytes(b"old")
    (stack / "real.npy").chmod(0o640)
    (stack / "link.npy").symlink_to("real.npy")
    assert run("convert", "a.npy", "-o", "link.npy").status == 73
    assert run("convert", "a.npy", "-o", "link.npy", "-f").status == 0
    assert (stack / "link.npy").is_symlink()
    assert (stack / "real.npy").stat().st_mode & 0o777 == 0o640
    np.testing.assert_array_equal(np.load(stack / "real.npy"), STACK)


def test_a_file_per_slice_keeps_the_modes(run, stack):
    for number in range(8):
        path = stack / f"s_{number}.tif"
        path.write_bytes(b"old")
        path.chmod(0o640)
    assert run("convert", "a.npy", "-o", "s_%d.tif", "-f").status == 0
    assert {path.stat().st_mode & 0o777 for path in stack.glob("s_*.tif")} == {0o640}


@pytest.fixture
def public():
    """A folder that every user may look into; pytest's own are its user's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.fixture
def stranger(public, shell):
    """Run a line as a user who may not read some files: another one where root runs the tests."""
    user = ""
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may read everything, and cannot become another user here")
        user = "setpriv --reuid=65534 --regid=65534 --clear-groups "
    source = Path(bonectl.__file__).parent.parent
    if shell(f"{user} test -r {source}/bonectl/errors.py", cwd="/").returncode:
        pytest.skip("another user may not read the sources")

    def run(line):
        return shell(line.replace("bonectl", f"{user} bonectl"), cwd=public, env={"PYTHONPATH": str(source)})

    return run


@pytest.mark.parametrize(
    "line",
    [
        "bonectl info closed.npy",
        "bonectl info closed/a.npy",
        "bonectl info closed",
        "bonectl info closed/s_%d.tif",
        "bonectl convert open.npy -o closed/b.npy",
        "bonectl convert open.npy -o readonly/b.npy",
        "bonectl convert open.npy -o x.npy --calibrate \"rods(table='closed.npy')\"",
        "bonectl measure open.npy -m bvtv --mask closed.npy",
        "bonectl measure open.npy -m bvtv --reference closed/a.npy",
        "bonectl measure open.npy -m bvtv --samples closed",
        "bonectl denoise open.npy -m closed.safetensors -o x.npy",
        "bonectl denoise open.npy -m closed/a.safetensors -o x.npy",
        "bonectl reconstruct scan.npy --axes sinogram --voxel-size 1 --flats closed.npy --angles 180 -o x.npy",
        "bonectl reconstruct scan.npy --axes sinogram --voxel-size 1 --angles closed.npy -o x.npy",
        "bonectl reconstruct scan.npy --axes sinogram --voxel-size 1 --angles closed/a.npy -o x.npy",
    ],
)
def test_what_may_not_be_read_or_written_is_77(public, stranger, line):
    for folder in ("closed", "readonly"):
        (public / folder).mkdir()
    for name in ("open.npy", "scan.npy", "closed.npy", "closed.safetensors", "closed/a.npy", "closed/a.safetensors"):
        with (public / name).open("wb") as file:
            np.save(file, STACK)
    (public / "closed.npy").chmod(0)
    (public / "closed.safetensors").chmod(0)
    (public / "closed").chmod(0)
    (public / "readonly").chmod(0o555)
    done = stranger(line)
    (public / "closed").chmod(0o755)
    (public / "readonly").chmod(0o755)
    text = done.stderr.decode()
    assert done.returncode == 77, text
    assert text.count("\n") == 1
    assert "permission denied" in text or "may not be written to" in text


def test_too_many_open_files_is_no_missing_input(shell, stack):
    done = shell('ulimit -n 40; exec 10<a.npy; for i in {11..39}; do eval "exec $i<a.npy"; done; bonectl info a.npy')
    assert done.returncode != 66


def test_reading_that_fails_for_want_of_descriptors(run, stack, monkeypatch):
    real = Path.open

    def full(self, *args, **options):
        if self.name == "a.npy":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(self))
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    done = run("info", "a.npy")
    assert (done.status, done.err.count("\n")) == (74, 1)
    assert "ulimit -n" in done.err


OFFSETS = (1 << 31, (1 << 32) - 1, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


@pytest.mark.parametrize(
    ("offset", "big"), [(offset, big) for offset in OFFSETS for big in (False, True) if big or offset < 1 << 32]
)
@pytest.mark.parametrize("place", ["first", "next", "strip"])
def test_damaged_offsets_of_a_tiff_are_bad_data(run, tmp_path, offset, big, place):
    width = "Q" if big else "I"
    tifffile.imwrite(tmp_path / "a.tif", STACK, bigtiff=big, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        page = tif.pages[0]
        directory, strips = page.offset, page.tags[273].offset
        at = {
            "first": 8 if big else 4,
            "next": directory + (8 + 20 * len(page.tags) if big else 2 + 12 * len(page.tags)),
            "strip": strips + (12 if big else 8),
        }[place]
    raw = bytearray((tmp_path / "a.tif").read_bytes())
    raw[at : at + struct.calcsize(width)] = struct.pack(f"<{width}", offset)
    (tmp_path / "a.tif").write_bytes(raw)
    done = run("info", "a.tif", "--stats")
    assert (done.status, done.err.count("\n")) == (65, 1), done.err
