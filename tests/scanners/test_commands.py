"""A scan is reconstructed and prepared by the name of what the scanner left, with no option that its files answer."""

import numpy as np
import pytest
from typer.testing import CliRunner

import bonectl
from bonectl.cli.app import app
from bonectl.errors import BonectlError

h5py = pytest.importorskip("h5py")


def run(*words):
    """Run a command; what it says, or its error."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, BonectlError):
        raise done.exception
    assert done.exit_code == 0, (done.exception, done.output)
    return done


@pytest.fixture
def tooth(shared_data):
    return shared_data / "scans"


def test_a_tooth_from_hdf5_from_a_folder_and_from_arrays_is_the_same_volume(tooth, tmp_path):
    with h5py.File(tooth / "dxchange_hdf5" / "tooth.h5") as file:
        for name in ("data", "data_white", "data_dark", "theta"):
            np.save(tmp_path / f"{name}.npy", file[f"exchange/{name}"][()])
    common = ("--voxel-size", 0.005, "--centre", 295.9, "--no-history", "-o")
    run("reconstruct", tooth / "dxchange_hdf5" / "tooth.h5", *common, tmp_path / "a.npy")
    run("reconstruct", tooth / "tiff_folder_roles" / "tooth", *common, tmp_path / "b.npy")
    told = ("--axes", "projection", "--input-unit", "counts", "--angles", tmp_path / "theta.npy")
    beam = ("--flats", tmp_path / "data_white.npy", "--darks", tmp_path / "data_dark.npy")
    run("reconstruct", tmp_path / "data.npy", *told, *beam, *common, tmp_path / "c.npy")
    a, b, c = ((tmp_path / f"{name}.npy").read_bytes() for name in "abc")
    assert a == b == c
    values = bonectl.read(tmp_path / "a.npy").collect()
    assert values.shape == (2, 640, 640)
    assert 5 < np.percentile(values[:, 250:390, 250:390], 99) < 80  # 1/cm: dentine at some 20 keV


def test_what_is_missing_is_named_before_anything_is_read(tooth, tmp_path):
    with pytest.raises(
        BonectlError, match=r"reader\.h5: no exchange/theta: give --angles; no exchange/data_white"
    ) as e:
        run("reconstruct", tooth / "dxchange_hdf5" / "reader.h5", "--voxel-size", 1, "-o", tmp_path / "v.npy")
    assert e.value.status == 2
    with pytest.raises(BonectlError, match="the detector pitch is unknown; give --voxel-size"):
        run("reconstruct", tooth / "tiff_folder_roles" / "tooth", "-o", tmp_path / "v.npy")
    with pytest.raises(BonectlError, match=r"k11-18014-EtherCAT\.h5, which is not there") as e:
        path = tooth / "nxtomo_nexus" / "k11_diad" / "k11-18014.nxs"
        run("reconstruct", path, "--scanner", "nxtomo(detector='EtherCAT')", "-o", tmp_path / "v.npy")
    assert e.value.status == 66
    assert not (tmp_path / "v.npy").exists()


def made(path, *, theta=True, white=True, energy=None, pitch=20.0):
    """Projections of a cylinder off the axis, as Data Exchange has them: 64 columns of 20 um, and its middle [mm]."""
    views, columns = 90, 64
    angles = np.arange(views) * 180 / views
    t = (np.arange(columns) - 30.0) * pitch * 1e-3  # the axis is at column 30
    x, y, radius = 0.2, -0.1, 0.3
    at = x * np.cos(np.deg2rad(angles)) + y * np.sin(np.deg2rad(angles))
    chord = 2 * np.sqrt(np.maximum(radius**2 - (t[None] - at[:, None]) ** 2, 0)) * 0.1  # cm
    counts = 100 + 20000 * np.exp(-8.0 * chord)[:, None, :].repeat(3, 1)
    with h5py.File(path, "w") as file:
        file["exchange/data"] = np.rint(counts).astype("<u2")
        file["exchange/data_dark"] = np.full((2, 3, columns), 100, "<u2")
        if white:
            file["exchange/data_white"] = np.full((4, 3, columns), 20100, "<u2")
        if theta:
            file["exchange/theta"] = angles
        file["measurement/instrument/detection_system/objective/resolution"] = pitch
        if energy:
            file["measurement/instrument/monochromator/energy"] = energy
    return x, y


def middle(values):
    _, y, x = (values > values.max() / 2).nonzero()
    return (x.mean() - (values.shape[2] - 1) / 2) * 0.02, (y.mean() - (values.shape[1] - 1) / 2) * 0.02


def test_a_scan_lies_in_place_with_its_density(tmp_path):
    x, y = made(tmp_path / "s.h5")
    run("reconstruct", tmp_path / "s.h5", "--centre", 30, "-o", tmp_path / "v.npy")
    stack = bonectl.read(tmp_path / "v.npy")
    values = stack.collect()
    assert stack.header.spacing == pytest.approx((0.02,) * 3)
    assert middle(values) == pytest.approx((x, y), abs=0.01)
    assert np.median(values[1][values[1] > 4]) == pytest.approx(8.0, rel=0.02)
    found = run("reconstruct", tmp_path / "s.h5", "--centre", "auto", "-o", tmp_path / "w.npy")
    assert "found at column 30.0" in found.stderr or "found at column 29.9" in found.stderr


def test_options_override_what_a_scan_says(tmp_path):
    x, y = made(tmp_path / "s.h5")
    run("reconstruct", tmp_path / "s.h5", "--centre", 30, "--angles", -180, "-o", tmp_path / "v.npy")
    assert middle(bonectl.read(tmp_path / "v.npy").collect()) == pytest.approx((x, -y), abs=0.01)  # the mirror image
    made(tmp_path / "t.h5", theta=False)
    run("reconstruct", tmp_path / "t.h5", "--centre", 30, "--angles", 180, "-o", tmp_path / "w.npy")
    assert middle(bonectl.read(tmp_path / "w.npy").collect()) == pytest.approx((x, y), abs=0.01)


def test_density_takes_the_energy_of_the_scan(tmp_path):
    made(tmp_path / "s.h5", energy=25.0)
    said = run("reconstruct", tmp_path / "s.h5", "--centre", 30, "--unit", "mgHA/cm3", "-o", tmp_path / "v.npy").stderr
    assert "mineral density at 25 keV, as the scan says" in said
    run(
        "reconstruct", tmp_path / "s.h5", "--centre", 30, "--unit", "mgHA/cm3", "--energy", 25, "-o", tmp_path / "w.npy"
    )
    one, other = (bonectl.read(tmp_path / f"{name}.npy").collect() for name in "vw")
    assert np.array_equal(one, other)


def test_a_scan_is_prepared_with_its_own_flats_and_darks(tmp_path):
    made(tmp_path / "s.h5")
    run("prepare", tmp_path / "s.h5", "--steps", "flats + log", "--centre", 30, "-o", tmp_path / "p.npy")
    lines = bonectl.read(tmp_path / "p.npy")
    assert lines.header.unit == "line integral"
    assert lines.header.geometry.centre == 30
    assert lines.collect().max() == pytest.approx(8.0 * 0.06, rel=0.02)
    run("reconstruct", tmp_path / "p.npy", "-o", tmp_path / "v.npy")
    run("reconstruct", tmp_path / "s.h5", "--centre", 30, "-o", tmp_path / "w.npy")
    one, other = (bonectl.read(tmp_path / f"{name}.npy").collect() for name in "vw")
    np.testing.assert_allclose(one, other, atol=1e-4)
