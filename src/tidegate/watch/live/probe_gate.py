"""Asks a tidegate gate's admin socket for ``/ports`` and ``/status``.

Least privilege: who can open that socket can also switch the gate; it is mode 0600 and belongs to the gate's account,
so the watch runs under the same one. This probe only sends ``GET``.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.errors import ServerUnreachable
from tidegate.watch.live.model import Json
from tidegate.watch.live.probe_hits import Told
from tidegate.watch.live.probe_wire import get_object
from tidegate.watch.ports import MEASURES, Bucket, Gauge, PortReading
from tidegate.watch.ports.text import endpoint_of

__all__ = ["GateProbe", "gate_reading"]

_FORMAT = 1
"""Of the gate's answers."""
_WHY = "the ports that the gate has for traffic; those for its own probes are kept apart"


class GateProbe:
    """One gate.

    Parameters
    ----------
    address
        Its admin socket, as ``gate.admin`` in its file: ``unix:PATH``.
    timeout_s
        Longest wait for a byte.
    """

    measures = frozenset(MEASURES)

    def __init__(self, address: str, timeout_s: float = 15.0) -> None:
        self.address = address
        self._whose = f"the gate at {address}"
        self._timeout_s = timeout_s

    async def ask(self, wanted: frozenset[str]) -> Told:  # noqa: ARG002 (two small answers tell all)
        """Return its ports, services and servers.

        Raises
        ------
        ServerUnreachable
            When it does not answer, or speaks another format.
        """
        ports, status = [await self._get(path) for path in ("/ports", "/status")]
        return Told((gate_reading(ports, status),))

    async def close(self) -> None:
        """Do nothing: each try has a connection of its own."""

    async def _get(self, path: str) -> Json:
        answer = await get_object(self.address, path, self._whose, self._timeout_s)
        if answer.get("format") != _FORMAT:
            said = f"{self._whose} answers in format {answer.get('format')!r}, this watch reads {_FORMAT}"
            raise ServerUnreachable(said, hint="run a gate and a watch of one version", slug="bad-answer")
        return answer


def gate_reading(ports: Json, status: Json) -> PortReading:
    """Return ``/ports`` and ``/status`` of a gate as a reading.

    A bucket counts the ports for traffic alone, leased, at rest or used by others, as the gate's own watermarks do.
    """
    buckets = [_bucket(each) for each in ports["buckets"]]
    return PortReading(
        "gate",
        tuple(sorted(buckets, key=lambda bucket: (-bucket.share, bucket.scope))),
        tuple(gauge for service in status["services"] for gauge in _gauges(service)),
        read=sum(bucket.connections for bucket in buckets),
        sides={"as the gate says": len(buckets)},
    )


def _bucket(told: Json) -> Bucket:
    address, port = endpoint_of(told["destination"]) or (told["destination"], None)
    capacity = told["capacity"] - told["headroom"]
    used = capacity - (told["free"] - told["free_headroom"])
    states = {name: told[name] for name in ("traffic", "probes", "quarantined", "foreign")}
    return Bucket(told["source"], address, port, used, max(1, capacity), _WHY, by_state=states)


def _gauges(service: Json) -> Iterator[Gauge]:
    """Yield what a service and its servers hold; who is held at the gate is queued."""
    yield Gauge(
        service["name"],
        "service",
        service["open_conns"],
        open_requests=service["open_requests"],
        queued=service["held_total"],
        state=service["mode"],
        dropped=service["connections_dropped"],
    )
    for server in service["servers"]:
        yield Gauge(
            f"{service['name']}/{server['name']}",
            "server",
            server["open_conns"],
            open_requests=server["open_requests"],
            state=server["phase"] or "",
            limit=server["limit"],
            dropped=server["connections_dropped"],
        )
