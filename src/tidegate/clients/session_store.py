"""Where shared vCenter sessions are kept: a folder of ours, a file per session, and a lock for who logs in.

A session is read without a lock, since its file is replaced whole. Who must log in takes the lock of that session
first, so that of many processes one does. The lock is the kernel's (``flock``) and goes with its process; a lock file
that was removed meanwhile is noticed. Nobody waits longer than told: a holder that hangs ends in a sentence.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import random
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tidegate.clients.session_file import SIZE_MAX, Kept, dump, parse, unfit
from tidegate.errors import FleetError

__all__ = ["SessionStore", "cache_folder"]

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_S = 0.1
# Neither follows a link nor waits at a pipe that somebody has put there.
_CAREFUL = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HELD: set[int] = set()
"""The locks that this process holds: a child that is forked meanwhile lets go of them."""


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for sessions: ``$XDG_CACHE_HOME/tidegate``, else ``~/.cache/tidegate``.

    Raises
    ------
    FleetError
        When there is neither.
    """
    base, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
    if base.startswith("/"):  # the specification: a relative path is to be ignored
        return Path(base) / "tidegate"
    if home.startswith("/"):
        return Path(home) / ".cache" / "tidegate"
    raise FleetError(
        "there is no folder to keep the session in: neither $XDG_CACHE_HOME nor $HOME is set",
        hint="name one that only you can write to (cache)",
        slug="no-cache",
    )


class SessionStore:
    """One session's place.

    Parameters
    ----------
    folder
        Is made with mode 0700 when it is missing; one that belongs to somebody else, or that others can write to, is
        refused.
    name
        Of the session, see :func:`~tidegate.clients.session_file.session_name`.
    now, sleep
        Given by tests.

    Raises
    ------
    FleetError
        When the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.path = folder / f"vcenter-{name}.toml"
        self._name, self._now, self._sleep = name, now, sleep
        self._rng = random.Random()  # noqa: S311 (when to look again is no secret)
        self._folder = _opened(folder)

    def close(self) -> None:
        """Give the folder back; what is kept stays."""
        os.close(self._folder)

    def read(self) -> Kept | None:
        """Return the session that is kept; ``None``: there is none that can be used.

        Raises
        ------
        FleetError
            When the file is not ours alone.
        """
        try:
            descriptor = self._open(self.path.name, os.O_RDONLY, "the session in")
        except FileNotFoundError:
            return None
        try:
            with os.fdopen(descriptor, "rb") as stream:
                data = stream.read(SIZE_MAX + 1)
        except OSError as error:
            raise FleetError(f"the session in {self.path} cannot be read: {error.strerror}", slug="no-cache") from error
        kept = parse(data, self._name, self._now())
        if isinstance(kept, Kept):
            return kept
        _LOG.info("%s %s: a new login replaces it", self.path, kept)
        return None

    def write(self, kept: Kept) -> None:
        """Replace what is kept, whole or not at all; only under the lock.

        Raises
        ------
        FleetError
            When it cannot be written.
        """
        new = f"{self.path.name}.new"
        try:
            data = dump(kept, self._name)
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=self._folder)  # of one that died while it wrote
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFUL
            with os.fdopen(os.open(new, flags, 0o600, dir_fd=self._folder), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(new, self.path.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise FleetError(f"the session cannot be kept in {self.path}: {why}", slug="no-cache") from error

    @contextmanager
    def locked(self, patience_s: float) -> Iterator[None]:
        """Be the only one who logs in, while the block runs.

        Raises
        ------
        FleetError
            When another process has had the lock for longer than ``patience_s`` seconds.
        """
        name, until = f"{self.path.name}.lock", time.monotonic() + patience_s
        while True:
            descriptor = self._open(name, os.O_RDWR | os.O_CREAT, "the lock")
            try:
                if self._taken(descriptor, name):
                    break
                holder = os.pread(descriptor, 32, 0)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if time.monotonic() >= until:
                raise self._busy(name, holder, patience_s)
            self._sleep(self._rng.uniform(0.0, _LOOK_AGAIN_S))
        _HELD.add(descriptor)
        try:
            with suppress(OSError):  # a full disk: then nobody is told who has it
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            _HELD.discard(descriptor)
            os.close(descriptor)

    def _taken(self, descriptor: int, name: str) -> bool:
        """Take the lock, unless it is another's, or its file is not the one of that name any more."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except (BlockingIOError, FileNotFoundError):
            return False
        except OSError as error:
            path = self.path.with_name(name)
            raise FleetError(f"the lock {path} cannot be taken: {error.strerror}", slug="no-cache") from error
        return os.path.samestat(there, os.fstat(descriptor))

    def _busy(self, name: str, holder: bytes, patience_s: float) -> FleetError:
        who = f"process {holder.decode()}" if holder.isdigit() else "another process"
        return FleetError(
            f"{who} has been logging in for more than {patience_s:g} s (it holds {self.path.with_name(name)})",
            hint="does it hang? The lock goes with its process",
            slug="taken",
        )

    def _open(self, name: str, flags: int, what: str) -> int:
        path = self.path.with_name(name)
        try:
            descriptor = os.open(name, flags | _CAREFUL, 0o600, dir_fd=self._folder)
        except FileNotFoundError:
            if flags & os.O_CREAT:
                raise FleetError(f"the folder of {path} is gone", slug="no-cache") from None
            raise
        except OSError as error:
            why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise FleetError(
                f"{what} {path} is not used: {why}", hint="look at who put it there, and remove it", slug="open-secret"
            ) from error
        wrong = unfit(os.fstat(descriptor), os.geteuid())
        if wrong is not None:
            os.close(descriptor)
            why, hint = wrong
            raise FleetError(f"{what} {path} is not used: it {why}", hint=hint, slug="open-secret")
        return descriptor


def _opened(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FleetError(f"sessions cannot be kept in {folder}: {error.strerror}", slug="no-cache") from error
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o022:
        return descriptor
    os.close(descriptor)
    raise FleetError(
        f"sessions are not kept in {folder}: others can write to it, or own it",
        hint="name a folder that is yours, of mode 0700 (cache)",
        slug="no-cache",
    )


def _let_go() -> None:
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go)
