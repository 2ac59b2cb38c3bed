"""Commands on hosts over SSH: one connection per host, host keys checked, output and time bounded.

The whole configuration is in :class:`SshOptions`; ``~/.ssh/config`` is not read, so that a run does the same from every
account. Keys come from ssh-agent, from ``identity``, or from the user's own; a password from an environment variable.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from tidegate.clients.secret import read_secret
from tidegate.clients.ssh_process import Ran, collect, converse
from tidegate.errors import FleetError, HostUnreachable

__all__ = ["Ran", "Ssh", "SshOptions", "split_address"]

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<plain>[^:\[\]]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How to reach hosts.

    Parameters
    ----------
    known_hosts
        Whose keys are trusted; ``None``: the user's ``~/.ssh/known_hosts``.
    check_host_key
        ``False`` trusts whoever answers; said aloud by :attr:`Ssh.warnings` and in the log.
    password_env
        Name of the environment variable with the password, for hosts that take no key.
    jump
        ``[USER@]HOST[:PORT]`` to go through; the user is the hosts' own unless it says another.
    connect_s, command_s
        Longest wait for a connection, and for a command that says nothing else.
    at_once
        Most commands (and connections being made) at the same time.
    kept
        Most connections that stay open; the one that was idle longest goes first.
    output_max
        Most bytes that are kept of a command's output and of its errors, each.
    """

    user: str = "root"
    port: int = 22
    known_hosts: Path | None = None
    check_host_key: bool = True
    identity: Path | None = None
    password_env: str | None = None
    jump: str | None = None
    connect_s: float = 15.0
    command_s: float = 60.0
    keepalive_s: float = 15.0
    at_once: int = 10
    kept: int = 100
    output_max: int = 1 << 20


@dataclass(eq=False, slots=True)
class _Line:
    """The connection to one host, and who may make it."""

    lock: asyncio.Lock
    connection: asyncssh.SSHClientConnection | None = None
    users: int = 0


def split_address(address: str, port: int) -> tuple[str, int]:
    """Return host and port of ``HOST``, ``HOST:PORT``, ``IPv6`` or ``[IPv6]:PORT``.

    Raises
    ------
    FleetError
        When it is none of these.
    """
    with suppress(ValueError):
        return str(IPv6Address(address)), port
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"] or port) < 65536:
        raise FleetError(f'"{address}" is not an address', hint="write HOST, HOST:PORT or [IPV6]:PORT")
    return found["v6"] or found["plain"], int(found["port"] or port)


