"""What may stand in a configuration file: one frozen model per table, every default in one place.

Every length of time is a :class:`~tidegate.units.Duration`, every size a :class:`~tidegate.units.ByteSize`. Unknown
keys are refused. Where a default has an origin it is named beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tidegate.config.fields import Name, Role, Table, duration
from tidegate.config.values import (
    LIMIT_MOST,
    Address,
    AdminSocket,
    Limit,
    Listen,
    Network,
    Networks,
    PortRanges,
    Sha256,
    Share,
    Sources,
    Statuses,
    Texts,
)
from tidegate.config.vcenter import GateWindow, Vcenter
from tidegate.units import ByteSize, Duration

__all__ = [
    "Admission",
    "Config",
    "GateTable",
    "Guarantees",
    "Http",
    "HttpRule",
    "Identity",
    "Io",
    "Monitor",
    "Operation",
    "Passthrough",
    "Ports",
    "Role",
    "Server",
    "ServerTls",
    "Service",
    "Tcp",
    "Terminate",
    "Vasa",
]

_LIMIT_MAX = 256
"""An adaptive limit stays below this when the file does not say; no management server known serves more at once."""


class Ports(Table):
    """``[gate.ports]``: from which addresses and ports the gate connects to servers."""

    range: PortRanges | None = None
    """``"20000-32767"``, several with commas; left out: the larger range beside the kernel's own, above 10000."""
    sources: Sources = ()
    """Addresses of this machine; each has the whole range for every server. Left out: the one that the route takes."""
    headroom: Annotated[int, Field(ge=1, le=65_534)] | None = None
    """Ports for each server that are kept for probes alone, so that traffic never makes a healthy server look dead.

    Left out: 4 for each interval that a probe may take, by the monitor that needs most; at least 8 (``headroom.py``).
    """

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The ranges as (first, last), both of them included; empty when left out."""
        parts = self.range.split(",") if self.range else []
        return tuple((int(first), int(last)) for first, _, last in (part.partition("-") for part in parts))

    @property
    def count(self) -> int:
        """How many ports there are in :attr:`ranges`."""
        return sum(last - first + 1 for first, last in self.ranges)


class GateTable(Table):
    """``[gate]``: the process itself."""

    admin: AdminSocket = "unix:/run/tidegate/admin.sock"
    """Where ``status``, ``/metrics`` and the switches answer; mode 0600."""
    admin_tcp: Address | None = None
    """The same over TCP, only with ``admin_token_file``."""
    admin_token_file: Path | None = None
    """File whose first line is the bearer token for ``admin_tcp``."""
    state: Path | None = None
    """File in which what was learned is kept for the next start; mode 0600."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Seed of all randomness (spread of Retry-After, stagger); without it every start draws one."""
    ports: Ports = Ports()


class ServerTls(Table):
    """``[service.NAME.server.NAME.tls]``: TLS towards the server, and how it is verified."""

    ca: Path | None = None
    """Verify by this certificate authority and by name."""
    sha256: Sha256 | None = None
    """Verify by the SHA-256 thumbprint of the server's own certificate."""
    insecure: bool = False
    """Verify nothing: only in a lab."""
    name: str | None = None
    """The name to ask for and to verify, when it is not the host in ``address``."""
    certificate: Path | None = None
    """The gate's own client certificate, PEM, with its chain."""
    key: Path | None = None
    """Its private key, PEM."""


