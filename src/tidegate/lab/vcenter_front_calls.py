"""The SOAP calls of the lab's vCenter: whose session, what is answered here, and what the simulator answers."""

from __future__ import annotations

from tidegate.lab.vcenter_front_http import Answer, Call, Upstream
from tidegate.lab.vcenter_front_sessions import Session, Sessions
from tidegate.lab.vcenter_front_soap import cookie_of, operation, set_cookie, text_of
from tidegate.lab.vcenter_front_spec import Counters, Spec

__all__ = ["Calls"]

_LOGINS = frozenset(("Login", "LoginByToken", "LoginBySSPI", "LoginExtensionByCertificate"))


class Calls:
    """Answers them."""

    def __init__(self, spec: Spec, upstream: Upstream, counters: Counters) -> None:
        self.sessions = Sessions(spec.sessions_max, spec.session_idle_s)
        self._upstream, self._counters = upstream, counters

    async def answer(self, call: Call, now: float) -> Answer:
        """Answer one."""
        name = operation(call.body)
        self._counters.by_operation[name or "?"] += 1
        session = self.sessions.find(cookie_of(call.headers.get("cookie", "")), now)
        if name in _LOGINS:
            return await self._login(call, session, now)
        answer = await self._pass(call, session)
        if name == "Logout" and session is not None and answer.status == 200:
            self.sessions.end(session)
        return answer

    async def _pass(self, call: Call, session: Session | None) -> Answer:
        """Let the simulator answer, as the session that it knows."""
        call.headers.pop("cookie", None)
        if session is not None:
            call.headers["cookie"] = f"vmware_soap_session={session.key}"
        return await self._upstream.ask(call)

    async def _login(self, call: Call, session: Session | None, now: float) -> Answer:
        if self.sessions.full:
            self._counters.refused["sessions"] += 1
            return Answer(503)
        answer = await self._pass(call, session)
        key = cookie_of(answer.header("set-cookie"))
        answer.headers = [(name, value) for name, value in answer.headers if name.lower() != "set-cookie"]
        if key and answer.status == 200:
            self._counters.logins += 1
            made = self.sessions.open(key, text_of(answer.body, "userName"), call.body, now)
            answer.headers.append(set_cookie(made.cookie))
        return answer
