"""REST of the lab's vCenter: sessions of ``/api`` and ``/rest``, with their caps (vsphere.md §2.3)."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass

from tidegate.lab.vcenter_front_http import Answer, Call, json_answer
from tidegate.lab.vcenter_front_rpc import said, translated
from tidegate.lab.vcenter_front_simulator import Simulator
from tidegate.lab.vcenter_front_spec import Counters, Spec

__all__ = ["Rest"]

_PATHS = ("/api/session", "/rest/com/vmware/cis/session")
_FULL = "com.vmware.vapi.endpoint.failedToLoginMaxUserSessionCountReached"
_HEADER = "vmware-api-session-id"


@dataclass(slots=True)
class _Session:
    user: str
    used: float


class Rest:
    """Answers what is not SOAP."""

    def __init__(self, spec: Spec, counters: Counters, simulator: Simulator) -> None:
        self._spec, self._counters, self._simulator = spec, counters, simulator
        self._sessions: dict[str, _Session] = {}
        self._making = 0

    def __len__(self) -> int:
        return len(self._sessions)

    async def answer(self, call: Call) -> Answer:
        """Answer one."""
        if call.path == "/api" and call.method == "POST":
            return await said(*translated(call.body, _basic), self.answer)
        id_ = call.headers.get(_HEADER, "")
        session = self._sessions.get(id_)
        if session is not None:
            now = time.monotonic()
            if now - session.used > self._spec.session_idle_s:
                await self._end(id_)
                return Answer(401)
            session.used = now
        if call.path in _PATHS:
            if call.method == "POST" and "action=" not in call.target:
                return await self._create(call)
            if call.method == "DELETE":
                self._sessions.pop(id_, None)
        return await self._simulator.ask(call)

    async def kill(self, user: str | None) -> int:
        """End the sessions of a user, or all; return how many."""
        gone = [id_ for id_, one in self._sessions.items() if user is None or one.user == user]
        for id_ in gone:
            await self._end(id_)
        return len(gone)

    async def _create(self, call: Call) -> Answer:
        user = _user(call.headers.get("authorization", ""))
        own = sum(one.user == user for one in self._sessions.values())
        if self._making >= self._spec.rest_creating_max or own >= self._spec.rest_per_user_max:
            self._counters.refused["rest_sessions"] += 1
            return _full(call.path, user, own, self._spec.rest_per_user_max)
        self._making += 1
        try:
            answer = await self._simulator.ask(call)
        finally:
            self._making -= 1
        if answer.status in (200, 201):
            told = json.loads(answer.body)
            self._sessions[told["value"] if isinstance(told, dict) else told] = _Session(user, time.monotonic())
        return answer

    async def _end(self, id_: str) -> None:
        self._sessions.pop(id_, None)
        await self._simulator.ask(Call("DELETE", _PATHS[1], {"host": "vcsim", _HEADER: id_}))


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _user(authorization: str) -> str:
    try:
        return base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")[0]
    except ValueError:
        return ""


def _full(path: str, user: str, own: int, most: int) -> Answer:
    words = f"User session count is limited to {most}. Existing session count is {own} for user {user}."
    messages = [{"id": _FULL, "default_message": words, "args": [str(most), str(own), user]}]
    if path == _PATHS[0]:
        body: object = {"error_type": "SERVICE_UNAVAILABLE", "messages": messages}
    else:
        body = {"type": "com.vmware.vapi.std.errors.service_unavailable", "value": {"messages": messages}}
    return json_answer(body, 503)
