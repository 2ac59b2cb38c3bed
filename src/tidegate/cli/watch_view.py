"""``watch status`` and ``watch view`` for people: what fills up, what is open, what was not seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tidegate.cli.demo_view import bar
from tidegate.cli.status_text import span
from tidegate.harmless import harmless

__all__ = ["status_text"]

Json = dict[str, Any]

_STYLES = {"critical": "bold red", "warning": "bold yellow", "notice": "bold cyan"}
_VERDICTS = {
    "storm": ("{open} open", "bold red"),
    "quiet": ("quiet", "bold green"),
    "unknown": ("nothing is open, but there are gaps: that is unknown, not quiet", "bold yellow"),
}
_WINDOWS, _GAPS, _HOSTS = 20, 8, 8


def status_text(answer: Json) -> RenderableType:
    """Return the whole answer of a watch, fullest window first."""
    return Group(*_parts(answer))


def _parts(answer: Json) -> Iterator[RenderableType]:
    words, style = _VERDICTS[answer["verdict"]]
    count = len(answer["episodes"])
    head = Text(f"tidegate {answer['version']}, watching for {span(answer['uptime_s'])} by {answer['rules']} rules: ")
    yield head.append(words.format(open=f"{count} episode{'s' * (count != 1)}"), style=style)
    yield from _warnings(answer)
    yield from _episodes(answer["episodes"], answer["now"])
    yield from _windows(answer)
    yield from _counted(answer)
    yield from _sources(answer["sources"])
    yield from _gaps(answer["gaps"], answer["now"])
    yield Text()
    yield from _receivers(answer["receivers"])
    yield from _acting(answer["acting"])


def _warnings(answer: Json) -> Iterator[Text]:
    if answer["store"]["trouble"]:
        yield Text(f"warning: nothing can be kept: {harmless(answer['store']['trouble'])}", style="bold red")
    if answer["reloads"]["trouble"]:
        yield Text(f"warning: the old rules stay: {harmless(answer['reloads']['trouble'])}", style="yellow")
    for clock in answer["clocks"]:
        way = "behind" if clock["offset_s"] > 0 else "ahead"
        yield Text(f"clock: {harmless(clock['host'])} is {span(abs(clock['offset_s']))} {way}", style="yellow")


def _counted(answer: Json) -> Iterator[Text]:
    words = {
        "late": "came too late to count exactly",
        "skewed": "had a time that was not believed",
        "timeless": "had no time",
        "forgotten": "scopes were forgotten for want of room",
        "refused": "episodes were not opened for want of room",
    }
    if said := [f"{answer[name]} {says}" for name, says in words.items() if answer.get(name)]:
        yield Text(f"of all records: {', '.join(said)}", style="yellow")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _scope(scope: Json) -> str:
    return harmless(", ".join(f"{name} {value or '?'}" for name, value in scope.items())) or "all"


def _episodes(episodes: list[Json], now: int) -> Iterator[RenderableType]:
    if not episodes:
        return
    table = _table("open", "severity", "rule", "scope", "count", "hosts")
    for one in episodes:
        hosts = [harmless(host) for host in one["hosts"]]
        more = f" and {one['hosts_total'] - _HOSTS} more" if one["hosts_total"] > _HOSTS else ""
        table.add_row(
            span(max(0, now - one["at"]) / 1e9),
            Text(one["severity"], style=_STYLES[one["severity"]]),
            one["rule"],
            _scope(one["scope"]),
            str(one["count"]),
            ", ".join(hosts[:_HOSTS]) + more,
        )
    yield Text()
    yield table


def _windows(answer: Json) -> Iterator[RenderableType]:
    windows = answer["windows"]
    yield Text()
    if not windows:
        yield Text("no window holds anything", style="dim")
        return
    table = _table("window", "scope", "fills up", "")
    for one in windows[:_WINDOWS]:
        fired = one["count"] >= one["limit"]
        style = _STYLES[one["severity"]] if fired else "green" if 2 * one["count"] < one["limit"] else "yellow"
        filled = bar(one["count"], max(1, one["limit"]), style)
        says = f"{one['count']} of {one['limit']} in {span(one['over_s'])}"
        table.add_row(f"{one['rule']}/{one['window']}", _scope(one["scope"]), filled, says)
    yield table
    if (more := answer["windows_total"] - len(windows[:_WINDOWS])) > 0:
        yield Text(f"and {more} more windows that hold something", style="dim")


def _sources(sources: list[Json]) -> Iterator[RenderableType]:
    table = _table("source", "streams", "lag", "")
    for one in sources:
        lag = _size(one["lag_bytes"]) if "lag_bytes" in one else ""
        streams = one.get("streams")
        count = len(streams) if isinstance(streams, list) else streams
        troubles = Text("; ".join(harmless(each) for each in one["troubles"]), style="yellow")
        table.add_row(one["name"], "" if count is None else str(count), lag, troubles or Text(_values(one)))
    yield Text()
    yield table


def _values(source: Json) -> str:
    """Return the largest value of each measure that a probe has told."""
    return ", ".join(
        f"{measure} {told[0]['value']:g} ({harmless(told[0]['scope'])})"
        for measure, told in source.get("values", {}).items()
        if told
    )


def _size(count: int) -> str:
    return f"{count} B" if count < 1 << 10 else f"{count >> 10} KiB" if count < 1 << 20 else f"{count >> 20} MiB"


def _gaps(gaps: list[Json], now: int) -> Iterator[RenderableType]:
    if not gaps:
        return
    # A device that does not answer is a gap at each try: of the same kind the newest is shown, and how many there were.
    kinds: dict[tuple[str, str, str], list[Json]] = {}
    for one in gaps:
        kinds.setdefault((one["source"], one["kind"], one["detail"]), []).append(one)
    table = _table("gap", "source", "kind", "times", "records", "what was not seen")
    for (source, kind, detail), same in sorted(kinds.items(), key=lambda pair: -pair[1][-1]["until"])[:_GAPS]:
        known = [one["count"] for one in same if one["count"] is not None]
        ago = f"{span(max(0, now - same[-1]['until']) / 1e9)} ago"
        table.add_row(ago, source, kind, str(len(same)), str(sum(known)) if known else "", harmless(detail))
    yield Text()
    yield table


def _receivers(receivers: Iterable[Json]) -> Iterator[RenderableType]:
    for one in receivers:
        waits = f"{one['waiting']} wait" if one["waiting"] else "all told"
        why = f": {harmless(one['why'])}" if one.get("why") else ""
        yield Text(f"{one['name']}: {waits}{why}", style="yellow" if why else "")


def _acting(acting: Json) -> Iterator[RenderableType]:
    if acting["acts"] or acting["matters"]:
        yield Text(f"acting is {'on' if acting['on'] else 'OFF'}", style="" if acting["on"] else "bold yellow")
    for one in acting["matters"]:
        yield Text(f"  {one['act']['name']} ({one['id']}): {one['state']}; {harmless(one['says'])}")
