"""``gate status`` and ``gate explain`` for people."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tidegate.harmless import harmless

__all__ = ["STALE_GATEWAY", "explain_text", "span", "status_text"]

STALE_GATEWAY = (
    "ALERT: tokens of hosts were refused at least 11 times in 5 minutes (KB 440879). Work goes past the gate, or "
    "token_life is too long for this vCenter: find the client that goes past, lower tasks.token_life and reload; "
    "then docs/runbooks/sessions-run-out.md"
)
"""What is said while ``stale_gateway_alert`` is true."""

_PHASE_STYLE = {"up": "green", "down": "red", "suspect": "yellow", "degraded": "yellow", "recovering": "yellow"}


def status_text(status: dict[str, Any]) -> RenderableType:
    """Return the whole of ``/status`` as tables."""
    up = span(status.get("uptime_s"))
    head = f"tidegate {status.get('version', '?')}, up {up}, {'ready' if status.get('ready') else 'not ready'}"
    warnings = [Text(f"warning: {warning}", style="yellow") for warning in status.get("warnings", [])]
    services = (part for service in status["services"] for part in _service(service))
    return Group(Text(head), *warnings, *_held(status), *services)


def _service(service: dict[str, Any]) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(""), _title(service)]
    unread = "nothing is read" if service["protocol"] == "tcp" else "TLS passes through"
    estimated = f" (estimated: {unread})" if service.get("estimated") else ""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("server")
    table.add_column("phase")
    columns = ("open_conns", "open_requests", "connections_dropped", "in_flight", "limit", "orphans")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_row(f"service {service['name']}", "", *(_number(service.get(name)) for name in columns[:3]), "", "", "")
    for server in service["servers"]:
        phase = Text(server["phase"], style=_PHASE_STYLE.get(server["phase"], ""))
        table.add_row(f"  {server['name']}", phase, *(_number(server.get(name)) for name in columns))
    lines.append(table)
    lines += [Text(f"{server['name']}: {server['why']['text']}; {_idle(server)}") for server in service["servers"]]
    lines += [line for server in service["servers"] for line in _monitored(server)]
    if any(server["recovery"] for server in service["servers"]):
        lines.append(Text(_recovery(service), style="bold yellow"))
    lines.append(Text(_waiting(service) + estimated))
    lines += _vcenter(service)
    lines.append(Text(_fates(service)))
    if closed := ", ".join(f"{why} {count}" for why, count in service.get("connections_closed", {}).items() if count):
        lines.append(Text(f"connections closed: {closed}"))
    if service.get("hint"):
        lines.append(Text(service["hint"]["text"], style="yellow"))
    return lines


def _vcenter(service: dict[str, Any]) -> list[RenderableType]:
    """Return what is special about a vCenter: its sessions, the work in it, and the alert of KB 440879."""
    lines: list[RenderableType] = []
    if service.get("stale_gateway_alert"):
        lines.append(Text(STALE_GATEWAY, style="bold red"))
    if broker := service.get("broker"):
        held = broker["shared"] + broker["clones"] + broker["own"]
        kinds = _counts({kind: broker[kind] for kind in ("shared", "clones", "own")})
        text = f"sessions: {held} there{f' ({kinds})' if kinds else ''} for {broker['clients']} clients"
        lines.append(Text(f"{text}; logins {broker['logins']} there, {broker['answered_logins']} answered here"))
        if broker["waiting"]:
            lines.append(Text(f"  {broker['waiting']} calls wait for a session: `gate sessions` says whose", "yellow"))
        if refused := _counts(broker["refused"]):
            lines.append(Text(f"  refused: {refused}"))
    if tasks := service.get("tasks"):
        lines.append(Text(f"work: {tasks['text']}"))
        lines += [Text(f"  waits: {line}", style="yellow") for line in tasks["waits"]]
        if away := _counts(tasks["turned_away"]):
            lines.append(Text(f"  turned away: {away}"))
    if shapes := _counts(service.get("not_authenticated") or {}):
        lines.append(Text(f"not authenticated: {shapes}"))
    return lines


def _counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items() if number)


def _monitored(server: dict[str, Any]) -> list[RenderableType]:
    """Return what the server's monitor says, if it has one."""
    monitor = server.get("monitor")
    if not monitor:
        return []
    style = "" if monitor["phase"] == "up" and not monitor["blind"] else "yellow"
    return [Text(f"{server['name']}: {monitor['text']}, for {span(monitor['since_s'])}", style=style)]


