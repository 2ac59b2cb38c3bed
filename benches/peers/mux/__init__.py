"""The peers of `bench-mux`: how each is configured (the files beside this one), started, reloaded and asked.

Every configuration gives the same service: no access log, one thread, an hour of idleness allowed on both sides, no
limit at the servers that the tests would meet. `haproxy-safe` is HAProxy as it comes: `http-reuse safe`, ports of the
kernel's choice. `haproxy-always` is HAProxy as somebody sets it up who knows this problem: `http-reuse always`, its own
source port range where the test has one, splicing where bytes only pass. Monitors have the same interval, timeout, fall
and rise; nginx of this version has none, and counts failures of its traffic instead.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from benches.peers import BIN, PROXY_CPU, envoy_path
from benches.process import BenchError, Process, need, start

HERE = Path(__file__).parent
PORT = 8000
PEERS = ("tidegate", "haproxy-safe", "haproxy-always", "nginx", "envoy")
NGINX_MODULES = Path("/usr/lib/nginx/modules")
STREAM = NGINX_MODULES / "ngx_stream_module.so"
PACKAGES = {
    "cc": "gcc",
    "h2load": "nghttp2-client",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "nft": "nftables",
    "nginx": "nginx-light",
    str(STREAM): "libnginx-mod-stream",
}
"""What the tests need, by program or file, and the Debian package that brings it."""
FALL, RISE = 3, 2


class SkippedError(Exception):
    """A peer cannot take part in this test; the text is one sentence."""


@dataclass(frozen=True)
class Monitor:
    """How servers are looked at: by a TCP connect or by GET /health, how often, in seconds; fall 3, rise 2."""

    kind: Literal["tcp", "http"]
    interval_s: float

    @property
    def ms(self) -> int:
        """The interval in milliseconds."""
        return round(self.interval_s * 1000)


@dataclass(frozen=True)
class Site:
    """Where a peer runs: its folder, its servers, its source port range and monitor, and what only one test needs."""

    folder: Path
    servers: Sequence[str]
    mode: Literal["http", "tcp"] = "http"
    ports: tuple[int, int] | None = None
    monitor: Monitor | None = None
    environment: Sequence[str] = ()
    detached: bool = False
    """Its parent is to end, without which nginx does not let a new program take over."""

    def own_ports(self, peer: str) -> bool:
        """Whether the peer is told the range itself; the others get it as the kernel's range."""
        return self.ports is not None and peer in {"tidegate", "haproxy-always"}

    def write(self, name: str, template: str, **values: object) -> Path:
        """Fill in a configuration file; return its path."""
        target = self.folder / name
        known = {"folder": self.folder, "port": PORT, "mode": self.mode}
        target.write_text(Template((HERE / template).read_text()).substitute(known, **values))
        return target


def launch(peer: str, site: Site) -> Process:
    """Start a peer on the proxy's CPU.

    Raises
    ------
    BenchError
        It does not start.
    SkippedError
        tidegate does not know a key of its file yet.
    """
    process = begin(peer, site, 0)
    try:
        process.wait_for(PORT)
    except BenchError:
        process.stop()
        raise
    return process


def begin(peer: str, site: Site, epoch: int) -> Process:
    """Start a peer without waiting for it; `epoch` is Envoy's own count of its restarts."""
    command = _COMMANDS[peer.partition("-")[0]](peer, site, epoch)
    if site.environment:
        command = ["env", *site.environment, *command]
    return start(f"{peer}-{epoch}" if epoch else peer, command, PROXY_CPU, site.folder)


def _haproxy(peer: str, site: Site, _: int) -> list[str]:
    tuned = peer == "haproxy-always"
    options = ["option splice-auto"] if tuned else []
    if site.mode == "http":
        options = ["timeout http-keep-alive 1h", "option http-keep-alive", "option forwardfor"]
        options.append(f"http-reuse {'always' if tuned else 'safe'}")
    how = ""
    if site.monitor:
        how += f" check inter {site.monitor.ms}ms fall {FALL} rise {RISE}"
    if site.ports and site.own_ports(peer):
        how += f" source 127.0.0.1:{site.ports[0]}-{site.ports[1]}"
    config = site.write(
        "haproxy.cfg",
        "haproxy.cfg",
        options="\n  ".join(options),
        check="option httpchk GET /health" if site.monitor and site.monitor.kind == "http" else "",
        servers="\n".join(f"  server s{number} {address}{how}" for number, address in enumerate(site.servers)),
    )
    return [need("haproxy", "apt-get install haproxy"), "-W", "-f", str(config)]


