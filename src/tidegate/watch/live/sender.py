"""Sends what waits in the outbox: one line to each receiver, at its own pace (``outbox.Pace``); at least once.

A notice leaves the outbox when its receiver has answered 2xx. A crash between the two makes it come again, with the
same key. Where the store cannot note what was taken, the line sends nothing more until that is noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from tidegate.clients.http import retry_after
from tidegate.clients.tls import Trust
from tidegate.harmless import harmless
from tidegate.watch.live.model import Episode, Json
from tidegate.watch.live.outbox import WAIT_MAX, Pace
from tidegate.watch.live.receiver import Post, Receiver
from tidegate.watch.live.store import Row, Store, StoreLost
from tidegate.watch.rule import RuleSet

__all__ = ["Line", "Sender"]

_SECOND = 1_000_000_000
_ANSWER_MAX = 4096
"""Of an answer as much is read, in bytes; the rest tells nothing, and its connection is given up."""
_SAID_MAX = 200
_STORE_AGAIN = _SECOND
_ASKED_MAX_S = 3600.0
"""More than a receiver is ever given (``outbox``): only so that any number fits."""


class Sender:
    """Sends to all receivers.

    Parameters
    ----------
    store
        Where notices wait.
    receivers
        Who is told; no two of one name.
    rules
        What they are told of the rules.
    open_now
        Returns the episodes that are open.
    clock
        Nanoseconds since 1970.

    Raises
    ------
    FleetError
        When the certificate authority of a receiver cannot be used.
    """

    def __init__(
        self,
        store: Store,
        receivers: Sequence[Receiver],
        rules: RuleSet,
        *,
        open_now: Callable[[], Sequence[Episode]] = tuple,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self.lines = [Line(store, receiver, rules, open_now, clock) for receiver in receivers]

    async def run(self) -> None:
        """Send for ever.

        Raises
        ------
        StoreRefused
            When the store has become another watch's.
        """
        async with asyncio.TaskGroup() as group:
            for line in self.lines:
                group.create_task(line.run())

    def wake(self) -> None:
        """Look into the outbox now: something was put there."""
        for line in self.lines:
            line.wake()

    def use(self, rules: RuleSet) -> None:
        """Tell of these rules from now on."""
        for line in self.lines:
            line.rules = rules

    def view(self) -> Json:
        """Return by receiver what waits, what was taken since the start, and what is wrong ("" when nothing is).

        ``waiting`` is ``None`` where the store does not answer.
        """
        try:
            waiting = self._store.view()["outbox"]
        except StoreLost:
            waiting = {}
        return {
            line.receiver.name: {
                **waiting.get(line.receiver.name, {"waiting": None, "oldest": None}),
                "sent": line.sent,
                "failures": line.pace.failures,
                "why": line.why,
            }
            for line in self.lines
        }


class Line:
    """The line to one receiver. :meth:`step` does the next thing; :meth:`run` only waits in between."""

    def __init__(
        self,
        store: Store,
        receiver: Receiver,
        rules: RuleSet,
        open_now: Callable[[], Sequence[Episode]],
        clock: Callable[[], int],
    ) -> None:
        self.receiver, self.rules = receiver, rules
        self.pace = Pace(receiver.at_once)
        self.sent = 0
        self._store, self._open_now, self._clock = store, open_now, clock
        self._woken = asyncio.Event()
        self._lost = ""
        self._taken: list[Row] = []
        """Taken by the receiver, and not yet noted in the store."""
        self._renew_at = 0
        self._renew: list[str] = []
        """Keys of episodes of which it is still to be told again in this round."""
        # No proxy from the environment, and no redirects: who is told is written down.
        self._client = httpx.AsyncClient(
            verify=Trust(ca=receiver.ca).context("", 0, receiver.timeout_s), trust_env=False, timeout=receiver.timeout_s
        )

    @property
    def why(self) -> str:
        """What is wrong, in words; "" when nothing is."""
        return self._lost or self.pace.why

    def wake(self) -> None:
        """Look into the outbox now."""
        self._woken.set()

    async def run(self) -> None:
        """Send for ever."""
        async with self._client:
            while True:
                self._woken.clear()
                at = await self.step()
                wait = None if at is None else min(max(0, at - self._clock()), WAIT_MAX) / _SECOND
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._woken.wait()

    async def step(self) -> int | None:
        """Send one request, if there is one to be sent; return when to come again (``None``: when woken)."""
        now = self._clock()
        if self.pace.rests(now):
            return self.pace.until
        try:
            at = await self._next(now)
        except StoreLost as error:
            self._lost = error.message
            return now + _STORE_AGAIN
        self._lost = ""
        return at

    async def _next(self, now: int) -> int | None:
        if self._taken:
            await self._note()
        rows = await asyncio.to_thread(self._store.due, self.receiver.name, now, self.pace.room)
        if rows:
            return await self._tell(rows, now)
        episodes = self._still_open(now)
        if episodes and (post := self.receiver.renewal(episodes, self.rules, now)) is not None:
            answer = await self._send(post, now, self.receiver.name)
            if not answer.why:
                self.receiver.took(episodes, now)
            return max(now, self.pace.until)
        due = await asyncio.to_thread(self._store.next_due, self.receiver.name)
        return min((at for at in (due, self._renew_at or None) if at is not None), default=None)

    async def _tell(self, rows: Sequence[Row], now: int) -> int:
        notices = [row.notice for row in rows]
        answer = await self._send(self.receiver.post(notices, self.rules, now), now, notices[0].key)
        if not answer.why:
            self._taken += rows
            self.sent += len(rows)
            self.receiver.took([notice.episode for notice in notices], now)
            await self._note()
            return now
        if len(rows) == 1:  # of several nobody knows which one it was
            await asyncio.to_thread(self._store.failed, rows[0], now)
        return self.pace.until

    async def _note(self) -> None:
        await asyncio.to_thread(self._store.sent, self._taken)
        self._taken = []

    def _still_open(self, now: int) -> list[Episode]:
        """Return the next of what is open that it has to be told of again; notices go first."""
        every = self.receiver.renew_every
        if every is None:
            return []
        begins = not now < self._renew_at <= now + every  # it may have been set back
        found = {episode.key: episode for episode in self._open_now()} if begins or self._renew else {}
        if begins:
            self._renew, self._renew_at = list(found), now + every
        left = [key for key in self._renew if key in found]
        self._renew = left[self.pace.room :]
        return [found[key] for key in left[: self.pace.room]]

    async def _send(self, post: Post, now: int, seed: str) -> _Answer:
        """Send a request and set the pace by how it went."""
        answer = await self._try(post, now)
        self.pace = self.pace.failed(answer.why, now, seed, answer.asked) if answer.why else self.pace.took()
        return answer

    async def _try(self, post: Post, now: int) -> _Answer:
        try:
            async with (
                asyncio.timeout(self.receiver.timeout_s),
                self._client.stream("POST", post.url, content=post.content, headers=post.headers) as answer,
            ):
                said = bytearray()
                async for piece in answer.aiter_raw():
                    said += piece
                    if len(said) > _ANSWER_MAX:
                        break
        except TimeoutError:
            return _Answer(f"no answer within {self.receiver.timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            words = harmless(str(error)) or type(error).__name__
            return _Answer(f"{_host(post)} does not answer: {words}"[:_SAID_MAX])
        if answer.is_success:
            return _Answer()
        asked = retry_after(answer.headers.get("retry-after"), now / _SECOND) or 0.0
        words = harmless(" ".join(said.decode(errors="replace").split()))
        why = f"it answers {answer.status_code}{': ' if words else ''}{words}"[:_SAID_MAX]
        return _Answer(why, int(min(asked, _ASKED_MAX_S) * _SECOND))


@dataclass(frozen=True, slots=True)
class _Answer:
    """Why a request was not taken ("": it was), and for how many nanoseconds the receiver wants to be left alone."""

    why: str = ""
    asked: int = 0


def _host(post: Post) -> str:
    """Return where it goes, without the path: that may be a secret."""
    return urlsplit(post.url).netloc.rpartition("@")[2]
