"""F5 BIG-IP by iControl REST: connections of pool members and virtual servers, nothing else.

A login gives a token for 20 minutes (``X-F5-Auth-Token``); an account may have 100 of them, so it is given back.
Statistics come as objects in objects: ``entries`` by URL, each with ``nestedStats``, whose ``entries`` are values
(``{"value": 5}``, ``{"description": "up"}``) or again objects by URL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import quote

from tidegate.clients.http import Http, HttpOptions, Request
from tidegate.clients.session import Pace, Session, refusal
from tidegate.errors import FleetError

__all__ = ["F5", "flat_stats"]

_LOGIN = "/mgmt/shared/authn/login"
_TOKEN = "X-F5-Auth-Token"  # noqa: S105 (the name of a header)
_DEPTH_MAX = 8

Stats = dict[str, str | int]


class F5:
    """One BIG-IP."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def at(cls, options: HttpOptions, user: str, password: Callable[[], str], *, pace: Pace | None = None) -> Self:
        """Return a client that logs in, and asks for the password, when it is first used."""

        async def login(http: Http) -> Mapping[str, str]:
            body = {"username": user, "password": password(), "loginProviderName": "tmos"}
            request = Request("POST", _LOGIN, body=body, repeat=True)
            answer = await http.call(request)
            if not answer.fine:
                raise refusal(options.whose, request, answer)
            said = answer.json()
            token = (said.get("token") or {}).get("token") if isinstance(said, dict) else None
            if not isinstance(token, str):
                raise FleetError(f"{options.whose}: the login brings no token", slug="bad-answer")
            return {_TOKEN: token}

        return cls(Session(Http(options, sleep=(pace or Pace()).sleep), login, pace=pace))

    async def close(self) -> None:
        """Give the token back, as far as that can be done, and close the connections."""
        http = self.session.http
        token = http.headers.get(_TOKEN)
        if token:
            with suppress(FleetError):  # it ends by itself
                await http.call(Request("DELETE", f"/mgmt/shared/authz/tokens/{quote(token, safe='')}"))
            http.headers.clear()
        await self.session.close()

    async def pool_members(self) -> list[Stats]:
        """Return the statistics of every member of every pool; BIG-IP 12.0 or later."""
        return await self._stats("/mgmt/tm/ltm/pool/members/stats", "nodeName")

    async def virtual_servers(self) -> list[Stats]:
        """Return the statistics of every virtual server."""
        return await self._stats("/mgmt/tm/ltm/virtual/stats", "destination")

    async def _stats(self, path: str, key: str) -> list[Stats]:
        answer = await self.session.get(path)
        if not isinstance(answer, dict):
            raise FleetError(f"{self.session.whose}: the answer to GET {path} is no object", slug="bad-answer")
        return list(flat_stats(answer, key))


def flat_stats(value: Any, key: str, depth: int = _DEPTH_MAX) -> Iterator[Stats]:
    """Yield each object of statistics that has ``key``, however deep, as plain names and values."""
    entries = value.get("entries") if isinstance(value, dict) else None
    if not isinstance(entries, dict) or depth == 0:
        return
    if key in entries:
        yield {name: told for name, one in entries.items() if (told := _value(one)) is not None}
    for one in entries.values():
        if isinstance(one, dict) and "nestedStats" in one:
            yield from flat_stats(one["nestedStats"], key, depth - 1)


def _value(one: Any) -> str | int | None:
    told = one.get("value", one.get("description")) if isinstance(one, dict) else None
    return told if isinstance(told, (str, int)) and not isinstance(told, bool) else None
