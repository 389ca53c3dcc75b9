"""The numbers of one volume, of several, or of the bones in a label image: measured, and printed one after another."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bonectl.cli import boundary, streams, tables
from bonectl.cli.measure_inputs import Inputs, is_read_once, naming, spoken
from bonectl.cli.measure_picture import Picture
from bonectl.cli.options import Request
from bonectl.cli.tables import Style
from bonectl.core import memory, progress, side_by_side, threads
from bonectl.core.cost import SCHEMA
from bonectl.core.counted import counted
from bonectl.core.printable import printable
from bonectl.errors import BonectlError, DataError, MissingInputError, UsageError

if TYPE_CHECKING:
    from bonectl.core.table import Columns, Table
    from bonectl.measuring import request as measuring
    from bonectl.measuring.plan import Plan


@dataclass(frozen=True)
class Numbers:
    """What is printed of each volume.

    Parameters
    ----------
    inputs : Inputs
    asked : measuring.Request
        Of each volume; its reference and mask are opened with it.
    picture : Picture, optional
    style : Style
    samples : Path, optional
        Folder of samples of the one volume.
    """

    inputs: Inputs
    asked: "measuring.Request"
    picture: Picture | None
    style: Style
    samples: Path | None

    def print(self, request: Request) -> int:
        """Measure and print, or say what would be measured; the status of the first volume that failed, else 0."""
        inputs = self.inputs
        inputs.check_each(samples=self.samples, plot=self.picture)
        if self.samples is not None and len(inputs.sources) > 1:
            raise UsageError("--samples are of one volume; measure one at a time")
        inputs.check(self.samples, written=[] if self.picture is None else self.picture.paths(inputs))
        if request.dry_run:
            return self._print_plans(request)
        if len(inputs.sources) == 1 and not inputs.each:
            self._print_one(replace(request, source=inputs.sources[0]))
            return 0
        return self._print_all(request)

    def _print_one(self, request: Request) -> None:
        """One volume, as it is asked for; CSV has a line for it, as for each of several."""
        paths = [] if self.samples is None else _samples(self.samples)
        try:
            table = self._measured(request, self.inputs.label)
        except DataError as error:
            raise naming(request.source, error) from error
        if self.samples is not None:
            table = self._with_samples(table, request, paths)
        if self.style is not Style.csv:
            tables.show(table, self.style)
            return
        with tables.several(self.style, self._columns()) as add:
            add(str(request.source), table)

    def _print_all(self, request: Request) -> int:
        """Each volume that can be measured; the status of the first that cannot, 0 when all were.

        What can be refused before the work is refused before the work. Each is printed when it is done; several are
        measured at a time where memory allows.
        """
        plans, statuses = self._planned(request)
        wanted = [number for number in range(len(self.inputs.sources)) if number not in statuses]
        workers = self._workers(plans, len(wanted))

        def measured(number: int) -> "Iterable[Table | Exception]":
            found = self._found(replace(request, source=self.inputs.sources[number]))
            return found if workers == 1 else list(found)

        each = side_by_side.in_order(measured, wanted, workers, "measure", "volume")
        with tables.several(self.style, self._columns()) as add:
            for number, tables_ in zip(wanted, each, strict=True):
                path = self.inputs.sources[number]
                for found in tables_:
                    if isinstance(found, Exception):
                        name = f"bonectl {request.command}" + ("" if isinstance(found, BonectlError) else f": {path}")
                        statuses.setdefault(number, boundary.told(name, naming(path, found)))
                    else:
                        add(str(path), found)
        return statuses[min(statuses)] if statuses else 0

    def _workers(self, plans: Mapping[int, "Plan"], count: int) -> int:
        """How many volumes are measured at a time: by threads and memory; one where they are drawn or come once."""
        if self.picture is not None or len(plans) < count or count < 2:
            return 1
        costs = [plan.cost() for plan in plans.values()]
        here, needs = memory.resident(), [cost.memory_bytes or 0 for cost in costs]
        room = min(cost.memory_limit_bytes or 0 for cost in costs) - here
        fitting = room // max(1, max(needs) - here)
        workers = max(1, min(threads.count(), count, fitting))
        return workers if workers == 1 or threads.kernels_may_meet() else 1

    def _print_plans(self, request: Request) -> int:
        """What would be measured of each volume, and how; no voxel is read."""
        plans, statuses = self._planned(request)
        named = [(spoken(self.inputs.sources[number]), plan) for number, plan in plans.items()]
        if request.as_json:
            head = {"schema": SCHEMA, "command": request.command}
            told = [head | {"file": file} | plan.facts() for file, plan in named]
            streams.say(json.dumps(told[0] if len(self.inputs.sources) == 1 else told, indent=2))
        elif named:
            blocks = [{"file": printable(file)} | plan.words() for file, plan in named]
            streams.say("\n\n".join("\n".join(f"{key}\t{value}" for key, value in block.items()) for block in blocks))
        return statuses[min(statuses)] if statuses else 0

    def _planned(self, request: Request) -> tuple[dict[int, "Plan"], dict[int, int]]:
        """What can be told of each volume by its headers, and statuses where they do not fit, which is said.

        No voxel is read; what is read once is seen when its turn comes.

        Raises
        ------
        BonectlError
            When the same is wrong with all of them: the request itself.
        """
        from bonectl.ops.measure import planned

        sources = self.inputs.sources
        inputs = replace(self.inputs, label=1) if self.inputs.each else self.inputs  # no header tells labels
        plans: dict[int, Plan] = {}
        errors: dict[int, BonectlError] = {}
        for number, path in enumerate(sources):
            if is_read_once(path) and not request.dry_run:
                continue
            try:
                with inputs.opened(replace(request, source=path), self.asked) as opened:
                    plans[number] = planned(*opened)
            except BonectlError as error:
                errors[number] = error
        if len(errors) == len(sources) and len({str(error) for error in errors.values()}) == 1:
            raise errors[0]
        name = f"bonectl {request.command}"
        told = {number: boundary.told(name, naming(sources[number], error)) for number, error in errors.items()}
        return plans, told

    def _found(self, request: Request) -> Iterator["Table | Exception"]:
        """The table of a volume, or of each of its bones, or why there is none."""
        each = self.inputs.each
        try:
            labels: Sequence[int | None] = self.inputs.labels(request) if each else [self.inputs.label]
        except Exception as error:
            yield error
            return
        for label in labels:
            try:
                with progress.about(str(request.source) + (f", label {label}" if each else "")):
                    table = self._measured(request, label)
            except Exception as error:
                yield _of_label(label, error) if each else error
            else:
                yield table

    def _measured(self, request: Request, label: int | None) -> "Table":
        """One volume, or one of its bones."""
        from bonectl.measuring.labels import named
        from bonectl.ops.measure import examine

        with replace(self.inputs, label=label).opened(request, self.asked) as opened:
            found = examine(*opened)
            found = replace(found, table=named(found.table, label))
            if self.picture is not None:
                self.picture.draw(found, request)
            return found.table

    def _with_samples(self, table: "Table", request: Request, paths: list[Path]) -> "Table":
        """The table with intervals from samples, which are held one at a time."""
        from bonectl.ops.samples import with_intervals

        asked = replace(self.asked, intervals="none", keep=False)
        alike = replace(self, inputs=self.inputs.beside(request.source), asked=asked, picture=None)
        found = []
        for path in paths:
            try:
                found.append(alike._measured(replace(request, source=path), self.inputs.label))
            except BonectlError as error:
                raise naming(path, error) from error
        return with_intervals(table, found)

    def _columns(self) -> "Columns":
        """Of one line for each volume."""
        from bonectl.measuring.columns import columns

        compared = self.inputs.reference is not None
        wanted = compared if self.asked.intervals is None else self.asked.intervals != "none"
        return columns(
            self.asked.metrics,
            compared=compared,
            around=wanted or self.samples is not None,
            labelled=self.inputs.each or self.inputs.label is not None,
        )


def _of_label(label: int | None, error: Exception) -> Exception:
    """The error, naming the label if it does not yet."""
    if not isinstance(error, BonectlError) or f"label {label}" in str(error):
        return error
    return type(error)(f"label {label}: {error}").with_traceback(error.__traceback__)


def _samples(folder: Path) -> list[Path]:
    """The stacks in a folder, one sample each."""
    from bonectl import io

    if not folder.is_dir():
        raise MissingInputError(f"{folder}: there is no such folder; `bonectl denoise --each` makes one")
    paths = sorted(path for path in folder.iterdir() if io.named(path))
    if len(paths) < 2:
        raise UsageError(f"{folder}: holds {counted(len(paths), 'sample')}; an interval needs at least 2")
    return paths
