"""What every peer of `bench-watch` does in the same way: read events, hand them over in batches, say what it costs.

Arguments: the file of events, ``speed`` or ``memory``, the kind of window, its seconds, its threshold. For ``speed``
all batches are there before the clock of the process is read; for ``memory`` each is made when it is handed over, so
that what a peer keeps of it counts. One line of JSON comes back. Only the standard library is used here: a peer may run
where there is nothing else.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Event", "Taker", "main"]

Event = tuple[int, str, str]
"""Microseconds since the beginning, key, value."""
_BATCH = 1000


class Taker(Protocol):
    """What takes events, and knows which keys were alerted."""

    first: dict[str, int]
    """When each key was alerted for the first time, in microseconds since the beginning."""

    def made(self, events: Sequence[Event]) -> list[Any]:
        """Return a batch as it is taken."""

    def take(self, batch: list[Any]) -> None:
        """Take a batch."""

    def windows(self) -> int:
        """Return how many windows are held."""


def _batches(path: str) -> Iterator[list[Event]]:
    """Yield the events of a file, so many at a time."""
    batch: list[Event] = []
    with Path(path).open() as lines:
        for line in lines:
            us, key, value = line.rstrip("\n").split("\t")
            batch.append((int(us), key, value))
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _private_bytes() -> int:
    """Return the memory that nobody shares with this process."""
    gc.collect()
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(kilobytes) * 1024 for kilobytes in re.findall(r"^Private_Dirty:\s+(\d+) kB", text, re.MULTILINE))


def main(begin: Callable[[str, int, int], Taker]) -> None:
    """Measure one run, and print what it came to; ``begin`` is given the kind, the seconds and the threshold."""
    path, mode, kind, over_s, threshold = sys.argv[1:]
    taker = begin(kind, int(over_s), int(threshold))
    said: dict[str, Any] = {}
    if mode == "speed":
        ready = [taker.made(batch) for batch in _batches(path)]
        began = time.process_time()
        for batch in ready:
            taker.take(batch)
        said["cost"] = time.process_time() - began
        said["events"] = sum(len(batch) for batch in ready)
    else:
        before, count = _private_bytes(), 0
        for events in _batches(path):
            taker.take(taker.made(events))
            count += len(events)
        said["cost"], said["events"] = _private_bytes() - before, count
    print(json.dumps({**said, "windows": taker.windows(), "alerts": taker.first}))