class Server(Table):
    """``[service.NAME.server.NAME]``: one member of the pool."""

    address: Address
    limit: Limit = "adaptive"
    """``"adaptive"``: what the server turns out to serve best; ``"static:N"``: at most N calls in flight there."""
    limit_max: Annotated[int, Field(ge=1, le=LIMIT_MOST)] | None = None
    """An adaptive limit never goes above this; 256 when left out."""
    send_proxy: Literal["v1", "v2"] | None = None
    """Tell the server who called, with a PROXY protocol header."""
    standby: bool = False
    """Used only while no other server of the pool can be reached (an active/standby pair)."""
    tls: ServerTls | None = None

    @property
    def limit_static(self) -> int | None:
        """The static limit in calls, 1 to 65536; ``None``: it is adaptive."""
        return int(self.limit.partition(":")[2]) if self.limit != "adaptive" else None

    @property
    def limit_most(self) -> int:
        """The most that the limit can ever be, in calls."""
        return self.limit_static or self.limit_max or _LIMIT_MAX


class Monitor(Table):
    """``[service.NAME.monitor]``: how the servers are probed. Without it a server is down when a connect fails."""

    kind: Literal["tcp", "half-open", "tls", "http"] | None = None
    """Left out: ``http`` for a VASA provider or a vCenter, ``tls`` where servers speak it, else ``tcp``."""
    path: Annotated[str, StringConstraints(pattern=r"^/[!-~]*$", max_length=1024)] | None = None
    """What ``http`` asks for. Left out: the list of versions of a VASA provider or a vCenter, else ``/``."""
    status: Statuses = (200,)
    """Statuses that are good, 100 to 599."""
    interval: Duration = duration("2s")
    """Between two probes, ± 10 % (10 ms to 1 h; the default is HAProxy's)."""
    timeout: Duration | None = None
    """How long a probe may take (10 ms to 1 h); the interval when left out."""
    fast: Duration | None = None
    """Between two probes while a phase is in doubt; half of the interval when left out."""
    fall: Annotated[int, Field(ge=1, le=50)] = 3
    """Failed probes in a row that make a server ``down``; two are enough when the server itself said no."""
    rise: Annotated[int, Field(ge=1, le=50)] = 2
    """Good probes in a row that bring it back."""
    slow_start: Duration = duration("30s")
    """How long it then takes to get its whole limit, from a tenth on; ``"0s"``: at once."""


class Passthrough(Table):
    """``[service.NAME.tls]`` with ``kind = "passthrough"``: the gate decrypts nothing, and admits hellos and turns."""

    kind: Literal["passthrough"]
    names: Texts = ()
    """Server names (SNI) that are let in; empty: all."""
    settle: Duration = duration("50ms")
    """How long a TLS 1.3 establishment counts as in flight after the handshake, until it is learned."""


class Terminate(Table):
    """``[service.NAME.tls]`` with ``kind = "terminate"``: the gate is the TLS server, and admits calls."""

    kind: Literal["terminate"]
    certificate: Path
    """The gate's certificate, PEM, with its chain."""
    key: Path
    """Its private key, PEM."""
    client_ca: Path | None = None
    """Ask clients for a certificate of this authority; their identity is its subject."""
    client_required: bool = True
    """Refuse clients without one (only with ``client_ca``)."""


class Operation(Table):
    """One operation of a SOAP protocol: its role, its cost and the fault with which it may be turned away."""

    role: Role
    cost: Annotated[float, Field(ge=0.001, le=1000)]
    """Expected work in units; opening a session is one unit."""
    fault: str
    """Local name of a fault that is declared for this operation."""


class Vasa(Table):
    """``[service.NAME.vasa]``: what the gate knows about the VASA provider behind it."""

    public_url: Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+$")] | None = None
    """``https://HOST:PORT`` under which hosts reach the gate; ``serviceLocation`` in version.xml is rewritten to it."""
    session_cookie: str = "VASASESSIONID"
    version_path: str = "/vasa/version.xml"
    lower_concurrency: bool = False
    """While calls are held or a server recovers, lower ``maxConcurrentRequestsPerSession`` in its answers to 1."""
    probe_paths: Texts = ()
    """Paths that health checks ask for."""
    operation: dict[str, Operation] = Field(default_factory=dict)
    """Operations that differ from the built-in table."""


