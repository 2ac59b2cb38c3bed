"""The lab's vCenter: vcsim with what it lacks (vsphere.md §3.2), as one process in front of it.

Started as ``python -m tidegate.lab.vcenter_front SPEC`` (JSON, or ``@FILE``; keys are those of
:class:`tidegate.lab.vcenter_front_spec.Spec`); it says one ready line and ends with its stdin. ``GET /lab/counters``
says what it has seen; so does a line ``{"cmd": "counts"}`` on stdin.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from tidegate.errors import LabError
from tidegate.lab.vcenter_front_calls import Calls
from tidegate.lab.vcenter_front_http import HEAD_MAX, Answer, Call, Upstream, read_call, write_answer
from tidegate.lab.vcenter_front_spec import Counters, Spec
from tidegate.lab.vcenter_front_vcsim import find_vcsim, start_vcsim

__all__ = ["Front", "main"]

_BACKLOG = 4096


class Front:
    """The listener in front of one simulator."""

    def __init__(self, spec: Spec, upstream: Upstream) -> None:
        self.counters = Counters()
        self.calls = Calls(spec, upstream, self.counters)
        self._spec, self._upstream = spec, upstream
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen; return the address."""
        tls = None
        if self._spec.certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self._spec.certificate, self._spec.key)
        host, _, port = self._spec.listen.rpartition(":")
        self._server = await asyncio.start_server(
            self._serve, host, int(port), ssl=tls, limit=HEAD_MAX, backlog=_BACKLOG
        )
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    def told(self) -> dict[str, Any]:
        """Return the counters."""
        sessions = self.calls.sessions
        return self.counters.told(sessions=len(sessions), peak_sessions=sessions.peak)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counters.connections += 1
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            try:
                while (call := await read_call(reader, writer)) is not None:
                    write_answer(writer, await self._answer(call), closes=call.closes, bare=call.method == "HEAD")
                    await writer.drain()
                    if call.closes:
                        break
            except ValueError:
                write_answer(writer, Answer(400), closes=True)
        with contextlib.suppress(OSError):
            writer.close()

    async def _answer(self, call: Call) -> Answer:
        if call.path == "/lab/counters":
            return Answer(200, json.dumps(self.told()).encode(), [("Content-Type", "application/json")])
        counters = self.counters
        counters.in_flight += 1
        counters.peak_in_flight = max(counters.peak_in_flight, counters.in_flight)
        try:
            if call.method == "POST" and call.body.lstrip()[:1] == b"<":
                return await self.calls.answer(call, time.monotonic())
            return await self._upstream.ask(call)
        except (OSError, ValueError):
            return Answer(502)
        finally:
            counters.in_flight -= 1


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


async def _run(spec: Spec) -> None:
    program = Path(spec.vcsim) if spec.vcsim else find_vcsim()
    process, port = await start_vcsim(program, spec.users, spec.password, spec.inventory)
    front = Front(spec, Upstream(port))
    try:
        address = await front.start()
        words = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
        _say({"kind": "ready", "address": address})
        while line := await words.readline():
            if json.loads(line)["cmd"] == "counts":
                _say({"kind": "counts", **front.told()})
    finally:
        process.kill()
        await process.wait()


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
