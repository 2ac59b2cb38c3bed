"""A probe as a source: tries, batches, gaps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from loops import played
from tidegate.errors import HostUnreachable
from tidegate.watch.live.model import Batch, Json
from tidegate.watch.live.probe_hits import Told
from tidegate.watch.live.probe_source import ProbeOptions, ProbeSource
from tidegate.watch.load import load_rules
from tidegate.watch.ports import Bucket, PortReading
from tidegate.watch.rule import RuleSet

RULES = load_rules()
NONE = RuleSet({}, {})
NAME = "probe.edge"
S = 10**9


def full(held: int = 1000) -> Told:
    return Told((PortReading("f5-connections", (Bucket("10.0.0.5", "10.0.1.1", 443, held, 1000, ""),)),))


@dataclass
class Device:
    """Says one thing after the other, then the last again; ``wait`` is how long each takes."""

    says: list[Told | Exception]
    address: str = "edge.example"
    measures: frozenset[str] = frozenset({"ports.share"})
    wait: float = 0
    asked: int = 0
    closed: int = 0

    async def ask(self, wanted: frozenset[str]) -> Told:
        assert wanted == {"ports.share"}
        self.asked += 1
        await asyncio.sleep(self.wait)
        said = self.says[min(self.asked, len(self.says)) - 1]
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        self.closed += 1


@dataclass
class Desk:
    """Takes batches, in virtual time, until it has ``most``."""

    most: int
    batches: list[Batch] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, batch: Batch) -> None:
        self.batches.append(batch)
        if len(self.batches) >= self.most:
            self.enough.set()


def run(
    device: Device, most: int, saved: dict[str, Json] | None = None, rules: RuleSet = RULES
) -> tuple[ProbeSource, list[Batch]]:
    async def play() -> tuple[ProbeSource, list[Batch]]:
        now: Callable[[], int] = lambda: round(asyncio.get_running_loop().time() * S)  # noqa: E731 (one clock for both)
        source = ProbeSource(NAME, device, rules, ProbeOptions(60, 10, clock=now, now=now))
        desk = Desk(most)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(source.run(desk.put, saved or {}))
            await desk.enough.wait()
            task.cancel()
        return source, desk.batches

    return played(play())


def test_each_try_is_one_batch_with_the_next_place() -> None:
    device = Device([full(), full(10), full()])
    source, batches = run(device, 3, {NAME: {"format": 1, "next": 40}})
    assert [(batch.base, batch.position, len(batch.hits)) for batch in batches] == [
        (40, {"format": 1, "next": 41}, 1),
        (41, {"format": 1, "next": 42}, 0),
        (42, {"format": 1, "next": 43}, 1),
    ]
    assert all(batch.data == b"" and batch.idle and batch.live and not batch.gaps for batch in batches)
    assert [hit.place for batch in batches for hit in batch.hits] == [40, 42]
    assert device.closed == 1
    view = source.view()
    assert (view["troubles"], view["failures"], view["tries"]) == ([], 0, 3)
    assert view["values"] == {"ports.share": [{"scope": "10.0.0.5 → 10.0.1.1:443", "value": 1.0}]}


def test_a_try_that_fails_is_a_gap_and_gaps_leave_no_time_out() -> None:
    refusal = HostUnreachable("edge.example does not answer (password=hunter2)")
    source, batches = run(Device([full(), refusal, refusal, full()]), 4)
    good, bad, worse, again = batches
    assert [len(batch.gaps) for batch in batches] == [0, 1, 1, 0]
    assert [len(batch.hits) for batch in batches] == [1, 0, 0, 1]
    (first,), (second,) = bad.gaps, worse.gaps
    assert (first.source, first.kind, first.since, first.until) == (NAME, "probe_failed", good.arrival, bad.arrival)
    assert (second.since, second.until) == (bad.arrival, worse.arrival)
    assert "edge.example does not answer" in first.detail
    assert "hunter2" not in first.detail
    assert not source.view()["troubles"]
    assert worse.arrival - bad.arrival < again.arrival - worse.arrival


def test_a_try_that_does_not_end_is_a_gap() -> None:
    device = Device([full()], wait=3600)
    source, (batch,) = run(device, 1)
    assert batch.gaps[0].detail == "edge.example: no answer within 10 s"
    assert source.view()["values"] == {"ports.share": []}


def test_an_answer_that_nobody_can_read_is_a_gap_and_not_the_end() -> None:
    _, batches = run(Device([KeyError("open_conns"), full()]), 2)
    assert "makes no sense" in batches[0].gaps[0].detail
    assert len(batches[1].hits) == 1


def test_the_first_place_ever_is_no_small_number() -> None:
    _, (batch,) = run(Device([full()]), 1)
    assert batch.base == batch.position["next"] - 1


def test_nothing_is_asked_that_no_rule_compares() -> None:
    async def play() -> Device:
        device, desk = Device([full()]), Desk(1)
        now: Callable[[], int] = lambda: round(asyncio.get_running_loop().time() * S)  # noqa: E731 (one clock for both)
        source = ProbeSource(NAME, device, NONE, ProbeOptions(60, 10, clock=now, now=now))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(source.run(desk.put, {}))
            await asyncio.sleep(600)
            assert device.asked == 0
            assert "no rule" in source.view()["troubles"][0]
            source.use(RULES)
            await desk.enough.wait()
            task.cancel()
        return device

    assert played(play()).asked == 1
