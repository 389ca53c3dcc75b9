"""``bonectl measure --map``: a stack of local thickness instead of numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bonectl.cli import streams
from bonectl.cli.files import apart
from bonectl.cli.measure_inputs import Inputs
from bonectl.cli.options import Request
from bonectl.errors import UsageError

if TYPE_CHECKING:
    from bonectl.measuring import request as measuring


@dataclass(frozen=True)
class ThicknessMap:
    """What is written in place of a table.

    Parameters
    ----------
    what : str
        The metric, with its convention.
    inputs : Inputs
        Of one volume.
    asked : measuring.Request
        Threshold, region and memory.
    """

    what: str
    inputs: Inputs
    asked: "measuring.Request"

    def write(self, request: Request, leave_out: Mapping[str, object]) -> None:
        """Write the stack where the options say, or say what it would be.

        Parameters
        ----------
        request : Request
        leave_out : mapping
            What is of numbers and means nothing here, by the names of the options.

        Raises
        ------
        UsageError
            When one of these is given, or several volumes are.
        """
        self.inputs.check_each(map=self.what)
        if given := [f"--{name}" for name, value in leave_out.items() if value]:
            raise UsageError(f"--map writes one stack and no numbers; leave out {' and '.join(given)}")
        source, *others = self.inputs.sources
        if others:
            raise UsageError(f"--map writes one stack; give one volume, not {1 + len(others)}")
        apart([source, self.inputs.mask, self.inputs.calibrate], [request.output])
        request = replace(request, source=source)
        from bonectl.ops.measure import mapped

        with self.inputs.opened(request, self.asked) as (stack, asked):
            made, cost = mapped(stack, self.what, asked)
            streams.writing(made, request, cost=cost)
