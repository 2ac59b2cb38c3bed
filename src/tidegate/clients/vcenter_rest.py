"""vCenter's REST session: ``/api/session``, made when it is first needed, anew when it has ended, and given back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tidegate.clients.http import Answer, Http, HttpOptions, Request
from tidegate.clients.vcenter_session import VcenterOptions
from tidegate.errors import FleetError

__all__ = ["VcenterRest"]

_HEADER = "vmware-api-session-id"


class VcenterRest:
    """Calls of ``/api`` with one session. ``sleep`` is given by tests."""

    def __init__(self, options: VcenterOptions, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._options = options
        self._http = Http(
            HttpOptions(
                options.address, options.whose, options.port, options.trust, timeout_s=options.timeout_s, at_once=4
            ),
            sleep=sleep,
        )
        self._lock = asyncio.Lock()

    async def call(self, request: Request) -> Answer:
        """Call; an ended session is replaced once."""
        await self._log_in(None)
        used = self._http.headers.get(_HEADER)
        answer = await self._http.call(request)
        if answer.status == 401:
            # Refused before it was looked at: it has not happened.
            await self._log_in(used)
            answer = await self._http.call(request)
        return answer

    async def wanted(self, request: Request) -> Any:
        """Call, and return the JSON of a 2xx answer.

        Raises
        ------
        FleetError
            With the status, when it is no 2xx.
        """
        answer = await self.call(request)
        if not answer.fine:
            raise FleetError(
                f"{self._options.whose}: {request} was answered with {answer.status}", slug=f"http-{answer.status}"
            )
        return answer.json()

    async def close(self) -> None:
        """Give the session back; a vCenter that is away is not waited for long."""
        if _HEADER in self._http.headers:
            with suppress(FleetError):
                await self._http.call(Request("DELETE", "/api/session"))
            del self._http.headers[_HEADER]
        await self._http.close()
        self._lock = asyncio.Lock()

    async def _log_in(self, ended: str | None) -> None:
        """Log in unless somebody has done so since ``ended`` was the session."""
        async with self._lock:
            if self._http.headers.get(_HEADER) != ended:
                return
            self._http.headers.pop(_HEADER, None)
            login = (self._options.user, self._options.password())
            answer = await self._http.call(Request("POST", "/api/session", basic=login))
            if answer.status == 401:
                raise FleetError(
                    f"{self._options.whose} refuses the login of {self._options.user}",
                    hint=f"is the password in ${self._options.password_env} right, and the user written USER@DOMAIN?",
                    slug="login-refused",
                )
            if not answer.fine:
                raise FleetError(f"{self._options.whose}: /api/session was answered with {answer.status}")
            session = answer.json()
            if not isinstance(session, str) or not session:
                raise FleetError(f"{self._options.whose}: /api/session gave no session", slug="bad-answer")
            self._http.headers[_HEADER] = session
