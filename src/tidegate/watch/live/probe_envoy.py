"""Asks Envoy's admin interface for ``/clusters``.

That interface has no account that can only look: whoever reaches it can also drain Envoy, or end it. Let it listen on a
Unix socket (``admin: {address: {pipe: {path: PATH, mode: 432}}}``, which is 0660) or on loopback. This probe sends
``GET /clusters`` and nothing else.
"""

from __future__ import annotations

from tidegate.watch.live.probe_hits import Told
from tidegate.watch.live.probe_wire import get, read
from tidegate.watch.ports import MEASURES

__all__ = ["EnvoyProbe"]


class EnvoyProbe:
    """One Envoy.

    Parameters
    ----------
    address
        Its admin interface: ``unix:PATH`` or ``HOST:PORT``.
    timeout_s
        Longest wait for a byte.
    """

    measures = frozenset(name for name in MEASURES if name.startswith(("ports.", "server.")))

    def __init__(self, address: str, timeout_s: float = 15.0) -> None:
        self.address = address
        self._whose = f"Envoy {address}"
        self._timeout_s = timeout_s

    async def ask(self, wanted: frozenset[str]) -> Told:  # noqa: ARG002 (one page tells all)
        """Return its servers.

        Raises
        ------
        ServerUnreachable
            When it does not answer, or has no server.
        """
        text = await get(self.address, "/clusters", self._whose, self._timeout_s)
        return Told((read("envoy-clusters", text, self._whose),))

    async def close(self) -> None:
        """Do nothing: each try has a connection of its own."""
