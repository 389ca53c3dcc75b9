"""Label images: one label of several, and a word where several are taken as one."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bonectl.core import progress
from bonectl.core.header import Header
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.core.table import Table
from bonectl.errors import DataError, UsageError

# So many values are told; of grey values there are more.
MOST = 8

# An image of more labels is none of bones: grey values, or pieces that nobody counted.
MOST_BONES = 4096


def chosen(stack: Stack, label: int, what: str) -> Stack:
    """The mask of one label.

    Parameters
    ----------
    stack : Stack
        A label image: unit "label", or whole grey values.
    label : int
    what : str
        How messages call it, such as "the volume".

    Raises
    ------
    UsageError
        When the values are no labels.
    DataError
        From the slabs, before the last one: no voxel has the label.
    """
    header = stack.header
    if not _has_labels(header):
        raise UsageError(f"label {label} of {what}, which is no label image but in {header.unit!r}, {header.dtype[1:]}")
    return Stack(header.replace(dtype="|b1", unit="label"), _equal(stack, label, what), finite=True)


def all_of(stack: Stack, what: str) -> list[int]:
    """The labels of a label image, by rising number; 0 is none. All slabs are read, one at a time.

    Parameters
    ----------
    stack : Stack
        As of `chosen`.
    what : str
        How messages call it.

    Raises
    ------
    UsageError
        When the values are no labels.
    DataError
        When there is no label, one that is negative or no whole number, or more than `MOST_BONES`.
    """
    if not _has_labels(stack.header):
        raise UsageError(f"{what} is no label image but in {stack.header.unit!r}, {stack.header.dtype[1:]}")
    found: set[int] = set()
    for slab in natural(stack, what).slabs:
        values = np.unique(slab)
        if (broken := values[values % 1 != 0]).size:
            raise DataError(f"{what} has the value {broken[0]:g}, and labels are whole numbers")
        found.update(values.tolist())
        if len(found) > MOST_BONES:
            raise DataError(
                f"{what} has more than {MOST_BONES} labels; an image of bones has fewer: --label N takes one"
            )
    labels = sorted(int(label) for label in found if label)
    if not labels:
        raise DataError(f"{what} has no label: all voxels are 0")
    return labels


def named(table: Table, label: int | None) -> Table:
    """The table with the label that it is of among its conditions."""
    return table if label is None else replace(table, conditions={"label": label, **table.conditions})


def _has_labels(header: Header) -> bool:
    """Whether values can be labels: not those of a density, nor grey ones with fractions."""
    return header.unit == "label" or (header.unit == "grey" and header.dtype[1] != "f")


def _equal(stack: Stack, label: int, what: str) -> Iterator[Array]:
    there = False
    for slab, found, is_last in _looked(stack):
        mask = slab == label
        there |= bool(mask.any())
        if is_last and not there:
            raise DataError(f"{what} has no voxel of label {label}; it has {_listed(found) or 'none but 0'}")
        yield mask


def natural(stack: Stack, what: str) -> Stack:
    """The same label image, in which every label is checked to be 0 or more.

    A label below 0 is no background and no bone: it marks what was left out, or was 255 before a cast to int8.

    Parameters
    ----------
    stack : Stack
        Unit "label".
    what : str
        How messages call it, such as "the volume".

    Raises
    ------
    DataError
        From the slabs: a label is below 0.
    """
    return stack if stack.header.dtype[1] in "bu" else replace(stack, slabs=_natural(stack, what))


def _natural(stack: Stack, what: str) -> Iterator[Array]:
    for slab in stack.slabs:
        if (least := slab.min()) < 0:
            raise DataError(
                f"{what} has label {least:g}, and labels are 0 (marrow) or more; --label N takes one as bone, "
                "--threshold VALUE cuts at a value"
            )
        yield slab


def watched(
    stack: Stack, note: str, *, least: int, most: int | None = None, tell: Callable[[str], None] = progress.note
) -> Stack:
    """The same stack, with a note where it holds a number of labels.

    Parameters
    ----------
    stack : Stack
    note : str
        What is said with the last slab; ``{}`` stands for the labels.
    least, most : int
        Numbers of values, 0 among them, of which it is said.
    tell : callable
        What takes the note.
    """
    return replace(stack, slabs=_watched(stack, note, least, most, tell))


def _watched(stack: Stack, note: str, least: int, most: int | None, tell: Callable[[str], None]) -> Iterator[Array]:
    for slab, found, is_last in _looked(stack):
        if is_last and least <= len(found) and (most is None or len(found) <= most):
            tell(note.format(_listed(found)))
        yield slab


def _looked(stack: Stack) -> Iterator[tuple[Array, list[float], bool]]:
    """The slabs, the values that were found so far, and whether it is the last: a reader may not ask for more."""
    found: list[float] = []
    left = stack.header.shape[0]
    for slab in stack.slabs:
        _look(slab, found)
        left -= len(slab)
        yield slab, found, left == 0


def _look(slab: Array, found: list[float]) -> None:
    """Add the values of a slab to those that were found, as long as these are not many."""
    if len(found) > MOST:
        return
    rest = slab.ravel()
    for value in found:
        rest = rest[rest != value]
    while rest.size and len(found) <= MOST:
        found.append(rest[0].item())
        rest = rest[rest != found[-1]]


def _listed(found: list[float]) -> str:
    """The labels, which 0 is none of."""
    labels = sorted(label for label in found if label != 0)
    return ", ".join(f"{label:g}" for label in labels[:MOST]) + (", ..." if len(found) > MOST else "")
