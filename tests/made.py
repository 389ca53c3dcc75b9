"""What many tests are about, made in one place: stacks, files of them, noisy and clean pairs, training runs."""

import numpy as np

from bonectl.core.header import Header
from bonectl.core.stack import Stack
from bonectl.io import npy
from bonectl.training.request import Request


def stack(values, unit="mgHA/cm3", *, spacing=(0.02,) * 3, slab=None, **facts):
    """A stack of an array, whole or in slabs of `slab` slices."""
    values = np.ascontiguousarray(values)
    dtype = values.dtype.newbyteorder("<").str
    header = Header(shape=values.shape, dtype=dtype, spacing=spacing, unit=unit, **facts)
    size = slab or max(1, len(values))
    return Stack(header, (values[start : start + size] for start in range(0, len(values), size)))


def store(path, values, **facts):
    """An NPY file of float32 values [mgHA/cm3, 0.02 mm]."""
    with path.open("wb") as file:
        npy.write(stack(np.asarray(values, np.float32), **facts), file)
    return path


def rods(shape=(16, 32, 32)):
    """Bone-like rods [mgHA/cm3]."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return (1000.0 * (np.sin(y / 2.5 + z / 9) * np.sin(x / 3) > 0.2)).astype(np.float32)


def bar(shape=(12, 32, 32)):
    """One bar along z [mgHA/cm3]."""
    values = np.zeros(shape, np.float32)
    values[:, 8:20, 5:25] = 1000
    return values


def nudged(path):
    """A file beside another, whose values are larger by 1: no pair can be made of a file and itself."""
    header, values = npy.mapped(path)
    other = path.with_name(f"nudged_{path.name}")
    with other.open("wb") as file:
        npy.write(Stack.of(np.asarray(values) + values.dtype.type(1), header), file)
    return other


def noisy_and_clean(folder, clean, sd, **facts):
    """Two files, low.npy with noise and clean.npy without."""
    noisy = clean + np.random.default_rng(0).normal(0, sd, clean.shape)
    return store(folder / "low.npy", noisy, **facts), store(folder / "clean.npy", clean, **facts)


def after(step):
    """What a training loop asks whether to stop: True from its step-th question on."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= step


def train_on(inputs, targets, recipe, saving, *, stop=lambda: False, **settings):
    """How a training run ended: `bonectl.ops.train.train` of lists of paths."""
    from bonectl.ops.train import train

    asked = Request(inputs=tuple(inputs), targets=tuple(targets), recipe=recipe, saving=saving, **settings)
    return train(asked, stop=stop)
