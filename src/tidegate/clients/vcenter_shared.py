"""One vCenter session for all threads and scripts of one user: found, checked, or made by one of them.

::

    with shared_session("vc.example.org", user="backup@vsphere.local") as content:
        ...  # pyVmomi's ServiceInstance content, as after SmartConnect

A session that was kept by another process (:mod:`tidegate.clients.session_store`) is used when vCenter still knows it,
which costs one round trip; else one process logs in and keeps it for the others. Leaving the block does not log out:
the next script finds the session, and vCenter ends it after half an hour without a call.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tidegate.clients.session_file import LIFE_S, Kept, session_name
from tidegate.clients.session_store import SessionStore, cache_folder
from tidegate.clients.vcenter_session import PASSWORD_ENV, VcenterOptions, in_words, log_in
from tidegate.clients.vcenter_stub import Stub
from tidegate.clients.vmomi import stub_of, vim, vmodl
from tidegate.errors import FleetError, UsageError

__all__ = ["cloned_session", "shared_session"]

# How long another process may take to log in.
_PATIENCE_S = 60.0
_ROUNDS = 3
# So many sessions in so long are no accident: somebody ends them, or there are too many.
_RENEWALS, _RENEWALS_S = 5, 300.0


@contextmanager
def shared_session(  # noqa: PLR0913 (what most leave out has names)
    address: str,
    *,
    user: str,
    port: int = 443,
    password_env: str = PASSWORD_ENV,
    password_file: Path | None = None,
    ca: Path | None = None,
    thumbprint: str | None = None,
    verify: bool = True,
    tenant: str = "",
    cache: Path | None = None,
) -> Iterator[Any]:
    """Share one session at a vCenter with every other thread and process of this user.

    Parameters
    ----------
    address, port
        Where the vCenter is.
    user, password_env, password_file
        Who logs in, and where the password is: in that environment variable, else the first line of that file of mode
        0600. It is only read when a login is needed.
    ca, thumbprint, verify
        See :class:`~tidegate.clients.tls.Trust`.
    tenant
        Keeps sessions apart that have the same address and user.
    cache
        The folder in which the session is kept, of mode 0700; else ``$XDG_CACHE_HOME/tidegate``, ``~/.cache/tidegate``.

    Yields
    ------
    content
        pyVmomi's service content, for many threads at once. ``Logout`` does nothing on it, since the session is not
        this script's alone. After the session has died (30 min without a call, somebody ended it) there is a new one,
        and reads are made again; a write raises ``vim.fault.NotAuthenticated``, and may then be made again by who knows
        that it may. The default property collector is shared as well: pages are better read with a collector of one's
        own, and what waits for updates on it is refused, as are ``SetLocale`` and ``ImpersonateUser``: see
        :func:`cloned_session`.

    Raises
    ------
    HostUnreachable
        When vCenter does not answer, or is not who it should be.
    FleetError
        When it refuses the login, the kept session is not ours alone, or another process has been logging in for longer
        than 60 s.
    """
    how = (user, port, password_env, password_file, ca, thumbprint, verify)
    options = VcenterOptions(address, *how)
    folder = cache_folder(os.environ) if cache is None else cache
    key = (options, tenant, folder)
    with _SHARED_LOCK:
        shared = _SHARED.get(key)
        if shared is None:
            shared = _SHARED[key] = _Shared(options, SessionStore(folder, session_name(address, port, user, tenant)))
        shared.users += 1
    try:
        yield shared.content()
    finally:
        with _SHARED_LOCK:
            shared.users -= 1
            if not shared.users:
                del _SHARED[key]
                shared.close()


@contextmanager
def cloned_session(content: Any) -> Iterator[Any]:
    """Have a session of one's own beside a shared one, without the password: nothing of it is anybody else's.

    It is logged out at the end of the block; at most eight are open at a time. When it dies, its views and filters are
    gone: ``vim.fault.NotAuthenticated`` is raised then.

    Parameters
    ----------
    content
        Of :func:`shared_session`.

    Yields
    ------
    content
        The clone's service content.

    Raises
    ------
    FleetError
        When vCenter gives or takes no ticket, or eight others are open and none is closed within 60 s.
    """
    parent = stub_of(content.sessionManager)
    if not isinstance(parent, Stub):
        raise UsageError("cloned_session wants the content of a shared_session")
    places = parent.clones
    if not places.acquire(timeout=_PATIENCE_S):
        raise FleetError("eight clones of this session are open, and none was closed within 60 s", slug="clones")
    own = parent.sibling()
    try:
        with in_words(parent.options):
            try:
                vim.SessionManager("SessionManager", own).CloneSession(content.sessionManager.AcquireCloneTicket())
            except vim.fault.InvalidLogin as error:
                raise FleetError(
                    f"{parent.options.whose} does not take the ticket that it gave", slug="clone"
                ) from error
            own.keep()
            cloned = vim.ServiceInstance("ServiceInstance", own).RetrieveContent()
        yield cloned
    finally:
        if own.token:
            with suppress(vmodl.MethodFault, OSError, http.client.HTTPException):
                vim.SessionManager("SessionManager", own).Logout()
        own.close()
        places.release()


class _Shared:
    """The session as this process knows it; ``users`` are the blocks that are inside."""

    def __init__(self, options: VcenterOptions, store: SessionStore) -> None:
        self.users = 0
        self._options, self._store = options, store
        self._rng = random.Random()  # noqa: S311 (when a session expires is no secret)
        self._lock = threading.RLock()
        self._stub: Stub | None = None
        self._content: Any = None
        self._refused: FleetError | None = None
        self._logins: deque[float] = deque(maxlen=_RENEWALS)

    def content(self) -> Any:
        """Return the service content; who comes first opens the session, the others wait."""
        with self._lock:
            if self._content is None:
                options = self._options
                with in_words(options):
                    context = options.trust.context(options.address, options.port, options.timeout_s)
                    self._stub = Stub(options, context, "", self.renew)
                    self._renewed(self._stub, "")
                    self._content = vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
            return self._content

    def renew(self, dead: str) -> None:
        """Have another session than the one that has died."""
        with self._lock, in_words(self._options):
            if self._stub is not None:
                self._renewed(self._stub, dead)

    def close(self) -> None:
        """Close the connections; the session stays, for whoever comes next."""
        if self._stub is not None:
            self._stub.close()
        self._store.close()

    def after_fork(self) -> None:
        """Forget what the parent's threads had locked."""
        self._lock = threading.RLock()

    def _renewed(self, stub: Stub, dead: str) -> None:
        if stub.token not in {"", dead}:
            return  # another thread was faster
        stub.keep(self._another(stub, dead))

    def _another(self, stub: Stub, dead: str) -> str:
        for _ in range(_ROUNDS):
            kept = self._store.read()
            if kept is not None and kept.cookie != dead:
                if self._lives(stub, kept.cookie):
                    return kept.cookie
                dead = kept.cookie
            with self._store.locked(_PATIENCE_S):
                kept = self._store.read()
                if kept is None or kept.cookie == dead:
                    return self._logged_in(stub)
            # Somebody else has logged in meanwhile: look at that session without holding up the others.
        raise self._ends()

    def _ends(self) -> FleetError:
        return FleetError(
            f"{self._options.whose} ends sessions as fast as they are made",
            hint="who ends them? Administration > Sessions, and the events of this user, say so",
            slug="sessions-end",
        )

    def _lives(self, stub: Stub, token: str) -> bool:
        probe = stub.sibling()
        probe.keep(token)
        try:
            return probe.alive()
        finally:
            probe.close()

    def _logged_in(self, stub: Stub) -> str:
        """Log in and keep the session; a login that was refused is not tried again by every thread."""
        if self._refused is not None:
            raise FleetError(self._refused.message, hint=self._refused.hint, slug=self._refused.slug)
        now = time.monotonic()
        if len(self._logins) == _RENEWALS and now - self._logins[0] < _RENEWALS_S:
            raise self._ends()
        self._logins.append(now)
        own = stub.sibling()
        try:
            with in_words(self._options):
                content = log_in(own, self._options, self._options.password())
            token = own.keep()
            life = LIFE_S * self._rng.uniform(0.80, 0.95)  # so that those made together do not end together
            try:
                self._store.write(Kept(token, time.time() + life))
            except FleetError:
                content.sessionManager.Logout()
                raise
            return token
        except FleetError as error:
            if error.slug == "login-refused":
                self._refused = error
            raise
        finally:
            own.close()


_SHARED: dict[tuple[VcenterOptions, str, Path], _Shared] = {}
_SHARED_LOCK = threading.Lock()


def _after_fork() -> None:
    global _SHARED_LOCK  # noqa: PLW0603 (one lock per process)
    _SHARED_LOCK = threading.Lock()
    for shared in _SHARED.values():
        shared.after_fork()


os.register_at_fork(after_in_child=_after_fork)
