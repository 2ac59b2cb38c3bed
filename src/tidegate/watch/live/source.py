"""What every source of a running watch is: files that are tailed, a syslog listener, a probe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from tidegate.watch.live.model import Batch, Json

__all__ = ["Put", "Source"]

Put = Callable[[Batch], Awaitable[None]]
"""Hands a batch on; it returns late while there is no room for more, and then the source must not read on."""


class Source(Protocol):
    """Where records come from."""

    name: str
    """As :attr:`~tidegate.watch.live.model.Batch.source` has it."""

    async def run(self, put: Put, saved: Mapping[str, Json]) -> None:
        """Read until cancelled.

        Parameters
        ----------
        put
            Takes what was read, in the order of each stream.
        saved
            By stream, the position of the last batch that was stored: reading goes on there.
        """

    def view(self) -> Json:
        """Return how it goes, for people and metrics: ``streams``, ``lag_bytes`` and ``troubles`` among it."""
