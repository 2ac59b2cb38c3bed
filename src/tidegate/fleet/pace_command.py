"""One command for one machine: filled in, started without a shell, its output kept bounded, ended in time.

``{vm}`` is replaced inside the elements of the argument list, so a name stays one element whatever stands in it. The
command also has it as ``TIDEGATE_VM``, and the shared session as ``TIDEGATE_SESSION``; what a password would be read
from is taken out of its environment. It has no input and is a process group of its own: Ctrl-C does not reach it, and
when its time is over the whole group ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from tidegate.errors import UsageError

__all__ = ["Outcome", "Tail", "environment", "filled", "run_command"]

_GRACE_S = 10.0
_PIPE_READS = 64  # a pipe holds 1 MiB at the most
_PLACE = "{vm}"


class Tail:
    """The end of an output: the newest bytes up to ``most``, and how many went before them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        """Take more of it."""
        self._kept += data
        over = len(self._kept) - self._most
        if over > 0:
            del self._kept[:over]
            self.dropped += over

    def text(self, secret: str = "") -> str:
        """Return it as text, without ``secret``."""
        text = bytes(self._kept).decode(errors="replace")
        if secret:
            text = text.replace(secret, "[session]")
            if self.dropped:  # its beginning may have been cut in the middle of the secret
                text = next((text[n:] for n in range(len(secret) - 1, 0, -1) if text.startswith(secret[-n:])), text)
        return text


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended; ``code`` is ``None`` when it could not be started."""

    code: int | None
    why: str
    """Empty when it went well."""
    stdout: Tail
    stderr: Tail

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return not self.why

    @classmethod
    def broken_off(cls) -> Self:
        """Return the outcome of one that the operator has ended."""
        return cls(None, "broken off by the operator", Tail(0), Tail(0))


def filled(command: Sequence[str], vm: str) -> list[str]:
    """Return the argument list for one machine.

    Raises
    ------
    UsageError
        When the command has no place for it, or would take the name for an option.
    """
    if not any(_PLACE in part for part in command):
        raise UsageError("the command names no {vm}", hint="write it after --, for example: -- ./snapshot.py {vm}")
    if vm.startswith("-") and _PLACE in command:
        hint = "write it into an option of the command: --name={vm}"
        raise UsageError(f'the command would take the name "{vm}" for an option', hint=hint)
    return [part.replace(_PLACE, vm) for part in command]


def environment(vm: str, session: str | None, base: Mapping[str, str], without: Collection[str] = ()) -> dict[str, str]:
    """Return the environment of a command: ``base`` without what a password stands in."""
    kept = {name: value for name, value in base.items() if name not in without}
    kept["TIDEGATE_VM"] = vm
    if session is None:
        kept.pop("TIDEGATE_SESSION", None)
    else:
        kept["TIDEGATE_SESSION"] = session
    return kept


async def run_command(
    arguments: Sequence[str],
    env: Mapping[str, str],
    *,
    timeout_s: float,
    output_max: int,
    started: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Run one command to its end.

    Parameters
    ----------
    started
        Told the process when there is one.
    """
    stdout, stderr = Tail(output_max), Tail(output_max)
    with _Pipe(stdout) as out, _Pipe(stderr) as err:
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                env=dict(env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out.write,
                stderr=err.write,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            return Outcome(None, f"cannot be started: {reason}", stdout, stderr)
        finally:
            out.given()
            err.given()
        late = False
        try:
            started(process.pid)
            async with asyncio.timeout(timeout_s):
                await process.wait()
        except TimeoutError:
            late = True
            await _end(process)
        except BaseException:
            await _end(process)
            raise
        out.drain()
        err.drain()
    why = f"timed out after {timeout_s:g} s" if late else _why(process.returncode)
    return Outcome(process.returncode, why, stdout, stderr)


class _Pipe:
    """What a command writes to. Not asyncio's own: what the command leaves behind could hold that open for ever."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._loop = asyncio.get_running_loop()
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)

    def __enter__(self) -> Self:
        self._loop.add_reader(self._read, self._ready)
        return self

    def given(self) -> None:
        """Close the end that the command has now."""
        os.close(self.write)

    def drain(self) -> None:
        """Take what is left when the command has ended: at the most what a pipe holds."""
        for _ in range(_PIPE_READS):
            if not self._ready():
                return

    def _ready(self) -> bool:
        try:
            data = os.read(self._read, 65536)
        except BlockingIOError:
            return False
        self._tail.add(data)
        if not data:
            self._loop.remove_reader(self._read)
        return bool(data)

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._read)
        os.close(self._read)


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"ended by signal {-code}"
    return f"exit code {code}" if code else ""


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the whole group: TERM, and KILL when it does not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
                return
