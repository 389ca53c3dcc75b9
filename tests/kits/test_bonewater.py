"""Two bone cylinders in water behind a tube, in closed form: cupping, the dark band between them, and their density."""

import json
import shlex

import numpy as np
import pytest
import torch
from tests.made import scan, write

from bonectl.core import physics, spectrum
from bonectl.core.calibration import Calibration
from bonectl.core.spec import parse
from bonectl.errors import DataError, UsageError
from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.methods.bonewater import bonewater
from bonectl.methods.fbp import fbp
from bonectl.methods.fdk import fdk
from bonectl.projection.projector import Projector
from bonectl.scanning.method import check_energy

PITCH, SIDE, VIEWS = 0.25, 112, 160  # mm
WATER, INSERT, APART, DENSITY = 1.3, 0.3, 0.7, 0.8  # cm, cm, cm, g/cm³
KV, FILTER, KEV = 60.0, 0.5, 30.0
FINE = 8


def chords(geometry, x, radius):
    """Lengths [cm] through a cylinder at (x, 0), the mean of FINE rays a column, (view, col)."""
    ray = (np.arange(FINE * geometry.columns) + 0.5) / FINE - 0.5 - geometry.centre
    away = ray * geometry.pitch / 10 - x * np.cos(geometry.angles.radians)[:, None]
    lengths = 2 * np.sqrt(np.maximum(radius**2 - away**2, 0))
    return lengths.reshape(geometry.views, geometry.columns, FINE).mean(axis=-1)


def felt():
    """(energy [keV], weight) of a tube by Kramers' law, the filter by values read off NIST's table in half a keV."""
    energies = np.arange(8.25, KV, 0.5)
    nodes = np.log(
        [[8, 10, 15, 20, 30, 40, 50, 60, 80], [50.33, 26.23, 7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018]]
    )
    filtered = np.exp(np.interp(np.log(energies), *nodes)) * 2.699 * FILTER / 10
    return energies, (KV - energies) * np.exp(-filtered)


@pytest.fixture(scope="module")
def polychromatic():
    """The scan, (row, view, col), of HA that takes 1/3.16 cm³ of water's place for each of its grams."""
    geometry = parallel(SIDE, 1, PITCH, views=VIEWS)
    mineral = DENSITY * sum(chords(geometry, x, INSERT) for x in (APART, -APART))
    water = chords(geometry, 0.0, WATER) - mineral / 3.16
    energies, weights = felt()
    passed = 0.0
    for kev, weight in zip(energies, weights / weights.sum(), strict=True):
        stopped = (
            physics.mass_attenuation(name, kev) * mass for name, mass in (("water", water), ("hydroxyapatite", mineral))
        )
        passed = passed + weight * np.exp(-sum(stopped))
    return geometry, -np.log(passed)[None].astype(np.float32)


def looked_at(volume):
    """Density [mgHA/cm³] between the inserts, at the rim of the water, in it elsewhere, and of an insert."""
    slope, intercept = physics.mineral_law(KEV)
    density = np.asarray(volume)[0] * slope + intercept
    place = (np.arange(SIDE) - (SIDE - 1) / 2) * PITCH / 10
    x, y = np.meshgrid(place, place)
    away = np.hypot(x, y)
    return [
        density[where].mean()
        for where in (
            away < 0.15,
            (away > 1.05) & (away < 1.2),
            (abs(x) < 0.2) & (abs(abs(y) - 0.7) < 0.2),
            np.hypot(x - APART, y) < 0.2,
        )
    ]


def test_cupping_and_the_band_go_and_density_is_right(polychromatic):
    geometry, lines = polychromatic
    A, y = Projector(geometry), torch.from_numpy(lines)
    band, rim, inside, insert = looked_at(fbp(A, y))
    assert rim - inside > 10  # cupping
    assert inside - band > 40
    assert insert < 0.75 * 1000 * DENSITY
    band, rim, inside, insert = looked_at(bonewater(A, y, kv=KV, aluminium=FILTER, kev=KEV))
    assert abs(rim - inside) < 1.5
    assert abs(inside - band) < 4
    assert insert == pytest.approx(1000 * DENSITY, rel=0.015)
    assert [band, rim, inside] == pytest.approx([0.0, 0.0, 0.0], abs=4)


@pytest.mark.parametrize("wrong", [{"kv": 100.0}, {"aluminium": 2.0}, {"threshold": 5000.0}])
def test_another_spectrum_or_no_bone_does_not(polychromatic, wrong):
    geometry, lines = polychromatic
    asked = {"kv": KV, "aluminium": FILTER, "kev": KEV} | wrong
    _, _, _, insert = looked_at(bonewater(Projector(geometry), torch.from_numpy(lines), **asked))
    assert abs(insert / (1000 * DENSITY) - 1) > 0.1


