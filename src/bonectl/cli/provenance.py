"""What the history says of how a volume was made, beside the command line."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bonectl.core.header import Fact


def of_files(read: Mapping[str, Path | None]) -> "dict[str, Fact]":
    """SHA-256 of the files that were read: ``{"flats_sha256": ...}``.

    Those of a folder or a pattern count as one, in their order: ``cat FOLDER/*.tif | sha256sum`` says the same.
    """
    return {f"{name}_sha256": digest(path) for name, path in read.items() if path is not None}


def digest(path: Path) -> str:
    """The first digits of the SHA-256 of a file, or of the files of a folder or pattern."""
    from bonectl.core import arrival
    from bonectl.core.header import DIGITS
    from bonectl.io.slices import series

    total = hashlib.sha256()
    for each in series.slices(path) if series.is_several(path) else [path]:
        with arrival.opened(each) as file:
            while piece := file.read(1 << 20):
                total.update(piece)
    return total.hexdigest()[:DIGITS]
