"""Scans that are written as scanners write them: read again, they are the same scan of the same specimen."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import binary_erosion
from tests.scanners import left_by
from tests.scanners.turntable import Rays, line_integrals, volume_of, wrong

from bonectl import scanners
from bonectl.core.geometry import Angles
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.scan import Frames, Scan, Source
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.parallel import parallel
from bonectl.io import npy

HALF, SIZE, ROWS = left_by.HALF, 64, 56
VOXEL = 2 * HALF / SIZE


def source(values, header):
    return Source(header, lambda: nullcontext(Stack.of(values, header)))


def rays_of(geometry):
    """By the words of `bonectl.core.geometry.Geometry`."""
    t = geometry.angles.radians[:, None, None, None]
    e_u = np.concatenate([np.cos(t), np.sin(t), 0 * t], -1)
    e_n = np.concatenate([-np.sin(t), np.cos(t), 0 * t], -1)
    u = (np.arange(geometry.columns) - geometry.centre)[None, None, :, None] * geometry.pitch
    v = (np.arange(geometry.rows) - geometry.principal_row)[None, :, None, None] * geometry.row_pitch
    place = u * e_u + v * np.array([0, 0, 1.0])
    if geometry.kind == "parallel":
        return Rays(place - 100 * e_n, np.broadcast_to(e_n, place.shape))
    start = np.broadcast_to(-geometry.sod * e_n, place.shape)
    way = place + (geometry.sdd - geometry.sod) * e_n - start
    return Rays(start, way / np.linalg.norm(way, axis=-1, keepdims=True))


def scan_of(geometry, **facts):
    """Counts with uneven flats, twelve before and eight after, and darks."""
    white, dark = np.linspace(9000, 11000, geometry.columns) * np.ones((geometry.rows, 1)), 100
    counts = np.exp(-line_integrals(rays_of(geometry), HALF)) * white + dark
    header = Header(
        shape=counts.shape, axes=PROJECTIONS, spacing=(None, geometry.row_pitch, geometry.pitch), unit="counts",
        geometry=geometry, acquisition={"energy_kev": 25.0, **facts},
    )  # fmt: skip
    frames = np.broadcast_to(white + dark, (20, *white.shape)).astype("<f4")
    one = header.replace(shape=frames.shape, geometry=None, acquisition={})
    flats = Frames(source(frames, one), (0.0,) * 12 + (float(geometry.views),) * 8)
    darks = Frames(source(np.full_like(frames, dark), one), (0.0,) * 20)
    return Scan(
        kind="simulated", name="scan", files=(), stack=source(counts.astype("<f4"), header), flats=flats, darks=darks
    )


BEAMS = {
    "tiff": parallel(SIZE, ROWS, VOXEL, views=90),
    "dxchange": parallel(SIZE, ROWS, VOXEL, views=90, arc=180),
    "nxtomo": parallel(SIZE, ROWS, VOXEL, views=90).replace(centre=33.0),
    "skyscan": cone(SIZE, ROWS, VOXEL, sod=80, sdd=200, views=60, row_centre=30),
    "nikon": cone(SIZE, ROWS, VOXEL, sod=80, sdd=200, views=60, start=30),
}


@pytest.mark.parametrize("name", BEAMS)
def test_a_scan_that_was_written_is_read_as_it_was(tmp_path, name):
    there = scan_of(BEAMS[name])
    path = tmp_path / ("scan.h5" if name in ("dxchange", "nxtomo") else "scan")
    scanners.write(there, path, name)
    scan = scanners.read(path)
    assert scan.kind == scanners.writers()[name]
    assert scan.problems == ()
    assert scan.header.shape == there.header.shape
    assert scan.header.spacing[1:] == pytest.approx(there.header.spacing[1:])
    if name in ("tiff", "dxchange", "nxtomo"):
        assert scan.angles.degrees == pytest.approx(BEAMS[name].angles.degrees, abs=1e-5)
        assert (scan.flats.count, scan.darks.count) == (20, 20)
        assert (scan.flats.at.count(0), scan.flats.at.count(90)) == ((10, 10) if name == "dxchange" else (12, 8))
        assert scan.header.dtype == "<u2"
    else:
        told = scan.header.geometry
        for fact in ("sod", "sdd", "pitch", "centre", "voxel", "principal_row"):
            assert getattr(told, fact) == pytest.approx(getattr(BEAMS[name], fact)), fact
    if name in ("dxchange", "nxtomo"):
        assert scan.header.acquisition["energy_kev"] == 25
    volume, header = volume_of(scan)
    assert wrong(volume, header.spacing[2], HALF) == []


def test_an_axis_beside_the_beam_of_nikon_and_a_source_far_away_of_skyscan(tmp_path):
    read = scanners.read(left_by.nikon(tmp_path / "first", offset=0.9, initial=20))
    with read.stack.open() as stack:
        counts = stack.collect()
    again = Scan(kind="nikon", name="again", files=(), stack=source(counts, read.header))
    scanners.write(again, tmp_path / "second", "nikon")
    after = scanners.read(tmp_path / "second").header.geometry
    for fact in ("sod", "sdd", "centre", "slant"):
        assert getattr(after, fact) == pytest.approx(getattr(read.header.geometry, fact)), fact
    assert after.angles.start == pytest.approx(read.header.geometry.angles.start)
    scanners.write(scan_of(BEAMS["tiff"]), tmp_path / "far", "skyscan")
    scan = scanners.read(tmp_path / "far")
    assert scan.header.geometry is None
    assert scan.angles.degrees == pytest.approx(BEAMS["tiff"].angles.degrees)


def test_what_files_of_a_kind_cannot_tell_is_refused(tmp_path):
    uneven = cone(SIZE, ROWS, VOXEL, views=3).replace(angles=Angles.of([0, 1, 90]))
    for name, geometry, said in (
        ("tiff", BEAMS["nikon"], "a cone beam cannot be told by TIFF files; parallel can"),
        ("nikon", BEAMS["tiff"], "a parallel beam cannot be told by Nikon files; cone can"),
        ("skyscan", uneven, "3 uneven angles cannot be told by SkyScan files"),
        ("skyscan", BEAMS["skyscan"].replace(roll=1.0), "leave out roll, tilt and slant"),
        ("nikon", BEAMS["nikon"].replace(centre=40.0), "an axis off the middle has a slant"),
    ):
        with pytest.raises(UsageError, match=said):
            scanners.write(scan_of(geometry), tmp_path / "scan", name)
        assert not (tmp_path / "scan").exists()


def test_air_is_not_cut_in_pictures_of_skyscan(tmp_path):
    scanners.write(scan_of(BEAMS["skyscan"]), tmp_path / "scan", "skyscan")
    view = tifffile.imread(tmp_path / "scan" / "scan_00000000.tif")
    assert abs(int(view[0, 0]) - 58000) < 10
    assert scanners.read(tmp_path / "scan").header.acquisition["white"] == 58000


def test_the_help_of_simulate_names_every_writer(run):
    words = " ".join(run("simulate", "--help").out.decode().replace("│", " ").split())
    for name in scanners.writers():
        assert name in words.partition("--as")[2].partition("--")[0], name


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    """A body in 1/cm without symmetry, as a file."""
    z, y, x = (np.arange(n) - (n - 1) / 2 for n in (16, 32, 32))
    rod = (np.hypot(z[:, None, None] - 3, y[:, None] + 6) < 3) & (np.abs(x + 5) < 6)
    ball = np.sqrt((z[:, None, None] + 3) ** 2 + (y[:, None] - 7) ** 2 + (x - 5) ** 2) < 4
    values = np.where(rod | ball, np.float32(1.0), np.float32(0))
    path = tmp_path_factory.mktemp("body") / "body.npy"
    with path.open("wb") as file:
        npy.write(Stack.of(values, Header(shape=values.shape, spacing=(0.1,) * 3, unit="1/cm")), file)
    return path, values


@pytest.mark.parametrize("kind", BEAMS)
def test_simulate_leaves_what_a_scanner_would(run, body, kind):
    path, values = body
    beam = "cone(sod=20, sdd=50, views=72)" if kind in ("nikon", "skyscan") else "parallel(views=72)"
    done = run(
        "simulate", path, "--geometry", beam, "--photons", "1e5", "--blur", 0, "--dark", 20, "--as", kind, "-o", kind
    )
    assert done.status == 0, done.err
    scan = scanners.read(Path(kind))
    assert scan.problems == ()
    if kind in ("tiff", "dxchange", "nxtomo"):
        assert (scan.flats.count, scan.flats.at.count(0), scan.darks.count) == (20, 10, 20)
    volume, _ = volume_of(scan)
    cut = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(volume.shape, values.shape, strict=True))
    right = np.corrcoef(volume[cut].ravel(), values.ravel())[0, 1]
    assert right > 0.9
    assert volume[cut][binary_erosion(values > 0)].mean() == pytest.approx(1, abs=0.05)  # grids lie half a voxel apart
    for axis in range(3):
        assert np.corrcoef(np.flip(volume[cut], axis).ravel(), values.ravel())[0, 1] < 0.6 * right


def test_simulate_as_a_scanner_refuses_what_makes_no_sense(run, body):
    path, _ = body
    for more, status, said in (
        (["--as", "leica", "-o", "a"], 2, "--as leica: there are dxchange, nikon, nxtomo, skyscan, tiff"),
        (["--as", "tiff"], 2, "give -o with the name of a new folder, or file"),
        (["--as", "tiff", "-o", "a", "--unit", "transmission"], 2, "leave out --unit"),
        (["--as", "tiff", "-o", "a", "--flats", "f.npy"], 2, "leave out --flats"),
        (["--as", "nikon", "-o", "a"], 2, "a parallel beam cannot be told by Nikon files"),
        (["--as", "tiff", "-o", "there"], 73, "there: is a folder already"),
    ):
        Path("there").mkdir(exist_ok=True)
        done = run("simulate", path, "--views", 3, *more)
        assert (done.status, said in done.err) == (status, True), done.err
        assert not Path("a").exists()
    told = run("simulate", path, "--views", 3, "--as", "skyscan", "-o", "a", "--dry-run")
    assert "format\tskyscan" in told.out.decode()
    assert not Path("a").exists()
