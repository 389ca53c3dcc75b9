"""How much memory a reconstruction takes, and how many slices at a time fit into what there is.

An estimate counts arrays: at the moments when a method holds most, how many copies of a block of the scan and of the
volume it holds beside the projector's own workspace. It is compared with measured peaks in the tests.
"""

from dataclasses import dataclass
from math import ceil, prod, sqrt

from bonectl.core import kit, memory
from bonectl.core.counted import counted
from bonectl.core.geometry import Geometry
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.spec import parse
from bonectl.errors import MemoryShortageError
from bonectl.projection.fsp import GRAIN, OVERSAMPLING
from bonectl.projection.system import System
from bonectl.stacks import view_order

FLOAT = 4
# Views that the transposes and the filter work on at a time, and bytes that they take for each frequency and lane.
VIEWS, LINE = 64, 6
# Bytes of tables for each view and frequency (column) of it.
TABLES = 24
# Zeros on either side of a cone's columns, along the axis: what groups of outputs and their taps can reach.
PAD = 40
# Slabs that arrive are checked, converted and kept until they fill a block: about so many copies of one.
SLABS = 6


@dataclass(frozen=True)
class Moment:
    """Blocks of scan and volume that a method holds at one time, and what the projector does then.

    Parameters
    ----------
    scans, volumes : float
        Copies, arguments and results of the projector included.
    work : {"", "project", "back", "collect"}
        Nothing, A, Aᵀ, or the back-projection of FDK.
    """

    scans: float
    volumes: float
    work: str = ""


@dataclass(frozen=True)
class Need:
    """Bytes that a reconstruction holds at its peak, beside what the process held before.

    Parameters
    ----------
    usual : int
        For an object that the detector sees whole.
    at_worst : int
        When rows are cut off and must be continued.
    """

    usual: int
    at_worst: int


def needed(header: Header, geometry: Geometry, method: str, slices: int, slab: int = 0, *, held: bool = True) -> Need:
    """The peak of a reconstruction in blocks of some slices.

    Parameters
    ----------
    header : Header
        Of the scan, as it arrives.
    geometry : Geometry
    method : str
        Spec of the method.
    slices : int
        Slices (detector rows) at a time; all that there are in a cone beam.
    slab : int
        Rows that arrive at a time; 0 when it is not known, and small.
    held : bool
        Whether projections are turned in memory (`bonectl.stacks.view_order`).
    """
    name = parse(method).name
    slices = min(slices, geometry.rows)
    scan = FLOAT * slices * geometry.views * geometry.columns
    volume = FLOAT * (prod(geometry.volume_shape) if geometry.kind == "cone" else slices * geometry.size**2)
    moments = [Moment(*told) for told in kit.fact("methods", name, "MOMENTS")]
    # while a block is worked on, the next is read, and the last but one is written; the last waits for this one
    overlapped = scan + 2 * volume if slices < geometry.rows else 0
    fixed: float = memory.KERNELS + _tables(geometry) + overlapped + _arriving(header, slab, held=held)
    usual = max(m.scans * scan + m.volumes * volume + _work(geometry, m.work, slices, volume) for m in moments)
    if "beside" in kit.describe("methods", name).functions:
        fixed += scan * kit.load("methods", name, "beside")(geometry)
    more, instead = kit.describe("methods", name).facts.get("CUT_OFF", (0, 0))
    return Need(int(fixed + usual), int(fixed + max(usual + more * scan, instead * scan)))


def _tables(geometry: Geometry) -> int:
    """What the projector keeps for a geometry."""
    return TABLES * geometry.views * _frequencies(geometry)


def _frequencies(geometry: Geometry) -> int:
    """Samples of a projector's line, and of a filter's."""
    return int(2 * max(geometry.columns, geometry.size * geometry.voxel / geometry.pitch))


def _work(geometry: Geometry, work: str, slices: int, volume: int) -> float:
    """What the projector holds beside its argument and its result."""
    if not work:
        return 0.0
    lanes = -(-slices // GRAIN) * GRAIN
    if geometry.kind == "parallel":
        cells = FLOAT * lanes * (OVERSAMPLING * geometry.size + GRAIN) ** 2
        return cells + LINE * VIEWS * _frequencies(geometry) * lanes
    if geometry.kind == "fan":
        lines = FLOAT * VIEWS * geometry.columns * lanes
        grid = FLOAT * lanes * geometry.size**2
        return lines + {"project": 1, "back": 3, "collect": 1}[work] * grid
    assert geometry.sod is not None
    assert geometry.sdd is not None
    reach = sqrt(0.5) * geometry.size * geometry.voxel / geometry.sod
    rows = ceil(geometry.rows + 2 * PAD / max(1 - reach, 0.1))
    lines = FLOAT * (VIEWS // 2) * geometry.columns * rows
    padded = volume + FLOAT * geometry.size**2 * 2 * PAD
    return lines + {"project": padded, "back": 2 * volume, "collect": volume}[work]


def _arriving(header: Header, slab: int, *, held: bool) -> float:
    """What of the scan is held while a block is filled, beyond the block itself."""
    if header.axes == PROJECTIONS and held:  # all of it is turned, and stays
        return float(header.total_bytes)
    return SLABS * FLOAT * max(slab, 1) * prod(header.shape[1:])


# Slices that every block has, whatever the memory (fewer only where there are fewer).
FEWEST = GRAIN


def blocks(geometry: Geometry) -> tuple[int, ...]:
    """Slices at a time that give the same bits, most first: kernels carry them in lanes of `GRAIN`.

    A cone beam has one, of all its rows.
    """
    most = System(geometry).block
    if geometry.kind == "cone":
        return (most,)
    return tuple(lanes for lanes in range(most, 0, -GRAIN) if most % lanes == 0)


def is_turned_in_memory(header: Header, geometry: Geometry, method: str, limit: int, slab: int = 0) -> bool:
    """Whether projections are turned in memory: where they fit, and the smallest block beside them."""
    if header.axes != PROJECTIONS or not view_order.is_held(header, limit):
        return False
    least = blocks(geometry)[-1]
    return memory.resident() + needed(header, geometry, method, least, slab).at_worst <= limit


def chosen_block(header: Header, geometry: Geometry, method: str, limit: int, slab: int = 0) -> int:
    """Slices at a time, as many as fit.

    Parameters
    ----------
    header, geometry, method, slab
        See `needed`.
    limit : int
        Bytes that the whole process may hold.

    Raises
    ------
    MemoryShortageError
        When not even the smallest block fits.
    """
    here, held = memory.resident(), is_turned_in_memory(header, geometry, method, limit, slab)
    for block in blocks(geometry):
        peak = here + needed(header, geometry, method, block, slab, held=held).at_worst
        if peak <= limit:
            return block
    least = f"{counted(block, 'slice')} at a time" if geometry.kind != "cone" else "a cone beam, which is held whole,"
    raise MemoryShortageError(
        f"{least} of {geometry.size} × {geometry.size} from {counted(geometry.views, 'view')} would take about "
        f"{memory.spoken(peak)}, and {memory.spoken(limit)} may be taken; give a larger --max-memory, a smaller "
        "--size, or fewer columns (convert --bin)"
    )
