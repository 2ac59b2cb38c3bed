"""A real rsyslog, as a relay: it takes from a Unix socket and sends on to a watch; and util-linux' logger."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from peers import PLACES

__all__ = ["Relay", "Tls", "log", "relaying"]

_SETTINGS = """\
global(workDirectory="{folder}" maxMessageSize="64k" localHostname="relay.lab"{tls})
module(load="imuxsock" SysSock.Use="off" SysSock.RateLimit.Interval="0")
input(type="imuxsock" Socket="{folder}/log" CreatePath="on" UseSysTimeStamp="off" RateLimit.Interval="0" Unlink="on")
main_queue(queue.type="LinkedList" queue.size="100000")
action(type="omfwd" target="127.0.0.1" port="{port}" action.resumeRetryCount="-1" action.resumeInterval="1" {how})
"""
_DRIVER = """
  DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{0.authority}"
  DefaultNetstreamDriverCertFile="{0.certificate}" DefaultNetstreamDriverKeyFile="{0.key}\""""
_TLS = (
    'protocol="tcp" StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" '
    'StreamDriverPermittedPeers="{}"'
)
HOW = {
    "udp": 'protocol="udp" template="RSYSLOG_TraditionalForwardFormat"',
    "lines": 'protocol="tcp" template="RSYSLOG_ForwardFormat"',
    "counted": 'protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"',
}


@dataclass(frozen=True)
class Tls:
    """What a relay shows, and whom it sends to."""

    authority: Path
    certificate: Path
    key: Path
    server: str


class Relay:
    """A running rsyslog."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "log"

    async def log(self, *arguments: str) -> None:
        """Have logger tell it something."""
        await log("--socket", str(self._socket), "--socket-errors=on", *arguments)


async def log(*arguments: str) -> None:
    """Run logger."""
    logger = await asyncio.create_subprocess_exec("logger", *arguments)
    assert await logger.wait() == 0


@asynccontextmanager
async def relaying(folder: Path, port: int, how: str, tls: Tls | None = None) -> AsyncIterator[Relay]:
    """Run rsyslog as long as the block; ``how`` is one of HOW, or what an omfwd action says."""
    told = HOW.get(how, how)
    if tls:
        told = _TLS.format(tls.server)
    settings = folder / "rsyslog.conf"
    driver = _DRIVER.format(tls) if tls else ""
    settings.write_text(_SETTINGS.format(folder=folder, port=port, how=told, tls=driver))
    program = shutil.which("rsyslogd", path=PLACES)
    assert program is not None
    server = await asyncio.create_subprocess_exec(program, "-n", "-i", "NONE", "-f", str(settings), cwd=folder)
    try:
        # It says nothing when it is ready; its socket is there then.
        while not (folder / "log").is_socket():
            assert server.returncode is None
            await asyncio.sleep(0.01)
        yield Relay(folder)
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()
