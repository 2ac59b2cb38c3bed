"""From batches to hits: the scanner of ``diagnose`` on whole records, as they come.

What stands in the text of an article is no incident (:mod:`tidegate.watch.findings`). A stream has no end at which its
headings could be counted, so a record is an article's text when two or more different headings begin in the 64 KiB of
its stream before it. Where they were is state: it is stored with what was read (:meth:`Reader.changed`), so that a
crash between a heading and a sample opens no episode.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

from tidegate.harmless import harmless
from tidegate.watch.findings import ARTICLE_HEADINGS, RECORD_SHOWN
from tidegate.watch.live.model import Batch, Gap, Hit, Json
from tidegate.watch.marks import MARKS
from tidegate.watch.plan import to_plan
from tidegate.watch.redact import redacted
from tidegate.watch.rule import RuleSet
from tidegate.watch.scan import Scanner
from tidegate.watch.values import host_of, provider_of

__all__ = ["ROWS", "Reader", "sender_gaps"]

ROWS = "reading"
"""The kind of the rows that hold a reader's state."""
_NEAR = 64 << 10
"""Bytes before a record in which headings make an article of it."""
_SPEAKERS = 10_000
"""Hosts of streams whose headings are kept; the one whose headings changed first is forgotten first."""
_VALUE = 512
"""Characters of a value that windows see."""
_DATE = 86_400 * 10**9
"""The scanner learns the date anew after so long (ns): it gives years to times that have none."""
_HITS = 1_000_000
"""More than a batch can hold, as literals have ten bytes or more."""
_SHOWN = 3
"""Records that are shown per signature, host and provider of a batch: so many can be evidence of one episode."""
_QUARTER = 15 * 60 * 10**9
"""Zones are whole quarters of an hour apart (ns)."""
_ZONES = 14 * 4
"""And at most so many of them from UTC."""
_LOST = "esxi.syslog.dropped"
"""The rule whose hits tell that the sender has lost records."""


class Reader:
    """Reads batches with the rules' signatures.

    Parameters
    ----------
    rules
        The rules; those of probes have no signature here.
    rows
        The stored rows of kind :data:`ROWS`, as (kind, key, value).

    Raises
    ------
    UsageError
        When a regex does not compile.
    GateError
        When the compiled part is missing.
    """

    def __init__(self, rules: RuleSet, rows: Iterable[tuple[str, str, Json]] = ()) -> None:
        self._rules = rules
        self._prose = {
            rule.signature_id(signature)
            for rule in rules.rules
            for signature in rule.signatures
            if signature.from_ == "prose"
        }
        self._headings: dict[str, dict[str, int]] = {
            key: {str(name): int(place) for name, place in value.items()} for kind, key, value in rows if kind == ROWS
        }
        self._changed: dict[tuple[str, str], Json | None] = {}
        self.newest: int | None = None
        """The newest time of the batch that was read last, with or without hits (ns since 1970)."""
        self._date = 0
        self._scanner = self._made(0)

    def read(self, batch: Batch) -> list[Hit]:
        """Return the hits of a batch, in the order of their places."""
        self.newest = None
        if not batch.data:
            return []
        if abs(batch.arrival - self._date) > _DATE:
            self._scanner = self._made(batch.arrival)
        result = self._scanner.scan_text(batch.name, batch.data)
        self.newest = max((member["last"] for member in result["members"] if member["last"] is not None), default=None)
        articles = _Articles(batch, result["marks"], self._headings)
        shown: Counter[tuple[str, str, str]] = Counter()
        hits = [self._hit(batch, hit, articles, shown) for hit in result["hits"]]
        self._remember(articles, batch.base + len(batch.data))
        return hits

    def changed(self) -> dict[tuple[str, str], Json | None]:
        """Return the rows that have changed since the last call, to be stored with what was read; ``None``: gone."""
        changed, self._changed = self._changed, {}
        return changed

    def _made(self, now: int) -> Scanner:
        self._date = now
        headings = [mark for mark in MARKS if mark.id.startswith("article/")]
        plan = to_plan(self._rules.rules, now=now, marks=headings)
        return Scanner({**plan, "limits": {"hits": _HITS, "evidence": _HITS, "keys": 1}})

    def _hit(self, batch: Batch, hit: Json, articles: _Articles, shown: Counter[tuple[str, str, str]]) -> Hit:
        rule, _, signature = hit["signature"].partition("/")
        fields = {name: harmless(redacted(value))[:_VALUE] for name, value in hit["fields"].items()}
        peer = _peer(batch, hit["offset"])
        host = harmless(peer or host_of(hit, batch.name))[:_VALUE]
        provider = harmless(provider_of(hit["fields"]))[:_VALUE]
        shown[hit["signature"], host, provider] += 1
        record = ""
        if shown[hit["signature"], host, provider] <= _SHOWN:
            record = harmless(redacted(hit["record"][: 2 * RECORD_SHOWN]))[:RECORD_SHOWN]
        return Hit(
            rule=rule,
            signature=signature,
            time=_time(batch, hit),
            arrival=batch.arrival,
            source=batch.source,
            stream=batch.stream,
            place=batch.base + hit["offset"],
            live=batch.live,
            values={**fields, "host": host, "provider": provider},
            record=record,
            quoted=hit["signature"] in self._prose or articles.hold(hit["offset"], peer),
        )

    def _remember(self, articles: _Articles, end: int) -> None:
        """Keep what matters to records from the place ``end`` on."""
        for key, headings in articles.last().items():
            kept = {name: place for name, place in headings.items() if end - place <= _NEAR}
            if kept != self._headings.get(key, {}):
                self._keep(key, kept)
        while len(self._headings) > _SPEAKERS:
            self._keep(next(iter(self._headings)), {})

    def _keep(self, key: str, headings: dict[str, int]) -> None:
        self._headings.pop(key, None)
        if headings:
            self._headings[key] = headings
        self._changed[ROWS, key] = dict(headings) or None


