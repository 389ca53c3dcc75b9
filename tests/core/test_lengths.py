import pytest

from bonectl.core.lengths import is_cubic, same


@pytest.mark.parametrize(("share", "told"), [(0.0, True), (9e-4, True), (1.1e-3, False), (0.5, False)])
def test_sides_are_the_same_within_a_tenth_of_a_percent(share, told):
    for factor in (1 + share, 1 - share):
        assert same(0.02, 0.02 * factor) is told
    assert is_cubic((0.02, 0.02 * (1 + share), 0.02)) is told
