"""A diagnosis on a terminal: a line that answers, then every finding with what to do, then what was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn
from rich.text import Text

from tidegate.cli.diagnose_capture import capture_shown, connections_words

__all__ = ["progress_on", "shown"]

Json = dict[str, Any]

_STYLES = {"critical": "bold red", "warning": "bold yellow", "notice": "bold cyan"}
_VERDICTS = {
    "incident": ("An incident was found.", "bold red"),
    "article": ("Only the text of an article was recognised; there is no incident in what was read.", "bold cyan"),
    "clear": ("Nothing known was found, and nothing is missing from what was read.", "bold green"),
    "unknown": ("Nothing known was found, but there are gaps: that is unknown, not healthy.", "bold yellow"),
}
_NOTICED = {
    "clear": "There is no incident in what was read, and nothing is missing from it.",
    "unknown": "There is no incident in what was read, but there are gaps: that is unknown, not healthy.",
}
_RECORD_LINES, _RECORD_WIDTH = 3, 200
_HOSTS, _GAPS, _CALLERS = 12, 8, 3


@contextmanager
def progress_on(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Give what is told the bytes read and all bytes; it shows on a terminal only, and is gone at the end."""
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


def shown(report: Json) -> Iterator[RenderableType]:
    """Yield the parts of a report for people."""
    yield _verdict(report)
    explained: set[str] = set()
    for finding in report["findings"]:
        yield Text()
        yield from _finding(finding, again=finding["rule"] in explained)
        explained.add(finding["rule"])
    if report["callers"]:
        yield Text()
        yield from _callers(report["callers"])
    for ports in report["ports"]:
        yield Text()
        yield from _ports(ports)
    yield Text()
    yield from _coverage(report["coverage"], report["captures"])


def _verdict(report: Json) -> Text:
    sentence, style = _VERDICTS[report["verdict"]]
    notices = sum(finding["kind"] == "notice" for finding in report["findings"])
    if notices and report["verdict"] in _NOTICED:
        sentence = (
            f"{_NOTICED[report['verdict']]} {'One thing is' if notices == 1 else f'{notices} things are'} noticed."
        )
    return Text(sentence, style=style)


def _in(what: RenderableType, by: int = 2) -> RenderableType:
    return _Indented(Text(what) if isinstance(what, str) else what, by)


class _Indented:
    """Something that begins some columns to the right; a text whose lines may not be wrapped is not cut either."""

    def __init__(self, what: RenderableType, by: int) -> None:
        self._what, self._by = what, by

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.no_wrap and isinstance(self._what, Text):
            yield from (Text(" " * self._by).append_text(line) for line in self._what.split("\n"))
        else:
            yield Padding(self._what, (0, 0, 0, self._by), expand=False)


def _finding(finding: Json, *, again: bool) -> Iterator[RenderableType]:
    """Yield a finding; what its rule says is left out when it was said ``again``, of another capture."""
    article = f" (KB {finding['article']})" if finding["article"] else ""
    kind = "article" if finding["kind"] == "article" else finding["severity"]
    head = Text.assemble((kind, _STYLES[finding["severity"]]), f"  {finding['title']}{article}")
    yield head
    if "says" in finding:
        yield from map(_in, capture_shown(finding, again=again))
        if not again:
            yield from _remedies(finding)
        return
    yield _in(finding["explains"])
    yield _in(_when_and_where(finding))
    for window in finding["windows"]:
        if window["fired"]:
            times = "once" if len(window["episodes"]) == 1 else f"{len(window['episodes'])} times"
            yield _in(f"{window['says']} Met {times}, first at {window['at']}; at most {window['count']}.")
    for each in finding["evidence"][:2]:
        yield from _evidence(each)
    verdict = finding["version_verdict"]
    if verdict is not None:
        yield _in(Text.assemble(("build: ", "bold"), f"{verdict['verdict']}; {verdict['why']}"))
    if finding["kind"] == "incident":
        yield from _remedies(finding)


