import numpy as np
import pytest

from bonectl.core.spec import parse
from bonectl.errors import UsageError
from bonectl.ops.phantom import phantom


def test_a_spec_makes_its_phantom():
    stack = phantom(parse("ball(diameter=0.8)"), (16, 16, 16), 0.1)
    assert stack.header.answers["tbth_mm"] == 0.8
    assert stack.collect().shape == (16, 16, 16)


def test_the_header_comes_before_any_work():
    huge = phantom(parse("iliac"), (10**6, 4, 4), 0.02)
    assert huge.header.shape == (10**6, 4, 4)


def test_slabs_are_slices_of_the_whole():
    whole = phantom(parse("vertebra"), (20, 32, 32), 0.06, 3).collect()
    slabs = list(phantom(parse("vertebra"), (20, 32, 32), 0.06, 3).blocks(7))
    assert [len(slab) for slab in slabs] == [7, 7, 6]
    np.testing.assert_array_equal(np.concatenate(slabs), whole)


@pytest.mark.parametrize(
    ("spec", "shape", "voxel", "words"),
    [
        ("iliak", (8, 8, 8), 0.1, "did you mean 'iliac'"),
        ("iliac(size=2)", (8, 8, 8), 0.1, "no knob 'size'"),
        ("iliac", (0, 8, 8), 0.1, "three positive lengths"),
        ("iliac", (8, 8, 8), -0.1, "voxel size"),
        ("iliac", (8, 8, 8), float("nan"), "voxel size"),
        ("ball(diameter=5)", (8, 8, 8), 0.1, "does not fit"),
    ],
)
def test_what_cannot_be_is_refused(spec, shape, voxel, words):
    with pytest.raises(UsageError, match=words):
        phantom(parse(spec), shape, voxel)
