"""The SOAP calls of the lab's vCenter: whose session, what is answered here, and what the simulator answers."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
import uuid
from collections.abc import Callable
from xml.sax.saxutils import escape

from tidegate.lab.vcenter_front_collectors import COLLECTING, Collectors
from tidegate.lab.vcenter_front_hosts import Hosts
from tidegate.lab.vcenter_front_http import Answer, Call, xml_answer
from tidegate.lab.vcenter_front_sessions import Session, Sessions
from tidegate.lab.vcenter_front_simulator import SESSION_MANAGER, Simulator
from tidegate.lab.vcenter_front_soap import (
    Ref,
    cookie_of,
    fault,
    header_cookie,
    not_authenticated,
    operation,
    returned,
    set_cookie,
    text_of,
    texts_of,
    this,
    void,
)
from tidegate.lab.vcenter_front_spec import Counters, Spec
from tidegate.lab.vcenter_front_work import Work

__all__ = ["Calls"]

_LOGINS = frozenset(("Login", "LoginByToken", "LoginBySSPI", "LoginExtensionByCertificate"))
_ANONYMOUS = frozenset(("RetrieveServiceContent", "RetrieveInternalContent", "PbmRetrieveServiceContent"))
_READS = frozenset(("RetrieveProperties", "RetrievePropertiesEx"))
_WAITS = frozenset(("WaitForUpdates", "WaitForUpdatesEx"))
_HISTORIES = frozenset(("CreateCollectorForEvents", "CreateCollectorForTasks"))
_OPEN = ("/sts/", "/lookupservice/")
"""Paths of services that have no session of vCenter."""


class Calls:
    """Answers them."""

    def __init__(self, spec: Spec, counters: Counters, simulator: Simulator, hosts: Hosts, work: Work) -> None:
        self.sessions = Sessions(spec.session_idle_s)
        self._spec, self._counters, self._simulator, self._hosts, self._work = spec, counters, simulator, hosts, work
        self._collectors = Collectors(simulator)
        self._making = 0

    async def answer(self, call: Call, left: Callable[[], bool]) -> Answer:
        """Answer one; ``left`` says whether its client is gone."""
        name, ref = operation(call.body), this(call.body)
        self._counters.by_operation[name or "?"] += 1
        if call.target.startswith(_OPEN):
            return await self._simulator.ask(call)
        session = self._session(call)
        async with self._work.room():
            if name not in _WAITS:
                await self._work.do(self._work.units(session.user if session else "", name))
            if name in _LOGINS:
                return await self._login(call, session)
            if name == "CloneSession":
                return await self._clone(call)
            if session is None:
                return await self._stranger(call, name, ref)
            return await self._of_session(call, name, ref, session, left)

    async def end(self, session: Session) -> None:
        """End a session as vCenter does: its waits, its leases, and all that it holds."""
        if self.sessions.end(session):
            with contextlib.suppress(OSError, ValueError):
                await self._release(session)
                await self._simulator.call(session.key, "Logout", SESSION_MANAGER)

    def _session(self, call: Call) -> Session | None:
        span = header_cookie(call.body)
        cookie = call.body[slice(*span)].decode("latin-1") if span else cookie_of(call.headers.get("cookie", ""))
        session = self.sessions.find(cookie, time.monotonic())
        if span:
            key = session.key if session else ""
            call.body = call.body[: span[0]] + key.encode() + call.body[span[1] :]
        return session

    async def _login(self, call: Call, session: Session | None) -> Answer:
        answer, made = await self._open(call, session)
        self._counters.logins += made
        return answer

    async def _clone(self, call: Call) -> Answer:
        """Make a clone: a session of its own at the simulator, whose own clones would share all their objects."""
        ticket = text_of(call.body, "cloneTicket")
        parent = self.sessions.by_ticket(ticket)
        if parent is None:
            return xml_answer(fault("InvalidLogin", "Cannot complete login due to an incorrect ticket."), 500)
        parent.tickets.discard(ticket)
        call.body = parent.login
        answer, made = await self._open(call, None)
        self._counters.clones += made
        answer.body = re.sub(rb"\bLogin\w*Response\b", b"CloneSessionResponse", answer.body)
        return answer

    async def _open(self, call: Call, session: Session | None) -> tuple[Answer, bool]:
        """Let the simulator log somebody in; return its answer, and whether a session came of it."""
        if len(self.sessions) + self._making >= self._spec.sessions_max:
            self._counters.refused["sessions"] += 1
            return Answer(503), False
        self._making += 1
        try:
            answer = await self._simulator.ask(call, session.key if session else "")
        finally:
            self._making -= 1
        key = cookie_of(answer.header("set-cookie"))
        made = answer.status == 200 and bool(key)
        # A failed login gets a cookie too, of a session that is nobody's.
        cookie = secrets.token_hex(20)
        if made:
            cookie = self.sessions.open(key, text_of(answer.body, "userName"), call.body, time.monotonic()).cookie
        answer.headers = [(name, value) for name, value in answer.headers if name.lower() != "set-cookie"]
        answer.headers.append(set_cookie(cookie))
        return answer, made

    async def _stranger(self, call: Call, name: str, ref: Ref) -> Answer:
        """Answer a call without a live session."""
        asks_who = b"currentSession" in call.body and b"SessionManager" in call.body
        if name == "Fetch" and (asks_who or (ref[0] == "ServiceInstance" and b">content<" in call.body)):
            return xml_answer(void(name)) if asks_who else await self._simulator.ask(call)
        if name in _READS:
            if asks_who:
                return xml_answer(_nobody(name))
            answer = await self._simulator.ask(call)
            self._counters.not_authenticated["2"] += b"<missingSet>" in answer.body
            return answer
        if name in _ANONYMOUS:
            return await self._simulator.ask(call)
        self._counters.not_authenticated["1"] += 1
        return xml_answer(not_authenticated(ref), 500)

    async def _of_session(self, call: Call, name: str, ref: Ref, session: Session, left: Callable[[], bool]) -> Answer:
        answer = await self._here(call, name, session)
        if answer is None and name in COLLECTING:
            answer = await self._collectors.answer(call, name, ref, session, left)
        if answer is None:
            answer = await self._hosts.answer(call, name, ref, session)
        if answer is None:
            answer = await self._simulator.ask(call, session.key)
        if answer.status == 200:
            await self._after(call, name, ref, session, answer)
        return answer

    async def _here(self, call: Call, name: str, session: Session) -> Answer | None:
        """Answer what the simulator lacks, or refuse what it would allow."""
        if name == "AcquireCloneTicket":
            ticket = f"cst-VCT-{uuid.uuid4()}--tp-{secrets.token_hex(20)}"
            session.tickets.add(ticket)
            return xml_answer(void(name, f"<returnval>{ticket}</returnval>"))
        if name == "SetLocale":
            session.shown["locale"] = text_of(call.body, "locale")
            return xml_answer(void(name))
        if name == "ImpersonateUser":
            session.user = session.shown["userName"] = session.shown["fullName"] = text_of(call.body, "userName")
            return await self._impersonated(session)
        if name in _HISTORIES and len(session.histories) >= self._spec.collectors_max:
            words = "The operation is not allowed in the current state."
            return xml_answer(fault("InvalidState", words), 500)
        if name == "Logout":
            self.sessions.end(session)
            await self._release(session)
        return None

    async def _impersonated(self, session: Session) -> Answer:
        asked = "<prop>currentSession</prop>"
        answer = await self._simulator.call(session.key, "Fetch", SESSION_MANAGER, asked)
        found = re.search(rb"<returnval[^>]*>(.*)</returnval>", answer.body, re.DOTALL)
        inside = found[1].decode() if found else ""
        return xml_answer(_shown(void("ImpersonateUser", f"<returnval>{inside}</returnval>"), session))

    async def _after(self, call: Call, name: str, ref: Ref, session: Session, answer: Answer) -> None:
        if name in _HISTORIES:
            session.histories.add(returned(answer.body)[1])
        elif name == "DestroyCollector":
            session.histories.discard(ref[1])
        elif name == "TerminateSession":
            for key in texts_of(call.body, "sessionId"):
                if other := self.sessions.by_key(key):
                    await self.end(other)
        elif session.shown and b"currentSession" in call.body:
            answer.body = _shown(answer.body, session)

    async def _release(self, session: Session) -> None:
        session.tickets.clear()
        await self._collectors.cancel(session)
        await self._hosts.ended(session)


def _nobody(name: str) -> bytes:
    """Return the answer to who asks for its session and has none: a SessionManager without it."""
    kind, id_ = SESSION_MANAGER
    seen = f'<obj type="{kind}">{id_}</obj>'
    one = seen if name == "RetrieveProperties" else f"<objects>{seen}</objects>"
    return void(name, f"<returnval>{one}</returnval>")


def _shown(body: bytes, session: Session) -> bytes:
    for element, text in session.shown.items():
        new = f"<{element}>{escape(text)}</{element}>".encode()
        body = re.sub(rb"<%s>[^<]*</%s>" % (element.encode(), element.encode()), new.replace(b"\\", rb"\\"), body)
    return body
