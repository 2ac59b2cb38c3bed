"""The peers of the storm: how each is configured (the files beside this one) and started.

All of them end TLS where there is TLS, keep connections alive on both sides, wait a minute of world time for an answer
of the server, and write no access log. Only HAProxy and nginx are told a limit: the knee of the server, as if somebody
had measured it; `haproxy-best` has what a published grid search found for exactly that server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benches.peers import BIN, PROXY_CPU, envoy_path
from benches.process import Process, need, start
from tidegate.config.load import parse_config
from tidegate.config.write import sped_up, to_toml

HERE = Path(__file__).parent
KNEE = 22
CONNECT_S, ANSWER_S, IDLE_S = 5.0, 60.0, 300.0


@dataclass(frozen=True)
class Knobs:
    """What a person can turn at HAProxy; `queue_s` is world time, None leaves HAProxy's own default."""

    maxconn: int = KNEE
    queue_s: float | None = None
    by_class: bool = False


@dataclass(frozen=True)
class Place:
    """Where a peer runs, and how much faster than the clock its world is; `certificates` is None for cleartext."""

    folder: Path
    server: str
    port: int
    speed: float
    seed: int
    protocol: str
    certificates: Path | None
    best: Knobs

    def ms(self, world_s: float) -> int:
        """Return a length of world time in milliseconds of the clock."""
        return round(world_s / self.speed * 1000)

    def fill(self, name: str, **values: object) -> str:
        """Return the text of a configuration file from its template."""
        host, _, port = self.server.rpartition(":")
        times = {"connect": CONNECT_S, "answer": ANSWER_S, "idle": IDLE_S}
        known = {
            **{key: f"{self.ms(seconds)}ms" for key, seconds in times.items()},
            "folder": self.folder,
            "server": self.server,
            "host": host,
            "server_port": port,
            "port": self.port,
            "seed": self.seed,
            "protocol": self.protocol,
            "tls": "",
        }
        return Template((HERE / name).read_text()).substitute({**known, **values})

    def write(self, name: str, text: str) -> str:
        """Write a file into the folder; return its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


def _haproxy(place: Place, knobs: Knobs, *, careful: bool) -> list[str]:
    """`careful`: forget calls whose client has left while they waited, which HAProxy 2.6 does not do unless told."""
    queue = [] if knobs.queue_s is None else [f"timeout queue {place.ms(knobs.queue_s)}ms"]
    queue += ["option abortonclose"] if careful else []
    # SOAP 1.1 names its action in a header of its own, SOAP 1.2 in the content type.
    opens = "{ req.hdr(SOAPAction) -m sub setContext } || { req.hdr(Content-Type) -m sub setContext }"
    classes = f"http-request set-priority-class int(1) if {opens}" if knobs.by_class else ""
    tls = ""
    if folder := place.certificates:
        both = place.write(
            "gate.lab.both", (folder / "gate.lab.pem").read_text() + (folder / "gate.lab.key").read_text()
        )
        tls = f" ssl crt {both} ca-file {folder / 'ca.pem'} verify required alpn http/1.1"
    text = place.fill("haproxy.cfg", maxconn=knobs.maxconn, queue="\n  ".join(queue), classes=classes, tls=tls)
    return [need("haproxy", "apt-get install haproxy"), "-db", "-f", place.write("haproxy.cfg", text)]


def _nginx(place: Place, zone: str, limit: str) -> list[str]:
    text = place.fill("nginx.conf", zone=zone, limit=limit)
    return [need("nginx", "apt-get install nginx-light"), "-c", place.write("nginx.conf", text)]


def _nginx_req(place: Place) -> list[str]:
    rate = round(15 * place.speed)
    return _nginx(place, f"limit_req_zone $server_name zone=all:1m rate={rate}r/s;", "limit_req zone=all burst=300;")


def _envoy(place: Place, name: str, settings: dict[str, object]) -> list[str]:
    kind = "AdaptiveConcurrency" if name == "adaptive_concurrency" else "AdmissionControl"
    typed = {"@type": f"type.googleapis.com/envoy.extensions.filters.http.{name}.v3.{kind}", **settings}
    one = {"name": f"envoy.filters.http.{name}", "typed_config": typed}
    tls = _envoy_tls(place.certificates) if place.certificates else ""
    path = place.write("envoy.yaml", place.fill("envoy.yaml", filter=json.dumps(one), tls=tls, **_envoy_times(place)))
    return [envoy_path(), "-c", path, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def _envoy_times(place: Place) -> dict[str, str]:
    times = {"connect": CONNECT_S, "answer": ANSWER_S, "idle": IDLE_S}
    return {key: f"{seconds / place.speed:g}s" for key, seconds in times.items()}


def _envoy_tls(folder: Path) -> str:
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "alpn_protocols": ["http/1.1"],
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(folder / "gate.lab.pem")},
                    "private_key": {"filename": str(folder / "gate.lab.key")},
                }
            ],
            "validation_context": {"trusted_ca": {"filename": str(folder / "ca.pem")}},
        },
    }
    return "transport_socket: " + json.dumps({"name": "tls", "typed_config": context})


def _envoy_adaptive(place: Place) -> list[str]:
    """Envoy's documented example, with a sample percentile of 90."""
    controller = {
        "sample_aggregate_percentile": {"value": 90},
        "concurrency_limit_params": {"concurrency_update_interval": f"{0.1 / place.speed:g}s"},
        "min_rtt_calc_params": {
            "jitter": {"value": 10},
            "interval": f"{60 / place.speed:g}s",
            "request_count": 50,
        },
    }
    return _envoy(place, "adaptive_concurrency", {"gradient_controller_config": controller})


