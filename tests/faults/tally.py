"""Counts of runs that were tried and survived, and the table of them at the end of the tests."""

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

DRAWS = int(os.environ.get("FAULTS", "1"))  # of every kind, with real processes; in this process CHEAP times as many
SEED = os.environ.get("FAULTS_SEED", "1")
CHEAP = 30
KEPT = 5  # failures that are told in full


class Tally:
    """The draws of one test: iterate over them, and tell of each how it went.

    Parameters
    ----------
    name : str
        Of the test; draws are a function of it and of FAULTS_SEED.
    """

    def __init__(self, name: str) -> None:
        self.rng = random.Random(f"{SEED} {name}")
        self.counts: dict[str, Any] = {"kind": name, "tried": 0, "survived": 0, "ends": Counter()}
        self.failures: list[str] = []

    def of(self, kind: str, draws: int = DRAWS) -> Iterator[random.Random]:
        """Draw so many times; fail at the end, with the first of what went wrong."""
        self.counts["kind"] = kind
        for _ in range(draws):
            yield self.rng
        told = "\n".join(self.failures[:KEPT])
        assert not self.failures, f"{len(self.failures)} of {self.counts['tried']} did not survive:\n{told}"

    def tell(self, what: str, status: int | None, found: Sequence[str], said: str = "", *, ours: bool = True) -> None:
        """One draw: `what` was done, the status, and what was wrong (`contract.wrong`).

        What is not `ours` to mend did not survive, and fails no test.
        """
        self.counts["tried"] += 1
        self.counts["survived"] += not found
        self.counts["ends"][str(status)] += 1
        if found and ours:
            self.failures.append(f"{what}: status {status}: {'; '.join(found)}; it said: {said[:1500]}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table; a hook of pytest, which knows what workers in other processes counted."""
    tried, survived, ends = Counter(), Counter(), {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if getattr(report, "when", "") != "call":
            continue
        for counts in (value for key, value in report.user_properties if key == "faults"):
            tried[counts["kind"]] += counts["tried"]
            survived[counts["kind"]] += counts["survived"]
            ends.setdefault(counts["kind"], Counter()).update(counts["ends"])
    if not tried:
        return
    width = max(map(len, tried))
    terminalreporter.write_sep("=", f"faults (FAULTS={DRAWS} FAULTS_SEED={SEED})")
    terminalreporter.write_line(f"{'kind':<{width}}  tried  survived  how they ended (status: runs)")
    for kind in [*sorted(tried), None]:
        if kind is None:
            name, these, those, how = "all", tried.total(), survived.total(), sum(ends.values(), Counter())
        else:
            name, these, those, how = kind, tried[kind], survived[kind], ends[kind]
        told = ", ".join(f"{status}: {count}" for status, count in how.most_common())
        terminalreporter.write_line(f"{name:<{width}}  {these:5}  {those:8}  {told}")
