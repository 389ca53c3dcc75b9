"""`bonectl reconstruct --prepare`: the steps of `bonectl prepare` before a reconstruction."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bonectl.cli import axis
from bonectl.cli.options import Request
from bonectl.cli.scan_files import ScanFiles
from bonectl.core.spec import Spec
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.cost import Cost
    from bonectl.core.header import Fact, Header
    from bonectl.core.stack import Stack
    from bonectl.scanning.axis import Axis
    from bonectl.scanning.reconstruction import ReconstructRequest


@dataclass(frozen=True)
class Steps:
    """What is done to a scan before it is reconstructed.

    Parameters
    ----------
    specs : tuple of Spec
    beside : ScanFiles
        With the flats and darks that options name or a scanner left.
    found : Axis, optional
        Where a search for them found the axis.
    held : bool, optional
        Whether the scan is turned in memory, where that has been decided.
    """

    specs: tuple[Spec, ...]
    beside: ScanFiles
    found: "Axis | None" = None
    held: bool | None = None

    @classmethod
    def of(cls, text: str | None, beside: ScanFiles) -> "Steps":
        """Those that are written; none where nothing is."""
        if text is None:
            return cls((), beside)
        from bonectl.scanning import preparing

        return cls(preparing.parts(text), beside)

    def settled(
        self, scan: "Stack", request: Request, asked: "ReconstructRequest", again: axis.Again
    ) -> "tuple[Stack, Steps, ReconstructRequest]":
        """The scan, the steps and what is asked, with the axis where a step needs it and nobody says where it is.

        Parameters
        ----------
        scan : Stack
        request : Request
        asked : ReconstructRequest
        again : callable
            Opens the scan once more.

        Raises
        ------
        UsageError, DataError
            See `bonectl.scanning.joining.axis_for`.
        """
        if not self._moves:
            return scan, self, asked
        from bonectl.scanning import joining

        number = joining.unsettled(self.specs)
        stated = scan.header.geometry is not None or asked.stated_centre is not None
        if asked.centre != "auto" and (number is None or stated or asked.centre is not None):
            return scan, self, asked
        if number is None:
            raise UsageError("--prepare says where the axis is, and --centre auto is given; give one of them")
        geometry = asked.geometry_for(scan.header)
        limit = asked.max_memory
        beam = self.beside.beam(request, self.specs)
        look = partial(joining.axis_for, specs=self.specs, geometry=geometry, beam=beam, limit=limit)
        if request.dry_run:
            found = joining.estimated(geometry)
        else:
            scan, found = axis.looked(scan, look, request, again, limit)
        settled = replace(self, specs=joining.told(self.specs, found.column), found=found)
        return scan, settled, replace(asked, centre=found.column)

    def done(self, stack: "Stack", request: Request, asked: "ReconstructRequest") -> "Stack":
        """The scan after them, with the geometry that it came with unless a step gives another one.

        Raises
        ------
        UsageError
            When what is left are counts, though there are flats.
        """
        if not self.specs:
            return stack
        from bonectl.scanning import preparing

        header = stack.header
        known = replace(stack, header=header.replace(geometry=asked.geometry_for(header)))
        beam = self.beside.beam(request, self.specs)
        # a scan is best turned while it is small: no later than steps that take either order
        done = preparing.prepared(
            known, self.specs, beam=beam, order="sinogram", limit=asked.max_memory, held=self.held
        )
        if done.header.unit == "counts" and beam.flats is not None:
            raise UsageError("--prepare leaves counts; write flats where they belong, such as 'badpixels + flats'")
        return done if self._moves else replace(done, header=done.header.replace(geometry=header.geometry))

    def asked(self, asked: "ReconstructRequest") -> "ReconstructRequest":
        """What is left to ask when they are done: of a step's own geometry nothing."""
        return replace(asked, geometry=None, angles=None, centre=None) if self._moves else asked

    def notes(self) -> "dict[str, Fact]":
        """What the history says of them."""
        from bonectl.scanning import preparing

        if not self.specs:
            return {}
        # where the axis is after them, the geometry tells
        sought = {} if self.found is None else {k: v for k, v in self.found.facts().items() if k != "centre"}
        return {"steps": preparing.written(self.specs)} | sought

    def beside_them(self, asked: "ReconstructRequest", header: "Header") -> "ReconstructRequest":
        """The same request with the memory that they leave, where there are any; `header` is that of the raw scan."""
        if not self.specs:
            return asked
        from bonectl.core import memory

        limit = asked.max_memory or memory.available()
        return replace(asked, max_memory=max(1, limit - self._held(header, limit)))

    def cost(self, cost: "Cost", header: "Header", limit: int | None) -> "Cost":
        """What a reconstruction takes with them; `header` is that of the raw scan, `limit` for both."""
        if not self.specs:
            return cost
        own, more = self._own(header, limit), self._held(header, limit)
        return replace(
            cost,
            memory_bytes=(cost.memory_bytes or 0) + more,
            memory_at_worst_bytes=cost.memory_at_worst_bytes and cost.memory_at_worst_bytes + more,
            memory_limit_bytes=own.memory_limit_bytes,
            scratch_bytes=cost.scratch_bytes or own.scratch_bytes,
            seconds=(cost.seconds or 0.0) + (own.seconds or 0.0),
        )

    def _held(self, header: "Header", limit: int | None) -> int:
        """Bytes that they hold while a block is reconstructed."""
        from bonectl.core import memory

        return max(0, (self._own(header, limit).memory_bytes or 0) - memory.resident())

    def _own(self, header: "Header", limit: int | None) -> "Cost":
        """What they take by themselves."""
        from bonectl.scanning import preparing

        return preparing.cost(header, self.specs, order="sinogram", limit=limit, held=self.held)

    @property
    def _moves(self) -> bool:
        if not self.specs:
            return False
        from bonectl.scanning import joining

        return joining.moves(self.specs)
