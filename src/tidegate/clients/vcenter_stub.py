"""pyVmomi's stub for a session that many threads and processes share: it is renewed once, and reads are repeated.

What pyVmomi's own does not do: it keeps its cookie whatever an answer brings, asks for a new session when this one has
died, repeats what may be repeated (:mod:`tidegate.clients.vcenter_replay`) within a budget and not before
``Retry-After``, has at most ten calls under way (long polls apart), and survives a ``fork``.
"""

from __future__ import annotations

import http.client
import os
import random
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tidegate.clients.http import retry_after
from tidegate.clients.retry import Budget, full_jitter
from tidegate.clients.vcenter_replay import Failure, failure_of, is_read, lost_in, repeats
from tidegate.clients.vcenter_session import VcenterOptions, stub_arguments, token_in
from tidegate.clients.vmomi import SoapStubAdapter, id_of, vim
from tidegate.errors import HostUnreachable, UsageError

__all__ = ["Stub"]

_AT_ONCE = 10
_CLONES = 8
_TRIES = 5
_PATIENCE_S = 60.0
# How long a call waits for a place, in timeouts of the calls before it.
_WAITS = 10
# vCenter closes an idle connection after 900 s; a write over one that is just being closed may have happened or not.
_POOL_S = 60
# After so long without a call the session is looked at before a write: vCenter ends idle ones after 30 min.
_IDLE_S = 300.0
_LONG_POLLS = frozenset({"WaitForUpdates", "WaitForUpdatesEx"})
_LONG_POLL_S = 3600.0
# What would change, cancel or hear what others do in the same session, and is therefore refused (§2.5).
_FOR_ALL = frozenset({"CancelWaitForUpdates", "ImpersonateUser", "SetLocale"})
_OF_THE_COLLECTOR = frozenset({"CheckForUpdates", "CreateFilter", "WaitForUpdates", "WaitForUpdatesEx"})
_DEFAULT_COLLECTOR = "propertyCollector"


class _Connection(http.client.HTTPSConnection):
    """Remembers what the last answer asked for, which pyVmomi does not tell."""

    asked: str | None = None

    def getresponse(self) -> http.client.HTTPResponse:
        answer = super().getresponse()
        self.asked = answer.getheader("Retry-After")
        return answer


