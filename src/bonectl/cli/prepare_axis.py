"""`bonectl prepare`: where the rotation axis is, by option, scan or search."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

from bonectl.cli.axis import Again, looked
from bonectl.cli.options import Request
from bonectl.cli.scan_files import ScanFiles
from bonectl.core import progress
from bonectl.core.spec import Spec
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.core.geometry import Geometry
    from bonectl.core.header import Fact, Header
    from bonectl.core.stack import Stack
    from bonectl.scanning.axis import Axis
    from bonectl.scanning.preparing import Beam


@dataclass(frozen=True)
class Place:
    """Where the rays of a scan ran, as far as that is known.

    Parameters
    ----------
    geometry : Geometry, optional
    stated : bool
        Whether an option or the scan says where the axis is.
    auto : bool
        Whether it shall be looked for.
    found : Axis, optional
        What was found.
    """

    geometry: "Geometry | None"
    stated: bool
    auto: bool
    found: "Axis | None" = None

    @classmethod
    def of(cls, header: "Header", beside: ScanFiles, centre: float | Literal["auto"] | None) -> Self:
        """What options and the scan's own files say; some steps need no angles and no pitch."""
        from bonectl.scanning.beam import angles_over
        from bonectl.scanning.lines import geometry_of

        auto = centre == "auto"
        known = angles_over(beside.told_angles(), header.shape[header.axes.index("view")])
        optional = beside.angles is None and centre is None and header.spacing[header.axes.index("col")] is None
        if centre is None and (known is None or optional):
            return cls(header.geometry, header.geometry is not None, auto)
        column = None if centre == "auto" else centre
        geometry = geometry_of(header, angles=known, centre=column)
        return cls(geometry, column is not None or header.geometry is not None, auto)

    def looked_for(
        self,
        scan: "Stack",
        request: Request,
        specs: Sequence[Spec],
        beam: "Beam",
        limit: int | None,
        again: Again,
    ) -> "tuple[Stack, Place]":
        """The scan, to be walked from its start, and the place with the axis that was looked for, where it is sought.

        Raises
        ------
        UsageError
            When a step says where the axis is, and it shall be looked for.
        """
        from bonectl.scanning import joining
        from bonectl.scanning.axis import Axis

        moved = joining.unsettled(specs) is not None
        if self.geometry is None or not (self.auto or (moved and not self.stated)):
            if self.geometry is not None and not self.stated:
                column = self.geometry.centre
                progress.note(f"the rotation axis is taken in the middle, column {column:g}, for want of another")
            return scan, self
        if not moved and joining.moves(specs):
            raise UsageError("--steps says where the axis is, and --centre auto is given; give one of them")
        if request.dry_run:
            found = joining.estimated(self.geometry) if moved else Axis(self.geometry.centre, 0.0)
        else:
            look = partial(joining.axis_for, specs=specs, geometry=self.geometry, beam=beam, limit=limit)
            scan, found = looked(scan, look, request, again, limit)
        return scan, replace(self, geometry=self.geometry.replace(centre=found.column), found=found)

    def told(self, specs: tuple[Spec, ...]) -> tuple[Spec, ...]:
        """The steps, told what was found."""
        from bonectl.scanning import joining

        return specs if self.found is None else joining.told(specs, self.found.column)

    def put(self, scan: "Stack") -> "Stack":
        """The scan with it in its header."""
        return replace(scan, header=scan.header.replace(geometry=self.geometry))

    def facts(self) -> "dict[str, Fact]":
        """What the history says of it, where it was looked for."""
        return {} if self.found is None else self.found.facts()
