"""A checkpoint comes back as it went, or not at all."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from bonectl.core.calibration import Calibration
from bonectl.core.header import Header
from bonectl.errors import BonectlError, DataError, MissingInputError, OutputError, UsageError
from bonectl.learning.checkpoint import BONE, VERSION, Checkpoint, Normalisation
from bonectl.learning.weights import sealed, unsealed


def checkpoint(**changes):
    facts = {
        "model": "unet2d(width=4)",
        "loss": "l1 + 0.1*l2@50%",
        "pairs": "supervised",
        "normalisation": Normalisation("mgHA/cm3", 0.0, 1200.0),
        "axes": ("z", "y", "x"),
        "spacing": (0.0195, None, 0.0195),
        "acquisition": {"photons": 1e4, "views": 180, "method": "fbp"},
        "pseudo": True,
        "steps": 100,
        "seed": 7,
        "training": {"rate": 3e-3, "held_out_psnr_db": [[50, 20.5], [100, 21.25]]},
        "versions": {"torch": "2"},
        "weights": {"b": torch.arange(3.0), "a": torch.randn(2, 3, generator=torch.Generator().manual_seed(0))},
    }
    return Checkpoint(**(facts | changes))


def test_round_trip(tmp_path):
    before = checkpoint()
    before.save(tmp_path / "x.safetensors")
    after = Checkpoint.load(tmp_path / "x.safetensors")
    for name in ("model", "loss", "pairs", "normalisation", "axes", "spacing", "pseudo", "steps", "seed", "digest"):
        assert getattr(after, name) == getattr(before, name)
    for name in ("acquisition", "training", "versions"):
        assert dict(getattr(after, name)) == dict(getattr(before, name))
    assert after.weights.keys() == before.weights.keys()
    for name, weight in before.weights.items():
        assert torch.equal(after.weights[name], weight)


def test_same_content_same_bytes_and_one_json_text(tmp_path):
    for name in ("x", "y"):
        checkpoint().save(tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    with safe_open(tmp_path / "x", framework="pt") as file:
        metadata = file.metadata()
    assert list(metadata) == ["bonectl"]
    assert json.loads(metadata["bonectl"])["unit"] == "mgHA/cm3"


def test_digest_sees_names_shapes_and_values():
    weights = {"a": torch.zeros(2, 3)}
    digests = {
        checkpoint(weights=w).digest
        for w in (weights, {"b": torch.zeros(2, 3)}, {"a": torch.zeros(3, 2)}, {"a": torch.zeros(2, 3) + 1e-9})
    }
    assert len(digests) == 4
    assert checkpoint(weights={"a": torch.zeros(2, 3).T.contiguous().T}).digest == checkpoint(weights=weights).digest


@given(st.integers(0, 2000))
def test_truncated_anywhere_is_a_data_error(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("truncated")
    checkpoint().save(folder / "x")
    whole = (folder / "x").read_bytes()
    (folder / "x").write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(DataError):
        Checkpoint.load(folder / "x")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_a_data_error_or_changes_nothing(tmp_path_factory, place, flip):
    folder = tmp_path_factory.mktemp("flipped")
    checkpoint().save(folder / "x")
    whole = bytearray((folder / "x").read_bytes())
    whole[place % len(whole)] ^= flip
    (folder / "x").write_bytes(whole)
    try:
        after = Checkpoint.load(folder / "x")
    except BonectlError as error:
        assert isinstance(error, DataError)
    else:
        assert after.digest == checkpoint().digest


@given(st.binary(max_size=300))
def test_junk_is_a_data_error(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("junk") / "x"
    path.write_bytes(junk)
    with pytest.raises(DataError):
        Checkpoint.load(path)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "x")
    with pytest.raises(DataError, match="no checkpoint of bonectl"):
        Checkpoint.load(tmp_path / "x")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '"a"',
        "null",
        '{"version": 2}',
        "[" * 10000,
        '{"version": 1, "model": 3}',
        f'{{"version": {"9" * 5000}}}',
    ],
)
def test_a_damaged_description_is_refused(tmp_path, text):
    save_file({"a": torch.zeros(1)}, tmp_path / "x", metadata={"bonectl": text})
    with pytest.raises(DataError):
        Checkpoint.load(tmp_path / "x")


def described(path, **changes):
    """A checkpoint whose description is changed, and sealed again."""
    facts = unsealed(sealed(checkpoint()._facts()), VERSION)
    save_file(dict(checkpoint().weights), path, metadata={"bonectl": sealed(facts | changes)})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"spacing_mm": []},
        {"spacing_mm": [0.02, 0.02]},
        {"spacing_mm": [0.02, 0.02, 0]},
        {"spacing_mm": [0.02, 0.02, -1]},
        {"spacing_mm": 3},
        {"spacing_mm": [[], [], []]},
        {"axes": []},
        {"axes": ["x", "y", "z"]},
        {"axes": ["z", "y"], "spacing_mm": [1, 1]},
        {"scale": 1e308},
        {"scale": 0},
        {"scale": 1e-300},
        {"offset": -1e308},
        {"scale": 10**400},
        {"steps": "many"},
        {"steps": None},
        {"seed": []},
        {"acquisition": {"photons": []}},
        {"acquisition": {"photons": 10**400}},
        {"acquisition": 3},
        {"versions": 3},
        {"training": 3},
        {"training": {"level": "loud"}},
        {"training": {"level": {"most": 1, "noise_least": 0.1, "noise_median": 0.2}}},
        {"training": {"level": {"most": 1, "noise_least": 0.1, "noise_median": 0.2, "noise_most": "0.3"}}},
        {"training": {"level": {"most": 1, "noise_least": 0.1, "noise_median": 0.2, "noise_most": 10**400}}},
        {"training": {"held_out_psnr_db": [20.0, 21.0]}},
        {"training": {"held_out_bone_errors": {"bvtv": [1]}}},
        {"training": {"voxel_mm": [0.06, 0.02]}},
        {"training": {"stacks": "scan.npy" * 100}},
        {"validated": {"noise": [1, 2]}},
        {"validated": {"voxel_mm": [0.02]}},
        {"validated": {"voxel_mm": [0.02, 0.06], "noise": [[], {}]}},
        {"validated": {"voxel_mm": [0.02, 0.06], "judged": [{"bone": "a"}]}},
        {"sha256": None},
    ],
)
def test_a_hostile_description_is_refused_in_one_short_line(tmp_path, changes):
    with pytest.raises(DataError) as failure:
        Checkpoint.load(described(tmp_path / "x", **changes))
    said = str(failure.value).removeprefix(str(tmp_path))
    assert "\n" not in said
    assert len(said) < 200


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    checkpoint(weights={"a": torch.tensor([1.0, float("nan")])}).save(tmp_path / "x")
    with pytest.raises(DataError, match="not finite"):
        Checkpoint.load(tmp_path / "x")


def test_a_number_that_is_changed_in_the_description_is_noticed(tmp_path):
    checkpoint().save(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    assert whole.count(b"1200.0") == 1
    (tmp_path / "x").write_bytes(whole.replace(b"1200.0", b"1201.0"))
    with pytest.raises(DataError, match="not what was saved"):
        Checkpoint.load(tmp_path / "x")


def test_every_flipped_bit_of_a_file_is_noticed_or_changes_nothing(tmp_path):
    checkpoint().save(tmp_path / "x")
    whole, facts = (tmp_path / "x").read_bytes(), checkpoint()._facts()
    for place in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        (tmp_path / "x").write_bytes(flipped)
        try:
            after = Checkpoint.load(tmp_path / "x")
        except DataError:
            continue
        assert after._facts() == facts, place


def test_files_of_version_1_are_still_read(tmp_path):
    facts = checkpoint()._facts() | {"version": 1}
    del facts["calibrated"]
    save_file(dict(checkpoint().weights), tmp_path / "x", metadata={"bonectl": json.dumps(facts)})
    assert Checkpoint.load(tmp_path / "x").normalisation.scale == 1200.0


def test_missing(tmp_path):
    with pytest.raises(MissingInputError, match="no such checkpoint"):
        Checkpoint.load(tmp_path / "nothing.safetensors")


def test_a_failed_save_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "x"
    checkpoint().save(path)
    before = path.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(BonectlError, match="no space left") as failure:
        checkpoint(steps=200).save(path)
    assert failure.value.status == 74
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_no_folder(tmp_path):
    with pytest.raises(OutputError):
        checkpoint().save(tmp_path / "nowhere" / "x")


def header(**changes):
    return Header(shape=(4, 4, 4), **changes)


def test_normalisation_from_density_is_fixed():
    assert Normalisation.of(header(unit="mgHA/cm3")) == Normalisation("mgHA/cm3", 0.0, BONE)


def test_normalisation_of_attenuation_is_that_of_density():
    law = Calibration(250.0, -120.0, "test")
    attenuation = Normalisation.of(header(unit="1/cm", calibration=law))
    values = torch.tensor([0.0, 0.48, 3.0, 5.28], dtype=torch.float64)
    expected = Normalisation("mgHA/cm3", 0.0, BONE).normalised(law.density(values))
    torch.testing.assert_close(attenuation.normalised(values), expected)
    torch.testing.assert_close(attenuation.physical(attenuation.normalised(values)), values)


@pytest.mark.parametrize("unit", ["1/cm", "grey", "counts", "line integral"])
def test_uncalibrated_values_have_no_scale(unit):
    with pytest.raises(UsageError, match="calibration"):
        Normalisation.of(header(unit=unit))


@pytest.mark.parametrize(("offset", "scale"), [(0, 0), (0, -1), (float("nan"), 1), (0, float("inf"))])
def test_impossible_normalisations(offset, scale):
    with pytest.raises(UsageError):
        Normalisation("grey", offset, scale)
