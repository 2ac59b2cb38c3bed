"""The file in which a gate keeps what it has learned, for its next start.

Format 1: by service the addresses of its servers and what Rust has learned there, and a checksum over all of it. What
cannot be used is said in a sentence and left out; the gate then begins from its defaults, so deleting the file is
always safe. It is written whole or not at all: temporary file, fsync, rename, mode 0600.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidegate.config.model import Config
from tidegate.errors import GateError

__all__ = ["FORMAT", "Keeper", "read_state"]

FORMAT = 1
"""Of the file; another one is not read."""
_SIZE_MAX = 16 << 20
"""Longest file that is read, in bytes: what 1000 servers and operations can come to, and then some."""

Json = dict[str, Any]


def read_state(
    file: Path, config: Config, check: Callable[[Json], None], warn: Callable[[str], None]
) -> dict[str, Json]:
    """Return what was learned, by service, as far as it can be used for ``config``.

    Parameters
    ----------
    check
        Raises :class:`~tidegate.errors.GateError` when a gate with this configuration may not begin with it.
    warn
        Called with a sentence about everything that is left out.
    """
    try:
        services = _services(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        warn(f"what was learned is not used: {file} {_why(error)}")
        return {}
    learned = {}
    for name, service in config.service.items():
        known = services.get(name)
        if known is None:
            continue
        here = {key: server.address for key, server in service.server.items()}
        try:
            kept, left_out = _at_these_servers(known, here)
            for sentence in left_out:
                warn(f"service {name}: {sentence}")
            if kept is not None:
                check({name: kept})
                learned[name] = kept
        except (GateError, KeyError, TypeError, AttributeError) as error:
            why = error.message if isinstance(error, GateError) else f"{file} has no such shape"
            warn(f"service {name}: what was learned is not used: {why}")
    return learned


def _services(file: Path) -> Json:
    with file.open("rb") as stream:
        data = stream.read(_SIZE_MAX + 1)
    if len(data) > _SIZE_MAX:
        raise ValueError("is longer than 16 MiB")
    whole = json.loads(data)
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        found = whole.get("format") if isinstance(whole, dict) else None
        raise ValueError(f"has format {found}, and this version reads {FORMAT}")
    services = whole.get("services")
    if not isinstance(services, dict) or whole.get("checksum") != _checksum(services):
        raise ValueError("was changed since it was written: its checksum is another")
    return services


def _why(error: Exception) -> str:
    match error:
        case OSError():
            return f"cannot be read: {error.strerror}"
        case json.JSONDecodeError() | UnicodeDecodeError() | RecursionError():
            return "is cut short, or is not JSON"
        case _:
            return str(error)


def _at_these_servers(known: Json, here: dict[str, str]) -> tuple[Json | None, list[str]]:
    """Return what was learned of the servers that are ``here`` (``None``: of none), and what is left out."""
    there: dict[str, str] = known["servers"]
    other = sorted(name for name, address in there.items() if here.get(name) != address)
    left_out = []
    for name in other:
        now = f"is {here[name]} now" if name in here else "is no server of this service any more"
        left_out.append(f"what was learned of {name} ({there[name]}) is not used: it {now}")
    if len(other) == len(there):
        return None, left_out
    learned: Json = known["learned"]
    return {**learned, "servers": [server for server in learned["servers"] if server["name"] not in other]}, left_out


class Keeper:
    """Writes what a gate has learned into the file that its configuration names, if it names one."""

    def __init__(self, config: Config, learned: Callable[[], dict[str, Json]], warn: Callable[[str], None]) -> None:
        """Keep what ``learned`` returns; tell ``warn`` once when it cannot be written."""
        self._config, self._learned, self._warn = config, learned, warn
        self._warned = False

    def follow(self, config: Config) -> None:
        """Go on with another configuration."""
        self._config = config

    def save(self) -> None:
        """Write the file. A folder that cannot be written to is said once; the gate goes on without."""
        file = self._config.gate.state
        if file is None:
            return
        learned = self._learned()
        services = {
            name: {
                "servers": {key: server.address for key, server in service.server.items()},
                "learned": learned[name],
            }
            for name, service in self._config.service.items()
            if name in learned
        }
        whole = {"format": FORMAT, "services": services, "checksum": _checksum(services)}
        try:
            _write(file, json.dumps(whole).encode())
            self._warned = False
        except OSError as error:
            if not self._warned:
                self._warn(f"what was learned cannot be kept: {file} cannot be written: {error.strerror}")
            self._warned = True


def _checksum(services: Json) -> str:
    return hashlib.sha256(json.dumps(services, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".part")
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
