"""``gate init``: look at a server, write a file."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tidegate.cli.printer import Output, Printer
from tidegate.config.load import parse_config
from tidegate.errors import Exit, UsageError
from tidegate.gate.look import Look, look_at
from tidegate.gate.template import file_for

__all__ = ["init"]


def init(
    protocol: Literal["vasa", "vcenter", "http"],
    /,
    *,
    server: Annotated[str, Parameter(help="HOST:PORT of the server to protect.")],
    file: Annotated[Path, Parameter(help="Where to write.")] = Path("tidegate.toml"),
    listen: Annotated[str | None, Parameter(help="IP:PORT for the gate; the server's port on all addresses.")] = None,
    timeout: Annotated[float, Parameter(help="Seconds for each step of the look.")] = 5.0,
    force: Annotated[bool, Parameter(negative="", help="Overwrite the file.")] = False,
    output: Output = "text",
) -> int:
    """Look at a server and write a commented configuration file for a gate in front of it, in observe mode.

    Nothing is changed at the server: it is connected to, its certificate is read, and its list of versions.

    Examples
    --------
    ``tidegate gate init vasa --server vp.example.com:8443``
    ``tidegate gate init vcenter --server vc.example.com:443``

    Parameters
    ----------
    protocol
        What the server speaks.
    """
    printer = Printer(output)
    if file.exists() and not force:
        raise UsageError(f"{file} exists already", hint="name another with --file, or overwrite it with --force")
    look = look_at(server, timeout_s=timeout, vasa=protocol == "vasa")
    text = file_for(protocol, look, listen or _listen_for(look), time.strftime("%Y-%m-%d"))
    parse_config(text, file)  # a --listen that is no address is refused here, before anything is written
    try:
        file.write_text(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    printer.data({"format": 1, "file": str(file), "look": asdict(look)})
    printer.text(_seen(look))
    if protocol == "http" and look.vsphere_version:
        printer.text(f"this is a vCenter or a host: `tidegate gate init vcenter --server {server}` knows more about it")
    elif protocol == "vcenter" and not look.vsphere_version:
        printer.words("warning: /sdk/vimServiceVersions.xml lists no version of the vSphere API: is it a vCenter?")
    printer.text(f"wrote {file}; next: tidegate gate check {file} && tidegate gate run {file}")
    return Exit.FINE


def _listen_for(look: Look) -> str:
    """Choose the server's port on all addresses; the next one when the server is on this machine."""
    try:
        here = look.host == "localhost" or ipaddress.ip_address(look.host).is_loopback
    except ValueError:
        here = False
    return f"127.0.0.1:{look.port % 65535 + 1}" if here else f"0.0.0.0:{look.port}"


def _seen(look: Look) -> str:
    if look.certificate is None:
        return f"{look.host}:{look.port} answers, without TLS"
    certificate = look.certificate
    names = ", ".join(certificate.names) or "unknown names"
    problem = f" ({certificate.problem})" if certificate.problem else ""
    return (
        f"{look.host}:{look.port} answers with {look.tls_version}: {names}{problem}, issued by "
        f"{certificate.issuer or 'unknown'}, expires {certificate.expires or 'unknown'}, client certificate "
        f"{look.client_certificate}\nSHA-256 {certificate.sha256}"
    )
