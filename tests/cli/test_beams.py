"""Fan and cone beams from phantom to volume, as they are typed."""

import shlex

import numpy as np
import pytest

from bonectl.core.physics import mineral_law

DENSITY = 800.0  # mgHA/cm3, of the ball


def away(shape):
    index = np.indices(shape) - (np.array(shape) - 1).reshape(3, 1, 1, 1) / 2
    return np.sqrt((index**2).sum(axis=0))


@pytest.mark.parametrize(
    ("geometry", "views"),
    [
        ("cone(sod=6, sdd=9)", 180),
        ("cone(sod=6, sdd=9, arc=220)", 140),
        ("cone(sod=6, sdd=9, rows=64, row_centre=29.5, roll=3, tilt=-4, slant=5)", 180),
        ("fan(sod=6, sdd=9, centre=41.5)", 180),
    ],
)
def test_a_ball_keeps_its_attenuation(good, tmp_path, geometry, views):
    """Ball, scan at 1e6 photons, volume: the mean attenuation of the core within 1.5 %."""
    good(f"phantom 'ball(mineral={DENSITY})' --shape 40,48,48 --voxel-size 0.02 -o ball.npy")
    good(
        f"simulate ball.npy --geometry '{geometry}' --views {views} --photons 1e6 --energy 25 --blur 0 --seed 1 "
        "--oversample 1 -o scan.npy"
    )
    good("reconstruct scan.npy -o volume.npy")
    ball, volume = np.load(tmp_path / "ball.npy"), np.load(tmp_path / "volume.npy")
    assert volume.shape == ball.shape
    slope, intercept = mineral_law(25.0)
    law = lambda density: (density - intercept) / slope  # noqa: E731
    core = away(ball.shape) < 7
    assert ball[core].min() == pytest.approx(DENSITY)
    assert volume[core].mean() == pytest.approx(law(DENSITY), rel=0.015)
    air = (away(ball.shape)[20] > 20) & (away(ball.shape)[20] < 23)
    assert volume[20][air].mean() == pytest.approx(law(ball[20][air].mean()), abs=0.03)


def test_pipe_and_file_and_slab_give_the_same_bytes(good, shell, tmp_path):
    good("phantom ball --shape 12,24,24 --voxel-size 0.02 -o ball.npy")
    good("simulate ball.npy --geometry 'cone(sod=4, sdd=6)' --views 40 --no-history -o scan.npy")
    good("reconstruct scan.npy --no-history -o volume.npy")
    piped = shell(
        "cat ball.npy | bonectl simulate --geometry 'cone(sod=4, sdd=6)' --views 40 --no-history --slab 1 | "
        "bonectl reconstruct --method fdk --no-history --slab 5 --threads 1 > piped.npy"
    )
    assert piped.returncode == 0, piped.stderr.decode()
    assert (tmp_path / "piped.npy").read_bytes() == (tmp_path / "volume.npy").read_bytes()


def test_the_wrong_method_is_refused_before_work(run, good):
    good("phantom ball --shape 12,24,24 --voxel-size 0.02 -o ball.npy")
    good("simulate ball.npy --geometry 'cone(sod=4, sdd=6)' --views 40 -o scan.npy")
    done = run("reconstruct", "scan.npy", "--method", "fbp", "-o", "volume.npy")
    assert done.status == 2
    assert "fbp is not for a cone beam; use fdk" in done.err
    good("simulate ball.npy --geometry 'cone(sod=4, sdd=6, arc=180)' --views 40 -o half.npy")
    done = run("reconstruct", "half.npy", "--centre", "auto", "-o", "volume.npy")
    assert done.status == 2
    assert "the rotation axis cannot be found" in done.err
    done = run("simulate", "ball.npy", "--geometry", "cone(sod=0.2, sdd=6)", "-o", "b.npy")
    assert done.status == 2
    assert "the source is 0.2 mm from the axis" in done.err


def ball(beam, views, columns, centre, *, radius=0.35, middle=(0.1, -0.06), attenuation=3.0):
    """Line integrals of a ball in the middle plane (of a cylinder in a parallel and a fan beam), in closed form.

    Pixels of 0.03 mm, 30 rows, sod 6 mm, sdd 9 mm; lengths in mm: (view, row, col).
    """
    t = np.deg2rad(np.arange(views) * 360 / views)[:, None, None]
    u = (np.arange(columns) - centre)[None, None, :] * 0.03
    v = (np.arange(30) - 14.5)[None, :, None] * 0.03 * (beam == "cone")
    x, y = middle
    if beam == "parallel":
        off = (u - x * np.cos(t) - y * np.sin(t)) ** 2 + 0 * v
    else:
        ray = np.stack(np.broadcast_arrays(u * np.cos(t) - 9 * np.sin(t), u * np.sin(t) + 9 * np.cos(t), v))
        ray /= np.sqrt((ray**2).sum(axis=0))
        to = np.stack(np.broadcast_arrays(x - 6 * np.sin(t), y + 6 * np.cos(t), 0 * v))
        off = (to**2).sum(axis=0) - (to * ray).sum(axis=0) ** 2
    return (attenuation / 10 * 2 * np.sqrt(np.maximum(0, radius**2 - off))).astype(np.float32)


