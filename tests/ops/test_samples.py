"""Samples: which answers there are, that the cut does not matter, and what their intervals are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import t as student
from tests import made

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.core.table import Interval, Number, Row, Table
from bonectl.errors import UsageError
from bonectl.learning.checkpoint import Checkpoint, Normalisation
from bonectl.models.unet2d import unet2d
from bonectl.models.unet25d import unet25d
from bonectl.ops.denoise import Model, denoise, untrained
from bonectl.ops.samples import deviation, mean, predicted, sampled, with_intervals
from bonectl.training.patches import turned

pytestmark = pytest.mark.usefixtures("one_thread")


def model(seed, build=unet25d, **knobs):
    """A network with random weights everywhere, as if trained."""
    generator = torch.Generator().manual_seed(seed)
    network = build(width=4, scales=2, **knobs)
    for parameter in network.parameters():
        parameter.data.copy_(0.2 * torch.randn(parameter.shape, generator=generator))  # keeps the layout in memory
    checkpoint = Checkpoint(
        model=f"{build.__name__}(width=4, scales=2)",
        loss="l1",
        pairs="supervised",
        normalisation=Normalisation("mgHA/cm3", 0.0, 1200.0),
        axes=("z", "y", "x"),
        spacing=(0.02,) * 3,
        steps=1,
        seed=seed,
        weights=network.state_dict(),
    )
    return Model(network, checkpoint.model, checkpoint)


def volume(shape=(7, 14, 19)):
    return made.noise(shape)


def answers(values, models, count, **knobs):
    drawn = sampled(made.stack(values, slab=knobs.pop("slab", 3)), models, count, **knobs)
    return np.concatenate(list(drawn.blocks), axis=1)


def test_the_first_samples_are_the_answers_of_the_checkpoints():
    models = [model(0), model(1, slices=3), model(2, unet2d)]
    drawn = answers(volume(), models, 4)
    for sample, one in zip(drawn[:3], models, strict=True):
        np.testing.assert_array_equal(sample, denoise(made.stack(volume()), one).collect())
    assert not np.array_equal(drawn[3], drawn[0])


def test_later_samples_are_answers_for_the_turned_volume_turned_back():
    one = model(0)
    drawn = answers(volume(), [one], 8)
    for symmetry, sample in enumerate(drawn):
        there = denoise(made.stack(np.ascontiguousarray(turned(volume(), symmetry))), one).collect()
        np.testing.assert_array_equal(turned(sample, symmetry), there)
    assert len({sample.tobytes() for sample in drawn}) == 8


def test_neither_slabs_nor_tiles_change_a_sample():
    models = [model(0), model(1, unet2d)]
    whole = answers(volume(), models, 6)
    np.testing.assert_array_equal(whole, answers(volume(), models, 6, slab=7))
    np.testing.assert_allclose(whole, answers(volume(), models, 6, tile=4), atol=1e-5 * 1200)


def test_mean_and_standard_deviation_are_numpys():
    block = np.random.default_rng(1).normal(500, 30, (5, 2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(mean(block), block.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation(block), block.std(axis=0, ddof=1), rtol=1e-4)
    assert mean(block).dtype == deviation(block).dtype == np.float32


@pytest.mark.parametrize(("count", "message"), [(1, "2 to 16"), (17, "2 to 16")])
def test_other_numbers_of_samples_are_refused(count, message):
    with pytest.raises(UsageError, match=message):
        sampled(made.stack(volume()), [model(0), model(1)], count)


def test_a_filter_has_one_answer():
    with pytest.raises(UsageError, match=r"filter and has one answer"):
        sampled(made.stack(volume()), [model(0), untrained("gaussian(sigma=1)")], 2)


def test_checkpoints_of_other_scales_are_not_mixed():
    one, other = model(0), model(1)
    facts = {name: getattr(other.checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    scaled = Checkpoint(**facts | {"normalisation": Normalisation("mgHA/cm3", 0.0, 1000.0)})
    with pytest.raises(UsageError, match="model 1 was trained on 0 to 1200 mgHA/cm3, model 2 on 0 to 1000 mgHA/cm3"):
        answers(volume(), [one, Model(other.network, other.name, scaled)], 2)


def test_checkpoints_of_another_unit_are_refused_before_any_voxel():
    def never():
        raise AssertionError("a voxel was pulled")
        yield

    header = Header(shape=(4, 8, 8), unit="1/cm", spacing=(0.02,) * 3)
    with pytest.raises(UsageError, match="trained on mgHA/cm3"):
        sampled(Stack(header, never()), [model(0), model(1)], 2)


def table(**values):
    return Table(tuple(Row(Number(name, value, "1", "")) for name, value in values.items()))


def test_the_interval_is_students_for_one_more_sample():
    values = np.array([3.0, 4.0, 8.0])
    found = predicted(values)
    low, high = student.interval(0.95, 2, 5.0, values.std(ddof=1) * (4 / 3) ** 0.5)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.source == "95 %, 3 samples, t interval for one more"


def test_the_interval_holds_one_more_normal_value_as_often_as_it_says():
    random = np.random.default_rng(0)
    hits = []
    for _ in range(2000):
        *known, new = random.normal(7, 2, 5)
        found = predicted(np.array(known))
        hits.append(found.low <= new <= found.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_every_number_of_all_samples_gets_an_interval_and_nothing_else_changes():
    before = Row(Number("chi", -3, "1", ""), 4.0, Interval(0, 1, "else"))
    whole = Table((Row(Number("bvtv", 0.2, "1", ""), 0.25), before, Row(Number("odd", 1.0, "1", ""))))
    found = with_intervals(whole, [table(bvtv=0.21, chi=-4, odd=float("nan")), table(bvtv=0.23, chi=-8, odd=1.0)])
    assert found.row("bvtv").interval == predicted(np.array([0.21, 0.23]))
    assert found.row("chi").interval == predicted(np.array([-4.0, -8.0]))
    assert found.row("odd").interval is None
    assert [row.number for row in found.rows] == [row.number for row in whole.rows]
    assert found.row("bvtv").reference == 0.25


def test_one_sample_makes_no_interval():
    with pytest.raises(UsageError, match="at least 2"):
        with_intervals(table(bvtv=0.2), [table(bvtv=0.2)])


@pytest.mark.parametrize(("name", "value"), [("shape", "4 4 5"), ("voxel_z_mm", 0.04), ("unit", "grey")])
def test_samples_of_another_volume_are_refused(name, value):
    like = {"shape": "4 4 4", "voxel_z_mm": 0.02, "voxel_y_mm": 0.02, "voxel_x_mm": 0.02, "unit": "1/cm"}
    good = replace(table(bvtv=0.2), conditions={**like, "voxel_x_mm": 0.02000001})
    other = replace(table(bvtv=0.2), conditions={**like, name: value})
    assert with_intervals(good, [good, replace(good, conditions=like)]).rows[0].interval is not None
    with pytest.raises(UsageError, match=f"sample 2: {name} is {value}, of the volume {like[name]}"):
        with_intervals(good, [good, other])
