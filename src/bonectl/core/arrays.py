"""What is written once for NumPy arrays and for tensors: arrays on a CPU, tensors where gradients or a GPU are wanted.

The functions of both that are used have the same names (``where``, ``sqrt``, ``stack``), and torch takes ``axis`` and
``keepdims`` too. Nothing here imports torch: who holds a tensor has done so.
"""

from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from bonectl.core import pool
from bonectl.core.slabs import Array

# A NumPy array, or a torch tensor.
Values: TypeAlias = Any


def is_array(values: Values) -> bool:
    """Whether values are a NumPy array, and no tensor."""
    return isinstance(values, np.ndarray)


def space(values: Values) -> Any:
    """The module whose functions take these values: numpy or torch."""
    return np if is_array(values) else import_module("torch")


def zeros(like: Values, *shape: int) -> Values:
    """Zeros of the same kind and type, where the others lie."""
    return np.zeros(shape, like.dtype) if is_array(like) else like.new_zeros(shape)


def ones(like: Values, *shape: int) -> Values:
    """Ones of the same kind and type, where the others lie."""
    return np.ones(shape, like.dtype) if is_array(like) else like.new_ones(shape)


def fitting(like: Values, array: Any) -> Values:
    """An array as values of the same kind and type, where the others lie."""
    if is_array(like):
        return array.astype(like.dtype, copy=False)
    return import_module("torch").as_tensor(array).to(like)


def tensor(array: Array) -> Values:
    """A tensor over the same memory, or of a copy where that may not be written to, which torch cannot promise."""
    return import_module("torch").from_numpy(array if array.flags.writeable else array.copy())


def whole(values: Values) -> Values:
    """Values that are whole numbers as such: places in an array."""
    return values.astype(np.int64) if is_array(values) else values.long()


def plain(values: Values) -> Array:
    """Values as an array; of a tensor on a CPU, the same memory."""
    return np.asarray(values) if is_array(values) else np.asarray(values.detach().cpu().numpy())


def is_recorded(values: Values) -> bool:
    """Whether a gradient is asked for: what happens to these values is recorded."""
    return not is_array(values) and bool(values.requires_grad) and bool(import_module("torch").is_grad_enabled())


def inner(first: Values, second: Values, axes: tuple[int, ...]) -> Values:
    """Sum of products over the last axes, summed in float64, in the values' type and to be broadcast against them.

    What comes out of an item does not depend on how many there are.
    """
    if not is_array(first):
        return (first.double() * second.double()).sum(axis=axes, keepdims=True).to(first.dtype)
    head = first.shape[: first.ndim - len(axes)]
    pairs = [values.reshape(-1, *first.shape[len(head) :]) for values in (first, second)]
    sums = np.empty(len(pairs[0]), dtype=np.float64)

    def work(low: int, high: int) -> None:
        for n in range(low, high):
            sums[n] = sum(
                np.multiply(*parts, dtype=np.float64).sum() for parts in zip(*(all_[n] for all_ in pairs), strict=True)
            )

    pool.each(work, pool.cut(len(sums), 1))
    return sums.astype(first.dtype).reshape(*head, *[1] * len(axes))


def squares(values: Values, axes: tuple[int, ...]) -> Values:
    """Sum of squares over the last axes, as `inner`."""
    return inner(values, values, axes)


def norm(values: Values, axes: tuple[int, ...]) -> Values:
    """Euclidean norm over the last axes, as `squares`."""
    return space(values).sqrt(squares(values, axes))
