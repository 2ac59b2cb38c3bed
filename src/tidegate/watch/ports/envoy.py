"""Reads Envoy's ``/clusters`` and ``/stats`` (text).

``/clusters`` tells connections and requests per server, ``/stats`` only per cluster: with more than one server behind
it the bucket is bounded from above, not known. Envoy does not tell its own addresses: the source is "envoy".
"""

from __future__ import annotations

import re
from collections import defaultdict

from tidegate.watch.ports.balancer import Held, Servers
from tidegate.watch.ports.model import Gauge, PortReading
from tidegate.watch.ports.text import endpoint_of, lines_of, number_of

__all__ = ["read_envoy_clusters", "read_envoy_stats"]

_HOST_STATS = {"cx_active", "rq_active", "rq_pending_active", "cx_connect_fail", "health_flags"}
_HOST = re.compile(r"(?P<cluster>.*)::(?P<host>\[[0-9A-Fa-f:.%]+\]:[0-9]+|[^:\[\]\s]+:[0-9]+|/\S+)")
_CLUSTER = re.compile(
    r"cluster\.(?P<name>\S+)\.(?P<stat>upstream_cx_active|upstream_rq_active|upstream_rq_pending_active|membership_total)"
    r": (?P<value>[0-9]{1,19})"
)
_FRONT = re.compile(r"(?P<kind>http|tcp)\.(?P<name>\S+)\.downstream_(?P<stat>cx|rq)_active: (?P<value>[0-9]{1,19})")
_ANY = re.compile(r"[^\s:]\S*: (?:[0-9]+|No recorded values|P0\(.*|\"?.*\"?)")
_OWN = "admin"


def read_envoy_clusters(text: str, *, capacity: int | None = None) -> PortReading:
    """Read the text of ``/clusters``.

    Parameters
    ----------
    text
        As the admin interface prints it, whole or cut down to lines with ``cx_active`` and ``rq_active``.
    capacity
        Source ports per server, when known.

    Raises
    ------
    ValueError
        With a sentence, when no line tells a server's ``cx_active``.
    """
    hosts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    servers = Servers("envoy", capacity)
    for line in lines_of(text):
        head, stat, value = [*line.rsplit("::", 2), "", ""][:3]
        match = _HOST.fullmatch(head) if stat in _HOST_STATS else None
        if match is not None:
            hosts[match["cluster"], match["host"]][stat] = value
        elif "::" not in line:
            servers.other_lines += 1
    gauges = []
    for (cluster, host), stats in hosts.items():
        connections = number_of(stats.get("cx_active", ""))
        if connections is None:
            continue
        requests = number_of(stats.get("rq_active", ""))
        gauges.append(
            Gauge(
                f"{cluster}/{host}",
                "server",
                connections,
                open_requests=requests,
                queued=number_of(stats.get("rq_pending_active", "")),
                state=stats.get("health_flags", ""),
                dropped=number_of(stats.get("cx_connect_fail", "")),
            )
        )
        end = endpoint_of(host)
        if host.startswith("/"):
            servers.left_out["a Unix socket: it takes no port"] += connections
            continue
        name, _, port = host.rpartition(":")
        _add(servers, end or (name, number_of(port)), connections, requests)
    if not gauges:
        raise ValueError(
            "no line of this text tells a server's cx_active as Envoy's /clusters does (cluster::host::cx_active::n)"
        )
    return servers.reading("envoy-clusters", gauges)


def read_envoy_stats(text: str, *, capacity: int | None = None) -> PortReading:
    """Read the text of ``/stats``.

    Parameters
    ----------
    text
        As the admin interface prints it, whole or filtered.
    capacity
        Source ports per server, when known.

    Raises
    ------
    ValueError
        With a sentence, when no line tells a cluster's ``upstream_cx_active``.
    """
    clusters: dict[str, dict[str, int]] = defaultdict(dict)
    fronts: dict[str, dict[str, int]] = defaultdict(dict)
    servers = Servers("envoy", capacity)
    for line in lines_of(text):
        if (match := _CLUSTER.fullmatch(line)) is not None:
            clusters[match["name"]][match["stat"]] = int(match["value"])
        elif (match := _FRONT.fullmatch(line)) is not None:
            if match["name"] != _OWN:
                fronts[match["name"]][match["stat"]] = int(match["value"])
        elif not _ANY.fullmatch(line):
            servers.other_lines += 1
    told = {name: stats for name, stats in clusters.items() if "upstream_cx_active" in stats}
    if not told:
        raise ValueError("no line of this text tells a cluster's upstream_cx_active as Envoy's /stats does")
    gauges = [
        Gauge(name, "service", stats["cx"], open_requests=stats.get("rq"))
        for name, stats in fronts.items()
        if "cx" in stats
    ]
    for name, stats in told.items():
        connections, requests = stats["upstream_cx_active"], stats.get("upstream_rq_active")
        queued = stats.get("upstream_rq_pending_active")
        gauges.append(Gauge(name, "server", connections, open_requests=requests, queued=queued))
        members = stats.get("membership_total")
        _add(
            servers,
            (f"the server of cluster {name}" if members == 1 else f"one server of cluster {name}", None),
            connections,
            requests,
            at_most=members != 1,
        )
    return servers.reading("envoy-stats", gauges)


def _add(
    servers: Servers, end: tuple[str, int | None], connections: int, requests: int | None, *, at_most: bool = False
) -> None:
    # with HTTP/2 a connection carries many requests, and none of them is idle for certain
    idle = None if requests is None else max(0, connections - requests)
    servers.add(*end, Held(connections, idle=idle, active=requests, at_most=at_most))