class Stub(SoapStubAdapter):  # type: ignore[misc]  # pyVmomi's names are Any
    """A stub with one session.

    Parameters
    ----------
    context
        How the server proves who it is.
    token
        The session's id; ``None``: the one of the login that is made with this stub, until :meth:`keep`.
    renew
        Called with an id that has died; sets another one with :meth:`keep`, or raises. ``None``: nobody's but ours, so
        it is not renewed, and a logout is one.
    """

    def __init__(
        self,
        options: VcenterOptions,
        context: ssl.SSLContext,
        token: str | None = None,
        renew: Callable[[str], None] | None = None,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.options = options
        self.clones = threading.BoundedSemaphore(_CLONES)
        """Places for sessions that are cloned from this one."""
        self._context, self._renew, self._sleep = context, renew, sleep
        self._token, self._given, self._closed = token, "", False
        self._budget, self._rng = Budget(), random.Random()  # noqa: S311 (jitter is no secret)
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._here = threading.local()
        self._used = time.monotonic()
        super().__init__(**stub_arguments(options, context), poolSize=_AT_ONCE, connectionPoolTimeout=_POOL_S)
        self.scheme = _Connection
        _STUBS.add(self)

    @property
    def token(self) -> str:
        """The session's id; a secret."""
        return self._token or ""

    @property
    def cookie(self) -> str:
        """What is sent as ``Cookie``."""
        return self._given if self._token is None else f'vmware_soap_session="{self._token}"' if self._token else ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        # vCenter sets a cookie with many an answer, a refusal too: only a login's is the session's.
        self._given = value

    def keep(self, token: str | None = None) -> str:
        """Use this session from now on; without one the session of the login that was made with this stub."""
        self._token = token_in(self._given) if token is None else token
        self._used = time.monotonic()
        return self._token

    def sibling(self) -> Stub:
        """Return a stub for the same server, without a session."""
        return Stub(self.options, self._context, sleep=self._sleep)

    def alive(self) -> bool:
        """Ask vCenter whether the session lives, with a call that needs no privilege (one round trip)."""
        try:
            return vim.SessionManager("SessionManager", self).currentSession is not None
        except vim.fault.NotAuthenticated:
            return False

    def close(self) -> None:
        """Close the connections; from now on every call is refused."""
        self._closed = True
        self.DropConnections()

    def InvokeMethod(self, mo: Any, info: Any, args: Any) -> Any:  # noqa: N802 (pyVmomi's name)
        """Make a call."""
        if self._closed:
            raise UsageError(f"{info.wsdlName} was called after the block of its session was left")
        if self._renew is not None:
            if info.wsdlName == "Logout":
                return None  # it is not ours alone: it ends when nobody has used it for half an hour
            self._check(mo, info.wsdlName, self._renew)
        return self._made(mo, info, args)

    def GetConnection(self) -> Any:  # noqa: N802 (pyVmomi's name)
        """Return a connection; from here on something may have been sent."""
        connection = super().GetConnection()
        self._here.sent, self._here.connection = True, connection
        connection.timeout = self._here.timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(self._here.timeout_s)
        return connection

    def after_fork(self) -> None:
        """Leave the parent's connections to it, and what its threads had locked too."""
        self.lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self.clones = threading.BoundedSemaphore(_CLONES)
        self._rng.seed()  # or all children would wait alike
        self.DropConnections()

    def _check(self, mo: Any, name: str, renew: Callable[[str], None]) -> None:
        """Refuse what is not for a session that others use too; before a write, see that there is one."""
        if name in _FOR_ALL or (name in _OF_THE_COLLECTOR and id_of(mo) == _DEFAULT_COLLECTOR):
            raise UsageError(
                f"{name} on a shared session would reach every script that shares it",
                hint="use cloned_session(content); in_batches waits for tasks without it",
            )
        if not is_read(name) and time.monotonic() - self._used > _IDLE_S:
            token = self.token
            if not self.alive():
                renew(token)

    def _made(self, mo: Any, info: Any, args: Any) -> Any:
        """Make a call, with another session if this one has died, and again where that may be."""
        name = info.wsdlName
        waited, attempt, renewed = 0.0, 0, False
        while True:
            token, here = self.token, self._here
            here.sent, here.connection = False, None
            here.timeout_s = _LONG_POLL_S if name in _LONG_POLLS else self.options.timeout_s
            try:
                with self._place(name):
                    answer = super().InvokeMethod(mo, info, args)
                if (lost := lost_in(answer)) is not None:
                    raise lost
            except (vim.fault.NotAuthenticated, OSError, http.client.HTTPException) as error:
                failure = failure_of(error, sent=here.sent)
                again = repeats(name, failure, self.SerializeRequest(mo, info, args))
                if failure is Failure.SESSION_DIED:
                    if self._renew is None or renewed:
                        raise
                    self._renew(token)
                    renewed = True
                    if not again:
                        raise
                    continue
                attempt += 1
                wait = full_jitter(attempt, self._rng, self._asked())
                if not again or attempt >= _TRIES or waited + wait > _PATIENCE_S or not self._budget.spend():
                    raise
                self._sleep(wait)
                waited += wait
            else:
                self._used = time.monotonic()
                self._budget.earn()
                return answer

    def _asked(self) -> float | None:
        connection = self._here.connection
        return None if connection is None else retry_after(connection.asked, time.time())

    @contextmanager
    def _place(self, name: str) -> Iterator[None]:
        """Have a place among the calls under way; who polls waits most of the time, and needs none."""
        if name in _LONG_POLLS:
            yield
            return
        places = self._places
        if not places.acquire(timeout=self.options.timeout_s * _WAITS):
            raise HostUnreachable(f"{self.options.whose}: {_AT_ONCE} calls are under way, and none of them ends")
        try:
            yield
        finally:
            places.release()


_STUBS: weakref.WeakSet[Stub] = weakref.WeakSet()


def _after_fork() -> None:
    for stub in list(_STUBS):
        stub.after_fork()


os.register_at_fork(after_in_child=_after_fork)
