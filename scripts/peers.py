"""Programs that are not part of tidegate but that its tests talk to, and what brings them.

As root on Debian, `install` brings the packages that are missing; anywhere else it only reports them. What no package
has is built from pinned sources, where the tools for it are there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

# program on PATH -> Debian package (bookworm's names)
PEERS = {
    "chromium": "chromium",
    "conntrack": "conntrack",
    "curl": "curl",
    "editcap": "wireshark-common",
    "h2load": "nghttp2-client",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "logrotate": "logrotate",
    "nft": "nftables",
    "nginx": "nginx-light",
    "netstat": "net-tools",
    "promtool": "prometheus",
    "sysctl": "procps",
    "systemd-analyze": "systemd",
    "tcpdump": "tcpdump",
    "tshark": "tshark",
    "openssl": "openssl",
    "setpriv": "util-linux",
    "ss": "iproute2",
    "logger": "bsdutils",
    "postgres": "postgresql",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "rsyslogd": "rsyslog",
    "sshd": "openssh-server",
    "unshare": "util-linux",
}
# What has no program of its own: Debian package -> a file of it
PARTS = {"rsyslog-gnutls": "usr/lib/*/rsyslog/lmnsd_gtls.so"}
ROOT = Path(__file__).resolve().parent.parent
# program -> the script that builds it, or finds that it is built already
BUILT = dict.fromkeys(("govc", "vcsim"), ROOT / "scripts" / "vcsim") | {"envoy": ROOT / "scripts" / "envoy"}
# Where Debian keeps programs that are not on everybody's PATH, and where we keep what we have built.
PLACES = f"/usr/sbin:/sbin:/usr/lib/postgresql/15/bin:{ROOT / 'target' / 'vcsim'}:{ROOT / 'target' / 'envoy'}"


def found(peer: str) -> bool:
    """Tell whether a program, or a part of one (a name in PARTS), is there."""
    if peer in PARTS:
        return any(Path("/").glob(PARTS[peer]))
    return shutil.which(peer, path=f"{os.environ.get('PATH', '')}:{PLACES}") is not None


def missing() -> list[str]:
    """Return what of PEERS, PARTS and BUILT is nowhere, sorted."""
    return sorted(peer for peer in (*PEERS, *PARTS, *BUILT) if not found(peer))


def install() -> list[str]:
    """Install what is missing, where that is possible.

    Returns
    -------
    list[str]
        The programs that are still missing, sorted.
    """
    for script in set(BUILT.values()):
        # Its own words say what it lacks; whether it is there is seen below.
        subprocess.run([str(script)], check=False, stdout=subprocess.DEVNULL)
    wanted = [PEERS.get(peer, peer) for peer in missing() if peer not in BUILT]
    if not wanted or os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        return missing()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = sorted(set(wanted))
    print(f"==> installing peers: {' '.join(packages)}", flush=True)
    # No service may start by itself: the tests start their own, on loopback addresses and free ports.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        # A failed update is not the end: the lists that are there may do.
        subprocess.run(["apt-get", "-qq", "update"], env=environment, check=False)
        command = ["apt-get", "-qq", "-y", "--no-install-recommends", "-o=Dpkg::Use-Pty=0", "install", *packages]
        subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL)
    finally:
        if ours:
            policy.unlink()
    return missing()
