"""A watch's store and sender, killed again and again: every notice is told under its key, and no other."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from live_watches import NOON, a_change, a_notice
from postgres import postgres
from sinks import Sink, sink
from tidegate.watch.live.sender import Sender
from tidegate.watch.live.store_open import open_store
from tidegate.watch.live.webhook import Webhook
from tidegate.watch.load import load_rules

pytestmark = pytest.mark.storm
_STEPS = 200
_KILLS = 4


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "watch.db")
        return
    with postgres() as server:
        yield server.url


def test_every_notice_is_told(place: str) -> None:
    rng = random.Random(8)  # noqa: S311 (when to kill is no secret)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with sink() as told:
        command = [sys.executable, __file__, place, told.url]
        for _ in range(_KILLS):
            child = subprocess.Popen(command, env=environment)
            _wait_for(told, len(told.got) + rng.randrange(1, _STEPS // (2 * _KILLS)), child)
            child.kill()
            child.wait()
        subprocess.run(command, env=environment, check=True, timeout=50)
    wanted = [a_notice(number=number, scope=f"vc{number}").key for number in range(1, _STEPS + 1)]
    assert sorted(set(told.keys)) == wanted
    assert len(told.keys) <= _STEPS + _KILLS, "only what was told and not yet noted is told twice"


def _wait_for(told: Sink, count: int, child: subprocess.Popen[bytes]) -> None:
    came = threading.Event()
    while len(told.got) < count:
        assert child.poll() is None
        came.wait(0.002)


async def _work(place: str, url: str) -> None:
    """Go on from where the store says, one notice for each step, and tell of them meanwhile."""
    store = open_store(place, "main", ["hook"])
    sender = Sender(store, [Webhook("hook", url)], load_rules())
    done = store.load().positions.get(("files.esx", "1:2"), {"offset": 0})["offset"]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(sender.run())
        for number in range(done + 1, _STEPS + 1):
            change = a_change(a_notice(number=number, scope=f"vc{number}"), offset=number)
            await asyncio.to_thread(store.commit, change, NOON + number)
            sender.wake()
        while store.view()["outbox"]["hook"]["waiting"]:  # noqa: ASYNC110 (no event tells of it)
            await asyncio.sleep(0.01)
        running.cancel()
    store.close()


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
