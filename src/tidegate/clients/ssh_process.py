"""One command, or one talk with a shell, on an SSH connection that is there: bounded output, and when it has ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import asyncssh

__all__ = ["Ran", "collect", "converse"]

# How long output may come after the command has ended.
_LINGER_S = 1.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said. ``cut``: it said more than is kept, and was ended (its status is then unknown: -1)."""

    status: int
    out: str
    err: str
    cut: bool = False

    @property
    def says(self) -> str:
        """The last line of its errors, else of its output."""
        lines = [line.strip() for line in (self.err.strip() or self.out.strip()).splitlines()]
        return lines[-1][:300] if lines else "(it said nothing)"


async def collect(connection: asyncssh.SSHClientConnection, command: str, most: int) -> Ran:
    """Run a command, and return what it said: up to ``most`` bytes of its output and of its errors, each."""
    _, session = await connection.create_session(_Process, command, encoding=None)
    process = cast("_Process", session)
    # Whichever says too much ends the command, and with it what the other one waits for.
    out, err = _Kept(most, process.close), _Kept(most, process.close)
    try:
        await process.redirect(asyncssh.DEVNULL, asyncssh.PIPE, asyncssh.PIPE)
        readers = [asyncio.ensure_future(one) for one in (out.read(process.stdout), err.read(process.stderr))]
        read = asyncio.ensure_future(asyncio.wait(readers))
        ending = asyncio.ensure_future(process.exited.wait())
        try:
            # A daemon that a script has started may hold its output open for ever: the script has ended.
            await asyncio.wait([read, ending], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(readers, timeout=_LINGER_S if ending.done() else None)
            for reader in readers:
                if reader.done():
                    reader.result()
            if not (out.cut or err.cut):
                await ending
        finally:
            for task in (*readers, ending, read):
                task.cancel()
            await asyncio.gather(*readers, ending, read, return_exceptions=True)
        cut = out.cut or err.cut
        if not cut and process.returncode is None:
            raise asyncssh.ConnectionLost("no exit status came")
        status = process.returncode if not cut and process.returncode is not None else -1
        return Ran(status, out.text(), err.text(), cut)
    finally:
        process.close()


async def converse(connection: asyncssh.SSHClientConnection, steps: Sequence[tuple[str, str]], most: int) -> str:
    """Talk with the login shell: wait for a pattern, send an answer; return all that was said, up to ``most`` bytes."""
    process: asyncssh.SSHClientProcess[bytes] = await connection.create_process(
        encoding=None, term_type="dumb", term_size=(400, 50), stderr=asyncssh.STDOUT
    )
    try:
        said, size = "", 0
        for pattern, answer in steps:
            begin = len(said)
            while re.search(pattern, said[begin:]) is None:
                piece = await process.stdout.read(65536)
                size += len(piece)
                if not piece or size > most:
                    raise asyncssh.ConnectionLost("it hung up" if not piece else "it says too much")
                said += piece.decode(errors="replace").replace("\r\n", "\n")
            if answer:
                process.stdin.write(answer.encode())
        return said
    finally:
        process.close()


class _Process(asyncssh.SSHClientProcess[bytes]):
    """A command that tells when it has ended, which may be before its output has."""

    def __init__(self) -> None:
        super().__init__()
        self.exited = asyncio.Event()

    def exit_status_received(self, status: int) -> None:
        super().exit_status_received(status)
        self.exited.set()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        super().exit_signal_received(signal, core_dumped, msg, lang)
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.exited.set()


class _Kept:
    """Up to so many bytes of a stream; more than that ends the command."""

    def __init__(self, most: int, end: Callable[[], None]) -> None:
        self._most, self._end = most, end
        self._pieces: list[bytes] = []
        self._size = 0
        self.cut = False

    async def read(self, stream: asyncssh.SSHReader[bytes]) -> None:
        """Read to the stream's end, or until it is too much."""
        while piece := await stream.read(65536):
            self._pieces.append(piece[: self._most - self._size])
            self._size += len(piece)
            if self._size > self._most:
                self.cut = True
                self._end()
                return

    def text(self) -> str:
        """Return what is kept."""
        return b"".join(self._pieces).decode(errors="replace")
