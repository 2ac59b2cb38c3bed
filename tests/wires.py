"""SOAP as bytes on a socket, for what no well-behaved client would send."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["Answer", "Wire", "call", "envelope", "login", "post"]

_TOKEN = re.compile(r'vmware_soap_session="([0-9a-f]+)"')


def envelope(body: str, header: str = "") -> bytes:
    """Return an envelope around ``body``, with ``header`` in its header."""
    header = f"<e:Header>{header}</e:Header>" if header else ""
    return (
        f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/">{header}<e:Body>{body}</e:Body></e:Envelope>'
    ).encode()


def call(name: str, this: str = "ServiceInstance", inside: str = "", *, kind: str = "", header: str = "") -> bytes:
    """Return the envelope of a call on an object; its type is its id where that is not said."""
    on = f'<_this type="{kind or this}">{this}</_this>'
    return envelope(f'<{name} xmlns="urn:vim25">{on}{inside}</{name}>', header)


def login(user: str, password: str, this: str = "SessionManager") -> bytes:
    """Return the envelope of a Login."""
    return call("Login", this, f"<userName>{user}</userName><password>{password}</password>")


def post(body: bytes, *fields: str, path: str = "/sdk", framing: str | None = None) -> bytes:
    """Return a request; ``framing`` in place of its length."""
    lines = [f"POST {path} HTTP/1.1", "Host: vc", "Content-Type: text/xml", 'SOAPAction: "urn:vim25/8.0"', *fields]
    lines.append(f"Content-Length: {len(body)}" if framing is None else framing)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: str

    def every(self, name: str) -> list[str]:
        """Return the values of a field."""
        return [value for one, value in self.fields if one == name]

    @property
    def token(self) -> str:
        """The session that it gives, or nothing."""
        found = _TOKEN.search(" ".join(self.every("set-cookie")))
        return found[1] if found else ""

    @property
    def fault(self) -> str:
        """The type of the SOAP fault that it is, or nothing."""
        found = re.search(r'xsi:type="(\w+)"', self.body) if self.status == 500 else None
        return found[1] if found else ""


class Wire:
    """One connection. By TLS where an authority's file is given."""

    def __init__(self, address: str, ca: Path | None = None) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 30)
        if ca is not None:
            context = ssl.create_default_context(cafile=str(ca))
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def says(self, data: bytes) -> Answer:
        """Send bytes; return the next answer."""
        self.send(data)
        return self.answer()

    def answer(self) -> Answer:
        """Return the next answer that is no interim one."""
        while True:
            head, self._rest = self._until(b"\r\n\r\n").split(b"\r\n\r\n", 1)
            first, *lines = head.decode("latin-1").split("\r\n")
            status = int(first.split(" ", 2)[1])
            if status >= 200:
                break
        pairs = (line.partition(":") for line in lines)
        fields = tuple((name.lower(), value.strip()) for name, _, value in pairs)
        told = dict(fields)
        if told.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._take_line(), 16):
                body += self._take(size)
                self._take_line()
            self._take_line()
        else:
            body = self._take(int(told.get("content-length", "0")))
        return Answer(status, fields, body.decode())

    def pours(self, data: bytes) -> None:
        """Send bytes until the other side will have no more of them."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """Return what comes, up to ``end``."""
        said, self._rest = self._until(end).split(end, 1)
        return said + end

    def closed(self) -> bytes:
        """Return what comes until the other side closes."""
        said, self._rest = self._rest, b""
        try:
            while piece := self.socket.recv(65536):
                said += piece
        except (ConnectionError, ssl.SSLError):
            pass
        return said

    def _take_line(self) -> bytes:
        line, self._rest = self._until(b"\r\n").split(b"\r\n", 1)
        return line

    def _take(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._more()
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._more()
        return self._rest

    def _more(self) -> None:
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError(f"closed after {self._rest!r}")
        self._rest += piece
