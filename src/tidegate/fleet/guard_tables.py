"""``[guard.NAME]`` of a plan, one table per kind. Pure data; ``guards`` judges by it, ``probes`` reads for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tidegate.config.fields import Table, duration
from tidegate.units import Duration

__all__ = [
    "AlertTable",
    "DatastoreLatencyTable",
    "ErrorRateTable",
    "FailedHostsTable",
    "GuardTable",
    "ProviderResponseTable",
    "UrlTable",
    "WindowTable",
]


class UrlTable(Table):
    """What guards that can ask a ``url`` share."""

    url: str | None = None
    ca: Path | None = None
    verify: bool = True
    token_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable with the bearer token that is sent to ``url``; else:"""
    token_file: Path | None = None
    """A file of mode 0600 with it."""


class ProviderResponseTable(UrlTable):
    """``kind = "provider-response"``: a gate's figures (``gate``), or a GET that makes no session (``url``)."""

    kind: Literal["provider-response"]
    gate: Path | None = None
    stop_above: Duration = duration("2s")


class ErrorRateTable(UrlTable):
    """``kind = "error-rate"``: the share of calls that failed, 0 to 1."""

    kind: Literal["error-rate"]
    gate: Path | None = None
    stop_above: float = Field(default=0.05, gt=0, le=1)


class DatastoreLatencyTable(Table):
    """``kind = "datastore-latency"``: vCenter's counters, the worst host per datastore."""

    kind: Literal["datastore-latency"]
    datastores: tuple[str, ...] = ()
    stop_above: Duration = duration("20ms")
    halve_above: Duration = duration("25ms")


class FailedHostsTable(Table):
    """``kind = "failed-hosts"``."""

    kind: Literal["failed-hosts"]
    at_most: int = Field(default=0, ge=0)


class AlertTable(UrlTable):
    """``kind = "alert"``: a file or URL that says ``firing``."""

    kind: Literal["alert"]
    file: Path | None = None


class WindowTable(Table):
    """``kind = "window"``: when the run may work."""

    kind: Literal["window"]
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = (
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
    )
    opens: str = Field(alias="from")
    closes: str = Field(alias="to")
    zone: str | None = None
    """``Europe/Berlin``; left out: the zone of this machine."""


GuardTable = Annotated[
    ProviderResponseTable | ErrorRateTable | DatastoreLatencyTable | FailedHostsTable | AlertTable | WindowTable,
    Field(discriminator="kind"),
]
