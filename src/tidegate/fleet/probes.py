"""What guards read: one number per probe, each within a timeout, each without making a session.

A probe that cannot read raises a :class:`~tidegate.errors.FleetError`: there is no sample then, so that its guard trips
in time, and says what the probe said. What is read:

``provider-response``
    ``url``: how long a GET takes, whole. An answer below 500 counts; a VASA provider's ``/vasa/version.xml`` makes no
    session. ``gate``: how long the slowest server takes for one unit of work, from the gate's ``/status``.
``error-rate``
    ``gate``: of the calls that ended since the last look, the share that the gate turned away, or that the server
    refused, broke off, or let time out. ``url``: of the last 20 GETs, the share that failed.
``datastore-latency``
    What the given callable returns in milliseconds, by datastore (the worst host of each); the worst counts. A
    datastore that was asked for, or was there before, and is not there now, is no sample; nor is one whose newest
    sample is old from the start, nor none at all.
``alert``
    ``file``: its first word is ``firing`` or ``1``, else ``ok``, ``resolved`` or ``0``. ``url``: such a text, or JSON
    as Alertmanager answers at ``/api/v2/alerts`` (fires when an alert of the list has the state ``active``) or
    Prometheus at ``/api/v1/alerts`` (``firing``). Anything else is no sample. Filters belong into the URL.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tidegate.clients.secret import read_secret
from tidegate.config.urls import shown_url
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.act import Probe
from tidegate.fleet.guard_tables import (
    AlertTable,
    DatastoreLatencyTable,
    ErrorRateTable,
    GuardTable,
    ProviderResponseTable,
    UrlTable,
)

__all__ = [
    "AlertFile",
    "AlertUrl",
    "DatastoreProbe",
    "GateErrors",
    "GateResponse",
    "Latencies",
    "Page",
    "UrlErrors",
    "UrlResponse",
    "alert_in",
    "probes_of",
]

TIMEOUT_S = 10.0
"""How long a probe may take."""

_ANSWER_MAX = 4 << 20
"""Longest answer that is read, in bytes."""

_TOKEN = re.compile(r"[!-~]+")
_WINDOW = 20
_FIRST_LOOK_S = 1.0

Latencies = Callable[[Sequence[str]], Awaitable[Mapping[str, float]]]
"""Datastores' names (none: all) → milliseconds by datastore, the worst host of each, as vCenter counts."""


@dataclass(frozen=True, slots=True)
class Page:
    """Where a GET goes: a URL, or a path behind a socket in the file system. It follows no redirect."""

    url: str
    socket: Path | None = None
    ca: Path | None = None
    verify: bool = True
    timeout_s: float = TIMEOUT_S
    token: Callable[[], str] | None = field(default=None, repr=False)
    """Gives the bearer token that is sent."""

    async def get(self) -> tuple[int, bytes]:
        """Return status and body.

        Raises
        ------
        HostUnreachable
            When there is no whole answer within the timeout.
        FleetError
            When there is no token where one is to be sent.
        """
        headers = self._headers()
        try:
            async with asyncio.timeout(self.timeout_s), self._client(headers) as client:
                return await self._read(client)
        except TimeoutError:
            raise HostUnreachable(f"{self} does not answer within {self.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError) as error:
            raise HostUnreachable(f"{self} does not answer: {str(error) or type(error).__name__}") from None

    async def _read(self, client: httpx.AsyncClient) -> tuple[int, bytes]:
        async with client.stream("GET", self.url) as answer:
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _ANSWER_MAX:
                    raise HostUnreachable(f"the answer of {self} has no end")
            return answer.status_code, body

    def _headers(self) -> dict[str, str]:
        if self.token is None:
            return {}
        token = self.token()
        if not _TOKEN.fullmatch(token):  # who sends it would say it
            raise FleetError(f"the token for {self} is none: it has spaces, or is not ASCII")
        return {"Authorization": f"Bearer {token}"}

    def _client(self, headers: Mapping[str, str]) -> httpx.AsyncClient:
        verify: ssl.SSLContext | bool = self.verify
        if self.verify and self.ca is not None:
            verify = ssl.create_default_context(cafile=str(self.ca))
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket) if self.socket else None, verify=verify)
        return httpx.AsyncClient(
            transport=transport, headers=headers, timeout=self.timeout_s, follow_redirects=False, trust_env=False
        )

    def __str__(self) -> str:
        return f"the gate at {self.socket}" if self.socket else shown_url(self.url)


