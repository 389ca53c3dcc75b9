"""What a scan will take, as its first command tells it: for the plan of a batch, and for how many run at once."""

import json
from dataclasses import dataclass

from bonectl.batching.decision import Task
from bonectl.batching.discovery import Found
from bonectl.batching.servant import Servant

# Scans below this are taken to need `LITTLE`, and nobody asks [byte].
SMALL = 256 << 20
LITTLE = 1 << 30

# What a process holds that passes a stack on, beside what it works on [byte].
PROCESS = 600 << 20


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What the lines of a scan that are to be run will take.

    Parameters
    ----------
    memory : int
        Bytes of all processes that work at one time.
    disk : int
        Bytes of the stacks that are kept.
    trouble : str
        Why it cannot be told.
    """

    memory: int = LITTLE
    disk: int = 0
    trouble: str = ""


class Estimator:
    """Asks the commands themselves, all in one process."""

    def __init__(self, servant: Servant) -> None:
        self._servant = servant
        self._seen: dict[str, Estimate] = {}
        self._peak_per_byte = 0.0

    def of(self, task: Task, *, always: bool = False) -> Estimate:
        """The estimate of a scan; of a small one only when `always`."""
        if not always and task.bytes < SMALL:
            return Estimate()
        key = " ".join((task.scan, *task.keys))
        if key not in self._seen:
            self._seen[key] = self._asked(task)
        return self._seen[key]

    def learn(self, task: Task, peak: int) -> None:
        """Note what a scan came to hold, which the next one of its size will too."""
        if task.bytes >= SMALL:
            self._peak_per_byte = max(self._peak_per_byte, peak / task.bytes)

    def memory(self, task: Task) -> int:
        """Bytes that a scan needs: as estimated, or more where others of the batch came to hold more."""
        return max(self.of(task).memory, int(self._peak_per_byte * task.bytes))

    def look(self, found: Found) -> tuple[dict[str, object], str]:
        """What the scan itself is, as ``bonectl info --json`` tells it; nothing, and why, where it cannot be read."""
        told, said = self._json(("info", str(found.path), "--json"))
        return told, said.removeprefix("bonectl info: ")

    def _asked(self, task: Task) -> Estimate:
        first = next((task.lines[i] for i in task.wanted if i == 0), None)
        if first is None or not first.asks:
            return Estimate()
        told, said = self._json(first.asks)
        if not told:
            return Estimate(trouble=said.removeprefix(f"bonectl {first.asks[0]}: "))
        stacks = sum(not task.lines[i].prints for i in task.wanted)
        others = max(len(line.commands) for line in task.lines) - 1
        return Estimate(
            memory=int(str(told.get("memory_bytes", LITTLE))) + others * PROCESS,
            disk=int(str(told.get("output_bytes", 0))) * stacks,
        )

    def _json(self, argv: tuple[str, ...]) -> tuple[dict[str, object], str]:
        printed, said = self._servant.ask(argv)
        try:
            told = json.loads(printed)
        except ValueError:
            return {}, said
        return (told, "") if isinstance(told, dict) else ({}, said)
