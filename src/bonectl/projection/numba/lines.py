"""Which samples of a line come near some rows of a grid that repeats."""

# numba's decorators are untyped
# mypy: disable-error-code="untyped-decorator"

from math import ceil, floor

from numba import njit

from bonectl.projection.fsp import HALF


@njit(cache=True, nogil=True)
def turns(step, top, cells):  # type: ignore[no-untyped-def]
    """The first and the last period of the grid that a line of samples [-top, top] reaches, `step` cells apart."""
    reach = abs(top * step)
    return int(floor(ceil(-reach - HALF) / cells)), int(floor(ceil(reach - HALF) / cells))


@njit(cache=True, nogil=True)
def reached(step, top, first, last):  # type: ignore[no-untyped-def]
    """Samples within [-top, top], `step` cells apart, among which are all whose base lies in [first, last]."""
    begin, end = -top, top
    if abs(step) * top > 1e-6:
        one = (first - 1 + HALF) / step
        two = (last + HALF) / step
        begin = int(max(-top, floor(min(one, two)) - 1))
        end = int(min(top, ceil(max(one, two)) + 1))
    return begin, end
