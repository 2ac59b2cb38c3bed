"""A host's side of VASA: one connection to a provider, ``setContext`` and then polls, with what became of each call.

As a command, ``python -m tidegate.lab.vasa_host ADDRESS NUMBER``, it reconnects once: it says ``connected`` and the
session's number, or how it failed (``refused``, ``cut``, ``fault``) and why.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Literal, Self

__all__ = ["CallFailed", "VasaLine", "main"]

_PATH = "/vasa/services/vasaService?version=4"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_VASA = "http://com.vmware.vim.vasa/2.0/xsd"
_DATA = "http://data.vasa.vim.vmware.com/xsd"
_ANSWER_MAX = 1 << 16
"""Longest answer that is read, head and body each, in bytes."""
_PATIENCE_S = 30.0
"""How long a call may take."""


class CallFailed(Exception):
    """A call that came to nothing.

    Parameters
    ----------
    how
        ``refused``: nobody listens; ``cut``: the connection was closed, or gave no answer in time; ``fault``: the
        provider answered, and said no.
    why
        What was said.
    """

    def __init__(self, how: Literal["refused", "cut", "fault"], why: str) -> None:
        super().__init__(f"{how}: {why}")
        self.how, self.why = how, why


class VasaLine:
    """One connection of host ``number`` to a provider in cleartext, as :meth:`open` makes it."""

    def __init__(self, address: str, number: int, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._address, self._number = address, number
        self._reader, self._writer = streams
        self.session = ""

    @classmethod
    async def open(cls, address: str, number: int) -> Self:
        """Connect to ``address`` (``host:port``).

        Raises
        ------
        CallFailed
            When nobody listens there.
        """
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(_PATIENCE_S):
                streams = await asyncio.open_connection(host, int(port), limit=_ANSWER_MAX)
        except OSError as error:  # a timeout is one, too
            raise CallFailed("refused", str(error)) from None
        return cls(address, number, streams)

    async def set_context(self) -> None:
        """Ask for a session; its number is in ``session`` then.

        Raises
        ------
        CallFailed
            When there is none.
        """
        identity = f"<d:hostGuid>5f0c7a10-0000-1000-8000-{self._number:012x}</d:hostGuid>"
        head = await self._ask("setContext", f"<v:usageContext>{identity}</v:usageContext>")
        found = re.search(r"^Set-Cookie: VASASESSIONID=(\w+)", head, re.IGNORECASE | re.MULTILINE)
        if found is None:
            raise CallFailed("fault", "setContext was answered without a session")
        self.session = found[1]

    async def poll(self) -> None:
        """Ask for events once.

        Raises
        ------
        CallFailed
            When they were not given.
        """
        await self._ask("getEvents", "<v:lastEventId>-1</v:lastEventId>")

    def close(self) -> None:
        """Close the connection, whatever is under way on it."""
        self._writer.close()

    async def _ask(self, operation: str, inner: str) -> str:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<e:Envelope xmlns:e="{_SOAP}" xmlns:v="{_VASA}" xmlns:d="{_DATA}">'
            f"<e:Body><v:{operation}>{inner}</v:{operation}></e:Body></e:Envelope>"
        )
        cookie = f"Cookie: VASASESSIONID={self.session}\r\n" if self.session else ""
        request = (
            f"POST {_PATH} HTTP/1.1\r\nHost: {self._address}\r\nContent-Type: text/xml; charset=utf-8\r\n"
            f'SOAPAction: "urn:{operation}"\r\n{cookie}Content-Length: {len(body)}\r\n\r\n{body}'
        )
        try:
            self._writer.write(request.encode())
            async with asyncio.timeout(_PATIENCE_S):
                head, answer = await self._answer()
        except TimeoutError:
            raise CallFailed("cut", f"{operation} had no answer within {_PATIENCE_S:g} s") from None
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise CallFailed("cut", f"{operation} had no answer: {error}") from None
        status = head.partition("\r\n")[0]
        if status.split(" ")[1:2] != ["200"]:
            fault = re.search(r"<faultstring>([^<]*)<", answer)
            raise CallFailed("fault", f"{operation}: {fault[1] if fault else status}")
        return head

    async def _answer(self) -> tuple[str, str]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"^Content-Length: (\d{1,9})", head, re.IGNORECASE | re.MULTILINE)
        size = int(length[1]) if length else 0
        if size > _ANSWER_MAX:
            raise EOFError(f"an answer of {size} bytes is longer than any that is read")
        return head, (await self._reader.readexactly(size)).decode(errors="replace")


async def _reconnected(address: str, number: int) -> str:
    line = await VasaLine.open(address, number)
    try:
        await line.set_context()
        await line.poll()
    finally:
        line.close()
    return line.session


def main(arguments: list[str]) -> int:
    """Reconnect once, as host ``arguments[1]`` to the provider at ``arguments[0]``; say what came of it."""
    try:
        print("connected", asyncio.run(_reconnected(arguments[0], int(arguments[1]))))
    except CallFailed as error:
        print(error.how, error.why)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
