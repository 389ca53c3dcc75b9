"""A count that several threads add to."""

from threading import Lock


class Total:
    """How many there were, whoever found them; the order does not matter."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        """So many more."""
        if count:
            with self._lock:
                self.count += count