@dataclass(frozen=True, slots=True)
class UrlResponse:
    """Times a GET."""

    name: str
    page: Page
    clock: Callable[[], float] = time.perf_counter

    async def sample(self) -> float:
        """Return the seconds that one took."""
        begun = self.clock()
        status, _ = await self.page.get()
        if status >= 500:
            raise HostUnreachable(f"{self.page} answers {status}")
        return self.clock() - begun


@dataclass(frozen=True, slots=True)
class GateResponse:
    """Asks a gate how long its servers take."""

    name: str
    page: Page

    async def sample(self) -> float:
        """Return the seconds of the slowest server."""
        services = await _services(self.page)
        with _told_by(self.page):
            servers = [server for service in services for server in service["servers"]]
            down = [server["name"] for server in servers if server.get("phase") == "down"]
            units = [server["why"].get("unit_s") for server in servers if server.get("why") is not None]
            slowest = max((float(unit) for unit in units if unit is not None), default=None)
        if down:
            raise HostUnreachable(f"{self.page} says that {down[0]} is down")
        if slowest is None:
            hint = "a gate with a static limit does not measure; name a url instead"
            raise FleetError(f"{self.page} has measured no response time yet", hint=hint)
        return slowest


@dataclass(slots=True)
class GateErrors:
    """Asks a gate what became of the calls since it was asked last; the first time it is asked twice."""

    name: str
    page: Page
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _before: tuple[int, int] | None = None

    async def sample(self) -> float:
        """Return the share that failed; 0 where no call ended."""
        before = self._before
        if before is None:
            before = await self._counted()
            await self.sleep(_FIRST_LOOK_S)
        failed, ended = self._before = await self._counted()
        if ended < before[1]:  # the gate has begun anew, and so have its counters
            before = (0, 0)
        calls = ended - before[1]
        return min(1.0, max(0, failed - before[0]) / calls) if calls else 0.0

    async def _counted(self) -> tuple[int, int]:
        failed = ended = 0
        services = await _services(self.page)
        with _told_by(self.page):
            for service in services:
                counters = service["counters"]
                bad = sum(int(counters.get(key, 0)) for key in ("turned_away_total", "overload", "broken", "expired"))
                failed += bad
                ended += bad + int(counters.get("answered", 0))
        return failed, ended


@dataclass(frozen=True, slots=True)
class UrlErrors:
    """Counts how many of the last GETs failed."""

    name: str
    page: Page
    _seen: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    async def sample(self) -> float:
        """Return the share that failed. No answer is a failure here, and so a sample."""
        try:
            status, _ = await self.page.get()
            self._seen.append(status >= 400)
        except HostUnreachable:
            self._seen.append(True)
        return sum(self._seen) / len(self._seen)


@dataclass(slots=True)
class DatastoreProbe:
    """Asks vCenter's counters, through what its client gives; remembers which datastores it has seen."""

    name: str
    datastores: tuple[str, ...]
    latencies: Latencies
    timeout_s: float = 30.0
    _seen: set[str] = field(default_factory=set)

    async def sample(self) -> float:
        """Return the latency of the worst datastore, in seconds."""
        try:
            async with asyncio.timeout(self.timeout_s):
                found = await self.latencies(self.datastores)
        except TimeoutError:
            raise HostUnreachable(f"vCenter gives no counters within {self.timeout_s:g} s") from None
        self._seen |= found.keys() | set(self.datastores)
        missing = sorted(self._seen - found.keys())
        if missing or not found:
            hint = "name those that count: datastores = [...]"
            raise FleetError(f"vCenter gives no latency of {missing[0] if missing else 'any datastore'}", hint=hint)
        # Every one must be a value: the worst of the others says nothing of one that nobody knows.
        for name, value in found.items():
            if not math.isfinite(value) or value < 0:
                raise FleetError(
                    f"vCenter gives no latency of {name}", hint="name those that count: datastores = [...]"
                )
        return max(found.values()) / 1000


