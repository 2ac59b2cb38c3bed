"""Avi Controller: application profiles, virtual services, and how many connections to servers are open.

A login gives a session cookie and a CSRF token; every change needs the token, a ``Referer`` and the ``_last_modified``
that was read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from tidegate.clients.http import Http, HttpOptions, Request
from tidegate.clients.session import Pace, Refused, Session, refusal
from tidegate.errors import FleetError

__all__ = ["Avi", "OpenConns", "ref_uuid"]

Object = dict[str, Any]

_PAGES_MAX = 1000
_OPEN_CONNS = "l4_server.avg_open_conns"


@dataclass(frozen=True, slots=True)
class OpenConns:
    """Open connections to the servers of a virtual service, and when the controller counted them."""

    count: int
    at: str


def ref_uuid(reference: str) -> str:
    """Return the UUID in a reference: ``https://controller/api/applicationprofile/UUID#NAME``."""
    return reference.partition("#")[0].partition("?")[0].rstrip("/").rsplit("/", 1)[-1]


class Avi:
    """One Avi Controller, one tenant."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def at(
        cls,
        options: HttpOptions,
        user: str,
        password: Callable[[], str],
        *,
        headers: Mapping[str, str] | None = None,
        pace: Pace | None = None,
    ) -> Self:
        """Return a client that logs in, and asks for the password, when it is first used.

        Parameters
        ----------
        headers
            ``X-Avi-Version`` (left out: the controller's own) and ``X-Avi-Tenant`` (left out: ``admin``).
        """

        async def login(http: Http) -> Mapping[str, str]:
            body = {"username": user, "password": password()}
            request = Request("POST", "/login", body=body, repeat=True)
            answer = await http.call(request)
            if not answer.fine:
                known = answer if answer.status != 403 else type(answer)(401, answer.body, answer.headers)
                raise refusal(options.whose, request, known)
            token = re.search(r"(?:^|[\s,;])csrftoken=([^;,\s]+)", answer.headers.get("set-cookie", ""))
            said = answer.json()
            own = (said.get("version") or {}).get("Version", "") if isinstance(said, dict) else ""
            return {
                "X-CSRFToken": token[1] if token else "",
                "Referer": f"https://{options.address}:{options.port}/",
                "X-Avi-Version": str(own),
                "X-Avi-Tenant": "admin",
                **(headers or {}),
            }

        return cls(
            Session(Http(options, sleep=(pace or Pace()).sleep), login, logout=Request("POST", "/logout"), pace=pace)
        )

    async def close(self) -> None:
        """Log out and close the connections."""
        await self.session.close()

    async def services(self) -> list[Object]:
        """Return every virtual service."""
        return [one async for one in self._all("/api/virtualservice")]

    async def service(self, uuid: str) -> Object:
        """Return a virtual service."""
        return _object(await self.session.get(f"/api/virtualservice/{quote(uuid, safe='')}"), self.session.whose)

    async def put_service(self, uuid: str, value: Object) -> Object:
        """Replace a virtual service.

        Raises
        ------
        Refused
            ``conflict`` when it has changed since it was read.
        """
        # Once more does no harm: the second one finds another _last_modified.
        request = Request("PUT", f"/api/virtualservice/{quote(uuid, safe='')}", body=value, repeat=True)
        return _object((await self.session.call(request)).json(), self.session.whose)

    async def profile(self, uuid: str) -> Object:
        """Return an application profile."""
        return _object(await self.session.get(f"/api/applicationprofile/{quote(uuid, safe='')}"), self.session.whose)

    async def profile_named(self, name: str) -> Object | None:
        """Return the application profile of a name."""
        async for one in self._all("/api/applicationprofile", {"name": name}):
            if one.get("name") == name:
                return one
        return None

    async def create_profile(self, value: Object) -> Object:
        """Create an application profile; not sent twice, so a broken answer leaves its caller to look for it.

        Raises
        ------
        Refused
            ``conflict`` when there is one of that name.
        """
        answer = await self.session.call(Request("POST", "/api/applicationprofile", body=value))
        return _object(answer.json(), self.session.whose)

    async def open_conns(self, uuid: str) -> OpenConns | None:
        """Return the open connections to the servers of a virtual service; ``None`` where nothing was counted yet."""
        path = f"/api/analytics/metrics/virtualservice/{quote(uuid, safe='')}"
        answer = await self.session.get(path, {"metric_id": _OPEN_CONNS, "limit": 1, "step": 5})
        for series in answer.get("series") or []:
            points = series.get("data") or []
            if (series.get("header") or {}).get("name") == _OPEN_CONNS and points:
                return OpenConns(round(points[-1].get("value") or 0), str(points[-1].get("timestamp") or ""))
        return None

    async def pools(self) -> list[Object]:
        """Return every pool."""
        return [one async for one in self._all("/api/pool")]

    async def pool_servers(self, uuid: str) -> list[Object]:
        """Return what every process of every service engine says of a pool's servers.

        Versions differ in whether the list is bare, or stands in an object.
        """
        answer = await self.session.get(f"/api/pool/{quote(uuid, safe='')}/runtime/server/detail/")
        if isinstance(answer, dict):
            answer = answer.get("server") or answer.get("results")
        return [one for one in answer or [] if isinstance(one, dict)]

    async def _all(self, path: str, query: Mapping[str, str | int] | None = None) -> AsyncIterator[Object]:
        for page in range(1, _PAGES_MAX + 1):
            answer = await self.session.get(path, {**(query or {}), "page": page})
            for one in answer.get("results") or []:
                yield one
            if not answer.get("next"):
                return
        raise Refused(f"{self.session.whose}: {path} does not end after {_PAGES_MAX} pages", 200)


def _object(value: Any, whose: str) -> Object:
    if not isinstance(value, dict):
        raise FleetError(f"{whose}: an answer is no object", slug="bad-answer")
    return value
