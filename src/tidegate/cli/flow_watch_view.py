"""What ``tidegate flow watch`` shows people: a panel in place on a terminal, one line per second elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from tidegate.cli.gate_ports import marked_bar
from tidegate.cli.status_text import span
from tidegate.harmless import harmless

__all__ = ["line", "panel"]

Json = dict[str, Any]

_BUCKETS = 5
"""The fullest buckets that are shown."""
_GROUPS = 2
"""The worst groups of a finding that are shown."""
_STYLES = {"critical": "bold red", "warning": "bold yellow", "notice": "bold cyan"}


def line(now: Json) -> str:
    """Return one second in one line."""
    found = ", ".join(f"{one['finding']} {one['count']}" for one in now["found"])
    return (
        f"{now['seconds']:6.1f} s: {_handshakes(now)}; {now['half_open']} half-open, {now['live']} live of "
        f"{now['flows']} flows; {now['packets']} packets, {now['dropped']} dropped{f'; {found}' if found else ''}"
    )


def panel(now: Json, *, passing: bool) -> RenderableType:
    """Return what passes, or the summary, as lines."""
    return Group(*_lines(now, "in the last second" if passing else "in all"))


def _handshakes(now: Json) -> str:
    counts = now["handshakes"]
    return ", ".join(f"{counts[name]} {name}" for name in ("opened", "answered", "established", "refused"))


def _lines(now: Json, when: str) -> Iterator[Text]:
    yield Text(f"{now['interface']}, watched for {span(now['seconds'])}", style="bold")
    yield _packets(now)
    yield Text(f"handshakes {when}: {_handshakes(now)}")
    half_open = f"{now['half_open']} half-open now"
    yield Text(f"flows: {now['flows']} seen, {now['live']} live, ").append(half_open, style="bold")
    states = ", ".join(f"{name} {count}" for name, count in now["states"].items() if count)
    yield Text(f"  {states or 'none'}", style="dim")
    yield from _buckets(now["buckets"])
    yield Text("\nfindings" if now["found"] else "\nno finding so far")
    yield from _found(now["found"])
    for one in now["withheld"]:
        yield Text(f"  not told: {one['finding']}, {harmless(one['why'])}", style="yellow")


def _packets(now: Json) -> Text:
    text = Text(f"packets: {now['packets']} of TCP")
    if others := sum(now["skipped"].values()):
        text.append(f", {others} others")
    text.append(f", {now['dropped']} dropped by the kernel", style="bold red" if now["dropped"] else "")
    return text


def _buckets(buckets: list[Json]) -> Iterator[Text]:
    if buckets:
        yield Text("\nsource ports, each client when they were fullest")
    for bucket in buckets[:_BUCKETS]:
        share = bucket["share"]
        style = "bold red" if share >= 0.9 else "yellow" if share >= 0.5 else "green"
        yield (
            Text("  ")
            .append(marked_bar(round(share * 1000)), style=style)
            .append(f" {share:6.1%}  {harmless(bucket['bucket'])}  ")
            .append(f"live {bucket['live']}, time-wait {bucket['time_wait']}", style="dim")
        )


def _found(found: list[Json]) -> Iterator[Text]:
    for one in found:
        outcome = f" ({harmless(one['outcome'])})" if one["outcome"] else ""
        yield (
            Text("  ")
            .append(one["severity"], style=_STYLES[one["severity"]])
            .append(f"  {one['finding']}{outcome}: {one['count']}, confidence {one['confidence']}")
        )
        for group in one["groups"][:_GROUPS]:
            yield Text(f"    {harmless(group['who'])}: {group['count']}", style="dim")
