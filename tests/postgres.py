"""A real PostgreSQL for tests: its own cluster in a temporary folder, an unprivileged user, a unix socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Server", "postgres", "postgres_program"]

PLACES = "/usr/lib/postgresql/15/bin"
"""Where Debian 12 keeps the server's programs: not on PATH."""
_PORT = 5432


def postgres_program(name: str) -> str | None:
    """Return where a program of the server is."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")


def _user() -> str | None:
    """Return whom the server runs as: it refuses to be root."""
    return "nobody" if os.geteuid() == 0 else None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, user=_user(), cwd="/", timeout=50)


class Server:
    """A server that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"postgresql://tidegate@/postgres?host={folder}&port={_PORT}"
        initdb = postgres_program("initdb")
        assert initdb is not None
        _run(initdb, "-D", f"{folder}/data", "-U", "tidegate", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        settings = f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nmax_connections = 40\nfsync = off\n"
        with (folder / "data" / "postgresql.auto.conf").open("a") as file:
            file.write(settings)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._control("start", "-w", "-l", f"{self.folder}/log")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it."""
        self._control("stop", "-m", mode, "-w")

    def _control(self, *arguments: str) -> None:
        control = postgres_program("pg_ctl")
        assert control is not None
        # pg_ctl hands its own stdout to the server: a pipe would never end.
        subprocess.run(
            [control, "-D", f"{self.folder}/data", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=_user(),
            cwd="/",
            timeout=50,
        )


@contextmanager
def postgres() -> Iterator[Server]:
    """Start a server of our own; it and its folder are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))
    try:
        if user := _user():
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        server = Server(folder)
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
