"""How to reach a server or a host that a file names: address, login, trust; no secret stands there."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tidegate.config.fields import Table, duration
from tidegate.units import Duration

__all__ = ["Endpoint", "Ssh"]


class Endpoint(Table):
    """A server with a login. The password comes from ``$password_env``, else from ``password_file`` (mode 0600)."""

    address: str = Field(min_length=1, max_length=253)
    port: int = Field(default=443, ge=1, le=65535)
    user: str = Field(min_length=1, max_length=255)
    password_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    password_file: Path | None = None
    ca: Path | None = None
    thumbprint: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$")
    """SHA-256 of its certificate: exactly that one is trusted."""
    verify: bool = True
    """Whether its certificate is verified; ``false`` is said aloud in every run."""
    timeout: Duration = duration("30s")


class Ssh(Table):
    """``[ssh]``: keys come from the agent or from ``identity``."""

    user: str = Field(default="root", min_length=1, max_length=64)
    port: int = Field(default=22, ge=1, le=65535)
    known_hosts: Path | None = None
    """Left out: the user's own."""
    check_host_key: bool = True
    """``false`` trusts whoever answers; it is said aloud in every run."""
    identity: Path | None = None
    password_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable with the password, for hosts that take no key."""
    jump: str | None = None
    """``[USER@]HOST[:PORT]``."""
    open_ssh: bool = False
    """Start TSM-SSH through the API where it is off, and stop it again."""
    connect: Duration = duration("15s")
    command: Duration = duration("60s")