@pytest.mark.parametrize(
    "geometry",
    [
        parallel(24, 9, 0.5, views=40),
        fan(24, 9, 0.5, sod=60, sdd=90, views=60),
        cone(24, 9, 0.5, sod=60, sdd=90, views=60),
    ],
    ids=["parallel", "fan", "cone"],
)
@pytest.mark.parametrize(("least", "most"), [(0, 3), (-3, 20)])  # lines of a table, and beyond its ends
def test_one_energy_hardens_nothing(geometry, least, most, tmp_path):
    (tmp_path / "one.txt").write_text("# keV weight\n30, 7\n")
    y = torch.from_numpy(np.random.default_rng(1).uniform(least, most, geometry.shape).astype(np.float32))
    A = Projector(geometry)
    plain = (fbp if geometry.kind == "parallel" else fdk)(A, y)
    found = bonewater(A, y, spectrum=str(tmp_path / "one.txt"), kev=30)
    assert found.shape == plain.shape
    torch.testing.assert_close(found, plain, rtol=2e-4, atol=1e-4 * (most - least))


def test_any_block_gives_the_same_bits():
    A = Projector(parallel(24, 32, 0.5, views=40, columns=24))
    rows = torch.from_numpy(np.random.default_rng(1).uniform(0, 3, (32, 40, 24)).astype(np.float32))
    parts = [bonewater(A, block, kv=KV) for block in (rows[:16], rows[16:])]
    assert torch.equal(bonewater(A, rows, kv=KV), torch.cat(parts))


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("energy(kev=30, matrix='water')", False),
        ("energy(kev=30, matrix='water'), of densities pseudo-calibrated by peaks(low=0): grey 20 and 179", False),
        ("energy(kev=25.5, matrix='water'), of densities pseudo-calibrated by peaks(low=0): grey 20 and 179", True),
        ("energy(something", False),
        ("rods", False),
    ],
)
def test_density_is_of_the_energy_that_a_law_names(source, refused):
    method, law = parse("bonewater(kv=60)"), Calibration(500.0, -190.0, source)
    if refused:
        with pytest.raises(UsageError, match=r"density is by 25.5 keV"):
            check_energy(method, law)
    else:
        check_energy(method, law)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({}, "needs the tube's kv="),
        ({"kv": 60, "spectrum": "s.txt"}, "give one of them"),
        ({"kv": 400}, "up to 150 kV"),
        ({"kv": 60, "aluminium": -1}, "0 mm or more"),
        ({"kv": 60, "iterations": 0}, "at least 1"),
    ],
)
def test_what_is_no_tube_is_refused(polychromatic, knobs, said):
    geometry, lines = polychromatic
    with pytest.raises(UsageError, match=said):
        bonewater(Projector(geometry), torch.from_numpy(lines), **knobs)


def test_what_a_tube_makes_is_felt_along_a_straight_line():
    """Weights that fall from the least energy to the voltage: a third of the way there is their mean."""
    there = spectrum.of_tube(68.0, 0.0)
    assert np.dot(there.kev, there.weights) == pytest.approx(8 + (68 - 8) / 3, abs=0.01)


@pytest.mark.parametrize("text", ["30 1 2\n", "", "30 -1\n", "200 1\n", "30 word\n"])
def test_what_is_no_spectrum_is_refused(tmp_path, text):
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(DataError, match=r"s.txt: (is no spectrum|energies from 200)"):
        spectrum.listed(tmp_path / "s.txt")


def test_as_it_is_typed(polychromatic, tmp_path, good, run):
    geometry, lines = polychromatic
    write(tmp_path / "scan.npy", scan(lines, geometry))
    (tmp_path / "tube.txt").write_text("\n".join(f"{kev} {weight}" for kev, weight in zip(*felt(), strict=True)))
    good("reconstruct scan.npy --method \"bonewater(spectrum='tube.txt')\" --unit mgHA/cm3 --energy 30 -o v.npy")
    volume = np.load(tmp_path / "v.npy")
    slope, intercept = physics.mineral_law(KEV)
    assert looked_at((volume - intercept) / slope)[3] == pytest.approx(1000 * DENSITY, rel=0.015)
    notes = json.loads(good("info v.npy --json").out)["history"][-1]["notes"]
    assert len(notes["spectrum_sha256"]) == 16
    for energy in (25, 35):
        line = f"reconstruct scan.npy --method 'bonewater(kv=60)' --unit mgHA/cm3 --energy {energy} -o w.npy"
        done = run(*shlex.split(line))
        assert done.status == 2
        assert f"bonewater(kev=30) reads at that energy, density is by {energy} keV" in done.err
    good("reconstruct scan.npy --method 'bonewater(kv=60, iterations=1, window=hann)' -o u.npy")
    assert "spectrum_sha256" not in json.loads(good("info u.npy --json").out)["history"][-1]["notes"]
    for knobs, said in (("", "needs the tube's kv="), ("kv=60, kev=500", "8 to 150 keV"), ("kv=60, window=bla", "bla")):
        done = run(
            "reconstruct", "scan.npy", "--method", f"bonewater({knobs})" if knobs else "bonewater", "-o", "x.npy"
        )
        assert (done.status, done.err.count("\n")) == (2, 1), done.err
        assert said in done.err
