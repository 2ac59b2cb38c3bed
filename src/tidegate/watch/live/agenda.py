"""What is to be looked at when: names by time, each once."""

from __future__ import annotations

import heapq

__all__ = ["Agenda"]


class Agenda:
    """Names, each with the earliest time that it was put down for."""

    __slots__ = ("_heap", "_times")

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._times: dict[str, int] = {}

    def put(self, name: str, time: int) -> None:
        """Put a name down, unless it is put down for an earlier time already."""
        if name not in self._times or time < self._times[name]:
            self._times[name] = time
            heapq.heappush(self._heap, (time, name))

    def first(self) -> int | None:
        """Return the earliest time, or ``None``."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, until: int) -> str | None:
        """Take out and return the first name that is put down for ``until`` or earlier."""
        time = self.first()
        if time is None or time > until:
            return None
        name = heapq.heappop(self._heap)[1]
        del self._times[name]
        return name
