"""Commands that talk to a running gate: ``gate status`` and ``explain``, the switches, ``drain`` and ``reload``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import Parameter
from rich.console import RenderableType

from tidegate.cli.printer import Follow, Output, Printer
from tidegate.cli.status_text import explain_text, status_text
from tidegate.errors import ConfigError, Exit, GateError, Problem
from tidegate.gate.admin import ADMIN_DEFAULT, AdminClient
from tidegate.gate.handover import ask_restart

__all__ = ["bypass", "drain", "explain", "keep_looking", "maintenance", "reload", "restart", "status"]

Admin = Annotated[Path, Parameter(name="--admin", env_var="TIDEGATE_ADMIN", help="The gate's admin socket.")]
Service = Annotated[str | None, Parameter(name="--service", help="Only this service; all when left out.")]
Switch = Literal["on", "off"]

_WATCH_S = 1.0
"""Seconds between two looks with ``--watch``."""


def status(
    *,
    watch: Annotated[bool, Parameter(negative="", help="Look again every second until interrupted.")] = False,
    admin: Admin = ADMIN_DEFAULT,
    output: Follow = "text",
) -> int:
    """Show every service and server: connections, requests, held, turned away by reason, phase, time until all are in.

    The first columns are what a load balancer's own counters are called: open_conns, open_requests,
    connections_dropped. Before a vCenter also its sessions and the work in it. Exit code 1 when a
    server is down, everything passes ungated (bypass), or a vCenter's hosts refuse old tokens (KB 440879).

    Examples
    --------
    ``tidegate gate status --watch``
    """
    client = AdminClient(admin)
    if watch:
        keep_looking(output, client.status, status_text)
    printer, answer = Printer(output), client.status()
    printer.data(answer)
    printer.text(status_text(answer))
    return _verdict(answer)


def keep_looking(
    output: Literal["text", "json", "jsonl"],
    ask: Callable[[], dict[str, Any]],
    shown: Callable[[dict[str, Any]], RenderableType],
) -> NoReturn:
    """Show what ``ask`` returns every second until interrupted: in place on a terminal, else one after the other."""
    printer, answer = Printer("jsonl" if output == "json" else output), ask()
    if printer.is_text and printer.console.is_terminal:
        from rich.live import Live

        with Live(shown(answer), console=printer.console, auto_refresh=False) as live:
            while True:
                time.sleep(_WATCH_S)
                live.update(shown(ask()), refresh=True)
    while True:
        printer.data(answer)
        printer.text(shown(answer))
        time.sleep(_WATCH_S)
        answer = ask()


def _verdict(answer: dict[str, Any]) -> int:
    services = answer["services"]
    down = any(server["phase"] == "down" for service in services for server in service["servers"])
    open_wide = any(service["switches"]["bypass"] for service in services)
    alert = any(service.get("stale_gateway_alert") for service in services)
    return Exit.BAD if down or open_wide or alert else Exit.FINE


def explain(
    *,
    client: Annotated[
        str | None, Parameter(help="Only this client: an address, a certificate's subject, or a user of a vCenter.")
    ] = None,
    service: Service = None,
    call: Annotated[int | None, Parameter(help="Only the call with this number.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, 1 to 2048.")] = 50,
    admin: Admin = ADMIN_DEFAULT,
    output: Follow = "text",
) -> int:
    """Say why calls wait; why others were admitted or turned away, newest first; and why limits are what they are.

    Examples
    --------
    ``tidegate gate explain --client 10.20.0.17 --limit 5``
    """
    printer = Printer(output)
    answer = AdminClient(admin).explain(client=client, service=service, call=call, limit=max(1, min(limit, 2048)))
    if output == "jsonl":
        for entry in answer["calls"]:
            printer.data(entry)
    else:
        printer.data(answer)
    printer.text(explain_text(answer))
    return Exit.FINE


def maintenance(
    state: Switch, /, *, service: Service = None, admin: Admin = ADMIN_DEFAULT, output: Output = "text"
) -> int:
    """Announce a planned restart of the servers, or end it.

    While it is on, calls are held instead of being sent to a server that is about to go; those that cannot wait are
    turned away. Turn it off when the server is back, and everybody is let in in order.

    Parameters
    ----------
    state
        ``on`` or ``off``.
    """
    return _switch("maintenance", state, service, admin, output)


def bypass(state: Switch, /, *, service: Service = None, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Let everything pass ungated, or end that: the switch for when the gate itself is in the way.

    While it is on nothing protects the servers: ``status`` says so and ends with exit code 1.

    Parameters
    ----------
    state
        ``on`` or ``off``.
    """
    return _switch("bypass", state, service, admin, output)


def _switch(name: str, state: Switch, service: str | None, admin: Path, output: Literal["text", "json"]) -> int:
    printer = Printer(output)
    AdminClient(admin).switch(name, on=state == "on", service=service)
    printer.data({"format": 1, "switch": name, "on": state == "on", "service": service})
    printer.text(f"{name} is {state} for {service or 'every service'}")
    if name == "bypass" and state == "on":
        printer.words("warning: nothing protects the servers now; turn it off with `tidegate gate bypass off`")
    return Exit.FINE


def drain(*, service: Service = None, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Let services take nothing new: held calls are turned away, calls in flight may end. The process keeps running."""
    printer = Printer(output)
    answer = AdminClient(admin).drain(service)
    printer.data({"format": 1, **answer})
    printer.text(f"{service or 'every service'} is draining; `tidegate gate status` shows what is still in flight")
    return Exit.FINE


def reload(*, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Let the gate read its file again, and say what became of held calls. A file with a mistake changes nothing."""
    printer = Printer(output)
    answer = AdminClient(admin).reload()
    if answer.get("kind") == "refused":
        if problems := answer.get("problems"):
            raise ConfigError(
                [Problem(Path(p["file"]), p["line"], p["key"], p["message"], p["hint"]) for p in problems]
            )
        raise GateError(str(answer.get("message")), hint=str(answer.get("hint", "")))
    printer.data(answer)
    printer.text("reloaded")
    for service in answer["report"]["services"]:
        printer.text(
            f"  {service['name']}: {service['change']}; {service['held_before']} calls were held, "
            f"{service['held_after']} still are, {service['admitted']} were admitted, "
            f"{service['turned_away']} turned away"
        )
    return Exit.FINE


def restart(*, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Let the gate start its successor (a new version, say), and hand over to it: no connection is refused.

    The successor gets the listening sockets, what was learned, and the sessions. The old process serves the clients it
    has, closes each with its next answer, and ends. A successor that does not come to serve changes nothing.
    """
    printer = Printer(output)
    answer = ask_restart(admin)
    printer.data(answer)
    printer.text(f"restarted: process {answer['pid']} serves; the old one has {answer['clients']} clients still")
    return Exit.FINE
