"""``tidegate gate sessions``: who holds which session at a vCenter, and who waits for one."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tidegate.cli.gate_talk import Admin
from tidegate.cli.printer import Follow, Printer
from tidegate.cli.status_text import span
from tidegate.errors import Exit
from tidegate.gate.admin import ADMIN_DEFAULT, AdminClient
from tidegate.harmless import harmless

__all__ = ["sessions"]

_COLUMNS = ("  session", "state", "age", "idle", "lent to", "objects")


def sessions(*, admin: Admin = ADMIN_DEFAULT, output: Follow = "text") -> int:
    """Show the sessions that the gate holds at each vCenter: whose they are, who has them, and who waits.

    `shared` is used by all clients of a user at once; a `clone` is lent to one client at a time; one of its `own` is
    what a client has opened in a way that cannot be shared (a token, an extension). Only users are named: no password,
    no cookie and no key of a session.

    Examples
    --------
    ``tidegate gate sessions --output json``
    """
    printer, answer = Printer(output), AdminClient(admin).sessions()
    if output == "jsonl":
        for service in answer["services"]:
            for principal in service["principals"]:
                printer.data({"service": service["service"], **principal})
    else:
        printer.data(answer)
    printer.text(_text(answer))
    return Exit.FINE


def _text(answer: dict[str, Any]) -> RenderableType:
    if not answer["services"]:
        return Text('no service shares sessions: that takes protocol = "vcenter", broker = "on" and mode = "enforce"')
    parts: list[RenderableType] = []
    for service in answer["services"]:
        parts += _service(service)
    return Group(*parts)


def _service(service: dict[str, Any]) -> list[RenderableType]:
    principals = service["principals"]
    held = sum(len(principal["upstream"]) for principal in principals)
    clients = sum(principal["downstream"] for principal in principals)
    waiting = sum(principal["waiting"] for principal in principals)
    title = Text(service["service"], style="bold")
    title.append(f"  {held} sessions there for {clients} clients; {waiting} calls wait for one")
    parts: list[RenderableType] = [title]
    for principal in principals:
        parts += _principal(principal)
    if more := service.get("more"):
        parts.append(Text(f"and {more} users more"))
    return parts


def _principal(principal: dict[str, Any]) -> list[RenderableType]:
    head = Text(f"\n  {harmless(principal['user'] or 'unknown user')}", style="bold")
    if principal["principal"]:
        head.append(f" ({principal['principal']})", style="")
    head.append(f"  clients {principal['downstream']}, waiting {principal['waiting']}, ", style="")
    verified = principal["last_verified_s"]
    head.append("password never verified" if verified is None else f"password verified {span(verified)} ago", style="")
    if not principal["upstream"]:
        return [head]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in {"age", "idle", "objects"} else "left")
    for one in principal["upstream"]:
        ages = (span(one["age_s"]), span(one["idle_s"]))
        table.add_row(f"  {one['kind']}", one["state"], *ages, harmless(one["lent_to"] or "-"), str(one["held"]))
    return [head, table]