class HttpRule(Table):
    """``[[service.NAME.http.rule]]``: what kind of call a request is; the first rule that matches wins."""

    path: Annotated[str, StringConstraints(pattern=r"^/")]
    """Prefix of the path."""
    method: Annotated[str, StringConstraints(pattern=r"^[A-Z]+$")] | None = None
    role: Role = "call"
    cost: Annotated[float, Field(ge=0.001, le=1000)] = 1.0


class Http(Table):
    """``[service.NAME.http]``: what the gate knows about the HTTP server behind it."""

    rule: tuple[HttpRule, ...] = ()
    session_cookie: str | None = None
    """Cookie that names a session."""
    user_header: str | None = None
    """Header that names a user; only for clients behind a trusted hop."""
    status: Literal[503, 429] = 503
    """Status of a call that is turned away."""
    probe_paths: Texts = ()


class Tcp(Table):
    """``[service.NAME.tcp]``: bounds where connections cannot be shared, with ``protocol = "tcp"`` or passthrough.

    Defaults are what proxies in the field use; only bytes count as life, TCP keepalives do not.
    """

    half_open_max: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """Connects in progress per server; more wait in order."""
    half_closed_timeout: Duration = duration("30s")
    """A connection that one side has ended is closed after this silence of the other."""
    idle_timeout: Duration = duration("1h")
    """A connection on which no byte has come for this long is closed."""
    idle_timeout_pressed: Duration = duration("60s")
    """The same where 95 % of ``io.connections_max`` are open; from 60 % on ``idle_timeout`` falls towards it."""
    lazy: bool = False
    """Connect to the server with the client's first byte; only where servers do not speak first."""
    connections_per_client_max: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Connections of one client address; left out: as many as the service may have."""


class Guarantees(Table):
    """``[service.NAME.admission.guarantees]``: least share of work while calls of a class wait; sum ≤ 1."""

    continuation: Share = 0.5
    new_session: Share = 0.25
    steady: Share = 0.1
    bulk: Share = 0.1


class Admission(Table):
    """``[service.NAME.admission]``: bounds and every constant of time of the admission machine."""

    held_max: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    held_per_client_max: Annotated[int, Field(ge=1, le=65_536)] = 8
    """Held calls of one client. With ``protocol = "vcenter"``, where many scripts call from one machine,
    ``sessions_per_principal_max`` when it is left out."""
    reserved_places: Annotated[int, Field(ge=0, le=65_536)] = 8
    bulk_per_client_min: Annotated[int, Field(ge=1, le=65_536)] = 2
    clients_max: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    sessions_max: Annotated[int, Field(ge=1, le=10_000_000)] = 65_536
    settle_calls: Annotated[int, Field(ge=1, le=65_536)] = 16
    follow_ups: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Expected work after a session opens, in units, until it is learned."""
    client_timeout: Duration = duration("30s")
    """How long a client waits for an answer when it does not say."""
    margin: Duration = duration("2s")
    """Safety margin before a deadline."""
    upstream_timeout: Duration = duration("60s")
    """How long to wait for a server's answer."""
    quarantine: Duration = duration("10s")
    """How long a slot stays taken after that when the server never says that it is done."""
    seniority: Duration = duration("10m")
    """How long a client's place in line outlives its last call."""
    settle_after: Duration = duration("30s")
    """A session counts as settled after this, or at its first poll."""
    session_idle: Duration | None = None
    """A session idle for longer is dead at the server; leave it out when you do not know."""
    retry_server: Duration = duration("1s")
    """Between two tries of a server that is down."""
    renew_within: Duration = duration("30s")
    """A renewal goes before new sessions when its token expires within this."""
    retry_after_min: Duration = duration("1s")
    retry_after_max: Duration = duration("30s")
    rate_window: Duration = duration("2s")
    """Window over which the rate of completed work is measured."""
    limit_window: Duration = duration("1s")
    """Least length of a window over which an adaptive limit is judged once it is steady."""
    silence: Duration = duration("5s")
    """A server that has calls in flight and answers none of them for this long is suspect."""
    guarantees: Guarantees = Guarantees()


