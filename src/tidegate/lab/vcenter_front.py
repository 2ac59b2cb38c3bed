"""The lab's vCenter: vcsim with what it lacks (vsphere.md §3.2), as one process in front of it.

Started as ``python -m tidegate.lab.vcenter_front SPEC`` (JSON, or ``@FILE``; keys are those of
:class:`tidegate.lab.vcenter_front_spec.Spec`); it says one ready line and ends with its stdin. ``GET /lab/counters``
says what it has seen; so does a line ``{"cmd": "counts"}`` on stdin. ``POST /lab/control`` asks for faults::

    {"kill": "*"}               end all sessions, or those of the user named
    {"stale": ["host-12"]}      gateways of these hosts ("*": all) take no token of a session that is older than now
    {"latency_ms": 20}          every call takes so much longer
    {"hold": true}              no task of a host comes to its end, until it may again
    {"simulator": {"latency": {"host": "host-12", …}}}    what vcsim's own ``/control`` is asked for
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidegate.errors import LabError
from tidegate.lab.vcenter_front_calls import Calls
from tidegate.lab.vcenter_front_hosts import Hosts
from tidegate.lab.vcenter_front_http import (
    Answer,
    Call,
    Upstream,
    json_answer,
    listen,
    read_call,
    write_answer,
)
from tidegate.lab.vcenter_front_rest import Rest
from tidegate.lab.vcenter_front_simulator import Simulator
from tidegate.lab.vcenter_front_spec import Counters, Spec
from tidegate.lab.vcenter_front_vcsim import find_vcsim, start_vcsim
from tidegate.lab.vcenter_front_work import Work

__all__ = ["Front", "main"]

_SWEEP_S = 1.0
_END_S = 1.0


class Front:
    """The listener in front of one simulator, whose jobs in the background belong to ``group``."""

    def __init__(self, spec: Spec, port: int, group: asyncio.TaskGroup) -> None:
        self.counters = Counters()
        self._spec = spec
        self._upstream = Upstream(port)
        simulator = self._simulator = Simulator(self._upstream, spec.users.partition(",")[0], spec.password)
        self._work = Work(spec)
        self._hosts = Hosts(spec, self.counters, simulator, group.create_task)
        self.calls = Calls(spec, self.counters, simulator, self._hosts, self._work)
        self.rest = Rest(spec, self.counters, simulator)
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def start(self) -> str:
        """Listen; return the address."""
        tls = None
        if self._spec.certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self._spec.certificate, self._spec.key)
        return await listen(self._serve, self._spec.listen, tls)

    async def close(self) -> None:
        """Break off all connections."""
        handlers = [task for task in self._open.values() if task is not None]
        for writer in self._open:
            writer.transport.abort()
        self._upstream.close()
        if handlers:
            await asyncio.wait(handlers, timeout=_END_S)

    async def sweep(self) -> None:
        """End what was idle for too long, again and again."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._spec.session_idle_s / 4, self._spec.lease_s / 4))
            now = time.monotonic()
            for session in self.calls.sessions.idle(now):
                await self.calls.end(session)
            with contextlib.suppress(OSError, ValueError):
                await self._hosts.sweep(now)

    def told(self) -> dict[str, Any]:
        """Return the counters."""
        sessions = self.calls.sessions
        more = {"sessions": len(sessions), "peak_sessions": sessions.peak, "rest_sessions": len(self.rest)}
        return self.counters.told(**more)

    async def control(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Do what a test asks for."""
        said: dict[str, Any] = {}
        if who := wish.get("kill"):
            user = None if who == "*" else who
            gone = self.calls.sessions.of(user)
            for session in gone:
                await self.calls.end(session)
            said["killed"] = len(gone) + await self.rest.kill(user)
        for host in wish.get("stale", ()):
            self._hosts.stale[host] = time.monotonic()
        if "hold" in wish:
            self._hosts.hold(held=wish["hold"])
        for what, query in wish.get("simulator", {}).items():
            said[what] = await self._simulator.control(what, **query)
        if "latency_ms" in wish:
            self._work.latency_s = wish["latency_ms"] / 1000
        return said

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counters.connections += 1
        self._open[writer] = asyncio.current_task()

        def left() -> bool:
            return reader.at_eof() or writer.is_closing()

        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            try:
                while (call := await read_call(reader, writer)) is not None:
                    bare, closes = call.method == "HEAD", call.closes
                    write_answer(writer, await self._answer(call, left), closes=closes, bare=bare)
                    await writer.drain()
                    if closes:
                        break
            except ValueError:
                write_answer(writer, Answer(400), closes=True)
        self._open.pop(writer)
        with contextlib.suppress(OSError):
            writer.close()

    async def _answer(self, call: Call, left: Callable[[], bool]) -> Answer:
        if call.path == "/lab/counters":
            return json_answer(self.told())
        if call.path == "/lab/control" and call.method == "POST":
            return json_answer(await self.control(json.loads(call.body)))
        counters = self.counters
        counters.in_flight += 1
        counters.peak_in_flight = max(counters.peak_in_flight, counters.in_flight)
        try:
            if call.method == "POST" and call.body.lstrip()[:1] == b"<":
                return await self.calls.answer(call, left)
            await self._work.delay()
            return await self.rest.answer(call)
        except (OSError, ValueError):
            return Answer(502)
        finally:
            counters.in_flight -= 1


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


async def _run(spec: Spec) -> None:
    program = Path(spec.vcsim) if spec.vcsim else find_vcsim()
    process, port = await start_vcsim(program, spec.users, spec.password, spec.inventory)
    try:
        async with asyncio.TaskGroup() as group:
            await _play(Front(spec, port, group), group)
    except* _OverError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _play(front: Front, group: asyncio.TaskGroup) -> None:
    """Serve until stdin ends."""
    address = await front.start()
    group.create_task(front.sweep())
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    _say({"kind": "ready", "address": address})
    while line := await words.readline():
        if json.loads(line)["cmd"] == "counts":
            _say({"kind": "counts", **front.told()})
    await front.close()
    raise _OverError


class _OverError(Exception):
    """Its stdin has ended, and with it everything."""


def main() -> None:
    """Run it until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    given = sys.argv[1] if len(sys.argv) > 1 else "{}"
    text = Path(given[1:]).read_text() if given.startswith("@") else given
    try:
        asyncio.run(_run(Spec(**json.loads(text))))
    except LabError as error:
        sys.exit(f"{error}\nhint: {error.hint}" if error.hint else str(error))


if __name__ == "__main__":
    main()
