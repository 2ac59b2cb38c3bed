"""Carry out what acting has decided: tell a gate through its admin socket, or write a proposal down.

A gate has no word "recovering" of its own. It takes its servers for begun anew when an announced restart ends: clients
then log in by batches, and no session is given up. So *recovering* is ``maintenance`` on and at once off again.

A gate that is in maintenance already was brought there by somebody else, who would be surprised: it is left alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tidegate.harmless import harmless
from tidegate.watch.live.acts import Order, Told
from tidegate.watch.live.proposals import write_proposal

__all__ = ["carry_out", "tell_gate"]

_TIMEOUT_S = 5.0
_SHOWN = 200
"""Characters of a gate's refusal that are kept."""


async def carry_out(order: Order, proposals: Path, admin: str = "") -> tuple[Told, str]:
    """Carry out any order; return what became of it, and that in words.

    Parameters
    ----------
    proposals
        The folder for fleet runs.
    admin
        The watch's own admin socket, for whoever is to talk to it; left out: where its commands go by themselves.
    """
    if order.what != "write":
        return await tell_gate(order)
    try:
        page = await asyncio.to_thread(write_proposal, order.matter, proposals, admin)
    except OSError as error:
        return "refused", f"the proposal {order.matter.id} cannot be written to {proposals}: {error.strerror or error}"
    return "done", f"{page} says what is proposed"


async def tell_gate(order: Order) -> tuple[Told, str]:
    """Carry out an order that is for a gate; return what became of it, and that in words. Never raises for a gate.

    ``refused`` means that nothing was changed there, ``unsure`` that it may have been.
    """
    act = order.matter.act
    transport = httpx.AsyncHTTPTransport(uds=act.gate)
    async with httpx.AsyncClient(transport=transport, base_url="http://gate", timeout=_TIMEOUT_S) as gate:
        talk = _Talk(gate, act.service)
        if order.what == "maintenance_off":
            return await talk.end("the gate has heard that maintenance is over")
        refusal = await talk.refusal()
        if refusal:
            return "refused", refusal
        outcome, says = await talk.switch(on=True)
        if outcome != "done" or order.what == "maintenance_on":
            return outcome, says or "the gate is in maintenance"
        return await talk.end("the gate takes its servers for begun anew")


class _Talk:
    """A talk with the gate about one of its services, or all where ``service`` is empty."""

    def __init__(self, gate: httpx.AsyncClient, service: str) -> None:
        self._gate = gate
        self._service = service

    async def refusal(self) -> str:
        """Return why the gate is not to be told anything; "" when it may be."""
        try:
            answer = await self._gate.get("/status")
            services: list[dict[str, Any]] = answer.json()["services"]
            switches = {one["name"]: bool(one["switches"]["maintenance"]) for one in services}
        except httpx.HTTPError as error:
            return f"no gate answers: {_words(error)}"
        except (ValueError, KeyError, TypeError):
            return "what answers there is not a gate"
        if self._service and self._service not in switches:
            return f'the gate has no service "{self._service}": it has {", ".join(switches)}'
        busy = [name for name, on in switches.items() if on and self._service in {"", name}]
        return f"somebody has {', '.join(busy)} in maintenance already" if busy else ""

    async def switch(self, *, on: bool) -> tuple[Told, str]:
        """Announce a restart, or its end."""
        body = {"service": self._service or None, "on": on}
        try:
            answer = await self._gate.post("/maintenance", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return "refused", f"no gate answers: {_words(error)}"
        except httpx.HTTPError as error:
            return "unsure", f"the gate has not answered: {_words(error)}"
        if answer.status_code >= 500:
            return "unsure", f"the gate answered {answer.status_code}"
        return ("refused", _cut(answer.text)) if answer.is_error else ("done", "")

    async def end(self, says: str) -> tuple[Told, str]:
        """Say that maintenance is over: ``unsure`` until the gate has heard. A service that is gone has none."""
        outcome, why = await self.switch(on=False)
        if outcome == "done":
            return "done", says
        gone = outcome == "refused" and not why.startswith("no gate")
        return ("done", f"nothing is left to be ended: {why}") if gone else ("unsure", why)


def _words(error: httpx.HTTPError) -> str:
    return _cut(str(error)) or type(error).__name__


def _cut(text: str) -> str:
    return harmless(text.strip())[:_SHOWN]
