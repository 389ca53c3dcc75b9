"""The logarithm: line integrals of transmissions."""

from bonectl.core import physics
from bonectl.core.counted import counted
from bonectl.core.preparation import Plane, Setting, Step
from bonectl.core.total import Total

WORKS = "sinograms"
READS = ("transmission",)
GIVES = "line integral"
MOVES = False
ASKS = False
FRAMES = False
BESIDE = 0
BYTES = 14.0
PACE = 1.5


def log(scan: Setting) -> Step:
    """Line integrals, -ln of the transmission.

    A transmission that no photon reached is taken as half a photon, half a count, or where neither is known as the
    smallest positive one of its row; a line says how many there were. A reconstruction takes this logarithm by itself.

    Parameters
    ----------
    scan : Setting

    Raises
    ------
    DataError
        When a row has no positive transmission.
    """
    header = scan.header
    least, clamped = physics.least_transmission(header.acquisition), Total()

    def work(plane: Plane, row: int) -> Plane:
        lines, count = physics.row_of_lines(plane, row, least)
        clamped.add(count)
        return lines

    def told() -> str | None:
        what = counted(clamped.count, "reading was", "readings were")
        return f"{what} reached by no photon and set to the least one" if clamped.count else None

    return Step(header.replace(unit="line integral", dtype="<f4"), work, told=told)
