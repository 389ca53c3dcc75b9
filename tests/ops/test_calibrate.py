import numpy as np
import pytest
from tests.made import stack

from bonectl.core.header import SINOGRAMS, Header
from bonectl.core.spec import parse
from bonectl.core.stack import Stack
from bonectl.errors import DataError, UsageError
from bonectl.ops.calibrate import calibrated


def two_materials():
    values = np.full((12, 24, 24), 20, np.uint8)
    values[:, :, 8:16] = 180
    noise = np.random.default_rng(0).integers(-3, 4, values.shape)
    return (values + noise).astype(np.uint8)


def test_attenuation_to_mineral_is_the_law_that_the_header_states():
    mu = np.linspace(0, 8, 64, dtype=np.float32).reshape(4, 4, 4)
    there = calibrated(stack(mu, "1/cm"), parse("energy(kev=25)"))
    assert there.header.unit == "mgHA/cm3"
    assert there.header.calibration.slope == pytest.approx(301.1, abs=0.1)
    np.testing.assert_allclose(there.header.calibration.attenuation(there.collect()), mu, atol=2e-6)


def test_laws_of_the_spec_are_applied_as_written():
    done = calibrated(stack(np.float32([[[0, 10]]]), "grey"), parse("linear(slope=3, intercept=-6)"))
    np.testing.assert_array_equal(done.collect(), [[[-6, 24]]])
    native = calibrated(stack(np.float32([[[4259]]]), "grey"), parse("scanco"))
    assert native.collect().item() == pytest.approx(446.8, abs=0.05)


def test_peaks_read_the_whole_stack_and_label_it():
    grey = two_materials()
    done = calibrated(stack(grey.astype(np.float32), "grey"), parse("peaks"))
    values = done.collect()
    assert np.median(values[:, :, :6]) == pytest.approx(0, abs=25)
    assert np.median(values[:, :, 10:14]) == pytest.approx(1050, abs=25)
    assert done.header.calibration.pseudo
    assert done.header.dtype == "<f4"


def test_slabs_do_not_change_a_pseudo_calibration():
    grey = two_materials()
    header = Header(shape=grey.shape, dtype="|u1", spacing=(0.02,) * 3, unit="grey")
    cut = Stack(header, (grey[i : i + 5] for i in range(0, 12, 5)))
    np.testing.assert_array_equal(
        calibrated(cut, parse("peaks")).collect(), calibrated(Stack.of(grey, header), parse("peaks")).collect()
    )


@pytest.mark.parametrize(
    ("unit", "spec", "words"),
    [
        ("grey", "energy", "reads values in 1/cm"),
        ("1/cm", "peaks", "reads values in grey"),
        ("mgHA/cm3", "energy", "these are in mgHA/cm3"),
        ("1/cm", "enregy", "did you mean 'energy'"),
        ("1/cm", "energy(kev=500)", "8 to 150"),
    ],
)
def test_laws_that_do_not_fit_are_refused(unit, spec, words):
    with pytest.raises(UsageError, match=words):
        calibrated(stack(np.zeros((2, 2, 2), np.float32), unit), parse(spec))


def test_scans_have_no_density():
    header = Header(shape=(2, 3, 4), axes=SINOGRAMS, unit="1/cm")
    with pytest.raises(UsageError, match="reconstruct"):
        calibrated(Stack.of(np.zeros((2, 3, 4), np.float32), header), parse("energy"))


def test_too_few_slices_are_an_error_of_the_data():
    header = Header(shape=(9, 4, 4), unit="grey")
    with pytest.raises(DataError, match="announced"):
        calibrated(Stack(header, iter([np.zeros((2, 4, 4), np.float32)])), parse("peaks"))