PLAIN = "reconstruct plain.npy --axes projection --input-unit 'line integral' -o volume.npy --force"


@pytest.mark.parametrize(
    ("beam", "columns", "centre", "size"),
    [
        ("cone(sod=6, sdd=9", 64, 30.2, 64),
        ("cone(sod=6, sdd=9", 40, 8.3, 63),  # half acquisition
        ("fan(sod=6, sdd=9", 64, 30.2, 64),
        ("fan(sod=6, sdd=9", 40, 30.9, 63),
        ("parallel(", 40, 8.3, 63),
    ],
)
def test_a_plain_scan_is_reconstructed_by_the_beam_it_is_told(good, tmp_path, beam, columns, centre, size):
    """Of a self-made scan without a header, in closed form: attenuation, place and size of voxels."""
    name, _, distances = beam.partition("(")
    np.save(tmp_path / "plain.npy", ball(name, 120, columns, centre))
    comma = ", " if distances else ""
    said = good(f"{PLAIN} --geometry '{beam}{comma}arc=360, centre={centre}, pitch=0.03, views=120)'").err
    assert "cut off" not in said
    volume = np.load(tmp_path / "volume.npy")
    assert volume.shape == (30, size, size)
    voxel = 0.03 if name == "parallel" else 0.02
    row, column = (np.mgrid[:size, :size] - (size - 1) / 2) * voxel
    away = np.hypot(column - 0.1, row + 0.06)
    middle = volume[14:16].mean(axis=0)
    assert middle[away < 0.25].mean() == pytest.approx(3.0, rel=0.01)
    assert abs(middle[(away > 0.45) & (np.hypot(row, column) < size * voxel / 2)].mean()) < 0.02
    said = good(f"{PLAIN} --geometry '{beam})' --angles 360 --centre {centre} --voxel-size 0.03").err
    assert np.array_equal(np.load(tmp_path / "volume.npy"), volume)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--geometry 'cone(sod=6, arc=360)' --voxel-size 0.03", "needs both distances"),
        ("--geometry 'cone(sod=9, sdd=6, arc=360)' --voxel-size 0.03", "0 < sod <= sdd"),
        ("--geometry 'cone(sod=6, sdd=9)' --voxel-size 0.03", "give --angles, or cone(arc=360)"),
        ("--geometry 'cone(sod=6, sdd=9, arc=360)'", "give pitch=... in --geometry, or --voxel-size"),
        ("--geometry 'cone(sod=6, sdd=9, arc=360, pitch=0.1)' --voxel-size 0.03", "pixels 0.03 mm wide"),
        ("--geometry 'cone(sod=6, sdd=9, arc=360, rows=20)' --voxel-size 0.03", "rows=20, the scan has 30 rows"),
        ("--geometry 'cone(sod=6, sdd=9, arc=360, columns=20)' --voxel-size 0.03", "columns=20, the scan has 40"),
        ("--geometry 'fan(sod=6, sdd=9, arc=360, views=20)' --voxel-size 0.03", "views=20, the scan has 12"),
        ("--geometry 'fan(sod=6, sdd=9, arc=360)' --angles 180 --voxel-size 0.03", "--angles is given too"),
        ("--geometry 'fan(sod=6, sdd=9, arc=360, centre=20)' --centre 21 --voxel-size 0.03", "--centre is given too"),
        (
            "--geometry 'fan(sod=6, sdd=9, arc=360, centre=20)' --centre auto --voxel-size 0.03",
            "--centre auto is given",
        ),
        ("--geometry 'fan(sod=6, sdd=9, arc=360, centre=60)' --voxel-size 0.03", "outside the 40 columns"),
        ("--geometry 'cone(sod=0.3, sdd=0.4, arc=360)' --voxel-size 0.03", "the source is 0.3 mm from the axis"),
        ("--geometry 'beam(sod=6, sdd=9)'", "no geometry 'beam'"),
    ],
)
def test_a_beam_that_contradicts_itself_or_the_scan_is_refused(run, tmp_path, options, words):
    np.save(tmp_path / "plain.npy", ball("cone", 12, 40, 19.5))
    done = run(*shlex.split(f"{PLAIN} {options}"))
    assert (done.status, done.err.count("\n")) == (2, 1), done.err
    assert words in done.err
    assert len(done.err) < 220
    assert not (tmp_path / "volume.npy").exists()


def test_a_scan_keeps_the_geometry_that_it_carries(run, good):
    good("phantom ball --shape 12,24,24 --voxel-size 0.02 -o ball.npy")
    good("simulate ball.npy --geometry 'cone(sod=4, sdd=6)' --views 40 -o scan.npy")
    good("reconstruct scan.npy --geometry 'cone(sod=4, sdd=6, arc=360, views=40)' -o same.npy")
    for beam, words in (("fan(sod=4, sdd=6)", "of a cone beam"), ("cone(sdd=7)", "the scan carries sdd=6")):
        done = run("reconstruct", "scan.npy", "--geometry", beam, "-o", "volume.npy")
        assert done.status == 2
        assert words in done.err
