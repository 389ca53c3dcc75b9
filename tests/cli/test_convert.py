"""`bonectl convert`: every format to every other, options in their order, and nothing half done."""

import io
import json
import shlex

import numpy as np
import pytest
import tifffile
from tests.made import write

from bonectl import io as formats
from bonectl.core import kit
from bonectl.core.calibration import Calibration
from bonectl.core.geometry import Angles, Geometry
from bonectl.core.header import PROJECTIONS, SINOGRAMS, Entry, Header
from bonectl.core.stack import Stack
from bonectl.training import volumes

VALUES = np.random.default_rng(0).normal(size=(6, 8, 10)).astype("<f4")


def rich_header():
    geometry = Geometry(
        kind="parallel", angles=Angles.of([0.0, 20.0, 45.5, 60.0, 90.0, 120.0, 130.0, 170.0]), rows=6, columns=10,
        pitch=0.0195, row_pitch=0.0195, centre=4.6, size=10, voxel=0.0195,
    )  # fmt: skip
    return Header(
        shape=VALUES.shape,
        axes=SINOGRAMS,
        spacing=(0.0195, None, 0.0195),
        unit="line integral",
        geometry=geometry,
        calibration=Calibration(400.0, 0.0, "linear(slope=400)"),
        acquisition={"energy_kev": 25.0, "photons": 1e4},
        history=tuple(Entry(f"bonectl step {k}", "0.1", "2026-01-01T00:00:00Z", {"seed": k}) for k in range(5)),
    )


@pytest.fixture
def scan(tmp_path):
    return write(tmp_path / "scan.npy", Stack.of(VALUES, rich_header()))


def load(path):
    with formats.open(path) as stack:
        return stack.header, stack.collect()


def test_everything_survives_every_format(run, scan, tmp_path):
    names = ["a.tif", "slices/s_%03d.tif", "b.npy", "c.tiff", "more/%d.tif", "d.NPY"]
    source = scan.name
    for name in names:
        made = run("convert", source, "-o", name, "--no-history")
        assert (made.status, made.out, made.err) == (0, b"", ""), made.err
        header, values = load(tmp_path / name)
        assert header == rich_header()
        np.testing.assert_array_equal(values, VALUES)
        source = name.rpartition("/")[0] or name
    assert (tmp_path / "d.NPY").read_bytes() == scan.read_bytes()


