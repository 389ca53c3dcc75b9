"""What is looked at in every stack before a run: whether all is finite, what tells it from others, whether pairs fit.

A stack is read once through. What is found wrong for sure is refused; what only looks wrong is said.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bonectl.core import progress
from bonectl.core.counted import counted
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.errors import UsageError
from bonectl.learning.noise import middle, noise
from bonectl.learning.sample import Volume
from bonectl.stacks import screening

# A target this much noisier than its input is taken for the input.
NOISIER = 1.5
# Slices that are looked at, and how many of them must agree on a shift.
LOOKED_AT, AGREEING = 5, 2
# Pixels on a side, about the centre of a slice, that are looked at.
SIDE = 512
# A shift is believed that correlates better by this many times what noise alone would make of so many pixels.
SURE = 4.0


def digests(volumes: Sequence[Volume]) -> tuple[str, ...]:
    """Read all stacks once; return the SHA-256 of each one's values as float32: the same in every format.

    Raises
    ------
    DataError
        A value is NaN or infinite: how many, and where the first is.
    """
    return tuple(map(_digest, volumes))


def _digest(volume: Volume) -> str:
    header = volume.header
    total = hashlib.sha256(" ".join(map(str, header.shape)).encode())
    with progress.task(f"check {volume.name}", header.shape[0]) as advance:

        def slabs() -> Iterator[Array]:
            for number in range(header.shape[0]):
                yield volume.values[number : number + 1]
                advance(1)

        for slab in screening.finite(Stack(header, slabs()), volume.name).slabs:
            with np.errstate(over="ignore"):  # what is beyond float32 is refused where it is cut
                total.update(np.ascontiguousarray(slab, dtype="<f4").data)
    return total.hexdigest()


def check_distinct(inputs: Sequence[Volume], targets: Sequence[Volume], found: Sequence[str]) -> None:
    """Refuse a stack that is given twice, by whatever names: there is nothing to learn from itself.

    Two inputs may share a target, as two doses of one specimen do.

    Parameters
    ----------
    inputs, targets : sequence of Volume
    found : sequence of str
        Their :func:`digests`, inputs first.

    Raises
    ------
    UsageError
        Naming both.
    """
    seen: dict[str, Volume] = {}
    for number, (volume, digest) in enumerate(zip([*inputs, *targets], found, strict=True)):
        if digest in seen and (number < len(inputs) or seen[digest] in inputs):
            other, alike = seen[digest].name, "input" if number < len(inputs) else "target"
            named = "is given twice" if volume.name == other else f"holds the very voxels of {other}"
            raise UsageError(f"{volume.name} {named}, as input and as {alike}; give stacks with noise of their own")
        seen.setdefault(digest, volume)


def suspicions(noisy: Volume, clean: Volume) -> Iterator[str]:
    """Say what looks wrong with a pair: input and target swapped, or one of them shifted.

    Parameters
    ----------
    noisy, clean : Volume
        Input and target, of one shape.
    """
    depth = noisy.header.shape[0]
    numbers = np.unique(np.linspace(0, depth - 1, LOOKED_AT).round().astype(int))
    pairs = [(_centre(noisy, number), _centre(clean, number)) for number in numbers]
    given, wanted = (float(np.median([noise(part) for part in side])) for side in zip(*pairs, strict=True))
    if wanted > NOISIER * given:
        yield (
            f"{clean.name} is noisier than {noisy.name} (sd about {wanted:.3g} and {given:.3g} {noisy.header.unit}); is"
            " the target the input?"
        )
    telling = sorted(pairs, key=lambda pair: float(pair[1].std()))[-AGREEING:]
    shifts = {shift(one, other) for one, other in telling}
    if len(shifts) == 1 and (found := shifts.pop()) is not None:
        rows, columns = (counted(abs(n), "pixel") for n in found)
        yield f"{clean.name} lies {rows} in y and {columns} in x beside {noisy.name}; register them first"


def shift(one: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[int, int] | None:
    """Return by how many rows and columns a picture lies before another of the same thing; None where none is sure.

    Phase correlation (Kuglin and Hines 1975), in which frequencies without power do not count; its peak is believed
    where the pictures correlate better there than they do in place, by far more than noise would make of it.

    Parameters
    ----------
    one, other : (y, x)
    """
    window = np.outer(*(np.hanning(n) for n in one.shape))
    a, b = (np.fft.rfft2((picture - picture.mean()) * window) for picture in (one, other))
    cross = a * b.conj()
    power = np.abs(cross)
    if not power.any():
        return None
    peaks = np.fft.irfft2(cross / (power + power.mean()), one.shape)
    at = np.unravel_index(int(peaks.argmax()), peaks.shape)
    rows, columns = (int(n) if n <= size // 2 else int(n) - size for n, size in zip(at, one.shape, strict=True))
    if not (rows or columns) or any(2 * abs(n) > size for n, size in zip((rows, columns), one.shape, strict=True)):
        return None
    better = _correlation(one, other, rows, columns) - _correlation(one, other, 0, 0)
    overlap = (one.shape[0] - abs(rows)) * (one.shape[1] - abs(columns))
    return (rows, columns) if better > SURE / overlap**0.5 else None


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32], rows: int, columns: int) -> float:
    """Pearson's correlation of a picture, moved back by some pixels, with another."""
    (y, v), (x, u) = (
        (slice(max(0, n), size + min(0, n)), slice(max(0, -n), size - max(0, n)))
        for n, size in zip((rows, columns), one.shape, strict=True)
    )
    a, b = one[y, x].astype(np.float64), other[v, u].astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / size if size else 0.0


def _centre(volume: Volume, number: int) -> NDArray[np.float32]:
    """The centre of a slice, (y, x)."""
    values = volume.slices(slice(number, number + 1))[0]
    return middle(values, SIDE)
