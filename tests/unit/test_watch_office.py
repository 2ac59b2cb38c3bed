"""A watch's parts together, in this process: how they end and reload while nothing can be kept."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from tidegate.watch.live.acts import Act, Matter, Order
from tidegate.watch.live.load import load_watch
from tidegate.watch.live.model import Change, Gap
from tidegate.watch.live.office import Office
from tidegate.watch.live.store import Saved, StoreFull, StoreLost
from tidegate.watch.live.store_sqlite import SqliteStore
from tidegate.watch.load import load_rules
from watches import watch_file

LOG = logging.getLogger("tidegate.watch")


class Away(SqliteStore):
    """A store that does not answer while ``away``."""

    away = False

    def __init__(self, file: Path) -> None:
        super().__init__(file, [])
        self.asked = threading.Event()

    def commit(self, change: Change, now: int) -> list[Gap]:
        if self.away:
            raise StoreFull("the disk is full")
        return super().commit(change, now)

    def load(self) -> Saved:
        if self.away:
            self.asked.set()
            raise StoreLost("it does not answer")
        return super().load()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("desk", "office"):
        monkeypatch.setattr(f"tidegate.watch.live.{module}.AGAIN_S", 0.0)


def an_office(folder: Path) -> tuple[Office, Away]:
    file, store = watch_file(folder), Away(folder / "watch.db")
    return Office(file, load_watch(file), load_rules(), store=store, receivers=[], log=LOG), store


def test_an_end_does_not_wait_for_what_was_told_to_a_gate(tmp_path: Path) -> None:
    office, store = an_office(tmp_path)
    act = Act("a", "r", "maintenance", ("probe.a",), gate=str(tmp_path / "nobody.sock"))

    async def run() -> None:
        store.away = True
        await office.open()
        office._ordered(Order("maintenance_on", Matter("0123456789ab", act, "telling", "e", (), (), 6, 0, 0, 0)))
        while not office._desk.trouble:
            await office.status()
        with pytest.raises(StoreLost, match="the disk is full"):
            await office.close()

    asyncio.run(run())
    store.close()


def test_a_reload_while_the_store_is_away_loses_no_source(tmp_path: Path) -> None:
    office, store = an_office(tmp_path)
    office.file.write_text(office.file.read_text().replace('paths = "logs/*.log"', 'paths = "logs/*.txt"'))

    async def run() -> None:
        await office.open()
        await office._desk.settled()
        store.away = True
        reload = asyncio.ensure_future(office.reload())
        await asyncio.to_thread(store.asked.wait)
        store.away = False
        assert (await reload)["kind"] == "reloaded"
        assert [one["name"] for one in office._sources.view()] == ["files.logs"]
        await office.close()

    asyncio.run(run())
    store.close()
