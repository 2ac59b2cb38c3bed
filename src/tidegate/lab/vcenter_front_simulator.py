"""The simulator as the lab's front asks it: for a session of a client, or by a session of its own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from tidegate.lab.vcenter_front_http import Answer, Call, Upstream
from tidegate.lab.vcenter_front_soap import Ref, cookie_of, request

__all__ = ["SESSION_MANAGER", "Simulator"]

SESSION_MANAGER = ("SessionManager", "SessionManager")


class Simulator:
    """Asks it. All of its methods raise :class:`OSError` or :class:`ValueError` when it does not answer."""

    def __init__(self, upstream: Upstream, user: str, password: str) -> None:
        self._upstream = upstream
        self._login = request("Login", SESSION_MANAGER, f"<userName>{user}</userName><password>{password}</password>")
        self._key = ""

    async def ask(self, call: Call, key: str = "") -> Answer:
        """Pass a client's call on, as the session ``key``."""
        call.headers.pop("cookie", None)
        if key:
            call.headers["cookie"] = f"vmware_soap_session={key}"
        return await self._upstream.ask(call)

    async def soap(self, body: bytes, key: str = "") -> Answer:
        """Ask as the session ``key``."""
        headers = {"host": "vcsim", "content-type": "text/xml; charset=utf-8", "soapaction": '"urn:vim25/6.5"'}
        return await self.ask(Call("POST", "/sdk", headers, body), key)

    async def call(self, key: str, name: str, ref: Ref, inside: str = "") -> Answer:
        """Call ``name`` of an object as the session ``key``."""
        return await self.soap(request(name, ref, inside), key)

    async def own(self, body: bytes) -> Answer:
        """Ask as the front itself, whose session is made when there is none."""
        answer = await self.soap(body, self._key)
        if answer.status == 500 and b"NotAuthenticated" in answer.body:
            self._key = cookie_of((await self.soap(self._login)).header("set-cookie"))
            answer = await self.soap(body, self._key)
        return answer

    async def control(self, what: str, **query: object) -> Any:
        """Change or read what vcsim shows, by its ``/control``."""
        call = Call("GET", f"/control/{what}?{urlencode(query)}", {"host": "vcsim"})
        return json.loads((await self._upstream.ask(call)).body or b"null")
