"""How slow a vCenter's datastores are, read from its counters in a thread and told to the gate.

Each service whose ``pace`` has an account gets a thread with a session of its own at the vCenter, read-only, beside the
gate. The gate needs none of them: one that cannot read says so once, and then no snapshot is held for latency, because
what was known before is not known any more.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tidegate.clients.vcenter_session import VcenterOptions
from tidegate.config.model import Config, Passthrough, Server
from tidegate.config.vcenter import VcenterAccount
from tidegate.errors import TidegateError

__all__ = ["Feeds", "Source", "look_of", "sources_of"]

_TIMEOUT_S = 10.0
"""For one answer of the vCenter."""
_PLACES_EVERY = 15
"""Machines move seldom: where they are is read with every 15th look."""
_STOP_S = 2.0
"""How long a thread may take to log out."""
_DATASTORES_MAX, _MACHINES_MAX, _OF_MACHINE_MAX = 4096, 65_536, 16
"""What Rust takes of one vCenter (``gate/feed.rs``)."""
_MICROS_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Source:
    """Where the latencies of a service come from."""

    service: str
    options: VcenterOptions
    interval_s: float


def sources_of(config: Config) -> list[Source]:
    """Return a source for each service with ``protocol = "vcenter"`` and an account (pure)."""
    found = []
    for name, service in config.service.items():
        pace = service.vcenter.pace if service.vcenter else None
        if pace is None or pace.account is None or isinstance(service.tls, Passthrough):
            continue
        server = next(server for server in service.server.values() if not server.standby)
        found.append(Source(name, _options(server, pace.account), pace.interval.seconds))
    return found


def _options(server: Server, account: VcenterAccount) -> VcenterOptions:
    host, _, port = server.address.rpartition(":")
    ca, thumbprint, verify = account.ca, account.thumbprint, True
    if ca is None and thumbprint is None and server.tls:
        ca, thumbprint, verify = server.tls.ca, server.tls.sha256, not server.tls.insecure
    return VcenterOptions(
        address=host.strip("[]"),
        port=int(port),
        user=account.user,
        password_env=account.password_env,
        password_file=account.password_file,
        ca=ca,
        thumbprint=thumbprint,
        verify=verify,
        name=server.tls.name if server.tls else None,
        timeout_s=_TIMEOUT_S,
    )


def look_of(service: str, latencies: Mapping[str, float], places: Mapping[str, Any] | None) -> str:
    """Return what the gate is told (pure).

    Parameters
    ----------
    latencies
        Milliseconds by id of the datastore; not a number where none is known.
    places
        Where machines are (:class:`~tidegate.clients.vcenter_machines.Place`), by id; ``None``: as told before.
    """
    datastores = [{"id": key, "latency_us": _micros(ms)} for key, ms in sorted(latencies.items())[:_DATASTORES_MAX]]
    vms = None
    if places is not None:
        vms = {
            key: {"host": place.host, "datastores": list(place.datastores[:_OF_MACHINE_MAX])}
            for key, place in sorted(places.items())[:_MACHINES_MAX]
        }
    return json.dumps({"service": service, "datastores": datastores, "vms": vms})


def _micros(ms: float) -> int | None:
    return min(round(ms * 1000), _MICROS_MAX) if math.isfinite(ms) and ms >= 0 else None


class Feeds:
    """The threads of one gate.

    Parameters
    ----------
    tell
        Takes what :func:`look_of` returns; called from the threads.
    warn
        Takes a sentence, also from there.
    """

    def __init__(self, tell: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._tell, self._warn = tell, warn
        self._running: dict[Source, _Feed] = {}

    def follow(self, config: Config) -> None:
        """Have a thread for each source of ``config``, and no other; those that are the same go on."""
        wanted = sources_of(config)
        self._end([source for source in self._running if source not in wanted])
        for source in wanted:
            if source not in self._running:
                self._running[source] = _Feed(source, self._tell, self._warn)

    def close(self) -> None:
        """End them; each logs out, for at most two seconds."""
        self._end(list(self._running))

    def _end(self, sources: list[Source]) -> None:
        ending = [self._running.pop(source) for source in sources]
        for feed in ending:
            feed.stop()
        for feed in ending:
            feed.join()


class _Feed:
    """One thread."""

    def __init__(self, source: Source, tell: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._source, self._tell, self._warn = source, tell, warn
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._said = ""
        self._thread = threading.Thread(target=self._serve, name=f"tidegate-latency-{source.service}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._over.set)

    def join(self) -> None:
        self._thread.join(_STOP_S)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._look_on())

    async def _look_on(self) -> None:
        from tidegate.clients.vcenter import Vcenter  # late: pyVmomi takes its time, and most gates have no account
        from tidegate.clients.vcenter_counters import Counters
        from tidegate.clients.vcenter_machines import places

        vcenter = Vcenter(self._source.options)
        counters, page = Counters(vcenter, by_id=True), self._source.options.page
        known: dict[str, float] = {}
        looks = 0
        try:
            while not self._over.is_set():
                try:
                    where = None
                    if looks % _PLACES_EVERY == 0:
                        where = await vcenter.session.call(lambda _, content: places(content, page))
                    known = await counters.latencies()
                    self._tell(look_of(self._source.service, known, where))
                    looks, self._said = looks + 1, ""
                except TidegateError as error:
                    self._failed(error.message, known)
                    looks = 0
                except Exception as error:  # noqa: BLE001 (whatever it was: old latencies must not hold anybody)
                    self._failed(f"what it read is odd: {type(error).__name__}: {error}", known)
                    looks = 0
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), self._source.interval_s)
        finally:
            with suppress(TidegateError):
                await vcenter.close()

    def _failed(self, why: str, known: Mapping[str, float]) -> None:
        if why != self._said:
            self._said = why
            self._warn(f"no latencies of datastores for {self._source.service}, none is waited for: {why}")
        with suppress(TidegateError):  # the service has gone: so will this thread
            self._tell(look_of(self._source.service, dict.fromkeys(known, math.nan), None))
