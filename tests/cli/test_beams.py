"""Fan and cone beams from phantom to volume, as they are typed."""

import shlex

import numpy as np
import pytest

from bonectl.core.physics import mineral_law

DENSITY = 800.0  # mgHA/cm3, of the ball


@pytest.fixture
def good(run):
    def once(line):
        done = run(*shlex.split(line))
        assert done.status == 0, done.err
        return done

    return once


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
