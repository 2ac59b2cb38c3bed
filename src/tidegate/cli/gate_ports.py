"""``tidegate gate ports``: which source ports are leased, how full each bucket is, and when it will be exhausted."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.text import Text

from tidegate.cli.gate_talk import Admin, keep_looking
from tidegate.cli.printer import Follow, Printer
from tidegate.cli.status_text import span
from tidegate.errors import Exit
from tidegate.gate.admin import ADMIN_DEFAULT, AdminClient

__all__ = ["marked_bar", "ports"]

_BAR = 40
"""Cells of a bar."""

_STYLE = {"calm": "green", "warn": "yellow", "reap": "yellow", "hold": "red", "full": "bold red"}

_MARKS = (500, 750, 900, 970)
"""Watermarks in thousandths, as the ledger has them: warn, reap, hold, full."""


def ports(
    *,
    follow: Annotated[bool, Parameter(negative="", help="Look again every second until interrupted.")] = False,
    admin: Admin = ADMIN_DEFAULT,
    output: Follow = "text",
) -> int:
    """Show the source ports of every bucket: one address of ours to one address of a server.

    The bar is how full the ports for traffic are, with marks at 50, 75, 90 and 97 per cent. Ports at rest are those
    that the server may still hold; foreign ones are used by other programs. Exit code 1 when a bucket is at 90.

    Examples
    --------
    ``tidegate gate ports --follow``
    """
    client = AdminClient(admin)
    if follow:
        keep_looking(output, client.ports, _text)
    printer, answer = Printer(output), client.ports()
    if output == "jsonl":
        for bucket in answer["buckets"]:
            printer.data(bucket)
    else:
        printer.data(answer)
    printer.text(_text(answer))
    return Exit.BAD if any(bucket["watermark"] in {"hold", "full"} for bucket in answer["buckets"]) else Exit.FINE


def _text(answer: dict[str, Any]) -> RenderableType:
    """Return the whole of ``/ports`` as lines, the fullest bucket first."""
    sources = ", ".join(answer["sources"]) or "the address that the route takes"
    head = f"ports {', '.join(answer['ranges'])} from {sources}; {answer['headroom']} of every bucket for probes alone"
    lines = [Text(head), *(Text(f"warning: {warning}", style="yellow") for warning in answer["warnings"])]
    if any(answer["no_port_total"].values()):
        refused = ", ".join(f"{use} {count}" for use, count in answer["no_port_total"].items())
        lines.append(Text(f"connections that found no port: {refused}", style="bold red"))
    if not answer["buckets"]:
        lines.append(Text("no port was leased yet"))
    for bucket in sorted(answer["buckets"], key=lambda bucket: -int(bucket["used_milli"])):
        lines += _bucket(bucket)
    return Group(*lines)


def _bucket(bucket: dict[str, Any]) -> list[Text]:
    style = _STYLE.get(bucket["watermark"], "")
    title = Text(f"\n{bucket['source']} -> {bucket['destination']}  ", style="bold")
    title.append(bucket["watermark"], style=style)
    left = bucket["exhausted_in_s"]
    if left is not None:
        title.append("  exhausted" if not left else f"  exhausted in {span(left)}", style="bold red")
    used, most = int(bucket["used_milli"]), bucket["high_water"]
    bar = Text("  ").append(marked_bar(used), style=style).append(f" {used / 10:.1f} %")
    detail = (
        f"  traffic {bucket['traffic']}, probes {bucket['probes']} (connecting {bucket['connecting']}), "
        f"at rest {bucket['quarantined']}, foreign {bucket['foreign']}; "
        f"free {bucket['free']} ({bucket['free_headroom']} for probes) of {bucket['capacity']}; most {most}"
    )
    return [title, bar, Text(detail)]


def marked_bar(used_milli: int) -> str:
    """Return how full a bucket is, in thousandths, as a bar: full cells, then empty ones, with the watermarks ahead."""
    filled = min(_BAR, -(-used_milli * _BAR // 1000))
    marks = {mark * _BAR // 1000 for mark in _MARKS}
    return "".join("█" if cell < filled else "|" if cell in marks else "·" for cell in range(_BAR))