class Ssh:
    """Runs commands on hosts.

    Examples
    --------
    >>> ssh = Ssh(SshOptions(user="root"))
    >>> ssh.warnings
    []
    """

    def __init__(self, options: SshOptions, *, environ: Mapping[str, str] | None = None) -> None:
        self._options = options
        self._environ = os.environ if environ is None else environ
        self._lines: dict[str, _Line] = {}
        self._jump = _Line(asyncio.Lock())
        self._slots = asyncio.Semaphore(options.at_once)
        self.warnings: list[str] = []
        if not options.check_host_key:
            self.warnings.append("SSH host keys are NOT checked: whoever answers gets the commands and the password")
            _LOG.warning("%s", self.warnings[0])

    async def run(self, address: str, command: str, timeout_s: float | None = None) -> Ran:
        """Run ``command`` by the host's shell, and return what it said.

        Raises
        ------
        HostUnreachable
            When the host does not answer, is not who it should be, refuses the login, or the connection breaks.
        FleetError
            When the command does not end in time (it may still run on the host).
        """
        return await self._within(
            address, command, timeout_s, lambda line: collect(line, command, self._options.output_max)
        )

    async def talk(
        self, address: str, steps: Sequence[tuple[str, str]], what: str, timeout_s: float | None = None
    ) -> str:
        """Talk with the host's login shell, where that is no shell that runs commands.

        Parameters
        ----------
        steps
            What is waited for (a regular expression), and what is then sent; sending nothing ends it.
        what
            What is being done, for sentences.

        Returns
        -------
        str
            Everything that was said, from the beginning to what was last waited for.

        Raises
        ------
        HostUnreachable, FleetError
            As :meth:`run`; also when the shell ends, or says too much, before the last step.
        """
        return await self._within(
            address, what, timeout_s, lambda line: converse(line, steps, self._options.output_max)
        )

    async def _within(
        self,
        address: str,
        what: str,
        timeout_s: float | None,
        do: Callable[[asyncssh.SSHClientConnection], Awaitable[T]],
    ) -> T:
        limit = self._options.command_s if timeout_s is None else timeout_s
        async with self._slots, self._borrow(address) as connection:
            try:
                async with asyncio.timeout(limit):
                    return await do(connection)
            except TimeoutError as error:
                # What a hanging host does with the rest of this connection cannot be known: the next one is new.
                await self._forget(address)
                raise FleetError(
                    f"{address}: `{_short(what)}` did not end within {limit:g} s",
                    hint="look at the host: the command may still be running there",
                    slug="command-timeout",
                ) from error
            except (asyncssh.Error, OSError) as error:
                await self._forget(address)
                raise HostUnreachable(
                    f"{address}: the connection broke while `{_short(what)}` ran ({_words(error)})",
                    hint="whether it has happened is found out by a new look at the host",
                    slug="connection-broke",
                ) from error

    async def close(self) -> None:
        """Close every connection; a later command opens its own."""
        for address in list(self._lines):
            await self._forget(address)
        jump, self._jump.connection = self._jump.connection, None
        if jump is not None:
            await _end(jump)
        # What belongs to this event loop goes with it: the next command may be another loop's.
        self._lines, self._jump = {}, _Line(asyncio.Lock())
        self._slots = asyncio.Semaphore(self._options.at_once)

    @asynccontextmanager
    async def _borrow(self, address: str) -> AsyncIterator[asyncssh.SSHClientConnection]:
        line = self._lines.setdefault(address, _Line(asyncio.Lock()))
        line.users += 1
        try:
            async with line.lock:
                if line.connection is None or line.connection.is_closed():
                    line.connection = await self._connect(address)
                connection = line.connection
            yield connection
        finally:
            line.users -= 1
            # Most recently used last: the first idle one is the one that was idle longest.
            if self._lines.pop(address, None) is not None:
                self._lines[address] = line
            await self._make_room()

    async def _make_room(self) -> None:
        idle = [address for address, line in self._lines.items() if not line.users]
        for address in idle[: max(0, len(self._lines) - self._options.kept)]:
            await self._forget(address)

    async def _forget(self, address: str) -> None:
        line = self._lines.get(address)
        if line is None:
            return
        if line.users == 0:
            del self._lines[address]
        connection, line.connection = line.connection, None
        if connection is not None:
            await _end(connection)

    async def _connect(self, address: str) -> asyncssh.SSHClientConnection:
        host, port = split_address(address, self._options.port)
        try:
            async with asyncio.timeout(self._options.connect_s):
                tunnel = await self._tunnel()
                return await asyncssh.connect(host, port, tunnel=tunnel or (), **self._how(self._options.user))
        except TimeoutError as error:
            raise HostUnreachable(
                f"{address} does not answer by SSH within {self._options.connect_s:g} s",
                hint="is SSH on? On ESXi the service TSM-SSH is off by default: [ssh] open_ssh = true",
            ) from error
        except (asyncssh.Error, OSError, ValueError) as error:
            raise self._refusal(address, host, port, error) from error

    async def _tunnel(self) -> asyncssh.SSHClientConnection | None:
        if self._options.jump is None:
            return None
        async with self._jump.lock:
            if self._jump.connection is None or self._jump.connection.is_closed():
                user, _, place = self._options.jump.rpartition("@")
                host, port = split_address(place, 22)
                try:
                    self._jump.connection = await asyncssh.connect(host, port, **self._how(user or self._options.user))
                except (asyncssh.Error, OSError) as error:
                    refusal = self._refusal(place, host, port, error)
                    raise HostUnreachable(f"jump host {refusal.message}", hint=refusal.hint) from error
            return self._jump.connection

    def _how(self, user: str) -> dict[str, Any]:
        options = self._options
        how: dict[str, Any] = {
            "username": user,
            "config": None,
            "known_hosts": _trusted(options.known_hosts) if options.check_host_key else None,
            "keepalive_interval": options.keepalive_s,
            "keepalive_count_max": 3,
            "agent_path": self._environ.get("SSH_AUTH_SOCK"),
        }
        if options.identity is not None:
            how["client_keys"] = [str(_there(options.identity, "the key [ssh] identity"))]
        if options.password_env is not None:
            how["password"] = read_secret(options.password_env, None, "SSH", environ=self._environ)
        return how

    def _refusal(self, address: str, host: str, port: int, error: Exception) -> HostUnreachable:
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            file = self._options.known_hosts or Path("~/.ssh/known_hosts").expanduser()
            if _knows(file, host, port):
                return HostUnreachable(
                    f"{address} shows another host key than the one in {file}: it was reinstalled, or it is not {host}",
                    hint="compare the fingerprint at the host's console before you replace the line in that file",
                    slug="wrong-host-key",
                )
            return HostUnreachable(
                f"{address} is not in {file}: nobody vouches for its host key",
                hint=f"ssh-keyscan -p {port} {host}, compare the fingerprint with the host's console, add the line",
                slug="unknown-host-key",
            )
        if isinstance(error, asyncssh.PermissionDenied):
            return HostUnreachable(
                f"{address} refuses the login of {self._options.user}",
                hint="is the key in ssh-agent or [ssh] identity, and in the host's authorized_keys? "
                "In lockdown mode ESXi lets only its exception users in",
                slug="login-refused",
            )
        return HostUnreachable(
            f"{address} cannot be reached by SSH ({_words(error)})",
            hint="is SSH on? On ESXi the service TSM-SSH is off by default: [ssh] open_ssh = true",
        )


async def _end(connection: asyncssh.SSHClientConnection) -> None:
    # A peer that hangs must not keep us: no goodbye is waited for.
    connection.abort()
    with suppress(asyncssh.Error, OSError):
        await connection.wait_closed()


def _there(file: Path, what: str) -> Path:
    if not file.is_file():
        raise FleetError(f"{what} names {file}, and there is no such file")
    return file


def _trusted(file: Path | None) -> str | tuple[()]:
    """Return what asyncssh reads; ``()`` is the user's own file."""
    return () if file is None else str(_there(file, "[ssh] known_hosts"))


def _knows(file: Path, host: str, port: int) -> bool:
    try:
        keys = asyncssh.match_known_hosts(str(file), host, "", port)[0]
    except (OSError, ValueError):
        return False
    return bool(keys)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _short(command: str) -> str:
    first = command.strip().splitlines()[0]
    return first if len(first) <= 80 else f"{first[:77]}..."
