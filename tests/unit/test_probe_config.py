"""What a file may say of probes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tidegate.watch.live.probe_avi import AviProbe
from tidegate.watch.live.probe_config import ProbeTable
from tidegate.watch.live.probe_envoy import EnvoyProbe
from tidegate.watch.live.probe_f5 import F5Probe, F5ShellProbe
from tidegate.watch.live.probe_gate import GateProbe
from tidegate.watch.live.probe_haproxy import HaproxyProbe
from tidegate.watch.live.probe_kinds import probe_for, source_for
from tidegate.watch.live.probe_nsx import NsxProbe
from tidegate.watch.live.probe_vcenter import VcenterProbe
from tidegate.watch.load import load_rules
from tidegate.watch.measures import ALL

TABLE: TypeAdapter[ProbeTable] = TypeAdapter(ProbeTable)
LOGIN = {"address": "manager.example", "user": "reader"}


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ({"kind": "haproxy", "address": "unix:/run/haproxy/admin.sock"}, HaproxyProbe),
        ({"kind": "haproxy", "address": "127.0.0.1:9999", "every": "10s"}, HaproxyProbe),
        ({"kind": "envoy", "address": "127.0.0.1:9901"}, EnvoyProbe),
        ({"kind": "gate"}, GateProbe),
        ({"kind": "avi", **LOGIN, "tenant": "*", "sources": 4}, AviProbe),
        ({"kind": "f5", **LOGIN}, F5Probe),
        ({"kind": "f5-ssh", "address": "edge.example", "ssh": {"user": "guest"}}, F5ShellProbe),
        ({"kind": "nsx", **LOGIN, "port": 8443}, NsxProbe),
        ({"kind": "vcenter", **LOGIN}, VcenterProbe),
    ],
)
def test_each_kind_makes_its_probe_and_connects_to_nothing(table: dict[str, Any], kind: type) -> None:
    read = TABLE.validate_python(table)
    probe = probe_for(read)
    assert type(probe) is kind
    assert probe.measures
    assert probe.measures <= set(ALL)
    source = source_for("edge", read, load_rules())
    assert (source.name, source.options.every_s) == ("probe.edge", read.every.seconds)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"kind": "haproxy", "address": "unix:run/haproxy.sock"}, "not an absolute Unix socket address"),
        ({"kind": "haproxy", "address": "haproxy"}, "is not an address"),
        ({"kind": "envoy", "address": "127.0.0.1:99999"}, "is not an address"),
        ({"kind": "envoy"}, "Field required"),
        ({"kind": "gate", "every": "10ms"}, "once a second at the most"),
        ({"kind": "f5-ssh", "address": "edge", "ssh": {"open_ssh": True}}, "changes nothing"),
        ({"kind": "nsx", "address": "nsx.example"}, "Field required"),
        ({"kind": "nsx", **LOGIN, "password": "secret"}, "Extra inputs"),
        ({"kind": "squid", "address": "x"}, "squid"),
        ({"kind": "avi", **LOGIN, "sources": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TABLE.validate_python(table)
