"""A login at a REST manager: made when it is first needed, made again once when the manager has forgotten it.

Requests are begun no faster than ``per_second`` (NSX allows 100 from one client), and every refusal is one sentence
with the manager's own words.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.clients.http import Answer, Http, Request
from tidegate.errors import FleetError

__all__ = ["Pace", "Refused", "Session", "refusal"]

_WORDS_MAX = 300
"""Characters of a manager's own words that are shown."""


class Refused(FleetError):
    """The manager answered that it will not do it; ``status`` says how."""

    slug = "refused"

    def __init__(self, message: str, status: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status

    @property
    def conflict(self) -> bool:
        """Whether somebody else changed the object since it was read."""
        return self.status in {409, 412}


@dataclass(frozen=True, slots=True)
class Pace:
    """How many calls are begun in a second at the most, by which clock, and how to wait."""

    per_second: float = 80.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class Session:
    """One login at one manager.

    Parameters
    ----------
    login
        Logs in and returns the headers of every later call; cookies are kept by ``http``.
    logout
        The call that ends it, if any.
    """

    def __init__(
        self,
        http: Http,
        login: Callable[[Http], Awaitable[Mapping[str, str]]],
        *,
        logout: Request | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.http = http
        self._login, self._logout = login, logout
        self._pace = pace or Pace()
        self._next = 0.0
        self._made = 0
        """How many logins there have been; whoever saw an older one fail does not make yet another."""
        self._lock = asyncio.Lock()

    @property
    def whose(self) -> str:
        """What people call the manager."""
        return self.http.options.whose

    async def call(self, request: Request, accept: tuple[int, ...] = ()) -> Answer:
        """Call, and return a 2xx answer or one of ``accept``.

        Raises
        ------
        Refused
            When it answers anything else.
        HostUnreachable
            When it does not answer, or is busy after every try.
        """
        known = await self._session(0)
        answer = await self._paced(request)
        if answer.status == 401:
            await self._session(known)
            answer = await self._paced(request)
        if not answer.fine and answer.status not in accept:
            raise refusal(self.whose, request, answer)
        return answer

    async def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """Return the JSON at a path."""
        return (await self.call(Request("GET", path, query=query))).json()

    async def close(self) -> None:
        """Log out, as far as that can be done, and close the connections."""
        made, self._made = self._made, 0
        try:
            if made and self._logout is not None:
                await self.http.call(self._logout)
        except FleetError:
            pass  # the manager ends an idle session itself
        finally:
            await self.http.close()

    async def _session(self, failed: int) -> int:
        """Return the number of a login that is not ``failed``; make one where there is none."""
        async with self._lock:
            if self._made == failed:
                self.http.headers.clear()
                self.http.headers.update(await self._login(self.http))
                self._made += 1
            return self._made

    async def _paced(self, request: Request) -> Answer:
        now = self._pace.now()
        slot = max(now, self._next)
        self._next = slot + 1 / self._pace.per_second
        if slot > now:
            await self._pace.sleep(slot - now)
        return await self.http.call(request)


def refusal(whose: str, request: Request, answer: Answer) -> Refused:
    """Return what is raised for an answer that is none of the wanted ones."""
    if answer.status == 401:
        hint = "look at the user, and at the variable or file that holds its password"
        return Refused(f"{whose} refuses the login", answer.status, hint=hint)
    words = _words(answer.body)
    hint = "has the user the right to do this?" if answer.status == 403 else ""
    return Refused(f"{whose} answers {answer.status} to {request}{words and f': {words}'}", answer.status, hint=hint)


def _words(body: bytes) -> str:
    """Return the sentence of a refusal: what NSX (``error_message``) and Avi (``error``, ``detail``) call it."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    said = ""
    if isinstance(value, dict):
        keys = ("error_message", "error", "detail", "message")
        said = next((value[key] for key in keys if isinstance(value.get(key), str)), "")
    return " ".join(said.split())[:_WORDS_MAX]