def test_an_entry_says_what_was_done(run, scan, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert run("convert", "scan.npy", "-o", "it's.tif").status == 0
    *before, entry = load(tmp_path / "it's.tif")[0].history
    assert tuple(before) == rich_header().history
    assert shlex.split(entry.command) == ["bonectl", "convert", "scan.npy", "-o", "it's.tif"]
    assert (entry.time, entry.version) == ("2023-11-14T22:13:20Z", __import__("bonectl").__version__)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    made = run("convert", "scan.npy", "-o", "b.tif")
    assert (made.status, made.err.count("\n")) == (2, 1)
    assert not (tmp_path / "b.tif").exists()


def test_a_slice_of_a_volume_reads_alone_only_as_a_set(run, scan):
    assert run("convert", "scan.npy", "-o", "s/s_%03d.tif").status == 0
    made = run("info", "s/s_003.tif")
    assert (made.status, made.err.count("\n")) == (65, 1)
    assert "1 × 8 × 10 voxels of a stack of 6 × 8 × 10" in made.err


@pytest.mark.parametrize("slab", [1, 4, 99])
def test_the_slab_never_shows(run, scan, tmp_path, slab):
    options = ["--crop", "1:,:,1:9", "--bin", "2", "--dtype", "float64", "--no-history"]
    run("convert", "scan.npy", *options, "-o", "a.npy")
    run("convert", "scan.npy", *options, "--slab", slab, "-o", "b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_changes_are_made_in_the_documented_order(run, scan, tmp_path):
    made = run("convert", "scan.npy", "--crop", "::,::2,2:", "--order", "projection", "--bin", "2", "-o", "a.npy")
    assert made.status == 0, made.err
    header, values = load(tmp_path / "a.npy")
    expected = VALUES[:, ::2, 2:].swapaxes(0, 1).astype("f8").reshape(4, 3, 2, 4, 2).mean(axis=(2, 4)).astype("f4")
    np.testing.assert_array_equal(values, expected)
    assert header.axes == PROJECTIONS
    assert header.geometry.angles.degrees.tolist() == [0.0, 45.5, 90.0, 130.0]
    assert header.geometry.centre == pytest.approx((4.6 - 2 + 0.5) / 2 - 0.5)
    assert made.err == ""  # some bytes are held without a word


def test_bare_writes_a_plain_array_and_a_sidecar(run, scan, tmp_path):
    assert run("convert", "scan.npy", "--bare", "--no-history", "-o", "a.npy").status == 0
    raw = (tmp_path / "a.npy").read_bytes()
    expected = io.BytesIO()
    np.save(expected, VALUES)
    assert raw == expected.getvalue()
    assert json.loads((tmp_path / "a.npy.json").read_text())["unit"] == "line integral"
    assert load(tmp_path / "a.npy")[0] == rich_header()
    (tmp_path / "a.npy").unlink()
    made = run("convert", "scan.npy", "--bare", "-o", "a.npy")
    assert (made.status, "a.npy.json: exists already" in made.err) == (73, True)
    for options in (["--bare"], ["--bare", "-o", "b.tif"], ["--bare", "-o", "b_%d.tif"]):
        assert run("convert", "scan.npy", *options).status == 2


def test_plain_arrays_are_declared(run, tmp_path):
    np.save(tmp_path / "raw.npy", (VALUES * 100).astype("u2"))
    options = ["--axes", "projection", "--input-unit", "counts", "--voxel-size", "0.0195", "--order", "sinogram"]
    assert run("convert", "raw.npy", *options, "-o", "a.npy").status == 0
    header, values = load(tmp_path / "a.npy")
    assert (header.axes, header.unit, header.spacing) == (SINOGRAMS, "counts", (0.0195, None, 0.0195))
    np.testing.assert_array_equal(values, (VALUES * 100).astype("u2").swapaxes(0, 1))


def test_calibration_by_a_spec(run, tmp_path):
    np.save(tmp_path / "grey.npy", VALUES)
    made = run("convert", "grey.npy", "--calibrate", "linear(slope=10, intercept=-5)", "-o", "a.npy")
    assert made.status == 0, made.err
    header, values = load(tmp_path / "a.npy")
    assert (header.unit, header.calibration.slope, header.calibration.intercept) == ("mgHA/cm3", 10, -5)
    np.testing.assert_allclose(values, VALUES * 10 - 5, rtol=1e-6, atol=1e-5)
    made = run("convert", "grey.npy", "--calibrate", "liner", "-o", "b.npy")
    assert made.status == 2
    assert "did you mean 'linear'" in made.err


@pytest.mark.parametrize(
    "options",
    [
        ["--crop", "1:2"],
        ["--crop", "a:b,:,:"],
        ["--crop", "1,2,3"],
        ["--crop", "9:,:,:"],
        ["--crop", ":,:,::2"],
        ["--crop", ":,:,::0"],
        ["--bin", "7"],
        ["--bin", "0"],
        ["--dtype", "uint8"],
        ["--dtype", "rgb"],
        ["--axes", "volume"],
        ["--order", "volume"],
        ["--input-unit", "counts"],
        ["--voxel-size", "0.5"],
        ["--voxel-size", "nan"],
        ["--slab", "-1"],
        ["--nonsense"],
    ],
)
def test_requests_that_contradict_themselves_or_the_data(run, scan, tmp_path, options):
    made = run("convert", "scan.npy", *options, "-o", "out.npy")
    assert (made.status, made.out, made.err.count("\n")) == (2, b"", 1), made.err
    assert made.err.startswith("bonectl convert: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan.npy"]


def test_dry_run_prints_a_plan_and_writes_nothing(run, scan, tmp_path):
    made = run("convert", "scan.npy", "--bin", "2", "-o", "s/s_%d.tif", "--dry-run")
    assert made.status == 0
    lines = dict(line.split("\t") for line in made.out.decode().splitlines())
    assert lines["shape"] == "3 row × 8 view × 5 col"
    assert (lines["format"], lines["disk"], lines["output"]) == ("tiff", "480 bytes", "s/s_%d.tif")
    assert int(lines["free"].split()[0]) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["scan.npy"]
    assert run("convert", "none.npy", "-o", "a.npy", "--dry-run").status == 66
    assert run("convert", "scan.npy", "-o", "scan.npy", "--dry-run").status == 2


def test_tiff_on_standard_output(run, scan):
    made = run("convert", "scan.npy", "--format", "tiff")
    assert (made.status, made.err) == (0, "")
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(made.out)), VALUES)


