"""Asks HAProxy's stats socket for ``show info`` and ``show stat``.

Least privilege: ``stats socket PATH mode 660 group tidegate level user``. That level can look and nothing else; give
the group to the account that the watch runs under. It hides the servers' addresses: where several backends have a
server of one address, and so share its ports, only ``level operator`` lets them be added up (it may clear counters,
too).
"""

from __future__ import annotations

from tidegate.watch.live.probe_hits import Told
from tidegate.watch.live.probe_wire import ask_line, read
from tidegate.watch.ports import MEASURES

__all__ = ["HaproxyProbe"]


class HaproxyProbe:
    """One HAProxy process.

    Parameters
    ----------
    address
        Its stats socket: ``unix:PATH`` or ``HOST:PORT``.
    """

    measures = frozenset(MEASURES)

    def __init__(self, address: str) -> None:
        self.address = address
        self._whose = f"HAProxy {address}"

    async def ask(self, wanted: frozenset[str]) -> Told:  # noqa: ARG002 (one command tells all)
        """Return its servers and services.

        Raises
        ------
        ServerUnreachable
            When it does not answer, or says something else.
        """
        text = await ask_line(self.address, "show info;show stat", self._whose)
        return Told((read("haproxy", text, self._whose),))

    async def close(self) -> None:
        """Do nothing: each try has a connection of its own."""
