"""A request that fits its data: from options and headers to one value, before a voxel is read."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bonectl.core import kit, memory
from bonectl.core.cost import Cost
from bonectl.core.header import VOLUME, Header
from bonectl.core.lengths import Spacing, same
from bonectl.core.spec import Spec, parse, parse_sum
from bonectl.core.stack import Stack
from bonectl.core.table import Finding
from bonectl.errors import UsageError
from bonectl.measuring import memory_need
from bonectl.measuring.labels import MOST, natural, watched
from bonectl.measuring.region import Region
from bonectl.measuring.request import Request, usual
from bonectl.measuring.threshold_rule import Rule, rule_of
from bonectl.measuring.values import BLOCK, mineral
from bonectl.morphology.parted import Statistic

# Units of a detector, which no volume has.
SCANNED = ("counts", "transmission", "line integral")


@dataclass(frozen=True)
class Part:
    """A metric with its knobs set, and what flows into it."""

    spec: Spec
    function: Callable[..., tuple[Finding, ...]]
    flows: tuple[str, ...]
    asked: bool
    resampled: Callable[..., Statistic] | None = None

    @classmethod
    def of(cls, spec: Spec, *, asked: bool) -> "Part":
        """The metric of a spec."""
        part = kit.describe("metrics", spec.name)
        resampled = kit.bind("metrics", spec, "resampled") if "resampled" in part.functions else None
        return cls(spec, kit.bind("metrics", spec), part.flows, asked, resampled)

    @property
    def name(self) -> str:
        """Of the metric."""
        return self.spec.name

    @property
    def compares(self) -> bool:
        """Whether it takes a reference too."""
        return len(self.flows) > 1


@dataclass(frozen=True)
class Plan:
    """A request that fits its data, before a voxel is read.

    Parameters
    ----------
    request : Request
    stack, reference : Stack
        In mineral density where their headers say how; a label below 0 is refused while they are read.
    spacing : tuple of float
        Voxel side along z, y, x [mm].
    parts : tuple of Part
    rule : Rule
        How bone is told from marrow.
    region : Region
        The volume of interest.
    masks : bool
        Whether volume and reference are masks by their headers.
    told : list of str
        What is seen of the values while they are read.
    """

    request: Request
    stack: Stack
    reference: Stack | None
    spacing: Spacing
    parts: tuple[Part, ...]
    rule: Rule
    region: Region
    masks: bool
    told: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, stack: Stack, request: Request) -> "Plan":
        """The request of a volume, checked against all that the headers tell; no voxel is read.

        Raises
        ------
        UsageError
            When the request does not fit the data.
        """
        stack = mineral(stack, "the volume")
        reference = None if request.reference is None else mineral(request.reference, "the reference")
        header, theirs = stack.header, None if reference is None else reference.header.unit
        spacing = _spacing(header)
        told: list[str] = []
        stack = _watched(stack, told.append)
        region = _region(request.mask, header)
        if reference is not None:
            _check_alike(header, reference.header, "the reference")
            _check_unit(header.unit, reference.header.unit)
        rule = rule_of(request.threshold, header.unit, theirs)
        parts = parts_of(request.metrics, header, reference is not None)
        masks = {header.unit, theirs or header.unit} == {"label"}
        if not (masks and request.threshold is not None):
            stack, reference = _natural(stack, "the volume"), reference and _natural(reference, "the reference")
        return cls(request, stack, reference, spacing, parts, rule, region, masks, told)

    def rule_for(self, unit: str, *, two_levels: bool) -> Rule:
        """The rule for one of the volumes: beside another, a mask has its own threshold."""
        if unit == "label":
            return self.rule if self.masks else Rule(Spec("nonzero"))
        own = two_levels and unit == "grey" and self.reference is not None
        return replace(self.rule, spec=Spec("otsu")) if own else self.rule

    @property
    def streams(self) -> bool:
        """Whether all that is asked comes slab by slab, and the volume need not be held."""
        return not (
            self.request.keep
            or self.request.purify
            or self.reference is not None
            or self.request.least_side not in (None, "none")
            or self.rule.looks
            or "bone" in self.region.flows
            or any(part.flows != ("sums",) for part in self.parts)
            or self.reach is None
        )

    @property
    def reach(self) -> int | None:
        """How many slices away a voxel still matters, of a threshold that is known beforehand; None is any."""
        return self.rule.threshold(None, self.stack.header.unit, self.spacing, None).filter.reach

    @property
    def _works(self) -> list[str]:
        """Metrics in whose memory it works: those that are asked, and those that others are worked out by."""
        names = [part.name for part in self.parts] + ["tbth"] * self.request.keep  # which pictures show
        names += ["components"] * self.request.purify
        return names + ["cortical"] * ("bone" in self.region.flows)

    def check_memory(self, *more: str) -> None:
        """Refuse what does not fit into memory, with what other metrics work in too.

        Raises
        ------
        MemoryShortageError
        """
        headers = [stack.header for stack in (self.stack, self.reference) if stack is not None]
        memory_need.check([*self._works, *more], headers, self.request.max_memory)

    def cost(self, *more: str) -> Cost:
        """What it takes: the memory, beside that which may be taken; its time is not known.

        Parameters
        ----------
        *more : str
            Metrics in whose memory it works too.
        """
        headers = [stack.header for stack in (self.stack, self.reference) if stack is not None]
        block = None
        if self.streams:
            slices = min(self.stack.header.shape[0], BLOCK + 2 * (self.reach or 0))
            headers = [self.stack.header.replace(shape=(slices, *self.stack.header.shape[1:]))]
            block = f"{slices} slices"
        return Cost(
            memory_bytes=memory.resident() + memory_need.needed([*self._works, *more], headers),
            memory_limit_bytes=self.request.max_memory or memory.available(),
            block=block,
        )

    def facts(self) -> dict[str, object]:
        """For programs."""
        header = self.stack.header
        return {
            "shape": list(header.shape),
            "axes": list(VOLUME),
            "spacing_mm": list(self.spacing),
            "unit": header.unit,
            "metrics": [str(part.spec) for part in self.parts],
            "threshold": str(self.rule),
            "volume_of_interest": self.region.name,
            "purify": self.request.purify,
            "compared": self.reference is not None,
            "intervals": self._intervals(),
            "streams": self.streams,
            **self.cost().numbers(),
        }

    def words(self) -> dict[str, str]:
        """For people, a line each."""
        header, taken = self.stack.header, self.cost().words()
        block = taken.pop("block", None)
        return {
            "shape": " × ".join(f"{n} {axis}" for n, axis in zip(header.shape, VOLUME, strict=True)),
            "voxel": " × ".join(f"{side:g}" for side in self.spacing) + " mm",
            "unit": header.unit,
            "metrics": " + ".join(str(part.spec) for part in self.parts),
            "threshold": str(self.rule),
            "volume of interest": self.region.name,
            "purify": "yes" if self.request.purify else "no",
            "reference": "none" if self.reference is None else "compared with",
            "intervals": str(self._intervals()),
            "work": "held as a whole" if block is None else f"slab by slab, {block} at a time",
            **taken,
        }

    def _intervals(self) -> float | str:
        """Least distance of sub-volumes [mm], or how it is found."""
        wanted = self.request.least_side
        if wanted is None:
            return "none" if self.reference is None else "auto, where enough sub-volumes fit"
        return wanted


def _spacing(header: Header) -> Spacing:
    if header.is_scan:
        raise UsageError("measure needs a volume, this is a scan; `bonectl reconstruct` makes one of it")
    if header.unit not in ("mgHA/cm3", "1/cm", "grey", "label"):
        raise UsageError(f"measure needs a volume in mgHA/cm3, 1/cm, grey or label, this is {header.unit!r}")
    if not all(header.spacing):
        raise UsageError("the voxel size is unknown; give --voxel-size in mm")
    return tuple(float(side) for side in header.spacing if side)  # type: ignore[return-value]


def _watched(stack: Stack, tell: Callable[[str], None]) -> Stack:
    """With a note where a label image holds several bones, or where whole grey values look like one."""
    header = stack.header
    if header.unit == "label":
        return watched(stack, "the volume holds labels {}, measured as one; --label N measures one alone", least=3)
    if header.unit == "grey" and header.dtype[1] in "ui":
        said = "the volume holds 0 and {} alone, as a label image does; --input-unit label takes it as one"
        return watched(stack, said, least=3, most=MOST, tell=tell)
    return stack


def _natural(stack: Stack, what: str) -> Stack:
    return natural(stack, what) if stack.header.unit == "label" else stack


def _region(mask: Stack | str | None, header: Header) -> Region:
    if mask is None:
        return Region("whole stack")
    if isinstance(mask, str):
        spec = parse(mask)
        found = Region(str(spec), spec=spec)
        if found.flows == ("header",):
            return Region(str(spec), mask=kit.bind("regions", spec)(header))
        return found
    _check_alike(header, mask.header, "the mask")
    said = "the mask holds labels {}, taken as one; --mask-label N takes one alone"
    return Region("mask", mask=watched(mask, said, least=3))


def _check_alike(header: Header, other: Header, what: str) -> None:
    """Refuse a stack whose voxels are not those of the volume."""
    if other.is_scan or other.unit in SCANNED:
        raise UsageError(f"{what} is a scan; a volume with the voxels of the measured one is needed")
    if header.shape != other.shape:
        raise UsageError(f"{what} has shape {other.shape}, the volume {header.shape}; they must be the same")
    for axis, ours, theirs in zip(header.axes, header.spacing, other.spacing, strict=True):
        if ours and theirs and not same(ours, theirs):
            raise UsageError(f"{what} has voxels of {theirs:g} mm along {axis}, the volume of {ours:g} mm")


def _check_unit(unit: str, reference: str) -> None:
    """Refuse a reference of another unit; but grey values may prove to be a mask."""
    if reference not in (unit, "label", "grey") and unit != "label":
        raise units_differ(unit, reference)


def units_differ(unit: str, reference: str) -> UsageError:
    """What is wrong with a reference in another unit."""
    return UsageError(f"the reference is in {reference!r}, the volume in {unit!r}; bring both to one unit")


def parts_of(metrics: str | None, header: Header, compared: bool) -> tuple[Part, ...]:
    """The metrics that were asked for, or the usual ones."""
    specs = parse_sum(metrics or usual(dense=header.unit == "mgHA/cm3", compared=compared))
    parts = tuple(Part.of(spec, asked=metrics is not None) for spec in specs)
    if lonely := [part.name for part in parts if part.compares and not compared]:
        raise UsageError(f"{lonely[0]} compares with a reference; give --reference")
    return parts