class Io(Table):
    """``[service.NAME.io]``: bounds and timeouts of connections."""

    head_timeout: Duration = duration("10s")
    """From a request's first byte to the end of its head."""
    handshake_timeout: Duration = duration("10s")
    idle_timeout: Duration = duration("5m")
    """A client's connection without a request is closed after this; a poll every 10 s keeps it open. Where the gate
    reads no requests ``[service.NAME.tcp]`` has an ``idle_timeout`` of its own."""
    write_timeout: Duration = duration("30s")
    """A client that takes no byte of its answer for this long is closed."""
    body_rate_timeout: Duration = duration("10s")
    """No byte of a promised body for this long ends it."""
    connect_timeout: Duration = duration("5s")
    """To the server."""
    server_idle: Duration = duration("30s")
    """A pooled connection to the server is closed after this."""
    connections_max: Annotated[int, Field(ge=1, le=1_000_000)] = 8000
    """Client connections of this service."""
    handshakes_max: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    buffers_max: ByteSize = ByteSize.parse("64MiB")
    """All buffers of this service together."""
    drain: Duration = duration("30s")
    """How long calls in flight may take to end when the gate shuts down."""


class Identity(Table):
    """``[service.NAME.identity.NAME]``: special clients; exactly one of the first three keys."""

    subject: str | None = None
    """Subject of the client certificate, as ``CN=…``."""
    address: Network | None = None
    header: tuple[str, str] | None = None
    """Name of a request header, and the prefix of its value."""
    role: Literal["bulk"] | None = None
    reserved: bool = False
    """Has a place that nobody else can take (vCenter's own session)."""
    honours_retry_after: bool = False
    """Waits as long as Retry-After says, so it can be turned away at once."""


class Service(Table):
    """``[service.NAME]``: one listening address and the servers behind it."""

    listen: Listen
    protocol: Literal["http", "vasa", "vcenter", "tcp"]
    """``tcp``: bytes that the gate does not read; only establishments are admitted."""
    mode: Literal["observe", "enforce"] = "observe"
    """``observe``: decide and tell, let everything pass."""
    accept_proxy: bool = False
    """Clients begin with a PROXY protocol header (the gate stands behind a balancer)."""
    forwarded_from: Networks = ()
    """Networks whose X-Forwarded-For is believed."""
    tls: Annotated[Passthrough | Terminate, Field(discriminator="kind")] | None = None
    """Left out: cleartext."""
    vasa: Vasa | None = None
    vcenter: Vcenter | None = None
    http: Http | None = None
    tcp: Tcp | None = None
    server: Annotated[dict[Name, Server], Field(min_length=1)]
    pool_scope: Literal["service", "never"] = "service"
    """``service``: all clients share the connections to a server; ``never``: each call has one of its own."""
    monitor: Monitor | None = None
    """Left out: servers are not probed."""
    admission: Admission = Admission()
    io: Io = Io()
    identity: dict[Name, Identity] = Field(default_factory=dict)

    @property
    def speaks_tls(self) -> bool:
        """Whether each server speaks TLS, to the gate or through it."""
        return isinstance(self.tls, Passthrough) or all(server.tls for server in self.server.values())

    @property
    def monitor_kind(self) -> Literal["tcp", "half-open", "tls", "http"]:
        """What a probe does, where the file leaves it to the gate."""
        if self.monitor and self.monitor.kind:
            return self.monitor.kind
        if self.protocol in {"vasa", "vcenter"}:
            return "http"
        return "tls" if self.speaks_tls else "tcp"


class Config(Table):
    """One file: one gate process and its services."""

    gate: GateTable = GateTable()
    service: Annotated[dict[Name, Service], Field(min_length=1)]
    window: dict[Name, GateWindow] = Field(default_factory=dict, max_length=64)
