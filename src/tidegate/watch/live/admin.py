"""The talk with a running watch: one line of JSON each way, over a Unix socket that only its user may open.

What is asked is ``{"ask": WORD, …}``; what is answered has ``format`` 1 and a ``kind``, ``refused`` among them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from tidegate.errors import ConfigError, Problem, TidegateError, UsageError, WatchUnreachable
from tidegate.unix import Place, listening
from tidegate.watch.live.model import Json

__all__ = ["ADMIN_DEFAULT", "Admin", "WatchClient", "refused"]

ADMIN_DEFAULT = Path("/run/tidegate/watch/admin.sock")

_ASK_MAX = 1 << 16
"""Longest line that is taken, in bytes."""
_ANSWER_MAX = 16 << 20
"""Longest answer that is read, in bytes; a watch's longest has some MiB."""
_TALKS = 8
"""How many are talked to at once; further ones wait until their own patience ends."""
_PATIENCE_S = 5.0

Answer = Callable[[Json], Awaitable[Json]]


class Admin:
    """Answers at ``path``, mode 0600.

    Parameters
    ----------
    answers
        What answers each word.
    """

    def __init__(self, path: Path, answers: Mapping[str, Answer], log: logging.Logger) -> None:
        self._answers, self._log = answers, log
        self._talks = asyncio.Semaphore(_TALKS)
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._socket, self._place = _bound(path)

    async def run(self) -> None:
        """Answer until cancelled, then end all talks and remove the socket."""
        try:
            server = await asyncio.start_unix_server(self._meet, sock=self._socket, limit=_ASK_MAX)
            async with server:
                try:
                    await asyncio.Event().wait()  # `serve_forever` would wait for the talks before they are ended
                finally:
                    await self._end()
        finally:
            self._socket.close()
            self._place.leave()

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._talk(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._open.pop)

    async def _end(self) -> None:
        left = dict(self._open)
        for task, writer in left.items():
            writer.close()  # a talk that has not begun would not do it
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._talks:
                async with asyncio.timeout(_PATIENCE_S):
                    line = await reader.readline()
                if not line:  # somebody only looked whether anybody is here
                    return
                answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                async with asyncio.timeout(_PATIENCE_S):
                    await writer.drain()
        except (OSError, ValueError, TimeoutError) as error:  # who asked has gone, or asks too much
            self._log.warning("nobody took the answer", extra={"fields": {"error": str(error)}})
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Json:
        try:
            asked = json.loads(line)
            word = asked["ask"]
            answer = self._answers[word]
        except (ValueError, TypeError, KeyError, RecursionError):
            return refused(UsageError("that is nothing a watch answers", hint=f"ask {', '.join(self._answers)}"))
        try:
            return {"format": 1, **await answer(asked)}
        except TidegateError as error:
            return refused(error)


def _bound(path: Path) -> tuple[socket.socket, Place]:
    hint = "let systemd make the folder (RuntimeDirectory=tidegate/watch), or name another socket as watch.admin"
    if _answers(path):
        hint = "end that one, or name another socket as watch.admin"
        raise UsageError(f"another process answers at the admin socket {path}", hint=hint)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        made, place = listening(path)
    except OSError as error:
        raise UsageError(f"the admin socket {path} cannot be made: {error.strerror}", hint=hint) from None
    made.setblocking(False)
    return made, place


def _answers(path: Path) -> bool:
    """Tell whether somebody listens there; a socket that was left behind has nobody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
        talk.settimeout(1.0)
        try:
            talk.connect(str(path))
        except OSError:
            return False
    return True


def refused(error: TidegateError) -> Json:
    """Return the answer of what cannot be done."""
    problems = error.problems if isinstance(error, ConfigError) else ()
    plain = [
        {"file": str(one.file), "line": one.line, "key": one.where, "message": one.message, "hint": one.hint}
        for one in problems
    ]
    return {"format": 1, "kind": "refused", "message": error.message, "hint": error.hint, "problems": plain}


class WatchClient:
    """Asks the watch whose admin socket is at ``path``.

    Every method raises :class:`~tidegate.errors.WatchUnreachable` when nobody answers within ``timeout_s`` seconds,
    :class:`~tidegate.errors.ConfigError` when a file is wrong and :class:`~tidegate.errors.UsageError` when the watch
    refuses what was asked.
    """

    def __init__(self, path: Path = ADMIN_DEFAULT, *, timeout_s: float = 10.0) -> None:
        # The configuration file says "unix:/path": what is copied from there must work here.
        self.path = Path(str(path).removeprefix("unix:"))
        self._timeout_s = timeout_s

    def status(self) -> Json:
        """Return what it sees: windows, episodes, sources, gaps, receivers."""
        return self._ask({"ask": "status"})

    def act(self, **what: object) -> Json:
        """Change what it does: ``on=BOOL``, ``approve=MATTER`` with ``by=WHO``, or ``ran=MATTER``."""
        return self._ask({"ask": "act", **what})

    def reload(self) -> Json:
        """Let it read its file and its rules again."""
        return self._ask({"ask": "reload"})

    def _ask(self, what: Json) -> Json:
        answer = self._talk(json.dumps(what).encode() + b"\n")
        if answer.get("kind") != "refused":
            return answer
        if problems := answer.get("problems"):
            raise ConfigError(
                [Problem(Path(p["file"]), p["line"], p["key"], p["message"], p["hint"]) for p in problems]
            )
        raise UsageError(str(answer.get("message")), hint=str(answer.get("hint", "")), slug="refused")

    def _talk(self, line: bytes) -> Json:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
                talk.settimeout(self._timeout_s)
                talk.connect(str(self.path))
                talk.sendall(line)
                data = b""
                while not data.endswith(b"\n") and (piece := talk.recv(1 << 16)):
                    data += piece
                    if len(data) > _ANSWER_MAX:
                        raise self._gone("its answer has no end")
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from None
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._gone("what answers there is not a watch")
        return answer

    def _gone(self, why: str) -> WatchUnreachable:
        hint = "is the watch running, and may this user read its socket? --admin PATH names another one"
        return WatchUnreachable(f"no watch answers at {self.path}: {why}", hint=hint)
