"""Property collectors of the lab's vCenter: waits that one call cancels, and pages that the next result ends.

The simulator's default collector hears of changes only for the session that used it last, and a cancelled wait is one
of that collector only; a real vCenter does neither (vsphere.md §2.5).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from tidegate.lab.vcenter_front_http import Answer, Call, xml_answer
from tidegate.lab.vcenter_front_sessions import Session, Wait
from tidegate.lab.vcenter_front_simulator import Simulator
from tidegate.lab.vcenter_front_soap import Ref, fault, request, returned, text_of, void, with_this

__all__ = ["COLLECTING", "Collectors"]

COLLECTING = frozenset(
    (
        "CancelRetrievePropertiesEx",
        "CancelWaitForUpdates",
        "CheckForUpdates",
        "ContinueRetrievePropertiesEx",
        "CreateFilter",
        "RetrievePropertiesEx",
        "WaitForUpdates",
        "WaitForUpdatesEx",
    )
)
"""Operations that are answered here."""

_DEFAULT = ("PropertyCollector", "propertyCollector")
_TOKEN = re.compile(rb"<returnval[^>]*>\s*<token>([^<]+)</token>")
_AT_ONCE = "<options><maxWaitSeconds>0</maxWaitSeconds></options>"
_LOOK_S = 0.5
"""How often it is looked whether a client that waits is still there."""
_AGAIN_S = 0.02
"""A cancellation that comes before its wait is said again."""


class Collectors:
    """Answers their calls."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def answer(self, call: Call, name: str, ref: Ref, session: Session, left: Callable[[], bool]) -> Answer:
        """Answer one of ``COLLECTING``."""
        if name in ("RetrievePropertiesEx", "ContinueRetrievePropertiesEx", "CancelRetrievePropertiesEx"):
            return await self._retrieve(call, name, ref, session)
        if name == "CancelWaitForUpdates":
            await self.cancel(session)
            return xml_answer(void(name))
        if ref == _DEFAULT:
            ref = "PropertyCollector", await self._own(session)
            call.body = with_this(call.body, ref[1])
        if name == "CreateFilter":
            return await self._simulator.ask(call, session.key)
        if name == "CheckForUpdates":
            version = f"<version>{text_of(call.body, 'version')}</version>"
            call.body = request(
                "WaitForUpdatesEx", ref, f"{version}<options><maxWaitSeconds>0</maxWaitSeconds></options>"
            )
            answer = await self._wait(call, ref, session, left)
            answer.body = answer.body.replace(b"WaitForUpdatesExResponse", b"CheckForUpdatesResponse")
            return answer
        return await self._wait(call, ref, session, left)

    async def cancel(self, session: Session) -> None:
        """Cancel everything that the session waits for now."""
        session.cancelled += 1
        now = session.cancelled
        while old := {wait.collector for wait in session.waits if wait.after < now}:
            for collector in old:
                await self._cancel(session, collector)
            await asyncio.sleep(_AGAIN_S)

    async def _cancel(self, session: Session, collector: str) -> None:
        await self._simulator.call(session.key, "CancelWaitForUpdates", ("PropertyCollector", collector))

    async def _own(self, session: Session) -> str:
        async with session.locks[""]:
            if not session.collector:
                made = await self._simulator.call(session.key, "CreatePropertyCollector", _DEFAULT)
                session.collector = returned(made.body)[1]
        return session.collector

    async def _wait(self, call: Call, ref: Ref, session: Session, left: Callable[[], bool]) -> Answer:
        wait = Wait(ref[1], session.cancelled)
        session.waits.add(wait)
        try:
            async with session.locks[ref[1]]:
                if session.cancelled > wait.after:
                    return xml_answer(fault("RequestCanceled", "The task was canceled by a user."), 500)
                async with asyncio.TaskGroup() as group:
                    asked = group.create_task(self._simulator.ask(call, session.key))
                    while not (await asyncio.wait({asked}, timeout=_LOOK_S))[0]:
                        if left():
                            await self._cancel(session, ref[1])
                return asked.result()
        finally:
            session.waits.discard(wait)

    async def _retrieve(self, call: Call, name: str, ref: Ref, session: Session) -> Answer:
        if name != "RetrievePropertiesEx":
            if session.pages.get(ref[1]) != text_of(call.body, "token"):
                words = "A specified parameter was not correct: token"
                inside = "<invalidProperty>token</invalidProperty>"
                return xml_answer(fault("InvalidArgument", words, inside), 500)
            if name == "CancelRetrievePropertiesEx":
                del session.pages[ref[1]]
                return xml_answer(void(name))
        answer = await self._simulator.ask(call, session.key)
        if answer.status == 200:
            found = _TOKEN.search(answer.body, 0, 4096)
            session.pages.pop(ref[1], None)
            if found:
                session.pages[ref[1]] = found[1].decode()
        return answer
