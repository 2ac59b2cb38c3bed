"""All parts of a watch together: sources, desk, senders; what it tells of itself; how it takes a changed file.

A reload reads the file and every rule first. A mistake in either changes nothing, is said, and counted. Otherwise the
desk goes on with the new rules between two steps, from what is kept; sources that are the same go on undisturbed, the
others are ended and begun. What a running process cannot change (its store, its own addresses, its receivers) is named.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tidegate.daemon import notify
from tidegate.errors import TidegateError, UsageError
from tidegate.harmless import harmless
from tidegate.watch.live.act_config import acts_of
from tidegate.watch.live.act_gate import carry_out
from tidegate.watch.live.acting import Acting
from tidegate.watch.live.acts import Acted, Order
from tidegate.watch.live.admin import refused
from tidegate.watch.live.check import checked_rules
from tidegate.watch.live.config import WatchConfig
from tidegate.watch.live.desk import AGAIN_S, Desk, Minds
from tidegate.watch.live.load import load_watch
from tidegate.watch.live.machine import Machine
from tidegate.watch.live.model import Episode, Json
from tidegate.watch.live.reading import Reader
from tidegate.watch.live.receiver import Receiver
from tidegate.watch.live.sender import Sender
from tidegate.watch.live.sources import Sources
from tidegate.watch.live.store import Saved, Store, StoreLost
from tidegate.watch.live.verdict import gap_json, verdict_of
from tidegate.watch.rule import RuleSet

__all__ = ["Office"]

_GAPS_SHOWN = 50
"""Gaps in a status, the newest."""


class Office:
    """A watch, opened in an event loop.

    Parameters
    ----------
    file
        What ``config`` was read from; read again on a reload.
    store
        Open; closed by who opened it.
    receivers
        Who is told.
    """

    def __init__(  # noqa: PLR0913 (what a watch is made of)
        self,
        file: Path,
        config: WatchConfig,
        rules: RuleSet,
        *,
        store: Store,
        receivers: Sequence[Receiver],
        log: logging.Logger,
    ) -> None:
        self.file, self.config = file, config
        self._rules, self._store, self._log = rules, store, log
        saved = store.load()
        self._saved = saved
        self._sender = Sender(store, receivers, rules, open_now=self._open_now)
        minds = _minds(config, rules, saved)
        self._desk = Desk(minds, store, saved, wake=self._sender.wake, order=self._ordered, log=log)
        self._begun = time.monotonic()
        self._orders: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()
        self._reloads = {"done": 0, "refused": 0}
        self._trouble = ""

    async def open(self) -> dict[str, list[str]]:
        """Start everything; return the addresses of each source once all of them are open."""
        self._sources = Sources(self._desk.put)
        self._working = asyncio.ensure_future(self._desk.run())
        self._sending = asyncio.ensure_future(self._send())
        self._sources.begin(self.config, self._rules, self._saved, stopped=self._saved.stopped)
        return self._sources.addresses()

    async def until(self, told: asyncio.Event) -> None:
        """Wait until told to end, or until something cannot go on; raise what it raised."""
        telling = asyncio.ensure_future(told.wait())
        parts: set[asyncio.Future[Any]] = {telling, self._working, self._sending, self._sources.failed}
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        telling.cancel()
        for part in done - {telling}:
            part.result()

    async def _send(self) -> None:
        await self._sender.run()
        await asyncio.Event().wait()  # with nobody to be told it is done at once

    async def close(self) -> None:
        """End the sources, judge and keep what they have handed on, stop telling."""
        await self._sources.close()
        self._sending.cancel()
        if not self._working.done():
            await self._desk.end()  # from now on no step is tried for ever, those of orders included
        await asyncio.wait([self._working])
        while self._orders:  # the last step may have given some
            await asyncio.gather(*self._orders, return_exceptions=True)
        await asyncio.gather(self._sending, return_exceptions=True)
        await self._working

    def answers(self) -> dict[str, Callable[[Json], Awaitable[Json]]]:
        """Return what can be asked at the admin socket."""
        return {"status": self._asked_status, "reload": self._asked_reload, "act": self._asked_act}

    async def _asked_status(self, _: Json) -> Json:
        return await self.status()

    async def _asked_reload(self, _: Json) -> Json:
        if self._desk.trouble:  # rules are exchanged behind a step that is kept: who asks would wait for that
            raise UsageError("nothing can be kept now, and so the old rules stay", hint=self._desk.trouble)
        return await self.reload()

    async def _asked_act(self, asked: Json) -> Json:
        """Switch acting on or off, take an approval, or a person's word that a run is over."""

        def do(acting: Acting, now: int, open_: list[Episode]) -> Acted:
            if isinstance(name := asked.get("approve"), str):
                return acting.approve(name, now, by=harmless(str(asked.get("by", "")))[:64] or "somebody")
            if isinstance(name := asked.get("ran"), str):
                return acting.ran(name, now)
            if isinstance(on := asked.get("on"), bool):
                return acting.switch(now, open_, on=on)
            raise UsageError("that is nothing acting knows", hint="ask on, approve or ran")

        if self._desk.trouble:
            hint = f"nothing is begun either, until then: {self._desk.trouble}"
            raise UsageError("nothing can be kept now, and so not this", hint=hint)
        await self._desk.act(do)
        self._log.info("acting was told", extra={"fields": {"asked": asked}})
        return {"kind": "act", **(await self._desk.view())["acting"]}

    async def status(self) -> Json:
        """Return everything that a person, a view or a scrape may see."""
        view, sources = await self._desk.view(), [_shown(one) for one in self._sources.view()]
        receivers = await asyncio.to_thread(self._sender.view)
        now, gaps = time.time_ns(), list(self._desk.gaps)
        return {
            "kind": "status",
            "version": version("tidegate"),
            "now": now,
            "uptime_s": round(time.monotonic() - self._begun, 1),
            "verdict": verdict_of(view["episodes"], gaps, sources, now),
            "rules": len(self._rules),
            **view,
            "acting": {**view["acting"], "acts": len(self.config.act)},
            "sources": sources,
            "gaps": [gap_json(gap) for gap in gaps[-_GAPS_SHOWN:]],
            "gap_counts": [
                {"source": source, "kind": kind, "gaps": count}
                for (source, kind), count in sorted(self._desk.gap_counts.items())
            ],
            "receivers": [{"name": name, **one} for name, one in receivers.items()],
            "reloads": {**self._reloads, "trouble": self._trouble},
        }

    async def reload(self) -> Json:
        """Read file and rules again; return what became of it."""
        async with self._reloading:
            notify("RELOADING=1", self._log)
            try:
                answer = await self._reload()
            except TidegateError as error:
                self._reloads["refused"] += 1
                answer = refused(error)
                problems = answer["problems"]
                self._trouble = problems[0]["message"] if problems else error.message
                self._log.error("reload refused, the old rules stay", extra={"fields": answer})
                return answer
            finally:
                notify("READY=1", self._log)
        self._reloads["done"] += 1
        self._trouble = ""
        self._log.info("reloaded", extra={"fields": answer})
        return answer

    async def _reload(self) -> Json:
        config = await asyncio.to_thread(load_watch, self.file)
        rules = await asyncio.to_thread(checked_rules, config, self.file)
        await asyncio.to_thread(Reader, rules)  # a regex that does not compile is found before anything is exchanged
        try:
            await self._take(config, rules)
        except TidegateError:  # an address is taken, say
            await self._take(self.config, self._rules)
            raise
        notes = _unchanged(self.config, config)
        self.config, self._rules = config, rules
        return {"kind": "reloaded", "rules": len(rules), "notes": notes}

    async def _take(self, config: WatchConfig, rules: RuleSet) -> None:
        """Go on by other rules, with other sources; what is read from now on follows what was kept, to the record."""
        await self._sources.end(config)
        await self._desk.settled()
        saved = self._saved

        def make() -> Minds:
            nonlocal saved
            saved = self._store.load()
            return _minds(config, rules, saved)

        while True:  # to give up here would leave ended sources ended
            try:
                await self._desk.use(make)
                break
            except StoreLost as error:
                self._trouble = error.message
                await asyncio.sleep(AGAIN_S)
        self._sender.use(rules)
        self._sources.begin(config, rules, saved)

    def _open_now(self) -> list[Episode]:
        return self._desk.open

    def _ordered(self, order: Order) -> None:
        task = asyncio.ensure_future(self._carry_out(order))
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    async def _carry_out(self, order: Order) -> None:
        """Carry out an order beside the steps, and take in a step of its own what became of it."""
        proposals = self.config.acting.proposals or self.file.absolute().parent / "proposals"
        outcome, says = await carry_out(order, proposals, self.config.watch.admin.partition(":")[2])
        fields = {"act": order.matter.act.name, "matter": order.matter.id, "what": order.what, "outcome": outcome}
        self._log.info("acted", extra={"fields": {**fields, "says": says}})
        await self._desk.act(lambda acting, now, _: acting.told(order.matter.id, now, outcome, says))