def _held(answer: dict[str, Any]) -> list[RenderableType]:
    held = answer.get("monitors_held")
    return [Text(f"warning: {held}", style="bold yellow")] if held else []


def _idle(server: dict[str, Any]) -> str:
    """Return how long connections to the server may idle, and how that is known."""
    return f"keeps idle {span(server['idle_s'])}, {server['idle_source']}"


def _recovery(service: dict[str, Any]) -> str:
    """Return how far clients are that come back batch by batch."""
    batches = ", ".join(
        f"{server['name']} batch {server['recovery']['batch']}" for server in service["servers"] if server["recovery"]
    )
    connected, held = service["sessions"]["settled"], service["held_total"]
    return f"coming back: {batches}; connected {connected}, held {held}, remaining {service['remaining']}"


def _title(service: dict[str, Any]) -> Text:
    title = Text(f"{service['name']}", style="bold")
    title.append(
        f"  {service['listen']}  {_word(service['protocol'])}  {_word(service['tls'])}  {service['mode']}", style=""
    )
    for name, on in service["switches"].items():
        if on:
            title.append(f"  {name.upper()}", style="bold red" if name == "bypass" else "bold yellow")
    if service["mode"] == "observe":
        title.append("  (everything passes; decisions are only told)", style="yellow")
    return title


def _waiting(service: dict[str, Any]) -> str:
    held = int(service["held_total"])
    if not held:
        return "held: none"
    classes = ", ".join(f"{name} {count}" for name, count in service["held"].items() if count)
    when = f"; all in within {span(service['all_in_s'])}" if service.get("all_in_s") is not None else ""
    return f"held: {held} ({classes}), longest {span(service.get('oldest_wait_s'))}{when}"


def _fates(service: dict[str, Any]) -> str:
    counters = service["counters"]
    away = counters["turned_away"]
    reasons = ", ".join(f"{reason} {count}" for reason, count in away.items() if count)
    text = f"arrived {counters['arrived']}, admitted {counters['admitted']}, turned away {sum(away.values())}"
    text += f" ({reasons})" if reasons else ""
    text += f", client gone {counters['client_gone']}"
    if service["mode"] == "observe":
        text += f"; would have held {counters['would_hold']}, turned away {counters['would_turn_away']}"
    return text


def explain_text(answer: dict[str, Any]) -> RenderableType:
    """Return the sentences of ``/explain``: calls, those that wait first, then limits and phases."""
    limits = [Text(f"{one['server']}: {one['text']}") for one in (*answer["limits"], *answer.get("monitors", []))]
    return Group(_calls(answer["calls"]), *limits, *_held(answer))


def _calls(calls: list[dict[str, Any]]) -> RenderableType:
    if not calls:
        return Text("nothing to explain: no call like that is remembered")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("at", "decision", "why"):
        table.add_column(name, overflow="fold")
    for call in calls:
        decision = call["decision"] + (f" ({call['reason']})" if call.get("reason") else "")
        at = time.strftime("%H:%M:%S", time.localtime(call["at_s"]))
        table.add_row(at, decision, harmless(call["text"]))
    return table


def _word(value: Any) -> str:
    return str(value.get("kind", "")) if isinstance(value, dict) else str(value)


def _number(value: Any) -> str:
    return "-" if value is None else str(value)


def span(seconds: Any) -> str:
    """Return a time for people: ``0.4s``, ``12s``, ``3m05s``, ``2h10m``."""
    if seconds is None:
        return "-"
    seconds = float(seconds)
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
