"""The policies under which a storm can be rehearsed: the gate, and what others would put in its place.

The built-in peers are as good as their kind allows: whoever set them up knew the server's knee, its best rate and the
number of hosts. The gate is told none of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from tidegate.config.fields import Table, duration
from tidegate.units import Duration

__all__ = [
    "BEST_HAPROXY",
    "BUILT_IN",
    "EnvoyAdaptive",
    "EnvoyAdmission",
    "Haproxy",
    "KbManual",
    "NginxConn",
    "NginxReq",
    "NoPolicy",
    "Policy",
    "Tidegate",
    "built_in",
    "haproxy_grid",
]

Places = Annotated[int, Field(ge=1, le=65_536)]


class NoPolicy(Table):
    """Nothing stands in front of the server."""

    kind: Literal["none"]


class Tidegate(Table):
    """The gate, with a limit that it learns (at most ``most``) or, to compare, with a static one."""

    kind: Literal["tidegate"]
    most: Places = 256
    limit: Places | None = None


class NginxConn(Table):
    """nginx ``limit_conn``: what is over the limit is refused at once."""

    kind: Literal["nginx-conn"]
    limit: Places


class NginxReq(Table):
    """nginx ``limit_req``: a leaky bucket of calls."""

    kind: Literal["nginx-req"]
    rate: Annotated[float, Field(gt=0)]
    """Calls per second."""
    burst: Annotated[int, Field(ge=0, le=10_000_000)]


class Haproxy(Table):
    """HAProxy: ``maxconn`` per server and a queue before it."""

    kind: Literal["haproxy"]
    maxconn: Places
    timeout_queue: Duration = duration("5s")
    """503 for what has waited so long; HAProxy itself takes ``timeout connect`` when it is not set."""
    class_by_operation: bool = False
    """Calls of sessions that are half-made go first (``set-priority-class`` by SOAPAction)."""


class EnvoyAdaptive(Table):
    """Envoy's adaptive concurrency filter; what is left out has the default of its documentation."""

    kind: Literal["envoy-adaptive"]
    percentile: Annotated[float, Field(gt=0, le=100)] | None = None
    update: Duration | None = None
    max_concurrency: Places | None = None
    min_rtt_interval: Duration | None = None
    request_count: Places | None = None
    jitter: Annotated[float, Field(ge=0, le=100)] | None = None
    """In percent."""
    min_concurrency: Places | None = None
    buffer: Annotated[float, Field(ge=0, le=100)] | None = None
    """In percent."""


class EnvoyAdmission(Table):
    """Envoy's admission control filter, with the defaults of its documentation."""

    kind: Literal["envoy-admission"]


class KbManual(Table):
    """KB 412434's cure by hand: stop the hosts' daemon everywhere, start it again batch by batch."""

    kind: Literal["kb-manual"]
    batch: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    pause: Duration = duration("150s")
    """Between two batches."""


Policy = Annotated[
    NoPolicy | Tidegate | NginxConn | NginxReq | Haproxy | EnvoyAdaptive | EnvoyAdmission | KbManual,
    Field(discriminator="kind"),
]

BUILT_IN = (
    "none",
    "kb-manual",
    "nginx-conn",
    "nginx-req",
    "haproxy-default",
    "haproxy-best",
    "envoy-adaptive",
    "envoy-admission",
    "tidegate",
)
"""Their names, in the order in which tables show them."""

BEST_HAPROXY = "haproxy-best"
"""The peer whose settings are searched for, with another seed than the one that counts."""

_MAXCONN = (0.25, 0.33, 0.5, 0.75, 1.0, 1.33, 2.0)
"""The grid of maxconn, as shares of the knee."""
_TIMEOUTS = ("5s", "15s", "25s", "60s")


def built_in(*, knee: int, rate: float, hosts: int) -> dict[str, Policy]:
    """Return every built-in policy but the one that is searched for.

    Parameters
    ----------
    knee
        Calls in flight at which a server gets most work done.
    rate
        Units of work per second that the servers get done at best.
    hosts
        How many hosts there are.
    """
    return {
        "none": NoPolicy(kind="none"),
        "kb-manual": KbManual(kind="kb-manual"),
        "nginx-conn": NginxConn(kind="nginx-conn", limit=knee),
        # Somewhat less than can be served, and room for the first call of every host.
        "nginx-req": NginxReq(kind="nginx-req", rate=round(0.8 * rate, 3), burst=hosts),
        "haproxy-default": Haproxy(kind="haproxy", maxconn=knee),
        "envoy-adaptive": EnvoyAdaptive(kind="envoy-adaptive"),
        "envoy-admission": EnvoyAdmission(kind="envoy-admission"),
        "tidegate": Tidegate(kind="tidegate"),
    }


def haproxy_grid(knee: int) -> Iterator[Haproxy]:
    """Yield the settings among which the best HAProxy is searched, the likely ones first."""
    limits = sorted({max(1, math.floor(knee * share + 0.5)) for share in _MAXCONN}, key=lambda limit: abs(limit - knee))
    for limit in limits:
        for timeout in reversed(_TIMEOUTS):
            for by_class in (True, False):
                yield Haproxy(
                    kind="haproxy", maxconn=limit, timeout_queue=Duration.parse(timeout), class_by_operation=by_class
                )
