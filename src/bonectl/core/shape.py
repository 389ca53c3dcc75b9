"""Whether JSON that a stranger wrote is of the shape that its readers take for granted."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

# What a value must be: a test of it; a list, whose every member must be so; a tuple, member by member; a mapping with
# these keys, and perhaps others; or one of any keys, written as `ANY`.
Shape = Any
ANY = "*"


def number(value: object) -> bool:
    """A finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def text(value: object) -> bool:
    """Words."""
    return isinstance(value, str)


def maybe(shape: Shape) -> Callable[[object], bool]:
    """Nothing, or something of a shape."""
    return lambda value: value is None or fits(value, shape)


def span(value: object) -> bool:
    """A least and a largest number."""
    return fits(value, (number, number)) and value[0] <= value[1]  # type: ignore[index]


def fits(value: Any, shape: Shape) -> bool:
    """Whether a value has a shape."""
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, tuple):
        return isinstance(value, list) and len(value) == len(shape) and all(map(fits, value, shape))
    if isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            return False
        if ANY in shape:
            return all(fits(one, shape[ANY]) for one in value.values())
        return all(key in value and fits(value[key], each) for key, each in shape.items())
    return bool(shape(value))


def check(value: Mapping[str, Any], shape: Mapping[str, Shape]) -> dict[str, Any]:
    """The same facts, of which none must be there.

    Raises
    ------
    TypeError
        Naming the first that does not have its shape.
    """
    for key, each in shape.items():
        if key in value and not fits(value[key], each):
            raise TypeError(f"{key} is {value[key]!r}")
    return dict(value)
