"""Whom a client trusts: the system's authorities, a CA file, one certificate by its thumbprint, or (aloud) anybody."""

from __future__ import annotations

import hashlib
import logging
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from tidegate.errors import FleetError, HostUnreachable

__all__ = ["Trust"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trust:
    """How a server proves who it is.

    Parameters
    ----------
    ca
        A PEM file with the authorities to trust instead of the system's.
    thumbprint
        SHA-256 of the server's certificate in hex, with or without colons: exactly that certificate is trusted.
    verify
        ``False``: nothing is checked.
    name
        The name in its certificate, where that is not the address to which one connects.
    """

    ca: Path | None = None
    thumbprint: str | None = None
    verify: bool = True
    name: str | None = None

    def warnings(self, whose: str) -> list[str]:
        """Return what must be said aloud before this is used."""
        if self.verify:
            return []
        return [f"the certificate of {whose} is NOT verified: whoever answers gets the password"]

    def context(self, host: str, port: int, timeout_s: float) -> ssl.SSLContext:
        """Return the context to connect to ``host`` with; with a thumbprint or a name it looks there first (blocks).

        Raises
        ------
        HostUnreachable
            When there is a thumbprint or a name, and the server does not answer or has another certificate.
        ssl.SSLCertVerificationError
            When there is a name, and nobody vouches for the certificate under it.
        FleetError
            When the CA file or the thumbprint cannot be used.
        """
        if not self.verify:
            for warning in self.warnings(f"{host}:{port}"):
                _LOG.warning("%s", warning)
            anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            anybody.check_hostname = False
            anybody.verify_mode = ssl.CERT_NONE
            return anybody
        if self.thumbprint is not None or self.name not in {None, host}:
            return self._pinned(host, port, timeout_s)
        return self._vouched()

    def _vouched(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except (OSError, ssl.SSLError) as error:
            raise FleetError(f"cannot use {self.ca} as CA file: {error.strerror or error}") from error

    def _pinned(self, host: str, port: int, timeout_s: float) -> ssl.SSLContext:
        """Return a context that trusts the certificate that the server shows now, if it is the wanted one."""
        wanted = re.sub(r"[:\s]", "", self.thumbprint or "").lower()
        if self.thumbprint is None:
            look = self._vouched()
        elif not re.fullmatch(r"[0-9a-f]{64}", wanted):
            raise FleetError(
                f'"{self.thumbprint}" is not a SHA-256 thumbprint',
                hint="64 hex digits: openssl x509 -noout -fingerprint -sha256",
            )
        else:
            look = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            look.check_hostname = False
            look.verify_mode = ssl.CERT_NONE
        try:
            # Nothing is sent on this connection: it only asks for the certificate.
            with (
                socket.create_connection((host, port), timeout=timeout_s) as plain,
                look.wrap_socket(plain, server_hostname=self.name or host) as secured,
            ):
                certificate = secured.getpeercert(binary_form=True) or b""
        except ssl.SSLCertVerificationError:
            raise
        except OSError as error:
            raise HostUnreachable(f"{host}:{port} does not answer ({error.strerror or error})") from error
        shown = hashlib.sha256(certificate).hexdigest()
        if wanted and shown != wanted:
            raise HostUnreachable(
                f"{host}:{port} shows a certificate with another thumbprint than the plan's",
                hint=f"it shows {shown}: compare it at the server's console before you write it into the plan",
                slug="wrong-certificate",
            )
        pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        pinned.check_hostname = False
        pinned.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        pinned.load_verify_locations(cadata=certificate)
        return pinned
