"""TLS of a syslog listener: its certificate, whose clients it takes, and what a client's certificate calls it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.errors import UsageError

__all__ = ["certified_name", "refusal", "server_context"]


def server_context(certificate: Path, key: Path, clients: Path | None) -> ssl.SSLContext:
    """Return what TLS clients are met with: TLS 1.2 at least.

    Parameters
    ----------
    certificate, key
        PEM files: the chain that is shown, and its key without a pass phrase.
    clients
        Certificate authorities, PEM. With them a client has to show a certificate that one of them has signed; nobody
        else's signature counts.

    Raises
    ------
    UsageError
        When a file cannot be read, or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        hint = "name a PEM chain and its key, which has no pass phrase and may be read by this user"
        raise UsageError(f"cannot use the certificate {certificate} with the key {key}: {error}.", hint=hint) from None
    if clients:
        try:
            context.load_verify_locations(cafile=clients)
        except (OSError, ValueError) as error:
            hint = "name a PEM file with the authorities that sign the clients' certificates"
            raise UsageError(f"cannot use {clients} to verify clients: {error}.", hint=hint) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def certified_name(certificate: Mapping[str, Any]) -> str:
    """Return what a verified certificate calls its owner: its first DNS name, else its common name, else ""."""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    subject = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    # A pattern is no name: it would make many hosts one.
    return str(next((name for name in names + subject if "*" not in name), "")).lower()


def refusal(error: ssl.SSLError) -> str:
    """Return why a handshake failed, as one of a few phrases."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "their certificates are signed by nobody whom we know, or have expired"
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "they showed no certificate"
    if "_ALERT_" in (error.reason or ""):
        return "they do not take our certificate"
    return "they do not speak TLS as we do"
