"""Compressed NIfTI, ``x.nii.gz``: the bytes of a ``.nii`` in gzip; all else is as in `bonectl.io.nifti`.

The same stack gives the same bytes: neither name nor time stands in the file.

Source: RFC 1952.
"""

import gzip
from typing import BinaryIO, cast

from bonectl.core.stack import Stack
from bonectl.io import nifti
from bonectl.io._inflated import Inflated
from bonectl.io._whole import held_back

TITLE = "compressed NIfTI"
SUFFIXES = (".nii.gz",)
BEGINS = (b"\x1f\x8b",)

# As zlib's own: higher levels take a multiple of the time for little.
_LEVEL = 6


def read(file: BinaryIO, name: str) -> Stack:
    """A stack from the bytes of a compressed NIfTI file or stream.

    Parameters
    ----------
    file : binary file
        At its first byte; need not be seekable.
    name : str
        How messages call it.

    Raises
    ------
    DataError
        As `bonectl.io.nifti.read`, and when the compressed bytes are damaged.
    """
    return nifti.read(cast(BinaryIO, Inflated(file)), name)


def write(stack: Stack, file: BinaryIO) -> None:
    """Write a stack front to back; the last slab goes out after everything before it has succeeded.

    Raises
    ------
    UsageError
        As `bonectl.io.nifti.write`.
    OSError
        As `file` raises it.
    """
    head = nifti.preamble(stack.header)
    packed = gzip.GzipFile("", "wb", _LEVEL, file, mtime=0)
    packed.write(head)
    for slab in held_back(stack):
        packed.write(slab.data)
    packed.close()  # and only now: its last bytes say that all is there
    file.flush()
