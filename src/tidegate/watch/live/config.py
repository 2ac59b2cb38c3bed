"""What a watch's file may say, as frozen models. Secrets never stand in it: it names where they are.

::

    [watch]              where its state is kept, its rules, where it can be talked to
    [files.NAME]         logs that are tailed through rotation
    [syslog.NAME]        where syslog is listened for
    [probe.NAME]         what is asked from time to time (``probe_config.py``)
    [alertmanager.NAME]  who is told, as Prometheus does
    [webhook.NAME]       who is told in JSON
    [acting] [act.NAME]  what it may do by itself (``act_config.py``)
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from tidegate.config.fields import Name, Table, duration, refuse
from tidegate.config.urls import broken_url
from tidegate.config.values import AdminSocket, Listen, Texts
from tidegate.units import Duration
from tidegate.watch.live.act_config import ActingTable, ActTable
from tidegate.watch.live.probe_config import ProbeTable

__all__ = ["AlertmanagerTable", "FilesTable", "SyslogTable", "WatchConfig", "WatchTable", "WebhookTable"]


def _url(value: str) -> str:
    if broken := broken_url(value):
        raise refuse(value, *broken)
    return value


def _loopback(value: str) -> str:
    if not ipaddress.ip_address(value.rpartition(":")[0].strip("[]")).is_loopback:
        hint = 'write "127.0.0.1:PORT"; a Prometheus elsewhere comes through a proxy that knows it'
        raise refuse(value, "metrics are shown on loopback only: they name hosts, and nobody is asked who he is", hint)
    return value


def _state(value: str) -> str:
    if not value:
        raise refuse(value, "names nothing", 'write state = "watch.db"')
    scheme, colon, rest = value.partition("://")
    if not colon:
        return value
    if scheme not in {"postgresql", "postgres"}:
        raise refuse(scheme, f"state is a file or a postgresql:// URL, not {scheme}://", 'write state = "watch.db"')
    if ":" in rest.rpartition("@")[0] or "password=" in rest.partition("?")[2]:
        hint = "put it into ~/.pgpass (mode 0600) or PGPASSWORD"
        raise refuse(scheme, "the URL holds a password, and this file holds no secrets", hint)
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _named(value: tuple[Path, ...]) -> tuple[Path, ...]:
    if Path() in value:  # the folder of this file, which nobody means
        raise refuse("", "a path names nothing", 'write for example "/var/log/x.log"')
    return value


def _relays(value: tuple[str, ...]) -> tuple[str, ...]:
    for one in value:
        try:
            ipaddress.ip_network(one, strict=False)
        except ValueError:
            # "" would be the name of every peer without a certificate.
            if not one.strip() or "/" in one or re.fullmatch(r"[0-9.:]+", one):
                hint = 'write a network, for example "10.0.0.0/24", or the name in a certificate'
                raise refuse(one, f'"{one}" is no network, and no name', hint) from None
    return value


Url = Annotated[str, AfterValidator(_url)]
Paths = Annotated[tuple[Path, ...], AfterValidator(_named), BeforeValidator(_listed), Field(max_length=64)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class WatchTable(Table):
    """``[watch]``."""

    state: Annotated[str, AfterValidator(_state)]
    """A file (SQLite), or a ``postgresql://`` URL without a password."""
    name: Name = "watch"
    """Which watch this is, where several keep their state in one PostgreSQL."""
    rules: Paths = ()
    """Rule files, or folders of them, beside tidegate's own."""
    shipped_rules: bool = True
    """Whether tidegate's own rules count."""
    lateness: Duration = duration("30s")
    """How late a record may come and still count as if it had come in time."""
    admin: AdminSocket = "unix:/run/tidegate/watch/admin.sock"
    """Where ``tidegate watch status`` and the switches find it."""
    metrics: Annotated[Listen, AfterValidator(_loopback)] | None = None
    """Where Prometheus finds it; left out: nowhere."""


class FilesTable(Table):
    """``[files.NAME]``: logs that are tailed through rotation."""

    paths: Annotated[Paths, Field(min_length=1)]
    """Paths and patterns (``*``, ``?``, ``**``); rotated ones (``name.1``, ``name.0.gz``) belong to what they were."""


class SyslogTable(Table):
    """``[syslog.NAME]``: where syslog is listened for; at least one of the three."""

    udp: Listen | None = None
    tcp: Listen | None = None
    tls: Listen | None = None
    certificate: Path | None = None
    """PEM chain that is shown to TLS clients."""
    key: Path | None = None
    """Its key, mode 0600."""
    clients: Path | None = None
    """Certificate authorities of TLS clients; without it any client may speak."""
    relays: Annotated[Texts, AfterValidator(_relays), Field(max_length=64)] = ()
    """Who may speak for others: networks, and names in verified certificates. Of their records the HOSTNAME counts, of
    all others the peer's own name."""


class _Receiver(Table):
    """What receivers share."""

    url: Url
    ca: Path | None = None
    """Certificate authority of the receiver; left out: the system's."""
    timeout: Duration = duration("10s")


class AlertmanagerTable(_Receiver):
    """``[alertmanager.NAME]``: ``url`` is its base, as ``http://127.0.0.1:9093``."""

    token_env: Variable | None = None
    token_file: Path | None = None
    """File of mode 0600 with a bearer token."""


class WebhookTable(_Receiver):
    """``[webhook.NAME]``: ``url`` takes JSON, signed with HMAC-SHA256 where there is a secret."""

    secret_env: Variable | None = None
    secret_file: Path | None = None
    """File of mode 0600."""


class WatchConfig(Table):
    """A watch's file."""

    watch: WatchTable
    files: dict[Name, FilesTable] = Field(default_factory=dict, max_length=64)
    syslog: dict[Name, SyslogTable] = Field(default_factory=dict, max_length=16)
    probe: dict[Name, ProbeTable] = Field(default_factory=dict, max_length=64)
    alertmanager: dict[Name, AlertmanagerTable] = Field(default_factory=dict, max_length=16)
    webhook: dict[Name, WebhookTable] = Field(default_factory=dict, max_length=16)
    acting: ActingTable = ActingTable()
    act: dict[Name, ActTable] = Field(default_factory=dict, max_length=64)
