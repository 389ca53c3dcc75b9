"""The spline of tables."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from bonectl.core.spline import Spline


def test_a_cubic_is_met_everywhere():
    """What the condition at the ends is for: one cubic through all points is found."""
    places = np.array([0.1, 0.3, 0.35, 0.9, 1.4, 2.0])
    cubic = np.polynomial.Polynomial([0.3, -2.0, 0.7, 1.1])
    spline = Spline.through(places, cubic(places))
    for place in np.linspace(0.0, 2.2, 45):  # a little beyond the ends too
        assert spline(place) == pytest.approx(cubic(place), abs=1e-12)


@pytest.mark.parametrize("count", [4, 5, 60])
def test_it_is_that_of_scipy(count):
    rng = np.random.default_rng(count)
    places, values = np.cumsum(rng.uniform(0.2, 1.0, count)), rng.normal(size=count)
    ours, theirs = Spline.through(places, values), CubicSpline(places, values)
    for place in np.linspace(places[0], places[-1], 200):
        assert ours(place) == pytest.approx(float(theirs(place)), abs=1e-12)