def _nginx(_: str, site: Site, __: int) -> list[str]:
    how = f" max_fails={FALL} fail_timeout={max(1, round(FALL * site.monitor.interval_s))}s" if site.monitor else ""
    servers = "\n".join(f"    server {address}{how};" for address in site.servers)
    if site.mode == "tcp":
        if not STREAM.exists():
            raise SkippedError("nginx lacks its stream module; apt-get install libnginx-mod-stream")
        config = site.write("nginx.conf", "nginx-tcp.conf", servers=servers, stream=STREAM)
    else:
        config = site.write("nginx.conf", "nginx.conf", servers=servers)
    command = [need("nginx", "apt-get install nginx-light"), "-c", str(config)]
    if site.detached:
        return ["sh", "-c", f"({shlex.join(command)} & sleep 0.5); exec sleep infinity"]
    return command


def _envoy(_: str, site: Site, epoch: int) -> list[str]:
    health = ""
    if site.monitor:
        kind = "tcp_health_check: {}" if site.monitor.kind == "tcp" else "http_health_check: {path: /health}"
        every = f"{site.monitor.ms / 1000:g}s"
        health = (
            f"health_checks: [{{timeout: {every}, interval: {every}, no_traffic_interval: {every}, "
            f"unhealthy_threshold: {FALL}, healthy_threshold: {RISE}, {kind}}}]"
        )
    servers = [address.rpartition(":") for address in site.servers]
    config = site.write(
        "envoy.yaml",
        "envoy.yaml",
        filter=(HERE / f"envoy-{site.mode}.yaml").read_text().strip(),
        health=health,
        servers="\n".join(
            f"              - endpoint: {{address: {{socket_address: {{address: {host}, port_value: {port}}}}}}}"
            for host, _, port in servers
        ),
    )
    command = [envoy_path(), "-c", str(config), "--concurrency", "1", "--log-level", "error"]
    # An id of its own per folder: hot restart shares memory by this number.
    base = sum(map(ord, site.folder.name)) * 7
    return [*command, "--base-id", str(base), "--restart-epoch", str(epoch), "--drain-time-s", "1",
            "--parent-shutdown-time-s", "1"]  # fmt: skip


def _tidegate(_: str, site: Site, __: int) -> list[str]:
    monitor = ""
    if site.monitor:
        how = f'kind = "{site.monitor.kind}"'
        if site.monitor.kind == "http":
            how += '\npath = "/health"'
        every = f'"{site.monitor.ms}ms"'
        monitor = (
            f"\n[service.mux.monitor]\n{how}\ninterval = {every}\ntimeout = {every}\nfast = {every}\n"
            f"fall = {FALL}\nrise = {RISE}\n"
        )
    # The gate counts what it may open at most, and a process may have 20 000 files here.
    limit = min(8000, 8000 // len(site.servers) + 1)
    config = site.write(
        "tidegate.toml",
        "tidegate.toml",
        connections=4000 if site.mode == "tcp" else 9000,
        protocol=site.mode,
        ports=f'\n[gate.ports]\nrange = "{site.ports[0]}-{site.ports[1]}"\n' if site.ports else "",
        monitor=monitor,
        servers="\n".join(
            f'[service.mux.server.s{number}]\naddress = "{address}"\nlimit = "static:{limit}"\n'
            for number, address in enumerate(site.servers)
        ),
    )
    program = str(BIN / "tidegate")
    checked = subprocess.run([program, "gate", "check", str(config)], capture_output=True, text=True, check=False)
    if checked.returncode == 2:
        why = ((checked.stdout + checked.stderr).strip().splitlines() or ["it does not say why"])[0]
        raise SkippedError(f"tidegate does not take the file of this test yet: {why}")
    return [program, "gate", "run", str(config)]


_COMMANDS = {"tidegate": _tidegate, "haproxy": _haproxy, "nginx": _nginx, "envoy": _envoy}
