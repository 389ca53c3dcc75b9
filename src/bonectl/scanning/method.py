"""The method of a reconstruction: the usual one for a beam, and the files that it reads."""

import hashlib
import re
from pathlib import Path

from bonectl.core import kit, reading
from bonectl.core.calibration import Calibration
from bonectl.core.geometry import Geometry
from bonectl.core.header import DIGITS, Fact
from bonectl.core.spec import Spec, parse
from bonectl.errors import UsageError

# How a law says at which energy it holds, whatever follows (`bonectl.calibrations.energy`).
ENERGY = re.compile(r"energy\(kev=(\d+(?:\.\d+)?)")


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


def check_energy(method: Spec, law: Calibration | None) -> None:
    """Refuse mineral density by a law of another energy than that at which a method's volumes read.

    Raises
    ------
    UsageError
        When there are two energies.
    """
    kev = kit.in_full("methods", method).knobs.get("kev")
    told = None if law is None else ENERGY.match(law.source)
    if told is not None and isinstance(kev, int | float) and float(told[1]) != kev:
        raise UsageError(
            f"{method.name}(kev={kev:g}) reads at that energy, density is by {told[1]} keV; give one for both"
        )


def files(method: Spec) -> dict[str, Fact]:
    """The hashes of files that a method reads: the weights it was trained to, a spectrum, wherever it finds them."""
    told: dict[str, Fact] = {}
    for name in kit.describe("methods", method.name).functions:
        what, _, kind = name.rpartition("_")
        if kind != "file":
            continue
        path: Path | None = kit.ask("methods", method, name)
        if path is None:
            continue
        try:
            with path.open("rb") as file:
                told[f"{what}_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
        except OSError as error:
            raise reading.failure(path, error) from error
    return told
