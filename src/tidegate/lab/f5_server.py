"""An F5 BIG-IP of the lab, by iControl REST: tokens, and statistics of pool members and virtual servers.

It is as a BIG-IP 15 with a user of the role Guest: a token is needed and can be given back, an account has at most 100
of them, whatever would change something is forbidden, and statistics are nested as there.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any

from tidegate.lab.rest_server import Reply, Request, RestServer

__all__ = ["F5Server"]

Json = Any

_TOKENS_MAX = 100
_ROOT = "https://localhost/mgmt/tm/ltm"


class F5Server(RestServer):
    """A BIG-IP."""

    def __init__(
        self, tls: ssl.SSLContext | None, *, rate: int = 100, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(tls, rate=rate, now=now)
        self.user, self.password = "watch", "F5-password-1"
        self.pools: dict[str, list[tuple[str, int, int]]] = {}
        """Members of each pool (``/Common/web``): address, port, connections."""
        self.virtual_servers: dict[str, int] = {}
        """Connections of each virtual server."""
        self.tokens: set[str] = set()
        self._made = 0

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        if (request.method, request.path) == ("POST", "/mgmt/shared/authn/login"):
            return self._log_in(request)
        token = request.headers.get("x-f5-auth-token", "")
        if token not in self.tokens:
            return _no(401, "X-F5-Auth-Token does not exist.")
        if (request.method, request.path) == ("DELETE", f"/mgmt/shared/authz/tokens/{token}"):
            self.tokens.discard(token)
            return Reply(200, {"token": token})
        if request.method != "GET":
            return _no(403, "Operation is not authorized for user.")
        pages = {"/mgmt/tm/ltm/pool/members/stats": self._members, "/mgmt/tm/ltm/virtual/stats": self._virtual}
        page = pages.get(request.path)
        return _no(404, f"Public URI path not registered: {request.path}") if page is None else Reply(200, page())

    def _log_in(self, request: Request) -> Reply:
        body = request.json or {}
        if (body.get("username"), body.get("password")) != (self.user, self.password):
            return _no(401, "Authentication failed.")
        if len(self.tokens) >= _TOKENS_MAX:
            return _no(400, f"user {self.user} has reached maximum active login tokens")
        self._made += 1
        token = f"TOKEN{self._made:022}"
        self.tokens.add(token)
        about = {"token": token, "name": token, "userName": self.user, "timeout": 1200}
        return Reply(200, {"username": self.user, "loginProviderName": "tmos", "token": about})

    def _members(self) -> Json:
        entries = {}
        for pool, members in self.pools.items():
            name = pool.replace("/", "~")
            own = {
                f"{_ROOT}/pool/members/{name}/members/~Common~{address}:{port}/stats": _nested(
                    {
                        "addr": _said(address),
                        "connq.depth": _count(0),
                        "monitorStatus": _said("up"),
                        "nodeName": _said(f"/Common/{address}"),
                        "poolName": _said(pool),
                        "port": _count(port),
                        "serverside.curConns": _count(count),
                        "serverside.maxConns": _count(count),
                        "status.availabilityState": _said("available"),
                        "status.enabledState": _said("enabled"),
                    }
                )
                for address, port, count in members
            }
            entries[f"{_ROOT}/pool/members/{name}/stats"] = _nested(
                {
                    "activeMemberCnt": _count(len(members)),
                    "serverside.curConns": _count(sum(count for _, _, count in members)),
                    "tmName": _said(pool),
                    f"{_ROOT}/pool/members/{name}/members/stats": _nested(own),
                }
            )
        link = "https://localhost/mgmt/tm/ltm/pool/members/stats?ver=15.1.2"
        return {"kind": "tm:ltm:pool:members:memberscollectionstats", "selfLink": link, "entries": entries}

    def _virtual(self) -> Json:
        entries = {
            f"{_ROOT}/virtual/{name.replace('/', '~')}/stats": _nested(
                {
                    "clientside.curConns": _count(count),
                    "destination": _said("192.0.2.80:443"),
                    "status.availabilityState": _said("available"),
                    "tmName": _said(name),
                }
            )
            for name, count in self.virtual_servers.items()
        }
        return {"kind": "tm:ltm:virtual:virtualcollectionstats", "entries": entries}


def _nested(entries: dict[str, Json]) -> Json:
    return {"nestedStats": {"entries": entries}}


def _count(value: int) -> Json:
    return {"value": value}


def _said(text: str) -> Json:
    return {"description": text}


def _no(status: int, sentence: str) -> Reply:
    return Reply(status, {"code": status, "message": sentence, "errorStack": [], "apiError": 3})