def test_a_name_without_a_suffix_takes_a_format(run, scan, tmp_path):
    assert run("convert", "scan.npy", "-o", "a", "--format", "npy").status == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a"), VALUES)


def test_slices_are_replaced_as_a_set(run, scan, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").write_text("mine")
    assert run("convert", "scan.npy", "-o", "s/s_%03d.tif").status == 0
    made = run("convert", "scan.npy", "-o", "s/s_%03d.tif")
    assert (made.status, "s/s_000.tif: exists already" in made.err) == (73, True)
    assert run("convert", "scan.npy", "--crop", ":4,:,:", "--force", "-o", "s/s_%03d.tif").status == 0
    names = sorted(path.name for path in (tmp_path / "s").iterdir())
    assert names == ["notes.txt", "s_000.tif", "s_001.tif", "s_002.tif", "s_003.tif"]
    np.testing.assert_array_equal(load(tmp_path / "s")[1], VALUES[:4])


def test_force_replaces_a_file(run, scan, tmp_path):
    (tmp_path / "a.npy").write_bytes(b"old")
    assert run("convert", "scan.npy", "-o", "a.npy").status == 73
    assert (tmp_path / "a.npy").read_bytes() == b"old"
    assert run("convert", "scan.npy", "-o", "a.npy", "-f").status == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), VALUES)


def test_real_projections_become_a_scan(run, shared_data, tmp_path):
    source = shared_data / "tooth_projections" / "projections.tif"
    made = run(
        "convert", source, "--axes", "projection", "--input-unit", "counts", "--order", "sinogram", "-o", "s.npy"
    )
    assert made.status == 0, made.err
    header, values = load(tmp_path / "s.npy")
    assert (header.shape, header.unit) == ((2, 181, 640), "counts")
    np.testing.assert_array_equal(values.swapaxes(0, 1), tifffile.imread(source))


