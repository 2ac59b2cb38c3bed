"""From what a file says of a probe to the probe: one place that knows every kind.

A password is read when a probe first logs in, and again for each login after that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tidegate.clients.avi import Avi
from tidegate.clients.f5 import F5
from tidegate.clients.http import HttpOptions
from tidegate.clients.nsx import Nsx
from tidegate.clients.reach import manager_options, ssh_options, vcenter_options
from tidegate.clients.secret import read_secret
from tidegate.clients.ssh import Ssh
from tidegate.clients.vcenter import Vcenter
from tidegate.config.reach import Endpoint
from tidegate.watch.live.probe_avi import AviProbe
from tidegate.watch.live.probe_config import (
    AviTable,
    EnvoyTable,
    F5ShellTable,
    F5Table,
    GateTable,
    HaproxyTable,
    NsxTable,
    ProbeTable,
    VcenterTable,
)
from tidegate.watch.live.probe_envoy import EnvoyProbe
from tidegate.watch.live.probe_f5 import F5Probe, F5ShellProbe
from tidegate.watch.live.probe_gate import GateProbe
from tidegate.watch.live.probe_haproxy import HaproxyProbe
from tidegate.watch.live.probe_nsx import NsxProbe
from tidegate.watch.live.probe_source import Probe, ProbeOptions, ProbeSource
from tidegate.watch.live.probe_vcenter import VcenterProbe
from tidegate.watch.rule import RuleSet

__all__ = ["probe_for", "source_for"]

_OUTPUT_MAX = 16 << 20
"""Most that is read of one command; a pool member takes about 1 KiB."""


def source_for(name: str, table: ProbeTable, rules: RuleSet) -> ProbeSource:
    """Return the source of ``[probe.NAME]``; nothing is connected yet."""
    options = ProbeOptions(table.every.seconds, table.timeout.seconds)
    return ProbeSource(f"probe.{name}", probe_for(table), rules, options)


def probe_for(table: ProbeTable) -> Probe:
    """Return the probe that a table describes."""
    match table:
        case HaproxyTable():
            return HaproxyProbe(table.address)
        case EnvoyTable():
            return EnvoyProbe(table.address, table.timeout.seconds)
        case GateTable():
            return GateProbe(table.address, table.timeout.seconds)
        case F5ShellTable():
            options = replace(ssh_options(table.ssh), command_s=table.timeout.seconds, output_max=_OUTPUT_MAX)
            return F5ShellProbe(Ssh(options), table.address, table.sources)
        case _:
            return _manager(table)


def _manager(table: AviTable | F5Table | NsxTable | VcenterTable) -> Probe:
    match table:
        case AviTable():
            whose = "Avi Controller"
            secret, headers = _secret(table, "TIDEGATE_AVI_PASSWORD", whose), {"X-Avi-Tenant": table.tenant}
            return AviProbe(Avi.at(_once(table, whose), table.user, secret, headers=headers), table.sources)
        case F5Table():
            secret = _secret(table, "TIDEGATE_F5_PASSWORD", "F5")
            return F5Probe(F5.at(_once(table, "F5"), table.user, secret), table.sources)
        case NsxTable():
            secret = _secret(table, "TIDEGATE_NSX_PASSWORD", "NSX Manager")
            return NsxProbe(Nsx.at(_once(table, "NSX Manager"), table.user, secret))
        case VcenterTable():
            return VcenterProbe(Vcenter(vcenter_options(table)))


def _once(endpoint: Endpoint, kind: str) -> HttpOptions:
    """Return how to reach a manager: one try of each call, as the schedule itself tries again, later and later."""
    return replace(manager_options(endpoint, kind), tries=1, at_once=1)


def _secret(endpoint: Endpoint, variable: str, kind: str) -> Callable[[], str]:
    whose = f"{kind} {endpoint.address}"
    return lambda: read_secret(endpoint.password_env or variable, endpoint.password_file, whose)