def _when_and_where(finding: Json) -> str:
    hosts = finding["scope"]["hosts"]
    more = f" and {len(hosts) - _HOSTS} more" if len(hosts) > _HOSTS else ""
    span = f", {finding['first']} to {finding['last']}" if finding["first"] else ""
    where = f", on {', '.join(hosts[:_HOSTS])}{more}" if hosts else ""
    providers = f", provider {', '.join(finding['scope']['providers'][:3])}" if finding["scope"]["providers"] else ""
    word = "hit" if finding["hits"] == 1 else "hits"
    return f"{finding['hits']} {word}{span}{where}{providers}; confidence {finding['confidence']}"


def _evidence(each: Json) -> Iterator[RenderableType]:
    place = f"{each['path']}:{each['line']}" if each["line"] else each["path"]
    yield _in(Text(place, style="dim"))
    lines = each["record"].splitlines()
    for line in lines[:_RECORD_LINES]:
        cut = line if len(line) <= _RECORD_WIDTH else line[:_RECORD_WIDTH] + " …"
        yield _in(Text(cut, style="italic"), 4)
    if len(lines) > _RECORD_LINES:
        yield _in(Text(f"… {len(lines) - _RECORD_LINES} more lines", style="dim"), 4)


def _remedies(finding: Json) -> Iterator[RenderableType]:
    if not finding["remedies"]:
        return
    first, *others = finding["remedies"]
    yield _in(Text.assemble(("what to do: ", "bold"), first["title"]))
    if first.get("impact"):
        yield _in(f"impact: {first['impact']}", 4)
    for number, step in enumerate(first["steps"], 1):
        yield _in(f"{number}. {step['do']}", 4)
        if step.get("run"):
            on = f"  (on {step['on']})" if step.get("on") else ""
            yield _in(Text.assemble((step["run"], "bold"), (on, "dim")), 7)
    for check in first.get("verify", []):
        run = f"  {check['run']}" if check.get("run") else ""
        yield _in(Text.assemble(("it helped when: ", "bold"), check["say"], run))
    if others:
        yield _in(f"or: {'; '.join(other['title'] for other in others)} (--output json and --report have the steps)")


def _callers(callers: Json) -> Iterator[RenderableType]:
    totals = callers["totals"]
    yield Text(f"who calls, over {callers['minutes']:g} minutes", style="bold")
    yield _in(f"{totals['logins']} logins and {totals['calls']} calls from {totals['callers']} callers")
    for one in callers["top"][:_CALLERS]:
        who = " ".join(str(one[key]) for key in ("user", "ip", "agent", "session") if one[key])
        yield _in(f"{who}: {one['logins']} logins, {one['calls']} calls", 4)


def _ports(ports: Json) -> Iterator[RenderableType]:
    yield Text(f"ports: {ports['path']}", style="bold")
    for bucket in ports["buckets"][:3]:
        yield _in(bucket["says"])
    for change in ports["what_if"][:4]:
        yield _in(f"if: {change['says']}")


def _coverage(covered: Json, captures: list[Json]) -> Iterator[RenderableType]:
    span = f", {covered['from']} to {covered['to']}" if covered["from"] else ", no times in it"
    files = "1 file" if covered["members_total"] == 1 else f"{covered['members_total']} files"
    packets = [each["packets"] for each in covered["members"] if "packets" in each]
    logs = f", {covered['lines']} lines, {covered['bytes']} bytes" if len(packets) < covered["members_total"] else ""
    frames = f", {sum(packets)} packets of TCP in {connections_words(captures)}" if packets else ""
    yield Text.assemble(("read: ", "bold"), f"{files}{logs}{frames}{span}")
    troubles = covered["troubles"]
    gaps = [*covered["missing"], *(": ".join(filter(None, (each["path"], each["detail"]))) for each in troubles)]
    gaps += [f"{count} {what} left out: too many" for what, count in covered["cut"].items()]
    for gap in gaps[:_GAPS]:
        yield _in(Text.assemble(("gap: ", "bold yellow"), gap))
    if len(gaps) > _GAPS:
        yield _in(f"… {len(gaps) - _GAPS} more gaps (--output json has all)")
    if covered["not_read"]:
        kinds = len(covered["not_read"])
        yield _in(Text(f"{kinds} kinds of logs that rules look into were not among it (--output json)", style="dim"))