@dataclass(frozen=True, slots=True)
class AlertFile:
    """Reads whether an alert fires from a file that something else writes."""

    name: str
    file: Path

    async def sample(self) -> float:
        """Return 1 when it fires."""
        try:
            with self.file.open("rb") as stream:
                text = stream.read(4096)
        except OSError as error:
            raise FleetError(f"the alert's file {self.file} cannot be read: {error.strerror}") from None
        fires = alert_in(text)
        if fires is None:
            raise FleetError(f"the alert's file {self.file} says neither firing nor ok")
        return float(fires)


@dataclass(frozen=True, slots=True)
class AlertUrl:
    """Asks a URL whether an alert fires."""

    name: str
    page: Page

    async def sample(self) -> float:
        """Return 1 when it fires."""
        status, body = await self.page.get()
        if status != 200:
            raise HostUnreachable(f"{self.page} answers {status}")
        fires = alert_in(body)
        if fires is None:
            hint = "an Alertmanager's list of alerts is at /api/v2/alerts"
            raise FleetError(f"{self.page} does not say whether an alert fires", hint=hint)
        return float(fires)


def alert_in(body: bytes) -> bool | None:
    """Return whether a text or list of alerts says that one fires; ``None`` where it says neither (pure)."""
    text = body.decode(errors="replace").strip()
    match text.split(maxsplit=1)[0].lower() if text else "":
        case "firing" | "1":
            return True
        case "ok" | "resolved" | "inactive" | "0":
            return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and isinstance(value.get("data"), dict):  # Prometheus
        value = value["data"].get("alerts")
    if not isinstance(value, list):
        return None
    states = [_state(alert) for alert in value]
    return None if None in states else any(state in {"active", "firing"} for state in states)


def _state(alert: object) -> str | None:
    """Return the state of an alert of a list: Alertmanager's ``status.state``, or Prometheus' ``state``."""
    if not isinstance(alert, dict):
        return None
    status = alert.get("status")
    state = status.get("state") if isinstance(status, dict) else alert.get("state")
    return state if isinstance(state, str) else None


@contextmanager
def _told_by(page: Page) -> Iterator[None]:
    """Say what is odd about a status whose parts are not what a gate gives."""
    try:
        yield
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise HostUnreachable(f"the status of {page} is odd: {type(error).__name__}: {error}") from None


async def _services(page: Page) -> list[dict[str, Any]]:
    status, body = await page.get()
    try:
        services = json.loads(body)["services"]
        whole = status == 200 and all(s["servers"] is not None and s["counters"] is not None for s in services)
    except (ValueError, KeyError, TypeError, RecursionError):
        whole, services = False, []
    if not whole:
        raise HostUnreachable(f"{page} gives no status: what answers there is not a gate")
    return list(services)


def probes_of(tables: Mapping[str, GuardTable], latencies: Latencies | None = None) -> list[Probe]:
    """Return the probes that the guards of a plan need.

    Raises
    ------
    FleetError
        When a guard needs vCenter's counters and there is no vCenter.
    """
    probes: list[Probe] = []
    for name, table in tables.items():
        match table:
            case ProviderResponseTable():
                page = _page(table, table.gate)
                probes.append(GateResponse(name, page) if table.gate else UrlResponse(name, page))
            case ErrorRateTable():
                page = _page(table, table.gate)
                probes.append(GateErrors(name, page) if table.gate else UrlErrors(name, page))
            case DatastoreLatencyTable():
                if latencies is None:
                    hint = "datastore counters come from there: add a table [vcenter]"
                    raise FleetError(f'the guard "{name}" needs a vCenter, and the plan names none', hint=hint)
                probes.append(DatastoreProbe(name, table.datastores, latencies))
            case AlertTable():
                probes.append(AlertFile(name, table.file) if table.file else AlertUrl(name, _page(table)))
            case _:
                pass
    return probes


def _page(table: UrlTable, gate: Path | None = None) -> Page:
    if gate is not None:
        # The gate's file says "unix:/path": what is copied from there must work here.
        return Page("http://gate/status", socket=Path(str(gate).rpartition("unix:")[2]))
    url, variable, file = table.url or "", table.token_env, table.token_file
    token = None
    if variable is not None or file is not None:
        token = partial(read_secret, variable or "", file, shown_url(url), "token")
    return Page(url, ca=table.ca, verify=table.verify, token=token)
