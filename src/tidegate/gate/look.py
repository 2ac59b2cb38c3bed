"""A look at a server before a gate is put in front of it: TLS, certificate, VASA versions, whether it is a vCenter.

Nothing is changed there: one connection to look at the certificate, one to see whether the server asks for a client
certificate, one to read it, one GET of ``/vasa/version.xml`` or of vSphere's list of versions, which makes no session.
Each is ended by a timeout.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.errors import ServerUnreachable

__all__ = ["Certificate", "Look", "look_at", "split_address"]

_VERSION_MAX = 64 * 1024
"""Longest list of versions that is read, in bytes."""
_VASA, _VSPHERE = "/vasa/version.xml", "/sdk/vimServiceVersions.xml"
_CERTIFICATE_REQUEST = 13  # handshake message type, RFC 5246 §7.4
_HANDSHAKE = 22  # record type, RFC 5246 §6.2.1

ClientCertificate = Literal["asked", "not asked", "unknown"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the server shows of itself."""

    sha256: str
    """Thumbprint, ``AB:CD:…``."""
    names: tuple[str, ...]
    """DNS names and addresses it is valid for; empty when it could not be decoded."""
    issuer: str
    expires: str
    """As ``2027-01-31``; empty when it could not be decoded."""
    problem: str
    """Why it could not be decoded (an expired certificate cannot); else empty."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    host: str
    port: int
    connect_ms: float
    certificate: Certificate | None
    """``None``: the server speaks no TLS."""
    tls_version: str
    client_certificate: ClientCertificate
    version_xml: str | None
    """What ``/vasa/version.xml`` said, when it could be read."""
    vasa_versions: tuple[str, ...]
    vsphere_version: str
    """The newest version of the vSphere API that it lists; empty: it is no vCenter (nor a host)."""


def split_address(address: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; IPv6 addresses stand in brackets.

    Raises
    ------
    ServerUnreachable
        When it is no address.
    """
    host, _, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") else host
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ServerUnreachable(
            f'"{address}" is not an address', hint='write HOST:PORT, for example "vp.example.com:8443"'
        )
    return host, int(port)


def look_at(address: str, *, timeout_s: float = 5.0, vasa: bool = False) -> Look:
    """Look at the server at ``address`` (``HOST:PORT``); each step takes at most ``timeout_s`` seconds.

    Raises
    ------
    ServerUnreachable
        When nothing answers there.
    """
    host, port = split_address(address)
    began = time.monotonic()
    _connect(host, port, timeout_s).close()
    connect_ms = (time.monotonic() - began) * 1000
    certificate, tls_version = _certificate(host, port, timeout_s)
    asked: ClientCertificate = _asks_for_certificate(host, port, timeout_s) if certificate else "not asked"
    page = _page(host, port, _VASA if vasa else _VSPHERE, timeout_s, tls=certificate is not None)
    text = page if vasa else None
    versions = tuple(dict.fromkeys(re.findall(r"<(?:\w+:)?versionId>\s*([\w.]+)\s*<", text))) if text else ()
    vsphere = "" if vasa else _vsphere_version(page or "")
    return Look(host, port, connect_ms, certificate, tls_version, asked, text, versions, vsphere)


def _vsphere_version(text: str) -> str:
    """Return the version of ``urn:vim25``; the newest one comes first, before those that it is compatible with."""
    found = re.search(r"<name>\s*urn:vim25\s*</name>\s*<version>\s*([\w.]+)\s*</version>", text)
    return found[1] if found else ""


def _connect(host: str, port: int, timeout_s: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=timeout_s)
    except OSError as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else (error.strerror or str(error))
        hint = "is the address right, and may this machine reach it?"
        raise ServerUnreachable(f"{host}:{port} cannot be reached: {why}", hint=hint) from None


def _context() -> ssl.SSLContext:
    """Return a client's context that verifies nothing: this is a look, nothing is entrusted to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _certificate(host: str, port: int, timeout_s: float) -> tuple[Certificate | None, str]:
    with _connect(host, port, timeout_s) as plain:
        try:
            with _context().wrap_socket(plain, server_hostname=host) as secured:
                der, version = secured.getpeercert(binary_form=True), secured.version()
        except (ssl.SSLError, OSError):
            return None, ""
    if der is None:
        return None, ""
    return _decode(host, port, der, timeout_s), version or ""


def _decode(host: str, port: int, der: bytes, timeout_s: float) -> Certificate:
    """Decode by connecting once more and trusting just this certificate: Python decodes only what it has verified."""
    digest = hashlib.sha256(der).hexdigest().upper()
    thumbprint = ":".join(digest[i : i + 2] for i in range(0, 64, 2))
    context = _context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(der))
    try:
        with _connect(host, port, timeout_s) as plain, context.wrap_socket(plain, server_hostname=host) as secured:
            seen = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return Certificate(thumbprint, (), "", "", error.verify_message)
    except OSError as error:
        return Certificate(thumbprint, (), "", "", str(error))
    issuer = dict(pair for part in _pairs(seen.get("issuer")) for pair in part)
    expires = time.gmtime(ssl.cert_time_to_seconds(str(seen["notAfter"])))
    names = tuple(str(value) for _, value in _pairs(seen.get("subjectAltName")))
    shown = issuer.get("commonName") or issuer.get("organizationName") or ""
    return Certificate(thumbprint, names, shown, time.strftime("%Y-%m-%d", expires), "")


def _pairs(value: object) -> tuple[Any, ...]:
    """Return what the ssl module describes as nested pairs; its own type is wider."""
    return value if isinstance(value, tuple) else ()


def _asks_for_certificate(host: str, port: int, timeout_s: float) -> ClientCertificate:
    """Look for a CertificateRequest in a TLS 1.2 handshake, where it is sent in the clear."""
    context = _context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
    seen, deadline = b"", time.monotonic() + timeout_s
    with _connect(host, port, timeout_s) as plain:
        try:
            while time.monotonic() < deadline:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    piece = plain.recv(16384)
                    if not piece:
                        break
                    seen += piece
                    incoming.write(piece)
        except (ssl.SSLError, OSError):
            pass  # what was seen until then is looked at below
    kinds = _handshake_kinds(seen)
    if _CERTIFICATE_REQUEST in kinds:
        return "asked"
    return "not asked" if kinds else "unknown"


def _handshake_kinds(data: bytes) -> list[int]:
    """Return the types of the handshake messages in the cleartext records at the start of ``data``."""
    messages, at = b"", 0
    while at + 5 <= len(data) and data[at] == _HANDSHAKE:
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        messages += data[at + 5 : at + 5 + length]
        at += 5 + length
    kinds, at = [], 0
    while at + 4 <= len(messages):
        kinds.append(messages[at])
        at += 4 + int.from_bytes(messages[at + 1 : at + 4], "big")
    return kinds


def _page(host: str, port: int, path: str, timeout_s: float, *, tls: bool) -> str | None:
    connection: http.client.HTTPConnection
    if tls:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=_context())
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(_VERSION_MAX).decode(errors="replace")
        return text if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
