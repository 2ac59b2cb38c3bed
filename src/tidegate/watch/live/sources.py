"""The sources of a running watch: made from its tables, run side by side, exchanged when its file has changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.watch.live.config import FilesTable, SyslogTable, WatchConfig
from tidegate.watch.live.model import Json
from tidegate.watch.live.probe_config import ProbeTable
from tidegate.watch.live.probe_source import ProbeSource
from tidegate.watch.live.source import Put, Source
from tidegate.watch.live.store import Saved
from tidegate.watch.live.syslog import Syslog
from tidegate.watch.live.syslog_options import SyslogOptions
from tidegate.watch.live.tail import Tail
from tidegate.watch.rule import RuleSet

__all__ = ["Sources"]


class _Named(NamedTuple):
    kind: str
    name: str
    table: FilesTable | SyslogTable | ProbeTable


@dataclass(slots=True)
class _Running:
    named: _Named
    source: Source
    task: asyncio.Task[None]


class Sources:
    """Runs what a file names.

    Parameters
    ----------
    put
        Where batches go.
    """

    def __init__(self, put: Put) -> None:
        self._put = put
        self._running: dict[str, _Running] = {}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done, with what it raised, when a source cannot go on."""

    async def end(self, config: WatchConfig) -> None:
        """End what the file does not name, or names otherwise."""
        wanted = _wanted(config)
        await self._end([name for name, one in self._running.items() if wanted.get(name) != one.named])

    def begin(self, config: WatchConfig, rules: RuleSet, saved: Saved, *, stopped: int | None = None) -> None:
        """Start what is new; what runs is not disturbed, but for the rules that probes ask for.

        Parameters
        ----------
        saved
            Where each stream was read to.
        stopped
            When the watch was stopped, where it has not been running until now.

        Raises
        ------
        UsageError
            When an address cannot be had.
        """
        for one in self._running.values():
            if isinstance(one.source, ProbeSource):
                one.source.use(rules)
        for name, named in _wanted(config).items():
            if name not in self._running:
                source = _made(named, rules, stopped)
                positions = {stream: row for (of, stream), row in saved.positions.items() if of == name}
                task = asyncio.ensure_future(source.run(self._put, positions))
                task.add_done_callback(self._ended)
                self._running[name] = _Running(named, source, task)

    def addresses(self) -> dict[str, list[str]]:
        """Return where each source listens; nothing for one that looks itself."""
        return {
            name: [f"{way} port {port}" for way, port in one.source.ports.items()]
            if isinstance(one.source, Syslog)
            else []
            for name, one in sorted(self._running.items())
        }

    async def close(self) -> None:
        """End all of them."""
        await self._end(list(self._running))

    def view(self) -> list[Json]:
        """Return how each of them goes."""
        return [{**one.source.view(), "name": name} for name, one in sorted(self._running.items())]

    async def _end(self, names: list[str]) -> None:
        ended = [self._running.pop(name) for name in names]
        for one in ended:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in ended), return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self.failed.done():
            self.failed.set_exception(error)


def _wanted(config: WatchConfig) -> dict[str, _Named]:
    """Return the tables of all sources by their full names."""
    named = [_Named("files", name, table) for name, table in config.files.items()]
    named += [_Named("syslog", name, table) for name, table in config.syslog.items()]
    named += [_Named("probe", name, table) for name, table in config.probe.items()]
    return {f"{one.kind}.{one.name}": one for one in named}


def _made(one: _Named, rules: RuleSet, stopped: int | None) -> Source:
    """Return the source of a table; one that listens has its addresses."""
    full = f"{one.kind}.{one.name}"
    if isinstance(one.table, FilesTable):
        return Tail(full, one.table.paths)
    if not isinstance(one.table, SyslogTable):
        # Late: a watch without probes begins, and is back after a crash, in half the time without their clients.
        from tidegate.watch.live.probe_kinds import source_for

        return source_for(one.name, one.table, rules)
    syslog = Syslog(full, SyslogOptions(**dict(one.table)), stopped=stopped)
    syslog.open()
    return syslog
