"""JSON-RPC at ``POST /api`` of the lab's vCenter: how the VCF SDK logs in, and one service that it can ask."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.lab.vcenter_front_http import Answer, Call, json_answer

__all__ = ["said", "translated"]

_USER = "com.vmware.vapi.std.security.user_pass"
_ERRORS = "com.vmware.vapi.std.errors"
_SESSION = "/rest/com/vmware/cis/session"
_INFO = "com.vmware.cis.session.info"
_INFO_FIELDS = ("user", "created_time", "last_accessed_time")
_CALLS = {
    ("com.vmware.cis.session", "create"): ("POST", _SESSION),
    ("com.vmware.cis.session", "get"): ("POST", f"{_SESSION}?~action=get"),
    ("com.vmware.cis.session", "delete"): ("DELETE", _SESSION),
    ("com.vmware.cis.tagging.category", "list"): ("GET", "/rest/com/vmware/cis/tagging/category"),
}


def translated(body: bytes, basic: Callable[[str, str], str]) -> tuple[Call | None, Any]:
    """Return the call of REST that a call of JSON-RPC means (``None``: it is not known here), and its number.

    ``basic`` makes the header of a user and a password. Raises :class:`ValueError` for what is no JSON-RPC.
    """
    try:
        asked = json.loads(body)
        what = asked["params"]
        method, target = _CALLS.get((what["serviceId"], what["operationId"]), ("", ""))
        context = what["ctx"].get("securityCtx") or {}
    except (TypeError, KeyError, AttributeError):
        raise ValueError("no JSON-RPC") from None
    if not method:
        return None, asked.get("id")
    headers = {"host": "vcsim", "vmware-api-session-id": str(context.get("sessionId", ""))}
    if context.get("schemeId") == _USER:
        headers["authorization"] = basic(str(context.get("userName")), str(context.get("password")))
    return Call(method, target, headers), asked.get("id")


async def said(call: Call | None, number: Any, ask: Callable[[Call], Awaitable[Answer]]) -> Answer:
    """Ask by REST and return the answer in JSON-RPC."""
    answer = await ask(call) if call else Answer(404)
    value = json.loads(answer.body or b"null")
    value = value.get("value") if isinstance(value, dict) else value
    result: dict[str, Any] = {"output": value}
    if isinstance(value, dict):
        result = {"output": {"STRUCTURE": {_INFO: {name: value.get(name) for name in _INFO_FIELDS}}}}
    elif call and call.target == _SESSION and call.method == "POST":
        result = {"output": {"SECRET": value}}
    elif call and call.method == "GET":
        result = {"output": value or []}
    if answer.status >= 400:
        kinds = {401: "unauthenticated", 404: "operation_not_found", 503: "service_unavailable"}
        kind = f"{_ERRORS}.{kinds.get(answer.status, 'internal_server_error')}"
        result = {"error": {"ERROR": {kind: {"messages": [], "data": {"OPTIONAL": None}}}}}
    return json_answer({"jsonrpc": "2.0", "id": number, "result": result})
