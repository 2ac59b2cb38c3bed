"""A throw-away certificate for the TLS rows: ECDSA P-256, made anew for every benchmark."""

from __future__ import annotations

from pathlib import Path

import trustme


def write_certificate(folder: Path) -> Path:
    """Write server.pem, server.key and both.pem (HAProxy's form) into `folder`; return it."""
    certificate = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("bench.test", key_type=trustme.KeyType.ECDSA)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    key = certificate.private_key_pem.bytes()
    (folder / "server.pem").write_bytes(chain)
    (folder / "server.key").write_bytes(key)
    (folder / "both.pem").write_bytes(chain + key)
    return folder