def _envoy_admission(place: Place) -> list[str]:
    """Envoy's defaults, written out where it wants them written out."""
    successes = {"http_criteria": {"http_success_status": [{"start": 100, "end": 500}]}}
    window = f"{30 / place.speed:g}s"
    return _envoy(place, "admission_control", {"sampling_window": window, "success_criteria": successes})


def _tidegate(place: Place) -> list[str]:
    tls = ""
    if folder := place.certificates:
        files = {"certificate": "gate.lab.pem", "key": "gate.lab.key", "client_ca": "ca.pem"}
        named = "".join(f'{key} = "{folder / name}"\n' for key, name in files.items())
        tls = f'[service.storm.tls]\nkind = "terminate"\n{named}'
    told = parse_config(place.fill("tidegate.toml", tls=tls), place.folder / "tidegate.toml")
    return [str(BIN / "tidegate"), "gate", "run", place.write("tidegate.toml", to_toml(sped_up(told, place.speed)))]


_COMMANDS = {
    "nginx-conn": lambda place: _nginx(place, "limit_conn_zone $server_name zone=all:1m;", f"limit_conn all {KNEE};"),
    "nginx-req": _nginx_req,
    "haproxy-default": lambda place: _haproxy(place, Knobs(), careful=False),
    "haproxy-best": lambda place: _haproxy(place, place.best, careful=True),
    "haproxy-misset": lambda place: _haproxy(place, Knobs(100, place.best.queue_s, place.best.by_class), careful=True),
    "envoy-adaptive": _envoy_adaptive,
    "envoy-admission": _envoy_admission,
    "tidegate": _tidegate,
}
PEERS = ("none", *_COMMANDS)


def launch(peer: str, place: Place) -> Process:
    """Start a peer (not `none`) on the proxy's CPU and wait until it listens.

    Raises
    ------
    BenchError
        It does not.
    """
    process = start(peer, _COMMANDS[peer](place), PROXY_CPU, place.folder)
    try:
        process.wait_for(place.port)
    except BaseException:
        process.stop()
        raise
    return process