@pytest.mark.parametrize(
    ("value", "kind", "line", "said"),
    [
        (3e38, "f4", "convert in.npy --calibrate linear(slope=1000)", "72 values are beyond float32 after this"),
        (3e38, "f4", "convert in.npy --input-unit counts --bin 2", "9 values are beyond float32 after this"),
        (1e300, "f8", "denoise in.npy --model gaussian(sigma=1)", "beyond float32 (±3.403e+38), the first 1e+300 at"),
        (
            1e300,
            "f8",
            "reconstruct in.npy --angles 180 --axes sinogram --voxel-size 0.1 --input-unit",
            "first 1e+300 at",
        ),
        (3e38, "f4", "reconstruct in.npy --angles 180 --axes sinogram --voxel-size 0.1 --input-unit", "too large"),
        (
            3e38,
            "f4",
            "reconstruct in.npy --method bonewater(kv=60) --angles 180 --axes sinogram --voxel-size 0.1 --input-unit",
            "too large",
        ),
        (
            3e38,
            "f4",
            "reconstruct in.npy --method sirt(iterations=2) --angles 180 --axes sinogram --voxel-size 0.1 --input-unit",
            "too large",
        ),
        *(
            (
                value,
                "f4",
                f"reconstruct in.npy --method {method} --angles 180 --axes sinogram --voxel-size 0.1 --input-unit",
                f"a line integral of {value:.4g} at (0, 0, 0) is too large: at most 1,000,000 can be",
            )
            for method in ("tv(iterations=2)", "fista(iterations=2)", "fbp")
            for value in (3e38, -2e6)
        ),
        (
            3e38,
            "f4",
            "reconstruct in.npy --try 2:3:1 --angles 180 --axes sinogram --voxel-size 0.1 --input-unit",
            "large",
        ),
    ],
)
def test_values_beyond_their_type_are_refused_with_their_place(run, tmp_path, value, kind, line, said):
    """They were written as infinite, with status 0."""
    np.save(tmp_path / "in.npy", np.full((2, 6, 6), value, kind))
    words = line.split() + (["line integral"] if line.endswith("--input-unit") else [])
    done = run(*words, "-o", "out.npy")
    assert (done.status, said in done.err) == (65, True), done.err
    assert "Warning" not in done.err
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("name", ["a.npy", "a.tif", "s/s_%03d.tif"])
def test_a_window_reads_back_in_its_unit(run, tmp_path, name):
    """What other programs see are 16-bit numbers and a law in `info`; what ours read are the values."""
    assert run("phantom", "iliac", "--shape", "6,24,24", "-o", "bone.npy").status == 0
    bone = np.load(tmp_path / "bone.npy")
    assert run("convert", "bone.npy", "--dtype", "uint16", "--window", "-100:1500", "-o", name).status == 0
    source = name.partition("/")[0]
    told = json.loads(run("info", source, "--json", "--stats").out)
    slope, intercept = (told["scaling"][key] for key in ("slope", "intercept"))
    assert (told["dtype"], told["unit"], told["scaling"]["dtype"]) == ("uint16", "mgHA/cm3", "<u2")
    assert told["statistics"]["mean"] == pytest.approx(bone.mean(), abs=slope)
    if name == "a.tif":
        raw = tifffile.imread(tmp_path / name)
        assert raw.dtype == np.uint16
        assert np.abs(slope * raw.astype(float) + intercept - bone).max() <= 0.5001 * slope
    assert "scaling\t" in run("info", source).out.decode()
    assert run("convert", source, "-fo", "back.npy").status == 0
    back, header = np.load(tmp_path / "back.npy"), json.loads(run("info", "back.npy", "--json").out)
    assert (back.dtype, header["unit"], header["scaling"]) == (np.float32, "mgHA/cm3", None)
    assert np.abs(back - bone).max() <= 0.5001 * slope
    with volumes.opened([tmp_path / source]) as (opened,):
        np.testing.assert_array_equal(opened.values[:], back)


@pytest.mark.parametrize("options", [["--window", "0:1"], ["--dtype", "uint8", "--window", "0-1"]])
def test_windows_that_cannot_be_read(run, scan, options):
    done = run("convert", "scan.npy", *options, "-o", "a.npy")
    assert (done.status, "--window" in done.err, done.err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("name", formats.writers())
def test_every_format_is_written_by_name_and_to_a_stream(run, scan, tmp_path, name):
    """A scan's header and values stay, in whatever formats the register finds."""
    suffix = kit.fact("io", name, "SUFFIXES")[0]
    plain = run("convert", "scan.npy", "--no-history").out
    assert run("convert", "scan.npy", "--no-history", "-o", f"a{suffix}").status == 0
    assert run("convert", "scan.npy", "--no-history", "--format", name).out == (tmp_path / f"a{suffix}").read_bytes()
    assert run("convert", f"a{suffix}", "--no-history").out == plain
    assert f"format\t{name}\n" in run("convert", "scan.npy", "--dry-run", "-o", f"x{suffix}").out.decode()


def test_formats_are_offered_where_they_are_named(run, scan):
    offered = ", ".join(formats.writers())
    assert offered in " ".join(run("convert", "--help").out.decode().split())
    done = run("convert", "scan.npy", "-o", "x", "--format", "nrd")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "no format 'nrd' (did you mean 'nrrd'?); there are" in done.err
    suffixes = ", ".join(formats.suffixes((*formats.writers(), *formats.folder_formats())))
    done = run("convert", "scan.npy", "-o", "x.gif")
    assert done.status == 2
    assert f"x.gif: no format has that suffix; name it {suffixes}, or give --format" in done.err
