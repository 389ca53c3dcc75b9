"""Scans cut, binned, short, starved or scaled otherwise: the right numbers, or a line that says which are not.

The object is a cylinder of 2.0 1/cm and 7 voxels of radius along z, through all slices: whatever part of it is
scanned, the middle reads 2.0, and every slice that is measured is as full as any other.
"""

import re
import shlex

import numpy as np
import pytest

from bonectl.core import kit

SLICES, SIDE, RADIUS, VALUE = 24, 24, 7.0, 2.0
CONE = "cone(sod=50, sdd=100)"


@pytest.fixture
def scanned(tmp_path, good):
    """A function that scans the cylinder by some options, and gives the scan's name."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    np.save(tmp_path / "z.npy", np.repeat((np.hypot(x, y) < RADIUS)[None] * VALUE, SLICES, 0).astype("f4"))

    def scan(*options, name="s.npy"):
        given = ("--input-unit", "1/cm", "--voxel-size", "0.1", "--views", "90", *options)
        good(shlex.join(map(str, ("simulate", tmp_path / "z.npy", *given, "-q", "-f", "-o", tmp_path / name))))
        return tmp_path / name

    return scan


@pytest.fixture
def rebuilt(tmp_path, run):
    """A function that reconstructs a scan: volume and what was said."""

    def once(scan, *options):
        done = run("reconstruct", scan, *options, "-f", "-o", tmp_path / "r.npy")
        assert done.status == 0, done.err
        return np.load(tmp_path / "r.npy"), done.err

    return once


def middle(volume):
    n = volume.shape[-1]
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    return volume[:, np.hypot(x, y) < 0.5 * RADIUS * n / SIDE].mean(1)


@pytest.mark.parametrize("beam", ["parallel", "fan(sod=50, sdd=100)", CONE])
@pytest.mark.parametrize("method", [m for m in kit.names("methods") if m not in ("bonewater", "lpd", "pnp")])
# (these want a tube's spectrum, and weights)
def test_every_method_takes_the_beams_that_it_says(scanned, rebuilt, run, method, beam, tmp_path):
    scan = scanned("--geometry", beam, "--noise", "none")
    kind = beam.partition("(")[0]
    knobs = kit.describe("methods", method).knobs
    text = f"{method}(iterations=30)" if "iterations" in knobs else method
    if kind not in kit.fact("methods", method, "BEAMS"):
        assert run("reconstruct", scan, "--method", text, "-o", tmp_path / "no.npy").status == 2
        return
    volume, _ = rebuilt(scan, "--method", text)
    assert volume.shape == (SLICES, SIDE, SIDE)
    assert middle(volume)[SLICES // 4 : -SLICES // 4] == pytest.approx(VALUE, rel=0.05)


@pytest.mark.parametrize("k", [2, 3])
def test_a_binned_cone_scan_has_slices_as_it_has_rows_and_columns(scanned, rebuilt, good, tmp_path, k):
    scan = scanned("--geometry", CONE, "--noise", "none")
    good(f"convert {scan} --bin {k} -q -o {tmp_path}/b.npy")
    volume, said = rebuilt(tmp_path / "b.npy")
    assert volume.shape == (SLICES // k, SIDE // k, SIDE // k)
    assert "beyond the detector" not in said
    assert middle(volume)[1:-1] == pytest.approx(VALUE, rel=0.05)


@pytest.mark.parametrize("first", [0, 10])
def test_slices_that_no_row_sees_are_told(scanned, rebuilt, good, tmp_path, first):
    scan = scanned("--geometry", CONE, "--noise", "none")
    whole, said = rebuilt(scan)
    assert "beyond the detector" not in said
    good(f"convert {scan} --crop {first}:{first + 14},:,: -q -o {tmp_path}/c.npy")
    volume, said = rebuilt(tmp_path / "c.npy")
    told = re.search(
        rf"(\d+) of {SLICES} slices lie beyond the detector's rows and are empty; seen are (\d+) to (\d+)", said
    )
    count, low, high = map(int, told.groups())
    assert count == SLICES - (high - low + 1)
    level = middle(volume) / middle(whole)
    assert level[low + 1 : high] == pytest.approx(1, abs=0.05)
    assert np.abs(np.delete(level, range(max(0, low - 1), high + 2))).max(initial=0) < 0.3


def test_a_short_arc_is_told_to_cost_density(scanned, rebuilt):
    scan = scanned("--geometry", "parallel(arc=135)", "--noise", "none")
    volume, said = rebuilt(scan)
    assert "no view within 45 of 180 degrees" in said
    share = int(re.search(r"(\d+)% of the density", said)[1]) / 100
    assert middle(volume) == pytest.approx(VALUE * (1 - share), rel=0.02)
    volume, said = rebuilt(scan, "--method", "sirt(iterations=200)")
    assert "density" not in said
    assert middle(volume) == pytest.approx(VALUE, rel=0.05)


@pytest.mark.parametrize(("photons", "told"), [(5, True), (20, True), (1000, False)])
def test_few_photons_are_no_cut_detector_and_no_beam_that_changed(scanned, rebuilt, photons, told):
    scan = scanned("--photons", str(photons), "--seed", "1")
    volume, said = rebuilt(scan)
    assert "cut off" not in said
    assert "beam changed" not in said
    assert ("few photons" in said) == told
    assert (middle(volume).mean() > 1.02 * VALUE) == told


@pytest.mark.parametrize(("white", "dtype"), [(65535, "u2"), (100, "f4"), (1, "f4")])
def test_transmissions_of_another_white_level_are_told(scanned, rebuilt, tmp_path, white, dtype):
    scan = scanned("--unit", "transmission", "--noise", "none")
    np.save(tmp_path / "t.npy", np.minimum(np.load(scan) * white, white).astype(dtype))
    plain = ("--axes", "sinogram", "--input-unit", "transmission", "--angles", "180", "--voxel-size", "0.1")
    volume, said = rebuilt(tmp_path / "t.npy", *plain)
    assert ("its white level is not 1" in said) == (white != 1)
    if white != 1:
        air = re.search(r"--air (\d+)", said)[1]
        volume, said = rebuilt(tmp_path / "t.npy", *plain, "--air", air)
        assert "white level" not in said
    assert middle(volume) == pytest.approx(VALUE, rel=0.03)
