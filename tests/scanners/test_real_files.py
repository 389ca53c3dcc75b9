"""Files as scanners and facilities wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest

from bonectl import scanners
from bonectl.core.spec import parse
from bonectl.errors import BonectlError, DataError, MissingInputError, UsageError


@pytest.fixture
def there(shared_data):
    return shared_data / "scans"


def held(source):
    with source.open() as stack:
        return stack.collect()


def test_a_tooth_from_hdf5_and_from_a_folder_is_the_same_scan(there):
    hdf5 = scanners.read(there / "dxchange_hdf5" / "tooth.h5")
    folder = scanners.read(there / "tiff_folder_roles" / "tooth")
    assert (hdf5.kind, folder.kind) == ("dxchange", "tiff_folder")
    assert hdf5.header == folder.header
    assert hdf5.header.shape == (181, 2, 640)
    assert hdf5.header.unit == "counts"
    assert hdf5.angles == folder.angles
    assert np.allclose(hdf5.angles.degrees, np.arange(181) * 180 / 181)
    assert not hdf5.problems + folder.problems
    for one, other in zip((hdf5.stack, hdf5.flats.source, hdf5.darks.source),
                          (folder.stack, folder.flats.source, folder.darks.source), strict=True):  # fmt: skip
        assert np.array_equal(held(one), held(other))
        assert np.array_equal(held(one), held(one))  # as often as it is wanted


def test_what_a_file_of_data_exchange_lacks_is_named(there):
    scan = scanners.read(there / "dxchange_hdf5" / "reader.h5")
    assert scan.header.shape == (4, 8, 16)
    assert any("exchange/theta" in line and "--angles" in line for line in scan.problems)
    assert any("exchange/data_white" in line and "--flats" in line for line in scan.problems)


def test_a_nexus_scan_whose_angles_lie_in_another_file(there):
    scan = scanners.read(there / "nxtomo_nexus" / "k11_diad" / "k11-18014.nxs")
    assert scan.kind == "nxtomo"
    assert scan.header.shape == (3001, 22, 26)
    assert (scan.flats.count, scan.darks.count) == (100, 100)
    assert scan.flats.at == (0.0,) * 50 + (3001.0,) * 50  # by the keys: 50 before, 50 after
    assert scan.angles.count == 3001
    assert scan.angles.degrees[0] == pytest.approx(89.9951, abs=1e-4)
    assert any("k11-18014-EtherCAT.h5" in line for line in scan.notes)
    with pytest.raises(MissingInputError, match=r"k11-18014-EtherCAT\.h5, which is not there"):
        scanners.read(there / "nxtomo_nexus" / "k11_diad" / "k11-18014.nxs", parse("nxtomo(detector='EtherCAT')"))


def test_other_hdf5_is_read_by_the_dataset_that_is_named(there):
    path = there / "nxtomo_nexus" / "i12_separate" / "flat_field.h5"
    assert scanners.read(path).header.shape == (20, 10, 192)  # the only one
    named = scanners.read(Path(f"{path}:/1-NoProcessPlugin-tomo/data"))
    assert np.array_equal(held(named.stack), held(scanners.read(path).stack))
    with pytest.raises(DataError, match="holds no dataset /nothing; there are /1-NoProcessPlugin-tomo/data"):
        scanners.read(Path(f"{path}:/nothing"))


def test_a_file_of_several_datasets_asks_for_one(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a"] = np.zeros((2, 3, 4))
        file["b/c"] = np.zeros((2, 3, 4), ">u2")
    with pytest.raises(UsageError, match=r"two\.h5: holds /a, /b/c; name one: two\.h5:/a"):
        scanners.read(tmp_path / "two.h5")
    assert scanners.read(tmp_path / "two.h5:/b/c").header.dtype == "<u2"


def test_a_file_cut_at_any_length_says_so(there, tmp_path):
    whole = (there / "dxchange_hdf5" / "tooth.h5").read_bytes()
    path = tmp_path / "cut.h5"
    for size in np.random.default_rng(3).integers(9, len(whole), 12):
        path.write_bytes(whole[:size])
        with pytest.raises(BonectlError) as told:
            held(scanners.read(path).stack)
        assert told.value.status == 65
        assert str(path) in str(told.value)


def test_a_stack_is_no_scan(there, tmp_path):
    np.save(tmp_path / "stack.npy", np.zeros((3, 4, 5)))
    for path in (
        tmp_path / "stack.npy",
        tmp_path,
        tmp_path / "nothing",
        there / "skyscan" / "Switch_rec" / "001_Rec_0000.tif",
    ):
        assert scanners.claimed(path) is None
    with pytest.raises(DataError, match="is no scan that bonectl knows; there are dicom, dxchange"):
        scanners.read(tmp_path / "stack.npy")


def test_info_is_a_persons_check_of_a_scan(there):
    from typer.testing import CliRunner

    from bonectl.cli.app import app

    told = json.loads(CliRunner().invoke(app, ["info", "--json", str(there / "dxchange_hdf5" / "tooth.h5")]).stdout)
    assert told["schema"] == "bonectl.scan/1"
    assert (told["kind"], told["shape"], told["unit"]) == ("dxchange", [181, 2, 640], "counts")
    assert told["views"] == {"count": 181, "first": 0.0, "last": pytest.approx(179.00552), "step": 180 / 181}
    assert told["flats"] == told["darks"] == {"count": 10, "before": None, "after": None}
    assert told["problems"] == []
    lines = CliRunner().invoke(app, ["info", str(there / "nxtomo_nexus" / "k11_diad" / "k11-18014.nxs")]).stdout
    assert "flats\t100 (50 before, 50 after)" in lines
    assert "angles\t89.9951 to 269.995 degrees, unevenly" in lines
