"""One session at a vCenter, in threads: pyVmomi blocks, so every call runs in a small pool and is bounded there.

A session that has died is replaced once (vsphere reference, §2.2): a ``NotAuthenticated`` about ``System.*`` means that
the call was not made. Any other ``NotAuthenticated`` comes from a hop behind vCenter, may have happened, and is not
repeated. The API version is a fixed one that every supported vCenter speaks, so nothing is asked before the login.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from xml.parsers.expat import ExpatError

from tidegate.clients.secret import read_secret
from tidegate.clients.tls import Trust
from tidegate.clients.vmomi import SoapStubAdapter, vim, vmodl
from tidegate.errors import FleetError, HostUnreachable

__all__ = [
    "PASSWORD_ENV",
    "Session",
    "VcenterOptions",
    "fault_words",
    "in_words",
    "log_in",
    "own_session_died",
    "stub_arguments",
    "token_in",
]

T = TypeVar("T")

PASSWORD_ENV = "TIDEGATE_VCENTER_PASSWORD"  # noqa: S105 (the name of a variable)
"""Where a password is looked for, unless another variable is named."""

_VERSION = "vim.version.v7_0"
_THREADS = 4
# A socket's timeout bounds one wait; an answer that trickles in is bounded by this many of them.
_WAITS = 10
_COOKIE = re.compile(r'^\s*vmware_soap_session\s*=\s*"?([^";\s]+)"?')
# What vCenter says where a hop behind it has answered (vsphere reference, §2.2, shape 3).
_BEHIND = "Received SOAP response fault from ["


@dataclass(frozen=True, slots=True)
class VcenterOptions:
    """How to reach a vCenter.

    Parameters
    ----------
    password_env, password_file
        Where the password is.
    ca, thumbprint, verify, name
        See :class:`~tidegate.clients.tls.Trust`.
    page
        Most objects in one answer.
    """

    address: str
    user: str
    port: int = 443
    password_env: str = PASSWORD_ENV
    password_file: Path | None = None
    ca: Path | None = None
    thumbprint: str | None = None
    verify: bool = True
    name: str | None = None
    timeout_s: float = 30.0
    page: int = 250

    @property
    def whose(self) -> str:
        """What people call it."""
        return f"vCenter {self.address}"

    @property
    def trust(self) -> Trust:
        """How it proves who it is."""
        return Trust(self.ca, self.thumbprint, self.verify, self.name)

    def password(self) -> str:
        """Return the password."""
        return read_secret(self.password_env, self.password_file, self.whose)


def own_session_died(fault: Any) -> bool:
    """Return whether a fault says that our own session is gone (and so that the call was not made)."""
    if not isinstance(fault, vim.fault.NotAuthenticated) or _BEHIND in (fault.msg or ""):
        return False
    return bool((fault.privilegeId or "System.").startswith("System."))


def fault_words(fault: Any) -> str:
    """Return what vCenter says of a fault, in one line of at most 300 characters; else what it is called."""
    said = " ".join((fault.msg or "").split())
    return said[:300] or type(fault).__name__.rpartition(".")[2]


def token_in(cookie: str) -> str:
    """Return the session's id of a vCenter's cookie (pure).

    Raises
    ------
    FleetError
        When there is none in it.
    """
    found = _COOKIE.match(cookie)
    if found is None:
        raise FleetError("vCenter has given no session cookie after the login")
    return found[1]


def stub_arguments(options: VcenterOptions, context: ssl.SSLContext) -> dict[str, Any]:
    """Return what pyVmomi's stub is made with."""
    return {
        "host": options.address,
        "port": options.port,
        "version": _VERSION,
        "path": "/sdk",
        "sslContext": context,
        "httpConnectionTimeout": options.timeout_s,
    }


def log_in(stub: Any, options: VcenterOptions, password: str) -> Any:
    """Log in, and return the service content (blocks).

    Raises
    ------
    FleetError
        When what answers is no vCenter; and pyVmomi's faults.
    """
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    if content.sessionManager is None:
        raise FleetError(f"{options.whose} shows no session manager: is it a vCenter?")
    content.sessionManager.Login(options.user, password, None)
    return content


