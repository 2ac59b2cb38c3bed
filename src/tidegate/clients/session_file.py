"""The file that keeps a shared vCenter session: what stands in it, and whom it may belong to (pure).

Four lines of TOML: ``format = 1``, ``session`` (whose it is: :func:`session_name`), ``cookie`` and ``expires`` (seconds
since 1970). The cookie opens the vCenter as its user until the session ends, so the file is as secret as a password for
that long: a regular file of ours with one name, which nobody else can read or write. Everything else is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tomllib
from dataclasses import dataclass, field

__all__ = ["Kept", "dump", "parse", "session_name", "unfit"]

FORMAT = 1
LIFE_S = 20 * 3600.0
"""Longest life of a session, in seconds (vsphere reference, §2.1: seen to end after about 20 h, whatever is done)."""
SIZE_MAX = 4096
"""Longest file that is read, in bytes."""

_COOKIE = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kept:
    """A session that was kept.

    Parameters
    ----------
    cookie
        Its id, as in ``vmware_soap_session``; a secret.
    expires
        From when on it is not used any more, in seconds since 1970.
    """

    cookie: str = field(repr=False)
    expires: float


def session_name(address: str, port: int, user: str, tenant: str = "") -> str:
    """Return the name of the one session of a user at a server: 32 hex digits."""
    whose = json.dumps([address.lower().rstrip("."), port, user, tenant])
    return hashlib.sha256(whose.encode()).hexdigest()[:32]


def dump(kept: Kept, name: str) -> bytes:
    """Return the file's content.

    Raises
    ------
    ValueError
        When the cookie has characters that no session's id has.
    """
    if not _COOKIE.fullmatch(kept.cookie):
        raise ValueError("the session's id has characters that cannot be kept")
    lines = (f"format = {FORMAT}", f'session = "{name}"', f'cookie = "{kept.cookie}"', f"expires = {kept.expires:.0f}")
    return ("\n".join(lines) + "\n").encode()


def parse(data: bytes, name: str, now: float) -> Kept | str:
    """Return what is kept in a file, or why it cannot be used (the end of a sentence that begins with its name)."""
    try:
        table = tomllib.loads(data.decode()) if len(data) <= SIZE_MAX else {}
    except (ValueError, RecursionError):
        return "is damaged"
    found = table.get("format")
    if found != FORMAT or isinstance(found, bool):
        return f"has another format than {FORMAT}"
    if table.get("session") != name:
        return "belongs to another server or user"
    cookie, expires = table.get("cookie"), table.get("expires")
    if not isinstance(cookie, str) or not _COOKIE.fullmatch(cookie):
        return "has no session's id in it"
    # A bool is an int; nothing compares with what is not a number.
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not now < expires <= now + LIFE_S:
        return "has expired"
    return Kept(cookie, float(expires))


def unfit(found: os.stat_result, uid: int) -> tuple[str, str] | None:
    """Return why a secret must not be read from a file or kept in it, and what to do; ``None``: it may.

    Parameters
    ----------
    found
        What ``fstat`` says of the opened file, so that it cannot be exchanged in between.
    uid
        Who we are.
    """
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file", "look at who put it there, and remove it"
    if found.st_uid != uid:
        return "belongs to somebody else", "look at who put it there, and remove it"
    if found.st_nlink != 1:
        return "has another name beside this one", "look at who made the link, and remove it"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return "can be read or written by others", "remove it, since others may know the session; chmod 600 is too late"
    return None
