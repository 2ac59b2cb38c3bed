"""The talk with a running gate: HTTP/1.1 over its admin socket, and a second socket for what only Python can do.

Health, metrics, status and the switches are answered by Rust at ``PATH``. A reload has to read a TOML file, so it is
answered by the Python process at ``PATH`` + ``.reload``: connect, read one JSON object, done.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tidegate.errors import GateUnreachable, UsageError

__all__ = ["ADMIN_DEFAULT", "AdminClient", "Recording", "reload_path"]

ADMIN_DEFAULT = Path("/run/tidegate/admin.sock")

_ANSWER_MAX = 16 << 20
"""Longest answer that is read, in bytes; a gate's longest is about 1 MiB."""

_PIECE = 1 << 16
"""Most that is read of a trace at once, in bytes."""


def reload_path(admin: Path) -> Path:
    """Return where the Python process of the gate at ``admin`` answers."""
    return admin.with_name(admin.name + ".reload")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("gate", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Recording:
    """A trace while it comes from the gate, piece by piece."""

    def __init__(self, talk: socket.socket, answer: http.client.HTTPResponse) -> None:
        self._talk = talk
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with suppress(OSError):  # the gate went away: the trace lacks its last line
            while piece := self._answer.read1(_PIECE):
                yield piece

    def enough(self) -> None:
        """Ask the gate for the end, which is still to be read. May be called from a signal's handler."""
        with suppress(OSError):  # it has ended by itself
            self._talk.shutdown(socket.SHUT_WR)


class AdminClient:
    """Asks the gate whose admin socket is at ``path``.

    Every method raises :class:`~tidegate.errors.GateUnreachable` when nobody answers within ``timeout_s`` seconds, and
    :class:`~tidegate.errors.UsageError` when the gate refuses what was asked (an unknown service).
    """

    def __init__(self, path: Path = ADMIN_DEFAULT, *, timeout_s: float = 5.0) -> None:
        # The configuration file says "unix:/path": what is copied from there must work here.
        self.path = Path(str(path).removeprefix("unix:"))
        self._timeout_s = timeout_s

    def status(self) -> dict[str, Any]:
        """Return the state of every service and server."""
        return self._json("GET", "/status")

    def explain(
        self, *, client: str | None = None, service: str | None = None, call: int | None = None, limit: int = 50
    ) -> dict[str, Any]:
        """Return the newest decisions, newest first."""
        query = {"client": client, "service": service, "call": call, "limit": limit}
        return self._json("GET", "/explain?" + urlencode({k: v for k, v in query.items() if v is not None}))

    def ports(self) -> dict[str, Any]:
        """Return the ledger of source ports: every bucket of source and destination."""
        return self._json("GET", "/ports")

    def sessions(self) -> dict[str, Any]:
        """Return the sessions that are held at each vCenter, by service and user."""
        return self._json("GET", "/sessions")

    def switch(self, name: str, *, on: bool, service: str | None = None) -> dict[str, Any]:
        """Turn ``maintenance`` or ``bypass`` on or off, for one service or all."""
        return self._json("POST", f"/{name}", {"service": service, "on": on})

    def drain(self, service: str | None = None) -> dict[str, Any]:
        """Let one service, or all, take nothing new."""
        return self._json("POST", "/drain", {"service": service})

    @contextmanager
    def record(self, for_s: float, service: str | None = None) -> Iterator[Recording]:
        """Have what one service is told noted, for so many seconds from now."""
        connection = _UnixConnection(self.path, for_s + self._timeout_s)
        try:
            try:
                connection.request("POST", "/record", json.dumps({"service": service, "for_s": for_s}).encode())
                talk, answer = connection.sock, connection.getresponse()
                if answer.status >= 400:
                    raise self._refused(answer.status, answer.read(_ANSWER_MAX).decode(errors="replace"))
            except (OSError, http.client.HTTPException) as error:
                raise self._gone(error) from None
            yield Recording(talk, answer)
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of any path, ``/metrics`` for example."""
        return self._ask("GET", path, None)

    def reload(self) -> dict[str, Any]:
        """Let the gate read its file again; return the report, or the problems that kept it from taking the file."""
        path = reload_path(self.path)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
                talk.settimeout(max(self._timeout_s, 30.0))
                talk.connect(str(path))
                talk.shutdown(socket.SHUT_WR)
                data = b""
                while piece := talk.recv(65536):
                    data += piece
                    if len(data) > _ANSWER_MAX:
                        raise self._unreachable("its answer has no end")
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from None
        return self._object(data.decode(errors="replace"))

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        status, text = self._ask(method, path, body)
        if status >= 400:
            raise self._refused(status, text)
        return self._object(text)

    @staticmethod
    def _refused(status: int, text: str) -> UsageError:
        message, _, hint = text.strip().partition("; ")  # one line: the sentence, then the hint
        return UsageError(message or f"the gate answered {status}", hint=hint, slug="refused")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str]:
        connection = _UnixConnection(self.path, self._timeout_s)
        try:
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"} if data else {}
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_ANSWER_MAX).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error) from None
        finally:
            connection.close()

    def _object(self, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._unreachable("what answers there is not a gate")
        return value

    def _gone(self, error: Exception) -> GateUnreachable:
        return self._unreachable(getattr(error, "strerror", None) or str(error) or type(error).__name__)

    def _unreachable(self, why: str) -> GateUnreachable:
        hint = "is the gate running, and may this user read its socket? --admin PATH names another one"
        return GateUnreachable(f"no gate answers at {self.path}: {why}", hint=hint)
