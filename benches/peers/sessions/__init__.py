"""The peers of `bench-sessions`: how each is configured (the files beside this one) and started.

All of them end TLS, speak TLS to the vCenter over kept connections, and write no access log. `direct` is nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template

from benches.peers import BIN, PROXY_CPU
from benches.process import Process, free_port, need, start
from tidegate.config.load import parse_config
from tidegate.config.vcenter import Vcenter
from tidegate.config.write import to_toml
from tidegate.lab.vcenter_scenario import made_small

HERE = Path(__file__).parent
PEERS = ("direct", "haproxy-best", "tidegate")
PACKAGES = {"haproxy": "haproxy"}


@dataclass(frozen=True)
class Knobs:
    """What HAProxy is told for a test: how many calls at the vCenter, and how many connections of clients."""

    requests: int
    connections: int


BEST = {"scripts": Knobs(64, 20), "S6": Knobs(64, 100)}
"""By test: the best of those that were tried. More connections let tokens expire, fewer make scripts lose patience."""


@dataclass(frozen=True)
class Site:
    """Where a peer runs, and what it is told.

    Lengths of time are seconds of the clock; those of a real vCenter are divided by ``speed``.
    """

    folder: Path
    server: str
    seed: int
    speed: float
    patience_s: float
    knobs: Knobs

    def filled(self, name: str, port: int) -> str:
        """Return the text of a configuration file from its template."""
        values = {
            "folder": self.folder,
            "port": port,
            "server": self.server,
            "seed": self.seed,
            "requests": self.knobs.requests,
            "connections": self.knobs.connections,
            "patience": f"{round(self.patience_s * 1000)}ms",
        }
        return Template((HERE / name).read_text()).substitute(values)

    def write(self, name: str, text: str) -> str:
        """Write a file into the folder; return its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


def launch(peer: str, site: Site) -> tuple[Process, int]:
    """Start a peer (not `direct`) on the proxy's CPU and wait until it listens; return it and its port.

    Raises
    ------
    BenchError
        It does not.
    """
    port = free_port()
    process = start(peer, _COMMANDS[peer](site, port), PROXY_CPU, site.folder)
    try:
        process.wait_for(port)
    except BaseException:
        process.stop()
        raise
    return process, port


def _haproxy(site: Site, port: int) -> list[str]:
    both = (site.folder / "gate.lab.pem").read_text() + (site.folder / "gate.lab.key").read_text()
    site.write("gate.lab.both", both)
    file = site.write("haproxy.cfg", site.filled("haproxy.cfg", port))
    return [need("haproxy", "apt-get install haproxy"), "-db", "-f", file]


def _tidegate(site: Site, port: int) -> list[str]:
    return [str(BIN / "tidegate"), "gate", "run", site.write("tidegate.toml", tidegate_file(site, port))]


def tidegate_file(site: Site, port: int) -> str:
    """Return the gate's file, with a vCenter's lengths of time divided by the speed of the lab."""
    told = parse_config(site.filled("tidegate.toml", port), site.folder / "tidegate.toml")
    service = told.service["vcenter"]
    vcenter = made_small(service.vcenter or Vcenter(), site.speed)
    return to_toml(told.model_copy(update={"service": {"vcenter": service.model_copy(update={"vcenter": vcenter})}}))


_COMMANDS = {"haproxy-best": _haproxy, "tidegate": _tidegate}