@contextmanager
def in_words(options: VcenterOptions) -> Iterator[None]:
    """Turn what goes wrong at a vCenter into one sentence; a ``NotAuthenticated`` stays what it is.

    Raises
    ------
    HostUnreachable
        When vCenter does not answer, or is not who it should be.
    FleetError
        When it refuses the login or the call.
    """
    whose = options.whose
    try:
        yield
    except vim.fault.NotAuthenticated:
        raise
    except vim.fault.InvalidLogin as error:
        raise FleetError(
            f"{whose} refuses the login of {options.user}",
            hint=f"is the password in ${options.password_env} right, and the user written USER@DOMAIN?",
            slug="login-refused",
        ) from error
    except vmodl.MethodFault as fault:
        raise FleetError(f"{whose}: {fault_words(fault)}", slug=type(fault).__name__.rpartition(".")[2]) from fault
    except ssl.SSLCertVerificationError as error:
        raise HostUnreachable(
            f"{whose} shows a certificate that nobody vouches for ({error.verify_message})",
            hint="name its CA file (ca) or the certificate's SHA-256 (thumbprint)",
            slug="wrong-certificate",
        ) from error
    except (OSError, http.client.HTTPException, ExpatError) as error:
        # TimeoutError is an OSError: the pool's and the socket's.
        said = (error.strerror if isinstance(error, OSError) else None) or str(error) or "no answer in time"
        raise HostUnreachable(f"{whose} does not answer ({said})") from error


@dataclass(eq=False)
class _Login:
    """What a login gave."""

    stub: Any
    content: Any


class Session:
    """Runs blocking work with a logged-in service content."""

    def __init__(self, options: VcenterOptions) -> None:
        self.options = options
        self._pool: ThreadPoolExecutor | None = None
        self._opening = asyncio.Lock()
        self._login: _Login | None = None

    async def call(self, work: Callable[[Any, Any], T]) -> T:
        """Run ``work(stub, content)`` in a thread; with a new session once more if ours has died.

        Raises
        ------
        HostUnreachable
            When vCenter does not answer, or is not who it should be.
        FleetError
            When it refuses the login or the call.
        """
        login = await self._open()
        try:
            return await self._in_thread(lambda: work(login.stub, login.content))
        except vim.fault.NotAuthenticated as fault:
            if not own_session_died(fault):
                raise FleetError(
                    f"{self.options.whose}: a session behind it was refused ({fault.privilegeId})",
                    hint="KB 440879: the host gateway's token has expired; not repeated, since it may have happened",
                    slug="not-authenticated",
                ) from fault
        async with self._opening:
            if self._login is login:
                self._login = None
                login.stub.DropConnections()
        login = await self._open()
        return await self._in_thread(lambda: work(login.stub, login.content), last=True)

    async def close(self) -> None:
        """Log out and give the threads back; a later call logs in anew."""
        login, self._login = self._login, None
        if login is not None:
            with suppress(FleetError, vmodl.MethodFault):
                await self._in_thread(login.content.sessionManager.Logout)
            login.stub.DropConnections()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        # What belongs to this event loop goes with it: the next call may be another loop's.
        self._opening = asyncio.Lock()

    async def _open(self) -> _Login:
        async with self._opening:
            if self._login is None:
                password = self.options.password()
                self._login = await self._in_thread(lambda: self._log_in(password), last=True)
            return self._login

    def _log_in(self, password: str) -> _Login:
        options = self.options
        context = options.trust.context(options.address, options.port, options.timeout_s)
        stub = SoapStubAdapter(**stub_arguments(options, context))
        try:
            content = log_in(stub, options, password)
        except BaseException:
            stub.DropConnections()
            raise
        return _Login(stub, content)

    async def _in_thread(self, work: Callable[[], T], *, last: bool = False) -> T:
        try:
            with in_words(self.options):
                async with asyncio.timeout(self.options.timeout_s * _WAITS):
                    if self._pool is None:
                        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vcenter")
                    return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except vim.fault.NotAuthenticated:
            if not last:
                raise
            raise FleetError(f"{self.options.whose} does not keep the session that it has just given") from None
