"""Stacks on disk as arrays that can be read anywhere, without holding them in memory."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bonectl import io
from bonectl.core import progress
from bonectl.core.atomic import failure
from bonectl.core.slabs import Array
from bonectl.core.stack import Stack
from bonectl.io import npy
from bonectl.learning.sample import Volume


@contextmanager
def mapped(paths: Sequence[Path]) -> Iterator[list[Volume]]:
    """Open stacks for random access.

    NPY files are memory-mapped where they are; random patches come from them a hundred times faster than from a
    compressed TIFF, so every other format is written once to a temporary NPY, gone when the block ends.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders of slices.

    Raises
    ------
    DataError, MissingInputError, PermissionDeniedError
        A file cannot be read as a stack.
    WriteError
        The temporary folder is full.
    """
    with tempfile.TemporaryDirectory(prefix="bonectl-") as folder:
        yield [_mapped(path, Path(folder) / f"{number}.npy") for number, path in enumerate(paths)]


def _mapped(path: Path, scratch: Path) -> Volume:
    """Map one stack, by way of ``scratch`` where it is no NPY file."""
    if _is_npy(path):
        header, values = npy.mapped(path)
        if header.scaling is None:
            return Volume(values, header, str(path))
    # Written as a stream and mapped afterwards: a full disk is then an error, where a map would end the process.
    with io.open(path) as stack, progress.task(f"unpack {path.name}", stack.header.shape[0]) as advance:
        try:
            with scratch.open("wb") as file:
                npy.write(Stack(stack.header, _counted(stack, advance)), file)
        except OSError as error:
            raise failure(scratch.parent, error) from error
    header, values = npy.mapped(scratch)
    return Volume(values, header, str(path))


def _counted(stack: Stack, advance: progress.Advance) -> Iterator[Array]:
    """Yield the slabs, and tell of each."""
    for slab in stack.slabs:
        yield slab
        advance(len(slab))


def _is_npy(path: Path) -> bool:
    """Whether a path is a regular file that begins like NPY."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return npy.claims(file.read(8))
    except PermissionError:
        return False  # io.open says so properly
