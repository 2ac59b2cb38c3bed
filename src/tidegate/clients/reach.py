"""From what a file says of an endpoint to how a client reaches it."""

from __future__ import annotations

from tidegate.clients.http import HttpOptions
from tidegate.clients.ssh import SshOptions
from tidegate.clients.tls import Trust
from tidegate.clients.vcenter_session import PASSWORD_ENV, VcenterOptions
from tidegate.config.reach import Endpoint, Ssh

__all__ = ["manager_options", "ssh_options", "vcenter_options"]

# NSX counts what one client does: 100 requests in a second, 40 at the same time.
_AT_ONCE = 40
_TRIES = 8
_PATIENCE_S = 180.0
_BODY_MAX = 64 << 20
_SSH_AT_ONCE = 10


def manager_options(endpoint: Endpoint, kind: str) -> HttpOptions:
    """Return how to reach a manager with a REST interface: ``NSX Manager``, ``Avi Controller``."""
    return HttpOptions(
        address=endpoint.address,
        whose=f"{kind} {endpoint.address}",
        port=endpoint.port,
        trust=Trust(ca=endpoint.ca, thumbprint=endpoint.thumbprint, verify=endpoint.verify),
        timeout_s=endpoint.timeout.seconds,
        tries=_TRIES,
        patience_s=_PATIENCE_S,
        at_once=_AT_ONCE,
        body_max=_BODY_MAX,
    )


def vcenter_options(endpoint: Endpoint) -> VcenterOptions:
    """Return how to reach a vCenter."""
    return VcenterOptions(
        address=endpoint.address,
        port=endpoint.port,
        user=endpoint.user,
        password_env=endpoint.password_env or PASSWORD_ENV,
        password_file=endpoint.password_file,
        ca=endpoint.ca,
        thumbprint=endpoint.thumbprint,
        verify=endpoint.verify,
        timeout_s=endpoint.timeout.seconds,
    )


def ssh_options(ssh: Ssh, at_once: int = _SSH_AT_ONCE) -> SshOptions:
    """Return how to reach hosts by SSH, ``at_once`` of them at the same time."""
    return SshOptions(
        user=ssh.user,
        port=ssh.port,
        known_hosts=ssh.known_hosts,
        check_host_key=ssh.check_host_key,
        identity=ssh.identity,
        password_env=ssh.password_env,
        jump=ssh.jump,
        connect_s=ssh.connect.seconds,
        command_s=ssh.command.seconds,
        at_once=at_once,
    )
