"""A real Alertmanager is told: one alert per episode, however often; it burns while it is open, and is taken back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alertmanagers import RunningAlertmanager
from live_watches import SECOND, a_change, a_notice
from sinks import Sink, sink
from tidegate.watch.live.alertmanager import Alertmanager
from tidegate.watch.live.model import Episode
from tidegate.watch.live.sender import Sender
from tidegate.watch.live.store_sqlite import SqliteStore
from tidegate.watch.load import load_rules

pytestmark = pytest.mark.peer("prometheus-alertmanager")
MINUTE = 60 * SECOND
RULES = load_rules()


@pytest.fixture
def told() -> Iterator[Sink]:
    """Return whom Alertmanager tells."""
    with sink() as told:
        yield told


@pytest.fixture
def alertmanager(tmp_path: Path, told: Sink) -> Iterator[RunningAlertmanager]:
    with RunningAlertmanager(tmp_path, told.url) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "watch.db", ["am"])
    yield store
    store.close()


class Clock:
    """Goes from moment to moment, wherever one wants to be next."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def play(
    store: SqliteStore, receiver: Alertmanager, clock: Clock, until: int, open_now: Callable[[], list[Episode]] = list
) -> str:
    """Let the sender do what it does until then; return what is wrong in the end."""

    async def run() -> str:
        line = Sender(store, [receiver], RULES, open_now=open_now, clock=clock).lines[0]
        async with line._client:
            while (at := await line.step()) is not None and at <= until:
                clock.now = max(clock.now, at)
        clock.now = until
        return line.why

    return asyncio.run(run())


def heard(told: Sink, status: str) -> list[dict[str, Any]]:
    """Return the alerts of that status that people were told of."""
    return [alert for _, body in list(told.got) for alert in body["alerts"] if alert["status"] == status]


def wait_for(told: Sink, status: str, count: int) -> list[dict[str, Any]]:
    """Wait until people have heard of so many different alerts of that status."""
    while len({alert["fingerprint"] for alert in heard(told, status)}) < count:
        time.sleep(0.02)
    return heard(told, status)


def test_an_episode_is_one_alert_that_is_taken_back(
    alertmanager: RunningAlertmanager, told: Sink, store: SqliteStore
) -> None:
    now = time.time_ns()
    am, clock, opened = Alertmanager("am", alertmanager.url), Clock(now), a_notice(at=now - 20 * MINUTE)
    for _ in range(2):  # killed between its answer and the note of it: it is told twice
        store.commit(a_change(opened), now)
        assert play(store, am, clock, now, lambda: [opened.episode]) == ""
    (alert,) = alertmanager.alerts()
    assert alert["labels"] == {
        "alertname": "vcenter.hgw.nfc-not-authenticated",
        "by": "host",
        "rule": "vcenter.hgw.nfc-not-authenticated",
        "kb": "440879",
        "severity": "warning",
        "scope_host": "vc1",
    }
    assert alert["status"]["state"] == "active"
    (firing,) = wait_for(told, "firing", 1)
    assert firing["annotations"]["episode"] == opened.episode.key

    am.took([opened.episode], now)
    am._told[opened.episode.key] = now - 10 * MINUTE  # it has burnt for a while
    store.commit(a_change(a_notice("cleared", at=opened.episode.at)), now)
    assert play(store, am, clock, now) == ""
    (resolved,) = wait_for(told, "resolved", 1)
    assert resolved["labels"] == alert["labels"]
    assert resolved["startsAt"][:19] == firing["startsAt"][:19]
    assert len(heard(told, "firing")) == 1
    assert alertmanager.alerts() == []


def test_a_worse_severity_takes_the_milder_alert_back(
    alertmanager: RunningAlertmanager, told: Sink, store: SqliteStore
) -> None:
    now = time.time_ns()
    am, clock = Alertmanager("am", alertmanager.url), Clock(now)
    store.commit(a_change(a_notice(at=now - 20 * MINUTE)), now)
    play(store, am, clock, now)
    wait_for(told, "firing", 1)
    store.commit(a_change(a_notice("escalated/1", at=now - 20 * MINUTE, window="worse", severity="critical")), now)
    play(store, am, clock, now)
    assert [alert["labels"]["severity"] for alert in wait_for(told, "firing", 2)] == ["warning", "critical"]
    assert [alert["labels"]["severity"] for alert in wait_for(told, "resolved", 1)] == ["warning"]
    assert [alert["labels"]["severity"] for alert in alertmanager.alerts()] == ["critical"]


def test_an_alertmanager_that_was_down_for_an_hour_hears_everything(
    alertmanager: RunningAlertmanager, told: Sink, store: SqliteStore
) -> None:
    """One storm each minute; every other one is over before Alertmanager is back."""
    back = time.time_ns() - 2 * MINUTE  # the sender looks again within a minute; its clock must not be ahead then
    am, clock = Alertmanager("am", alertmanager.url), Clock(back - 60 * MINUTE)
    alertmanager.stop()
    for minute in range(60):
        at = back - (60 - minute) * MINUTE
        notices = [a_notice(number=minute, scope=f"vc{minute}", at=at)]
        if minute % 2:
            notices.append(a_notice("cleared", number=minute, scope=f"vc{minute}", at=at))
        store.commit(a_change(*notices), at)
        assert "does not answer" in play(store, am, clock, at + MINUTE - 1)
    alertmanager.start()
    assert play(store, am, clock, back + 2 * MINUTE) == ""
    assert store.view()["outbox"]["am"]["waiting"] == 0
    scopes = {f"vc{minute}" for minute in range(60)}
    assert {alert["labels"]["scope_host"] for alert in wait_for(told, "firing", 60)} == scopes


def test_an_alertmanager_that_forgot_is_told_again(
    alertmanager: RunningAlertmanager, told: Sink, store: SqliteStore
) -> None:
    now = time.time_ns()
    am, clock, opened = Alertmanager("am", alertmanager.url), Clock(now), a_notice(at=now - MINUTE)
    store.commit(a_change(opened), now)
    play(store, am, clock, now, lambda: [opened.episode])
    wait_for(told, "firing", 1)
    alertmanager.stop()
    alertmanager.start()
    assert alertmanager.alerts() == []
    play(store, am, clock, now + MINUTE, lambda: [opened.episode])
    assert [alert["labels"]["scope_host"] for alert in alertmanager.alerts()] == ["vc1"]


def test_strange_words_are_taken(alertmanager: RunningAlertmanager, store: SqliteStore) -> None:
    now = time.time_ns()
    strange = 'ü\udc80\x00"\\\n\u202e' + "x" * 4000
    notice = a_notice(scope=strange, at=now, evidence=(strange,), hosts=(strange,))
    store.commit(a_change(notice, a_notice(number=2, scope="", at=now + 4 * MINUTE)), now)
    assert play(store, Alertmanager("am", alertmanager.url), Clock(now), now) == ""
    assert len(alertmanager.alerts()) == 2
