"""The file that ``gate init`` writes: in observe mode, every line explained, made from a look at the server."""

from __future__ import annotations

import json
from typing import Literal

from tidegate.gate.look import Look

__all__ = ["file_for"]


Protocol = Literal["vasa", "vcenter", "http"]


def file_for(protocol: Protocol, look: Look, listen: str, today: str) -> str:
    """Return the text of a configuration file.

    Parameters
    ----------
    protocol
        What the server speaks.
    look
        What was seen there.
    listen
        Where the gate is to listen, ``IP:PORT``.
    today
        The date, as ``2026-12-03``.
    """
    name = "web" if protocol == "http" else protocol
    parts = [
        _head(protocol, look, today),
        _service(name, protocol, listen),
        _tls(name, protocol, look),
        _vcenter(name, protocol, look),
        _server(name, protocol, look),
        _monitor(name, protocol, look),
        _admission(name, look),
    ]
    return "\n".join(part for part in parts if part)


def _head(protocol: Protocol, look: Look, today: str) -> str:
    lines = [
        f"A gate in front of {_address(look)}, written by `tidegate gate init {protocol}` on {today}.",
        "",
        "It only observes: everything passes, and `tidegate gate status` tells what the gate would have done.",
        'When that looks right, set mode = "enforce" and run `tidegate gate reload`.',
        "",
        "Seen at the server:",
        f"- connected in {look.connect_ms:.1f} ms",
    ]
    if look.certificate is None:
        lines.append("- it speaks no TLS")
    else:
        certificate = look.certificate
        names = ", ".join(certificate.names) or "none that could be read"
        lines += [
            f"- {look.tls_version}; client certificate: {look.client_certificate}",
            f"- certificate for: {names}",
            f"- issuer: {certificate.issuer or 'unknown'}; expires: {certificate.expires or 'unknown'}",
            f"- SHA-256: {certificate.sha256}",
        ]
        if certificate.problem:
            lines.append(f"- the certificate has a problem: {certificate.problem}")
    if protocol == "vasa":
        seen = f"versions {', '.join(look.vasa_versions)}" if look.vasa_versions else "read, no version named"
        lines.append(f"- /vasa/version.xml: {seen if look.version_xml else 'could not be read'}")
    if protocol == "vcenter":
        seen = look.vsphere_version or "could not be read"
        lines.append(f"- /sdk/vimServiceVersions.xml: vSphere API {seen}")
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _service(name: str, protocol: Protocol, listen: str) -> str:
    return f"""[gate]
admin = "unix:/run/tidegate/admin.sock"   # `tidegate gate status` asks here
state = "/var/lib/tidegate/{name}.json"   # what the gate has learned, for its next start

[service.{name}]
listen = {json.dumps(listen)}
protocol = "{protocol}"
mode = "observe"
"""


def _tls(name: str, protocol: Protocol, look: Look) -> str:
    if look.certificate is None:
        return ""
    is_vcenter = protocol == "vcenter"
    guide, needs = (
        ("vCenter", "certificate and key") if is_vcenter else ("VASA provider", "certificate, key and client_ca")
    )
    chosen = json.dumps([known for known in look.certificate.names if _is_name(known)] or ["NAME"])
    return f"""# TLS passes through: clients keep seeing the server's own certificate; nothing is registered again.
# To let the gate see calls instead of connections, it must end TLS: kind = "terminate", with
# {needs} (see the guide "in front of a {guide}").
[service.{name}.tls]
kind = "passthrough"
# names = {chosen}   # turn away clients that ask for another name, or for none
"""


def _vcenter(name: str, protocol: Protocol, look: Look) -> str:
    if protocol != "vcenter" or look.certificate is None:
        return ""
    return f"""[service.{name}.vcenter]
# Sessions can be shared, and tasks paced, only where the gate reads calls: with kind = "terminate" above and
# mode = "enforce" this is "on". Until then logins are not fewer, they only come one after the other.
broker = "off"
"""


def _is_name(text: str) -> bool:
    """Tell a host's name from an address and from a wildcard, which no client asks for."""
    return bool(text.strip("0123456789.:")) and "*" not in text


def _server(name: str, protocol: Protocol, look: Look) -> str:
    batches = " (KB 412434 lets 5 to 10 hosts back at a time)" if protocol == "vasa" else ""
    return f"""[service.{name}.server.a]
address = {json.dumps(_address(look))}
# How many calls at once: the gate begins low and finds what this server serves best, never more than limit_max.
# A number of your own is limit = "static:8"{batches}.
limit = "adaptive"
limit_max = 256
"""


def _monitor(name: str, protocol: Protocol, look: Look) -> str:
    if look.version_xml or (protocol == "vcenter" and look.vsphere_version):
        kind, does = "http", "a probe asks for the list of versions, which makes no session"
    elif look.certificate:
        kind, does = "tls", "a probe shakes hands over TLS"
    else:
        kind, does = (
            "tcp",
            'a probe connects; kind = "http" with the path of a status page knows more',
        )
    return f"""[service.{name}.monitor]
kind = "{kind}"   # {does}
interval = "2s"   # three failures in a row make the server down, or two when the server itself says no
slow_start = "30s"   # one that is back gets a tenth of its limit at first, and all of it after this
"""


def _admission(name: str, look: Look) -> str:
    waits = "connection" if look.certificate else "answer"
    timeout = "10s" if look.certificate else "30s"
    return f"""[service.{name}.admission]
# How long clients wait for a {waits} before they give up. Nothing is held longer, less the margin.
client_timeout = "{timeout}"
margin = "2s"
"""


def _address(look: Look) -> str:
    return f"[{look.host}]:{look.port}" if ":" in look.host else f"{look.host}:{look.port}"