class _Articles:
    """Tells which records of a batch stand in the text of an article; asked in the order of the records.

    Headings of one host say nothing of the records of another one in the same stream: nobody silences others.

    Parameters
    ----------
    marks
        The headings in the batch, as the scanner has them.
    before
        By speaker (:meth:`key`), where each heading was last, before the batch.
    """

    def __init__(self, batch: Batch, marks: Sequence[Json], before: Mapping[str, Mapping[str, int]]) -> None:
        self._batch = batch
        self._coming = deque(_headings(batch, marks))
        speakers = {self.key(host) for _, host in batch.hosts} | {self.key("")}
        self._last = {key: dict(before[key]) for key in speakers if key in before}

    def key(self, host: str) -> str:
        """Return the name of a speaker: what the headings of the source, the stream and the host are kept under."""
        return f"{self._batch.source} {self._batch.stream} {host}"

    def hold(self, offset: int, host: str) -> bool:
        """Tell whether two headings or more of this host begin in the 64 KiB before a byte of the batch."""
        self._reach(offset)
        place = self._batch.base + offset
        return sum(place - at <= _NEAR for at in self._last.get(self.key(host), {}).values()) >= ARTICLE_HEADINGS

    def _reach(self, offset: int) -> None:
        while self._coming and self._coming[0][0] <= offset:
            at, name = self._coming.popleft()
            self._last.setdefault(self.key(_peer(self._batch, at)), {})[name] = self._batch.base + at

    def last(self) -> Mapping[str, Mapping[str, int]]:
        """Return, by speaker, where each heading is last at the end of the batch."""
        self._reach(len(self._batch.data))
        return self._last


def sender_gaps(hits: Sequence[Hit]) -> list[Gap]:
    """Return what senders tell that they have lost: one gap for each such record, with the number where it is told."""
    return [
        Gap(
            source=hit.source,
            kind="sender_lost",
            detail=f"{hit.values['host'] or hit.stream}: the sender lost records",
            since=hit.arrival if hit.time is None else hit.time,
            until=hit.arrival if hit.time is None else hit.time,
            count=int(lost) if (lost := hit.values.get("lost", "")).isdecimal() else None,
        )
        for hit in hits
        if hit.rule == _LOST and not hit.quoted
    ]


def _headings(batch: Batch, marks: Sequence[Json]) -> list[tuple[int, str]]:
    """Return where in the batch its headings begin, in bytes, and their names; in order."""
    if not marks:
        return []
    begins = [0, *(found.end() for found in re.finditer(rb"\n", batch.data))]
    return sorted((begins[mark["line"] - 1], mark["mark"]) for mark in marks)


def _peer(batch: Batch, offset: int) -> str:
    """Return the host whose record begins at a byte of the batch, as its source knows it; else an empty text."""
    index = bisect_right(batch.hosts, offset, key=lambda pair: pair[0])
    return batch.hosts[index - 1][1] if index else ""


def _time(batch: Batch, hit: Json) -> int | None:
    """Return when a record was written.

    Where the source knows whose records they are, the record beside one without a time may be another host's: it was
    written when it came (RFC 3164, 4.3.3). And a time without a zone, of a record that was sent just now, is in the
    zone that brings it nearest to now.
    """
    time: int | None = hit["time"]
    if not batch.hosts:
        return time
    if time is None or hit["time_source"] != "record":
        return batch.arrival
    quarters = round((batch.arrival - time) / _QUARTER)
    return time + quarters * _QUARTER if batch.live and hit["zone"] == "none" and abs(quarters) <= _ZONES else time