def _minds(config: WatchConfig, rules: RuleSet, saved: Saved) -> Minds:
    # A value that stays too large is one hit per try: how often that is makes how long silence must last.
    slowest = max((table.every.nanoseconds for table in config.probe.values()), default=0)
    every = {rule.id: slowest for rule in rules.rules if rule.probe is not None} if slowest else None
    probes = {f"probe.{name}" for name in config.probe}
    return Minds(
        Reader(rules, saved.rows),
        Machine(rules, lateness=config.watch.lateness.count, rows=saved.rows, every=every, probes=probes),
        Acting(acts_of(config.act), saved.rows, on=config.acting.enabled),
    )


def _shown(source: Json) -> Json:
    """Return a source's view with what is wrong as a list of sentences, however the source says it."""
    troubles = [
        f"{one['path']}: {one['detail']}" if isinstance(one, dict) else str(one) for one in source.get("troubles", ())
    ]
    return {**source, "troubles": [*troubles, *filter(None, [source.get("trouble")])]}


def _unchanged(old: WatchConfig, new: WatchConfig) -> list[str]:
    """Return a sentence for what only a restart changes."""
    parts = {
        "watch.state": (old.watch.state, new.watch.state),
        "watch.name": (old.watch.name, new.watch.name),
        "watch.admin": (old.watch.admin, new.watch.admin),
        "watch.metrics": (old.watch.metrics, new.watch.metrics),
        "alertmanager": (old.alertmanager, new.alertmanager),
        "webhook": (old.webhook, new.webhook),
    }
    return [f"{name} changes with the next start" for name, (before, after) in parts.items() if before != after]
