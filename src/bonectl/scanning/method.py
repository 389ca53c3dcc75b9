"""The method of a reconstruction: the usual one for a beam, and the weights that it was trained to."""

import hashlib
from pathlib import Path
from typing import cast

from bonectl.core import kit, reading
from bonectl.core.geometry import Geometry
from bonectl.core.header import Fact
from bonectl.core.spec import Spec, parse
from bonectl.errors import UsageError

# Hexadecimal digits of a SHA-256 that are kept.
DIGITS = 16


def method_for(text: str | None, geometry: Geometry) -> Spec:
    """The method; the usual one for the beam where none is given.

    Raises
    ------
    UsageError
        When it is not for this beam, or there is no such method or knob.
    """
    usual = next(name for name in kit.names("methods") if geometry.kind in kit.fact("methods", name, "USUAL"))
    spec = parse(text or usual)
    if geometry.kind not in kit.fact("methods", spec.name, "BEAMS"):
        raise UsageError(f"{spec.name} is not for a {geometry.kind} beam; use {usual}")
    kit.check("methods", [spec])
    return spec


def weights(method: Spec) -> dict[str, Fact]:
    """The hash of a trained method's weights, wherever it finds them."""
    if "weights_file" not in kit.describe("methods", method.name).functions:
        return {}
    path = cast(Path, kit.bind("methods", method, "weights_file")())
    try:
        with path.open("rb") as file:
            return {"weights_sha256": hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]}
    except OSError as error:
        raise reading.failure(path, error) from error
