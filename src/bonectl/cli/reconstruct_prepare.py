"""`bonectl reconstruct --prepare`: the steps of `bonectl prepare` before a reconstruction."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bonectl.cli import beam as cli_beam
from bonectl.cli.options import Request
from bonectl.cli.scan_files import ScanFiles
from bonectl.core import kit
from bonectl.core.spec import Spec
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.cost import Cost
    from bonectl.core.header import Fact, Header
    from bonectl.core.stack import Stack
    from bonectl.scanning.reconstruction import ReconstructRequest

KIT = "preparations"


@dataclass(frozen=True)
class Steps:
    """What is done to a scan before it is reconstructed.

    Parameters
    ----------
    specs : tuple of Spec
    beside : ScanFiles
        With the flats and darks that options name or a scanner left.
    """

    specs: tuple[Spec, ...]
    beside: ScanFiles

    @classmethod
    def of(cls, text: str | None, beside: ScanFiles) -> "Steps":
        """Those that are written; none where nothing is."""
        if text is None:
            return cls((), beside)
        from bonectl.scanning import preparing

        return cls(preparing.parts(text), beside)

    def done(self, stack: "Stack", request: Request, asked: "ReconstructRequest") -> "Stack":
        """The scan after them, with the geometry that it came with unless a step gives another one.

        Raises
        ------
        UsageError
            When what is left are counts, though there are flats, or a step needs an axis that is yet to be looked for.
        """
        if not self.specs:
            return stack
        from bonectl.scanning import preparing

        header = stack.header
        if self._moves and asked.centre == "auto":
            raise UsageError(f"{self.specs[0]} needs the axis before the scan is whole; give --centre COLUMN")
        known = replace(stack, header=header.replace(geometry=asked.geometry_for(header)))
        own = None if self.beside.scan is None else preparing.Beam(self.beside.scan.flats, self.beside.scan.darks)
        beam = cli_beam.told(request, self.beside.flats, self.beside.darks, own, self.specs)
        done = preparing.prepared(known, self.specs, beam=beam, limit=asked.max_memory)
        if done.header.unit == "counts" and beam.flats is not None:
            raise UsageError("--prepare leaves counts; write flats where they belong, such as 'badpixels + flats'")
        return done if self._moves else replace(done, header=done.header.replace(geometry=header.geometry))

    def asked(self, asked: "ReconstructRequest") -> "ReconstructRequest":
        """What is left to ask when they are done: of a step's own geometry nothing."""
        return replace(asked, geometry=None, angles=None, centre=None) if self._moves else asked

    def notes(self) -> "dict[str, Fact]":
        """What the history says of them."""
        from bonectl.scanning import preparing

        return {"steps": preparing.written(self.specs)} if self.specs else {}

    def cost(self, cost: "Cost", header: "Header", limit: int | None) -> "Cost":
        """What a reconstruction takes with them."""
        if not self.specs:
            return cost
        from bonectl.core import memory
        from bonectl.scanning import preparing

        own = preparing.cost(header, self.specs, limit=limit)
        more = (own.memory_bytes or 0) - memory.resident()
        return replace(
            cost,
            memory_bytes=(cost.memory_bytes or 0) + more,
            memory_at_worst_bytes=cost.memory_at_worst_bytes and cost.memory_at_worst_bytes + more,
            scratch_bytes=cost.scratch_bytes or own.scratch_bytes,
            seconds=(cost.seconds or 0.0) + (own.seconds or 0.0),
        )

    @property
    def _moves(self) -> bool:
        return any(kit.fact(KIT, spec.name, "MOVES") for spec in self.specs)
