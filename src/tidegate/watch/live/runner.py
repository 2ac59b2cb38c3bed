"""A watch as a process: everything started and joined, signals, readiness, an end that loses nothing.

One event loop has the sources, the desk, the senders and the admin socket; what blocks (reading, judging, keeping) is
done in threads, one step at a time. TERM and INT end it: sources stop, what they have handed on is judged and kept, and
what is still to be said is said after the next start. HUP reads file and rules again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from tidegate.daemon import log_json, notify
from tidegate.watch.live.admin import Admin
from tidegate.watch.live.check import checked_rules
from tidegate.watch.live.load import load_watch
from tidegate.watch.live.metrics import serving
from tidegate.watch.live.model import Json
from tidegate.watch.live.office import Office
from tidegate.watch.live.receivers import receivers_of
from tidegate.watch.live.store_open import open_store

__all__ = ["run_watch"]

Ready = Callable[[dict[str, Any]], None]

_STDIN = 0
_SCRAPE_S = 5.0
"""How long a scrape waits for the view."""


def run_watch(file: Path, *, ready: Ready, until_eof: bool = False) -> None:
    """Run the watch that ``file`` describes until it is told to end.

    Parameters
    ----------
    ready
        Called once, with the addresses that it listens at, when every source is open.
    until_eof
        End when stdin closes, so that a watch never outlives the supervisor that holds the other end.

    Raises
    ------
    TidegateError
        When the file or its rules are wrong, or something cannot be opened: nothing is watched then. Later: when the
        store is another watch's by now, or what was done last cannot be kept.
    """
    log = log_json("tidegate.watch")
    config = load_watch(file)
    rules, receivers = checked_rules(config, file), receivers_of(config)
    with closing(open_store(config.watch.state, config.watch.name, [one.name for one in receivers])) as store:
        office = Office(file, config, rules, store=store, receivers=receivers, log=log)
        asyncio.run(_run(office, log, ready, until_eof=until_eof))


async def _run(office: Office, log: logging.Logger, ready: Ready, *, until_eof: bool) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    admin_path = Path(office.config.watch.admin.partition(":")[2])
    admin = Admin(admin_path, office.answers(), log)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if until_eof:
        _until_eof(loop, told)
    with ExitStack() as stack:
        metrics = None
        if office.config.watch.metrics:
            metrics = stack.enter_context(serving(office.config.watch.metrics, _scraped(office, loop), log))
        helpers: set[asyncio.Task[Any]] = set()

        def help_with(work: Coroutine[Any, Any, Any]) -> None:
            task = asyncio.ensure_future(work)
            helpers.add(task)
            task.add_done_callback(helpers.discard)

        help_with(admin.run())
        loop.add_signal_handler(signal.SIGHUP, lambda: help_with(office.reload()))
        try:
            sources = await office.open()
            notify(f"READY=1\nMAINPID={os.getpid()}", log)
            log.info("watching", extra={"fields": {"file": str(office.file), "sources": sources}})
            ready(
                {"format": 1, "kind": "ready", "sources": sources, "metrics": metrics, "admin": str(admin_path)},
            )
            await office.until(told)
        finally:
            notify("STOPPING=1", log)
            left = list(helpers)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await office.close()
    log.info("ended")


def _scraped(office: Office, loop: asyncio.AbstractEventLoop) -> Callable[[], Json]:
    """Return what gives the view to a thread."""

    def view() -> Json:
        return asyncio.run_coroutine_threadsafe(office.status(), loop).result(_SCRAPE_S)

    return view


def _until_eof(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    """Be told when nothing holds the other end of stdin any more; what is no pipe has none."""

    def look() -> None:
        with suppress(BlockingIOError):
            if not os.read(_STDIN, 4096):
                loop.remove_reader(_STDIN)
                told.set()

    try:
        loop.add_reader(_STDIN, look)
    except OSError:
        told.set()
